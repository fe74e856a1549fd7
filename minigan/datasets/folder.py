"""Your own pictures as training data, and images in other sizes. Pillow, which comes with matplotlib, reads and resamples.

Images are (N, H, W, C) float32 with pixels in [-1, 1], as everywhere in minigan.
"""
import functools
import sys
from pathlib import Path

import numpy as np

from minigan.arguments import check_finite

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
NO_CLASSES = ("__MACOSX", "@eaDir")                   # what macOS leaves in a zip file, and a Synology server in a folder


def bytes_to_pixels(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) / 127.5 - 1           # 0..255 -> -1..1, both ends exact


def image_folder(path: str | Path, size: int | tuple[int, int], channels: int | None = 3,
                 fit: str = "crop") -> tuple[np.ndarray, np.ndarray]:
    """Every .png .jpg .jpeg .bmp .gif .webp picture in a folder or in its sub-folders (its classes), sorted.

    Label k means the k-th sub-folder in sorted order; pictures directly in the folder all get label 0. A picture is
    turned upright (EXIF), laid on white where transparent, and resized as in `resize`: with fit "crop" after a cut around its
    centre to the wanted aspect ratio, with "pad" whole, on white (Pillow's ImageOps.fit, pad). An animation gives its first
    frame, 16 bits a channel their upper 8.
    Everything else, hidden files and what is deeper than a class too, is skipped, and named on standard error.

    Shapes    size one int or (H, W), channels 1 (grey), 3 (RGB) or None: 1 if all pictures are grey, else 3
              x (N, H, W, channels) float32, labels (N,) int64
    Errors    NotADirectoryError;  ValueError for no pictures, pictures beside class folders (label 0 would mean two
              things), an unreadable picture, a bad size, channels or fit
    """
    height, width = _height_width("image_folder", size)
    if channels not in (1, 3, None):
        raise ValueError(f"image_folder: expected channels 1 (grey), 3 (RGB) or None, got {channels!r}")
    if fit not in ("crop", "pad"):
        raise ValueError(f'image_folder: expected fit "crop" or "pad", got {fit!r}')
    pictures = _list_pictures(Path(path))
    x = np.empty((len(pictures), height, width, channels or 3), np.float32)
    for i, (file, _) in enumerate(pictures):
        x[i] = bytes_to_pixels(_read_picture(file, height, width, channels, fit))
    if channels is None and (x[..., :1] == x).all():
        x = x[..., :1].copy()
    return x, np.array([label for _, label in pictures], np.int64)


def class_names(path: str | Path) -> list[str]:
    """The names of the class folders, in the order of their labels; [] if the pictures are in the folder itself."""
    pictures = _list_pictures(Path(path))
    _, folders, _ = _sort_out(Path(path))
    return [] if pictures[0][0].parent == Path(path) else [folder.name for folder in folders]


def natural_size(path: str | Path, largest: int = 64) -> tuple[int, int]:
    """(H, W) of the pictures in a folder if they all have one size, and neither side is above `largest`; else a square."""
    from minigan.datasets.picture_file import read_rgb
    size = None
    for file, _ in _list_pictures(Path(path)):
        width, height = read_rgb(file).size
        if max(width, height) > largest or size not in (None, (height, width)):
            return largest, largest
        size = height, width
    return size or (largest, largest)


def _list_pictures(folder):
    """Pairs (file, label)."""
    if not folder.is_dir():
        raise NotADirectoryError(f"image_folder: expected a folder, got {folder}")
    direct, classes, skipped = _sort_out(folder)
    inside = []
    for label, name in enumerate(classes):
        pictures, deeper, others = _sort_out(name)
        inside += [(file, label) for file in pictures]
        skipped += deeper + others
    if direct and inside:
        raise ValueError(f"image_folder: expected pictures in {folder} or in its sub-folders, got both "
                         f"({direct[0].name}, {inside[0][0].relative_to(folder)})")
    if not direct and not inside:
        raise ValueError(f"image_folder: expected {' '.join(PICTURES)} files in {folder} or its sub-folders, got none"
                         + (f", only {_in_words(skipped, folder)}" if skipped else ""))
    if skipped:
        _say_once(f"minigan: image_folder skips in {folder}: {_in_words(skipped, folder)}")
    return [(file, 0) for file in direct] or inside


def _sort_out(folder):
    """(pictures, folders, everything else), each sorted."""
    pictures, folders, others = [], [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in NO_CLASSES:
            others.append(path)
        elif path.is_dir():
            folders.append(path)
        elif path.suffix.lower() in PICTURES and path.is_file():
            pictures.append(path)
        else:
            others.append(path)
    return pictures, folders, others


def _in_words(paths, folder):
    """12 .heic (a.heic, ...), 1 folder (__MACOSX)"""
    kinds = {}
    for path in paths:
        kind = "hidden" if path.name.startswith(".") else "folder" if path.is_dir() else path.suffix.lower() or "other"
        kinds.setdefault(kind, []).append(path.relative_to(folder))
    return ", ".join(f"{len(some)} {kind} ({some[0]}{', ...' if len(some) > 1 else ''})"
                     for kind, some in sorted(kinds.items()))


@functools.cache
def _say_once(sentence):
    print(sentence, file=sys.stderr)                   # no warning: python -W error would make an error of it


def _read_picture(file, height, width, channels, fit):
    """One picture as bytes, (height, width, channels)."""
    from PIL import Image, ImageOps

    from minigan.datasets.picture_file import read_rgb
    image = read_rgb(file)
    if channels == 1:
        image = image.convert("L")
    if fit == "crop":
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    else:
        image = ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR, color="white")
    return np.asarray(image).reshape(height, width, -1)      # grey arrives as (height, width)


def pixels(x) -> np.ndarray:
    """Images in any common form, as minigan takes them; what was done is printed on standard error.

    Shapes    x (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3, whole numbers or floats -> (N, H, W, C) float32 in [-1, 1]
    Units     whole numbers are bytes, 0 to 255; floats are in [0, 1], in [-1, 1] or bytes: the range that is found decides
    Errors    ValueError for another shape or range, and for numbers that are not finite
    """
    x = np.asarray(x)
    if x.ndim not in (3, 4) or x.size == 0 or x.dtype.kind not in "iuf":
        raise ValueError(f"pixels: expected images (N, H, W), (N, H, W, C) or (N, C, H, W) of numbers, got {x.shape} of "
                         f"{x.dtype}")
    done = []
    if x.ndim == 3:
        x = x[..., None]
        done.append("a last axis was added, for one channel")
    if x.shape[3] not in (1, 3):
        if x.shape[1] not in (1, 3):
            raise ValueError(f"pixels: expected 1 or 3 channels, in the last axis or the second, got {x.shape}")
        x = x.transpose(0, 2, 3, 1)
        done.append("the channels were moved to the last axis")
    check_finite("pixels", x, "the images")
    low, high = float(x.min()), float(x.max())
    if x.dtype.kind == "f" and -1 <= low and high <= 1:
        name, x = ("[-1, 1]", x) if low < 0 else ("[0, 1]", 2 * x.astype(np.float32) - 1)
    elif 0 <= low and high <= 255:
        name, x = "bytes, 0 to 255", bytes_to_pixels(x)
    else:
        raise ValueError(f"pixels: expected bytes from 0 to 255, or floats in [0, 1] or [-1, 1], got {low:g} to {high:g}")
    print(f"minigan: pixels: {'; '.join([*done, f'the numbers were read as {name}'])}", file=sys.stderr)
    return np.ascontiguousarray(x, np.float32)


def resize(x: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
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


def to_channels(x: np.ndarray, channels: int) -> np.ndarray:
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


def _height_width(name, size):
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s > 0 for s in pair):
        raise ValueError(f"{name}: expected size to be one positive int or (H, W), got {size!r}")
    return pair


def _check_images(name, x):
    if x.ndim != 4 or x.dtype != np.float32:
        raise ValueError(f"{name}: expected images (N, H, W, C) of float32, got {x.shape} of {x.dtype}")
    check_finite(name, x, "the images")
