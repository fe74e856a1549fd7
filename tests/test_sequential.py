"""Sequential: one vector theta, views into it, names, parts and copies of networks."""
import copy
import pickle
from collections import deque
from types import MappingProxyType

import numpy as np
import pytest
from cases import Parabola, Residual, check, draw, randomized, run

from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.backend import rng as device_rng
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, LeakyReLU, Reshape, Sequential, Tanh


def small_network(dtype="float64"):
    """A network with everything in it: nested, composite, without parameters, with running statistics, with dropout."""
    w = {"rng": host_rng(0), "dtype": dtype}
    network = Sequential(
        Dense(3, 8, bias=False, **w), LeakyReLU(0.2),
        Sequential(Reshape(2, 2, 2), Conv2D(2, 2, 3, **w), BatchNorm(2, dtype=dtype)),
        Dropout(0.3, rng=device_rng(7)), Flatten(), Residual(Dense(8, 8, **w), Tanh()), Parabola(8, dtype),
        Dense(8, 1, **w))
    return randomized(network, host_rng(1))


class Wrapped(Layer):
    """A composite that holds its layer directly."""

    def __init__(self, layer):
        self.inner = layer


NAMES = ["0.W", "2.1.W", "2.1.b", "2.2.gamma", "2.2.beta", "5.body.0.W", "5.body.0.b",
         "6.a", "6.b", "6.c", "7.W", "7.b"]


def assert_parameters_lie_in_theta(network):
    """One parameter after the other, without gaps, and all are views: what is written into one is seen in the other."""
    start = 0
    for name, value, gradient in network.parameters():
        stop = start + value.size
        for vector, view in ((network.theta, value), (network.dtheta, gradient)):
            vector[start:stop] = 10.0 + start
            assert (to_numpy(view) == 10.0 + start).all(), name
            view[...] = -1.0
            assert (to_numpy(vector[start:stop]) == -1).all(), name
        start = stop
    assert network.theta.shape == network.dtheta.shape == (network.size,) == (start,)


# --- theta ---

def test_the_parameters_are_views_into_theta(backend):
    assert_parameters_lie_in_theta(small_network())


def test_a_nested_network_has_a_piece_of_the_same_theta(backend):
    network = small_network()
    for inner, names in ((network[2], NAMES[1:5]), (network[5].body, NAMES[5:7])):
        assert_parameters_lie_in_theta(inner)
        inner.theta[...] = 7.0
        found = {name: value for name, value, _ in network.parameters()}
        assert all((to_numpy(found[name]) == 7).all() for name in names)


def test_gathering_the_parameters_keeps_their_values(backend):
    layers = Dense(3, 4, rng=host_rng(0)), Tanh(), BatchNorm(4)
    before = [to_numpy(value).copy() for layer in layers for _, value, _ in layer.parameters()]
    network = Sequential(*layers)
    np.testing.assert_array_equal(to_numpy(network.theta), np.concatenate([value.ravel() for value in before]))
    assert not to_numpy(network.dtheta).any()


def test_theta_is_contiguous_and_of_the_dtype_of_the_layers(backend):
    for dtype in ("float32", "float64"):
        network = small_network(dtype)
        assert network.theta.flags.c_contiguous and network.dtheta.flags.c_contiguous
        assert network.theta.dtype == network.dtheta.dtype == dtype


def test_a_step_on_theta_changes_what_the_network_computes(backend):
    network, x = Sequential(Dense(3, 2, dtype="float64")), draw(host_rng(2), (4, 3))
    before = to_numpy(network(x))
    network.theta *= 2
    np.testing.assert_allclose(to_numpy(network(x)), 2 * before, rtol=1e-12)


def test_backward_adds_to_dtheta_until_zero_grad(backend):
    network, x = small_network(), draw(host_rng(2), (4, 3))
    y, cache = network.forward(x)
    network.backward(y, cache)
    once = to_numpy(network.dtheta).copy()
    network.backward(y, cache)
    np.testing.assert_allclose(to_numpy(network.dtheta), 2 * once, rtol=1e-12)
    network.zero_grad()
    assert once.any() and not to_numpy(network.dtheta).any()


def test_without_input_grad_the_parameters_get_the_same_gradient(backend):
    network, x = small_network(), draw(host_rng(2), (4, 3))
    y, cache = network.forward(x)
    network.backward(y, cache)
    full = to_numpy(network.dtheta).copy()
    network.zero_grad()
    assert network.backward(y, cache, input_grad=False) is None
    np.testing.assert_array_equal(to_numpy(network.dtheta), full)


def test_without_input_grad_nothing_below_the_first_parameters_is_worked_out():
    network, x = Sequential(Flatten(), Tanh(), Dense(4, 1), Tanh()), np.ones((3, 2, 2), "float32")
    for below in network.layers[:2]:
        below.backward = None                          # would raise if it were called
    y, cache = network.forward(x)
    assert network.backward(y, cache, input_grad=False) is None
    assert network[2].dW.any()


def test_without_input_grad_the_first_layer_is_told_so():
    """Of a D step the gradient with respect to the images would be the dearest part, and nobody needs it."""
    network, flags = Sequential(Dense(4, 3), Tanh(), Dense(3, 1)), {}
    for i, layer in enumerate(network.layers):
        def backward(dy, cache, param_grads, input_grad, i=i, good=layer.backward):
            flags[i] = input_grad
            return good(dy, cache, param_grads, input_grad)
        layer.backward = backward
    y, cache = network.forward(np.ones((2, 4), "float32"))
    network.backward(y, cache, input_grad=False)
    assert flags == {0: False, 1: True, 2: True}


# --- names ---

def test_names_tell_where_a_parameter_sits(backend):
    network = small_network()
    assert [name for name, _, _ in network.parameters()] == NAMES
    assert [name for name, _ in network.states()] == ["2.2.running_mean", "2.2.running_var", "2.2.running_weight"]
    assert [name for name, _ in network.generators()] == ["3.rng"]


def test_a_renamed_network_names_all_layers_inside():
    network = small_network()
    network.rename("D")
    inside = network, network[0], network[2][1], network[5].body, network[5].body[0]
    assert [layer.name for layer in inside] == ["D", "D.0", "D.2.1", "D.5.body", "D.5.body.0"]


def test_the_layers_of_an_unnamed_network_have_their_number():
    network = small_network()
    assert [layer.name for layer in (network, network[0], network[2][1])] == ["", "0", "2.1"]


def test_an_error_says_which_layer_of_which_network(backend):
    network = Sequential(Conv2D(1, 4, 5, stride=2), Flatten(), Dense(100, 1), name="D")
    with pytest.raises(ValueError) as caught:
        network(asarray(np.zeros((64, 28, 28), "float32")))
    assert str(caught.value) == 'Conv2D "D.0": expected (N, H, W, 1), got (64, 28, 28)'
    with pytest.raises(ValueError, match=r'Dense "D\.2": expected \(N, 100\), got \(2, 784\)'):
        network(asarray(np.zeros((2, 28, 28, 1), "float32")))


def test_the_summary_shows_names_shapes_and_counts(capsys):
    head = Sequential(Conv2D(64, 2, 5, stride=2), Tanh())
    Sequential(Dense(100, 3136), Reshape(7, 7, 64), BatchNorm(64), head).summary((100,))
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "layer output shape parameters",
        "0 Dense(100, 3136) (N, 3136) 316,736",
        "1 Reshape(7, 7, 64) (N, 7, 7, 64) 0",
        "2 BatchNorm(64) (N, 7, 7, 64) 128",
        "3 Sequential of 2 layers (N, 4, 4, 2) 3,202",
        "total 320,066"]


def test_the_summary_changes_nothing(backend, capsys):
    network = small_network()
    before = [to_numpy(value).copy() for _, value in [("theta", network.theta), *network.states()]]
    network.summary((3,))
    for old, (name, value) in zip(before, [("theta", network.theta), *network.states()]):
        np.testing.assert_array_equal(to_numpy(value), old, err_msg=name)


# --- parts ---

@pytest.mark.parametrize("start, stop", [(None, 3), (2, None), (1, 6), (None, -1), (-2, None), (None, None), (1, 2),
                                         (3, 3), (5, 2)])
def test_a_part_of_a_network_shares_its_parameters(backend, start, stop):
    whole = small_network()
    network = whole[start:stop]
    assert network.layers == whole.layers[start:stop]
    assert_parameters_lie_in_theta(network)
    network.theta[...], network.dtheta[...] = 5.0, 6.0
    for layer in whole.layers:
        for name, value, gradient in layer.parameters():
            inside = any(layer is other for other in network.layers)
            assert ((to_numpy(value) == 5) == inside).all() and ((to_numpy(gradient) == 6) == inside).all(), name


def test_a_part_is_a_network_with_a_right_gradient(backend):
    part, x = small_network()[:3], draw(host_rng(2), (4, 3))
    report = check(part, x)
    assert report.ok, str(report)


def test_a_part_with_a_step_is_refused_since_its_parameters_lie_apart():
    for part in (slice(None, None, 2), slice(None, None, -1)):
        with pytest.raises((ValueError, TypeError), match="Sequential"):
            small_network()[part]


def test_a_single_index_is_the_layer_itself():
    network = small_network()
    assert network[0] is network.layers[0] and network[-1] is network.layers[-1]


# --- what a network refuses ---

@pytest.mark.parametrize("taken", [
    pytest.param(lambda network: network[0], id="layer"),
    pytest.param(lambda network: network[2], id="network inside"),
    pytest.param(lambda network: network[2][1], id="layer of that"),
    pytest.param(lambda network: network[:2], id="part"),
    pytest.param(lambda network: network[5].body, id="body of a composite"),
    pytest.param(lambda network: Wrapped(network[0]), id="wrapped")])
def test_a_layer_belongs_to_one_network(taken):
    """Its parameters can lie in one theta only."""
    network = small_network()
    with pytest.raises(ValueError, match="belongs to a network already.*copy.deepcopy"):
        Sequential(taken(network))
    assert_parameters_lie_in_theta(network)            # the attempt took nothing away from it


def test_a_layer_comes_once_in_a_network():
    layer = Dense(2, 2)
    with pytest.raises(ValueError, match="number 1, Dense, belongs to a network already"):
        Sequential(layer, layer)


def test_layers_of_different_dtype_are_refused():
    with pytest.raises(TypeError, match="Sequential: all layers need the same dtype, got float32 and float64"):
        Sequential(Dense(2, 2), Dense(2, 2, dtype="float64"))


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="Sequential takes layers, got list as number 0"):
        Sequential([Dense(2, 2), Tanh()])


# --- copies ---

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda network: pickle.loads(pickle.dumps(network))}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_computes_the_same(backend, duplicate):
    network, x = small_network(), draw(host_rng(2), (4, 3))
    network.rename("G")
    twin = duplicate(network)
    assert [layer.name for _, layer in twin.walk()] == [layer.name for _, layer in network.walk()]
    assert type(twin.theta) is xp.ndarray
    expected, found = run(network, x), run(twin, x)    # in training: the copied generator draws the same dropout mask
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key)


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_is_independent_and_its_views_are_right(backend, duplicate):
    network = small_network()
    before = [to_numpy(value).copy() for value in (network.theta, network.dtheta, network[2][2].running_mean)]
    twin = duplicate(network)
    assert_parameters_lie_in_theta(twin)
    for inner in (twin[2], twin[5].body):
        assert_parameters_lie_in_theta(inner)
    twin.forward(draw(host_rng(2), (4, 3)))            # moves the copy's running statistics
    for old, value in zip(before, (network.theta, network.dtheta, network[2][2].running_mean)):
        np.testing.assert_array_equal(to_numpy(value), old)
    assert_parameters_lie_in_theta(network)


def test_a_copy_of_a_layer_can_join_another_network():
    network = small_network()
    other = Sequential(copy.deepcopy(network[0]), copy.deepcopy(network[2]), copy.deepcopy(network[:2]))
    assert_parameters_lie_in_theta(other)
    assert_parameters_lie_in_theta(network)


# --- arrays stay in theta ---

def test_assigning_a_weight_writes_into_theta(backend):
    network = small_network()
    W = draw(host_rng(3), network[0].W.shape)
    network[0].W = W
    np.testing.assert_array_equal(to_numpy(network.theta[:W.size]), to_numpy(W).ravel())
    assert_parameters_lie_in_theta(network)
    network.theta = network.theta * 0
    assert not to_numpy(network[0].W).any()
    with pytest.raises(ValueError, match=r'Dense "0": W has shape \(3, 8\), got \(8, 3\)'):
        network[0].W = W.T


def test_a_shallow_copy_takes_nothing_from_the_original():
    network = small_network()
    other = copy.copy(network)
    assert_parameters_lie_in_theta(network)
    other.theta[...] = 0
    assert network.theta.any()


def test_layers_in_a_list_are_refused_because_nothing_would_train_them():
    class Parallel(Layer):
        def __init__(self):
            self.branches = [Dense(2, 2), Dense(2, 2)]

    with pytest.raises(TypeError, match="self.branches is a list with layers, which nothing would train"):
        Sequential(Parallel())


def test_len_and_iteration():
    network = small_network()
    assert len(network) == len(network.layers) and list(network) == network.layers


# --- layers that nothing would train ---

class Holds(Layer):
    """A layer that keeps something in self.parts."""

    def __init__(self, parts):
        self.parts = parts

    def forward(self, x, train=True):
        return x, None

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        return dy


@pytest.mark.parametrize("hide", [
    lambda layer: {"a": layer}, lambda layer: [[layer]], lambda layer: ({"a": [layer]},), lambda layer: {layer},
    lambda layer: {"a": {"b": (layer,)}}, lambda layer: deque([layer]), lambda layer: MappingProxyType({"a": layer}),
    lambda layer: np.array([[layer]], object)],
    ids=["dict", "nested list", "tuple of dicts", "set", "nested dict", "deque", "mapping", "array"])
def test_layers_in_any_container_are_refused(hide):
    with pytest.raises(TypeError, match="self.parts is a .* with layers, which nothing would train"):
        Sequential(Holds(hide(Dense(3, 2))))


@pytest.mark.parametrize("change", [
    lambda network: network.layers.append(Dense(2, 2)), lambda network: network.layers.pop(),
    lambda network: network.layers.__setitem__(0, Dense(3, 2)), lambda network: network.layers.reverse(),
    lambda network: setattr(network, "layers", [Dense(3, 2)]), lambda network: network[1].parts.append(Dense(2, 2)),
    lambda network: setattr(network[1], "parts", Dense(2, 2)), lambda network: setattr(network[1], "more", [Dense(2, 2)])],
    ids=["append", "pop", "replace", "reorder", "assign", "fill a list", "put in place of it", "a new attribute"])
def test_layers_that_come_later_are_refused(change):
    network = Sequential(Dense(3, 2), Holds([]))
    with pytest.raises(TypeError, match="fixed when it is made|which nothing would train"):
        change(network)
        network.forward(np.ones((4, 3), "float32"))


def test_a_layer_in_two_places_is_refused():
    shared = Dense(3, 3)
    with pytest.raises(ValueError, match="one layer is in two places"):
        Sequential(Holds(shared), Holds(shared))
