"""A CPU's caches: large things are computed in pieces that fit into them.

A core reads its caches some ten times as fast as the main memory. The columns of a convolution are K·K times as large as the
image; written to the main memory and read from there they cost about as much time as the product itself. So `conv` and its
relatives take a few samples at a time, whose columns stay in the cache. Adam reads four vectors and writes three; a piece of
each stays in the cache from the first line of the formula to the last.

On a GPU it is the other way round: it wants much work at once, and its pieces only have to leave room in its memory.
"""
import math

import numpy as np

from minigan.backend import Array, device, quiet, xp
from minigan.engine.exchange import batch_here
from minigan.engine.run import run
from minigan.engine.threads import workers

CPU_BYTES = 4 << 20             # of the columns of a convolution at a time: a core's part of the caches
GPU_BYTES = 128 << 20
VECTOR_BYTES = 1 << 19          # of one vector; a step of Adam works on four, and their temporaries


def pieces(N, bytes_each):
    """Slices that cut N things, each of `bytes_each` bytes, into pieces."""
    n = max(1, (CPU_BYTES if device() == "cpu" else GPU_BYTES) // bytes_each)
    return [slice(i, min(i + n, N)) for i in range(0, N, n)]


def add_product(C: Array, a: Array, b: Array) -> None:
    """C += a b: C (I, O), a (I, N), b (N, O); some rows at a time, so that the product is in the cache when it is added."""
    for i in pieces(len(C), 4 * C.shape[1] * C.itemsize):
        C[i] += a[i] @ b


# --- equals of the three linear maps in layers/convolution.py, by their own definitions ---

def conv(definition, x, W, stride, padding):
    N, H, width, _ = x.shape
    positions = math.ceil(H / stride) * math.ceil(width / stride)          # about as many as the kernel takes in an image
    return in_samples(lambda n: definition(x[n], W, stride, padding), N, positions * W[..., 0].nbytes)


def conv_adjoint(definition, y, W, shape, stride, padding):
    return in_samples(lambda n: definition(y[n], W, (len(y[n]), *shape[1:]), stride, padding), len(y), column_bytes(y, W))


def conv_weight_grad(definition, x, dy, kernel_size, stride, padding):
    first, *others = pieces(len(x), dy[0, ..., 0].size * kernel_size ** 2 * x.shape[3] * x.itemsize)
    dW = definition(x[first], dy[first], kernel_size, stride, padding)
    for n in others:
        dW += definition(x[n], dy[n], kernel_size, stride, padding)
    return dW


def column_bytes(y, W):
    """Of the columns of one sample: K·K·C numbers at each position."""
    return y[0, ..., 0].size * W[..., 0].size * y.itemsize


def in_samples(function, N, bytes_each):
    """function(n) for slices n of the samples, joined."""
    first, *others = pieces(N, bytes_each)
    part = function(first)
    if not others:
        return part
    whole = xp.empty((N, *part.shape[1:]), part.dtype)
    whole[first] = part
    for n in others:
        whole[n] = function(n)
    return whole


# --- formulas ---

def hypot(definition, a, b, negligible):
    """NumPy's hypot takes five times as long as two squares and a root, so it runs only where the squares are no numbers.
    (A GPU, whose kernels wait for the memory and not for the formula, computes both.)"""
    with quiet():
        root = xp.sqrt(a * a + b * b)
    return root if root.max() < math.inf and negligible > 1e-12 else definition(a, b, negligible)


def in_pieces(formula, arguments):
    """formula(*arguments) of an element-wise formula. Long vectors are cut, and the threads take the pieces in turns."""
    arrays = [x for x in arguments if isinstance(x, np.ndarray)]
    if batch_here() or not arrays or arrays[0].nbytes <= VECTOR_BYTES or any(x.shape != (arrays[0].size,) for x in arrays):
        return formula(*arguments)
    parts = parts_of(arrays[0], 0, arrays[0].size)
    results = [None] * len(parts)

    def work(i):
        for k in range(i, len(parts), size):
            results[k] = formula(*(x[parts[k]] if isinstance(x, np.ndarray) else x for x in arguments))

    size = min(workers(), len(parts))
    run(work, size)
    return joined(results)


def parts_of(vector, start, stop):
    """Slices, each a piece of the vector, from start to stop."""
    size = VECTOR_BYTES // vector.itemsize
    return [slice(i, min(i + size, stop)) for i in range(start, stop, size)]


def joined(results):
    """What a formula returned piece by piece: nothing, an array, or several."""
    if results[0] is None:
        return None
    if isinstance(results[0], tuple):
        return tuple(np.concatenate(parts) for parts in zip(*results))
    return np.concatenate(results)
