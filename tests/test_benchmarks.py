"""The benchmark scripts run, and print what they measured."""
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import gpu_is_missing

pytestmark = pytest.mark.slow          # each benchmark is a program that trains
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(name, *arguments):
    command = [sys.executable, BENCHMARKS / f"{name}.py", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_training_step(tmp_path):
    said = run("training_step", "--models", "mlp_gan", "--frameworks", "minigan", "--batch", 8, "--rounds", 1,
               "--seconds", 0.1, "--json", tmp_path / "result.json")
    assert "mlp_gan" in said and "BLAS" in said
    run_, = json.loads((tmp_path / "result.json").read_text())["results"]["mlp_gan"]["minigan"]
    assert len(run_["times"]) >= 3 and min(run_["times"]) > 0 and run_["peak"] > 10


@pytest.mark.parametrize("framework, package", [("torch", "torch"), ("channels_last", "torch"), ("tensorflow", "tensorflow")])
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_training_step_of_a_peer(framework, package, update):
    pytest.importorskip(package, reason=f"{package} is not installed")
    said = run("training_step", "--models", "mlp_gan", "--frameworks", "minigan", framework, "--batch", 8, "--rounds", 1,
               "--seconds", 0.1, "--update", update)
    assert f"minigan/{framework}" in said


def test_gpu_on_the_standin(tmp_path):
    said = run("gpu", "--smoke", "--models", "mlp_gan", "--batches", 4, 6, "--seconds", 0.02, "--rounds", 2, "--json",
               tmp_path / "gpu.json")
    for line in ("GPU against CPU in float64, 5 steps: ", "captured against eager, 20 steps: 0.0e+00 apart",
                 "TF32 on  batch 4    captured", "TF32 off batch 6    eager", "GPU: stand-in, CuPy", "the results are right",
                 "these times mean nothing"):
        assert line in said
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["right"] and not [row for row in content["rows"] if "error" in row]
    rows = {(row["framework"], row["mode"], row["batch"], row["tf32"]): row for row in content["rows"] if "batch" in row}
    frameworks = {"minigan": ["eager", "captured"]} | ({"torch": ["eager"]} if importlib.util.find_spec("torch") else {})
    usual = {(name, mode, batch, tf32) for name, modes in frameworks.items() for mode in modes for batch in (4, 6)
             for tf32 in (True, False)}
    assert set(rows) == usual | {("minigan", f"captured, pieces of {size} MB", 6, True) for size in (16, 32, 64, 512)}
    assert all(len(row["times"]) == 2 and min(row["times"]) > 0 for row in rows.values())
    assert 50 < rows["minigan", "captured", 4, True]["kernels"] < 500
    table = [line for line in said.splitlines() if line.startswith("| mlp_gan | 4 | on |")]
    assert len(table) == 1 and table[0].count("|") == said.split("|---|")[0].splitlines()[-1].count("|")


def test_gpu_says_what_is_missing(tmp_path):
    if not gpu_is_missing():
        pytest.skip("there is a GPU")
    command = [sys.executable, BENCHMARKS / "gpu.py", "--json", tmp_path / "gpu.json"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and "needs" in result.stderr and result.stderr.count("\n") == 1


def test_floor():
    line = run("floor", "--models", "mlp_gan", "--batch", 4, "--rounds", 1).splitlines()[-1].split()
    assert line[0] == "mlp_gan"
    # Products of an alternating step, a sample: G once forward and twice back (no dx below the first layer), D three times
    # forward, twice for dW, twice for dx above its first layer, and once through all of it; two operations each.
    G, D = [100 * 256, 256 * 512, 512 * 1024, 1024 * 784], [784 * 1024, 1024 * 512, 512 * 256, 256]
    flop = 2 * 4 * (3 * sum(G) - G[0] + 8 * sum(D) - 2 * D[0])
    assert float(line[1]) == pytest.approx(flop / 1e9, abs=0.06)


def counted(*arguments):
    """{row: [kernels, GB, GFLOP, floor in TF32, floor in float32]} of gpu_floor, on the stand-in whatever there is here."""
    lines = run("gpu_floor", *arguments).splitlines()[1:]
    return {line[:40].strip(): [float(number) for number in line[40:].split()] for line in lines}


def test_gpu_floor():
    few, many = counted("--models", "mlp_gan", "--batches", 4, 64).values()
    assert 50 < few[0] < many[0] < 300                # a larger batch is summed in more rounds
    G, D = [100 * 256, 256 * 512, 512 * 1024, 1024 * 784], [784 * 1024, 1024 * 512, 512 * 256, 256]
    # So many times every weight is read or written: Adam 7, zero_grad 1, a backward pass at least 4, a forward pass 1.
    at_least = 4 * ((8 + 4 + 1) * sum(G) + (8 + 2 * 4 + 3) * sum(D)) / 1e9
    assert at_least < few[1] < 1.3 * at_least and few[1] < many[1]
    assert few[3] == pytest.approx(few[1] / 3.35, abs=2e-3)        # so small a batch only moves its weights
    assert many[2] == pytest.approx(2 * 64 * (3 * sum(G) - G[0] + 8 * sum(D) - 2 * D[0]) / 1e9, abs=0.06)      # as test_floor
    assert many[4] > many[3]


def test_a_step_needs_no_more_kernels_than_it_did():
    """Each one takes a GPU some microseconds to begin, however little it does."""
    found = {row.partition(",")[0]: kernels for row, (kernels, *_) in counted("--batches", 4).items()}
    most = {"mlp_gan": 142, "dcgan_28": 300, "dcgan_64": 295, "dcgan_64_stem": 498}
    assert set(found) == set(most) and all(found[model] <= most[model] for model in most), found


def test_gpu_floor_of_layers():
    rows = counted("--models", "dcgan_28", "--batches", 32, "--layers")
    whole = rows.pop("dcgan_28, batch 32")
    assert {"G.1 BatchNorm backward", "D.0 Conv2D forward", "losses, Adam ..."} <= set(rows)
    np.testing.assert_allclose(np.sum([*rows.values()], axis=0), whole, rtol=0.02)
    weights = 25 * 64 * 128                            # D.3, 14 x 14 x 64 to 7 x 7 x 128, goes forward three times
    kernels, size, operations, tf32, float32 = rows["D.3 Conv2D forward"]
    assert operations == pytest.approx(3 * 2 * 32 * 49 * weights / 1e9, abs=0.01)
    x, cols, y = 32 * 196 * 64, 32 * 49 * 25 * 64, 32 * 49 * 128
    expected = 3 * 4 * (x + cols + cols + weights + y + 2 * y)     # im2col, the product, and the bias added in place
    assert kernels == 3 * 3 and size == pytest.approx(expected / 1e9, rel=0.01, abs=1e-3)
    assert 0 < tf32 < float32


def test_layers():
    said = run("layers", "--models", "mlp_gan", "--batch", 8, "--repeats", 1)
    assert "G.0 Dense" in said and "D.7 Dense" in said and "Adam of G" in said


def test_filtering():
    """Where tiles are not chosen, they stand in brackets."""
    said = run("filtering", "--rounds", 1, "--batch", 4)
    rows = [line.split(" | ") for line in said.splitlines() if " | 2 x 2 | " in line or " | (2 x 2) | " in line]
    assert len(rows) >= 13 and all(float(cell.strip("()| ")) > 0 for row in rows for cell in row[-3:])


def test_distributed():
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    said = run("distributed", "--models", "dcgan_28", "--batch", 16, "--rounds", 1, "--seconds", 0.1)
    row = next(line for line in said.splitlines() if line.startswith("| dcgan_28"))
    *rates, megabytes, exchanges, ms = row.split("|")[2:-1]
    assert len(rates) == 5 and min(map(float, rates)) > 0 and float(ms) > 0
    assert 9 < float(megabytes) < 20                   # the gradients of D twice and of G once, half of which leaves each rank
    assert min(map(int, exchanges.split(","))) > 5     # twice: parts to their owners, and the sums back
    assert said.count("| dcgan_28 | 10 |") == 1


def test_scaling():
    said = run("scaling", "--model", "mlp_gan", "--batches", 4, "--seconds", 0.1)
    assert said.splitlines()[2].split()[0] == "4"
