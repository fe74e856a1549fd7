"""Folders that can be written, and files that are written whole or not at all."""
import os
import tempfile
from pathlib import Path


def write_whole(path, content: bytes) -> None:
    """Write a file so that whoever looks, at any moment and after any crash, finds the old content or the new one: a
    temporary file beside it, flushed to the disk, takes its name in one step."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_folder(path):
    """Make the folder `path` with its parents, and prove that it takes files: better now than after an hour of training.

    Errors    OSError, one sentence, if it cannot be made or written into
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise OSError(f"cannot write into the folder {path}: {error.strerror}") from None
