"""Saving and loading: one .npz of plain arrays, written whole or not at all, read without pickle.

A game is a GAN, a Translation or a CycleGAN. Each names what it consists of: its networks(), its optimizers and what
else has a state() and a set_state (stateful()), and the generators() that are in no network.
"""
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minigan.backend import asarray, rng_state, set_rng_state, to_numpy
from minigan.files import write_whole
from minigan.layers.architecture import describe


class CheckpointError(ValueError):
    """A file that is no checkpoint, is damaged, or belongs to another model."""


def save(path, game, extra=None, **arrays) -> None:
    """Write everything that a run needs to go on into `path`: the networks with their statistics and generators, the
    optimizers, the given arrays, and `extra`, any JSON value (the options of the run)."""
    content = {name: to_numpy(value) for name, value in game_arrays(game).items()}
    own = sorted(parts(content))
    for name, value in arrays.items():
        value = np.asarray(to_numpy(value))
        if parts([name]) <= {*own, "file", "parts", "description", "extra"} or value.dtype == object:
            raise ValueError(f"checkpoint.save: {name!r} must hold plain numbers, under a name that is none of the game's "
                             f"({', '.join(own)}), got {value.dtype}")
        content[name] = value
    buffer = io.BytesIO()
    texts = {"description": description(game), "extra": extra}
    content |= {name: np.array(json.dumps(value)) for name, value in texts.items()} | {"parts": np.array(own)}
    np.savez(buffer, **content)                        # type: ignore[arg-type]
    write_whole(path, buffer.getvalue())


def load(path) -> dict:
    """The arrays of a checkpoint by name, "extra" already decoded. Raises CheckpointError or FileNotFoundError."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")
    with open(path, "rb") as file:
        try:
            content = {}
            with zipfile.ZipFile(file) as npz:         # of .npy files
                for name in npz.namelist():
                    with npz.open(name) as npy:
                        array = np.lib.format.read_array(npy, allow_pickle=False)
                        if npy.read() or name.removesuffix(".npy") in content:         # read to its end, it checks its CRC
                            raise ValueError(f"{name} is longer than its array, or there twice")
                    content[name.removesuffix(".npy")] = array
            content["extra"] = json.loads(str(content["extra"]))
        except Exception as error:  # noqa: BLE001      zipfile, zlib and NumPy raise almost anything on a damaged file
            problem = " ".join(str(error).split()) or type(error).__name__
            raise CheckpointError(f"{path}: this is not a whole minigan checkpoint ({problem})") from None
    return content


def snapshot(game, **arrays) -> dict:
    """What `restore` needs to go back to this moment, and the given arrays: copies on the host."""
    return {name: to_numpy(value).copy() for name, value in (game_arrays(game) | arrays).items()}


def restore(game, content, path="checkpoint", generators=True) -> None:
    """Put what `load` returned into a game of the same make. Raises CheckpointError, before anything is changed, if the game
    has other parts (an average of G, a preprocess_D, a penalty's generator), or its parts have other arrays, shapes or dtypes.

    generators=False leaves the random generators of Dropout and the like as they are. So the checkpoint of a GPU opens on a
    CPU, whose generators draw other numbers, and the other way round."""
    _check_content(content, path)
    arrays = game_arrays(game)
    here = parts(arrays)
    there = {*map(str, np.ravel(content["parts"]))} if "parts" in content else here
    for part in sorted(here ^ there):
        where, how = ("here", "without") if part in here else ("there", "with")
        raise CheckpointError(f"{path}: made by another model: {part} is only {where}; make this one {how} it (in a GAN "
                              "average, preprocess_D, augment or penalty), or take single networks with "
                              "checkpoint.restore_network")
    _check(arrays, content, path, generators)
    for name, network in game.networks().items():
        restore_network(network, content, name, path, generators)
    for name, part in game.stateful().items():
        part.set_state({key: content[f"{name}.{key}"] for key in part.state()})
    for name, generator in game.generators().items() if generators else ():
        set_rng_state(generator, content[name])


def restore_network(network, content, name, path="checkpoint", generators=True) -> None:
    """Put the network that was saved under this name, "G" or "D", into `network`; generators and errors as in `restore`."""
    _check(network_arrays(network, name), content, path, generators)
    network.theta[...] = asarray(content[f"{name}.theta"])
    for key, value in network.states():
        value[...] = asarray(content[f"{name}.{key}"])
    for key, generator in network.generators() if generators else ():
        set_rng_state(generator, content[f"{name}.{key}"])


def _check(here, content, path, generators):
    """Raise unless `content` has all arrays of `here`, of the same kind, and no other array of these networks."""
    _check_content(content, path)
    owners = parts(here)
    for name in sorted({*here, *(name for name in content if parts([str(name)]) <= owners)}):
        if name not in content or name not in here:
            raise CheckpointError(f"{path}: made by another model or optimizer: "
                                  f"{name} is only {'here' if name in here else 'there'}")
        if generators or not name.endswith(".rng"):
            check_kind(name, content[name], here[name], path)


def _check_content(content, path):
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected the arrays that checkpoint.load gives, got {type(content).__name__}")


def check_kind(name, there, here, path) -> None:
    """Raise CheckpointError unless what a checkpoint has under this name is an array of the same kind as the one here."""
    if not isinstance(there, np.ndarray):
        raise CheckpointError(f"{path}: {name} is no array there but {type(there).__name__}")
    there, here = kind(name, there), kind(name, to_numpy(here))
    if name.endswith(".images") and "no images" in (there, here) and "images" in there:
        return                                         # an empty ImagePool takes any images
    if there != here and name.endswith(".rng"):
        raise CheckpointError(f"{path}: made on another kind of device: the random numbers of {name} are {there} there, "
                              f"{here} here; restore(..., generators=False) opens it with those of here")
    if there != here:
        raise CheckpointError(f"{path}: made by another model: {name} is {there} there, {here} here")


def parts(names) -> set[str]:
    """The parts that arrays of these names belong to: {"G"} for "G.theta"."""
    return {name.split(".")[0] for name in names}


def description(game) -> dict:
    """What a checkpoint says of the game in it, beside its arrays."""
    networks: dict = {}
    for name, network in game.networks().items():
        try:
            networks[name] = describe(network) | {"dtype": str(network.theta.dtype)}
        except ValueError as error:
            networks[name] = str(error)
    return {"networks": networks, "latent_dim": getattr(game, "latent_dim", None), "classes": getattr(game, "classes", 0)}


def kind(name, value) -> str:
    """What two arrays of one name must have in common."""
    if name.endswith(".layout"):
        return str(value)
    if name.endswith(".rng"):
        return rng_kind(value)
    if name.endswith(".images") and value.ndim:        # of an ImagePool, which may be less full
        return f"images {value.dtype} {value.shape[1:]}" if len(value) else "no images"
    return f"{value.dtype} {value.shape}"


def game_arrays(game) -> dict:
    """Name -> array of all that training changes in a game."""
    arrays: dict = {}
    for name, network in game.networks().items():
        arrays |= network_arrays(network, name)
    for name, part in game.stateful().items():
        arrays |= {f"{name}.{key}": value for key, value in part.state().items()}
    return arrays | {name: rng_state(generator) for name, generator in game.generators().items()}


def network_arrays(network, name) -> dict:
    """Name -> array of all that training changes in a network: parameters, running statistics, states of generators; and
    its layout, the names and shapes of the parameters in theta."""
    layout = ", ".join(f"{key} {'x'.join(map(str, value.shape))}" for key, value, _ in network.parameters())
    arrays = {f"{name}.layout": np.array(layout), f"{name}.theta": network.theta}
    arrays |= {f"{name}.{key}": value for key, value in network.states()}
    return arrays | {f"{name}.{key}": rng_state(generator) for key, generator in network.generators()}


def rng_kind(state: np.ndarray) -> str:
    """The kind of generator that a state of `rng_state` belongs to: "PCG64", or "CUDA" and its number of bytes. A damaged
    state is of a kind that no generator has."""
    try:
        known = json.loads(state.tobytes())
    except (ValueError, RecursionError):
        return f"CUDA {state.nbytes}"
    try:
        generator = getattr(np.random, known["bit_generator"], None)
        if isinstance(generator, type) and issubclass(generator, np.random.BitGenerator):
            generator().state = known                  # raises unless it is whole
        return known["bit_generator"]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return "damaged"
