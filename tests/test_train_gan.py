"""The two programs as their users run them: what they leave, how they go on, what they say to a mistake."""
import errno
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan import files, plots, training
from minigan.cli.sample import walk
from minigan.engine import plain, workers
from minigan.training import checkpoint

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = ("samples.png", "curves.png", "training.gif", "log.csv", "config.json", "checkpoint.npz")


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train_gan, sample = load("train_gan"), load("sample")
SMALL = ["--data", "digits", "--steps", "4", "--batch-size", "8", "--sample-every", "2"]


def fails(capsys, main, *arguments):
    """The one line on standard error with which the program refuses."""
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as stopped:                      # argparse's way
        status = stopped.code
    error = capsys.readouterr().err
    assert status == 2 and error.count("\n") == 1 and "Traceback" not in error
    return error


@pytest.fixture
def pictures(tmp_path):
    """A folder with five colour pictures of different sizes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(5):
        plots.save_picture(folder / f"{i}.png", rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8))
    return folder


@pytest.mark.parametrize("data, model", [
    ("digits", "mlp_gan"), ("stacked_digits", "mlp_gan"), ("digits", "dcgan_28"), ("digits", "dcgan_64"), ("ring", None),
    ("grid", "toy_mlp"), ("pictures", "dcgan_64_stem"), ("pictures", None)])
def test_a_dry_run_of_every_kind(tmp_path, capsys, request, data, model):
    source = request.getfixturevalue("pictures") if data == "pictures" else data
    arguments = ["--data", str(source), "--dry-run", "--out", str(tmp_path / "run"), "--batch-size", "2"]
    assert train_gan.main(arguments + (["--model", model] if model else [])) == 0
    for name in FILES:
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert checkpoint.load(tmp_path / "run" / "checkpoint.npz")["step"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("loss", mg.losses.LOSSES)
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_every_loss_and_both_orders(tmp_path, loss, update):
    assert train_gan.main([*SMALL, "--loss", loss, "--update", update, "--out", str(tmp_path / "run")]) == 0


def test_the_report_names_the_classes(tmp_path, capsys):
    train_gan.main([*SMALL, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().out
    assert re.search(r"^sure +\S+% +96\.\d%   images that", said, re.MULTILINE)
    assert re.search(r"^classes +\d+ +10   classes that it finds$", said, re.MULTILINE)


OPTIONS = {
    "WGAN-GP, conditional, packed, averaged": "--loss wasserstein --penalty wgan-gp --n-critic 2 --conditional --packing 2 "
                                              "--ema 0.9",
    "R1, spectral norm, fading noise": "--penalty r1 --spectral-norm --instance-noise linear:0.2:0:5 "
                                       "--lr-schedule cosine:1:0:9",
    "augmented": "--augment flip,rotate,shift,brightness,cutout --augment-real shift --label-smoothing 0.1",
    "clipped and decayed": "--clip-norm 1 --clip-value 0.1 --l1 1e-5 --l2 1e-4 --weight-decay 0.01 --weight-clip 0.5",
    "G alone at the end": "--generator-from 3",
    "a dcgan with all of it": "--model dcgan_28 --penalty r1 --conditional --packing 2 --ema 0.9 --instance-noise 0.1 "
                              "--augment shift --spectral-norm"}


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_stopped_halfway_and_resumed_gives_the_same_bytes(tmp_path, options):
    small = [*SMALL, "--save-every", "2", "--doctor-every", "2", *options.split()]
    assert train_gan.main([*small, "--out", str(tmp_path / "whole"), "--steps", "6"]) == 0
    assert train_gan.main([*small, "--out", str(tmp_path / "parts")]) == 0
    assert train_gan.main(["--resume", "--out", str(tmp_path / "parts"), "--steps", "6"]) == 0
    whole, parts = (checkpoint.load(tmp_path / name / "checkpoint.npz") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name in whole.keys() - {"extra"}:
        np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)
    assert (tmp_path / "whole" / "log.csv").read_text() == (tmp_path / "parts" / "log.csv").read_text()
    assert (tmp_path / "whole" / "samples.png").read_bytes() == (tmp_path / "parts" / "samples.png").read_bytes()


def thetas(folder):
    content = checkpoint.load(folder / "checkpoint.npz")
    return content["G.theta"].tobytes(), content["D.theta"].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("off", ["--instance-noise 0", "--ema 0", "--n-critic 1", "--packing 1", "--penalty none",
                                 "--lr-schedule 1", "--label-smoothing 0", "--augment ''", "--clip-norm 0", "--l2 0",
                                 "--doctor-every 0"])
def test_an_option_at_its_off_value_changes_no_bit(tmp_path, off):
    name, value = off.split()
    train_gan.main([*SMALL, "--out", str(tmp_path / "plain")])
    train_gan.main([*SMALL, "--out", str(tmp_path / "off"), name, value.strip("'")])
    assert thetas(tmp_path / "plain") == thetas(tmp_path / "off")


def test_from_the_step_asked_for_G_alone_is_trained(tmp_path):
    for steps in ("3", "5"):
        train_gan.main([*SMALL, "--generator-from", "3", "--out", str(tmp_path / steps), "--steps", steps])
    (G3, D3), (G5, D5) = thetas(tmp_path / "3"), thetas(tmp_path / "5")
    assert D3 == D5 and G3 != G5


@pytest.mark.slow
def test_a_run_can_begin_with_the_networks_of_another(tmp_path):
    train_gan.main([*SMALL, "--out", str(tmp_path / "first")])
    train_gan.main([*SMALL, "--lr", "0", "--out", str(tmp_path / "second"),
                    "--init-from", str(tmp_path / "first" / "checkpoint.npz")])
    assert thetas(tmp_path / "first") == thetas(tmp_path / "second")
    (tmp_path / "first" / "checkpoint.npz").unlink()                   # to go on, only its own checkpoint is needed
    assert train_gan.main(["--resume", "--out", str(tmp_path / "second"), "--steps", "5"]) == 0


def test_samples_of_a_conditional_run_with_an_average(tmp_path):
    train_gan.main([*SMALL, "--conditional", "--ema", "0.9", "--packing", "2", "--out", str(tmp_path)])
    assert sample.main([str(tmp_path / "checkpoint.npz"), "--count", "20"]) == 0
    assert (tmp_path / "new_samples.png").stat().st_size > 0 and (tmp_path / "interpolation.png").stat().st_size > 0


def test_many_seeds_make_a_table_and_a_plot(tmp_path, capsys):
    assert train_gan.main([*SMALL, "--data", "ring", "--seeds", "3", "--seed", "5", "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out.split("3 seeds")[1]
    assert [line.split()[0] for line in table.splitlines()[1:3]] == ["high", "modes"]
    assert (tmp_path / "seeds.png").stat().st_size > 0
    assert [json.loads((tmp_path / f"seed_{i}" / "config.json").read_text())["seed"] for i in (5, 6, 7)] == [5, 6, 7]


@pytest.mark.slow
def test_many_seeds_go_on_where_they_are(tmp_path, capsys, monkeypatch):
    command = [*SMALL, "--data", "ring", "--out", str(tmp_path / "seeds"), "--seeds"]
    steps, step = [], training.Run.train_step
    monkeypatch.setattr(training.Run, "train_step", lambda run: steps.append((run.seed, run.step)) or step(run))
    train_gan.main([*SMALL, "--data", "ring", "--steps", "3", "--seed", "1", "--out", str(tmp_path / "seeds" / "seed_1")])
    assert train_gan.main([*command, "2"]) == 0                        # seed 1 is there, up to step 3
    assert sorted(steps) == [(seed, t) for seed in (0, 1) for t in range(4)]           # each step once
    table = capsys.readouterr().out.split("2 seeds")[1]
    assert train_gan.main([*command, "2"]) == 0 and len(steps) == 8    # nothing is left to train
    assert capsys.readouterr().out.split("2 seeds")[1] == table
    assert train_gan.main([*command, "3"]) == 0 and len(steps) == 12   # a third one

    capsys.readouterr()
    for other in (["--lr", "0.5"], ["--batch-size", "9"]):
        assert f"not {other[1]}" in fails(capsys, train_gan.main, *command, "4", *other)
    single = tmp_path / "seeds" / "seed_0"
    assert "holds a single run" in fails(capsys, train_gan.main, *SMALL, "--data", "ring", "--seeds", "2", "--out", single)
    train_gan.main([*SMALL, "--data", "ring", "--lr", "0.5", "--out", str(tmp_path / "mixed" / "seed_0")])
    capsys.readouterr()
    assert "has --lr 0.5, not 0.001" in fails(capsys, train_gan.main, *SMALL, "--data", "ring", "--seeds", "2", "--out",
                                              tmp_path / "mixed")


def test_many_seeds_wait_after_ctrl_c(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(training.Run, "train", lambda run, *arguments: False)
    assert train_gan.main([*SMALL, "--data", "ring", "--seeds", "2", "--out", str(tmp_path)]) == 0
    assert "the other seeds are waiting" in capsys.readouterr().out and not (tmp_path / "seed_1").exists()


def test_a_dry_run_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert train_gan.main(["--data", "ring", "--dry-run", "--batch-size", "2"]) == 0
    assert "went well; what it wrote is gone again" in capsys.readouterr().out and not [*tmp_path.iterdir()]


@pytest.mark.parametrize("options, said", [
    ("--data ring --augment flip", "--augment is for images"), ("--penalty dragan", "no penalty 'dragan'"),
    ("--augment flop", "no augmentation 'flop'"), ("--label-smoothing 0.1 --loss hinge", "hinge has none"),
    ("--label-smoothing 0.6", "below 0.5"), ("--packing 3", "does not divide"), ("--packing 0", "at least 1"),
    ("--instance-noise linear:1", "linear:START:END:STEPS"), ("--ema 1", "--ema must be .* below 1"),
    ("--clip-norm -1", "--clip-norm must be at least 0"),
    ("--init-from nowhere.npz", "there is no such checkpoint"), ("--seeds 0", "at least 1"), ("--n-critic 0", "at least 1"),
    ("--penalty wgan-gp --penalty-weight -1", "at least 0"), ("--lr inf", "--lr must be a finite number"),
    ("--penalty r1 --penalty-weight nan", "--penalty-weight must be a finite number"), ("--lr-schedule :", "START:END:STEPS"),
    ("--penalty-weight 1", "needs a --penalty"), ("--lr-schedule linear:1:-1:2", "--lr-schedule .* negative"),
    ("--data ring --augment-real flip", "--augment-real is for images"), ("--seeds 2 --dry-run", "1 in a dry run")])
def test_options_that_make_no_sense(tmp_path, capsys, options, said):
    assert re.search(said, fails(capsys, train_gan.main, *SMALL, "--out", tmp_path / "run", *options.split()))


def test_runs_without_out_get_names_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert train_gan.main([*SMALL, "--seed", "3"]) == 0
    assert sorted(p.name for p in Path("runs").iterdir()) == ["digits-dcgan-leastsquares", "digits-dcgan-leastsquares-2"]


def test_resume_goes_on_to_more_steps(tmp_path):
    out = ["--out", str(tmp_path / "run")]
    train_gan.main([*SMALL, *out])
    assert train_gan.main(["--resume", *out, "--steps", "7"]) == 0
    train_gan.main([*SMALL, "--steps", "7", "--out", str(tmp_path / "whole")])
    a, b = (checkpoint.load(tmp_path / name / "checkpoint.npz") for name in ("run", "whole"))
    for name in a.keys() - {"extra"}:
        np.testing.assert_array_equal(a[name], b[name])
    assert (tmp_path / "run" / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["steps"] == 7


def test_a_folder_that_has_changed_is_noticed_on_resume(tmp_path, capsys, pictures):
    out = ["--out", tmp_path / "run"]
    train_gan.main([*map(str, [*SMALL, "--data", pictures, *out])])
    capsys.readouterr()
    again = ["--resume", *out, "--steps", "6"]
    plots.save_picture(pictures / "0.png", np.zeros((20, 30, 3), "uint8"))
    assert "trained on other data: 5 samples, here as many, but not the same" in fails(capsys, train_gan.main, *again)
    (pictures / "0.png").unlink()
    assert "trained on other data: 5 samples, here 4" in fails(capsys, train_gan.main, *again)


def test_a_killed_program_can_be_resumed(tmp_path):
    def command(*arguments):
        return [sys.executable, EXAMPLES / "train_gan.py", *map(str, arguments)]

    options = ["--steps", 120, "--batch-size", 16, "--save-every", 5, "--sample-every", 40]
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(*options, "--out", killed), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (killed / "checkpoint.npz").exists() or checkpoint.load(killed / "checkpoint.npz")["step"] < 10:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert subprocess.run(command("--resume", "--out", killed), capture_output=True).returncode == 0
    assert train_gan.main([*map(str, options), "--out", str(tmp_path / "whole")]) == 0
    a, b = (checkpoint.load(tmp_path / name / "checkpoint.npz") for name in ("killed", "whole"))
    for name in a.keys() - {"extra"}:
        np.testing.assert_array_equal(a[name], b[name])
    assert (killed / "log.csv").read_bytes() == (tmp_path / "whole" / "log.csv").read_bytes()


@pytest.mark.parametrize("arguments, words", [
    (["--steps", "x"], "invalid int value"),
    (["--steps", 0], "--steps must be at least 1, got 0"),
    (["--batch-size", 1], "--batch-size must be at least 2, got 1"),
    (["--lr", -1], "lr must be at least 0"),
    (["--model", "vae"], "invalid choice: 'vae'"),
    (["--loss", "mse"], "there is no loss 'mse'"),
    (["--data", "/no/such/folder"], "nor a folder of images"),
    (["--data", "ring", "--model", "dcgan_28"], "is for images (N, 28, 28, channels), not for samples of shape (2,)"),
    (["--model", "toy_mlp"], "is for points (N, 2), not for samples of shape (28, 28, 1)"),
    (["--device", "tpu"], "unknown device 'tpu'"),
    (["--resume"], "--resume needs --out"),
    (["--resume", "--out", "/no/such/run"], "holds no run"),
    (["--frobnicate"], "unrecognized arguments"),
])
def test_a_mistake_gets_one_line(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert words in fails(capsys, train_gan.main, *arguments)
    assert not list(tmp_path.iterdir())                # and leaves nothing behind


def test_a_folder_without_images(capsys, tmp_path):
    assert "got none" in fails(capsys, train_gan.main, "--data", tmp_path)


def test_an_option_that_would_change_the_run_is_refused_on_resume(capsys, tmp_path):
    out = ["--out", str(tmp_path / "run")]
    train_gan.main([*SMALL, *out])
    capsys.readouterr()
    before = (tmp_path / "run" / "checkpoint.npz").read_bytes()
    assert "has --lr 0.003, not 0.01" in fails(capsys, train_gan.main, "--resume", *out, "--lr", 0.01)
    assert "holds a run already" in fails(capsys, train_gan.main, *SMALL, *out)
    assert "has already 4 steps" in fails(capsys, train_gan.main, "--resume", *out, "--steps", 3)
    assert (tmp_path / "run" / "checkpoint.npz").read_bytes() == before


def test_a_damaged_checkpoint_is_refused_on_resume(capsys, tmp_path):
    out = ["--out", str(tmp_path / "run")]
    train_gan.main([*SMALL, *out])
    capsys.readouterr()
    path = tmp_path / "run" / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:1000])
    assert "not a whole minigan checkpoint" in fails(capsys, train_gan.main, "--resume", *out)


@pytest.mark.parametrize("data", ["digits", "grid"])
def test_sample_draws_from_a_saved_run(capsys, tmp_path, data):
    train_gan.main([*SMALL, "--data", data, "--out", str(tmp_path / "run")])
    assert sample.main([str(tmp_path / "run" / "checkpoint.npz"), "--out", str(tmp_path / "new"), "--count", "9"]) == 0
    for name in ("new_samples.png", "interpolation.png"):
        assert (tmp_path / "new" / name).stat().st_size > 500


def test_the_walk_keeps_the_length_of_the_noise():
    start, end = np.random.default_rng(0).standard_normal((2, 100))
    walked = walk(start, end, 7)
    np.testing.assert_allclose(walked[[0, -1]], [start, end])
    lengths = np.linalg.norm(walked, axis=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])


@pytest.mark.parametrize("kind, words", [("missing", "no such checkpoint"), ("damaged", "not a whole minigan checkpoint"),
                                         ("old", "does not say which networks it holds"),
                                         ("own layer", 'Mine "G.1" is not one of'),
                                         ("odd", "does not say which networks it holds"), ("no GAN", "holds no GAN"),
                                         ("not finite", "G are not finite")])
def test_sample_refuses_what_it_cannot_use(capsys, tmp_path, kind, words):
    path = tmp_path / "checkpoint.npz"
    G, D = mg.models.toy_mlp(mg.host_rng(0), width=8)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    if kind == "damaged":
        path.write_bytes(os.urandom(500))
    elif kind == "own layer":
        class Mine(mg.layers.Tanh):
            pass
        G, D = mg.Sequential(mg.layers.Dense(2, 2), Mine()), mg.Sequential(mg.layers.Dense(2, 1))
        checkpoint.save(path, mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam()))
    elif kind == "no GAN":
        game = mg.Translation(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
        checkpoint.save(path, game)
    elif kind == "not finite":
        G, D = mg.models.toy_mlp(mg.host_rng(0))
        G.theta[5] = np.nan
        checkpoint.save(path, mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam()),
                        {"model": "toy_mlp", "sample_shape": [2]})
    elif kind in ("odd", "old"):
        checkpoint.save(path, gan)
        with np.load(path) as file:
            arrays = dict(file)
        if kind == "old":
            del arrays["description"]
        else:
            arrays["description"] = np.array(str(arrays["description"]).replace('"Dense"', '"Dance"'))
        np.savez(path, **arrays)
    error = fails(capsys, sample.main, path)
    assert words in error and str(path) in error


def test_a_refused_resume_changes_nothing(capsys, tmp_path):
    train_gan.main([*SMALL, "--out", str(tmp_path / "run")])
    capsys.readouterr()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    assert "has already 4 steps" in fails(capsys, train_gan.main, "--resume", "--out", tmp_path / "run", "--steps", 2)
    assert "no --dry-run" in fails(capsys, train_gan.main, "--resume", "--out", tmp_path / "run", "--dry-run")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}


@pytest.mark.parametrize("steps, save_every", [(50, 1), (2, 1000)])
def test_parameters_that_are_not_finite_are_never_saved(capsys, tmp_path, steps, save_every):
    arguments = ["--lr", "1e30", "--steps", str(steps), "--save-every", str(save_every), "--out", str(tmp_path / "run")]
    status = train_gan.main(arguments)
    saved = checkpoint.load(tmp_path / "run" / "checkpoint.npz")
    assert np.isfinite(saved["G.theta"]).all() and np.isfinite(saved["D.theta"]).all()
    error = capsys.readouterr().err
    assert status == 1 and "is not finite" in error and "Warning" not in error


def test_a_resumed_run_keeps_to_the_definitions(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_PLAIN", "1")
    options = [*SMALL, "--out", str(tmp_path / "run")]
    train_gan.main(options)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["plain"] is True
    monkeypatch.setenv("MINIGAN_PLAIN", "0")
    assert train_gan.main(["--resume", "--steps", "6", "--out", str(tmp_path / "run")]) == 0 and plain()


def test_a_resumed_run_keeps_its_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("minigan.engine.threads._threads", None)
    options = ["--steps", "6", "--out", str(tmp_path / "run")]
    train_gan.main([*options, "--threads", "3"])
    assert json.loads((tmp_path / "run" / "config.json").read_text())["threads"] == 3
    monkeypatch.setattr("minigan.engine.threads._threads", None)
    assert train_gan.main(["--resume", "--out", str(tmp_path / "run"), "--steps", "8"]) == 0
    assert workers() == 3


def test_a_resumed_run_may_get_another_number_of_threads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minigan.engine.threads._threads", None)
    out = ["--out", str(tmp_path / "run")]
    train_gan.main([*SMALL, "--threads", "3", *out])
    assert train_gan.main(["--resume", "--threads", "2", "--steps", "6", *out]) == 0 and workers() == 2
    assert "cut its batches for 3 threads, and goes on with 2: the last bits" in capsys.readouterr().out
    assert "number of threads" in fails(capsys, train_gan.main, "--resume", "--threads", 0, "--steps", 8, *out)


@pytest.mark.parametrize("content", [b"[]", b"{}", b"no json", b'{"model": "vae"}', b"", b"\xff\xfe\x00", b"[" * 100_000,
                                     b'{"model": "toy_mlp", "data": "ring", "seed": 1' + b"0" * 5000])
def test_a_spoilt_config_is_refused(capsys, tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    assert "config.json" in fails(capsys, train_gan.main, "--resume", "--out", tmp_path)


def test_a_config_that_was_changed_by_hand_is_refused(capsys, tmp_path):
    train_gan.main([*SMALL, "--data", "ring", "--out", str(tmp_path)])
    capsys.readouterr()
    config = json.loads((tmp_path / "config.json").read_text())
    for name, value in {"seed": 5, "lr": 0.1, "loss": "hinge"}.items():
        (tmp_path / "config.json").write_text(json.dumps(config | {name: value}))
        assert f"its {name} is {value!r}, but {config[name]!r} in checkpoint.npz" in fails(
            capsys, train_gan.main, "--resume", "--out", tmp_path, "--steps", "5")
    (tmp_path / "config.json").write_text(json.dumps(config | {"steps": 3, "save_every": 7}))          # these may change
    assert train_gan.main(["--resume", "--out", str(tmp_path), "--steps", "5"]) == 0


@pytest.mark.parametrize("network", "GD")
def test_networks_that_are_not_finite_are_no_beginning(capsys, tmp_path, network):
    path = tmp_path / "run" / "checkpoint.npz"
    train_gan.main([*SMALL, "--data", "ring", "--out", str(path.parent)])
    capsys.readouterr()
    with np.load(path) as saved:
        content = dict(saved)
    content[f"{network}.theta"][3] = np.inf
    np.savez(path, **content)
    log = (path.parent / "log.csv").read_bytes()
    for arguments in (["--resume", "--out", path.parent], ["--data", "ring", "--init-from", path, "--out", tmp_path / "new"]):
        error = fails(capsys, train_gan.main, *arguments, "--steps", "5")
        assert f"{path}: the parameters of its " in error and "not finite" in error
    assert (path.parent / "log.csv").read_bytes() == log and not (tmp_path / "new").exists()


def test_a_run_that_cannot_go_on_says_which_file_is_in_its_way(capsys, tmp_path, monkeypatch):
    out = tmp_path / "run"
    train_gan.main([*SMALL, "--data", "ring", "--out", str(out)])
    capsys.readouterr()
    with files.alone_in(out):
        assert f"{out} is in use by another run" in fails(capsys, train_gan.main, "--resume", "--out", out)
    log = (out / "log.csv").read_bytes()
    for damaged in (log[:-9], log + os.urandom(300), log[:100]):
        (out / "log.csv").write_bytes(damaged)
        assert str(out / "log.csv") in fails(capsys, train_gan.main, "--resume", "--out", out)
    (out / "log.csv").write_bytes(log)

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, "fsync", full)
    assert f"{out / 'log.csv'}: No space left on device" in fails(capsys, train_gan.main, "--resume", "--out", out)
    monkeypatch.undo()
    (out / "config.json").unlink()
    said = fails(capsys, train_gan.main, *SMALL, "--data", "ring", "--seed", "5", "--out", out)
    assert f"{out} holds log.csv of a run whose config.json is missing" in said
    assert (out / "log.csv").read_bytes() == log       # nothing of it is lost


def test_another_spelling_of_an_option_is_no_change(tmp_path):
    train_gan.main([*SMALL, "--loss", "hinge", "--out", str(tmp_path / "run")])
    assert train_gan.main(["--resume", "--loss", "Hinge", "--out", str(tmp_path / "run"), "--steps", "5"]) == 0
