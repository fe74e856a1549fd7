"""Ranks: real MPI processes, against one process with as many shards; what happens when one of them fails."""
import importlib.util
import json
import operator
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minigan.engine import in_shards, ranks
from minigan.engine.sums import in_pairs

ON_STANDIN = """
import os, sys
import fakecupy
sys.modules["cupy"] = fakecupy
from minigan.cli import terminal, train
from minigan.engine import cublas
cublas.library = fakecupy.cublas_library
fakecupy.cuda.nccl.available = "NCCL" in os.environ
terminal.prepare()
sys.exit(train.main(sys.argv[1:]))
"""
PROGRAM = Path(__file__).parents[1] / "examples" / "train_gan.py"
MPIEXEC = Path(sys.executable).with_name("mpiexec")
SMALL = ["--data", "mnist", "--width", "8", "--batch-size", "32", "--sample-every", "100", "--doctor-every", "2"]
needs_mpi = pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None or not MPIEXEC.exists(),
                               reason="mpi4py, or the mpiexec of a wheel, is not installed")


# --- the order of the sums ---

@pytest.mark.parametrize("processes, threads", [(2, 1), (3, 1), (2, 2), (2, 3), (3, 3), (4, 3), (5, 5), (1, 7)])
def test_sums_do_not_depend_on_who_has_which_shard(processes, threads):
    """A sum is written down as a text, which shows the order of its additions."""
    count = processes * threads
    values = {i: str(i) for i in range(count)}

    def add(a, b):
        return f"({a} {b})"
    parts: dict = {}
    for r in range(processes):
        here = range(r * threads, (r + 1) * threads)
        part = in_pairs({i: values[i] for i in here}, here.start, here.stop, count, add)
        assert sorted(part) == ranks.roots_of(here, count)
        parts |= part
    assert in_pairs(parts, 0, count, count, add) == in_pairs(values, 0, count, count, add)
    assert in_pairs({i: 1 for i in values}, 0, count, count, operator.add) == {0: count}


def test_a_rank_with_a_power_of_two_of_shards_sends_one_sum():
    for threads in (1, 2, 4, 8):
        assert all(len(ranks.roots_of(range(r * threads, (r + 1) * threads), 4 * threads)) == 1 for r in range(4))


def test_one_process_is_one_rank():
    assert (ranks.size(), ranks.rank(), ranks.started()) == (1, 0, 1)
    assert ranks.own(3) == range(3) and ranks.anywhere(True) and not ranks.anywhere(False)
    with in_shards(3):
        assert ranks.once_per_run(lambda x: x + 1)(2) == 3


def test_a_distributed_run_without_mpi_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(ranks, "_world", None)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(RuntimeError, match="needs mpi4py and an MPI.*pip install mpi4py mpich"):
        ranks.begin()


# --- programs ---

def environment():
    return {name: value for name, value in os.environ.items() if name != "MINIGAN_THREADS"} | {"OPENBLAS_NUM_THREADS": "1"}


def start(processes, *arguments, program=PROGRAM):
    command = [MPIEXEC, "-n", str(processes), sys.executable, "-m", "mpi4py", program, *map(str, arguments), "--distributed"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def run(processes, *arguments, program=PROGRAM, timeout=120):
    """(status, what it said on standard output, and on standard error)"""
    if processes == 0:                                 # the program alone
        command = [sys.executable, program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=timeout)
        return done.returncode, done.stdout, done.stderr
    job = start(processes, *arguments, program=program)
    try:
        out, error = job.communicate(timeout=timeout)
    finally:
        job.kill()
    return job.returncode, out, error


def assert_same_run(a, b):
    for name in ("log.csv", "checkpoint.npz", "config.json", "samples.png"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


OPTIONS = {
    "main job": [],
    "several": ["--no-conditional", "--penalty", "wgan-gp", "--loss", "wasserstein", "--n-critic", "2", "--ema", "0.9",
                "--instance-noise", "0.1", "--update", "simultaneous", "--clip-norm", "1"],
    "packing": ["--packing", "2", "--spectral-norm", "--penalty", "r1", "--loss", "hinge", "--augment", "flip,shift"]}


@needs_mpi
@pytest.mark.parametrize("processes, threads", [(2, 1), pytest.param(3, 1, marks=pytest.mark.slow),
                                                pytest.param(2, 2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [pytest.param(name, marks=[] if name == "several" else pytest.mark.slow)
                                     for name in OPTIONS])
def test_ranks_compute_what_one_process_computes(tmp_path, options, processes, threads):
    arguments = [*SMALL, *OPTIONS[options], "--steps", 3, "--out"]
    assert run(0, *arguments, tmp_path / "one", "--threads", processes * threads)[0] == 0
    status, said, error = run(processes, *arguments, tmp_path / "ranks", "--threads", threads)
    assert status == 0, error
    assert f"{processes} ranks, joined by MPI: a batch of 32 goes through the networks in {processes * threads} shards" in said
    assert said.count("written:") == 1 and error.count("3/3") >= 1
    assert_same_run(tmp_path / "one", tmp_path / "ranks")


@needs_mpi
@pytest.mark.slow
def test_dropout_and_batch_norm_are_those_of_the_whole_batch(tmp_path):
    arguments = ["--data", "mnist", "--model", "dcgan_28", "--batch-size", 16, "--steps", 2, "--doctor-every", 0, "--out"]
    assert run(0, *arguments, tmp_path / "one", "--threads", 2)[0] == 0
    assert run(2, *arguments, tmp_path / "ranks", "--threads", 1)[0] == 0
    assert_same_run(tmp_path / "one", tmp_path / "ranks")


@needs_mpi
def test_a_run_goes_on_with_other_ranks(tmp_path):
    """With as many shards it ends with the same bytes; with another number it says that it does not."""
    out = tmp_path / "run"
    assert run(0, *SMALL, "--steps", 4, "--threads", 2, "--out", tmp_path / "whole")[0] == 0
    assert run(2, *SMALL, "--steps", 2, "--threads", 1, "--out", out)[0] == 0
    status, said, _ = run(0, "--resume", "--steps", 4, "--out", out)
    assert status == 0 and "cut its batches for" not in said
    assert (out / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()
    status, said, _ = run(3, "--resume", "--steps", 5, "--out", out)
    assert status == 0 and "cut its batches for 2 threads, and goes on with 3: the last bits" in said
    assert json.loads((out / "config.json").read_text())["threads"] == 3


@needs_mpi
def test_a_batch_that_cannot_be_cut_is_refused(tmp_path):
    status, _, error = run(3, *SMALL[:-4], "--batch-size", 2, "--threads", 1, "--out", tmp_path / "run")
    assert status != 0 and not (tmp_path / "run").exists()
    assert error.count("cannot be cut into 3 shards, 1 for each of 3 ranks: it must be at least 3, or --threads") == 1
    assert "Traceback" not in error


OTHER = """
import os, sys
from minigan import datasets
from minigan.cli import terminal, train
from minigan.engine import ranks
from minigan.training.run import Run
terminal.prepare()
rank, what = int(os.environ.get("PMI_RANK", "0")), sys.argv.pop(1)
if what == "data" and rank == 1:
    digits = datasets.digits
    datasets.digits = lambda *a, **k: (digits(*a, **k)[0][::-1].copy(), digits(*a, **k)[1])
    datasets.mnist, mnist = (lambda *a, **k: (mnist(*a, **k)[0][::-1].copy(), mnist(*a, **k)[1])), datasets.mnist
if what == "parameters" and rank == 1:
    from minigan.cli import recipe
    build = recipe.build_gan
    recipe.build_gan = lambda options, classes: build(options | {"seed": 1}, classes)
step = Run.train_step
def failing(run):
    if rank == 1 and run.step == 2:
        if what == "raises":
            raise ValueError("it went wrong here")
        if what == "slow":
            __import__("time").sleep(1)
    return step(run)
Run.train_step = failing
sys.exit(train.main(sys.argv[1:]))
"""


@pytest.fixture
def other(tmp_path):
    path = tmp_path / "other.py"
    path.write_text(OTHER)
    return path


@needs_mpi
def test_ranks_with_other_data_are_refused(tmp_path, other):
    status, _, error = run(2, "data", *SMALL, "--steps", 2, "--threads", 1, "--out", tmp_path / "run", program=other)
    assert status != 0 and error.count("all ranks of a run need the same data: rank 1 has") == 1
    assert "Traceback" not in error and not (tmp_path / "run").exists()


@needs_mpi
def test_a_rank_that_raises_ends_all_with_one_sentence(tmp_path, other):
    start_of_it = time.monotonic()
    status, _, error = run(2, "raises", *SMALL, "--steps", 1000, "--threads", 1, "--out", tmp_path / "run", program=other)
    assert status != 0 and error.count("rank 1: it went wrong here") == 1 and "Traceback" not in error
    assert time.monotonic() - start_of_it < 60


@needs_mpi
@pytest.mark.slow
def test_a_slow_rank_is_waited_for(tmp_path, other):
    arguments = [*SMALL, "--steps", 4, "--out"]
    assert run(2, "slow", *arguments, tmp_path / "slow", "--threads", 1, program=other)[0] == 0
    assert run(0, *arguments, tmp_path / "one", "--threads", 2)[0] == 0
    assert_same_run(tmp_path / "one", tmp_path / "slow")


def processes_of(job, out):
    """The numbers of the training processes, once they have made 5 steps."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (out / "samples" / "step_000005.png").exists():
            break
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(out).encode() in words and b"mpi4py" in words and b"-n" not in words:
            found.append(int(path.name))
    return sorted(found)


def endless(out):
    return start(2, *SMALL[:-4], "--sample-every", 5, "--doctor-every", 0, "--steps", 100_000, "--threads", 1, "--out", out)


@needs_mpi
@pytest.mark.skipif(not Path("/proc").exists(), reason="the processes are found by /proc")
@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_rank_ends_all(tmp_path, which):
    out = tmp_path / "run"
    job = endless(out)
    try:
        pids = processes_of(job, out)
        assert len(pids) == 2
        os.kill(pids[which], signal.SIGKILL)
        job.communicate(timeout=20)
        assert job.returncode != 0 and not any(Path(f"/proc/{pid}").exists() for pid in pids)
    finally:
        job.kill()
    assert run(2, "--resume", "--steps", 4, "--out", out)[0] == 0              # it was saved at step 0


@needs_mpi
@pytest.mark.skipif(not Path("/proc").exists(), reason="the processes are found by /proc")
def test_a_signal_to_any_rank_stops_all_after_a_step(tmp_path):
    out = tmp_path / "run"
    job = endless(out)
    try:
        os.kill(processes_of(job, out)[1], signal.SIGTERM)
        said, error = job.communicate(timeout=30)
    finally:
        job.kill()
    step = int(re.search(r"stopped after step (\d+)", said)[1])
    assert job.returncode == 0 and "Traceback" not in error
    assert len((out / "log.csv").read_text().splitlines()) == step + 1
    content = np.load(out / "checkpoint.npz", allow_pickle=False)
    assert content["step"] == step


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launcher_stops_all(tmp_path, number):
    out = tmp_path / "run"
    job = endless(out)
    try:
        processes_of(job, out)
        job.send_signal(number)
        said, error = job.communicate(timeout=30)
    finally:
        job.kill()
    assert job.returncode == 0 and said.count("stopped after step") == 1 and "Traceback" not in error


@needs_mpi
@pytest.mark.slow
def test_several_seeds_and_a_dry_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said, error = run(2, *SMALL, "--steps", 2, "--threads", 1, "--seeds", 2)
    assert status == 0, error
    folder, = (tmp_path / "runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {"seed_0", "seed_1", "seeds.png"} and said.count("2 seeds") == 1
    status, said, error = run(2, *SMALL, "--threads", 1, "--dry-run")
    assert status == 0 and said.count("the dry run went well") == 1, error
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder.name]


@needs_mpi
def test_ranks_that_begin_with_other_parameters_are_refused(tmp_path, other):
    status, _, error = run(2, "parameters", *SMALL, "--steps", 2, "--threads", 1, "--out", tmp_path / "run", program=other)
    assert status != 0 and error.count("all ranks of a run need the same parameters") == 1 and not (tmp_path / "run").exists()


# --- GPUs: on the stand-in, whose arrays go to MPI through the host, or to a stand-in for NCCL ---

@pytest.fixture
def on_the_standin(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROGRAM.parents[1]), str(Path(__file__).parent)]))
    path = tmp_path / "on_the_standin.py"
    path.write_text(ON_STANDIN)
    return path


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--conditional", "--ema", "0.9", "--instance-noise", "0.1", "--augment",
                                          "shift,flip"]])
def test_ranks_on_the_standin_train_as_one_does(tmp_path, on_the_standin, monkeypatch, options):
    """A GPU takes the whole batch where it is alone, so the last bits differ. By MPI, by NCCL, and in a graph they are the
    same."""
    arguments = [*SMALL, *options, "--steps", 3, "--device", "cuda", "--out"]
    assert run(0, *arguments, tmp_path / "one", program=on_the_standin)[0] == 0
    for name, more in [("MPI", []), ("NCCL", []), ("graph", ["--capture"])]:
        if name == "NCCL":
            monkeypatch.setenv("NCCL", "1")
        status, said, error = run(2, *arguments, tmp_path / name, "--threads", 1, *more, program=on_the_standin)
        assert status == 0, error
        assert f"2 ranks, joined by {'MPI' if name == 'MPI' else 'NCCL'}" in said and "in 2 shards" in said
    logs = {name: np.loadtxt(tmp_path / name / "log.csv", delimiter=",", skiprows=1)
            for name in ("one", "MPI", "NCCL", "graph")}
    np.testing.assert_allclose(logs["one"], logs["MPI"], rtol=1e-3)
    assert (logs["one"] != logs["MPI"]).any()
    assert (logs["MPI"] == logs["NCCL"]).all() and (logs["NCCL"] == logs["graph"]).all()


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize("nccl, ranks", [(False, 2), (True, 3)])       # the stand-in has two GPUs, and NCCL wants three
def test_a_captured_step_needs_nccl(tmp_path, on_the_standin, monkeypatch, nccl, ranks):
    if nccl:
        monkeypatch.setenv("NCCL", "1")
    status, _, error = run(ranks, *SMALL, "--steps", 3, "--device", "cuda", "--capture", "--threads", 1, "--out",
                           tmp_path / "run", program=on_the_standin)
    assert status != 0 and error.count("MPI cannot be part of one") == 1 and "Traceback" not in error
