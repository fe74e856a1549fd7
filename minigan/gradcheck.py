"""Is this backward the derivative of that forward? Central differences answer for any layer, yours too:

    layer = MyLayer(...)                                    # built with dtype="float64"
    report = minigan.gradcheck.check_layer(layer, x)
    print(report)                                           # and: assert report.ok

The check compares two ways to the same number. A random upstream gradient dy makes the layer's output one number,
f = Σ dy · y. backward claims what ∂f/∂x and ∂f/∂W are; moving one entry by ± h and looking at f tells it too,

    ∂f/∂w ≈ (f(w + h) - f(w - h)) / 2h          wrong by h² f'''/6 (curvature) and by about 1e-16 |f| / h (rounding)

With float64 and h = 1e-5 both are about 1e-10 of the size of f; so a difference of 1e-6 is a mistake in a formula.

dy must be random: with dy = 1, say, a BatchNorm passes whose backward has forgotten the term x_hat · dgamma, because then
dgamma = Σ x_hat is zero. At a kink (ReLU at 0) no derivative exists: entries whose left and right slopes differ by more than
curvature explains are counted, not compared. Tiny gradients drown in the rounding of f: errors are measured against 1 % of
the largest slope at least.

Source    the checks of Chainer and of Stanford's CS231n notes, "Gradient checks"
"""
import dataclasses

import numpy as np

from minigan.backend import asarray, host_rng, rng_state, scalar, set_rng_state, to_numpy, xp


@dataclasses.dataclass
class Row:
    """One line of a report: what was checked, in how many entries, and how far apart the two values were at worst."""
    name: str
    error: float                                            # relative; 0 or 1 for a rule that holds or not
    ok: bool
    detail: str = ""


class Report(list):
    """The rows of a check; `ok` if all are right. print(report) shows them as a table."""

    def __init__(self, title):
        super().__init__()
        self.title = title

    @property
    def ok(self):
        return all(row.ok for row in self)

    def add(self, name, error, ok, detail=""):
        self.append(Row(name, float(error), bool(ok), detail))

    def __str__(self):
        lines = [f"{self.title}: {'right' if self.ok else 'WRONG'}"]
        for row in self:
            lines.append(f"  {'ok   ' if row.ok else 'WRONG'} {row.name:<22} {row.detail}")
        return "\n".join(lines)

    __repr__ = __str__                                      # so that `assert report.ok, report` shows the table


def check_layer(layer, x, train=True, rng=None, h=1e-5, tol=1e-6, entries=200):
    """Compare layer.backward with central differences of layer.forward at x, and check the rules of the layer contract.

    layer    with float64 parameters; draw those that start at 0 or 1 at random first, as a forgotten term hides there
    x        float64 array (N, ...), away from kinks
    rng      host generator of dy and of the entries to look at (at most `entries` of each array)
    tol      largest relative error; differences are measured against max(|a|, |b|, 1 % of the largest gradient)
    Returns a Report. Raises TypeError for anything but float64, where differences would drown in rounding.
    """
    rng = host_rng(2014) if rng is None else rng            # not 0: a reader's x may come from there, and be equal to dy
    x = asarray(x)
    arrays = _float64_arrays(layer, x)
    forward, rewind = _repeatable_forward(layer, x, train)

    before = to_numpy(x).copy()
    y, cache = forward()
    dy = asarray(rng.standard_normal(y.shape))
    dy_before = to_numpy(dy).copy()
    layer.zero_grad()
    dx = layer.backward(dy, cache)
    analytic = {"dx": dx} | {f"d{name}": gradient for name, _, gradient in layer.parameters()}
    analytic = {name: to_numpy(gradient).copy() for name, gradient in analytic.items()}

    report = Report(f"{layer} at x {x.shape}, {'training' if train else 'evaluation'}")
    compare(report, lambda: scalar((dy * forward()[0]).sum()), arrays, analytic, rng, h, tol, entries)
    _check_contract(report, layer, x, dy, cache, analytic, train)
    report.add("inputs unchanged", 0, np.array_equal(before, to_numpy(x)) and np.array_equal(dy_before, to_numpy(dy)),
               "forward and backward must write neither into x nor into dy")
    rewind()
    return report


def check_double_backward(layer, x, train=True, rng=None, h=1e-5, tol=1e-6, entries=200):
    """Compare layer.double_backward with central differences of layer.backward: of P = Σ v · dx, with v drawn at random, in
    dy, x and all parameters. Arguments and result as for check_layer."""
    rng = host_rng(2014) if rng is None else rng
    x = asarray(x)
    arrays = _float64_arrays(layer, x)
    forward, rewind = _repeatable_forward(layer, x, train)
    y, cache = forward()
    dy, v = asarray(rng.standard_normal(y.shape)), asarray(rng.standard_normal(x.shape))
    kept = [to_numpy(array).copy() for array in (v, dy, x)]

    layer.zero_grad()
    u, s = layer.double_backward(v, dy, cache)
    analytic = {"u": u, "s": xp.zeros_like(x) if s is None else s}
    analytic |= {f"d{name}": gradient for name, _, gradient in layer.parameters()}
    analytic = {name: to_numpy(gradient).copy() for name, gradient in analytic.items()}
    report = Report(f"double backward of {layer} at x {x.shape}, {'training' if train else 'evaluation'}")
    compare(report, lambda: scalar((v * layer.backward(dy, forward()[1], param_grads=False)).sum()),
            {"u": dy, "s": arrays.pop("dx"), **arrays}, analytic, rng, h, tol, entries)
    layer.double_backward(v, dy, cache)
    doubled = all(np.allclose(to_numpy(gradient), 2 * analytic[f"d{name}"], rtol=1e-12, atol=1e-300)
                  for name, _, gradient in layer.parameters())
    report.add("second call adds", 0, doubled, "dW must be twice as large")
    report.add("inputs unchanged", 0, all(np.array_equal(a, to_numpy(b)) for a, b in zip(kept, (v, dy, x))),
               "double_backward must write neither into v nor into dy nor into x")
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


def check_loss(loss, logits_real, logits_fake, h=1e-5, tol=1e-6):
    """Compare both gradients of a GAN loss with central differences of its values. Returns a Report."""
    for logits in (logits_real, logits_fake):
        if logits.dtype != "float64":
            raise TypeError(f"gradcheck of {loss!r}: logits are {logits.dtype}; it needs float64")
    report = Report(repr(loss))
    _, da, db = loss.discriminator(logits_real, logits_fake)
    compare(report, lambda: scalar(loss.discriminator(logits_real, logits_fake)[0]),
            {"D: dlogits_real": logits_real, "D: dlogits_fake": logits_fake},
            {"D: dlogits_real": to_numpy(da), "D: dlogits_fake": to_numpy(db)}, host_rng(0), h, tol)
    compare(report, lambda: scalar(loss.generator(logits_fake)[0]), {"G: dlogits_fake": logits_fake},
            {"G: dlogits_fake": to_numpy(loss.generator(logits_fake)[1])}, host_rng(0), h, tol)
    return report


def compare(report, f, arrays, analytic, rng, h=1e-5, tol=1e-6, entries=200):
    """Add a row to the report for every array in `arrays`: its analytic gradient against central differences of f().

    f() is evaluated anew after each change of one entry, which is made in the array itself and taken back.
    """
    chosen = {name: rng.permutation(value.size)[:entries] for name, value in arrays.items()}
    differences = {name: [central_difference(f, arrays[name], i, h) for i in chosen[name]] for name in arrays}
    scale = max((abs(slope) for rows in differences.values() for slope, _ in rows), default=0)
    for name, value in arrays.items():
        if analytic[name].shape != value.shape:
            report.add(name, np.inf, False, f"has shape {analytic[name].shape}, its array has {value.shape}")
            continue
        worst, kinks, detail = 0.0, 0, ""
        for i, (numeric, bend) in zip(chosen[name], differences[name]):
            if bend > 1e-3 * max(scale, 1e-12):
                kinks += 1
                continue
            a = float(analytic[name].flat[i])
            error = abs(a - numeric) / max(abs(a), abs(numeric), 0.01 * scale, 1e-12)
            if not error <= worst:                          # so that a NaN counts as the worst of all
                worst = error if error == error else np.inf
                where = tuple(int(k) for k in np.unravel_index(i, value.shape))
                detail = f", worst at {where}: backward says {a:.9g}, differences {numeric:.9g}"
        compared = len(chosen[name]) - kinks
        text = f"relative error {worst:.1e} in {compared} of {value.size} entries"
        text += f", {kinks} at kinks" if kinks else ""
        enough = compared >= 0.5 * len(chosen[name])
        report.add(name, worst, worst < tol and enough, text + (detail if worst >= tol else "")
                   + ("" if enough else "; too many kinks: move x away from them"))


def central_difference(f, array, i, h=1e-5):
    """(slope, bend) of f at entry i of the array: the central difference, and how far the slopes left and right of it
    differ. Smooth functions bend by about h f''; a kink bends by the jump of the slope."""
    index = np.unravel_index(int(i), array.shape)
    value = scalar(array[index])
    middle = f()
    array[index] = value + h
    above = f()
    array[index] = value - h
    below = f()
    array[index] = value
    return (above - below) / (2 * h), abs(above - 2 * middle + below) / h


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
