"""What a newcomer meets: typical mistakes with their remedies, own data in any form, what a run says and leaves."""
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import minigan as mg
from minigan import training
from minigan.arguments import ending
from minigan.cli import recipe
from minigan.cli.data import load_data, parse_size
from minigan.layers import Conv2D, Crop, Dense, Flatten, ReLU, Reshape, Sequential, Sigmoid, Tanh
from minigan.training import album, events
from minigan.training.symptoms import measure

X = mg.host_rng(0).uniform(-1, 1, (20, 8, 8, 1)).astype("float32")


def a_gan(loss=None, last=(), **options):
    G, D = mg.models.dcgan(mg.host_rng(0), 4, (8, 8, 1), width=2)
    D = Sequential(D, *last) if last else D
    return mg.GAN(G, D, loss or mg.losses.NonSaturating(), mg.optimizers.Adam(), mg.optimizers.Adam(), **options)


def step(x, gan=None, labels=None):
    gan = gan or a_gan()
    return gan.train_step(x, gan.noise(len(x), 0), labels)


# --- typical mistakes ---

@pytest.mark.parametrize("words, mistake", [
    ("between 0 and 255, but G ends in Tanh, which spans -1 to 1: .*x.astype.*/ 127.5 - 1.*datasets.pixels",
     lambda: step(np.float32(255) * (X > 0))),
    ("between -300 and 300, but G ends in Tanh", lambda: step(np.float32(300) * np.sign(X))),
    (r"real samples are \(8, 8, 1\) uint8, .* / 127.5 - 1", lambda: step((X > 0).astype("uint8"))),
    (r"real samples are \(8, 8\) uint8, .*minigan.datasets.pixels\(x\)", lambda: step((X[..., 0] > 0).astype("uint8"))),
    (r"real samples are \(1, 8, 8\) float64, .*minigan.datasets.pixels\(x\)",
     lambda: step(X.transpose(0, 3, 1, 2).astype("float64"))),
    (r"x\[..., None\] adds an axis", lambda: step(X[..., 0])),
    (r"x.transpose\(0, 2, 3, 1\)", lambda: step(X.transpose(0, 3, 1, 2))),
    ("sample 3 of the real batch is not finite", lambda: step(np.where(np.arange(20)[:, None, None, None] == 3, np.nan, X))),
    ("D ends in Sigmoid, but NonSaturating takes logits, .*leave that last layer out", lambda: a_gan(last=[Sigmoid()])),
    ("D ends in Tanh, but LeastSquares takes logits", lambda: a_gan(mg.losses.LeastSquares(), [Tanh()])),
    ("labels must be .* from 0 to 2", lambda: step(X[:3, ...], a_labelled_gan(), np.array([0, 1, 3]))),
    ("got labels, but there are no classes", lambda: step(X, labels=np.zeros(20, int))),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_typical_mistake_is_named_with_its_remedy(words, mistake):
    with pytest.raises(ValueError, match=words) as caught:
        mistake()
    assert "\n" not in str(caught.value)


def a_labelled_gan():
    G, D = mg.models.build("dcgan", mg.host_rng(0), (8, 8, 1), 3, width=2)
    return mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam(), classes=3)


@pytest.mark.parametrize("words, make", [
    ("loss must be an object such as minigan.losses.NonSaturating",
     lambda: a_gan(SimpleNamespace(discriminator=1, generator=2))),
    ("D must be a network, minigan.Sequential",
     lambda: mg.GAN(a_gan().G, Dense(64, 1), mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam()))])
def test_what_is_no_part_of_a_game_is_named(words, make):
    with pytest.raises(TypeError, match=words):
        make()


def test_data_in_a_doubtful_range_are_named_once_and_trained_on(capsys):
    gan = a_gan()
    for _ in range(2):
        step((X + 1) / 2, gan)
    said = capsys.readouterr().err
    assert said.count("half of what G can say never occurs") == 1 and "2 * x - 1" in said
    step(X)
    assert capsys.readouterr().err == ""
    step(np.float32(3) * np.sign(X))
    assert "lie between -3 and 3, but G ends in Tanh, which spans -1 to 1: D can tell fakes by" in capsys.readouterr().err


def test_a_loss_of_ones_own_may_want_probabilities():
    class Own(mg.losses.NonSaturating):
        pass
    Own.__module__ = "mine"
    step(X, a_gan(Own(), [Sigmoid()]))


def test_the_first_batch_is_looked_at_once(standin):
    """Later steps wait for no number of the device."""
    gan, x = a_gan(), mg.asarray(X)
    step(x, gan)
    z = gan.noise(20, 1)
    with standin.no_sync():
        gan.train_step(x, z)


def test_the_last_layer_that_changes_numbers():
    assert ending(Sequential(Dense(1, 4), Tanh(), Reshape(2, 2, 1), Crop(1, 1), Flatten())) == "Tanh"
    assert ending(Sequential(Dense(1, 4), Sequential(ReLU()))) == "ReLU" and ending(Sequential(Flatten())) is None


def test_noise_from_a_seed():
    gan = a_gan()
    np.testing.assert_array_equal(gan.noise(5, 3), gan.noise(5, mg.rng(3)))
    np.testing.assert_array_equal(gan.noise(5, [3, 1]), gan.noise(5, mg.rng([3, 1])))
    assert gan.sample(5, seed=3).shape == (5, 8, 8, 1)


# --- what a run says and leaves ---

def a_run(out, gan=None, **options):
    return training.Run(gan or a_gan(), X, out, batch_size=4, **options)


def test_a_run_says_what_it_will_cost(tmp_path, capsys):
    run = a_run(tmp_path)
    run.start()
    run.train(8, sample_every=4, save_every=6)
    said = capsys.readouterr().err
    assert re.search(r"about [\d.]+ m?s a step: [\d.]+ m?s for the 2 steps to come; samples every .*, a checkpoint", said)


@pytest.mark.parametrize("seconds, words", [
    (0.0004, "0.4 ms"), (0.0451, "45 ms"), (0.32, "320 ms"), (2.21, "2.2 s"), (59.4, "59 s"), (84, "1.4 min"),
    (6 * 3600, "6 h"), (100_000, "28 h"), (300_000, "3.5 days"), (1e9, "11574 days")])
def test_durations_in_words(seconds, words):
    assert events.duration(seconds) == words


def test_a_checkpoint_is_written_after_some_minutes_too(tmp_path, monkeypatch):
    """And a run that was saved more often ends with the same bytes."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(events.time, "monotonic", lambda: clock.now)
    saved, save = [], training.Run.save

    def recording(run):
        saved.append(run.step)
        save(run)

    def slow_step(run, step=training.Run.train_step):
        clock.now += 40
        return step(run)

    monkeypatch.setattr(training.Run, "save", recording)
    monkeypatch.setattr(training.Run, "train_step", slow_step)
    for name, minutes in (("often", 1), ("never", 1e6)):
        saved.clear()
        run = a_run(tmp_path / name)
        run.start()
        run.train(7, save_minutes=minutes)
        assert saved == ([0, 2, 4, 6, 7] if name == "often" else [0, 7])
    for name in ("log.csv", "samples.png"):
        assert (tmp_path / "often" / name).read_bytes() == (tmp_path / "never" / name).read_bytes()
    often, never = (training.checkpoint.load(tmp_path / name / "checkpoint.npz") for name in ("often", "never"))
    assert all(np.array_equal(often[name], never[name]) for name in often) and often.keys() == never.keys()


def test_the_first_pictures_are_shown_after_ten_seconds(tmp_path, monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(events.time, "monotonic", lambda: clock.now)
    there = {}

    def slow_step(run, step=training.Run.train_step):
        clock.now += 1
        there[run.step] = (tmp_path / "run" / "training.gif").exists() and (tmp_path / "run" / "samples.png").exists()
        return step(run)

    monkeypatch.setattr(training.Run, "train_step", slow_step)
    run = a_run(tmp_path / "run")
    run.start()
    run.train(20, sample_every=3)
    assert [step for step in there if there[step]] == [*range(12, 20)]
    assert capsys.readouterr().err.count("the first pictures are there") == 1


def test_the_doctor_comes_by_default_and_looks_at_the_first_step(tmp_path):
    run = a_run(tmp_path / "a", doctor_every=5)
    run.start()
    run.train(6)
    assert len(run.doctor.history) == 2                # steps 1 and 5
    assert a_run(tmp_path / "b", doctor=None).doctor is None and a_run(tmp_path / "c", doctor=False).doctor is None


def test_the_doctor_is_as_before_if_data_lie_in_half_the_range(tmp_path, capsys):
    run = training.Run(a_gan(), (X + 1) / 2, tmp_path / "run", batch_size=4)
    run.start()
    run.train(1)
    assert "step 1: The data lie between" in capsys.readouterr().err


def test_a_first_step_that_fails_blocks_no_second_try(tmp_path):
    class Broken(mg.losses.NonSaturating):
        def discriminator(self, logits_real, logits_fake):
            raise ZeroDivisionError

    run = a_run(tmp_path / "run", a_gan(Broken()), config={"try": 1})
    run.start()
    with pytest.raises(ZeroDivisionError):
        run.train(3)
    again = a_run(tmp_path / "run", config={"try": 2})
    again.start()
    assert again.train(3)
    with pytest.raises(RuntimeError, match="another run has gone on"):
        run.train(3)
    with pytest.raises(FileExistsError, match="holds a run already"):
        a_run(tmp_path / "run").start()


def test_two_runs_that_start_in_one_folder_do_not_mix(tmp_path):
    first, second = (a_run(tmp_path, config={"number": i}) for i in range(2))
    first.start()
    second.start()                                     # nothing was trained yet
    with pytest.raises(RuntimeError, match="another run has gone on"):
        first.train(1)
    assert second.train(1)


def test_wrong_data_are_refused_before_there_is_a_folder(tmp_path):
    with pytest.raises(ValueError, match="between -200 and 200, but G ends in Tanh"):
        training.Run(a_gan(), 200 * np.sign(X), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_real_samples_as_D_sees_them(tmp_path):
    noise = mg.layers.InstanceNoise(0.5, mg.rng(0))
    run = a_run(tmp_path / "noisy", a_gan(preprocess_D=noise))
    run.start()
    before = mg.backend.rng_state(noise.rng).tobytes()
    album.draw_real(run)
    assert mg.backend.rng_state(noise.rng).tobytes() == before         # drawn by a copy
    noisy = mg.plots.read_picture(tmp_path / "noisy" / "real.png")
    run = a_run(tmp_path / "plain")
    run.start()
    run.train(1)
    plain = mg.plots.read_picture(tmp_path / "plain" / "real.png")
    mg.plots.save_grid(tmp_path / "x.png", run.x[run.batches[0]])
    np.testing.assert_array_equal(plain, mg.plots.read_picture(tmp_path / "x.png"))
    assert noisy.shape == plain.shape and (noisy != plain).mean() > 0.3


def test_samples_stand_below_a_marked_row_of_real_ones():
    real, fake = X[:3], X[3:9]
    sheet = album.beside_real(real, fake, ["cat", "dog", "owl"])
    plain = album.beside_real(real, fake)
    assert len(sheet) == len(plain) + 20
    np.testing.assert_array_equal(sheet[20:], plain)
    scale = round(500 / mg.plots.grid(real, 3).shape[1])
    grids = [mg.plots.enlarge(mg.plots.grid(x, 3), scale) for x in (real, fake)]
    np.testing.assert_array_equal(plain[6:6 + len(grids[0]), 50:], grids[0].repeat(3, axis=2))
    np.testing.assert_array_equal(plain[-len(grids[1]):, 50:], grids[1].repeat(3, axis=2))
    assert (plain[:6, 50:] == [8, 81, 156]).all()


def test_the_real_row_has_one_of_each_class(tmp_path):
    labels = np.array([2, 2, 0, 1, 2] * 4)
    run = training.Run(a_labelled_gan(), X, tmp_path, labels=labels, batch_size=4)
    assert album.real_row(run, 3).tolist() == [2, 3, 0] and run.names == ["0", "1", "2"]
    assert album.real_row(run, 6).tolist() == [2, 3, 0, 7, 8, 1]


# --- own data ---

def pictures(folder, size, count, mode="RGB", kind="png", seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        shape = (*size, 3) if mode == "RGB" else size
        Image.fromarray(mg.host_rng([seed, i]).integers(256, size=shape).astype("uint8")).save(folder / f"{i}.{kind}")


@pytest.mark.parametrize("size, mode, options, shape", [
    ((80, 100), "RGB", {}, (64, 64, 3)), ((32, 32), "RGB", {}, (32, 32, 3)), ((24, 40), "L", {}, (24, 40, 1)),
    ((32, 32), "RGB", {"size": "40x56"}, (40, 56, 3)), ((32, 32), "RGB", {"channels": 1}, (32, 32, 1)),
    ((32, 32), "L", {"channels": 3, "size": "16"}, (16, 16, 3)), ((80, 100), "RGB", {"fit": "pad"}, (64, 64, 3))])
def test_a_folder_of_pictures_as_they_are_or_as_asked(tmp_path, size, mode, options, shape):
    pictures(tmp_path / "a", size, 4, mode)
    x, labels, names = load_data(recipe.complete({"data": str(tmp_path / "a")} | options))
    assert x.shape == (4, *shape) and labels is None and names == []
    if options.get("fit") == "pad":                    # 51 of 64 rows, white above and below
        assert (x[:, :6] == 1).all() and (x[:, -6:] == 1).all() and x[:, 7:-7].std() > 0.2


def test_class_folders_keep_their_names(tmp_path):
    for name, count in (("cats", 3), ("dogs", 2)):
        pictures(tmp_path / "pets" / name, (16, 16), count)
    x, labels, names = load_data(recipe.complete({"data": str(tmp_path / "pets")}))
    assert x.shape == (5, 16, 16, 3) and labels.tolist() == [0, 0, 0, 1, 1] and names == ["cats", "dogs"]


def test_empty_class_folders_have_no_column(tmp_path):
    for name in ("a", "b", "c"):
        pictures(tmp_path / name, (16, 16), 2 if name != "c" else 0)
    x, labels, names = load_data(recipe.complete({"data": str(tmp_path)}))
    assert labels.tolist() == [0, 0, 1, 1] and names == ["a", "b"]


def test_stacked_digits_keep_their_three_colours():
    with pytest.raises(ValueError, match="--channels 1: the modes of stacked_digits are its three colours"):
        load_data(recipe.complete({"data": "stacked_digits", "channels": 1}))


def test_the_natural_size_of_pictures(tmp_path):
    pictures(tmp_path / "a", (20, 30), 2)
    assert mg.datasets.natural_size(tmp_path / "a") == (20, 30) and mg.datasets.natural_size(tmp_path / "a", 25) == (25, 25)
    pictures(tmp_path / "a" / "..", (20, 31), 1)       # beside it
    pictures(tmp_path / "b", (20, 30), 2)
    pictures(tmp_path / "b", (21, 30), 1)
    assert mg.datasets.natural_size(tmp_path / "b") == (64, 64)


@pytest.mark.parametrize("text, size", [("", None), ("32", (32, 32)), ("40x56", (40, 56)), ("1x2", (1, 2))])
def test_sizes_on_the_command_line(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "x", "40x", "40x56x3", "-4", "4.5", "40X56", "0x4"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="--size must be a number of pixels or height x width, 32 or 40x56"):
        parse_size(text)


def test_a_model_of_one_size_refuses_another():
    with pytest.raises(ValueError, match="dcgan_28 is for 28 x 28 pixels; dcgan takes any size"):
        load_data(recipe.complete({"model": "dcgan_28", "size": "32"}))
    assert load_data(recipe.complete({"model": "dcgan_28", "data": "digits"}))[0].shape == (1797, 28, 28, 1)


@pytest.mark.parametrize("shape, depth", [
    ((28, 28, 1), 3), ((32, 32, 3), 3), ((48, 48, 3), 3), ((40, 56, 3), 3), ((64, 64, 3), 4), ((30, 30, 1), 3), ((8, 8, 1), 1),
    ((37, 101, 3), 3), ((12, 12, 1), 1), ((96, 96, 1), 4), ((97, 97, 1), 5), ((15, 9, 2), 1)], ids=str)
def test_the_depth_of_a_dcgan_follows_from_the_size(shape, depth):
    G, D = mg.models.dcgan(mg.host_rng(0), 5, shape, width=2)
    y = G(np.zeros((2, 5), "float32"))
    assert y.shape == (2, *shape) and D(y).shape == (2, 1)
    kernels = [layer for layer in D if isinstance(layer, Conv2D)]
    assert len(kernels) == depth and [layer.F for layer in kernels] == [2 * min(2 ** i, 8) for i in range(depth)]


def test_a_D_that_ends_in_a_sigmoid_gets_the_right_cure():
    """A loss of a reader's, which has the form of Minimax but hides the sigmoid in D, is flat where D is sure."""
    class Own(mg.losses.Minimax):
        pass
    Own.__module__ = "mine"
    gan = a_gan(Own(), [Sigmoid()])
    look = measure(gan, X, gan.noise(20, 0))
    recent = [look | {"accuracy_real": 1.0, "accuracy_fake": 1.0, "push": 0.0, "loss_G": 1.0}] * 3
    advice = training.doctor.diagnose(recent[-1], recent[:-1])["D has won"]
    assert "D ends in a sigmoid or a tanh" in advice and "--loss nonsaturating" not in advice
