"""Checkpoints: a run goes on bit for bit, a wrong file is refused whole, and no crash leaves half a file."""
import errno
import io
import os
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan import files
from minigan.backend import to_numpy
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, InstanceNorm, LeakyReLU, ReLU, Sequential, Tanh
from minigan.losses import NonSaturating
from minigan.optimizers import SGD, Adam
from minigan.training import checkpoint
from minigan.training.checkpoint import CheckpointError


def make_gan(seed=0, dtype="float32", width=6, batch_norm=True, dropout=0.3, optimizer=Adam):
    """A small GAN with everything that a checkpoint has to remember."""
    w = {"rng": mg.host_rng(seed), "dtype": dtype}
    norm = [BatchNorm(width, momentum=0.8, dtype=dtype)] if batch_norm else []
    drop = [Dropout(dropout, rng=mg.rng(seed))] if dropout else []
    G = Sequential(Dense(3, width, **w), *norm, LeakyReLU(), Dense(width, 2, **w))
    D = Sequential(Dense(2, width, **w), LeakyReLU(), *drop, Dense(width, 1, **w))
    return mg.GAN(G, D, NonSaturating(), optimizer(0.01), SGD(0.01, momentum=0.9))


def train(gan, steps):
    """Some training steps on batches that only depend on the number of each step; returns the GAN."""
    for step in steps:
        rng = mg.host_rng(step)
        dtype = str(gan.G.theta.dtype)
        real, z = (mg.asarray(rng.standard_normal((8, size)).astype(dtype)) for size in (2, 3))
        gan.train_step(real, z)
    return gan


def everything(gan):
    return {name: to_numpy(value).tobytes() for name, value in checkpoint.game_arrays(gan).items()}


@pytest.fixture
def saved(tmp_path):
    """The path of a checkpoint of make_gan() after three steps."""
    checkpoint.save(tmp_path / "checkpoint.npz", train(make_gan(), range(3)), {"steps": 3})
    return tmp_path / "checkpoint.npz"


# --- there and back ---

@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_goes_on_bit_for_bit(backend, tmp_path, dtype):
    whole = train(make_gan(dtype=dtype), range(3))
    checkpoint.save(tmp_path / "c.npz", whole)
    resumed = make_gan(seed=1, dtype=dtype)
    checkpoint.restore(resumed, checkpoint.load(tmp_path / "c.npz"))
    assert everything(resumed) == everything(whole)
    assert everything(train(resumed, range(3, 6))) == everything(train(whole, range(3, 6)))


@pytest.mark.parametrize("part", ["G.theta", "D.theta", "G.1.running_mean", "G.1.running_var", "D.2.rng",
                                  "optimizer_G.t", "optimizer_G.m", "optimizer_G.root", "optimizer_D.velocity"])
def test_every_part_matters(saved, part):
    """Test of the test above: without one of its parts the run goes on elsewhere."""
    content = checkpoint.load(saved)
    spoilt = content | {part: checkpoint.game_arrays(make_gan(seed=1))[part]}
    gans = [make_gan(), make_gan()]
    for gan, arrays in zip(gans, (content, spoilt)):
        checkpoint.restore(gan, arrays)
        train(gan, range(3, 6))
    assert everything(gans[0]) != everything(gans[1])


@pytest.mark.parametrize("there, here", [("cpu", "cuda"), ("cuda", "cpu")])
def test_without_random_layers_it_moves_to_another_device(standin, tmp_path, there, here):
    mg.use(there)
    checkpoint.save(tmp_path / "c.npz", train(make_gan(dropout=0), range(3)))
    expected = everything(train(make_gan(dropout=0), range(3)))
    mg.use(here)
    gan = make_gan(seed=1, dropout=0)
    checkpoint.restore(gan, checkpoint.load(tmp_path / "c.npz"))
    assert everything(gan) == expected


@pytest.mark.parametrize("there, here", [("cpu", "cuda"), ("cuda", "cpu")])
def test_with_random_layers_it_opens_there_with_generators_of_its_own(standin, tmp_path, there, here):
    mg.use(there)
    checkpoint.save(tmp_path / "c.npz", train(make_gan(), range(3)))
    content = checkpoint.load(tmp_path / "c.npz")
    mg.use(here)
    gan, untouched = make_gan(seed=1), everything(make_gan(seed=1))
    with pytest.raises(CheckpointError, match="another kind of device.*generators=False"):
        checkpoint.restore(gan, content)
    assert everything(gan) == untouched
    checkpoint.restore(gan, content, generators=False)
    for name, value in everything(gan).items():
        assert value == (untouched[name] if name.endswith(".rng") else content[name].tobytes()), name
    D = make_gan(seed=1).D
    checkpoint.restore_network(D, content, "D", generators=False)
    np.testing.assert_array_equal(to_numpy(D.theta), content["D.theta"])
    train(gan, range(3, 5))                            # and can be trained further


def test_a_generator_alone_comes_back_from_the_checkpoint_of_a_gan(backend, tmp_path):
    gan = train(make_gan(), range(3))
    checkpoint.save(tmp_path / "c.npz", gan)
    G = make_gan(seed=1).G
    checkpoint.restore_network(G, checkpoint.load(tmp_path / "c.npz"), "G")
    np.testing.assert_array_equal(to_numpy(G(gan.noise(4, mg.rng(0)))), to_numpy(gan.sample(4, 0)))


def test_saving_changes_nothing(backend, tmp_path):
    gan = train(make_gan(), range(3))
    before = everything(gan)
    checkpoint.save(tmp_path / "c.npz", gan)
    assert everything(gan) == before


@pytest.mark.parametrize("extra", [None, {"lr": 2e-4, "model": "Zoë", "sizes": [1, [2, None]]}, "text", 0.1])
def test_extra_and_own_arrays_come_back(backend, tmp_path, extra):
    own = {"order": np.arange(5), "grid": mg.asarray(np.ones((2, 3), "float32")), "name": np.array("Zoë")}
    checkpoint.save(tmp_path / "c.npz", make_gan(), extra, **own)
    content = checkpoint.load(tmp_path / "c.npz")
    assert content["extra"] == extra
    for name, value in own.items():
        assert content[name].dtype == value.dtype
        np.testing.assert_array_equal(content[name], to_numpy(value))


# --- files that are no checkpoint ---

class Evil:
    """Unpickling it would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def other_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("letter.txt", "no array at all")


SPOILS = {
    "empty": lambda path: path.write_bytes(b""),
    "random bytes": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "text": lambda path: path.write_text("step,loss_D,loss_G\n"),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "all but the end": lambda path: path.write_bytes(path.read_bytes()[:-10]),
    "a wrong byte in the middle of theta": lambda path: path.write_bytes(path.read_bytes().replace(
        checkpoint.load(path)["G.theta"].tobytes()[40:44], b"0000", 1)),
    "another zip": other_zip,
    "an .npy file": lambda path: np.save(path.open("wb"), np.ones(3)),
    "arrays only": lambda path: np.savez(path, **{"G.theta": np.ones(3)}),
    "extra is no JSON": lambda path: np.savez(path, extra=np.array("{")),
}




def npy(header, data=bytes(400)):
    """A .npy file with this header."""
    header = header.encode().ljust(116) + b"\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + data


def member(content, name="G.theta.npy"):
    """Put another member, with a right CRC, in the place of one."""
    def spoil(path):
        with zipfile.ZipFile(path) as file:
            members = {each: file.read(each) for each in file.namelist()} | {name: content}
        with zipfile.ZipFile(path, "w") as file:
            for each, bytes_ in members.items():
                file.writestr(each, bytes_)
    return spoil


def entries(offset, byte):
    """Change one byte in all entries of the zip's table of contents."""
    def spoil(path):
        content = bytearray(path.read_bytes())
        for start in [entry.start() for entry in re.finditer(b"PK\1\2", content)]:
            content[start + offset] = byte
        path.write_bytes(content)
    return spoil


SHAPE = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"
DTYPE = "{'descr': %s, 'fortran_order': False, 'shape': (100,)}"
SPOILS |= {
    "a header that never ends": member(npy("{'descr': ((((")),
    "terabytes": member(npy(SHAPE % "(10000000, 1000000)")), "more than any": member(npy(SHAPE % f"({10 ** 22},)")),
    "fewer than there are": member(npy(SHAPE % "(99,)")), "a shape that is none": member(npy(SHAPE % "('a', -1)")),
    "a negative shape": member(npy(SHAPE % "(-100,)")), "no header": member(npy("")),
    "another version": member(b"\x93NUMPY\7\0"),
    "objects": member(npy(DTYPE % "'|O'")), "a dtype that is none": member(npy(DTYPE % "'nonsense'")),
    "fields": member(npy(DTYPE % "[('a', '<f4'), ('b', '|O')]")), "no bytes each": member(npy(DTYPE % "'|S0'")),
    "a text beside": member(b"hello", "letter.txt"), "an array twice": member(npy(SHAPE % "(100,)"), "G.theta"),
    "extra is nested deeply": lambda path: np.savez(path, extra=np.array("[" * 100_000)),
    "as if encrypted": entries(8, 1), "as if deflated": entries(10, 8), "as if by bzip2": entries(10, 12),
    "as if by LZMA": entries(10, 14), "by a method that is none": entries(10, 99), "of a later version": entries(6, 255),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(saved, spoil):
    spoil(saved)
    with pytest.raises(CheckpointError, match=f"^{saved}: this is not a whole minigan checkpoint"):
        checkpoint.load(saved)


@settings(max_examples=150)
@given(st.data())
def test_whatever_bytes_are_wrong_it_is_a_checkpoint_error(tmp_path, data):
    """Some bytes anywhere, or at the beginning of one member, whose CRC is right again: refused, or of no consequence."""
    if not (tmp_path / "whole.npz").exists():
        checkpoint.save(tmp_path / "whole.npz", train(make_gan(), range(3)))
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "drawn.npz"
    path.write_bytes(whole)
    name = data.draw(st.sampled_from([None, *zipfile.ZipFile(path).namelist()]))
    damaged = bytearray(zipfile.ZipFile(path).read(name) if name else whole)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1 if name is None else min(len(damaged), 128) - 1))
        damaged[place] = data.draw(st.sampled_from(b"([{'\"-08dO\n\0\xff") | st.integers(0, 255))
    member(bytes(damaged), name)(path) if name else path.write_bytes(damaged)
    try:
        checkpoint.restore(make_gan(seed=1), checkpoint.load(path), path)
    except CheckpointError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


WRONG_KINDS = {
    "None": lambda content: None, "a list": lambda content: [content], "nothing": lambda content: {},
    "a list of numbers": lambda content: content | {"G.theta": content["G.theta"].tolist()},
    "a text": lambda content: content | {"D.theta": "x"},
    "an array of text": lambda content: content | {"optimizer_G.t": np.array("x")},
    "a number": lambda content: content | {"optimizer_G.m": 0.5}, "bytes": lambda content: content | {"D.2.rng": b"{}"},
    "half a generator": lambda content: content | {"D.2.rng": np.frombuffer(b'{"bit_generator": "PCG64"}', "uint8")},
    "no generator": lambda content: content | {"D.2.rng": np.array(1.5)},
    "other bytes": lambda content: content | {"G.theta": content["G.theta"].astype(">f4")}}


@pytest.mark.parametrize("change", WRONG_KINDS.values(), ids=WRONG_KINDS)
def test_a_content_of_wrong_kinds_is_refused_before_anything_changes(saved, change):
    gan = make_gan(seed=1)
    before = everything(gan)
    with pytest.raises(CheckpointError, match=f"^{saved}: "):
        checkpoint.restore(gan, change(checkpoint.load(saved)), saved)
    assert everything(gan) == before


def test_a_checkpoint_that_was_compressed_by_hand_opens(saved):
    content = checkpoint.load(saved)
    np.savez_compressed(saved, **content | {"extra": np.array("null")})
    gan = make_gan(seed=1)
    checkpoint.restore(gan, checkpoint.load(saved))
    np.testing.assert_array_equal(to_numpy(gan.G.theta), content["G.theta"])


@pytest.mark.parametrize("name", ["missing.npz", "."], ids=["missing", "a folder"])
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"^{tmp_path / name}: there is no such checkpoint"):
        checkpoint.load(tmp_path / name)


def test_pickles_are_never_loaded(saved, tmp_path):
    np.savez(saved, extra=np.array("null"), **{"G.theta": np.array([Evil(tmp_path / "made by a pickle")], object)})
    with pytest.raises(CheckpointError, match="pickle"):
        checkpoint.load(saved)
    assert not (tmp_path / "made by a pickle").exists()
    np.load(saved, allow_pickle=True)["G.theta"]            # test of the test: loading the pickle runs what is in it
    assert (tmp_path / "made by a pickle").exists()


@settings(max_examples=200)
@given(st.floats(0, 1, exclude_max=True))
def test_every_beginning_of_a_file_is_refused(tmp_path, part):
    if not (tmp_path / "whole.npz").exists():
        checkpoint.save(tmp_path / "whole.npz", make_gan())
    whole = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "part.npz").write_bytes(whole[:int(part * len(whole))])
    with pytest.raises(CheckpointError, match="part.npz"):
        checkpoint.load(tmp_path / "part.npz")


def test_a_flipped_bit_anywhere_is_refused_or_harmless(saved):
    gan, whole = make_gan(seed=1), saved.read_bytes()
    checkpoint.restore(gan, checkpoint.load(saved))
    before = everything(gan)
    directory = whole.index(b"PK\x01\x02")                  # the zip's table of contents
    for i in [*range(0, directory, 31), *range(directory, len(whole))]:
        saved.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1:])
        try:
            checkpoint.restore(gan, checkpoint.load(saved), saved)
        except CheckpointError as error:
            assert str(error).startswith(str(saved))
        assert everything(gan) == before


# --- checkpoints of something else ---

OTHERS = {
    "wider": lambda: make_gan(width=7),
    "without BatchNorm": lambda: make_gan(batch_norm=False),
    "of another dtype": lambda: make_gan(dtype="float64"),
    "with another optimizer": lambda: make_gan(optimizer=SGD),
    "with another D": lambda: mg.GAN(make_gan().G, make_gan(width=7).D, NonSaturating(), Adam(0.01), SGD(0.01)),
    "without Dropout": lambda: make_gan(dropout=0),
    "with D and G exchanged": lambda: mg.GAN(make_gan().D, make_gan().G, NonSaturating(), Adam(0.01), SGD(0.01)),
}


every_other = pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)


@every_other
def test_another_gan_refuses_it_and_stays_as_it_is(backend, tmp_path, other):
    checkpoint.save(tmp_path / "c.npz", train(make_gan(), range(3)))
    gan = other()
    before = everything(gan)
    with pytest.raises(CheckpointError, match=f"^{tmp_path / 'c.npz'}: made by another model"):
        checkpoint.restore(gan, checkpoint.load(tmp_path / "c.npz"), tmp_path / "c.npz")
    assert everything(gan) == before


@every_other
def test_the_other_way_round_it_is_refused_too(tmp_path, other):
    checkpoint.save(tmp_path / "c.npz", other())
    gan = make_gan()
    before = everything(gan)
    with pytest.raises(CheckpointError, match=f"^{tmp_path / 'c.npz'}: made by another model"):
        checkpoint.restore(gan, checkpoint.load(tmp_path / "c.npz"), tmp_path / "c.npz")
    assert everything(gan) == before


PARTS = {"G_average": lambda: {"average": 0.9}, "penalty": lambda: {"penalty": mg.penalties.WGANGP(mg.rng(1))},
         "preprocess_D": lambda: {"preprocess_D": mg.layers.InstanceNoise(0.1, mg.rng(2))},
         "augment": lambda: {"augment": mg.layers.InstanceNoise(0.1, mg.rng(3))}}


@pytest.mark.parametrize("part, option", PARTS.items(), ids=PARTS)
def test_a_part_that_only_one_of_the_two_has_is_named(tmp_path, part, option):
    def game(**options):
        return mg.GAN(*mg.models.toy_mlp(mg.host_rng(0), width=4), NonSaturating(), Adam(), Adam(), **options)
    for there, here, where in ((option(), {}, "there; make this one with"), ({}, option(), "here; make this one without")):
        checkpoint.save(tmp_path / "c.npz", game(**there))
        gan = game(**here)
        before = everything(gan)
        with pytest.raises(CheckpointError, match=f"^file: made by another model: {part} is only {where}"):
            checkpoint.restore(gan, checkpoint.load(tmp_path / "c.npz"), "file")
        assert everything(gan) == before
    checkpoint.save(tmp_path / "c.npz", game(**option()))
    checkpoint.restore(game(**option()), checkpoint.load(tmp_path / "c.npz"))
    checkpoint.restore_network(game().G, checkpoint.load(tmp_path / "c.npz"), "G")         # as the sentence says


@pytest.mark.parametrize("name", ["G", "D.theta", "G.mine", "optimizer_D", "file", "parts"])
def test_a_name_of_the_game_is_refused_for_an_array_of_ones_own(saved, name):
    with pytest.raises(ValueError, match=f"checkpoint.save: '{name}' must hold plain numbers, under a name that is none of"):
        checkpoint.save(saved, make_gan(), **{name: np.zeros(3)})
    assert checkpoint.load(saved)["extra"] == {"steps": 3}


def test_a_generator_of_another_device_is_refused_before_anything_changes(standin, tmp_path):
    mg.use("cpu")
    checkpoint.save(tmp_path / "c.npz", train(make_gan(), range(3)))
    mg.use("cuda")
    gan = make_gan()
    before = everything(gan)
    with pytest.raises(CheckpointError, match=f"^{tmp_path / 'c.npz'}: "):
        checkpoint.restore(gan, checkpoint.load(tmp_path / "c.npz"), tmp_path / "c.npz")
    assert everything(gan) == before


# --- written whole or not at all ---

def test_write_whole_replaces_the_content(tmp_path):
    for content in (b"old", b"", b"new" * 10 ** 5):
        files.write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


class FullDisk(io.FileIO):
    """A file that breaks off in the middle of a write."""

    def write(self, content):
        super().write(content[:len(content) // 2])
        raise FULL


def fail(error):
    def function(*arguments):
        raise error
    return function


FULL = OSError(errno.ENOSPC, "no space left on device")
FAILURES = {"write": ("open", FullDisk), "fsync": ("os.fsync", fail(FULL)), "rename": ("os.replace", fail(FULL)),
            "Ctrl-C": ("os.fsync", fail(KeyboardInterrupt()))}


@pytest.mark.parametrize("name, replacement", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("old", [[], ["file"]], ids=["new file", "old file"])
def test_a_failure_leaves_the_old_file_and_nothing_else(monkeypatch, tmp_path, name, replacement, old):
    for file in old:
        (tmp_path / file).write_bytes(b"old")
    monkeypatch.setattr(f"minigan.files.{name}", replacement, raising=False)
    with pytest.raises((OSError, KeyboardInterrupt)) as error:
        files.write_whole(tmp_path / "file", b"new" * 1000)
    if error.type is not KeyboardInterrupt:            # a full disk does not say itself which file had no room
        assert error.value.errno == errno.ENOSPC and error.value.filename == str(tmp_path / "file")
    assert os.listdir(tmp_path) == old
    assert all((tmp_path / file).read_bytes() == b"old" for file in old)


def test_a_failed_save_leaves_the_old_checkpoint(monkeypatch, saved):
    monkeypatch.setattr(files.os, "replace", fail(OSError("no space left on device")))
    with pytest.raises(OSError):
        checkpoint.save(saved, make_gan(), {"steps": 4})
    assert checkpoint.load(saved)["extra"] == {"steps": 3}


def test_extra_that_is_no_json_is_refused_before_anything_is_written(saved):
    with pytest.raises(TypeError):
        checkpoint.save(saved, make_gan(), {"rng": mg.host_rng(0)})
    assert checkpoint.load(saved)["extra"] == {"steps": 3}


# --- the other games ---

def translation():
    w = {"rng": mg.host_rng(3)}
    G = Sequential(Conv2D(1, 4, 3, **w), BatchNorm(4), LeakyReLU(0.2), Conv2D(4, 1, 3, **w), Tanh())
    D = Sequential(Conv2D(2, 4, 3, 2, **w), LeakyReLU(0.2), Dropout(0.3, rng=mg.rng(4)), Conv2D(4, 1, 2, **w))
    return mg.Translation(G, D, mg.losses.LeastSquares(), mg.optimizers.Adam(), mg.optimizers.SGD(0.1, 0.9), conditional=True)


def cyclegan(pool_size=5):
    w = {"rng": mg.host_rng(3)}
    Gs = [Sequential(Conv2D(1, 4, 3, **w), InstanceNorm(4), ReLU(), Conv2D(4, 1, 3, **w)) for _ in range(2)]
    Ds = [Sequential(Conv2D(1, 4, 3, 2, **w), LeakyReLU(0.2), Conv2D(4, 1, 2, **w)) for _ in range(2)]
    return mg.CycleGAN(*Gs, *Ds, mg.losses.LeastSquares(), [mg.optimizers.Adam(1e-2) for _ in range(4)],
                       pool_size=pool_size, rng=mg.host_rng(9))


def play(game, start, stop):
    for step in range(start, stop):
        rng = mg.host_rng([1, step])
        game.train_step(*(mg.asarray(rng.uniform(-1, 1, (2, 4, 4, 1)).astype("float32")) for _ in range(2)))
    return everything(game)


@pytest.mark.parametrize("make", [translation, cyclegan])
@pytest.mark.parametrize("stop", [1, 4], ids=["with a pool half full", "with a pool in use"])
def test_a_translation_goes_on_where_it_stopped(backend, tmp_path, make, stop):
    first, again = make(), make()
    play(first, 0, stop)
    checkpoint.save(tmp_path / "game.npz", first, extra={"step": stop})
    play(again, 0, 7)                                  # other networks, and a pool that is full
    content = checkpoint.load(tmp_path / "game.npz")
    checkpoint.restore(again, content)
    assert everything(again) == everything(first)
    assert play(again, content["extra"]["step"], 9) == play(first, stop, 9)


def test_a_pool_of_another_size_is_refused_and_nothing_changed(tmp_path):
    first, other = cyclegan(), cyclegan(pool_size=3)
    play(first, 0, 4)
    checkpoint.save(tmp_path / "game.npz", first)
    before = everything(other)
    with pytest.raises(checkpoint.CheckpointError, match="pool_A.layout is up to 5 images there, up to 3 images here"):
        checkpoint.restore(other, checkpoint.load(tmp_path / "game.npz"))
    assert everything(other) == before


@pytest.mark.parametrize("images", [np.float32(1), np.array("x"), [1.0]])
def test_a_pool_of_no_images_at_all_is_refused(images):
    content, empty = checkpoint.snapshot(cyclegan()), cyclegan()
    with pytest.raises(checkpoint.CheckpointError, match="pool_B.images is "):
        checkpoint.restore(empty, content | {"pool_B.images": images if isinstance(images, list) else np.array(images)})


def test_a_pool_of_other_images_is_refused(tmp_path):
    first, other = cyclegan(), cyclegan()
    play(first, 0, 2)
    checkpoint.save(tmp_path / "game.npz", first)
    other.pool_A.exchange(mg.asarray(np.zeros((1, 8, 8, 1), "float32")))
    with pytest.raises(checkpoint.CheckpointError, match=r"pool_A.images is images float32 \(4, 4, 1\) there"):
        checkpoint.restore(other, checkpoint.load(tmp_path / "game.npz"))
