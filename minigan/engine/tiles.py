"""Where a convolution is computed by minimal filtering, what that is in tiles of an image, and the equals that do it.

The derivation, and what V, U and p are, is in filtering.py.
"""
import functools
from types import SimpleNamespace

import numpy as np

from minigan.engine import pieces
from minigan.engine.filtering import (
    framed,
    inputs,
    inputs_backward,
    kernel,
    kernel_backward,
    matrices,
    outputs,
    outputs_backward,
    unframed,
)
from minigan.padding import pad_and_count

# --- the choice, by shapes alone: a run computes the same on every machine ---

OUTPUTS = {2: (2, 3), 3: (2,), 5: (2,)}         # for so many taps of a phase: outputs of a tile, along an axis
SUM, DENSE_SUM, COPY = 55, 85, 25               # what a number of V, or y, and one of im2col's takes, in multiply-adds
GAIN = 0.92                                     # what is saved must be more than the estimate is wrong
TILE_BYTES = 8 << 20                            # of a row of V and all products: what is larger leaves the caches


@functools.cache
def choose(N, H, W, C, F, K, S, padding) -> SimpleNamespace | None:
    """The tiling with which this convolution of N images is fastest, or None: the definition. What both take is estimated;
    benchmarks/filtering.py measures it."""
    (_, _, OH), (_, _, OW) = pad_and_count(H, K, S, padding), pad_and_count(W, K, S, padding)
    best, least, r, channels = 0, GAIN * N * OH * OW * K * K * C * (F + COPY), -(-K // S), S * S * C
    for m in OUTPUTS.get(r, ()):
        n, each = m + r - 1, SUM if r < 5 else DENSE_SUM
        tiles = N * -(-OH // m) * -(-OW // m)
        work = n * n * (tiles * (channels * F + each * (channels + F)) + channels * F * (r * r + each))
        if work < least:
            best, least = m, work
    return tiling(H, W, C, F, K, S, padding, best) if best else None


@functools.cache
def tiling(H, W, C, F, K, S, padding, m) -> SimpleNamespace:
    """How images are cut into tiles of m x m outputs, each of which sees n x n inputs of every phase."""
    r, (top, _, OH), (left, _, OW) = -(-K // S), pad_and_count(H, K, S, padding), pad_and_count(W, K, S, padding)
    n, rows, columns = m + r - 1, -(-OH // m), -(-OW // m)
    tall, wide = m * rows + r - 1, m * columns + r - 1         # of a phase
    A, G, B = matrices(m, r)
    image = slice(top, min(top + H, S * tall)), slice(left, min(left + W, S * wide))       # where it is in its frame
    numbers = rows * columns * n * (S * S * C + n * F) + rows * wide * S * S * C           # of V[k], of p, and on the way
    return SimpleNamespace(C=C, F=F, K=K, S=S, m=m, r=r, n=n, OH=OH, OW=OW, H=H, W=W, rows=rows, columns=columns, tall=tall,
                           wide=wide, A=A, G=G, B=B, image=image, numbers=numbers)


# --- the equals of the three linear maps ---

def conv(definition, x, W, stride, padding):
    t = choose(*x.shape, W.shape[3], len(W), stride, padding)
    if t is None:
        return pieces.conv(definition, x, W, stride, padding)
    U, y = kernel(t, W), np.empty((len(x), t.OH, t.OW, t.F), x.dtype)
    for i in images(t, x):
        d = framed(t, x[i])
        p = np.empty((t.n, t.n, len(d) * t.rows * t.columns, t.F), x.dtype)
        for k in range(t.n):
            np.matmul(inputs(t, d, k), U[k], out=p[k])
        outputs(t, p, y[i])
    return y


def conv_adjoint(definition, y, W, shape, stride, padding):
    t = choose(*shape, W.shape[3], len(W), stride, padding)
    if t is None:
        return pieces.conv_adjoint(definition, y, W, shape, stride, padding)
    U, x = kernel(t, W).swapaxes(2, 3), np.empty((len(y), *shape[1:]), y.dtype)
    for i in images(t, y):
        p, d = outputs_backward(t, y[i]), framed(t, np.zeros_like(x[i]))
        for k in range(t.n):
            inputs_backward(t, p[k] @ U[k], k, d)
        unframed(t, d, x[i])
    return x


def conv_weight_grad(definition, x, dy, kernel_size, stride, padding):
    t = choose(*x.shape, dy.shape[3], kernel_size, stride, padding)
    if t is None:
        return pieces.conv_weight_grad(definition, x, dy, kernel_size, stride, padding)
    dU = np.zeros((t.n, t.n, t.S ** 2 * t.C, t.F), x.dtype)
    for i in images(t, x):
        p, d = outputs_backward(t, dy[i]), framed(t, x[i])
        for k in range(t.n):
            dU[k] += inputs(t, d, k).swapaxes(1, 2) @ p[k]
    return kernel_backward(t, dU)


def images(t, x) -> list[slice]:
    """Slices of a few images, of which a row of V, and the products, stay in the caches."""
    n = max(1, TILE_BYTES // (t.numbers * x.itemsize))
    return [slice(i, min(i + n, len(x))) for i in range(0, len(x), n)]
