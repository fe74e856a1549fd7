"""Minimal filtering: a convolution with fewer multiplications, for some sums before and after.

**Three products for four.** Two neighbouring outputs of a kernel of two taps, along one axis:

    y0 = d0 g0 + d1 g1              p0 = (d0 - d1) g0    p1 = d1 (g0 + g1)    p2 = (d2 - d1) g1
    y1 = d1 g0 + d2 g1              y0 = p0 + p1         y1 = p1 + p2

On the left are four products, on the right three. In a convolution a "product" is one of matrices: d0 stands for the C
channels of a pixel, g0 for C x F weights. The sums of d then cost C additions and serve all F outputs, those of g are made
once for the whole batch, and what is saved is a quarter of the products, of C x F multiplications each.

**Three matrices.** V = B d, U = G g, p = U · V number by number, y = A p. Where do such B, G and A come from, for m outputs
of r taps? From polynomials. That with coefficients g times that with coefficients u has n = m + r - 1 coefficients s = T u,
with T[i + j, i] = g_j: read backward, y = Tᵀ d is the filter, y_i = Σ_j d_(i + j) g_j. Now a polynomial with n coefficients
is known from its values at n points, and values are multiplied one by one. Let row i of E_k be 1, t, t², … up to k numbers,
for point t_i; for the point ∞ it is 0, …, 0, 1, as there the last coefficient counts alone. Then

    E_n s = (E_r g) · (E_m u)      so      T = E_n⁻¹ diag(E_r g) E_m      and      y = Tᵀ d = E_mᵀ ((E_r g) · (E_n⁻ᵀ d))

    G = E_r      A = E_mᵀ      B = E_n⁻ᵀ           n products in place of m r

With the points 0, 1, ∞ these are the three products above.

**Two axes.** Let d0, d1 … be rows of an image, and g0, g1 … rows of a kernel: each product is then a filter along the other
axis. So d, g and y become square matrices, V = B d Bᵀ, U = G g Gᵀ, y = A (U · V) Aᵀ, and 3 x 3 products serve for 4 x 4.

**Stride S.** The taps i = S t + p of a kernel meet every S-th pixel only, those of phase p. So the convolution is a sum over
the phases of convolutions with stride 1 and r = ⌈K / S⌉ taps, and the S x S phases of C channels are S² C channels. (Taps
that a phase lacks are zeros.) Products for each pair of channels, beside those of the definition:

    K 3, S 1    m = 2   16 for 36               K 4, S 2    m = 2   36 for 64 (9 for 16 in each of four phases)
    K 5, S 1    m = 2   36 for 100                          m = 3   64 for 144
                                                K 5, S 2    m = 2   64 for 100

**Backward.** For a fixed g, y is linear in d, and for a fixed d in g. So the adjoint and the weight gradient take the three
matrices in the other direction, and nothing is left to derive:

    d = Bᵀ (U · (Aᵀ y A)) B          dg = Gᵀ (V · (Aᵀ dy A)) G

**Rounding.** Points 0, 1, -1 and ∞ only add and subtract: in float32 the error is 1e-6 of the largest value, not much more
than that of the definition. Five taps need two points more, and numbers of other sizes are then added: 4e-6 with 1/2 and -2,
1e-5 with 2 and -2. More outputs a tile would need fewer products, and more points: those are left out.

Source    Winograd 1980, "Arithmetic Complexity of Computations" (from polynomials); Lavin & Gray 2016, arXiv:1509.09308 (in
          two dimensions, for networks); Barabasz et al. 2018, arXiv:1803.10986 (points)
"""
import functools

import numpy as np

from minigan.backend import Array

POINTS = {3: (0, 1), 4: (0, 1, -1), 6: (0, 1, -1, 1 / 2, -2)}      # for n products, and ∞
DENSE = 36                      # numbers in a matrix that has too few zeros to leave them out


@functools.cache
def matrices(m: int, r: int) -> tuple[Array, Array, Array]:
    """(A, G, B) of m outputs and r taps, in float64. Each row of B is divided by a power of 2, and that of G multiplied by it,
    so that halves meet the weights, which are few."""
    n = m + r - 1

    def powers(k):
        return np.array([[float(t) ** j for j in range(k)] for t in POINTS[n]] + [[0.0] * (k - 1) + [1.0]])

    B = np.linalg.inv(powers(n)).T
    scale = 2.0 ** np.round(np.log2(abs(B).max(axis=1, keepdims=True)))
    return powers(m).T, powers(r) * scale, np.round(B / scale, 15)         # else a zero may be 1e-17


# --- along one axis, the first of each array ---

def combine(matrix, parts, out) -> None:
    """out[i] = Σ_j matrix[i, j] parts[j]: where it has many zeros as sums of arrays, else as a product of matrices."""
    if len(matrix) * len(parts) < DENSE:
        for factors, into in zip(matrix, out):
            add_up(factors, parts, into)
    else:
        for into, result in zip(out, product(matrix, parts)):
            into[...] = result


def add_windows(t, parts, whole) -> None:
    """The transpose of `combine(B, windows(whole), parts)`: what is over the same place is added."""
    count = t.m * len(parts[0])
    whole[count:] = 0                                  # the first m windows lie side by side up to there
    results = product(t.B.T, parts) if t.B.size >= DENSE else None
    for j, into in enumerate(windows(t, whole, len(parts[0]))):
        factors, arrays = (t.B[:, j], parts) if results is None else ([1.0], [results[j]])
        add_up(factors, arrays, into, empty=j < t.m)


def windows(t, x, count) -> list[Array]:
    """x[j], x[j + m], … for j = 0 … n - 1: what is at place j of each tile."""
    return [x[j:j + t.m * count:t.m] for j in range(t.n)]


def add_up(factors, arrays, out, empty=True) -> None:
    """out = Σ factor · array, or out += …, with no multiplication where a factor is 1 or -1."""
    terms = sorted(((float(factor), array) for factor, array in zip(factors, arrays) if factor), key=lambda term: -term[0])
    if empty:
        (factor, first), *terms = terms
        if terms and factor == abs(terms[0][0]) == 1:
            (sign, second), *terms = terms
            (np.add if sign == 1 else np.subtract)(first, second, out=out)
        else:
            np.multiply(first, factor, out=out)
    for factor, array in terms:
        if abs(factor) == 1:
            (np.add if factor == 1 else np.subtract)(out, array, out=out)
        else:
            out += factor * array


def product(matrix, parts):
    stacked = np.stack(parts).reshape(len(parts), -1)
    return (matrix.astype(stacked.dtype) @ stacked).reshape(len(matrix), *parts[0].shape)


# --- V = B d Bᵀ, U = G g Gᵀ, y = A p Aᵀ, each with its transpose: the rows of all tiles, then their columns ---

def framed(t, x) -> Array:
    """d (N, S·tall, S·wide, C): images x (N, H, W, C) with the zeros around them that the tiles see."""
    d = np.zeros((len(x), t.S * t.tall, t.S * t.wide, t.C), x.dtype)
    d[:, *t.image] = x[:, :t.image[0].stop - t.image[0].start, :t.image[1].stop - t.image[1].start]
    return d


def unframed(t, d, x) -> None:
    """The transpose of `framed`, into x."""
    inside = d[:, *t.image]
    if inside.shape != x.shape:
        x[...] = 0                                     # no output sees the last rows or columns
    x[:, :inside.shape[1], :inside.shape[2]] = inside


def inputs(t, d, k) -> Array:
    """V[k] (n, tiles, S·S·C), one row of the n x n products of each tile: from the framed images d."""
    N = len(d)
    row = np.empty((N, t.rows, t.S, t.wide, t.S * t.C), d.dtype)
    V = np.empty((t.n, N, t.rows, t.columns, t.S, t.S * t.C), d.dtype)
    add_up(t.B[k], windows(t, d.reshape(N, t.tall, -1).swapaxes(0, 1), t.rows), row.reshape(N, t.rows, -1).swapaxes(0, 1))
    combine(t.B, windows(t, row.transpose(3, 0, 1, 2, 4), t.columns), V.transpose(0, 3, 1, 2, 4, 5))
    return V.reshape(t.n, -1, t.S ** 2 * t.C)


def inputs_backward(t, dV, k, d) -> None:
    """The transpose of `inputs`: adds to d what it gets from V[k]."""
    N = len(d)
    dV = dV.reshape(t.n, N, t.rows, t.columns, t.S, t.S * t.C)
    row = np.empty((N, t.rows, t.S, t.wide, t.S * t.C), d.dtype)
    add_windows(t, dV.transpose(0, 3, 1, 2, 4, 5), row.transpose(3, 0, 1, 2, 4))
    row = row.reshape(N, t.rows, -1).swapaxes(0, 1)
    for factor, into in zip(t.B[k], windows(t, d.reshape(N, t.tall, -1).swapaxes(0, 1), t.rows)):
        add_up([factor], [row], into, empty=False)


def outputs(t, p, y) -> None:
    """The outputs of all tiles, from all products p (n, n, tiles, F), into images y (N, OH, OW, F)."""
    p = p.reshape(t.n, t.n, len(y), t.rows, t.columns, t.F)
    rows = np.empty((t.m, *p.shape[1:]), y.dtype)
    whole = y if in_whole_tiles(t, y) else np.empty((len(y), t.m * t.rows, t.m * t.columns, t.F), y.dtype)
    combine(t.A, p, rows)
    combine(t.A, rows.swapaxes(0, 1), in_tiles(t, whole).swapaxes(0, 1))
    if whole is not y:
        y[...] = whole[:, :t.OH, :t.OW]


def outputs_backward(t, dy) -> Array:
    """The transpose of `outputs`: dp (n, n, tiles, F)."""
    if not in_whole_tiles(t, dy):
        whole = np.zeros((len(dy), t.m * t.rows, t.m * t.columns, t.F), dy.dtype)
        whole[:, :t.OH, :t.OW] = dy
        dy = whole
    rows = np.empty((t.n, t.m, len(dy), t.rows, t.columns, t.F), dy.dtype)
    dp = np.empty((t.n, t.n, *rows.shape[2:]), dy.dtype)
    combine(t.A.T, in_tiles(t, dy), rows)
    combine(t.A.T, rows.swapaxes(0, 1), dp.swapaxes(0, 1))
    return dp.reshape(t.n, t.n, -1, t.F)


def in_whole_tiles(t, y):
    return y.shape[1:3] == (t.m * t.rows, t.m * t.columns)


def in_tiles(t, y) -> Array:
    """(m, m, N, rows, columns, F): the pixels at place i, j of each tile, a view of y."""
    return y.reshape(len(y), t.rows, t.m, t.columns, t.m, t.F).transpose(2, 4, 0, 1, 3, 5)


def kernel(t, W) -> Array:
    """U (n, n, S·S·C, F) of W (K, K, C, F)."""
    g = np.zeros((t.r * t.S, t.r * t.S, t.C, t.F), W.dtype)
    g[:t.K, :t.K] = W
    g = g.reshape(t.r, t.S, t.r, t.S, -1).swapaxes(1, 2).reshape(t.r ** 2, -1)
    return (np.kron(t.G, t.G).astype(W.dtype) @ g).reshape(t.n, t.n, t.S ** 2 * t.C, t.F)


def kernel_backward(t, dU):
    dg = np.kron(t.G, t.G).T.astype(dU.dtype) @ dU.reshape(t.n ** 2, -1)
    dg = dg.reshape(t.r, t.r, t.S, t.S, t.C, t.F).swapaxes(1, 2)
    return dg.reshape(t.r * t.S, t.r * t.S, t.C, t.F)[:t.K, :t.K]
