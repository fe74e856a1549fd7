"""Sums of many numbers, in float32 and yet right.

A sum that adds one number after another rounds at each step to the precision of what it has so far: of 100,000 equal numbers
the last ones are added to a sum 100,000 times as large, and in float32 the result is wrong in its third digit. Added in
pairs, then pairs of pairs and so on, every number takes part in 17 additions only. Added in sixteens and sixteens of these, it
takes part in at most 75, and the numbers are read and written less often.
"""
from minigan.backend import Array, xp

ROWS = 16           # with 4 it takes twice as many kernels on a GPU; with 32 the error of a sum of equal numbers grows to 8e-7


def channel_sum(x: Array) -> Array:
    """Σ over all axes but the last: x (..., C) -> (C,)."""
    return pairwise_sum(x.reshape(1, -1, x.shape[-1]))[0]


def pairwise_sum(x: Array) -> Array:
    """Σ over the middle axis: x (A, M, C) -> (A, C).

    The M rows of C numbers are read as ROWS long rows, which are added up. That leaves M / ROWS rows, which are read so again.
    (Long rows also keep all of a GPU busy: over the rows of a tall matrix CuPy sums with two blocks. A product with a row of
    ones is no way out: TF32 rounds its factors.)
    """
    A, M, C = x.shape
    while M > ROWS:
        n = M // ROWS                                  # a long row has n of the M
        sums = x[:, :ROWS * n].reshape(A, ROWS, n * C).sum(axis=1).reshape(A, n, C)
        x = sums if M == ROWS * n else xp.concatenate([sums, x[:, ROWS * n:]], axis=1)
        M = x.shape[1]
    return x.sum(axis=1)


def in_pairs(values: dict, start: int, stop: int, count: int, add) -> dict:
    """{i: value} for i from start to stop -> the same, added up in pairs, and pairs of pairs, of all `count` values. A pair is
    under the smaller of its two numbers, and is added up once both its halves are whole. With all values that leaves {0: Σ}.

    So who has some of the values can begin, and others go on: the result does not depend on who had which.
    """
    values, length = dict(values), 1
    while length < count:
        for i in range(0, count, 2 * length):
            if i >= start and i + length in values and min(i + 2 * length, count) <= stop:
                values[i] = add(values[i], values.pop(i + length))
        length *= 2
    return values
