"""The benchmark of quality: short runs, what it keeps, and its table."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow          # it trains
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "quality.py"


def run(*arguments, status=0):
    result = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == status, result.stderr
    return result.stdout if status == 0 else result.stderr


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """(file, what was printed, what was kept) of a first short run: two rows, two seeds each."""
    file = tmp_path_factory.mktemp("quality") / "new" / "runs.json"
    said = run("--data", "ring", "--packing", 1, 2, "--steps", 5, "--seeds", 2, "--processes", 2, "--json", file)
    return file, said, json.loads(file.read_text())


def test_every_run_is_kept(first):
    _, said, runs = first
    assert sorted((run["packing"], run["seed"]) for run in runs) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    for one in runs:
        assert one["recipe"] == "pacgan" and one["data"] == "ring" and one["steps"] == 5
        assert [entry["step"] for entry in one["history"]] == [1, 2, 3, 4, 5]
        assert 0 <= one["modes"] == one["history"][-1]["modes"] <= 8 and 0 <= one["high_quality"] <= 1
    assert said.count("seed") == 4


def test_the_table_has_the_published_values_beside_ours(first):
    _, said, _ = first
    lines = [line.split() for line in said.splitlines()]
    assert ["published", "400,000", "10", "6.3", "±", "0.5", "98.2", "±", "0.2", "%", "0.450", "±", "0.090"] in lines
    assert ["published", "400,000", "10", "7.9", "±", "0.1", "95.6", "±", "2.0", "%", "0.070", "±", "0.030"] in lines
    ours = [line for line in lines if line[:4] == ["ring,", "packing", "1,", "pacgan"]]
    assert len(ours) == 1 and ours[0][4:6] == ["5", "2"]


def test_it_goes_on_where_it_stopped(first):
    file, _, before = first
    kept = file.parent / "stopped.json"
    kept.write_text(json.dumps(before[:3]))                # as if the fourth run had been interrupted
    said = run("--data", "ring", "--packing", 1, 2, "--steps", 5, "--seeds", 2, "--json", kept)
    after = json.loads(kept.read_text())
    assert said.count("seed") == 1 and len(after) == 4
    same = [{name: value for name, value in one.items() if name != "seconds"} for one in (before[3], after[3])]
    assert json.dumps(same[0]) == json.dumps(same[1])      # the same seed gives the same run, alone or beside others
    said = run("--data", "ring", "--packing", 1, 2, "--steps", 5, "--seeds", 2, "--json", kept)
    assert "seed" not in said and "published" in said and json.loads(kept.read_text()).__len__() == 4


def test_table_only(first):
    file, said, _ = first
    table = run("--table", "--json", file)
    assert table.splitlines() == said[said.index("\nmean"):].splitlines()
    assert "--table" in run("--table", status=2) and "--json" in run("--table", "--json", file.parent / "none", status=2)


def test_mean_and_standard_error(tmp_path):
    runs = [{"recipe": "pacgan", "data": "grid", "packing": 3, "seed": seed, "steps": 7, "modes": modes, "high_quality": 0.5,
             "reverse_kl": 0.25 * seed} for seed, modes in enumerate([20, 22, 24, 24])]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    row = run("--table", "--json", tmp_path / "runs.json").splitlines()[3].split()
    assert row[4:] == ["7", "4", "22.5", "±", "1.0", "50.0", "±", "0.0", "%", "0.375", "±", "0.161"]


def test_the_fast_recipe_finds_the_ring():
    said = run("--recipe", "ours", "--data", "ring", "--seeds", 1, "--steps", 1500)
    modes, quality = said.split("seed 0: ")[1].split(" modes, ")
    assert int(modes) == 8 and float(quality.split("%")[0]) > 60


@pytest.mark.parametrize("options", [("--packing", 0), ("--steps", 0), ("--seeds", 0), ("--processes", 0)])
def test_nonsense_is_refused(options):
    assert "at least 1" in run(*options, status=2)
