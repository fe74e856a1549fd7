"""InstanceNoise: the noise is what it says, and off is off to the bit."""
import copy

import numpy as np
import pytest

from minigan.backend import asarray, host_rng, rng_state, to_numpy
from minigan.backend import rng as device_rng
from minigan.layers import Dense, Dropout, InstanceNoise, Sequential


def zeros(*shape, dtype="float32"):
    return asarray(np.zeros(shape, dtype))


def test_the_noise_is_gaussian_of_standard_deviation_sigma(backend):
    x = asarray(host_rng(1).uniform(-1, 1, (200, 100)).astype("float32"))
    noise = to_numpy(InstanceNoise(0.5, rng=device_rng(3)).forward(x)[0]) - to_numpy(x)
    assert abs(noise.mean()) < 0.015                       # four standard deviations
    assert noise.std() == pytest.approx(0.5, abs=0.01)
    assert (np.abs(noise) > 0.5).mean() == pytest.approx(0.3173, abs=0.014)    # beyond one sigma: 31.7 % of a Gaussian
    assert (np.abs(noise) > 1.0).mean() == pytest.approx(0.0455, abs=0.006)
    assert abs(np.corrcoef(noise[:100].ravel(), to_numpy(x)[:100].ravel())[0, 1]) < 0.04


def test_what_is_drawn_is_added_or_decides_draw_by_draw(backend):
    """So that a seed gives the same run in every version of minigan. (In shares the layers draw otherwise.)"""
    x = host_rng(1).uniform(-1, 1, (40, 5)).astype("float32")
    n = to_numpy(device_rng(3).standard_normal((40, 5), dtype="float32"))
    np.testing.assert_allclose(to_numpy(InstanceNoise(0.25, device_rng(3)).forward(asarray(x))[0]), x + 0.25 * n, rtol=1e-6)
    u = to_numpy(device_rng(3).random((40, 5), dtype="float32"))
    np.testing.assert_allclose(to_numpy(Dropout(0.2, device_rng(3)).forward(asarray(x))[0]), np.where(u < 0.2, 0, x / 0.8),
                               rtol=1e-6)


def test_the_noise_is_fresh_at_each_call_and_the_seed_decides_what(backend):
    layer, same, x = InstanceNoise(0.5, rng=device_rng(0)), InstanceNoise(0.5, rng=device_rng(0)), zeros(20, 3)
    first, second = to_numpy(layer.forward(x)[0]), to_numpy(layer.forward(x)[0])
    assert len(np.unique(np.concatenate([first, second]))) == 120
    np.testing.assert_array_equal(to_numpy(same.forward(x)[0]), first)
    np.testing.assert_array_equal(to_numpy(same.forward(x)[0]), second)


@pytest.mark.parametrize("sigma, train", [(0.0, True), (0.5, False)])
def test_off_is_x_to_the_bit_and_draws_nothing(backend, sigma, train):
    layer, x = InstanceNoise(sigma, rng=device_rng(3)), asarray(host_rng(0).standard_normal((7, 5)).astype("float32"))
    before = rng_state(layer.rng).copy()
    y, cache = layer.forward(x, train)
    assert to_numpy(y).tobytes() == to_numpy(x).tobytes()
    assert to_numpy(layer.backward(x, cache)).tobytes() == to_numpy(x).tobytes()
    np.testing.assert_array_equal(rng_state(layer.rng), before)
    layer.sigma = 0.5
    layer.forward(x)
    assert not np.array_equal(rng_state(layer.rng), before)    # with noise, it does draw


def test_sigma_may_be_changed_between_steps(backend):
    layer, x = InstanceNoise(0.0, rng=device_rng(3)), zeros(50, 40)
    sizes = []
    for sigma in (0.0, 2.0, np.float64(0.5), 0):           # a NumPy number must not turn float32 into float64
        layer.sigma = sigma
        y, _ = layer.forward(x)
        assert y.dtype == "float32"
        sizes.append(to_numpy(y).std())
    assert sizes == pytest.approx([0, 2, 0.5, 0], rel=0.07)


def test_each_shard_of_a_batch_has_noise_of_its_own_and_always_the_same(in_shards):
    def run():
        net = Sequential(InstanceNoise(1.0, rng=device_rng(2)), Dense(4, 4))
        net[1].W = np.eye(4, dtype="float32")
        return net.forward(zeros(9, 4))[0]

    y = run()
    assert len(np.unique(y)) == 36
    assert {run().tobytes() for _ in range(20)} == {y.tobytes()}


@pytest.mark.parametrize("kind", [InstanceNoise, Dropout])
def test_a_copy_draws_the_same_and_on_its_own(backend, kind):
    layer, x = kind(0.5, rng=device_rng(4)), asarray(np.ones((6, 5), "float32"))
    layer.forward(x)
    twin = copy.deepcopy(layer)
    first = to_numpy(twin.forward(x)[0])
    np.testing.assert_array_equal(to_numpy(layer.forward(x)[0]), first)
    assert not np.array_equal(to_numpy(layer.forward(x)[0]), first)


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_a_sigma_that_is_none_is_refused(sigma):
    with pytest.raises(ValueError, match=f"InstanceNoise: sigma must be a number of at least 0, got {sigma}"):
        InstanceNoise(sigma)


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match="InstanceNoise: rng must be a generator, .* got 42"):
        InstanceNoise(0.1, rng=42)
