"""Minimal filtering: the three matrices in exact arithmetic, and the three linear maps against their definitions."""
from fractions import Fraction

import numpy as np
import pytest
from cases import CASES, build, check, convolutions, run
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.backend import host_rng
from minigan.engine import accelerate, filtering, pieces, tiles
from minigan.layers import Conv2D, ConvTranspose2D
from minigan.layers import convolution as definitions

MAPS = ("conv", "conv_adjoint", "conv_weight_grad")
FORMS = [(m, r) for r, outputs in tiles.OUTPUTS.items() for m in outputs]


# --- the matrices ---

@pytest.mark.parametrize("m, r", FORMS)
def test_the_matrices_compute_the_filter_exactly(m, r):
    """A (G g · B d) is y_i = Σ_j d_(i + j) g_j for all d and g: both are linear in d and in g, so units are enough.
    The numbers are fractions with small denominators, and Python computes with them exactly."""
    A, G, B = ([[Fraction(number).limit_denominator(1000) for number in row] for row in matrix.tolist()]
               for matrix in filtering.matrices(m, r))
    n = m + r - 1
    for i in range(m):
        for a in range(n):
            for j in range(r):
                assert sum(A[i][k] * G[k][j] * B[k][a] for k in range(n)) == (a == i + j), (i, a, j)
    for matrix, exact in zip(filtering.matrices(m, r), (A, G, B)):
        np.testing.assert_allclose(matrix, [[float(number) for number in row] for row in exact], rtol=1e-14, atol=0)


def test_two_outputs_of_two_taps_take_the_three_products_of_the_text():
    d, g = host_rng(0).standard_normal(3), host_rng(1).standard_normal(2)
    A, G, B = filtering.matrices(2, 2)
    np.testing.assert_allclose(np.multiply(G @ g, B @ d), [(d[0] - d[1]) * g[0], d[1] * (g[0] + g[1]), (d[2] - d[1]) * g[1]])
    np.testing.assert_allclose(A @ np.multiply(G @ g, B @ d), [d[0] * g[0] + d[1] * g[1], d[1] * g[0] + d[2] * g[1]])


# --- the three linear maps ---

@pytest.fixture
def filtered(monkeypatch):
    """Every convolution that can be is filtered, however small; filtered.m says which of its tiles it takes."""
    class Wanted:
        m, used = 0, 0

    def choose(N, H, W, C, F, K, S, padding):
        outputs = tiles.OUTPUTS.get(-(-K // S))
        Wanted.used += bool(outputs)
        return outputs and tiles.tiling(H, W, C, F, K, S, padding, outputs[Wanted.m % len(outputs)])

    monkeypatch.setattr(tiles, "choose", choose)
    return Wanted


@st.composite
def problems(draw):
    """(x, W, dy, stride, padding) of a convolution that can be filtered, in float64, with images of any size."""
    K, S = draw(st.sampled_from([(4, 2), (5, 2), (5, 1), (3, 1), (2, 1), (3, 2)]))
    padding = draw(st.sampled_from(["same", "valid", 0, 1, 2, 5]))
    least = 1 if padding == "same" else max(1, K - (0 if padding == "valid" else 2 * padding))
    H, W = (draw(st.integers(least, least + 9)) for _ in range(2))
    N, C, F = (draw(st.integers(1, most)) for most in (3, 9, 9))
    rng = host_rng(draw(st.integers(0, 99)))
    x, weights = rng.standard_normal((N, H, W, C)), rng.standard_normal((K, K, C, F))
    y = definitions.conv.__wrapped__(x, weights, S, padding)
    return x, weights, rng.standard_normal(y.shape), S, padding


@settings(max_examples=200)
@given(problems(), st.sampled_from([0, 1]), st.sampled_from([1, 4000, 1 << 30]))
def test_they_agree_with_the_definitions(filtered, problem, m, size):
    x, W, dy, S, padding = problem
    filtered.m = m
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_BYTES", size)
        for dtype, near in (("float32", 1e-5), ("float64", 1e-12)):
            a, g, upstream = (array.astype(dtype) for array in (x, W, dy))
            wide = [array.astype("float64") for array in (a, g, upstream)]

            def of(x, W, dy):
                return (x, W, S, padding), (dy, W, x.shape, S, padding), (x, dy, len(W), S, padding)
            for name, arguments, exact in zip(MAPS, of(a, g, upstream), of(*wide)):
                definition = getattr(definitions, name).__wrapped__
                found, expected = getattr(tiles, name)(definition, *arguments), definition(*exact)
                assert found.shape == expected.shape and found.dtype == dtype
                largest = max(np.abs(expected).max(), 1.0)     # a few sums may be small by chance, though their terms are not
                assert np.abs(found - expected).max() <= near * largest, (name, dtype)


@given(convolutions(Conv2D))
def test_a_gradient_check_passes_with_them_on(filtered, c):
    layer = c.layer(Conv2D)
    check(layer, c.images())


def test_the_filters_are_used_where_they_are_wanted(filtered):
    layer = ConvTranspose2D(3, 2, 4, stride=2, dtype="float64")
    y, cache = layer.forward(host_rng(0).standard_normal((2, 5, 4, 3)))
    layer.backward(y, cache)
    assert filtered.used == 3


def test_a_wrong_number_in_a_matrix_is_noticed(filtered, monkeypatch):
    for which in range(3):
        def broken(m, r, good=filtering.matrices, which=which):
            found = [matrix.copy() for matrix in good(m, r)]
            found[which][1, 1] *= 1.01
            return found
        monkeypatch.setattr(tiles, "matrices", broken)
        tiles.tiling.cache_clear()
        x, W = host_rng(0).standard_normal((1, 6, 6, 2)), host_rng(1).standard_normal((4, 4, 2, 3))
        definition = definitions.conv.__wrapped__
        assert not np.allclose(tiles.conv(definition, x, W, 2, "same"), definition(x, W, 2, "same"), rtol=1e-6)
    tiles.tiling.cache_clear()


@pytest.mark.parametrize("name", CASES)
def test_every_layer_passes_both_ways(filtered, monkeypatch, name):
    """With the equals of the engine, all convolutions filtered that can be, and with the definitions alone."""
    check(*build(name))
    accelerated = run(*build(name))
    monkeypatch.setenv("MINIGAN_PLAIN", "1")
    check(*build(name), entries=5)
    for found, expected in zip(run(*build(name)).values(), accelerated.values(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# --- the choice ---

@pytest.mark.parametrize("shape, m", [
    ((64, 32, 32, 128, 128, 4, 2, "same"), 2), ((64, 64, 64, 64, 128, 4, 2, "same"), 3),      # dcgan_64
    ((64, 7, 7, 128, 256, 5, 1, "same"), 2),                                                  # dcgan_28
    ((64, 64, 64, 3, 128, 4, 2, "same"), None), ((64, 28, 28, 1, 64, 5, 2, "same"), None),    # few channels
    ((1, 8, 8, 128, 128, 4, 2, "same"), None),                                                # few tiles for so many weights
    ((64, 32, 32, 128, 128, 1, 1, "same"), None), ((64, 32, 32, 128, 128, 7, 1, "same"), None)])
def test_the_choice(shape, m):
    chosen = tiles.choose(*shape)
    assert (chosen and chosen.m) == m


def test_where_it_does_not_gain_the_definition_runs(monkeypatch):
    monkeypatch.setattr(pieces, "conv", lambda *arguments: "the definition, in pieces")
    x, W = np.zeros((2, 8, 8, 3), "float32"), np.zeros((4, 4, 3, 8), "float32")
    assert accelerate.ON_CPU["conv"](None, x, W, 2, "same") == "the definition, in pieces"
