"""BatchNorm and the activation after it, joined on a GPU: the same numbers as from one after the other, in fewer kernels."""
import numpy as np
import pytest
from cases import draw, randomized, run

import minigan as mg
from minigan.backend import host_rng, to_numpy
from minigan.layers import BatchNorm, Dense, LeakyReLU, ReLU, Sequential, Tanh
from minigan.layers import joined as joined_layers

on_device = pytest.mark.parametrize("backend", ["standin", "cupy"], indirect=True)


class OwnReLU(ReLU):
    """A reader's own activation: it may compute something else."""

    def forward(self, x, train=True):
        return super().forward(2 * x, train)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        return super().backward(2 * dy, cache, param_grads, input_grad)


class OwnNorm(BatchNorm):
    """And so may a joined_layers."""

    def forward(self, x, train=True):
        return super().forward(x + 1, train)


NETWORKS = {                                           # the layers; how many pairs are joined
    "LeakyReLU": (lambda: [Dense(3, 4), BatchNorm(4), LeakyReLU(0.2)], 1),
    "ReLU": (lambda: [Dense(3, 4), BatchNorm(4), ReLU(), Dense(4, 3), BatchNorm(3), ReLU()], 2),
    "first layer": (lambda: [BatchNorm(3), LeakyReLU(0.2), Dense(3, 4)], 1),
    "two activations": (lambda: [Dense(3, 4), BatchNorm(4), ReLU(), LeakyReLU(0.2)], 1),
    "a network inside": (lambda: [Dense(3, 4), Sequential(BatchNorm(4), ReLU()), BatchNorm(4), ReLU()], 2),
    "another activation": (lambda: [Dense(3, 4), BatchNorm(4), Tanh()], 0),
    "the other order": (lambda: [Dense(3, 4), ReLU(), BatchNorm(4)], 0),
    "own normalization": (lambda: [Dense(3, 4), OwnNorm(4), ReLU()], 0),
    "own activation": (lambda: [Dense(3, 4), BatchNorm(4), OwnReLU()], 0),
}


def network(name):
    return randomized(Sequential(*NETWORKS[name][0]()), host_rng(0))


def passes(name, train, input_grad=True, param_grads=True):
    """All that a pass forward and two backward leave behind."""
    net, x = network(name), draw(host_rng(1), (6, 3), "float32")
    y, cache = net.forward(x, train)
    dy = draw(host_rng(2), y.shape, "float32")
    for _ in range(2):                                 # a cache may be used again
        dx = net.backward(dy, cache, param_grads, input_grad)
    found = {"y": y, "dtheta": net.dtheta, "dy": dy} | ({"dx": dx} if input_grad else {}) | dict(net.states())
    return {name: to_numpy(value).copy() for name, value in found.items()}


@on_device
@pytest.mark.parametrize("ask", [{}, {"input_grad": False}, {"param_grads": False}], ids=str)
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_joined_layers_compute_what_they_compute_one_by_one(backend, name, train, ask):
    found = passes(name, train, **ask)
    mg.use("cpu")
    for what, expected in passes(name, train, **ask).items():
        if backend == "standin":
            np.testing.assert_array_equal(found[what], expected, strict=True, err_msg=what)
        else:
            np.testing.assert_allclose(found[what], expected, rtol=1e-4, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("name", NETWORKS)
def test_which_layers_are_joined(standin, name):
    pairs = NETWORKS[name][1]
    net, x = network(name), draw(host_rng(1), (6, 3), "float32")
    standin.launches.clear()
    run(net, x)
    assert standin.launches.count("scaled_leaky") == standin.launches.count("leaky_scaled_backward") == pairs
    mg.use("cpu")
    assert joined_layers.joined(net.layers) is net.layers


def test_a_pair_saves_two_kernels_and_a_cut_between_its_layers_parts_it(standin):
    net, x = network("LeakyReLU"), draw(host_rng(1), (6, 3), "float32")
    counts = []
    for networks in ([net], [net[:2], net[2:]]):
        y, caches = x, []
        standin.launches.clear()
        for part in networks:
            y, cache = part.forward(y)
            caches.append(cache)
        dy = draw(host_rng(2), y.shape, "float32")
        for part, cache in zip(networks[::-1], caches[::-1]):
            dy = part.backward(dy, cache)
        counts.append(len(standin.launches))
    assert counts[0] == counts[1] - 2


@on_device
def test_a_wrong_upstream_gradient_gets_one_sentence(backend):
    net, x = network("LeakyReLU"), draw(host_rng(1), (6, 3), "float32")
    y, cache = net.forward(x)
    with pytest.raises(ValueError, match=r"BatchNorm.*expected dy \(6, 4\) float32, got \(6, 1\) float32"):
        net.backward(y[:, :1], cache)


@on_device
def test_a_penalty_is_refused_as_without_joining(backend):
    net, x = Sequential(network("LeakyReLU"), Dense(4, 1)), draw(host_rng(1), (6, 3), "float32")
    with pytest.raises(ValueError, match="LayerNorm or InstanceNorm"):
        mg.penalties.r1(net, x)
    net = network("LeakyReLU")
    y, cache = net.forward(x)
    with pytest.raises(ValueError, match="LayerNorm or InstanceNorm"):
        net.double_backward(x, y, cache)


def test_what_nobody_asks_for_is_not_computed(standin):
    net, x = network("first layer"), draw(host_rng(1), (6, 3), "float32")
    y, cache = net.forward(x)
    standin.launches.clear()
    net.backward(y, cache, input_grad=False)
    assert "normalized_backward" not in standin.launches
    net.backward(y, cache)
    assert standin.launches.count("normalized_backward") == 1


def slope_forgotten(dy, positive, alpha, x_hat):
    return dy, dy * x_hat


def product_of_the_old_dy(dy, positive, alpha, x_hat):
    return joined_layers.leaky_backward(dy, positive, alpha), dy * x_hat


@pytest.mark.parametrize("name, broken", [
    ("leaky_scaled_backward", slope_forgotten), ("leaky_scaled_backward", product_of_the_old_dy),
    ("scaled_leaky", lambda x_hat, inv_std, gamma, beta, alpha: joined_layers.leaky(gamma * x_hat + beta, alpha))],
    ids=lambda value: getattr(value, "__name__", value))
def test_a_mistake_in_a_joined_formula_is_caught(standin, monkeypatch, name, broken):
    monkeypatch.setattr(joined_layers, name, broken)
    with pytest.raises(AssertionError):
        test_joined_layers_compute_what_they_compute_one_by_one("standin", "LeakyReLU", True, {})
