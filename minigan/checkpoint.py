"""Saving and loading: one .npz of plain arrays, written whole or not at all, read without pickle."""
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from minigan.backend import asarray, rng_state, set_rng_state, to_numpy


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or belongs to another model."""


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
        os.unlink(temporary)
        raise


def save(path, gan, extra=None, **arrays) -> None:
    """Write everything that a run needs to go on into `path`: both networks with their statistics and generators, both
    optimizers, the given arrays, and `extra`, any JSON value (the options of the run)."""
    content = {name: to_numpy(value) for name, value in (gan_arrays(gan) | arrays).items()}
    content["extra"] = np.array(json.dumps(extra))
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    write_whole(path, buffer.getvalue())


def load(path) -> dict:
    """The arrays of a checkpoint by name, "extra" already decoded. Raises CheckpointError or FileNotFoundError."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        content["extra"] = json.loads(str(content["extra"]))
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: this is not a whole minigan checkpoint ({error})") from None
    return content


def restore(gan, content, path="checkpoint") -> None:
    """Put what `load` returned into a GAN of the same make. Raises CheckpointError, before anything is changed, if the
    networks or optimizers have other arrays, other shapes or another dtype."""
    here = gan_arrays(gan)
    for name, value in here.items():
        if name not in content:
            raise CheckpointError(f"{path}: made by another model or optimizer: it has no {name}")
        there = content[name]
        if not name.endswith(".rng") and (there.shape, there.dtype) != (value.shape, value.dtype):
            raise CheckpointError(f"{path}: made by another model: {name} is {there.dtype} {there.shape} there, "
                                  f"{value.dtype} {value.shape} here")
    for name, network in (("G", gan.G), ("D", gan.D)):
        restore_network(network, content, name)
    gan.optimizer_G.set_state({key: content[f"optimizer_G.{key}"] for key in gan.optimizer_G.state()})
    gan.optimizer_D.set_state({key: content[f"optimizer_D.{key}"] for key in gan.optimizer_D.state()})


def restore_network(network, content, name) -> None:
    network.theta[...] = asarray(content[f"{name}.theta"])
    for key, value in network.states():
        value[...] = asarray(content[f"{name}.{key}"])
    for key, generator in network.generators():
        set_rng_state(generator, content[f"{name}.{key}"])


def gan_arrays(gan) -> dict:
    """Name -> array of all that training changes in a GAN."""
    arrays = {}
    for name, network in (("G", gan.G), ("D", gan.D)):
        arrays[f"{name}.theta"] = network.theta
        arrays |= {f"{name}.{key}": value for key, value in network.states()}
        arrays |= {f"{name}.{key}": rng_state(generator) for key, generator in network.generators()}
    for name, optimizer in (("optimizer_G", gan.optimizer_G), ("optimizer_D", gan.optimizer_D)):
        arrays |= {f"{name}.{key}": value for key, value in optimizer.state().items()}
    return arrays
