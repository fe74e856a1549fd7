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
import json
import math
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


def channel_sum(x):
    """Σ over all axes but the last: x (..., C) -> (C,).

    The matrix (M, C) is read as one of 256 long rows, which are added up, and so on, while the number of rows allows it.
    Over the rows of a tall matrix CuPy would sum with two blocks of a GPU; a wide one keeps all of them busy. And sums of
    sums round less than one long sum: ten to forty times, in float32, over 100,000 values. (A product with a row of ones is
    no way out: TF32 would round its factors.)
    """
    rows = x.reshape(-1, x.shape[-1])
    while 1 < (n := math.gcd(len(rows), 256)) < len(rows):
        rows = rows.reshape(n, -1).sum(axis=0).reshape(-1, x.shape[-1])
    return rows.sum(axis=0)


def synchronize() -> None:
    """Wait until the device has done all that was asked of it (a GPU works behind the program's back)."""
    if _module() is not np:
        _module().cuda.Device().synchronize()


def host_rng(seed) -> np.random.Generator:
    """Generator on the host, for weights and for the order of the data: the same numbers whatever the device."""
    return np.random.default_rng(seed)


def rng(seed):
    """Generator on the device, for noise and dropout: the methods `random`, `standard_normal` and `integers`, which
    NumPy and CuPy share. The same seed gives the same numbers on one kind of device, other numbers on the other."""
    if _module() is np:
        return np.random.default_rng(seed)
    random = _module().random       # CuPy's default keeps hundreds of thousands of generators, and moves all of them
    return random.Generator(random.Philox4x3210(seed, size=64 * 256))       # at each draw; these are plenty for a batch


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
