"""One switch between NumPy and CuPy: the only file that knows which of the two computes.

Everywhere else one writes

    from minigan.backend import xp
    y = xp.exp(x)

`xp` looks its functions up at every use, so `use("cuda")` after the import still takes effect. All that differs between
the two modules is in the functions below: moving arrays, reading one number, random generators, waiting for the device.
What only makes things fast on one of them is in minigan/engine.
"""
from __future__ import annotations  # so that the generators in the signatures do not load numpy.random

import functools
import importlib
import itertools
import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray            # an array on the device in use; CuPy's have the same methods
F = TypeVar("F", bound=Callable)          # of a decorator: a function comes out as it went in
T = TypeVar("T")


class _ArrayModule:
    """Stands for the array module that `use` chose: xp.exp is numpy.exp or cupy.exp."""

    def __getattr__(self, name):
        return getattr(array_module(), name)

    def __repr__(self):
        return f"<the array module of {device()!r}>"


xp = _ArrayModule()
_chosen = None                  # the array module; None until something is first computed
_device = ""                    # "cpu", "cuda:0", "cuda:1" ...
_tf32 = False
_streams: Any = None                 # the seeds of layers made without a generator; see `seed`
_capture = None                 # the minigan.engine.capture.Captured that is being captured now


def use(device: str, tf32: bool | None = None) -> None:
    """Choose where all arrays live from now on: "cpu", "cuda" (its first GPU) or "cuda:1".

    tf32  on a GPU, let matrix products round their factors to TF32 (10 bits behind the point, where float32 has 23; the sums
          stay float32): several times as fast on an NVIDIA GPU since Ampere. PyTorch's convolutions do so by default.
          Without it the environment variable MINIGAN_TF32, 1 or 0, decides, else it is off

    Call it before building networks: arrays that exist already stay where they are. Without a call the environment
    variable MINIGAN_DEVICE decides, else the CPU. Raises ValueError for an unknown name and for tf32 on the CPU,
    RuntimeError where CuPy or the GPU is missing.
    """
    global _chosen, _device, _tf32
    kind, _, index = str(device).partition(":")
    if kind == "cpu" and not index:
        if tf32:
            raise ValueError('minigan.use: tf32=True is for a GPU; "cpu" computes its products in float32')
        _chosen, _device = np, "cpu"
    elif kind == "cuda" and (index.isdecimal() or device == "cuda"):
        _chosen, _device = load_cupy(int(index or 0)), f"cuda:{int(index or 0)}"
        tf32 = os.environ.get("MINIGAN_TF32") == "1" if tf32 is None else tf32
        _chosen._core.set_compute_type(np.float32, 7 if tf32 else 1)           # of 2-D products; 7: TF32, 1: the default
        tf32 = _chosen._core.get_compute_type(np.float32) == 7                 # GPUs before Ampere have none; CuPy warns
    else:
        raise ValueError(f'minigan.use: unknown device {device!r}; it takes "cpu", "cuda" or "cuda:N"')
    _tf32 = bool(tf32)


def load_cupy(index: int) -> Any:
    """CuPy, with this GPU in use. Raises RuntimeError, which names what is missing."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise RuntimeError(f'minigan.use("cuda") needs CuPy, which cannot be imported here ({error}); '
                           'install it with: pip install "cupy-cuda12x[ctk]" (or cuda13x, as your driver has it)') from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:              # CuPy has its own error types, which cannot be named without importing it
        raise RuntimeError(f'minigan.use("cuda"): CuPy {cupy.__version__} finds no usable GPU ({error}); '
                           'it needs an NVIDIA GPU and its driver; minigan.use("cpu") works everywhere') from None
    if index >= count:
        raise RuntimeError(f'minigan.use("cuda:{index}"): this machine has {count} GPU(s), numbered from 0')
    cupy.cuda.Device(index).use()
    return cupy


def array_module() -> Any:
    """NumPy or CuPy itself."""
    if _chosen is None:
        use(os.environ.get("MINIGAN_DEVICE") or "cpu")
    return _chosen


def tf32() -> bool:
    """Whether matrix products are computed in TF32."""
    return _tf32


def device() -> str:
    """The device in use: "cpu" or "cuda:N"."""
    array_module()
    return _device


def asarray(x, dtype=None) -> Array:
    """x as an array on the device in use: the one door from host to device. No copy if it is there already."""
    return array_module().asarray(x, dtype=dtype)


def to_numpy(x) -> np.ndarray:
    """x as a NumPy array: the one door from device to host."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def scalar(x) -> float:
    """One number as a Python float. On a GPU this waits for the device."""
    return float(x)


def scalars(values) -> list[float]:
    """Some numbers at once: on a GPU one wait for the device. A training step reads its losses and D's scores so, and nothing
    else."""
    return to_numpy(xp.stack([asarray(value) for value in values])).tolist()


def quiet() -> np.errstate:
    """While the block runs, NumPy does not warn of numbers that overflow: they are looked for and put right. (CuPy never
    warns.)"""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def overflowed(x: Array) -> bool:
    """Whether a number in x is not finite. On a GPU, where the answer would have to be waited for, it is no."""
    return array_module() is np and not np.isfinite(x).all()


def synchronize() -> None:
    """Wait until the device has finished its work (a GPU runs while the program goes on)."""
    if array_module() is not np:
        array_module().cuda.Device().synchronize()


def seed(number: int) -> None:
    """Begin anew the streams of all layers that are made without a generator.

    Each such layer takes the next stream of one sequence, which every program begins with seed(0). So two layers never share a
    stream, and the same program draws the same numbers twice. In a notebook, whose cells run more than once, call it before
    the networks are built; or pass a generator to every layer, which is best.
    """
    global _streams
    _seeded(np.random.SeedSequence, number)
    _streams = map(lambda i: np.random.SeedSequence(number, spawn_key=(i,)), itertools.count())     # that threads may share


def next_stream() -> np.random.SeedSequence:
    """The seed of a layer that was given no generator, for host_rng or rng. It differs from every whole number and list of
    them."""
    if _streams is None:
        seed(0)
    return next(_streams)


def host_rng(seed) -> np.random.Generator:
    """Generator on the host, for weights and for the order of the data: the same numbers whatever the device."""
    return _seeded(np.random.default_rng, seed)


def rng(seed) -> Any:
    """Generator on the device, for noise and dropout: the methods `random`, `standard_normal` and `integers`, which
    NumPy and CuPy share. The same seed gives the same numbers on one kind of device, other numbers on the other."""
    if array_module() is np:
        return host_rng(seed)
    random = array_module().random       # CuPy's default keeps hundreds of thousands of generators, and moves all of them
    make = functools.partial(random.Philox4x3210, size=64 * 256)            # at each draw; these are plenty for a batch
    return random.Generator(_seeded(make, seed))


def _seeded(make, seed):
    try:
        if seed is not None:                           # of which NumPy would make other numbers at each run
            return make(seed)
    except (ValueError, TypeError):
        pass
    raise ValueError(f"a seed must be a whole number of at least 0, or a list of such, got {seed!r}")


def rng_state(generator) -> np.ndarray:
    """All that a generator remembers, as bytes for a checkpoint."""
    bits = generator.bit_generator
    if isinstance(bits, np.random.BitGenerator):
        return np.frombuffer(json.dumps(bits.state, default=np.ndarray.tolist).encode(), np.uint8)
    return to_numpy(bits._state).view(np.uint8)


def set_rng_state(generator, state: np.ndarray) -> None:
    """Put a generator where `rng_state` saw it. Raises ValueError for the state of another kind of generator."""
    bits = generator.bit_generator
    try:
        if isinstance(bits, np.random.BitGenerator):
            bits.state = json.loads(state.tobytes())
        else:
            bits._state.reshape(state.shape)[...] = asarray(state.view(np.int8))
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"this random state is not one of {type(bits).__name__}, the generator of {device()!r}: "
                         "a run continues on the kind of device that it was started on") from None
