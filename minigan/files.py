"""Folders that can be written, one run in each, and files that are written whole or not at all."""
import contextlib
import io
import itertools
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

try:
    import fcntl
except ImportError:                                    # Windows
    import msvcrt
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """An OSError in the block names `path`. (The error of a full disk does not name the file.)"""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None        # of the same class: that follows from errno


def write_whole(path, content: bytes) -> None:
    """Write a file so that whoever looks, at any moment and after any crash, finds the old content or the new one: a
    temporary file beside it, flushed to the disk, takes its name in one step. Raises OSError, which names the file."""
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.tmp")
    with naming(path):
        try:
            with open(temporary, "xb") as file:        # a new file, open to whom the umask opens it
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def make_folder(path: str | Path) -> None:
    """Make the folder `path` with its parents, and prove that it takes files: better now than after an hour of training.

    Errors    OSError, one sentence, if it cannot be made or written into
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise OSError(error.errno, f"cannot write into the folder: {error.strerror}", str(path)) from None


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder that is nobody else's: `path`, or if that is there already, with -2, -3 ... behind. It is made, not only found
    free: two programs that ask at one moment get two folders. If the block fails with nothing in it, it is gone again."""
    path = Path(path)
    make_folder(path.parent)
    for i in itertools.count(1):
        folder = path.with_name(f"{path.name}-{i}") if i > 1 else path
        try:
            folder.mkdir()
            break
        except FileExistsError:
            continue
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):             # it is not empty
            os.removedirs(folder)
        raise


@contextlib.contextmanager
def alone_in(folder: str | Path) -> Iterator[None]:
    """While the block runs, no other one, of this process or any other, is in this folder. The lock is the operating system's,
    on the file .lock, which stays there: it ends with the block or with the process, also by kill -9.

    Errors    BlockingIOError if another block is in the folder
    """
    with open(Path(folder, ".lock"), "a") as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except (BlockingIOError, PermissionError):
            raise BlockingIOError(f"{folder} is in use by another run: wait until it has ended, or choose another "
                                  "folder") from None
        except OSError:                                # a file system that has no locks; then there is none
            pass
        yield


# --- pictures: arrays (height, width, 1 or 3) of uint8 ---

def save_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture as PNG."""
    write_whole(path, png(picture))


def png(picture: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG file."""
    file = io.BytesIO()
    _pillow(picture).save(file, "PNG")
    return file.getvalue()


def read_picture(path: str | Path, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A PNG as `save_picture` writes it, or the first frame of a GIF, as a picture.

    Errors    ValueError, one sentence, for anything else, and for a picture of another shape than `shape`
    """
    try:
        if not Path(path).is_file():                   # a named pipe would be waited for
            raise ValueError("it is no file")
        with Image.open(path, formats=("PNG", "GIF")) as image:
            if image.format == "PNG" and image.mode not in ("L", "RGB"):           # those that save_picture writes
                raise ValueError(f"its mode is {image.mode}")
            picture = np.atleast_3d(np.asarray(image if image.mode == "L" else image.convert("RGB")))
    except Exception as error:  # noqa: BLE001          Pillow raises almost anything on a damaged file
        raise ValueError(f"plots: expected a PNG or a GIF, cannot read {path} ({error})") from None
    if shape not in (None, picture.shape):
        raise ValueError(f"plots: expected a picture of shape {shape}, got {picture.shape} in {path}")
    return picture


def save_gif(path: str | Path, frames: list[np.ndarray], seconds_per_frame: float = 0.1) -> None:
    """Write a film as an animated GIF that repeats for ever and holds its last frame for two seconds.

    Shapes    frames: pictures of one shape
    Units     GIF counts time in hundredths of a second; many viewers show no frame for less than two of them
    Errors    ValueError for no frames or frames of several shapes
    """
    if not 0 <= seconds_per_frame < math.inf:
        raise ValueError(f"plots.save_gif: seconds_per_frame must be at least 0 and below inf, got {seconds_per_frame!r}")
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1:
        raise ValueError(f"plots.save_gif: expected frames of one shape, got {sorted(shapes) or 'none'}")
    images = [_pillow(frame).quantize(256, dither=Image.Dither.NONE) for frame in frames]     # GIF has 256 colours
    durations = [round(1000 * seconds_per_frame)] * (len(frames) - 1) + [2000]
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    write_whole(path, file.getvalue())


def _pillow(picture):
    return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
