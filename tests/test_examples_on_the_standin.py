"""Every example with --device cuda, on the stand-in: what a GPU would refuse, it refuses."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow          # each example is a program that trains
TESTS = pathlib.Path(__file__).resolve().parent
EXAMPLES = TESTS.parent / "examples"
ON_STANDIN = """
import os, runpy, sys
import fakecupy
from minigan.engine import cublas
sys.modules["cupy"], cublas.library = fakecupy, fakecupy.cublas_library
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(example, *arguments):
    environment = {name: value for name, value in os.environ.items() if name not in ("MINIGAN_DEVICE", "MINIGAN_TF32")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]), "MPLBACKEND": "agg"}
    command = [sys.executable, "-c", ON_STANDIN, EXAMPLES / f"{example}.py", *map(str, arguments), "--device", "cuda"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def fewest_steps(example):
    """The option for that. A lesson says itself how few steps it can do: steps=(default, fewest, help)."""
    found = re.search(r"\bsteps=\(\d+, (\d+),", (EXAMPLES / f"{example}.py").read_text(encoding="utf-8"))
    return ["--dry-run"] if example == "train_gan" else ["--steps", found[1]] if found else []


SHARED, ON_THE_HOST = {"lesson", "exercise_tasks"}, {"exercises", "gan_in_100_lines"}
LESSONS = {path.stem for path in EXAMPLES.glob("*.py")} - SHARED - ON_THE_HOST - {"sample"}


@pytest.mark.parametrize("example", sorted(LESSONS))
def test_it_runs(tmp_path, example):
    run(example, "--out", tmp_path, *fewest_steps(example))
    assert [*tmp_path.rglob("*.png"), *tmp_path.rglob("*.gif")]


def test_a_trained_generator_is_sampled(tmp_path):
    run("train_gan", "--dry-run", "--out", tmp_path)
    run("sample", tmp_path / "checkpoint.npz", "--out", tmp_path)
    assert (tmp_path / "new_samples.png").exists()


@pytest.mark.parametrize("options", [
    "--conditional --ema 0.9 --label-smoothing 0.1", "--loss wasserstein --penalty wgan-gp --n-critic 2",
    "--spectral-norm --instance-noise linear:0.1:0:2 --augment flip,shift", "--model dcgan_28 --update simultaneous",
    "--packing 2 --penalty r1 --weight-decay 0.1 --clip-norm 1", "--capture --n-critic 2 --conditional"])
def test_the_stabilizers(tmp_path, options):
    run("train_gan", "--dry-run", "--out", tmp_path, *options.split())
