"""The optimizers against their formulas, written out number by number."""
import math

import numpy as np
import pytest

import minigan as mg
from minigan.backend import to_numpy
from minigan.layers import Dense, Sequential, Tanh
from minigan.optimizers import SGD, Adam

MAKERS = {"SGD": lambda: SGD(0.1), "momentum": lambda: SGD(0.1, momentum=0.9), "Adam": lambda: Adam(0.1)}
every_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def network(dtype="float64"):
    rng = mg.host_rng(0)
    return Sequential(Dense(3, 4, rng=rng, dtype=dtype), Tanh(), Dense(4, 2, rng=rng, dtype=dtype))


def bound(optimizer, dtype="float64"):
    """The optimizer with a network of its own."""
    optimizer.bind(network(dtype))
    return optimizer


def gradients(steps, seed=0):
    """Gradients of very different sizes, from 1e-9 to 1e3, some of them exactly zero."""
    rng = np.random.default_rng(seed)
    size = network().theta.size
    sizes = 10.0 ** rng.uniform(-9, 3, size) * (rng.random(size) > 0.1)
    return sizes * rng.standard_normal((steps, size))


def run(optimizer, gradients):
    """theta after one step along each gradient."""
    for gradient in gradients:
        optimizer.network.dtheta[...] = mg.asarray(gradient.astype(optimizer.network.dtheta.dtype))
        optimizer.step()
    return to_numpy(optimizer.network.theta).copy()


def textbook_adam(theta, gradients, lr, beta1, beta2, eps):
    """Algorithm 1 of arXiv:1412.6980 for one number."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        theta -= lr * (m / (1 - beta1 ** t)) / (math.sqrt(v / (1 - beta2 ** t)) + eps)
    return theta


def textbook_sgd(theta, gradients, lr, momentum):
    velocity = 0.0
    for g in gradients:
        velocity = momentum * velocity + g
        theta -= lr * velocity
    return theta


@pytest.mark.parametrize("beta1, beta2", [(0.5, 0.999), (0.9, 0.999), (0.0, 0.9), (0.9, 0.0)])
@pytest.mark.parametrize("steps", [1, 2, 100])
def test_adam_is_the_textbook_sequence(backend, steps, beta1, beta2):
    optimizer = bound(Adam(1e-3, beta1, beta2, eps=1e-7))
    start, g = to_numpy(optimizer.network.theta).copy(), gradients(steps)
    expected = [textbook_adam(start[i], g[:, i], 1e-3, beta1, beta2, 1e-7) for i in range(start.size)]
    np.testing.assert_allclose(run(optimizer, g), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_textbook_sequence(backend, momentum):
    optimizer = bound(SGD(1e-3, momentum))
    start, g = to_numpy(optimizer.network.theta).copy(), gradients(100)
    expected = [textbook_sgd(start[i], g[:, i], 1e-3, momentum) for i in range(start.size)]
    np.testing.assert_allclose(run(optimizer, g), expected, rtol=1e-10, atol=1e-12)


def test_adams_first_step_is_lr_whatever_the_size_of_the_gradient():
    optimizer = bound(Adam(0.01))
    start = to_numpy(optimizer.network.theta).copy()
    g = 10.0 ** np.linspace(-4, 4, start.size) * (-1) ** np.arange(start.size)
    np.testing.assert_allclose(run(optimizer, [g]), start - 0.01 * np.sign(g), rtol=0, atol=2e-6)


def test_the_defaults_are_dcgans():
    optimizer = Adam()
    assert (optimizer.lr, optimizer.beta1, optimizer.beta2, optimizer.eps) == (2e-4, 0.5, 0.999, 1e-8)


@every_optimizer
def test_theta_is_moved_in_place_and_the_gradient_left_alone(backend, make):
    optimizer = bound(make())
    net, g = optimizer.network, gradients(1)
    theta, dtheta, W = net.theta, net.dtheta, net[2].W
    before = to_numpy(W).copy()
    run(optimizer, g)
    assert net.theta is theta and net.dtheta is dtheta and net[2].W is W
    assert not np.array_equal(to_numpy(W), before)
    np.testing.assert_array_equal(to_numpy(W).ravel(), to_numpy(theta)[16:24])      # behind the 3·4 + 4 of layer 0
    np.testing.assert_array_equal(to_numpy(dtheta), g[0])


@every_optimizer
def test_float32_stays_float32(backend, make):
    optimizer = bound(make(), "float32")
    assert run(optimizer, gradients(3)).dtype == "float32"
    assert {name: value.dtype for name, value in optimizer.state().items() if name != "t"} == dict.fromkeys(
        optimizer.vector_names, np.dtype("float32"))


@every_optimizer
def test_every_network_has_a_state_of_its_own(make):
    g = gradients(4)
    alone = run(bound(make()), g[:2])
    one, other = bound(make()), bound(make())
    run(one, g[:1])
    run(other, g[2:])
    np.testing.assert_array_equal(run(one, g[1:2]), alone)


@every_optimizer
def test_a_second_network_is_refused(make):
    optimizer = bound(make())
    with pytest.raises(ValueError, match="optimizer of its own"):
        bound(optimizer)


@every_optimizer
def test_state_continues_bit_for_bit(backend, make):
    g = gradients(6)
    whole = run(bound(make()), g)
    first, second = bound(make()), bound(make())
    second.network.theta[...] = mg.asarray(run(first, g[:3]))
    second.set_state({name: to_numpy(value).copy() for name, value in first.state().items()})
    np.testing.assert_array_equal(run(second, g[3:]), whole)


@pytest.mark.parametrize("make", [MAKERS["momentum"], MAKERS["Adam"]], ids=["momentum", "Adam"])
@pytest.mark.parametrize("leave_out", ["t", "vectors"])
def test_the_whole_state_matters(make, leave_out):
    """Test of the test above: continuing with a part of the state ends elsewhere."""
    g = gradients(6)
    optimizer = bound(make())
    run(optimizer, g[:3])
    if leave_out == "t":
        optimizer.t = 0
    else:
        for name in optimizer.vector_names:
            getattr(optimizer, name)[...] = 0
    same = np.array_equal(run(optimizer, g[3:]), run(bound(make()), g))
    assert same == (leave_out == "t" and isinstance(optimizer, SGD))


@pytest.mark.parametrize("name, make", [
    ("lr", lambda: SGD(-0.1)), ("lr", lambda: SGD(math.inf)), ("lr", lambda: SGD(math.nan)),
    ("momentum", lambda: SGD(0.1, momentum=1.0)), ("momentum", lambda: SGD(0.1, momentum=-0.1)),
    ("lr", lambda: Adam(-1e-4)), ("lr", lambda: Adam(math.nan)), ("beta1", lambda: Adam(beta1=1.0)),
    ("beta1", lambda: Adam(beta1=-0.1)), ("beta2", lambda: Adam(beta2=1.0)), ("beta2", lambda: Adam(beta2=math.nan)),
    ("eps", lambda: Adam(eps=-1e-8))])
def test_bad_hyper_parameters_are_refused(name, make):
    with pytest.raises(ValueError, match=f"^(SGD|Adam): {name} must be"):
        make()


# --- what is finite stays finite ---

EXTREMES = [[2e19, 1.0, 1.0], [1e-3, 1e-3, 1e-3], [3e25, -1e25, 2e25], [3e38, -3e38, 3e38], [1e-25, 2e-25, -1e-25],
            [0.0, 1e20, 0.0], [1.0, 1e30, 1e-30], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("eps", [1e-8, 0.0])
@pytest.mark.parametrize("beta1", [0.5, 0.9])
def test_adam_in_float32_goes_as_in_float64_whatever_the_size_of_the_gradient(backend, beta1, eps):
    optimizer = Adam(1e-2, beta1=beta1, eps=eps)
    optimizer.bind(Sequential(Dense(len(EXTREMES), 1, bias=False)))
    optimizer.network.theta[...] = 0
    for t in range(3):
        optimizer.network.dtheta[...] = mg.asarray(np.array([g[t] for g in EXTREMES], "float32"))
        optimizer.step()
        expected = [textbook_adam(0.0, g[:t + 1], 1e-2, beta1, 0.999, eps or 1e-300) for g in EXTREMES]
        np.testing.assert_allclose(to_numpy(optimizer.network.theta), expected, rtol=2e-6, atol=1e-12)


def test_adam_of_a_dead_unit_without_eps_stands_still(backend):
    optimizer = bound(Adam(eps=0.0))
    start = to_numpy(optimizer.network.theta).copy()
    np.testing.assert_array_equal(run(optimizer, np.zeros((3, start.size))), start)
