"""Handwritten digits: 1,797 small ones and the 10,000 of MNIST's test set, which come with minigan; the 60,000 of its training
set, which are downloaded once; and stacks of three, in colour."""
import gzip
import hashlib
import math
import os
import zlib
from pathlib import Path

import numpy as np

from minigan.datasets.folder import bytes_to_pixels
from minigan.datasets.points import check_draw
from minigan.files import write_whole

MNIST_MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/",
                 "https://ossci-datasets.s3.amazonaws.com/mnist/")
MNIST_MD5 = {"train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
             "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
             "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
             "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c"}


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 real handwritten digits, bundled with minigan (attribution: README.md in this folder).

    Shapes    x (1797, 8, 8, 1) float32;  labels (1797,) int64, 0..9
    Units     a pixel of the file counts ink in a 4 x 4 block, 0..16; x = count / 8 - 1: paper is -1, ink 1
    Source    E. Alpaydin & C. Kaynak 1998, UCI Machine Learning Repository, doi:10.24432/C50P49
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        return file["images"][..., None].astype(np.float32) / 8 - 1, file["labels"].astype(np.int64)


def mnist(split: str = "train", root: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The MNIST digits: 60,000 with split "train", 10,000 with split "test".

    Reads the IDX files, gzipped or not, from root or root/mnist; without root, from the folder that the environment
    variable MINIGAN_DATA names. Without that the test set is the one that comes with minigan (attribution: README.md in this
    folder), and the training set is read from ~/.cache/minigan/mnist, after a download if it is not there.

    Shapes    x (N, 28, 28, 1) float32;  labels (N,) int64, 0..9
    Units     a pixel of the file is a byte 0..255; x = byte / 127.5 - 1: paper is -1, ink 1
    Errors    FileNotFoundError if root or MINIGAN_DATA lacks the files;  ConnectionError if they cannot be downloaded;
              ValueError for a damaged file, or for images and labels that do not belong together
    Source    LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86(11); http://yann.lecun.com/exdb/mnist
    """
    if split not in ("train", "test"):
        raise ValueError(f'mnist: expected split "train" or "test", got {split!r}')
    image_path, label_path = _find_mnist("train" if split == "train" else "t10k", root)
    images, labels = read_idx(image_path, ndim=3), read_idx(label_path, ndim=1)
    if images.shape[1:] != (28, 28) or len(images) == 0:
        raise ValueError(f"{image_path}: expected images of shape (N, 28, 28), got {images.shape}")
    if len(images) != len(labels):
        raise ValueError(f"{label_path}: expected {len(images)} labels, one for each image, got {len(labels)}")
    if labels.max() > 9:
        raise ValueError(f"{label_path}: expected labels 0..9, got {labels.max()}")
    return bytes_to_pixels(images[..., None]), labels.astype(np.int64)


def stacked_mnist(n: int, rng: np.random.Generator, root: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """n colour images whose red, green and blue are three random training digits of MNIST: 1000 modes that can be counted.

    Shapes    x (n, 28, 28, 3) float32;  labels (n,) int64, 0..999: 100 · red + 10 · green + blue
    Errors    those of `mnist`, and of `ring` for n and rng
    Source    Metz, Poole, Pfau & Sohl-Dickstein 2017, arXiv:1611.02163; counted by minigan.metrics.stacked_modes
    """
    return _stacked(*mnist("train", root), n, rng)


def stacked_digits(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same from the bundled `digits`: x (n, 8, 8, 3), with no download."""
    return _stacked(*digits(), n, rng)


def _stacked(x, labels, n, rng):
    check_draw(n, rng)
    chosen = rng.integers(len(x), size=(n, 3))
    images = np.concatenate([x[channel] for channel in chosen.T], axis=3)          # (n, H, W, 1) three times
    return images, labels[chosen] @ np.array([100, 10, 1])


def read_idx(path: str | Path, ndim: int | None = None) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, gzipped or not.

    Layout    0, 0, 8 (type: unsigned byte), number of dimensions; their sizes, 4 bytes each, big-endian; the data
    Shapes    uint8, the shape in the header; if ndim is given, the header must say so: 3 for images, 1 for labels
    Errors    ValueError, one sentence, for anything wrong inside the file
    Source    http://yann.lecun.com/exdb/mnist, "The IDX file format"
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":                       # every gzip file starts so; a name may lie
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: expected a whole gzip file, got a damaged or truncated one ({error})") from None
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or data[3] == 0:
        raise ValueError(f"{path}: expected an IDX file of bytes (00 00 08, then the number of dimensions), "
                         f"got {data[:4].hex(' ') or 'an empty file'}")
    if ndim is not None and data[3] != ndim:
        kind = {1: " (labels)", 3: " (images)"}
        raise ValueError(f"{path}: expected number of dimensions {ndim}{kind.get(ndim, '')}, "
                         f"got {data[3]}{kind.get(data[3], '')}")
    start = 4 + 4 * data[3]                           # the header ends and the data begin
    shape = tuple(int.from_bytes(data[i:i + 4], "big") for i in range(4, start, 4))
    if len(data) != start + math.prod(shape):
        problem = "truncated" if len(data) < start + math.prod(shape) else "too long"
        raise ValueError(f"{path}: {problem}, expected {start + math.prod(shape)} bytes for the shape {shape} in its "
                         f"header, got {len(data)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()      # a view of bytes is read-only


def _find_mnist(prefix, root):
    """The paths of the image and the label file, from one folder: so they belong together."""
    names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
    given = os.environ.get("MINIGAN_DATA") if root is None else root
    if given:
        for folder in (Path(given), Path(given, "mnist")):
            paths = [_plain_or_gzipped(folder / name) for name in names]
            if all(paths):
                return paths
        raise FileNotFoundError(f"mnist: {names[0]} and {names[1]} (or .gz) are neither in {Path(given)} nor in "
                                f"{Path(given, 'mnist')}: put them there, or change root or MINIGAN_DATA")
    if prefix == "t10k":
        return [Path(__file__).with_name(f"{name}.gz") for name in names]
    return [_plain_or_gzipped(cache() / name) or _download(f"{name}.gz", cache()) for name in names]


def cache() -> Path:
    """The folder that MNIST is downloaded to."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "minigan", "mnist")


def has_training_set() -> bool:
    """Whether MNIST's 60,000 can be read without a download."""
    return bool(os.environ.get("MINIGAN_DATA")) or _plain_or_gzipped(cache() / "train-images-idx3-ubyte") is not None


def _plain_or_gzipped(path):
    gzipped = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else gzipped if gzipped.is_file() else None


def _download(name, folder):
    import http.client  # here, because they take as long to load as all of minigan
    import urllib.request
    problems = []
    for mirror in MNIST_MIRRORS:
        try:
            with urllib.request.urlopen(mirror + name, timeout=30) as answer:
                data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{mirror}: {error}")
            continue
        if hashlib.md5(data, usedforsecurity=False).hexdigest() == MNIST_MD5[name]:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, data)
            return folder / name
        problems.append(f"{mirror}: wrong checksum")
    raise ConnectionError(f"mnist: cannot download {name} ({'; '.join(problems)}); without a network, set the "
                          f"environment variable MINIGAN_DATA to a folder that holds the four IDX files")
