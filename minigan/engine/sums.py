"""Sums of many numbers, in float32 and yet right.

A sum that adds one number after another rounds at each step to the precision of what it has so far: of 100,000 equal numbers
the last ones are added to a sum 100,000 times as large, and in float32 the result is wrong in its third digit. Added in
pairs, then pairs of pairs and so on, every number takes part in 17 additions only.
"""
from minigan.backend import Array, xp


def channel_sum(x: Array) -> Array:
    """Σ over all axes but the last: x (..., C) -> (C,)."""
    return pairwise_sum(x.reshape(1, -1, x.shape[-1]))[0]


def pairwise_sum(x: Array) -> Array:
    """Σ over the middle axis: x (A, M, C) -> (A, C).

    The M rows of C numbers are read as four long rows, which are added up. That leaves a quarter of the M rows, which are read
    so again. (Pairs would be as good, and slower. Long rows also keep all of a GPU busy: over the rows of a tall matrix CuPy
    sums with two blocks. A product with a row of ones is no way out: TF32 rounds its factors.)
    """
    A, M, C = x.shape
    while M > 4:
        n = M // 4                                     # a long row has n of the M
        sums = x[:, :4 * n].reshape(A, 4, n * C).sum(axis=1).reshape(A, n, C)
        x = sums if M == 4 * n else xp.concatenate([sums, x[:, 4 * n:]], axis=1)
        M = x.shape[1]
    return x.sum(axis=1)
