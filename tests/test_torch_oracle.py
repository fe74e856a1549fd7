"""A second oracle: the same layer, loss, optimizer and training step in PyTorch, in float64."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_twin import LOSSES, Twin, TwinGAN, record_masks, tensor, torch, torch_optimizer

import minigan as mg
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, LeakyReLU, Sequential, Tanh
from minigan.losses import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein
from minigan.optimizers import SGD, Adam

ALL_LOSSES = [Minimax(), NonSaturating(), LeastSquares(), Wasserstein(), Hinge()]
every_loss = pytest.mark.parametrize("loss", ALL_LOSSES, ids=repr)


def assert_close(ours, theirs, tolerance=1e-10, what=""):
    """Equal up to `tolerance`, relative to the largest number."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max()), err_msg=what)


# --- layers ---

def check_against_torch(layer, shape, train=True, seed=0):
    """Forward, dx, every parameter gradient and the running statistics, with random weights and upstream gradient."""
    rng = np.random.default_rng(seed)
    network = Sequential(layer)
    network.theta[...] = rng.standard_normal(network.theta.shape)
    for _, value in network.states():
        value[...] = rng.uniform(0.5, 2, value.shape)
    network.zero_grad()
    twin = Twin(network)
    record_masks(network, twin)

    x = rng.standard_normal(shape)
    y, cache = network.forward(x, train)
    dy = rng.standard_normal(y.shape)
    dx = network.backward(dy, cache)

    x_torch = tensor(x).requires_grad_()
    y_torch = twin(x_torch, train)
    dx_torch, *gradients = torch.autograd.grad(y_torch, [x_torch, *twin.parameters.values()], tensor(dy))
    assert_close(y, y_torch, what="y")
    assert_close(dx, dx_torch, what="dx")
    for (name, _, gradient), expected in zip(network.parameters(), gradients):
        assert_close(gradient, expected, what="d" + name)
    for name, value in network.states():
        assert_close(value, twin.states[name], what=name)


few, seeds = st.integers(1, 4), st.integers(0, 10 ** 6)
shapes = st.one_of(st.tuples(few, few), st.tuples(few, few, few, few))


@st.composite
def convolutions(draw, layer_type, smallest):
    """A layer and an input shape that it takes; smallest(K, S, p) is the least number of pixels along an axis."""
    K, S = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(st.sampled_from(["same", "valid", 0, 1, 2, 3]))
    layer = layer_type(draw(few), draw(few), K, S, padding, bias=draw(st.booleans()), dtype="float64")
    least = 1 if padding == "same" else smallest(K, S, 0 if padding == "valid" else padding)
    size = st.integers(least, least + 6)
    return layer, (draw(few), draw(size), draw(size), layer.C)


def smallest_input(K, S, p):
    return max(1, K - 2 * p)


def smallest_transposed_input(K, S, p):
    return next(H for H in range(1, 10) if (H - 1) * S + K - 2 * p >= 1)


@settings(max_examples=100)
@given(convolutions(Conv2D, smallest_input), seeds)
def test_conv2d(drawn, seed):
    check_against_torch(*drawn, seed=seed)


@settings(max_examples=100)
@given(convolutions(ConvTranspose2D, smallest_transposed_input), seeds)
def test_conv_transpose2d(drawn, seed):
    check_against_torch(*drawn, seed=seed)


@settings(max_examples=100)
@given(few, few, few, st.booleans(), seeds)
def test_dense(N, I, O, bias, seed):
    check_against_torch(Dense(I, O, bias, dtype="float64"), (N, I), seed=seed)


@settings(max_examples=100)
@given(few, few, few, few, seeds)
def test_maxout(N, I, O, pieces, seed):
    check_against_torch(mg.layers.Maxout(I, O, pieces, dtype="float64"), (N, I), seed=seed)


@settings(max_examples=100)
@given(shapes, few, seeds)
def test_pack(shape, m, seed):
    N, *rest = shape
    check_against_torch(mg.layers.Pack(m), (N * m, *rest), seed=seed)


@settings(max_examples=100)
@given(shapes, st.floats(0, 1), st.floats(1e-6, 1), st.booleans(), seeds)
def test_batch_norm(shape, momentum, eps, train, seed):
    N, *rest = shape
    check_against_torch(BatchNorm(rest[-1], momentum, eps, dtype="float64"), (N + 1, *rest), train, seed)


WITHOUT_PARAMETERS = [mg.layers.ReLU(), LeakyReLU(0.2), LeakyReLU(), LeakyReLU(1.0), Tanh(), mg.layers.Sigmoid(),
                      mg.layers.Flatten()]


@settings(max_examples=100)
@given(shapes, st.sampled_from(WITHOUT_PARAMETERS), seeds)
def test_activations_and_flatten(shape, layer, seed):
    layer.in_network = False                              # the same few layers, in a network of their own at each draw
    check_against_torch(layer, shape, seed=seed)


@settings(max_examples=100)
@given(few, few, few, few, seeds)
def test_reshape(N, H, W, C, seed):
    check_against_torch(mg.layers.Reshape(H, W, C), (N, W * C * H), seed=seed)


@settings(max_examples=100)
@given(few, few, few, few, st.integers(1, 3), seeds)
def test_pixel_shuffle_and_up_sample(N, H, W, C, r, seed):
    check_against_torch(mg.layers.PixelShuffle(r), (N, H, W, C * r * r), seed=seed)
    check_against_torch(mg.layers.UpSample2D(r), (N, H, W, C), seed=seed)


@settings(max_examples=30)
@given(few, few, few, few, st.integers(0, 3), st.integers(0, 3), seeds)
def test_crop(N, H, W, C, more, wider, seed):
    check_against_torch(mg.layers.Crop(H, W), (N, H + more, W + wider, C), seed=seed)


@settings(max_examples=30)
@given(few, few, few, few, seeds)
def test_residual(N, H, W, C, seed):
    w = {"rng": mg.host_rng(seed), "dtype": "float64"}
    check_against_torch(mg.layers.Residual(Conv2D(C, 3, 3, **w), Tanh(), Conv2D(3, C, 3, **w)), (N, H, W, C), seed=seed)


@settings(max_examples=100)
@given(shapes, st.floats(0, 0.9), st.booleans(), seeds)
def test_dropout_with_the_mask_handed_over(shape, rate, train, seed):
    check_against_torch(Dropout(rate, rng=mg.rng(seed)), shape, train, seed)


# --- losses and optimizers ---

@every_loss
@settings(max_examples=100)
@given(few, few, st.sampled_from([0.1, 1, 10, 100]), seeds)
def test_losses(loss, n_real, n_fake, size, seed):
    rng = np.random.default_rng(seed)
    a, b = size * rng.standard_normal((n_real, 1)), size * rng.standard_normal((n_fake, 1))
    a_torch, b_torch = tensor(a).requires_grad_(), tensor(b).requires_grad_()
    torch_D, torch_G = (f(*logits) for f, logits in zip(LOSSES[repr(loss)], [(a_torch, b_torch), (b_torch,)]))
    for ours, theirs in zip(loss.discriminator(a, b), (torch_D, *torch.autograd.grad(torch_D, [a_torch, b_torch]))):
        assert_close(ours, theirs)
    for ours, theirs in zip(loss.generator(b), (torch_G, *torch.autograd.grad(torch_G, [b_torch]))):
        assert_close(ours, theirs)


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.01, momentum=0.9), Adam(), Adam(1e-2, beta1=0.9, eps=1e-6),
                                       Adam(1e-3, beta1=0.0, beta2=0.9)], ids=lambda o: f"{type(o).__name__}-{o.lr}")
def test_optimizers_for_50_steps(optimizer):
    rng = np.random.default_rng(0)
    network = Sequential(Dense(5, 4, dtype="float64"))
    optimizer.bind(network)
    theta = tensor(network.theta).requires_grad_()
    theirs = torch_optimizer([theta], optimizer)
    for _ in range(50):
        network.dtheta[...] = rng.standard_normal(24) * 10.0 ** rng.uniform(-6, 2, 24)
        theta.grad = tensor(network.dtheta)
        optimizer.step()
        theirs.step()
        assert_close(network.theta, theta)


# --- whole training steps ---

def check_steps(gan, twin, real_shape, steps=3):
    rng = mg.host_rng(1)
    for step in range(steps):
        real, z = rng.uniform(-1, 1, real_shape), gan.noise(real_shape[0], rng)
        assert_close(gan.train_step(real, z), twin.train_step(real, z), 1e-8, f"losses of step {step}")
        for ours, theirs in ((gan.G, twin.G), (gan.D, twin.D)):
            scale = np.abs(theirs.theta).max()
            assert_close(ours.theta / scale, theirs.theta / scale, 1e-8, f"theta after step {step}")
            for name, value in ours.states():
                assert_close(value, theirs.states[name], 1e-8, name)


def check_training(networks, loss, update, real_shape, steps=3):
    gan = mg.GAN(*networks, loss, Adam(), Adam(), update)
    check_steps(gan, TwinGAN(gan), real_shape, steps)


both_orders = pytest.mark.parametrize("update", ["alternating", "simultaneous"])


@every_loss
@both_orders
def test_training_mlp_gan(loss, update):
    check_training(mg.models.mlp_gan(mg.host_rng(0), 10, (8, 8, 1), dtype="float64"), loss, update, (3, 8, 8, 1))


def orders(meant, other):
    """The loss that a model is meant for in both orders, another one in the default order."""
    runs = [(meant, "alternating"), (meant, "simultaneous"), (other, "alternating")]
    return pytest.mark.parametrize("loss, update", runs, ids=str)


@orders(NonSaturating(), Hinge())
def test_training_dcgan_28(loss, update):
    networks = mg.models.dcgan_28(mg.host_rng(0), 10, dropout=0.0, dtype="float64")
    check_training(networks, loss, update, (2, 28, 28, 1))


@both_orders
def test_training_dcgan_28_with_the_masks_handed_over(update):
    networks = mg.models.dcgan_28(mg.host_rng(0), 10, dtype="float64")
    check_training(networks, NonSaturating(), update, (2, 28, 28, 1))


@orders(NonSaturating(), Wasserstein())
def test_training_dcgan_64(loss, update):
    check_training(mg.models.dcgan_64(mg.host_rng(0), 10, dtype="float64"), loss, update, (2, 64, 64, 3))


@orders(LeastSquares(), Minimax())
def test_training_dcgan_64_stem(loss, update):
    check_training(mg.models.dcgan_64_stem(mg.host_rng(0), 10, dtype="float64"), loss, update, (2, 64, 64, 3))


@pytest.mark.parametrize("update, packing", [("simultaneous", 1), ("alternating", 2), ("simultaneous", 3)])
def test_training_pacgan_toy(update, packing):
    check_training(mg.models.pacgan_toy(mg.host_rng(0), packing=packing, dtype="float64"), NonSaturating(), update, (12, 2))


def small_networks():
    """With BatchNorm and Dropout in D: real and fake are normalised apart, and the G step leaves no trace in D."""
    w = {"rng": mg.host_rng(0), "dtype": "float64"}
    n = {"momentum": 0.8, "dtype": "float64"}
    return (Sequential(Dense(5, 6, **w), BatchNorm(6, **n), Tanh(), Dense(6, 4, **w)),
            Sequential(Dense(4, 6, **w), BatchNorm(6, **n), LeakyReLU(0.2), Dropout(0.4), Dense(6, 1, **w)))


@every_loss
@both_orders
def test_training_with_batch_norm_and_dropout_in_D(loss, update):
    check_training(small_networks(), loss, update, (6, 4), steps=10)


def test_running_statistics_moved_by_the_G_step_are_caught(monkeypatch):
    """Test of the tests."""
    monkeypatch.setattr(mg.GAN, "_discriminate_again", lambda self, fake, labels: self.discriminate(fake, labels))
    with pytest.raises(AssertionError, match="running_mean"):
        check_training(small_networks(), NonSaturating(), "alternating", (6, 4))


def test_the_wrong_order_of_updates_is_caught():
    """Test of the tests: G meets the new D in one, the old D in the other."""
    gan = mg.GAN(*mg.models.toy_mlp(mg.host_rng(0), dtype="float64"), NonSaturating(), Adam(), Adam(), "simultaneous")
    twin = TwinGAN(gan)
    twin.update = "alternating"
    with pytest.raises(AssertionError, match="losses of step 0"):
        check_steps(gan, twin, (3, 2))
