"""Gradient penalties: the double backward of every layer, and of whole critics, by hand against differences and PyTorch."""
import numpy as np
import pytest
from cases import CASES, build, draw, randomized

from minigan import GAN, penalties
from minigan.backend import asarray, host_rng, rng_state, scalar, set_rng_state, to_numpy
from minigan.backend import rng as device_rng
from minigan.gradcheck import Report, check_double_backward, compare
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    InstanceNorm,
    LayerNorm,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Tanh,
)
from minigan.layers.layer import Layer
from minigan.losses import Hinge
from minigan.optimizers import SGD

w = {"dtype": "float64"}
CRITICS = {
    "MLP, LeakyReLU": (lambda: Sequential(Dense(6, 8, **w), LeakyReLU(0.2), Dense(8, 5, **w), ReLU(), Dense(5, 1, **w)),
                       (4, 6)),
    "MLP, tanh": (lambda: Sequential(Dense(6, 8, **w), Tanh(), Dense(8, 5, **w), Sigmoid(), Dense(5, 1, **w)), (4, 6)),
    "convolutions": (lambda: Sequential(Conv2D(2, 3, 4, stride=2, **w), LeakyReLU(0.2), Conv2D(3, 4, 3, **w), Tanh(),
                                        Flatten(), Dense(36, 1, **w)), (3, 6, 6, 2)),
    "LayerNorm": (lambda: Sequential(Conv2D(2, 3, 3, stride=2, **w), LayerNorm(3, **w), LeakyReLU(0.2), Flatten(),
                                     Dense(12, 4, **w), LayerNorm(4, **w), Tanh(), Dense(4, 1, **w)), (3, 4, 4, 2)),
    "InstanceNorm, Dropout, transposed": (lambda: Sequential(
        Reshape(2, 2, 2), ConvTranspose2D(2, 3, 3, stride=2, **w), InstanceNorm(3, **w), Tanh(),
        Dropout(0.3, rng=device_rng(5)), Sequential(Flatten(), Dense(48, 3, **w)), Tanh(), Dense(3, 1, **w)), (3, 8)),
}
every_critic = pytest.mark.parametrize("name", CRITICS)


def critic(name, seed=3):
    make, shape = CRITICS[name]
    rng = host_rng(seed)
    D = make()
    for _, value, _ in D.parameters():
        value[...] = asarray(0.5 * rng.standard_normal(value.shape))
    return D, draw(rng, shape), draw(rng, shape), asarray(rng.uniform(size=shape[0]))


PENALTIES = {
    "gradient_norm": lambda D, real, fake, epsilon: penalties.gradient_norm(D, real, weight=3.0, target=0.7),
    "wgan_gp": lambda D, real, fake, epsilon: penalties.wgan_gp(D, real, fake, epsilon),
    "r1": lambda D, real, fake, epsilon: penalties.r1(D, real),
    "r1, two known": lambda D, real, fake, epsilon: penalties.r1(D, real, known=1),
}


def differentiable_twice(name):
    layer, _ = build(name)
    return all(type(inner).double_backward is not Layer.double_backward and not isinstance(inner, BatchNorm)
               for _, inner in layer.walk())


@pytest.mark.parametrize("name", [name for name in CASES if differentiable_twice(name)])
@pytest.mark.parametrize("train", [True, False])
def test_double_backward_is_the_derivative_of_backward(backend, name, train):
    report = check_double_backward(*build(name), train=train, entries=20)
    assert report.ok, report


def test_most_layers_are_differentiable_twice():
    assert {type(build(name)[0]) for name in CASES if differentiable_twice(name)} >= {
        Dense, Conv2D, ConvTranspose2D, LeakyReLU, ReLU, Tanh, Sigmoid, Flatten, Reshape, Dropout, LayerNorm, InstanceNorm}


@pytest.mark.parametrize("penalty", PENALTIES)
@every_critic
def test_the_gradient_of_the_penalty_in_every_parameter(backend, name, penalty):
    D, real, fake, epsilon = critic(name)
    states = [(generator, rng_state(generator)) for _, generator in D.generators()]

    def value():
        for generator, state in states:                # dropout draws the same mask again
            set_rng_state(generator, state)
        return PENALTIES[penalty](D, real, fake, epsilon)

    D.zero_grad()
    value()
    analytic = {name: to_numpy(gradient).copy() for name, _, gradient in D.parameters()}
    report = Report(penalty)
    arrays = {name: parameter for name, parameter, _ in D.parameters()}
    compare(report, lambda: scalar(value()), arrays, analytic, host_rng(0), entries=30)
    assert report.ok, report
    assert any(np.abs(gradient).max() > 1e-3 for gradient in analytic.values())


@pytest.mark.parametrize("wrong", [
    ("Tanh", lambda layer, v, dy, y: (v * (1 - y * y), None)),
    ("Tanh", lambda layer, v, dy, y: (v * (1 - y * y), v * dy * -2 * y)),
    ("Sigmoid", lambda layer, v, dy, cache: (v * cache[0] * cache[1], None)),
    ("Dense", lambda layer, v, dy, x: (v @ layer.W, None)),
    ("LeakyReLU", lambda layer, v, dy, positive: (v, None)),
    ("LayerNorm", lambda layer, v, dy, cache: (layer.gamma * layer.B(v, *cache), None)),
], ids=lambda wrong: wrong[0])
def test_a_broken_double_backward_is_caught(wrong):
    name, broken = wrong
    layer, x = build(name)
    layer.double_backward = lambda v, dy, cache: broken(layer, v, dy, cache)
    assert not check_double_backward(layer, x).ok


def test_forgetting_the_way_down_shows_in_curved_critics_only():
    """The f'' terms that numpy-ml leaves out: without them a tanh critic's gradient is wrong, a LeakyReLU critic's right."""
    def relative_error(name):
        D, real, fake, epsilon = critic(name)
        D.zero_grad()
        penalties.wgan_gp(D, real, fake, epsilon)
        right = D.dtheta.copy()
        for layer in D.layers:
            full = layer.double_backward
            layer.double_backward = lambda v, dy, cache, full=full: (full(v, dy, cache)[0], None)
        D.zero_grad()
        penalties.wgan_gp(D, real, fake, epsilon)
        return np.linalg.norm(D.dtheta - right) / np.linalg.norm(right)

    assert relative_error("MLP, LeakyReLU") == 0
    assert relative_error("MLP, tanh") > 0.1


@every_critic
@pytest.mark.parametrize("penalty", ["gradient_norm", "r1"])
def test_in_shards_as_whole(request, name, penalty):
    if "Dropout" in name:
        pytest.skip("other shards draw other masks")

    def gradient():
        D, real, fake, epsilon = critic(name)
        D.zero_grad()
        value = PENALTIES[penalty](D, real, fake, epsilon)
        return np.append(D.dtheta, value)

    whole = gradient()
    request.getfixturevalue("in_shards")
    np.testing.assert_allclose(gradient(), whole, rtol=1e-10, atol=1e-12)


def test_the_norm_is_that_of_each_sample(backend):
    """torchgan's bug: a norm over the whole batch. Of a batch twice over, the penalty must be the same."""
    D, real, fake, epsilon = critic("convolutions")
    def twice(x): return asarray(np.concatenate([to_numpy(x)] * 2))
    results = []
    for batch in ((real, fake, epsilon), (twice(real), twice(fake), twice(epsilon))):
        D.zero_grad()
        results.append((scalar(penalties.wgan_gp(D, *batch)), to_numpy(D.dtheta).copy()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_flat_critic_gives_no_nan(backend, dtype):
    D = Sequential(Dense(3, 4, dtype=dtype), LeakyReLU(0.2), Dense(4, 1, dtype=dtype))
    D.theta[...] = 0
    D.zero_grad()
    value = penalties.gradient_norm(D, draw(host_rng(0), (5, 3), dtype))
    assert scalar(value) == pytest.approx(10, rel=1e-6) and np.isfinite(to_numpy(D.dtheta)).all()
    assert value.dtype == dtype


def test_a_linear_critic_in_closed_form(backend):
    """D(x) = w x has the gradient w everywhere: the penalty is 10 (‖w‖ - 1)², its derivative 20 (‖w‖ - 1) w/‖w‖."""
    D = Sequential(Dense(2, 1, **w))
    D.layers[0].W = np.array([[3.0], [4.0]])
    D.zero_grad()
    assert scalar(penalties.gradient_norm(D, draw(host_rng(0), (7, 2)))) == pytest.approx(160)
    np.testing.assert_allclose(to_numpy(D.layers[0].dW), [[48], [64]], rtol=1e-12)
    np.testing.assert_array_equal(to_numpy(D.layers[0].db), 0)
    D.zero_grad()
    assert scalar(penalties.r1(D, draw(host_rng(0), (7, 2)), gamma=2.0)) == pytest.approx(25)
    np.testing.assert_allclose(to_numpy(D.layers[0].dW), [[6], [8]], rtol=1e-12)


def slopes(D, x, known):
    """‖∇D(xₙ)‖ for each n, for a D of Flatten, Dense, Tanh, Dense, by the chain rule; not over the last `known` channels."""
    _, first, _, last = D.layers
    W, b, w2 = (to_numpy(array) for array in (first.W, first.b, last.W))
    gradients = [W @ (np.cosh(sample.ravel() @ W + b) ** -2 * w2[:, 0]) for sample in x]
    return np.array([np.linalg.norm(g.reshape(x.shape[1:])[..., :x.shape[-1] - known]) for g in gradients])


@pytest.mark.parametrize("known", [0, 1, 2])
def test_the_values_are_those_of_the_formulas(backend, known):
    """With fewer conditions than other channels; there D is steep, and nobody asks."""
    D = randomized(Sequential(Flatten(), Dense(20, 6, **w), Tanh(), Dense(6, 1, **w)), host_rng(2))
    real, fake, epsilon = draw(host_rng(3), (5, 2, 2, 5)), draw(host_rng(4), (5, 2, 2, 5)), asarray(np.linspace(0, 0.8, 5))
    e = np.linspace(0, 0.8, 5).reshape(5, 1, 1, 1)
    on_real, between = (slopes(D, x, known) for x in (to_numpy(real), e * to_numpy(real) + (1 - e) * to_numpy(fake)))
    asked = {"known": known} if known else {}
    g = to_numpy(penalties.input_gradient(D, real, **asked)[0])
    np.testing.assert_allclose(np.sqrt((g ** 2).sum(axis=(1, 2, 3))), on_real, rtol=1e-12)
    for value, expected in (
            (penalties.gradient_norm(D, real, **asked), 10 * np.mean((on_real - 1) ** 2)),
            (penalties.gradient_norm(D, real, 3.0, 0.7, **asked), 3 * np.mean((on_real - 0.7) ** 2)),
            (penalties.wgan_gp(D, real, fake, epsilon, **asked), 10 * np.mean((between - 1) ** 2)),
            (penalties.wgan_gp(D, real, fake, epsilon, 0.3, **asked), 0.3 * np.mean((between - 1) ** 2)),
            (penalties.R1()(D, real, fake, **asked), 5 * np.mean(on_real ** 2)),
            (penalties.R2(0.6)(D, real, fake, **asked), 0.3 * np.mean(slopes(D, to_numpy(fake), known) ** 2)),
            (penalties.r2(D, real, 0.3, **asked), 0.15 * np.mean(on_real ** 2)),
            (penalties.r1(D, real, 0.3, **asked), 0.15 * np.mean(on_real ** 2)),
            (penalties.r1(D, real, **asked), 5 * np.mean(on_real ** 2))):
        assert scalar(value) == pytest.approx(expected, rel=1e-12)
    with_rng = penalties.WGANGP(device_rng(1))(D, real, fake, **asked)
    epsilon = device_rng(1).random((5,), dtype="float64")
    assert scalar(with_rng) == pytest.approx(scalar(penalties.wgan_gp(D, real, fake, epsilon, 10.0, known)), rel=1e-12)


def test_a_GAN_takes_several_penalties(backend):
    """loss_D and D's gradient are those of the game without a penalty, and of each penalty."""
    def step(penalty):
        G, D = Sequential(Dense(3, 6, **w, rng=host_rng(0))), critic("MLP, tanh")[0]
        gan = GAN(G, D, Hinge(), SGD(0.0), SGD(0.0), penalty=penalty)
        real, z = draw(host_rng(3), (4, 6)), draw(host_rng(4), (4, 3))
        return scalar(gan.train_step(real, z)[0]), to_numpy(D.dtheta).copy(), gan

    R1, R2, WGANGP = penalties.R1(0.7), penalties.R2(3.0), penalties.WGANGP
    (plain, nothing, _), (first, one, _), (second, other, _), (both, all_, _) = map(step, (None, R1, [R2], (R1, R2)))
    assert both - plain == pytest.approx(first - plain + second - plain, rel=1e-9) and first > plain < second
    np.testing.assert_allclose(all_ - nothing, one - nothing + other - nothing, rtol=1e-9, atol=1e-12)
    *_, gan = step([R1, WGANGP(device_rng(1)), WGANGP(device_rng(2))])
    assert list(gan.generators()) == ["penalty.rng", "penalty.1.rng"] and step([])[0] == plain


def test_it_adds(backend):
    D, real, fake, epsilon = critic("MLP, tanh")
    D.zero_grad()
    penalties.r1(D, real)
    once = to_numpy(D.dtheta).copy()
    penalties.r1(D, real)
    np.testing.assert_allclose(to_numpy(D.dtheta), 2 * once, rtol=1e-12)


def test_batchnorm_is_refused_and_nothing_added():
    D = Sequential(Dense(3, 4, **w), Sequential(BatchNorm(4, **w)), Dense(4, 1, **w), name="D")
    D.rename("D")
    D.dtheta[...] = 7
    with pytest.raises(ValueError, match=r'BatchNorm "D.1.0" makes every output depend on the whole batch'):
        penalties.r1(D, draw(host_rng(0), (5, 3)))
    assert (D.dtheta == 7).all()


def test_a_layer_without_double_backward_is_named():
    class Cube(Layer):
        def forward(self, x, train=True):
            return x ** 3, x

    with pytest.raises(NotImplementedError, match="Cube .*double_backward"):
        penalties.r1(Sequential(Dense(3, 1, **w), Cube(), name="D"), draw(host_rng(0), (5, 3)))


def test_one_epsilon_a_sample():
    D, real, fake, epsilon = critic("MLP, tanh")
    with pytest.raises(ValueError, match="one epsilon a sample"):
        penalties.wgan_gp(D, real, fake, epsilon[:1])
    with pytest.raises(ValueError, match="one shape"):
        penalties.wgan_gp(D, real, fake[:, :2], epsilon)


def test_the_interpolation_weight_is_uniform():
    """keras.io once drew it from a normal distribution."""
    seen = []
    penalty = penalties.WGANGP(device_rng(0))
    D = Sequential(Dense(1, 1, **w))
    D.forward, forward = lambda x, train=True: (seen.append(x), forward(x, train))[1], D.forward
    penalty(D, np.ones((4000, 1)), np.zeros((4000, 1)))
    assert 0 <= seen[0].min() and seen[0].max() < 1 and seen[0].mean() == pytest.approx(0.5, abs=0.02)
    assert seen[0].std() == pytest.approx(12 ** -0.5, abs=0.01)


@every_critic
@pytest.mark.parametrize("seed", range(3))
def test_against_torch(name, seed):
    """WGAN-GP and R1 by autograd's create_graph, on freshly drawn critics."""
    torch_twin = pytest.importorskip("torch_twin")
    if "Dropout" in name:
        pytest.skip("dropout is random")
    torch, tensor = torch_twin.torch, torch_twin.tensor
    D, real, fake, epsilon = critic(name, seed)
    twin = torch_twin.Twin(D)

    def penalty(x, target):
        x = x.requires_grad_()
        g, = torch.autograd.grad(twin(x).sum(), x, create_graph=True)
        norm = (g.flatten(1) ** 2).sum(1) + 1e-20      # ReLUs may all be off, and the root of 0 has no slope
        return 10 * ((norm.sqrt() - 1) ** 2).mean() if target else 5 * norm.mean()

    e = tensor(epsilon).reshape(-1, *[1] * (real.ndim - 1))
    between = e * tensor(real) + (1 - e) * tensor(fake)
    for value, ours in ((penalty(between, 1), lambda: penalties.wgan_gp(D, real, fake, epsilon)),
                        (penalty(tensor(real), 0), lambda: penalties.r1(D, real))):
        D.zero_grad()
        assert scalar(ours()) == pytest.approx(value.item(), rel=1e-10)
        gradients = torch.autograd.grad(value, twin.parameters.values(), allow_unused=True)
        for (path, _, gradient), theirs in zip(D.parameters(), gradients):
            expected = np.zeros(gradient.shape) if theirs is None else theirs.numpy()
            np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-8, err_msg=path)


def test_randomized_critics_are_not_trivial():
    D = randomized(CRITICS["MLP, tanh"][0](), host_rng(0))
    assert all(np.abs(value).min() > 0 for _, value, _ in D.parameters())
