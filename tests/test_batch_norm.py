"""BatchNorm: the derivation of batch_norm.py as a program, and what must hold of the result."""
import numpy as np
import pytest
from cases import draw, randomized
from hypothesis import given
from hypothesis import strategies as st

from minigan import GAN, models
from minigan.backend import asarray, host_rng, to_numpy
from minigan.gradcheck import check_layer
from minigan.layers import BatchNorm
from minigan.losses import NonSaturating
from minigan.optimizers import Adam


def staged(x, dy, gamma, beta, eps):
    """Forward and backward as the module docstring derives them: five stages, then each of them reversed."""
    M = len(x)
    mean = x.sum(0) / M                                # 1
    var = ((x - mean) ** 2).sum(0) / M                 # 2
    inv_std = (var + eps) ** -0.5                      # 3
    x_hat = (x - mean) * inv_std                       # 4
    y = gamma * x_hat + beta                           # 5

    dbeta, dgamma, dx_hat = dy.sum(0), (dy * x_hat).sum(0), gamma * dy         # 5
    dinv_std = (dx_hat * (x - mean)).sum(0)                                    # 4
    dx, dmean = dx_hat * inv_std, -inv_std * dx_hat.sum(0)                     # 4
    dvar = -0.5 * inv_std ** 3 * dinv_std                                      # 3
    dx, dmean = dx + dvar * 2 * (x - mean) / M, dmean - 2 * dvar * (x - mean).sum(0) / M       # 2
    dx = dx + dmean / M                                                        # 1
    return y, dx, dgamma, dbeta


def layer_and_batch(shape, **arguments):
    rng = host_rng(3)
    layer = randomized(BatchNorm(shape[-1], dtype="float64", **arguments), rng)
    return layer, draw(rng, shape) * 2.0 + 1.0, draw(rng, shape)


def backward(layer, x, dy, train=True):
    layer.zero_grad()
    return to_numpy(layer.backward(dy, layer.forward(x, train)[1]))


@given(M=st.integers(2, 20), C=st.integers(1, 4), eps=st.sampled_from([1e-5, 1e-3, 0.5]), seed=st.integers(0, 99))
def test_the_closed_form_is_the_staged_derivation(backend, M, C, eps, seed):
    rng = host_rng(seed)
    layer = randomized(BatchNorm(C, eps=eps, dtype="float64"), rng)
    x, dy = draw(rng, (M, C)), draw(rng, (M, C))
    y, cache = layer.forward(x)
    found = y, layer.backward(dy, cache), layer.dgamma, layer.dbeta
    expected = staged(*map(to_numpy, (x, dy, layer.gamma, layer.beta)), eps)
    for name, a, b in zip(("y", "dx", "dgamma", "dbeta"), found, expected):
        np.testing.assert_allclose(to_numpy(a), b, rtol=1e-9, atol=1e-9, err_msg=name)


def test_images_are_normalised_over_all_pixels_of_all_images(backend):
    layer, x, dy = layer_and_batch((4, 3, 5, 2))
    y, cache = layer.forward(x)
    dx = layer.backward(dy, cache)
    flat = staged(*(to_numpy(a).reshape(-1, 2) for a in (x, dy, layer.gamma, layer.beta)), layer.eps)
    np.testing.assert_allclose(to_numpy(y).reshape(-1, 2), flat[0], rtol=1e-11)
    np.testing.assert_allclose(to_numpy(dx).reshape(-1, 2), flat[1], rtol=1e-9, atol=1e-12)


def test_training_output_has_mean_beta_and_standard_deviation_gamma(backend):
    layer, x, _ = layer_and_batch((50, 3), eps=1e-12)
    y = to_numpy(layer.forward(x)[0])
    np.testing.assert_allclose(y.mean(0), to_numpy(layer.beta), atol=1e-12)
    np.testing.assert_allclose(y.std(0), abs(to_numpy(layer.gamma)), rtol=1e-9)


# --- why dx has its form ---

def test_dx_is_orthogonal_to_a_shift_of_the_batch(backend):
    """Adding a constant to all x changes no y, so dx has no component along the constant vector."""
    layer, x, dy = layer_and_batch((20, 3))
    np.testing.assert_allclose(backward(layer, x, dy).sum(0), 0, atol=1e-12)


@pytest.mark.parametrize("eps", [1e-12, 1e-3, 0.5])
def test_dx_is_orthogonal_to_a_scaling_of_the_batch_but_for_eps(backend, eps):
    """Scaling x around its mean changes y through eps only; of Σ dx · x_hat remains gamma · dgamma · eps · inv_std³."""
    layer, x, dy = layer_and_batch((20, 3), eps=eps)
    dx, host = backward(layer, x, dy), to_numpy(x)
    inv_std = 1 / np.sqrt(host.var(0) + eps)
    x_hat = (host - host.mean(0)) * inv_std
    rest = to_numpy(layer.gamma) * to_numpy(layer.dgamma) * eps * inv_std ** 3
    np.testing.assert_allclose((dx * x_hat).sum(0), rest, rtol=1e-9, atol=1e-11)


def test_an_upstream_gradient_of_ones_gives_zero(backend):
    """Σ y is constant, which is why a gradient check with ones is empty (test_mutations.py shows it)."""
    layer, x, dy = layer_and_batch((20, 3))
    np.testing.assert_allclose(backward(layer, x, dy * 0 + 1), 0, atol=1e-13)


# --- running statistics and evaluation ---

def test_running_statistics_are_averages_whose_weights_fall_and_add_up_to_1(backend):
    layer, rng = BatchNorm(3, momentum=0.8, dtype="float64"), host_rng(0)
    means, variances, weights = [], [], []
    for t in range(1, 6):
        x = 5 + t * rng.standard_normal((7, 3))
        layer.forward(asarray(x))
        means.append(x.mean(0))
        variances.append(x.var(0))                     # divides by M, as numpy's var does
        weights = [0.8 * w for w in weights] + [0.2]
        np.testing.assert_allclose(to_numpy(layer.running_mean), np.average(means, 0, weights), rtol=1e-12)
        np.testing.assert_allclose(to_numpy(layer.running_var), np.average(variances, 0, weights), rtol=1e-12)
        np.testing.assert_allclose(to_numpy(layer.running_weight), 1 - 0.8 ** t, rtol=1e-12)


def test_statistics_from_keras_go_on_as_keras_moves_them(backend):
    """There the weights are 1 from the beginning: keep momentum of the old, take the rest of the biased batch."""
    layer, x, _ = layer_and_batch((7, 3), momentum=0.8)
    layer.running_weight[...] = 1
    mean, var = to_numpy(layer.running_mean).copy(), to_numpy(layer.running_var).copy()
    for _ in range(3):
        layer.forward(x)
        mean = 0.8 * mean + 0.2 * to_numpy(x).mean(0)
        var = 0.8 * var + 0.2 * to_numpy(x).var(0)     # divides by M, as numpy's var does
    np.testing.assert_allclose(to_numpy(layer.running_mean), mean, rtol=1e-12)
    np.testing.assert_allclose(to_numpy(layer.running_var), var, rtol=1e-12)


@pytest.mark.parametrize("momentum, kept", [(1.0, 1.0), (0.0, 0.0)])
def test_momentum_is_the_weight_of_the_old_value(momentum, kept):
    layer = BatchNorm(1, momentum=momentum, dtype="float64")
    layer.running_weight[...] = 1
    layer.forward(np.array([[3.0], [5.0]]))
    assert layer.running_mean == kept * 0 + (1 - kept) * 4 and layer.running_var == 1


def test_a_momentum_of_1_never_moves_the_running_statistics():
    layer = BatchNorm(1, momentum=1, dtype="float64")
    layer.forward(np.array([[3.0], [5.0]]))
    assert (layer.running_mean, layer.running_var, layer.running_weight) == (0, 1, 0)


def test_early_samples_have_the_contrast_of_training():
    """Averages that began at 0 and 1 and moved by 1/100 left a quarter of it after these steps."""
    G, D = models.dcgan(host_rng(0), 16, (16, 16, 1), width=8)
    gan = GAN(G, D, NonSaturating(), Adam(1e-3), Adam(1e-3))
    x, rng = host_rng(1).uniform(-1, 1, (64, 16, 16, 1)).astype("float32"), host_rng(2)
    for _ in range(8):
        gan.train_step(asarray(x), gan.noise(64, rng))
    trained, evaluated = (float(G.forward(gan.noise(64, rng), train=train)[0].std()) for train in (True, False))
    assert 0.8 < evaluated / trained < 1.25


def test_training_does_not_look_at_the_running_statistics(backend):
    layer, x, dy = layer_and_batch((6, 3))
    y, dx = to_numpy(layer.forward(x)[0]), backward(layer, x, dy)
    layer.running_mean[...], layer.running_var[...] = 100.0, 100.0
    np.testing.assert_array_equal(to_numpy(layer.forward(x)[0]), y)
    np.testing.assert_array_equal(backward(layer, x, dy), dx)


def test_evaluation_uses_the_running_statistics_forward_and_backward(backend):
    layer, x, dy = layer_and_batch((6, 3), eps=0.25)
    mean, var, gamma, beta = map(to_numpy, (layer.running_mean, layer.running_var, layer.gamma, layer.beta))
    std = np.sqrt(var + 0.25)
    np.testing.assert_allclose(to_numpy(layer(x)), gamma * (to_numpy(x) - mean) / std + beta, rtol=1e-12)
    np.testing.assert_allclose(backward(layer, x, dy, train=False), gamma / std * to_numpy(dy), rtol=1e-12)


def test_evaluation_treats_every_sample_alone(backend):
    layer, x, _ = layer_and_batch((6, 3))
    np.testing.assert_allclose(to_numpy(layer(x))[2:3], to_numpy(layer(x[2:3])), rtol=1e-12)


def test_a_backward_pass_belongs_to_its_own_forward_pass(backend):
    """Running statistics that moved between forward and backward, as they do in a GAN step, do not change dx."""
    layer, x, dy = layer_and_batch((6, 3))
    _, cache = layer.forward(x, train=False)
    before = to_numpy(layer.backward(dy, cache))
    layer.forward(x + 1, train=True)
    np.testing.assert_array_equal(to_numpy(layer.backward(dy, cache)), before)


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3), (3,)])
def test_one_value_a_channel_cannot_be_trained_on(backend, shape):
    layer, x = BatchNorm(3), asarray(np.ones(shape, "float32"))
    with pytest.raises(ValueError, match="BatchNorm: one value a channel, shape .* has no variance"):
        layer.forward(x)
    assert layer(x).shape == shape                     # evaluation needs no variance


def test_one_image_of_several_pixels_can_be_trained_on(backend):
    layer, x, _ = layer_and_batch((1, 2, 2, 3))
    assert check_layer(layer, x).ok


def test_a_constant_channel_gives_finite_numbers(backend):
    layer, x, dy = layer_and_batch((6, 3))
    y, cache = layer.forward(x * 0 + 7)
    np.testing.assert_array_equal(to_numpy(y), np.broadcast_to(to_numpy(layer.beta), (6, 3)))
    assert np.isfinite(to_numpy(layer.backward(dy, cache))).all()


def test_momentum_is_not_eps():
    """BatchNorm(C, 0.8) sets the momentum. Had it set eps, data of variance 1 would come out with 1 / √1.8."""
    layer = BatchNorm(1, 0.8, dtype="float64")
    y, _ = layer.forward(np.array([[-1.0], [1.0]]))
    np.testing.assert_allclose(y.ravel(), [-1, 1], rtol=1e-3)
    assert (layer.momentum, layer.eps) == (0.8, 1e-3)


def test_defaults_are_those_of_keras():
    layer = BatchNorm(2)
    assert (layer.momentum, layer.eps) == (0.99, 1e-3)
    for name, first in [("gamma", 1), ("beta", 0), ("running_mean", 0), ("running_var", 1), ("running_weight", 0)]:
        np.testing.assert_array_equal(getattr(layer, name), np.full(2, first, "float32"), err_msg=name)


def test_float32_data_far_from_zero_keeps_its_variance(backend):
    """var = mean(x²) - mean(x)² would lose all digits here; the two-pass form does not."""
    layer, x = BatchNorm(1), asarray((1e4 + np.array([-1.0, 1.0] * 8).reshape(-1, 1)).astype("float32"))
    np.testing.assert_allclose(to_numpy(layer.forward(x)[0]).std(), 1, rtol=1e-2)
