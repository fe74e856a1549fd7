"""Initial weights: the right distribution, from the caller's generator only."""
import numpy as np
import pytest

from minigan.backend import host_rng, to_numpy
from minigan.layers import Conv2D, ConvTranspose2D, Dense
from minigan.layers.initializers import glorot_uniform, he_normal, normal

SHAPES = [(400, 500), (5, 5, 80, 100)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
DRAWS = {"glorot_uniform": glorot_uniform, "he_normal": he_normal, "normal": normal(0.02)}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


@pytest.mark.parametrize("shape, fans", [((400, 500), 900), ((5, 5, 80, 100), 25 * 180)], ids=str)
def test_glorot_uniform_fills_its_interval(shape, fans):
    W, a = glorot_uniform(host_rng(0), shape), np.sqrt(6 / fans)
    assert -a <= W.min() < -0.999 * a and 0.999 * a < W.max() <= a
    assert W.std() == pytest.approx(np.sqrt(2 / fans), rel=0.01)         # the variance that Glorot & Bengio ask for
    assert abs(W.mean()) < 5 * W.std() / np.sqrt(W.size)


@pytest.mark.parametrize("shape, fan_in", [((400, 500), 400), ((5, 5, 80, 100), 2000)], ids=str)
def test_he_normal_has_its_variance(shape, fan_in):
    W = he_normal(host_rng(0), shape)
    assert W.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.01)
    assert np.mean(np.abs(W) < W.std()) == pytest.approx(0.6827, abs=0.005)          # a normal distribution, no other


def test_the_numbers_are_those_of_the_generator_scaled():
    """U(-a, a) = a (2 U(0, 1) - 1), N(0, std²) = std · N(0, 1): draw by draw, for a shape whose sizes all differ."""
    shape, fan_in, fan_out = (2, 3, 5, 7), 2 * 3 * 5, 2 * 3 * 7
    draws, normals = host_rng(1).random(shape), host_rng(1).standard_normal(shape)
    for W, expected in ((glorot_uniform(host_rng(1), shape), (6 / (fan_in + fan_out)) ** 0.5 * (2 * draws - 1)),
                        (he_normal(host_rng(1), shape), (2 / fan_in) ** 0.5 * normals),
                        (normal(0.3)(host_rng(1), shape), 0.3 * normals), (normal()(host_rng(1), shape), 0.02 * normals)):
        np.testing.assert_allclose(W, expected, rtol=1e-12, atol=1e-15)


@every_shape
@pytest.mark.parametrize("std", [0.02, 1.0])
def test_normal_has_the_std_that_was_asked_for(shape, std):
    W = normal(std)(host_rng(0), shape)
    assert W.std() == pytest.approx(std, rel=0.01)
    assert abs(W.mean()) < 5 * std / np.sqrt(W.size)


@every_shape
@every_draw
def test_same_seed_same_numbers(draw, shape):
    assert draw(host_rng(3), shape).shape == shape
    np.testing.assert_array_equal(draw(host_rng(3), shape), draw(host_rng(3), shape))
    assert not np.array_equal(draw(host_rng(3), shape), draw(host_rng(4), shape))


@pytest.mark.parametrize("layer_type, sizes", [(Dense, (4, 5)), (Conv2D, (2, 3, 4)), (ConvTranspose2D, (2, 3, 4))])
def test_a_layer_starts_with_what_its_initializer_draws(backend, layer_type, sizes):
    layer = layer_type(*sizes, rng=host_rng(7), initializer=normal(0.5), dtype="float32")
    np.testing.assert_array_equal(to_numpy(layer.W), normal(0.5)(host_rng(7), layer.W.shape).astype("float32"))
    assert not to_numpy(layer.b).any()
