"""One switch between NumPy and CuPy: the only file that knows which of the two computes.

Everywhere else one writes

    from minigan.backend import xp
    y = xp.exp(x)

`xp` looks its functions up at every use, so `use("cuda")` after the import still takes effect. All that differs between
the two modules is in the functions below: moving arrays, reading one number, random generators, waiting for the device,
making one kernel of a formula. (What a GPU needs to run a whole step as one graph is in capture.py and cublas.py; the only two
kernels written in CUDA are in columns.py.)
"""
from __future__ import annotations  # so that the generators in the signatures do not load numpy.random

import contextlib
import functools
import importlib
import itertools
import json
import os

import numpy as np


class _ArrayModule:
    """Stands for the array module that `use` chose: xp.exp is numpy.exp or cupy.exp."""

    def __getattr__(self, name):
        return getattr(_module(), name)

    def __repr__(self):
        return f"<the array module of {device()!r}>"


xp = _ArrayModule()
FORMULAS = []                   # all that is decorated with `fuse`
PIECE_BYTES = 4 << 20           # of the columns of a convolution at a time, on a CPU
GPU_PIECE_BYTES = 128 << 20     # and on a GPU; see `pieces`
_chosen = None                  # the array module; None until something is first computed
_device = None                  # "cpu", "cuda:0", "cuda:1" ...
_tf32 = False
_streams = None                 # the seeds of layers made without a generator; see `seed`
_capture = None                 # the minigan.capture.Captured that is being captured now


def use(device: str, tf32: bool | None = None) -> None:
    """Choose where all arrays live from now on: "cpu", "cuda" (its first GPU) or "cuda:1".

    tf32  on a GPU, let matrix products round their factors to TF32 (10 bits behind the point, where float32 has 23; the sums
          stay float32): several times as fast on an NVIDIA GPU since Ampere. PyTorch's convolutions do so unless told not to.
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
        _chosen, _device = _load_cupy(int(index or 0)), f"cuda:{int(index or 0)}"
        tf32 = os.environ.get("MINIGAN_TF32") == "1" if tf32 is None else tf32
        _chosen._core.set_compute_type(np.float32, 7 if tf32 else 1)           # of 2-D products; 7: TF32, 1: float32
        tf32 = _chosen._core.get_compute_type(np.float32) == 7                 # GPUs before Ampere have none; CuPy warns
    else:
        raise ValueError(f'minigan.use: unknown device {device!r}; it takes "cpu", "cuda" or "cuda:N"')
    _tf32 = bool(tf32)


def _load_cupy(index):
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


def describe_gpu() -> str:
    """The first GPU and the version of CuPy, or why there is none to use."""
    try:
        cupy = _load_cupy(0)
    except RuntimeError as error:
        return f"none: {error}"
    return f"{cupy.cuda.runtime.getDeviceProperties(0)['name'].decode()}, CuPy {cupy.__version__}"


def _module():
    if _chosen is None:
        use(os.environ.get("MINIGAN_DEVICE") or "cpu")
    return _chosen


def tf32() -> bool:
    """Whether matrix products are computed in TF32."""
    return _tf32


def device() -> str:
    """The device in use: "cpu" or "cuda:N"."""
    _module()
    return _device


def asarray(x, dtype=None):
    """x as an array on the device in use: the one door from host to device. No copy if it is there already."""
    return _module().asarray(x, dtype=dtype)


def to_numpy(x) -> np.ndarray:
    """x as a NumPy array: the one door from device to host."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def resident(x, share=0.5):
    """The host array x on the device, to stay there, if it takes no more than `share` of the memory that is free; else x
    itself. On the CPU that is the same."""
    if _module() is np or x.nbytes > share * _module().cuda.runtime.memGetInfo()[0]:
        return x
    return asarray(x)


def rows(x, index):
    """x[index] on the device, for an index on the host, wherever x is: what `resident` gave. Only what is not on the device is
    copied there, the numbers of the rows or the rows."""
    return asarray(x[index]) if isinstance(x, np.ndarray) else xp.take(x, asarray(index), axis=0)


def scalar(x) -> float:
    """One number as a Python float. On a GPU this waits for the device."""
    return float(x)


def scalars(values) -> list[float]:
    """Some numbers at once: on a GPU one wait for the device. A training step reads its losses and D's scores so, and nothing
    else."""
    return to_numpy(xp.stack([asarray(value) for value in values])).tolist()


def fuse(formula):
    """Decorator for an element-wise formula: on a GPU all its lines become one kernel, which reads and writes each array once;
    on the CPU it is the plain function.

    CuPy finds the kernel by calling the formula once with symbols in place of arrays. So it takes its arguments by position,
    arrays and Python numbers; computes with operators and functions of xp only (no method but astype, no index but [...],
    no sums); returns arrays of one shape, that of all its arguments together; and lets no two numbers meet: CuPy would
    compute 1 - beta, both Python floats, in float16. tests/test_fuse.py holds every formula against that.
    """
    kernels = {}

    @functools.wraps(formula)
    def late(*arguments):
        module = _module()
        if module is np:
            return formula(*arguments)
        if module not in kernels:
            kernels[module] = module.fuse(kernel_name=formula.__name__)(formula)
        return kernels[module](*arguments)

    FORMULAS.append(late)
    return late


def kernel(name, text):
    """On a GPU: `text`, some lines of CUDA, as a function kernel(a, out). They run once for each element b of the array `out`,
    which is number i of it, all side by side; a[j] are the elements of the array `a`, and T is the type of both. It is
    compiled at its first use. For what no formula of `fuse` can say."""
    return _kernel(_module(), name, text)


@functools.cache
def _kernel(module, name, text):
    return module.ElementwiseKernel("raw T a", "T b", text, name)


def each_step(function, dtype):
    """function(), a tuple of Python floats that the host finds anew for each step: a learning rate that falls, the t in
    Adam's formula. All such numbers come by this door: a step that is captured as a CUDA graph (minigan/capture.py) would
    repeat those of its first run for ever, so there they come as arrays of one number, which are written before each run."""
    return function() if _capture is None else _capture.each_step(function, dtype)


def fixed(function):
    """function(), a decision of the host on which the form of the step depends: whether there is noise at all. When it
    changes, a captured step is captured anew."""
    return function() if _capture is None else _capture.fixed(function)


@contextlib.contextmanager
def capturing(capture):
    """While the block runs, `each_step` and `fixed` go to `capture`, the step that is being captured; gives CuPy."""
    global _capture
    _capture = capture
    try:
        yield _module()
    finally:
        _capture = None


def pieces(N, bytes_each):
    """Slices that cut N things, of so many bytes each, into pieces: on a CPU they fit into a core's share of the caches; a GPU
    wants much work at once, and its pieces only have to leave room in its memory for other things."""
    n = max(1, (PIECE_BYTES if device() == "cpu" else GPU_PIECE_BYTES) // bytes_each)
    return [slice(i, min(i + n, N)) for i in range(0, N, n)]


def quiet():
    """While the block runs, NumPy does not warn of numbers that overflow: they are looked for and put right. (CuPy never
    warns.)"""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def overflowed(x):
    """Whether a number in x is not finite. On a GPU, where the answer would have to be waited for, it is no."""
    return _module() is np and not np.isfinite(x).all()


def synchronize() -> None:
    """Wait until the device has done all that was asked of it (a GPU works behind the program's back)."""
    if _module() is not np:
        _module().cuda.Device().synchronize()


def seed(number: int) -> None:
    """Begin anew the streams of all layers that are made without a generator.

    Each such layer takes the next stream of one sequence, which every program begins with seed(0). So two layers never share a
    stream, and the same program draws the same numbers twice. In a notebook, whose cells run more than once, call it before
    the networks are built; or pass a generator to every layer, which is best.
    """
    global _streams
    _seeded(np.random.SeedSequence, number)
    _streams = map(lambda i: np.random.SeedSequence(number, spawn_key=(i,)), itertools.count())     # that threads may share


def next_stream():
    """The seed of a layer that was given no generator, for host_rng or rng. It differs from every whole number and list of
    them."""
    if _streams is None:
        seed(0)
    return next(_streams)


def host_rng(seed) -> np.random.Generator:
    """Generator on the host, for weights and for the order of the data: the same numbers whatever the device."""
    return _seeded(np.random.default_rng, seed)


def rng(seed):
    """Generator on the device, for noise and dropout: the methods `random`, `standard_normal` and `integers`, which
    NumPy and CuPy share. The same seed gives the same numbers on one kind of device, other numbers on the other."""
    if _module() is np:
        return host_rng(seed)
    random = _module().random       # CuPy's default keeps hundreds of thousands of generators, and moves all of them
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
