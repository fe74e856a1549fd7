"""The loop: every sample once an epoch, the folder of a run, resume bit for bit, Ctrl-C, NaN."""
import contextlib
import csv
import errno
import io
import os
import re
import shutil
import signal
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import files, training
from minigan.training import checkpoint
from minigan.training import run as run_module
from minigan.training.batches import Batches
from minigan.training.finite import first_bad_layer
from minigan.training.log import Log

X, _ = mg.datasets.digits()


class BrokenPipe:
    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


def make_run(out, lr=2e-3, seed=0, x=X, dtype="float32", **options):
    """A small GAN with everything that has a state: BatchNorm in G, Dropout in D."""
    rng = mg.host_rng(seed)
    L, w = mg.layers, dict(rng=rng, dtype=dtype)
    G = mg.Sequential(L.Dense(4, 64, **w), L.BatchNorm(64, dtype=dtype), L.LeakyReLU(), L.Dense(64, 64, **w), L.Tanh(),
                      L.Reshape(8, 8, 1))
    D = mg.Sequential(L.Flatten(), L.Dense(64, 64, **w), L.LeakyReLU(), L.Dropout(0.3, rng=mg.rng(seed)), L.Dense(64, 1, **w))
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(lr), mg.optimizers.Adam(lr))
    return training.Run(gan, x, out, batch_size=16, seed=seed, config={"lr": lr}, **options)


def content(out):
    """All that a finished run says: the arrays of its checkpoint and its log."""
    return checkpoint.load(out / "checkpoint.npz"), (out / "log.csv").read_text()


def assert_same_run(a, b):
    (arrays_a, log_a), (arrays_b, log_b) = content(a), content(b)
    assert arrays_a.keys() == arrays_b.keys()
    for name in arrays_a.keys() - {"extra"}:
        np.testing.assert_array_equal(arrays_a[name], arrays_b[name], err_msg=name, strict=True)
    assert log_a == log_b


@pytest.fixture
def whole(tmp_path):
    """The folder of a run of 30 steps that was never interrupted."""
    run = make_run(tmp_path / "whole")
    run.start()
    assert run.train(30, sample_every=10, save_every=7)
    return tmp_path / "whole"


@pytest.mark.parametrize("n, size", [(10, 3), (10, 10), (3, 7), (7, 1), (12, 4)])
def test_every_sample_is_seen_once_an_epoch(n, size):
    batches = Batches(n, size, seed=5)
    row = np.concatenate([batches[t] for t in range(4 * n)])
    for epoch in row[:len(row) // n * n].reshape(-1, n):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(n))
    np.testing.assert_array_equal(batches[2], row[2 * size:3 * size])      # at any time, in any order


def test_epochs_and_seeds_are_shuffled_differently():
    first, other = Batches(50, 50, seed=0), Batches(50, 50, seed=1)
    assert (first[0] != first[1]).any() and (first[0] != other[0]).any()


def test_a_run_leaves_all_its_files(whole):
    for name in ("config.json", "checkpoint.npz", "samples.png", "curves.png", "training.gif", "samples/step_000010.png"):
        assert (whole / name).stat().st_size > 0
    with open(whole / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 31))
    assert all(0 < float(row["score_real"]) < 1 for row in rows)
    assert not list(whole.glob("*.tmp"))


def test_two_runs_of_one_seed_are_the_same(whole, tmp_path):
    again = make_run(tmp_path / "again")
    again.start()
    again.train(30, sample_every=10, save_every=30)    # when it saves does not matter
    assert_same_run(whole, tmp_path / "again")


@pytest.mark.parametrize("stop", [1, 7, 16])
def test_a_resumed_run_ends_with_the_same_bytes(whole, tmp_path, stop):
    first = make_run(tmp_path / "run")
    first.start()
    first.train(stop)
    second = make_run(tmp_path / "run")
    second.resume(30)
    assert second.step == stop
    second.train(30)
    assert_same_run(whole, tmp_path / "run")


def test_a_killed_run_repeats_what_came_after_its_last_checkpoint(whole, tmp_path):
    killed = make_run(tmp_path / "run")
    killed.start()
    killed.train(14)
    for _ in range(3):                                 # steps that no checkpoint has seen, though the log has
        killed.train_step()
    killed.log.flush()
    with open(tmp_path / "run" / "log.csv", "a") as file:
        file.write("18,0.5,0.")                        # killed while it wrote this line
    (tmp_path / "run" / "checkpoint.npz.0123abcd.tmp").write_bytes(b"half")            # or this file
    second = make_run(tmp_path / "run")
    second.resume(30)
    assert second.step == 14 and not list((tmp_path / "run").glob("*.tmp"))
    second.train(30)
    assert_same_run(whole, tmp_path / "run")


def test_a_used_folder_is_not_overwritten(whole):
    before = content(whole)[1]
    with pytest.raises(FileExistsError, match="holds a run already"):
        make_run(whole).start()
    assert content(whole)[1] == before


@pytest.mark.parametrize("lost", [["config.json"], ["config.json", "log.csv"], ["config.json", "checkpoint.npz"]],
                         ids=lambda names: " and ".join(names))
def test_a_folder_that_has_lost_its_config_is_not_overwritten(tmp_path, lost):
    run = make_run(tmp_path)
    run.start()
    run.train(1)
    for name in lost:
        (tmp_path / name).unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match="of a run whose config.json is missing"):
        make_run(tmp_path, seed=5).start()
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("left", ["samples/step_000005.png", "samples.png", "curves.png", "training.gif", "checkpoint.npz"])
def test_what_another_run_left_is_not_written_over(tmp_path, left):
    """Of the log, only the first line is left."""
    run = make_run(tmp_path / "other")
    run.start()
    log = run.log.path.read_bytes()
    run.train(1)
    (tmp_path / "run" / "samples").mkdir(parents=True)
    (tmp_path / "run" / "log.csv").write_bytes(log)
    (tmp_path / "run" / left).write_bytes((tmp_path / "other" / left.replace("5", "1")).read_bytes())
    with pytest.raises(FileExistsError, match=f"run holds {left} of a run whose config.json is missing"):
        make_run(tmp_path / "run").start()


@pytest.mark.parametrize("last", ["nothing", "log.csv", "checkpoint.npz"])
def test_a_start_that_was_killed_or_failed_does_not_block_the_next(whole, tmp_path, monkeypatch, last):
    """Files are written in this order: log.csv, checkpoint.npz, config.json. The disk is full behind `last`."""
    def write(path, content):
        if last in written or last == "nothing":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path.name)
        whole_file(path, content)

    written, whole_file = [], files.write_whole
    for module in ("log", "checkpoint", "folder"):
        monkeypatch.setattr(f"minigan.training.{module}.write_whole", write)
    with pytest.raises(OSError, match="No space left"):
        make_run(tmp_path / "run", seed=3).start()
    monkeypatch.undo()
    again = make_run(tmp_path / "run")
    again.start()
    again.train(30)
    assert_same_run(whole, tmp_path / "run")


def test_two_runs_are_never_in_one_folder(tmp_path):
    """While one trains, in whichever thread or process, the other can neither start, nor resume, nor train."""
    first, other = make_run(tmp_path), make_run(tmp_path)
    first.start()
    other.resume(10)                                   # now it stands there too
    step = first.train_step

    def train_step():
        for attempt in (make_run(tmp_path).start, lambda: make_run(tmp_path).resume(10), lambda: other.train(10)):
            with pytest.raises(BlockingIOError, match="in use by another run"):
                attempt()
        return step()

    first.train_step = train_step
    first.train(2)
    with pytest.raises(RuntimeError, match="another run has gone on in"):
        other.train(10)                                # it would write the steps 1 and 2 once more
    assert len(Log(tmp_path / "log.csv").read(10)) == 2
    other.resume(10)
    assert other.train(3) and first.log.path.read_text().count("\n") == 4


def test_a_run_goes_on_in_its_folder_after_whatever(whole, tmp_path):
    """Trained twice; stopped by an exception; forgotten without an end: the folder is free each time."""
    run = make_run(tmp_path)
    with pytest.raises(RuntimeError, match=r"call start\(\) or resume\(\) first"):
        run.train(1)
    run.start()
    run.train(4)
    step, run.train_step = run.train_step, lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run.train(8)
    run.train_step = step
    run.train(8)
    second = make_run(tmp_path)
    second.resume(30)                                  # and is not trained, but stays in memory
    third = make_run(tmp_path)
    third.resume(30)
    third.train(30)
    assert_same_run(whole, tmp_path)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed(), BrokenPipe()], ids=["none", "closed", "broken"])
def test_a_run_ends_well_without_stderr(tmp_path, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(run_module.machine, "advice", lambda: ["some advice"])
    doctor = SimpleNamespace(look=lambda *arguments: None, advice=lambda: ["some more"])
    run = make_run(tmp_path, doctor=doctor, doctor_every=1)
    run.start()
    assert run.train(2) and (tmp_path / "samples.png").exists()


# --- the log and the checkpoint agree ---

def lines(*changes):
    """Change lines of the log, (number from 0: new content); None takes one away."""
    def damage(content):
        rows = content.split(b"\r\n")
        for number, text in changes:
            rows[number] = text
        return b"\r\n".join(row for row in rows if row is not None)
    return damage


HARMLESS = {                                           # behind step 10, where the checkpoint is, or in the line ends alone
    "zeros": lambda log: log + bytes(200_000), "half a line": lambda log: log + b"11,0.5,0.",
    "rows to come": lambda log: log + b"11,0.5,0.5,0.5,0.5\r\n12,0.5,0.5,0.5,0.5\r\n",
    "rows again": lambda log: log + log[-80:], "line ends of Unix": lambda log: log.replace(b"\r", b"")}
DAMAGES = {
    "no file": None, "empty": lambda log: b"", "zeros alone": lambda log: bytes(len(log)), "half a row": lambda log: log[:-9],
    "a row without its end": lambda log: log[:-2], "rows missing": lambda log: log[:200],
    "no text": lambda log: log + b"\xff\x80", "another first line": lines((0, b"a,b,c,d,e")),
    "no first line": lines((0, None)), "a hole": lines((4, None)),
    "no number": lines((4, b"4,0.5,nan,0.5,0.5")), "a column more": lines((4, b"4,0.5,0.5,0.5,0.5,0.5")),
    "a foreign row": lines((4, b"4,0.5,0.5,0.5,0.5")), "zeros in a row": lambda log: log[:99] + bytes(3) + log[102:],
    "a row twice": lambda log: log.replace(log.split(b"\n")[3], log.split(b"\n")[3] + b"\n" + log.split(b"\n")[3]),
    "UTF-16": lambda log: log.decode().encode("utf-16")}


@pytest.fixture(scope="module")
def ten_steps(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("run"))
    run.start()
    run.train(10)
    return run.out


@pytest.mark.parametrize("damage", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_concern_the_checkpoint_leaves_no_trace_in_the_log(ten_steps, tmp_path, damage):
    shutil.copytree(ten_steps, tmp_path / "run")
    log = (ten_steps / "log.csv").read_bytes()
    (tmp_path / "run" / "log.csv").write_bytes(damage(log))
    run = make_run(tmp_path / "run")
    run.resume(10)
    assert run.log.path.read_bytes() == log


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_log_that_lacks_a_step_of_the_checkpoint_is_refused_by_name(ten_steps, tmp_path, damage):
    shutil.copytree(ten_steps, tmp_path / "run")
    path = tmp_path / "run" / "log.csv"
    damaged = damage and damage(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    run = make_run(tmp_path / "run")
    before = run.gan.G.theta.copy()
    with pytest.raises((ValueError, FileNotFoundError), match=str(path)):
        run.resume(10)
    assert (run.gan.G.theta == before).all() and (damaged is None or path.read_bytes() == damaged)


def test_the_log_is_on_the_disk_before_the_checkpoint(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    run.start()
    run.train_step()
    events, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: events.append(os.fstat(file)) or sync(file))
    monkeypatch.setattr(os, "replace", lambda old, new: events.append(new) or replace(old, new))
    run.save()
    assert os.path.samestat(events[0], os.stat(run.log.path)) and events[0].st_size == run.log.size
    assert events[-1] == tmp_path / "checkpoint.npz"


@pytest.mark.parametrize("name, value", [
    ("step", np.array("3")), ("step", np.array(-1)), ("step", np.array([1, 2])), ("step", np.array(2.5)),
    ("data", np.array(7)), ("data", np.array(["x", "y"])), ("data", np.zeros(0, int)), ("log", np.array([1])),
    ("noise.rng", np.zeros(3)), ("noise.rng", np.frombuffer(b'{"bit_generator": "PCG64"}', "uint8"))])
def test_a_checkpoint_that_no_run_has_written_is_refused(ten_steps, tmp_path, name, value):
    shutil.copytree(ten_steps, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.npz"
    content = checkpoint.load(path)
    np.savez(path, **content | {"extra": np.array("null"), name: value})
    with pytest.raises(checkpoint.CheckpointError, match=f"^{path}: "):
        make_run(tmp_path / "run").resume(10)


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write into the folder"):
        make_run(tmp_path / "file" / "run").start()


def test_resume_without_a_checkpoint_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        make_run(tmp_path).resume(30)


def test_resume_in_a_folder_that_is_not_there_says_so(tmp_path):
    run = make_run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere/checkpoint.npz: there is no such checkpoint"):
        run.resume(10)
    assert run.step == 0 and not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("x, batch_size", [(X[:0], 16), (X, 1)])
def test_no_data_or_no_batch_is_refused(tmp_path, x, batch_size):
    with pytest.raises(ValueError, match="at least"):
        training.Run(make_run(tmp_path).gan, x, tmp_path, batch_size=batch_size)


def test_foreign_samples_cost_nothing_but_their_place_in_the_film(whole, capsys):
    run, samples = make_run(whole), whole / "samples"
    run.resume(40)
    Image.new("L", (10, 10)).save(samples / "step_000002.png")
    Image.open(samples / "step_000010.png").save(samples / "step_000003.png", "BMP")
    (samples / "step_000004.png").write_bytes(b"")
    (samples / "step_000005.png").write_bytes((samples / "step_000010.png").read_bytes()[:300])
    (samples / "step_000006.png").mkdir()
    for step, mode in ((7, "RGBA"), (8, "I;16"), (9, "P")):            # of the right size
        Image.new(mode, Image.open(samples / "step_000010.png").size).save(samples / f"step_{step:06d}.png")
    for name in ("step_10.png", "step_٣.png", "step_0000010.png"):     # no names that a run gives
        (samples / name).write_bytes((samples / "step_000010.png").read_bytes())
    (samples / "step_000040.png").mkdir()              # where the run will want to write
    assert run.train(40, sample_every=10)
    with Image.open(whole / "training.gif") as film:
        assert film.n_frames == 4                      # steps 1, 10, 20 and 30
    said = capsys.readouterr().err
    left_out = [line for line in said.splitlines() if line.startswith("minigan: left out of training.gif: ")]
    assert [re.search(r"step_0*(\d+)\.png", line)[1] for line in left_out] == [*"23456789", "40"]
    assert "minigan: no picture of step 40: " in said


def test_ctrl_c_saves_and_can_be_resumed(whole, tmp_path):
    run = make_run(tmp_path / "run")
    run.start()
    original = run.train_step

    def step_and_interrupt():
        row = original()
        if row[0] == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return row

    run.train_step, before = step_and_interrupt, signal.getsignal(signal.SIGINT)
    assert run.train(30) is False
    assert signal.getsignal(signal.SIGINT) is before
    second = make_run(tmp_path / "run")
    second.resume(30)
    assert 9 <= second.step < 30
    second.train(30)
    assert_same_run(whole, tmp_path / "run")


def test_a_run_in_another_thread_needs_no_signals(tmp_path):
    run = make_run(tmp_path / "run")
    run.start()
    thread = threading.Thread(target=run.train, args=(3,))
    thread.start()
    thread.join()
    assert run.step == 3


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_layer(tmp_path):
    run = make_run(tmp_path / "run")
    run.start()
    run.train(1)
    run.gan.optimizer_D.lr = 1e30
    with pytest.raises(FloatingPointError, match=r'step \d+: .* "[GD]\.\d"'):
        run.train(50)
    saved = checkpoint.load(tmp_path / "run" / "checkpoint.npz")
    assert saved["step"] == 1                          # nothing that was written is lost
    steps = [int(row[0]) for row in Log(tmp_path / "run" / "log.csv").read(50)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) < 50


def test_a_network_that_is_not_in_training_any_more_is_not_to_blame(tmp_path):
    """D has stopped at step 2. A search that trained it on what G has become would find it broken, too."""
    def schedule(step):
        steps.append(step)
        run.gan.optimizer_G.lr = 1e38 if step >= 3 else 1e-3
    steps = []
    run = make_run(tmp_path / "run", critic_steps=2, generator_from=2, schedule=schedule)
    run.start()
    with pytest.raises(FloatingPointError, match=r'step \d+: .* "G\.\d"'):
        run.train(50)
    failed = steps.index(0, 1)                         # from there on the search: the same steps again, the last one too
    assert steps[failed:] == steps[:failed] == list(range(failed))
    assert np.isfinite(run.gan.D.theta).all()


def conditional_run(out, labels):
    G, D = mg.models.build("mlp_gan", mg.host_rng(0), (8, 8, 1), classes=10)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam(), classes=10)
    return training.Run(gan, X[:10], out, labels=labels, batch_size=4)


def test_other_labels_are_other_data(tmp_path):
    run = conditional_run(tmp_path, list(range(10)))
    run.start()
    conditional_run(tmp_path, np.arange(10)).resume(1)
    with pytest.raises(ValueError, match="trained on other data: 10 samples, here as many"):
        conditional_run(tmp_path, 9 - np.arange(10)).resume(1)


@pytest.mark.parametrize("labels", [np.arange(-1, 9), np.arange(1, 11), np.arange(10) / 2])
def test_labels_that_are_no_class_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match="labels must be an array of whole numbers from 0 to 9, .*got"):
        conditional_run(tmp_path, labels)


def test_the_first_bad_layer_is_found(tmp_path):
    gan = make_run(tmp_path).gan
    real, z = mg.asarray(X[:4]), gan.noise(4, mg.rng(0))
    assert first_bad_layer(gan, real, z) is None
    assert first_bad_layer(gan, np.full_like(real, np.inf), z) == "a real sample is not finite"
    gan.G[3].b[0] = np.inf
    assert first_bad_layer(gan, real, z) == 'Dense "G.3" has a b that is not finite'
    gan.D[1].W[3, 2] = np.nan
    assert first_bad_layer(gan, real, z) == 'Dense "D.1" has a W that is not finite'


def test_training_runs_on_every_backend(backend, tmp_path):
    x = X[:64]
    run = make_run(tmp_path / "run", x=x)
    run.start()
    run.train(3)
    again = make_run(tmp_path / "run", x=x)
    again.resume(30)
    again.train(5)
    assert again.step == 5


def test_points_are_drawn_as_points(tmp_path):
    x, _ = mg.datasets.ring(100, mg.host_rng(0))
    G, D = mg.models.toy_mlp(mg.host_rng(0), width=8)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    run = training.Run(gan, x, tmp_path / "run", batch_size=8)
    run.start()
    run.train(2, sample_every=1)
    assert (tmp_path / "run" / "samples.png").stat().st_size > 1000


def small_run(out, shape, **options):
    """Ten samples of this shape, and networks for them."""
    size = int(np.prod(shape))
    G = mg.Sequential(mg.layers.Dense(2, size), mg.layers.Tanh(), mg.layers.Reshape(*shape))
    D = mg.Sequential(mg.layers.Flatten(), mg.layers.Dense(size, 1))
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    x = mg.host_rng(0).uniform(-1, 1, (10, *shape)).astype("float32")
    return training.Run(gan, x, out / "run", doctor=mg.training.doctor.Doctor(), doctor_every=1, **options)


@pytest.mark.parametrize("shape, pictures", [((1,), 0), ((2,), 2), ((3,), 0), ((5, 2), 0), ((4, 4, 1), 2), ((4, 4, 2), 0),
                                             ((4, 4, 3), 2), ((4, 4, 4), 0), ((2, 2, 2, 1), 0)], ids=str)
def test_samples_of_any_shape_are_trained_and_drawn_where_there_is_a_picture(tmp_path, shape, pictures):
    run = small_run(tmp_path, shape, batch_size=25)    # larger than the data, too
    run.start()
    assert run.train(2, sample_every=1)
    found = [path.name for path in run.out.glob("*.*")]
    assert {"config.json", "checkpoint.npz", "log.csv", "curves.png"} <= {*found}
    assert len([*run.out.glob("samples/*.png")]) == pictures
    assert ("samples.png" in found) == ("training.gif" in found) == (pictures > 0)


def test_data_that_are_all_zero_are_drawn(tmp_path):
    """The frame of the picture has a width all the same."""
    run = small_run(tmp_path, (2,))
    run.x[...] = 0
    run.start()
    assert run.train(1)


@pytest.mark.parametrize("packing, batch_size", [(3, 192), (3, 3), (150, 150)])
def test_a_packed_D_is_trained_and_looked_at(tmp_path, packing, batch_size):
    """The doctor looks at up to 128 samples, but tears no pack."""
    G, D = mg.models.build("toy_mlp", mg.host_rng(0), (2,), packing=packing)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    x = mg.datasets.ring(200, mg.host_rng(0))[0]
    run = training.Run(gan, x, tmp_path / "run", batch_size=batch_size, doctor=mg.training.doctor.Doctor(), doctor_every=1)
    run.start()
    assert run.train(2)
    with pytest.raises(ValueError, match=f"D judges {packing} samples at once, which does not divide"):
        training.Run(gan, x, tmp_path / "other", batch_size=batch_size + 1)


def test_a_conditional_packed_D_with_a_penalty_is_trained(tmp_path):
    G, D = mg.models.build("mlp_gan", mg.host_rng(0), (8, 8, 1), classes=10, packing=2)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam(), classes=10,
                 penalty=mg.penalties.WGANGP(mg.rng(0)))
    run = training.Run(gan, X[:10], tmp_path / "run", labels=list(range(10)), batch_size=4,
                       doctor=mg.training.Doctor(5), doctor_every=1)
    run.start()
    assert run.train(1)


def test_a_run_that_is_stopped_before_its_first_step_ends_well(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def at_once():
        yield lambda: True
    monkeypatch.setattr(run_module, "stop_signal", at_once)
    run = make_run(tmp_path / "run")
    run.start()
    assert run.train(5) is False
    again = make_run(tmp_path / "run")
    again.resume(5)
    assert again.step == 0
