"""Data sets: what they promise about counts, shapes, ranges and labels, and one clear error for every damaged file."""

import gzip
import hashlib
import http.client
import io
import os
import re
import struct
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import datasets, files
from minigan.cli import recipe
from minigan.cli.data import load_data
from minigan.datasets import folder, handwriting

PIL_Image = pytest.importorskip("PIL.Image")


def rng(seed=0):
    return np.random.default_rng(seed)


def assert_one_sentence(error, *words):
    """The message is one line that names what the reader needs, and no traceback of gzip or Pillow hangs on it."""
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    assert error.value.__cause__ is None and (error.value.__context__ is None or error.value.__suppress_context__)


# ---- points in the plane ----

@given(modes=st.integers(1, 40), radius=st.floats(0.1, 10))
def test_ring_centres_are_distinct_and_on_the_circle(modes, radius):
    centres = datasets.ring_centres(modes, radius)
    assert centres.shape == (modes, 2) and centres.dtype == np.float32
    np.testing.assert_allclose(np.hypot(*centres.T), radius, rtol=1e-5)
    np.testing.assert_allclose(centres[0], [radius, 0], atol=1e-6 * radius)
    distance = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 1e9 * np.eye(modes)
    if modes > 1:                                     # neighbours are a chord apart, all the way round
        chord = 2 * radius * np.sin(np.pi / modes)
        np.testing.assert_allclose(distance.min(axis=1), chord, rtol=1e-3)


def test_ring_centres_are_those_of_the_protocol():
    i = np.arange(8)
    expected = np.stack([np.cos(2 * np.pi * i / 8), np.sin(2 * np.pi * i / 8)], axis=1)
    np.testing.assert_allclose(datasets.ring_centres(), expected, atol=1e-7)


def test_grid_centres_are_those_of_the_protocol():
    centres = datasets.grid_centres()
    assert centres.dtype == np.float32
    assert centres.tolist() == [[-4 + 2 * i, -4 + 2 * j] for i in range(5) for j in range(5)]


def test_grid_centres_even_side_is_centred_too():
    assert datasets.grid_centres(2, 3.0).tolist() == [[-1.5, -1.5], [-1.5, 1.5], [1.5, -1.5], [1.5, 1.5]]


POINTS = pytest.mark.parametrize(("make", "centres", "sigma"), [
    (datasets.ring, datasets.ring_centres(), 0.01), (datasets.grid, datasets.grid_centres(), 0.05)])


@POINTS
def test_points_have_the_right_form_and_lie_at_their_own_centre(make, centres, sigma):
    x, labels = make(20_000, rng())
    assert x.shape == (20_000, 2) and x.dtype == np.float32
    assert labels.shape == (20_000,) and labels.dtype == np.int64
    assert set(labels) == set(range(len(centres)))
    counts = np.bincount(labels)                      # equally likely: within 5 standard deviations of the mean
    assert abs(counts - 20_000 / len(centres)).max() < 5 * np.sqrt(20_000 / len(centres))
    noise = x - centres[labels]
    assert abs(noise).max() < 6 * sigma
    np.testing.assert_allclose(noise.std(axis=0), sigma, rtol=0.03)        # per axis, not per radius
    assert abs(noise.mean(axis=0)).max() < 5 * sigma / np.sqrt(20_000)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.04


@POINTS
def test_points_draw_by_draw(make, centres, sigma):
    """First all labels, then all noise: so that a seed gives the same points in every version of minigan."""
    generator = rng(3)
    labels, noise = generator.integers(len(centres), size=40), generator.standard_normal((40, 2))
    x, found = make(40, rng(3))
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_allclose(x, centres[labels] + sigma * noise, rtol=1e-6)
    assert make(1, rng(3), 1, sigma=0)[0].shape == (1, 2)


@POINTS
def test_points_depend_on_the_generator_and_on_nothing_else(make, centres, sigma):
    np.random.seed(1)                                 # the global state must not matter
    first = make(50, rng(7))
    np.random.seed(2)
    again, other = make(50, rng(7)), make(50, rng(8))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()
    generator = rng(7)
    assert (make(50, generator)[0] != make(50, generator)[0]).any()        # the generator advances


def test_sigma_zero_gives_the_centres_themselves():
    x, labels = datasets.grid(30, rng(), side=3, spacing=1.0, sigma=0)
    np.testing.assert_array_equal(x, datasets.grid_centres(3, 1.0)[labels])
    x, labels = datasets.ring(30, rng(), modes=3, radius=2.0, sigma=0)
    np.testing.assert_array_equal(x, datasets.ring_centres(3, 2.0)[labels])


@pytest.mark.parametrize("make", [datasets.ring, datasets.grid])
def test_points_refuse_nonsense(make):
    with pytest.raises(TypeError, match="Generator.*got int"):
        make(5, 0)
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, got 0"):
        make(0, rng())
    with pytest.raises(ValueError, match="sigma must be at least 0 .*got -1"):
        make(5, rng(), sigma=-1)
    with pytest.raises(ValueError, match="must be a whole number of at least 1, got 0"):
        make(5, rng(), 0)


# ---- the bundled digits ----

def test_digits():
    x, labels = datasets.digits()
    assert x.shape == (1797, 8, 8, 1) and x.dtype == np.float32
    assert labels.shape == (1797,) and labels.dtype == np.int64
    # the class counts that UCI publishes for the test set
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    counts = (x + 1) * 8
    np.testing.assert_array_equal(counts, np.round(counts))
    assert counts.min() == 0 and counts.max() == 16 and x.min() == -1 and x.max() == 1
    # the first image, a zero, as scikit-learn prints it
    np.testing.assert_array_equal(counts[0, :, :, 0], [
        [0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0], [0, 3, 15, 2, 0, 11, 8, 0], [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0], [0, 4, 11, 0, 1, 12, 7, 0], [0, 2, 14, 5, 10, 12, 0, 0], [0, 0, 6, 13, 10, 0, 0, 0]])
    assert labels[:10].tolist() == list(range(10))


def test_digits_are_a_fresh_copy_each_time():
    x, labels = datasets.digits()
    x[:] = 9
    labels[:] = 9
    assert datasets.digits()[0].max() == 1 and datasets.digits()[1][0] == 0


def test_digits_are_attributed():
    text = Path(datasets.__file__).with_name("README.md").read_text()
    for word in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "What was changed"):
        assert word in text


# ---- IDX files ----

def idx(array):
    """The bytes of an IDX file, written from the format's description, not with the library."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write(path, data, packed=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return path


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), packed=st.booleans(), seed=st.integers(0, 99))
def test_read_idx_gives_back_what_was_written(shape, packed, seed):
    array = rng(seed).integers(0, 256, shape, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "any-name", idx(array), packed)
        got = datasets.read_idx(path)
    np.testing.assert_array_equal(got, array)
    assert got.dtype == np.uint8 and got.flags.writeable


@settings(deadline=None, max_examples=200)
@given(packed=st.booleans(), keep=st.floats(0, 1, exclude_max=True))
def test_read_idx_refuses_a_file_cut_anywhere(packed, keep):
    data = idx(np.arange(60).reshape(5, 4, 3))
    data = gzip.compress(data, mtime=0) if packed else data
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "cut-file", data[:int(keep * len(data))])
        with pytest.raises(ValueError) as error:
            datasets.read_idx(path)
    assert_one_sentence(error, "cut-file", "expected", "got")


@settings(deadline=None, max_examples=200)
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_read_idx_never_reads_a_damaged_gzip_file_wrongly(place, flip):
    array = rng().integers(0, 256, (3, 6, 6), dtype=np.uint8)
    data = bytearray(gzip.compress(idx(array), mtime=0))
    data[place % len(data)] ^= flip
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "bad.gz", bytes(data))
        try:                                          # a changed time stamp in the header does no harm
            np.testing.assert_array_equal(datasets.read_idx(path), array)
        except ValueError as error:
            assert "bad.gz" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(("data", "words"), [
    (b"", ["expected an IDX file", "an empty file"]),
    (b"<html>not found</html>", ["expected an IDX file", "3c 68 74 6d"]),
    (b"\x00\x00\x0d\x01" + bytes(8), ["of bytes", "got 00 00 0d 01"]),             # floats
    (b"\x00\x00\x08\x00", ["got 00 00 08 00"]),                                    # no dimensions
    (b"\x00\x00\x08\x01", ["truncated", "got 4"]),                                # the shortest that is one, of nothing
    (b"\x00\x00\x08\x03\x00\x00", ["truncated", "expected 16 bytes", "got 6"]),
    (idx(np.zeros((2, 3, 4)))[:-1], ["truncated", "expected 40 bytes", "(2, 3, 4)", "got 39"]),
    (idx(np.zeros((2, 3, 4))) + b"x", ["too long", "expected 40 bytes", "got 41"]),
    (b"\x00\x00\x08\x03" + b"\xff" * 12, ["truncated", "got 16"]),                 # a size that no memory holds
    (gzip.compress(b"hello, this is no IDX file", mtime=0), ["expected an IDX file", "got 68 65 6c 6c"]),
    (b"\x1f\x8b", ["gzip", "truncated"]),
    (gzip.compress(idx(np.zeros(99)), mtime=0)[:-9], ["gzip", "truncated"]),
    (gzip.compress(idx(np.zeros(9)), mtime=0) + b"junk", ["gzip", "damaged"]),
])
def test_read_idx_errors(tmp_path, data, words):
    path = write(tmp_path / "some-file", data)
    with pytest.raises(ValueError) as error:
        datasets.read_idx(path)
    assert_one_sentence(error, path, "expected", "got", *words)


def test_read_idx_wrong_number_of_dimensions(tmp_path):
    labels, images = write(tmp_path / "l", idx(np.zeros(4))), write(tmp_path / "i", idx(np.zeros((4, 2, 2))))
    assert datasets.read_idx(labels, ndim=1).shape == (4,) and datasets.read_idx(images, ndim=3).shape == (4, 2, 2)
    with pytest.raises(ValueError) as error:
        datasets.read_idx(images, ndim=1)
    assert_one_sentence(error, images, "expected number of dimensions 1 (labels), got 3 (images)")
    with pytest.raises(ValueError) as error:
        datasets.read_idx(labels, ndim=3)
    assert_one_sentence(error, labels, "expected number of dimensions 3 (images), got 1 (labels)")
    with pytest.raises(ValueError, match=r"3 \(images\), got 2$"):
        datasets.read_idx(write(tmp_path / "t", idx(np.zeros((4, 2)))), ndim=3)
    with pytest.raises(ValueError, match=r"expected number of dimensions 4, got 3 \(images\)"):
        datasets.read_idx(images, ndim=4)


def test_read_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        datasets.read_idx(tmp_path / "nothing-here")


# ---- MNIST, in files of our own ----

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No MINIGAN_DATA, an empty cache, and every attempt to download fails the test."""
    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def make_mnist(folder, n=7, packed=False, prefix="train", seed=0):
    """Two small files in the form of MNIST; returns their content."""
    images = rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    images[0, 0, :3] = 0, 255, 51
    labels = np.arange(n) % 10
    end = ".gz" if packed else ""
    write(folder / f"{prefix}-images-idx3-ubyte{end}", idx(images), packed)
    write(folder / f"{prefix}-labels-idx1-ubyte{end}", idx(labels), packed)
    return images, labels


def assert_is(got, made):
    (x, labels), (images, expected_labels) = got, made
    assert x.shape == (*images.shape, 1) and x.dtype == np.float32
    np.testing.assert_allclose(x[..., 0], images / 127.5 - 1.0, atol=1e-6)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, expected_labels)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("below", [".", "mnist"])
@pytest.mark.usefixtures("no_network")
def test_mnist_reads_root(tmp_path, packed, below):
    made = make_mnist(tmp_path / below, n=10, packed=packed)
    x, labels = datasets.mnist(root=tmp_path)
    assert_is((x, labels), made)                                     # with labels from 0 to 9
    assert x[0, 0, 0, 0] == -1 and x[0, 0, 1, 0] == 1                # both ends exactly
    assert x[0, 0, 2, 0] == pytest.approx(-0.6) and x.min() == -1 and x.max() == 1
    assert_is(datasets.mnist("train", str(tmp_path)), made)          # a string will do


@pytest.mark.usefixtures("no_network")
def test_mnist_splits_are_different_files(tmp_path):
    train, test = make_mnist(tmp_path, n=7, seed=1), make_mnist(tmp_path, n=5, prefix="t10k", seed=2)
    assert_is(datasets.mnist("train", tmp_path), train)
    assert_is(datasets.mnist("test", tmp_path), test)
    with pytest.raises(ValueError, match='expected split "train" or "test", got \'validation\''):
        datasets.mnist("validation", tmp_path)


@pytest.mark.usefixtures("no_network")
def test_mnist_where_it_looks(tmp_path, monkeypatch):
    root, variable, cache = tmp_path / "root", tmp_path / "variable", tmp_path / "xdg" / "minigan" / "mnist"
    made = {folder: make_mnist(folder, seed=seed) for seed, folder in enumerate((root, variable / "mnist", cache))}
    assert_is(datasets.mnist(), made[cache])
    monkeypatch.setenv("MINIGAN_DATA", "")            # empty is unset
    assert_is(datasets.mnist(), made[cache])
    monkeypatch.setenv("MINIGAN_DATA", str(variable))
    assert_is(datasets.mnist(), made[variable / "mnist"])
    assert_is(datasets.mnist(root=root), made[root])  # root beats the variable


@pytest.mark.usefixtures("no_network")
def test_mnist_cache_without_xdg_is_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    made = make_mnist(tmp_path / "home" / ".cache" / "minigan" / "mnist")
    assert_is(datasets.mnist(), made)


@pytest.mark.usefixtures("no_network")
def test_mnist_missing_files_say_where_it_looked(tmp_path, monkeypatch):
    make_mnist(tmp_path / "xdg" / "minigan" / "mnist")               # must not be used when a folder is named
    with pytest.raises(FileNotFoundError) as error:
        datasets.mnist(root=tmp_path / "a")
    assert_one_sentence(error, TRAIN_IMAGES, TRAIN_LABELS, tmp_path / "a", tmp_path / "a" / "mnist", "MINIGAN_DATA")
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path / "b"))
    with pytest.raises(FileNotFoundError) as error:
        datasets.mnist("test")
    assert_one_sentence(error, "t10k-images-idx3-ubyte", tmp_path / "b", tmp_path / "b" / "mnist", "MINIGAN_DATA")


@pytest.mark.usefixtures("no_network")
def test_mnist_does_not_mix_two_folders(tmp_path):
    """Images in root, and a whole set in root/mnist: the pair is taken from one folder."""
    make_mnist(tmp_path, seed=1)
    (tmp_path / TRAIN_LABELS).unlink()
    made = make_mnist(tmp_path / "mnist", seed=2)
    assert_is(datasets.mnist(root=tmp_path), made)
    (tmp_path / "mnist" / TRAIN_IMAGES).unlink()
    with pytest.raises(FileNotFoundError):
        datasets.mnist(root=tmp_path)


@pytest.mark.parametrize(("images", "labels", "culprit", "words"), [
    (np.zeros((5, 28, 28)), np.zeros(4), TRAIN_LABELS, ["expected 5 labels", "got 4"]),
    (np.zeros((4, 28, 28)), np.zeros(5), TRAIN_LABELS, ["expected 4 labels", "got 5"]),
    (np.zeros((4, 28, 28)), np.array([0, 10, 0, 9]), TRAIN_LABELS, ["expected labels 0..9", "got 10"]),
    (np.zeros((4, 28, 27)), np.zeros(4), TRAIN_IMAGES, ["(N, 28, 28)", "got (4, 28, 27)"]),
    (np.zeros((0, 28, 28)), np.zeros(0), TRAIN_IMAGES, ["(N, 28, 28)", "got (0, 28, 28)"]),
    (np.zeros(4), np.zeros(4), TRAIN_IMAGES, ["3 (images)", "got 1 (labels)"]),
    (np.zeros((4, 28, 28)), np.zeros((4, 28, 28)), TRAIN_LABELS, ["1 (labels)", "got 3 (images)"]),
])
@pytest.mark.usefixtures("no_network")
def test_mnist_files_that_do_not_fit(tmp_path, images, labels, culprit, words):
    write(tmp_path / TRAIN_IMAGES, idx(images))
    write(tmp_path / TRAIN_LABELS, idx(labels))
    with pytest.raises(ValueError) as error:
        datasets.mnist(root=tmp_path)
    assert_one_sentence(error, tmp_path / culprit, *words)


# ---- MNIST, downloaded (from a folder on this disk: urlopen reads file:// too) ----

@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A mirror with two small gzipped files whose checksums the library expects, and the empty cache."""
    folder = tmp_path / "mirror"
    made = make_mnist(folder, packed=True)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(handwriting, "MNIST_MD5", sums)
    monkeypatch.setattr(handwriting, "MNIST_MIRRORS", (folder.as_uri() + "/",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    return folder, made, tmp_path / "xdg" / "minigan" / "mnist"


def files_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_mnist_downloads_once_into_the_cache(mirror, monkeypatch):
    folder, made, cache = mirror
    assert_is(datasets.mnist(), made)
    assert files_in(cache) == [f"{TRAIN_IMAGES}.gz", f"{TRAIN_LABELS}.gz"]           # and no temporary file
    assert (cache / f"{TRAIN_IMAGES}.gz").read_bytes() == (folder / f"{TRAIN_IMAGES}.gz").read_bytes()
    monkeypatch.setattr(handwriting, "MNIST_MIRRORS", ())
    assert_is(datasets.mnist(), made)                 # the second time, from the cache


def test_mnist_falls_back_to_the_next_mirror(mirror, monkeypatch, tmp_path):
    folder, made, _ = mirror
    bad = tmp_path / "bad"
    write(bad / f"{TRAIN_IMAGES}.gz", b"damaged on the way")         # and its labels are missing
    monkeypatch.setattr(handwriting, "MNIST_MIRRORS", (bad.as_uri() + "/", folder.as_uri() + "/"))
    assert_is(datasets.mnist(), made)


def test_mnist_wrong_checksum_leaves_nothing_behind(mirror):
    folder, _, cache = mirror
    make_mnist(folder, packed=True, seed=9)           # undamaged, but not the files that were announced
    with pytest.raises(OSError) as error:
        datasets.mnist()
    assert_one_sentence(error, f"{TRAIN_IMAGES}.gz", "wrong checksum", folder.as_uri(), "MINIGAN_DATA")
    assert files_in(cache) == []


@pytest.mark.parametrize("problem", [
    OSError("network is unreachable"), http.client.IncompleteRead(b"half"), TimeoutError("timed out")])
def test_mnist_without_a_network(mirror, monkeypatch, problem):
    def fail(address, timeout):
        raise problem

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(OSError) as error:
        datasets.mnist()
    assert_one_sentence(error, f"{TRAIN_IMAGES}.gz", problem, "MINIGAN_DATA")
    assert files_in(mirror[2]) == []


def test_mnist_asks_with_a_time_limit(mirror, monkeypatch):
    addresses = []

    def answer(address, timeout):
        assert 0 < timeout <= 120
        addresses.append(address)
        return io.BytesIO((mirror[0] / address.rsplit("/", 1)[1]).read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    monkeypatch.setattr(handwriting, "MNIST_MIRRORS", ("https://example.org/mnist/",))
    assert_is(datasets.mnist(), mirror[1])
    assert addresses == [f"https://example.org/mnist/{name}.gz" for name in (TRAIN_IMAGES, TRAIN_LABELS)]


def test_mnist_interrupted_while_saving_leaves_nothing_behind(mirror, monkeypatch):
    cache = mirror[2]

    def interrupt(source, target):
        assert Path(source).stat().st_size == (mirror[0] / Path(target).name).stat().st_size      # whole by now
        assert Path(source).parent == Path(target).parent and not Path(target).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        datasets.mnist()
    assert files_in(cache) == []


def test_mnist_checksums_and_mirrors_are_complete():
    names = {f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")}
    assert set(handwriting.MNIST_MD5) == names
    assert all(len(md5) == 32 for md5 in handwriting.MNIST_MD5.values())
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in handwriting.MNIST_MIRRORS)


# ---- the real MNIST, where it is ----

real_mnist = pytest.mark.skipif(not os.environ.get("MINIGAN_DATA"), reason="MINIGAN_DATA names no folder with MNIST")


@real_mnist
@pytest.mark.parametrize(("split", "n", "counts", "first"), [
    ("train", 60_000, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], [5, 0, 4, 1, 9]),
    ("test", 10_000, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], [7, 2, 1, 0, 4])])
def test_real_mnist(split, n, counts, first):
    x, labels = datasets.mnist(split)
    assert x.shape == (n, 28, 28, 1) and x.dtype == np.float32 and x.min() == -1 and x.max() == 1
    assert labels.shape == (n,) and labels.dtype == np.int64
    assert np.bincount(labels).tolist() == counts and labels[:5].tolist() == first
    if split == "train":                              # the mean and the deviation that everybody normalizes with
        assert x.mean() == pytest.approx(2 * 0.1307 - 1, abs=2e-4)
        assert x.std(dtype=np.float64) == pytest.approx(2 * 0.3081, abs=2e-4)


@real_mnist
def test_real_mnist_checksums(monkeypatch, tmp_path):
    """The official files pass the checksums in the source (train images: only where the .gz is the official one)."""
    root = Path(os.environ["MINIGAN_DATA"])
    folder = root / "mnist" if (root / "mnist").is_dir() else root
    if not (folder / "t10k-images-idx3-ubyte.gz").is_file():
        pytest.skip("MINIGAN_DATA holds no gzipped test set")
    monkeypatch.setattr(handwriting, "MNIST_MIRRORS", (folder.resolve().as_uri() + "/",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MINIGAN_DATA")
    assert datasets.mnist("test")[0].shape == (10_000, 28, 28, 1)
    train_labels = (folder / f"{TRAIN_LABELS}.gz").read_bytes()
    assert hashlib.md5(train_labels).hexdigest() == handwriting.MNIST_MD5[f"{TRAIN_LABELS}.gz"]


# ---- stacked digits ----

def unstacked(x, labels):
    """The three channels, as grey images, with the digit that the label says each is."""
    return [(x[..., c:c + 1], labels // 10 ** (2 - c) % 10) for c in range(3)]


def test_stacked_digits():
    x, labels = datasets.stacked_digits(50, rng())
    grey, digit = datasets.digits()
    assert x.shape == (50, 8, 8, 3) and x.dtype == np.float32 and labels.shape == (50,) and labels.dtype == np.int64
    for images, digits in unstacked(x, labels):
        for image, wanted in zip(images, digits):
            place, = np.nonzero((grey == image).all(axis=(1, 2, 3)))
            assert set(digit[place]) == {wanted}
    again, other = datasets.stacked_digits(50, rng()), datasets.stacked_digits(50, np.random.default_rng(99))
    assert np.array_equal(x, again[0]) and np.array_equal(labels, again[1]) and not np.array_equal(x, other[0])


def test_stacked_digits_are_independent_draws():
    _, labels = datasets.stacked_digits(20_000, rng())
    assert len(np.unique(labels)) == 1000
    red, green, blue = labels // 100, labels // 10 % 10, labels % 10
    for a, b in ((red, green), (red, blue), (green, blue)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03 and (a == b).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("n, generator, error", [(0, rng(), ValueError), (-3, rng(), ValueError), (5, 0, TypeError)])
def test_stacked_digits_refuses(n, generator, error):
    with pytest.raises(error):
        datasets.stacked_digits(n, generator)


@real_mnist
def test_stacked_mnist():
    x, labels = datasets.stacked_mnist(20, rng())
    grey, digit = datasets.mnist()
    assert x.shape == (20, 28, 28, 3) and x.dtype == np.float32 and labels.min() >= 0 and labels.max() < 1000
    for images, digits in unstacked(x[:3], labels[:3]):
        for image, wanted in zip(images, digits):
            assert wanted in digit[(grey == image).all(axis=(1, 2, 3))]


# ---- own pictures ----

def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL_Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def flat(*colour, size=(6, 6)):
    return np.full((*size, len(colour)), colour) if len(colour) > 1 else np.full(size, colour[0])


def test_image_folder_flat_folder_is_sorted_and_labelled_0(tmp_path):
    for name, grey in (("b.png", 100), ("a.bmp", 50), ("c.PNG", 150), ("d.gif", 200)):
        save(tmp_path / name, flat(grey))
    save(tmp_path / "e.jpeg", flat(250), quality=95)
    save(tmp_path / "f.jpg", flat(20), quality=95)
    save(tmp_path / "g.webp", flat(0, 0, 0), lossless=True)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_bytes(b"what macOS leaves on a stick")
    (tmp_path / "folder.png").mkdir()                 # a folder, whatever its name
    x, labels = datasets.image_folder(tmp_path, 4, channels=1)
    assert x.shape == (7, 4, 4, 1) and x.dtype == np.float32
    assert labels.tolist() == [0] * 7 and labels.dtype == np.int64
    expected = np.array([50, 100, 150, 200, 250, 20, 0]) / 127.5 - 1
    np.testing.assert_allclose(x, np.broadcast_to(expected[:, None, None, None], x.shape), atol=2.1 / 127.5)    # JPEG
    np.testing.assert_allclose(x[:4, 0, 0, 0], expected[:4], atol=1e-6)         # lossless


def test_image_folder_classes(tmp_path):
    save(tmp_path / "dog" / "1.png", flat(30, 20, 10))
    save(tmp_path / "cat" / "2.png", flat(0, 0, 255))
    save(tmp_path / "cat" / "1.png", flat(255, 0, 0))
    (tmp_path / "cow").mkdir()                        # a class without pictures keeps its number
    save(tmp_path / ".thumbnails" / "1.png", flat(1, 1, 1))
    x, labels = datasets.image_folder(str(tmp_path), (3, 5))
    assert x.shape == (3, 3, 5, 3) and labels.tolist() == [0, 0, 2] and labels.dtype == np.int64
    np.testing.assert_allclose(x[:, 1, 2], [[1, -1, -1], [-1, -1, 1], np.array([30, 20, 10]) / 127.5 - 1], atol=1e-6)


def test_image_folder_crops_the_centre_before_it_resizes(tmp_path):
    wide = flat(0, size=(10, 30))
    wide[:, 10:20] = 255                              # the middle third is white
    save(tmp_path / "1.png", wide)
    save(tmp_path / "2.png", wide.T)
    x, _ = datasets.image_folder(tmp_path, 5, channels=1)
    assert (x[0, :, 1:-1] == 1).all() and (x[1, 1:-1] == 1).all()    # stretching would have kept the black parts
    assert x.min() > 0.7                              # (at the cut the filter sees a little of what lies beyond)
    x, _ = datasets.image_folder(tmp_path, (10, 30), channels=1)
    np.testing.assert_array_equal(x[0, :, :, 0], wide / 127.5 - 1)   # the right size already: not a pixel changes


def test_image_folder_size_is_height_then_width(tmp_path):
    top = flat(0, size=(12, 6))
    top[:6] = 255
    save(tmp_path / "1.png", top)
    x, _ = datasets.image_folder(tmp_path, (4, 2), channels=1)
    assert x.shape == (1, 4, 2, 1) and (x[0, 0] == 1).all() and (x[0, 3] == -1).all()


def test_image_folder_shrinks_without_aliasing(tmp_path):
    stripes = np.tile(np.array([0, 255]), (64, 32))   # one pixel wide; taking every 8th would be all black
    save(tmp_path / "1.png", stripes)
    x, _ = datasets.image_folder(tmp_path, 8, channels=1)
    assert abs(x).max() < 0.2


def test_image_folder_grey_is_luminance_and_grey_files_become_rgb(tmp_path):
    save(tmp_path / "1.png", flat(200, 100, 50))
    x, _ = datasets.image_folder(tmp_path, 2, channels=1)
    assert (x[0, 0, 0, 0] + 1) * 127.5 == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=1)
    save(tmp_path / "1.png", flat(77))
    x, _ = datasets.image_folder(tmp_path, 2, channels=3)
    np.testing.assert_allclose(x, np.full((1, 2, 2, 3), 77 / 127.5 - 1), atol=1e-6)


def test_image_folder_lays_transparency_on_white(tmp_path):
    save(tmp_path / "1.png", flat(0, 0, 0, 0))        # hidden black
    save(tmp_path / "2.png", flat(10, 20, 30, 255))
    x, _ = datasets.image_folder(tmp_path, 2)
    assert (x[0] == 1).all()
    np.testing.assert_allclose(x[1, 0, 0], np.array([10, 20, 30]) / 127.5 - 1, atol=1e-6)


def test_image_folder_turns_photographs_upright(tmp_path):
    left = flat(0, size=(8, 8))
    left[:, :4] = 255
    exif = PIL_Image.Exif()
    exif[0x0112] = 6                                  # orientation: turn 90 degrees clockwise to see it upright
    save(tmp_path / "1.png", left, exif=exif)
    x, _ = datasets.image_folder(tmp_path, 8, channels=1)
    assert (x[0, :4] == 1).all() and (x[0, 4:] == -1).all()          # the left half is now on top


def test_image_folder_takes_the_first_frame(tmp_path):
    frames = [PIL_Image.fromarray(flat(grey).astype(np.uint8)) for grey in (255, 0)]
    frames[0].save(tmp_path / "1.gif", save_all=True, append_images=frames[1:])
    x, _ = datasets.image_folder(tmp_path, 2, channels=1)
    assert x.shape == (1, 2, 2, 1) and (x == 1).all()


def test_image_folder_is_not_a_folder(tmp_path):
    file = save(tmp_path / "1.png", flat(1))
    for path in (tmp_path / "nowhere", file):
        with pytest.raises(NotADirectoryError) as error:
            datasets.image_folder(path, 4)
        assert_one_sentence(error, "image_folder", path)


def test_image_folder_without_pictures(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError) as error:
        datasets.image_folder(tmp_path, 4)
    assert_one_sentence(error, "image_folder", tmp_path, ".png", "none", "1 .txt")


def test_image_folder_pictures_beside_classes(tmp_path):
    save(tmp_path / "preview.png", flat(1))
    save(tmp_path / "cat" / "1.png", flat(1))
    with pytest.raises(ValueError) as error:
        datasets.image_folder(tmp_path, 4)
    assert_one_sentence(error, tmp_path, "both", "preview.png", os.path.join("cat", "1.png"))


@pytest.mark.parametrize("suffix", sorted(folder.PICTURES))
@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_image_folder_names_the_unreadable_picture(tmp_path, suffix, damage):
    save(tmp_path / "a.png", flat(1))
    bad = save(tmp_path / f"b{suffix}", rng().integers(0, 256, (40, 40, 3)))
    data = bad.read_bytes()
    bad.write_bytes({"empty": b"", "text": b"<html>not found</html>", "cut": data[:len(data) // 2]}[damage])
    with pytest.raises(ValueError) as error:
        datasets.image_folder(tmp_path, 4)
    assert_one_sentence(error, "image_folder: expected a picture", bad)
    assert error.value.__context__ is not None        # Pillow complained, not a check of ours


def test_image_folder_says_once_what_it_skips(tmp_path, capsys):
    """What an unpacked zip file from a Mac, a telephone and Windows leave there; none of it is a class."""
    for name in ("__MACOSX/._1.jpg", ".DS_Store", "dog/._1.png", "dog/Thumbs.db", "dog/1.heic", "dog/2.HEIC", "readme",
                 "dog/puppies/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("not a picture")
    save(tmp_path / "cat" / "1.png", flat(1))
    save(tmp_path / "dog" / "1.png", flat(2))
    for _ in range(2):
        assert datasets.image_folder(tmp_path, 4)[1].tolist() == [0, 1]
    said = capsys.readouterr().err.replace(os.sep, "/")
    assert said == (f"minigan: image_folder skips in {tmp_path}: 1 .db (dog/Thumbs.db), 2 .heic (dog/1.heic, ...), "
                    "2 folder (__MACOSX, ...), 2 hidden (.DS_Store, ...), 1 other (readme)\n")


BAD_SIZES = [0, -1, 4.0, "4", None, (4,), (4, 4, 4), (4, 0), (4, 2.5)]


@pytest.mark.parametrize("size", BAD_SIZES)
def test_bad_size(tmp_path, size):
    save(tmp_path / "1.png", flat(1))
    for name, call in (("image_folder", lambda: datasets.image_folder(tmp_path, size)),
                       ("resize", lambda: datasets.resize(np.zeros((1, 4, 4, 1), np.float32), size))):
        with pytest.raises(ValueError) as error:
            call()
        assert_one_sentence(error, name, "(H, W)", repr(size))


@pytest.mark.parametrize("channels", [0, 2, 4, "RGB", 1.5])
def test_image_folder_bad_channels(tmp_path, channels):
    save(tmp_path / "1.png", flat(1))
    with pytest.raises(ValueError) as error:
        datasets.image_folder(tmp_path, 4, channels=channels)
    assert_one_sentence(error, "image_folder", "1 (grey), 3 (RGB) or None", repr(channels))


# ---- resize and to_channels ----

SIDE = st.integers(1, 12)


@settings(deadline=None)
@given(H=SIDE, W=SIDE, OH=SIDE, OW=SIDE, C=st.sampled_from([1, 3]), value=st.floats(-1, 1, width=32))
def test_resize_keeps_a_constant_image(H, W, OH, OW, C, value):
    x = np.full((2, H, W, C), value, np.float32)
    y = datasets.resize(x, (OH, OW))
    assert y.shape == (2, OH, OW, C) and y.dtype == np.float32
    np.testing.assert_allclose(y, value, atol=1e-6)
    assert abs(y).max() <= 1


@settings(deadline=None)
@given(W=st.integers(2, 20), OW=st.integers(2, 20), down=st.booleans())
def test_resize_keeps_a_ramp_a_ramp(W, OW, down):
    ramp = np.linspace(-1, 1, W, dtype=np.float32)
    x = np.broadcast_to(ramp[None, None, :, None], (1, 3, W, 1))
    y = datasets.resize(x.swapaxes(1, 2) if down else x, (OW, 5) if down else (5, OW))
    y = y.swapaxes(1, 2) if down else y
    assert (np.diff(y, axis=2) >= 0).all() and y[0, 0, -1, 0] > y[0, 0, 0, 0]
    np.testing.assert_allclose(y[0, :, :, 0], np.broadcast_to(y[0, :1, :, 0], (5, OW)), atol=1e-6)
    np.testing.assert_allclose(y, -y[:, :, ::-1], atol=1e-5)         # symmetric: no shift by half a pixel


def test_resize_by_hand():
    x = np.array([-1, 1], np.float32).reshape(1, 1, 2, 1)
    # output pixel j looks at (j + 1/2) / 2 - 1/2 = -1/4, 1/4, 3/4, 5/4; beyond the last centres the edge continues
    np.testing.assert_allclose(datasets.resize(x, (1, 4)).ravel(), [-1, -0.5, 0.5, 1], atol=1e-6)
    stripes = np.tile(np.array([-1, 1], np.float32), 32).reshape(1, 1, 64, 1)
    assert abs(datasets.resize(stripes, (1, 8))).max() < 0.2         # every 8th pixel would be all -1


def test_resize_keeps_images_and_channels_apart():
    x = rng().uniform(-1, 1, (3, 5, 4, 2)).astype(np.float32)
    y = datasets.resize(x, 7)
    assert y.shape == (3, 7, 7, 2)
    for n in range(3):
        for c in range(2):
            np.testing.assert_array_equal(y[n:n + 1, :, :, c:c + 1], datasets.resize(x[n:n + 1, :, :, c:c + 1], 7))
    np.testing.assert_array_equal(datasets.resize(x, (5, 4)), x)     # the same size: the same pixels
    np.testing.assert_array_equal(datasets.resize(x[:, ::-1, :, ::-1], 7),        # not contiguous
                                  datasets.resize(x[:, ::-1, :, ::-1].copy(), 7))


def test_resize_leaves_its_input_alone_and_clips():
    x = np.full((1, 2, 2, 1), 1.5, np.float32)
    kept = x.copy()
    assert (datasets.resize(x, 3) == 1).all() and (datasets.resize(-x, 3) == -1).all()
    same_size = datasets.resize(x, 2)
    same_size[:] = 0
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("x", [np.zeros((4, 4, 1), np.float32), np.zeros((2, 16), np.float32),
                               np.zeros((1, 4, 4, 1), np.uint8), np.zeros((1, 4, 4, 1))])
def test_resize_and_to_channels_refuse_what_is_no_image(x):
    for name, call in (("resize", lambda: datasets.resize(x, 4)), ("to_channels", lambda: datasets.to_channels(x, 3))):
        with pytest.raises(ValueError) as error:
            call()
        assert_one_sentence(error, name, "(N, H, W, C) of float32", x.shape, x.dtype)


def test_to_channels():
    grey = rng().uniform(-1, 1, (2, 3, 4, 1)).astype(np.float32)
    rgb = datasets.to_channels(grey, 3)
    assert rgb.shape == (2, 3, 4, 3) and rgb.dtype == np.float32
    for c in range(3):
        np.testing.assert_array_equal(rgb[..., c:c + 1], grey)
    np.testing.assert_allclose(datasets.to_channels(rgb, 1), grey, atol=1e-6)
    pure = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)           # a red, a green and a blue pixel
    back = datasets.to_channels(pure, 1)
    assert back.shape == (1, 1, 3, 1) and back.dtype == np.float32
    np.testing.assert_allclose(back.ravel(), [0.299, 0.587, 0.114], atol=1e-6)
    assert datasets.to_channels(grey, 1) is grey and datasets.to_channels(rgb, 3) is rgb
    for end in (-1, 1):                               # rounding never leaves [-1, 1]
        assert (datasets.to_channels(np.full((1, 1, 1, 3), end, np.float32), 1) == end).all()


@pytest.mark.parametrize(("have", "want"), [(1, 2), (3, 4), (2, 1), (4, 3), (2, 2), (4, 1), (1, None)])
def test_to_channels_refuses_other_numbers(have, want):
    with pytest.raises(ValueError) as error:
        datasets.to_channels(np.zeros((1, 2, 2, have), np.float32), want)
    assert_one_sentence(error, "to_channels", f"from {have} to {want}")


def test_import_needs_no_pillow():
    """Pillow comes with matplotlib, which is optional: only the functions on pictures may import it."""
    for module in (datasets, folder):
        lines = Path(module.__file__).read_text(encoding="utf-8").splitlines()
        assert not any(line.startswith(("import PIL", "from PIL", "from minigan.datasets.picture_file")) for line in lines)


# --- pixels: arrays in any common form ---

BYTES = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3)).astype("uint8")
SCALED = BYTES.astype(np.float32) / 127.5 - 1


@pytest.mark.parametrize("x, expected, words", [
    (BYTES, SCALED, "bytes"), (BYTES.astype("int64"), SCALED, "bytes"), (BYTES.astype("float64"), SCALED, "bytes"),
    (BYTES.transpose(0, 3, 1, 2), SCALED, "channels were moved"), (BYTES[..., 0], SCALED[..., :1], "last axis was added"),
    (SCALED, SCALED, r"\[-1, 1\]"), (SCALED.astype("float64"), SCALED, r"\[-1, 1\]"),
    (BYTES / 255, SCALED, r"\[0, 1\]"), (BYTES[..., :1].tolist(), SCALED[..., :1], "bytes"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_pixels_reads_any_common_form(capsys, x, expected, words):
    found = datasets.pixels(x)
    assert found.shape == expected.shape and found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-6)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(words, said)


@pytest.mark.parametrize("x, words", [
    (BYTES[0, 0], "expected images"), (BYTES[:0], "expected images"), (np.array([["a"]]), "expected images"),
    (np.zeros((2, 5, 6, 4)), "1 or 3 channels"), (300 * SCALED, "expected bytes from 0 to 255"),
    (np.full((2, 3, 3, 1), np.nan), "sample 0 of the images is not finite"), (-BYTES.astype("int64"), "expected bytes"),
])
def test_pixels_refuses_what_it_cannot_read(x, words):
    with pytest.raises(ValueError, match=words):
        datasets.pixels(x)


# --- the test set that comes with minigan ---

@pytest.mark.usefixtures("no_network")
def test_the_bundled_test_set_is_the_published_one(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    x, labels = datasets.mnist("test")
    assert x.shape == (10_000, 28, 28, 1) and np.bincount(labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        content = Path(handwriting.__file__).with_name(name).read_bytes()
        assert hashlib.md5(content).hexdigest() == handwriting.MNIST_MD5[name]
    text = Path(handwriting.__file__).with_name("README.md").read_text()
    assert all(word in text for word in ("CC BY-SA 3.0", "LeCun", "What was changed", handwriting.MNIST_MD5[name]))


@pytest.mark.usefixtures("no_network")
def test_mnist_on_the_command_line_needs_no_download(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not handwriting.has_training_set() and len(load_data(recipe.complete({"model": "dcgan_28"}))[0]) == 10_000
    made = make_mnist(tmp_path / "minigan" / "mnist")
    assert handwriting.has_training_set()
    assert_is(load_data(recipe.complete({"model": "dcgan_28"}))[:2], made)


def test_class_folders_have_labels_on_the_command_line(tmp_path):
    for kind, count in (("cats", 2), ("dogs", 3)):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(count):
            PIL_Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "pets" / kind / f"{i}.png")
    assert load_data(recipe.complete({"data": str(tmp_path / "pets")}))[1].tolist() == [0, 0, 1, 1, 1]
    assert load_data(recipe.complete({"data": str(tmp_path / "pets" / "cats")}))[1] is None
