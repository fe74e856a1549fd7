"""Means, variances and lengths of float32 numbers, in which what is finite stays finite.

In float32 the square of 2e19 is infinite and that of 1e-23 is zero, where the number itself is far from either. So `norm`
divides by the largest number before it squares, and the others look whether a sum or a square has overflowed.
"""

from minigan.backend import Array, overflowed, quiet, xp
from minigan.engine import accelerated


def mean(x: Array) -> Array:
    """The mean of all numbers of x. They are divided first, so it is a number wherever the mean is one, even if the sum of
    losses of 2e38 is not."""
    return (x / x.size).sum()


def mean_square(x: Array) -> Array:
    """mean(x²), which no square and no sum on the way overflows."""
    x = x * x.size ** -0.5
    return (x * x).sum()


def norm(x: Array, axis: int | None = None) -> tuple[Array, Array]:
    """(‖x‖, x/‖x‖) over the given axis, which stays as one of size 1, or over all.

    The largest |x| is divided out first. Then no square is above 1 and one of them is 1, so none overflows and the root is
    never 0: a vector of zeros has the direction 0.
    """
    largest = xp.abs(x).max(axis=axis, keepdims=True)
    largest = xp.maximum(largest, float(xp.finfo(x.dtype).tiny))
    x = x / largest
    root = xp.sqrt((x * x).sum(axis=axis, keepdims=True))
    return largest * root, x / xp.maximum(root, 1.0)


@accelerated
def hypot(a: Array, b: Array, negligible: float) -> Array:
    """√(a² + b²), element by element, also where a² is infinite or zero; at most 1e-7 of `negligible` may be lost."""
    with quiet():
        root = xp.sqrt(a * a + b * b)
    return xp.where((root > 1e-18) & xp.isfinite(root), root, xp.hypot(a, b))


def average(sum_of, x, M) -> Array:
    """sum_of(x) / M; where the sum overflows although the mean does not, sum_of(x / M)."""
    with quiet():
        mean = sum_of(x) / M
    return sum_of(x / M) if overflowed(mean) else mean


def centred(x, mean) -> tuple[Array, Array]:
    """(x - mean(x), mean(x)), in two rounds.

    The mean of numbers about 10,000 is wrong by up to 0.0005, for that is how a float32 of this size is rounded. But their
    differences to it are small, without an error, and so the mean of these, which is what was missing, is accurate.
    Source    Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance" (shifted data)
    """
    m = mean(x)
    x = x - m
    missing = mean(x)
    x -= missing
    return x, m + missing


def inverse_std(x, mean, eps) -> tuple[Array, Array]:
    """(1/√(var + eps), var) with var = mean(x²), for x of mean 0.

    Where x² overflows although x does not, var is infinite but its root is a number: that of the mean of (x · tiny)², over
    tiny. (eps is nothing beside such an x.) On a GPU this is not looked for: it would have to wait for var.
    """
    with quiet():
        var = mean(x * x)
        inv_std = xp.sqrt(var + eps) / (var + eps)     # 1/√ would be 0 for an infinite var; this is NaN, which is noticed
        if overflowed(var):
            tiny = float(xp.finfo(x.dtype).tiny) ** 0.8
            small = x * tiny
            inv_std = xp.where(xp.isinf(var), tiny / xp.sqrt(mean(small * small)), inv_std)
    return inv_std, var
