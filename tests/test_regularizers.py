"""Rules beside the optimizer's formula: penalties on weights, clipping, decay."""
import numpy as np
import pytest

import minigan as mg
from minigan.backend import scalar, to_numpy, xp
from minigan.gradcheck import Report, compare
from minigan.layers import BatchNorm, Dense, Sequential
from minigan.optimizers import SGD, Adam
from minigan.regularizers import L1, L2, ClipNorm, ClipValue, WeightClip, WeightDecay, weights


def network(dtype="float64"):
    net = Sequential(Dense(3, 4, rng=mg.host_rng(0), dtype=dtype), BatchNorm(4, dtype=dtype), Dense(4, 2, dtype=dtype))
    for _, value, gradient in net.parameters():
        rng = mg.host_rng(value.size)
        value[...] = mg.asarray(rng.uniform(0.2, 1, value.shape).astype(dtype) * (2 * rng.integers(2, size=value.shape) - 1))
        gradient[...] = mg.asarray(rng.standard_normal(value.shape).astype(dtype))
    return net


@pytest.mark.parametrize("rule, penalty", [
    (L1(0.3), lambda W: 0.3 * xp.abs(W).sum()), (L2(0.3), lambda W: 0.15 * (W * W).sum())], ids=["L1", "L2"])
def test_the_gradient_is_that_of_the_penalty(backend, rule, penalty):
    net = network()
    net.zero_grad()
    rule.before(net, 0.0)
    report = Report("rule")
    compare(report, lambda: scalar(sum(penalty(W) for W, _ in weights(net))), {"theta": net.theta},
            {"theta": to_numpy(net.dtheta)}, mg.host_rng(0))
    assert report.ok, report
    assert [name for name, _, gradient in net.parameters() if to_numpy(gradient).any()] == ["0.W", "2.W"]


def test_clipping_by_value(backend):
    net = network()
    before = to_numpy(net.dtheta).copy()
    ClipValue(0.5).before(net, 0.0)
    np.testing.assert_array_equal(to_numpy(net.dtheta), np.clip(before, -0.5, 0.5))
    assert np.abs(before).max() > 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_by_norm_keeps_the_direction(backend, dtype):
    net = network(dtype)
    before = to_numpy(net.dtheta).copy()
    norm = np.linalg.norm(before)
    ClipNorm(0.25 * norm).before(net, 0.0)
    np.testing.assert_allclose(to_numpy(net.dtheta), 0.25 * before, rtol=1e-6)
    assert net.dtheta.dtype == dtype
    ClipNorm(norm).before(net, 0.0)                         # short enough: unchanged, bit for bit
    np.testing.assert_allclose(to_numpy(net.dtheta), 0.25 * before, rtol=1e-6)
    net.zero_grad()
    ClipNorm(1.0).before(net, 0.0)
    np.testing.assert_array_equal(to_numpy(net.dtheta), 0)


def test_weight_clipping_reaches_all_parameters(backend):
    net = network()
    WeightClip(0.1).after(net, lr=0.0)
    assert np.abs(to_numpy(net.theta)).max() == 0.1


def test_weight_decay_shrinks_weights_only(backend):
    net = network()
    before = {name: to_numpy(value).copy() for name, value, _ in net.parameters()}
    WeightDecay(0.5).before(net, lr=0.2)
    for name, value, _ in net.parameters():
        np.testing.assert_allclose(to_numpy(value), before[name] * (0.9 if name.endswith("W") else 1), rtol=1e-15)


def moved(rules, make=Adam):
    net = network()
    optimizer = make(0.1, regularizers=rules)
    optimizer.bind(net)
    start = to_numpy(net.theta).copy()
    optimizer.step()
    return to_numpy(net.theta) - start


def test_an_optimizer_follows_its_rules_in_order():
    """SGD: theta moves by -lr · (gradient after all rules), then decays."""
    net = network()
    expected = net.dtheta.copy()
    for (W, _), dW in zip(weights(net), (expected[:12], expected[-10:-2])):
        dW += 0.3 * W.ravel()
    expected *= 1 / np.linalg.norm(expected)
    np.testing.assert_allclose(moved([L2(0.3), ClipNorm(1.0)], SGD), -0.1 * expected, rtol=1e-12)


def test_l2_and_decay_differ_under_adam_and_agree_under_sgd():
    """Loshchilov & Hutter's point."""
    np.testing.assert_allclose(moved([L2(0.3)], SGD), moved([WeightDecay(0.3)], SGD), rtol=1e-12)
    assert np.abs(moved([L2(0.3)]) - moved([WeightDecay(0.3)])).max() > 0.01


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf")])
def test_amounts_are_checked(amount):
    with pytest.raises(ValueError, match="ClipNorm"):
        ClipNorm(amount)


@pytest.mark.parametrize("gradient, expected", [
    ([3e20, 4e20], [0.6, 0.8]), ([3e38, 3e38], [0.5 ** 0.5] * 2), ([1e-25, 1e-25], [1e-25, 1e-25]), ([0.0, 0.0], [0.0, 0.0]),
    ([1e-30, 2e20], [0.0, 1.0])])
def test_clipping_by_norm_of_a_gradient_whose_square_is_no_float32(backend, gradient, expected):
    net = Sequential(Dense(2, 1, bias=False))
    net.dtheta[...] = mg.asarray(np.array(gradient, "float32"))
    with np.errstate(over="ignore"):                   # 3e38 · √2 is infinite, and longer than 1
        ClipNorm(1.0).before(net, 0.0)
    np.testing.assert_allclose(to_numpy(net.dtheta), np.array(expected, "float32"), rtol=1e-6, atol=1e-37)
