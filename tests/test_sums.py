"""Sums, means and lengths in float32, against float64: they neither drift nor overflow; and all layers that use them."""
import numpy as np
import pytest
from conftest import smallest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.engine import channel_sum, pairwise_sum
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    InstanceNorm,
    LayerNorm,
    Maxout,
    UpSample2D,
)
from minigan.layers.statistics import mean, mean_square, norm

COUNTS = st.sampled_from([1, 2, 3, 4, 5, 17, 255, 256, 257, 1009, 4096, 65_537, 100_003]) | st.integers(1, 3000)


# --- sums ---

@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (1, 1), (1, 5), (7, 3), (0, 3), (1000, 2), (2, 3, 4, 5), (3, 1, 1, 1),
                                   (8, 28, 28, 2), (64, 64, 1), (256, 2), (1024, 512, 1), (1009, 3)], ids=str)
def test_channel_sum_is_the_sum_over_all_axes_but_the_last(backend, shape, dtype):
    host = np.random.default_rng(0).integers(-99, 100, shape).astype(dtype)     # whole numbers: sums without rounding
    for x in (mg.asarray(host), mg.asarray(host)[..., ::-1]):
        total = channel_sum(x)
        assert isinstance(total, xp.ndarray) and total.dtype == dtype
        np.testing.assert_array_equal(to_numpy(total), to_numpy(x).sum(axis=tuple(range(len(shape) - 1))))


@given(A=st.integers(1, 3), M=COUNTS, C=st.integers(1, 3), flat=st.booleans(), mean=st.sampled_from([0.1, 10.0, 3e4]))
def test_pairwise_sums_do_not_drift(backend, A, M, C, flat, mean):
    x = mean + (0 if flat else 0.1 * mean) * host_rng(M).standard_normal((A, M, C))
    x = x.astype("float32")
    np.testing.assert_allclose(to_numpy(pairwise_sum(asarray(x))), x.sum(axis=1, dtype="float64"), rtol=1e-6)


def test_a_million_and_three_numbers():
    """One long sum in float32 is off by 1e-2 for these, by 1e-6 at most in pairs."""
    for x in (np.full((1_000_003, 2), 0.1, "float32"), host_rng(0).uniform(0, 1, (1_000_003, 2)).astype("float32")):
        np.testing.assert_allclose(channel_sum(x), x.sum(axis=0, dtype="float64"), rtol=1e-6)


# --- layers that sum over many values ---

def flat_image(H, W, C):
    """Half of it 0.12, half 0.1."""
    x = np.full((1, H, W, C), 0.1, "float32")
    x[:, :, :W // 2] += 0.02
    return x


LAYERS = {"BatchNorm": (BatchNorm, (0, 1, 2)), "LayerNorm": (LayerNorm, (1, 2, 3)), "InstanceNorm": (InstanceNorm, (1, 2))}
INPUTS = {"flat": flat_image(512, 512, 2), "flat, odd": flat_image(509, 503, 3),
          "odd": (10 + host_rng(0).standard_normal((3, 201, 201, 3))).astype("float32"),
          "far from 0": (1e4 + host_rng(0).standard_normal((2, 101, 97, 2))).astype("float32"),
          "very far": (1e6 + host_rng(0).standard_normal((1, 64, 64, 2))).astype("float32")}


@pytest.mark.parametrize("x", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_normalized_values_are_those_of_float64(backend, name, x):
    layer, axes = LAYERS[name]
    layer, wide = layer(x.shape[3], eps=1e-5), x.astype("float64")
    expected = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(to_numpy(layer.forward(asarray(x))[0]), expected, rtol=0, atol=2e-6)
    if name == "BatchNorm":                            # of the first batch, its own
        np.testing.assert_allclose(to_numpy(layer.running_mean), wide.mean(axes), rtol=1e-6)
        np.testing.assert_allclose(to_numpy(layer.running_var), wide.var(axes), rtol=1e-6)


@pytest.mark.parametrize("make, shape", [
    (lambda: Dense(1, 2), (100_003, 1)), (lambda: Maxout(1, 2, pieces=1), (100_003, 1)),
    (lambda: Conv2D(1, 2, 1), (1, 331, 337, 1)), (lambda: ConvTranspose2D(1, 2, 1), (1, 331, 337, 1)),
    (lambda: BatchNorm(2), (1, 331, 337, 2)),
    (lambda: InstanceNorm(2), (1, 331, 337, 2)), (lambda: LayerNorm(2), (1, 331, 337, 2))],
    ids=["Dense", "Maxout", "Conv2D", "ConvTranspose2D", "BatchNorm", "InstanceNorm", "LayerNorm"])
def test_gradients_of_biases_do_not_drift(backend, make, shape):
    layer = make()
    y, cache = layer.forward(asarray(host_rng(0).standard_normal(shape).astype("float32")))
    dy = (0.1 + 0.01 * host_rng(1).standard_normal(y.shape)).astype("float32")
    layer.backward(asarray(dy), cache)
    bias = layer.db if hasattr(layer, "db") else layer.dbeta
    np.testing.assert_allclose(to_numpy(bias), dy.sum(axis=tuple(range(dy.ndim - 1)), dtype="float64"), rtol=1e-6)


def test_the_sums_over_large_blocks_do_not_drift(backend):
    layer = UpSample2D(101)
    y, cache = layer.forward(asarray(np.zeros((1, 2, 2, 2), "float32")))
    dx = layer.backward(xp.full_like(y, 0.1), cache)
    np.testing.assert_allclose(to_numpy(dx), 101 * 101 * float(np.float32(0.1)), rtol=1e-6)


# --- what is finite stays finite ---

@given(exponent=st.floats(-37, 38), size=st.integers(1, 50), axis=st.sampled_from([None, 1]))
def test_a_norm_neither_overflows_nor_vanishes(backend, exponent, size, axis):
    x = (10.0 ** exponent * host_rng(size).uniform(-1, 1, (3, size))).astype("float32")
    with np.errstate(over="ignore"):                   # a length of more than 3e38 is infinite; its direction is right
        length, direction = norm(asarray(x), axis)
    wide = np.where(abs(x) < smallest(backend, 0), 0, x.astype("float64"))
    expected = np.sqrt((wide * wide).sum(axis=axis, keepdims=True))
    assert length.dtype == direction.dtype == "float32"
    fits = expected < np.finfo("float32").max
    np.testing.assert_allclose(to_numpy(length)[fits], expected[fits], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(direction), wide / np.maximum(expected, 1e-300), rtol=1e-6, atol=1e-30)


def test_a_vector_of_zeros_has_no_length_and_no_direction(backend):
    length, direction = norm(asarray(np.zeros((2, 3), "float32")), axis=1)
    np.testing.assert_array_equal(to_numpy(length), np.zeros((2, 1)))
    np.testing.assert_array_equal(to_numpy(direction), np.zeros((2, 3)))


@given(N=COUNTS, scale=st.sampled_from([1e-15, 0.1, 3e4, 1e18]), order=st.sampled_from("CF"))
def test_means_neither_drift_nor_overflow(backend, N, scale, order):
    host = np.asarray(scale * (1 + 0.1 * host_rng(N).standard_normal((N, 3))), "float32", order)
    x, wide = asarray(host)[:, ::2], host[:, ::2].astype("float64")
    np.testing.assert_allclose(to_numpy(mean(x)), wide.mean(), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(mean_square(x)), (wide * wide).mean(), rtol=1e-6)
    if scale > 1e4:
        x, wide = x / scale * 1.5e38, wide / scale * 1.5e38
        np.testing.assert_allclose(to_numpy(mean(x)), wide.mean(), rtol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_the_largest_numbers_of_both_signs_are_normalized(in_shards, name):
    layer, axes = LAYERS[name]
    x = (3e38 * (1 - 2 * (np.indices((4, 6, 6, 2)).sum(axis=0) % 2)) + 0).astype("float32")
    y, _ = mg.Sequential(layer(2)).forward(x)
    np.testing.assert_allclose(y, np.sign(x), rtol=1e-6)


@pytest.mark.parametrize("factor", [1e20, 1e30, 1e35])
@pytest.mark.parametrize("name", LAYERS)
def test_activations_whose_squares_or_sums_overflow_are_normalized(in_shards, name, factor):
    layer, axes = LAYERS[name]
    net = mg.Sequential(layer(2))
    x = (factor * (5 + host_rng(0).standard_normal((4, 64, 64, 2)))).astype("float32")
    y, cache = net.forward(x)
    wide = x.astype("float64")
    np.testing.assert_allclose(y, (wide - wide.mean(axes, keepdims=True)) / wide.std(axes, keepdims=True), rtol=0, atol=1e-5)
    dx = net.backward(np.ones_like(y), cache)
    assert np.isfinite(dx).all() and np.isfinite(net.dtheta).all()


def test_running_statistics_forget_a_batch_that_overflowed(backend):
    layer = BatchNorm(2)
    x = host_rng(0).standard_normal((8, 2)).astype("float32")
    layer.forward(asarray(x))
    kept = [to_numpy(value).copy() for _, value in layer.states()]
    for bad in (np.inf, np.nan, -np.inf):
        with np.errstate(invalid="ignore"):
            layer.forward(asarray(np.where(np.arange(16).reshape(8, 2) == 3, np.float32(bad), 2 * x)))
    np.testing.assert_array_equal(to_numpy(layer.running_mean)[1], kept[0][1])      # entry 3 belongs to channel 1
    np.testing.assert_array_equal(to_numpy(layer.running_var)[1], kept[1][1])
    assert not np.array_equal(to_numpy(layer.running_mean)[0], kept[0][0])          # channel 0 had three good batches
    kept = [to_numpy(value).copy() for _, value in layer.states()]
    layer.forward(asarray(np.float32(1e25) * x))       # its mean is a number, its variance is none: neither is taken
    for (_, value), before in zip(layer.states(), kept):
        np.testing.assert_array_equal(to_numpy(value), before)
    layer.running_mean, layer.running_var = np.array([np.nan, -np.inf]), np.array([np.inf, np.nan])       # of a damaged file
    with np.errstate(invalid="ignore"):
        layer.forward(asarray(x))
    np.testing.assert_allclose(to_numpy(layer.running_mean), x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(layer.running_var), x.var(axis=0), rtol=1e-5)
