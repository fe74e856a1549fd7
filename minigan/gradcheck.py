"""Is this backward the derivative of that forward? Central differences answer for any layer, yours too:

    layer = MyLayer(...)                                    # built with dtype="float64"
    report = minigan.gradcheck.check_layer(layer, x)
    print(report)                                           # and: assert report.ok

The check compares two ways to the same number. A random upstream gradient dy makes the layer's output one number,
f = Σ dy · y. backward claims what ∂f/∂x and ∂f/∂W are. Moving an entry by ±h and comparing f gives the same number
independently (layers/differences.py). Each entry is judged against its own gradient and the rounding of f only.

dy must be random: with dy = 1, say, a BatchNorm passes whose backward has forgotten the term x_hat · dgamma, because then
dgamma = Σ x_hat is zero. Not all entries can be compared. At a kink (ReLU at 0) no derivative exists; and where f is 1e12 and
the gradient 1, its rounding hides the gradient. Such entries are counted. If they are more than half of an array's, its row
reads "cannot tell", and the layer does not pass.

Source    the checks of Chainer and of Stanford's CS231n notes, "Gradient checks"
"""
import copy

import numpy as np

from minigan.backend import Array, asarray, host_rng, rng_state, scalar, set_rng_state, to_numpy, xp
from minigan.engine import in_shards
from minigan.layers.complex_step import check_complex_step as check_complex_step
from minigan.layers.differences import Report, compare
from minigan.layers.differences import central_difference as central_difference
from minigan.layers.layer import Layer
from minigan.layers.sequential import Sequential


def check_layer(layer: Layer, x: Array, train: bool = True, rng: np.random.Generator | None = None,
                h: float | None = None, tol: float = 1e-6, entries: int = 200) -> Report:
    """Compare layer.backward with central differences of layer.forward at x, and check the rules of the layer contract.

    layer    with float64 parameters; draw those that start at 0 or 1 at random first, as a forgotten term hides there
    x        float64 array (N, ...), away from kinks
    rng      host generator of dy and of the entries to look at (at most `entries` of each array)
    h        the smallest step. If it is not given, 1e-5 of an entry's size comes first, and then what is needed
    tol      largest relative error
    Returns a Report. Raises TypeError for anything but float64, where differences would drown in rounding.
    """
    rng = host_rng(2014) if rng is None else rng            # not 0: a reader's x may come from there, and be equal to dy
    x = asarray(x).copy()                                   # its entries are moved
    arrays = _float64_arrays(layer, x)
    forward, rewind = _repeatable_forward(layer, x, train)

    before = _copies(x)
    y, cache = forward()
    dy = asarray(rng.standard_normal(y.shape))
    before += _copies(y, dy, cache)
    layer.zero_grad()
    dx = layer.backward(dy, cache)
    gradients = {"dx": dx} | {f"d{name}": gradient for name, _, gradient in layer.parameters()}
    analytic = {name: to_numpy(gradient).copy() for name, gradient in gradients.items()}

    report = Report(f"{layer} at x {x.shape}, {'training' if train else 'evaluation'}")
    compare(report, lambda: to_numpy(dy * forward()[0]), arrays, analytic, rng, h, tol, entries)
    _check_contract(report, layer, x, dy, cache, analytic, train)
    if report.ok:                                           # wrong gradients alone are reported alone
        _check_shards(report, layer, x, dy, train)
    report.add("inputs unchanged", 0, _unchanged(before), "nothing may be written into x, y, dy or the cache")
    rewind()
    return report


def check_double_backward(layer: Layer, x: Array, train: bool = True, rng: np.random.Generator | None = None,
                          h: float | None = None, tol: float = 1e-6, entries: int = 200) -> Report:
    """Compare layer.double_backward with central differences of layer.backward: of P = Σ v · dx, with v drawn at random, in
    dy, x and all parameters. Arguments and result as for check_layer."""
    rng = host_rng(2014) if rng is None else rng
    x = asarray(x).copy()                                   # its entries are moved
    arrays = _float64_arrays(layer, x)
    forward, rewind = _repeatable_forward(layer, x, train)
    before = _copies(x)
    y, cache = forward()
    dy, v = asarray(rng.standard_normal(y.shape)), asarray(rng.standard_normal(x.shape))
    before += _copies(y, dy, v, cache)

    layer.zero_grad()
    u, s = layer.double_backward(v, dy, cache)
    analytic = {"u": u, "s": xp.zeros_like(x) if s is None else s}
    analytic |= {f"d{name}": gradient for name, _, gradient in layer.parameters()}
    analytic = {name: to_numpy(gradient).copy() for name, gradient in analytic.items()}
    report = Report(f"double backward of {layer} at x {x.shape}, {'training' if train else 'evaluation'}")
    compare(report, lambda: to_numpy(v * layer.backward(dy, forward()[1], param_grads=False)),
            {"u": dy, "s": arrays.pop("dx"), **arrays}, analytic, rng, h, tol, entries)
    layer.double_backward(v, dy, cache)
    doubled = all(np.allclose(to_numpy(gradient), 2 * analytic[f"d{name}"], rtol=1e-12, atol=1e-300)
                  for name, _, gradient in layer.parameters())
    report.add("second call adds", 0, doubled, "dW must be twice as large")
    report.add("inputs unchanged", 0, _unchanged(before), "nothing may be written into x, y, dy, v or the cache")
    rewind()
    layer.zero_grad()
    return report


def _float64_arrays(layer, x):
    """{"dx": x, "dW": W ...}: the arrays that are moved, by the names of their gradients."""
    arrays = {"dx": x} | {f"d{name}": value for name, value, _ in layer.parameters()}
    for name, value in arrays.items():
        if value.dtype != "float64":
            raise TypeError(f"gradcheck of {layer}: {name[1:]} is {value.dtype}; it needs float64 (asarray(x, 'float64'), "
                            "and layers built with dtype='float64')")
    return arrays


def _repeatable_forward(layer, x, train):
    """(forward, rewind): a forward pass that does the same at each call, and what undoes its traces on the layer."""
    drawn = [(generator, rng_state(generator)) for _, generator in layer.generators()]
    moved = [(value, value.copy()) for _, value in layer.states()]

    def rewind():
        for generator, state in drawn:                      # dropout draws the same mask at each call
            set_rng_state(generator, state)
        for value, start in moved:
            value[...] = start

    def forward():
        rewind()
        return layer.forward(x, train)

    return forward, rewind


def _copies(*things):
    """[(array, its bytes)] of all arrays in there: in tuples, lists, dicts and objects as well, as caches are."""
    found, waiting, seen = [], list(things), set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, xp.ndarray):
            found.append((thing, to_numpy(thing).tobytes()))
        elif isinstance(thing, (tuple, list)):
            waiting += thing
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif hasattr(thing, "__dict__") and not callable(thing):           # no layer, whose gradients may change
            waiting += vars(thing).values()
    return found


def _unchanged(copies):
    return all(to_numpy(array).tobytes() == before for array, before in copies)


def _check_shards(report, layer, x, dy, train):
    """Where a batch is cut into shards, dx must be that of the whole batch, and the gradients of the shards add up to its own.
    For layers that draw random numbers, or that say that they need the batch whole, there is nothing to compare."""
    if layer.samples == "mixed" or layer.generators() or len(x) < 2:
        return

    def passes(shards):
        network = Sequential(copy.deepcopy(layer))
        network.zero_grad()
        with in_shards(shards):
            _, cache = network.forward(x, train)
            return to_numpy(network.backward(dy, cache)), to_numpy(network.dtheta).copy()

    same = all(np.allclose(a, b, rtol=1e-9, atol=1e-9 * np.linalg.norm(b)) for a, b in zip(passes(2), passes(1)))
    sums = "by batch_sum only" if layer.samples == "summed" else "nowhere"
    report.add("two shards", 0, same, f'must give the numbers of the whole batch: samples = "{layer.samples}" allows sums '
                                      f"over the batch {sums}")


def check_loss(loss, logits_real: Array, logits_fake: Array, h: float | None = None, tol: float = 1e-6) -> Report:
    """Compare both gradients of a GAN loss with central differences of its values. Returns a Report."""
    for logits in (logits_real, logits_fake):
        if logits.dtype != "float64":
            raise TypeError(f"gradcheck of {loss!r}: logits are {logits.dtype}; it needs float64")
    report = Report(repr(loss))
    logits_real, logits_fake = logits_real.copy(), logits_fake.copy()      # their entries are moved
    _, da, db = loss.discriminator(logits_real, logits_fake)
    compare(report, lambda: scalar(loss.discriminator(logits_real, logits_fake)[0]),
            {"D: dlogits_real": logits_real, "D: dlogits_fake": logits_fake},
            {"D: dlogits_real": to_numpy(da), "D: dlogits_fake": to_numpy(db)}, host_rng(0), h, tol)
    compare(report, lambda: scalar(loss.generator(logits_fake)[0]), {"G: dlogits_fake": logits_fake},
            {"G: dlogits_fake": to_numpy(loss.generator(logits_fake)[1])}, host_rng(0), h, tol)
    return report


def _check_contract(report, layer, x, dy, cache, analytic, train):
    """The rules that every layer keeps (minigan/layers/layer.py), after one backward pass."""
    def gradients():
        return {f"d{name}": to_numpy(gradient).copy() for name, _, gradient in layer.parameters()}

    def equal(a, b):
        return all(np.array_equal(a[name], b[name]) for name in a)

    once = {name: gradient for name, gradient in analytic.items() if name != "dx"}
    second_dx = to_numpy(layer.backward(dy, cache))
    twice = gradients()
    doubled = all(np.allclose(twice[name], 2 * once[name], rtol=1e-12, atol=1e-300) for name in once)
    report.add("second backward adds", 0, doubled and np.array_equal(second_dx, analytic["dx"]),
               "dx must be the same again, and dW twice as large")
    layer.backward(dy, cache, param_grads=False)
    report.add("param_grads=False", 0, equal(twice, gradients()), "must leave dW alone")
    layer.zero_grad()
    no_dx = layer.backward(dy, cache, input_grad=False)
    report.add("input_grad=False", 0, no_dx is None and equal(once, gradients()), "must return None, with the same dW")
    layer.zero_grad()
    layer.forward(0.5 * xp.concatenate([x, x]), not train)
    try:
        same = np.array_equal(to_numpy(layer.backward(dy, cache)), analytic["dx"]) and equal(once, gradients())
    except ValueError:                                      # arrays of two batch sizes have met
        same = False
    report.add("two passes", 0, same, "another forward pass in between must change nothing: keep nothing on the layer")
    layer.zero_grad()
