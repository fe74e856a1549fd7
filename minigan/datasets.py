"""What a GAN learns to imitate: points in the plane, handwritten digits, and your own pictures.

Every data set is a pair (x, labels) of NumPy arrays on the host. Images are (N, H, W, C) float32 with pixels in [-1, 1],
the range of the tanh that generators end in; points are (n, 2) float32; labels are int64. Pictures need Pillow.
"""

import gzip
import hashlib
import http.client
import math
import os
import urllib.request
import zlib
from pathlib import Path

import numpy as np

MNIST_MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/",
                 "https://ossci-datasets.s3.amazonaws.com/mnist/")
MNIST_MD5 = {"train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
             "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
             "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
             "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c"}
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def ring_centres(modes=8, radius=1.0):
    """The centres of `ring`: (modes, 2) float32, counterclockwise from (radius, 0)."""
    angle = 2 * np.pi * np.arange(modes) / modes      # linspace(0, 2 pi, modes) would count the first centre twice
    return (radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)


def grid_centres(side=5, spacing=2.0):
    """The centres of `grid`: (side², 2) float32 around the origin; centre i * side + j is at (ticks[i], ticks[j])."""
    ticks = spacing * (np.arange(side) - (side - 1) / 2)
    return np.stack([np.repeat(ticks, side), np.tile(ticks, side)], axis=1).astype(np.float32)


def ring(n, rng, modes=8, radius=1.0, sigma=0.01):
    """n points from equally likely Gaussians on a circle: mode collapse can be seen, and counted.

    Shapes    x (n, 2) float32;  labels (n,) int64, each point's row in `ring_centres(modes, radius)`
    Units     sigma is the standard deviation along each axis, in the units of radius
    Errors    TypeError if rng is no numpy.random.Generator;  ValueError for n < 1, no modes or a negative sigma
    Source    VEEGAN, Srivastava et al. 2017, arXiv:1705.07761; PacGAN, Lin et al. 2018, arXiv:1712.04086
    """
    return _mixture(ring_centres(modes, radius), n, rng, sigma)


def grid(n, rng, side=5, spacing=2.0, sigma=0.05):
    """n points from side² equally likely Gaussians on a square lattice, by default on {-4, -2, 0, 2, 4}².

    Shapes    x (n, 2) float32, not scaled to [-1, 1];  labels (n,) int64, each point's row in `grid_centres`
    Units, errors and sources are those of `ring`.
    """
    return _mixture(grid_centres(side, spacing), n, rng, sigma)


def _mixture(centres, n, rng, sigma):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"expected rng to be a numpy.random.Generator, e.g. default_rng(0), got {type(rng).__name__}")
    if n < 1 or len(centres) < 1 or sigma < 0:
        raise ValueError(f"expected n >= 1, modes >= 1, sigma >= 0, got n {n}, {len(centres)} modes, sigma {sigma}")
    labels = rng.integers(len(centres), size=n)
    return (centres[labels] + sigma * rng.standard_normal((n, 2))).astype(np.float32), labels


def digits():
    """1,797 real handwritten digits, bundled with minigan (attribution: data/README.md).

    Shapes    x (1797, 8, 8, 1) float32;  labels (1797,) int64, 0..9
    Units     a pixel of the file counts ink in a 4 x 4 block, 0..16; x = count / 8 - 1: paper is -1, ink 1
    Source    E. Alpaydin & C. Kaynak 1998, UCI Machine Learning Repository, doi:10.24432/C50P49
    """
    with np.load(Path(__file__).parent / "data" / "digits.npz") as file:
        return file["images"][..., None].astype(np.float32) / 8 - 1, file["labels"].astype(np.int64)


def mnist(split="train", root=None):
    """The MNIST digits: 60,000 with split "train", 10,000 with split "test".

    Reads the IDX files, gzipped or not, from root or root/mnist; without root, from the folder that the environment
    variable MINIGAN_DATA names; without that, from ~/.cache/minigan/mnist, where it downloads what is missing.

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
    return _bytes_to_pixels(images[..., None]), labels.astype(np.int64)


def read_idx(path, ndim=None):
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
        kind = {1: "labels (1 dimension)", 3: "images (3 dimensions)"}
        raise ValueError(f"{path}: expected {kind.get(ndim, ndim)}, got {kind.get(data[3], f'{data[3]} dimensions')}")
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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "minigan", "mnist")
    return [_plain_or_gzipped(cache / name) or _download(f"{name}.gz", cache) for name in names]


def _plain_or_gzipped(path):
    gzipped = path.with_name(f"{path.name}.gz")
    return path if path.is_file() else gzipped if gzipped.is_file() else None


def _download(name, folder):
    problems = []
    for mirror in MNIST_MIRRORS:
        try:
            with urllib.request.urlopen(mirror + name, timeout=30) as answer:
                data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{mirror}: {error}")
            continue
        if hashlib.md5(data, usedforsecurity=False).hexdigest() == MNIST_MD5[name]:
            return _write_whole(folder / name, data)
        problems.append(f"{mirror}: wrong checksum")
    raise ConnectionError(f"mnist: cannot download {name} ({'; '.join(problems)}); without a network, set the "
                          f"environment variable MINIGAN_DATA to a folder that holds the four IDX files")


def _write_whole(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)                   # atomic: half a file never bears the final name
    finally:
        temporary.unlink(missing_ok=True)
    return path


def image_folder(path, size, channels=3):
    """Every .png .jpg .jpeg .bmp .gif .webp picture in a folder or in its sub-folders (its classes), sorted.

    Label k means the k-th sub-folder in sorted order; pictures directly in the folder all get label 0. A picture is
    turned upright (EXIF), laid on white where transparent, cropped around its centre to the wanted aspect ratio and
    resized as in `resize`. An animation gives its first frame. Names that start with a dot are skipped.

    Shapes    size one int or (H, W), channels 1 (grey) or 3 (RGB);  x (N, H, W, channels) float32, labels (N,) int64
    Errors    NotADirectoryError;  ValueError for no pictures, pictures beside class folders (label 0 would mean two
              things), an unreadable picture, a bad size or channels
    """
    height, width = _height_width("image_folder", size)
    if channels not in (1, 3):
        raise ValueError(f"image_folder: expected channels 1 (grey) or 3 (RGB), got {channels!r}")
    pictures = _list_pictures(Path(path))
    x = np.empty((len(pictures), height, width, channels), np.float32)
    for i, (file, _) in enumerate(pictures):
        x[i] = _bytes_to_pixels(_read_picture(file, height, width, channels))
    return x, np.array([label for _, label in pictures], np.int64)


def _list_pictures(folder):
    """Pairs (file, label)."""
    if not folder.is_dir():
        raise NotADirectoryError(f"image_folder: expected a folder, got {folder}")
    classes = [f for f in _visible(folder) if f.is_dir()]
    direct = [(f, 0) for f in _visible(folder) if _is_picture(f)]
    inside = [(f, label) for label, c in enumerate(classes) for f in _visible(c) if _is_picture(f)]
    if direct and inside:
        raise ValueError(f"image_folder: expected pictures in {folder} or in its sub-folders, got both "
                         f"({direct[0][0].name}, {inside[0][0].relative_to(folder)})")
    if not direct and not inside:
        raise ValueError(f"image_folder: expected {' '.join(PICTURES)} files in {folder} or its sub-folders, got none")
    return direct or inside


def _visible(folder):
    return sorted(f for f in folder.iterdir() if not f.name.startswith("."))


def _is_picture(file):
    return file.suffix.lower() in PICTURES and file.is_file()


def _read_picture(file, height, width, channels):
    """One picture as bytes, (height, width, channels)."""
    from PIL import Image, ImageOps
    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)
    except Exception as error:  # noqa: BLE001          Pillow raises almost anything on a damaged file
        raise ValueError(f"image_folder: expected a picture, cannot read {file} ({error})") from None
    if image.mode[0] in "IF":                         # 16 or 32 bits a pixel: Pillow would clip them at 255
        raise ValueError(f"image_folder: expected 8 bits a channel, got mode {image.mode} in {file}")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels)      # grey arrives as (height, width)


def resize(x, size):
    """Resample images by bilinear interpolation; shrinking averages over all pixels covered, so nothing aliases.

    Shapes    x (N, H, W, C) float32 in [-1, 1] -> the same with size (one int or (H, W)), clipped to [-1, 1]
    Errors    ValueError for an x of another shape or dtype, or a bad size
    Source    Pillow handbook, Concepts, Filters: BILINEAR
    """
    from PIL import Image
    height, width = _height_width("resize", size)
    _check_images("resize", x)
    y = np.empty((len(x), height, width, x.shape[3]), np.float32)
    for n, c in np.ndindex(len(x), x.shape[3]):
        plane = Image.fromarray(x[n, :, :, c])        # Pillow's mode F: one channel of float32
        y[n, :, :, c] = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
    return np.clip(y, -1.0, 1.0)


def to_channels(x, channels):
    """Grey to RGB by repeating it, RGB to its luminance 0.299 R + 0.587 G + 0.114 B, or x itself if nothing changes.

    Shapes    x (N, H, W, 1 or 3) float32 -> (N, H, W, channels) float32
    Errors    ValueError for channels other than 1 and 3
    Source    ITU-R BT.601; Pillow's convert("L"), so `image_folder` too, has the same weights
    """
    _check_images("to_channels", x)
    if x.shape[3] not in (1, 3) or channels not in (1, 3):
        raise ValueError(f"to_channels: expected from 1 or 3 to 1 or 3 channels, got from {x.shape[3]} to {channels!r}")
    if x.shape[3] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=3)
    return 0.299 * x[..., 0:1] + 0.587 * x[..., 1:2] + 0.114 * x[..., 2:3]


def _bytes_to_pixels(x):
    return x.astype(np.float32) / 127.5 - 1           # 0..255 -> -1..1, both ends exact


def _height_width(name, size):
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(s, (int, np.integer)) and s > 0 for s in pair):
        raise ValueError(f"{name}: expected size to be one positive int or (H, W), got {size!r}")
    return pair


def _check_images(name, x):
    if x.ndim != 4 or x.dtype != np.float32:
        raise ValueError(f"{name}: expected images (N, H, W, C) of float32, got {x.shape} of {x.dtype}")
