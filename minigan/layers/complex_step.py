"""The complex step: a derivative without a difference.

Give x an imaginary part, i h. Taylor's series of an analytic function says

    f(x + ih) = f(x) + ih f'(x) - h² f''(x)/2 - ...          so   Im f(x + ih) / h = f'(x) + O(h²)

Nothing is subtracted, so nothing cancels: h may be 1e-30, and the slope has all its 16 digits. (Central differences subtract
two numbers that agree in most of theirs, and keep about 11.) It works where the forward pass is one analytic formula. An
absolute value is none: |x + ih| is about |x|, without a trace of h.
Source    Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions"
"""
import copy

import numpy as np

from minigan.backend import Array, asarray, host_rng, rng_state, set_rng_state, to_numpy
from minigan.layers.differences import Report
from minigan.layers.layer import Layer


def check_complex_step(layer: Layer, x: Array, train: bool = True, rng: np.random.Generator | None = None,
                       h: float = 1e-30, tol: float = 1e-10, entries: int = 200) -> Report:
    """Compare layer.backward with the complex step, to ten digits.

    Arguments and result as for check_layer: float64 parameters, x (N, ...) of float64. Raises TypeError for a layer whose
    forward pass is not analytic, or cannot compute with complex numbers; check_layer checks these.
    """
    rng = host_rng(2014) if rng is None else rng
    real, twin, z = copy.deepcopy(layer), copy.deepcopy(layer), asarray(x).astype("complex128")
    y, cache = real.forward(asarray(x), train)
    dy = asarray(rng.standard_normal(y.shape))
    real.zero_grad()
    claims = {"dx": real.backward(dy, cache)} | {f"d{name}": gradient for name, _, gradient in real.parameters()}
    for _, part in twin.walk():
        vars(part)["check_input"] = lambda *arguments: None            # which refuses complex numbers
        for name in (*part.parameter_names, *part.state_names):
            vars(part)[name] = getattr(part, name).astype("complex128")
    drawn = [(generator, rng_state(generator)) for _, generator in twin.generators()]
    moved = [(value, value.copy()) for _, value in twin.states()]

    def f():
        for generator, state in drawn:                 # the same numbers at each call
            set_rng_state(generator, state)
        for value, start in moved:
            value[...] = start
        return to_numpy((dy * twin.forward(z, train)[0]).sum())

    report = Report(f"complex step of {layer} at x {z.shape}, {'training' if train else 'evaluation'}")
    arrays = {"dx": z} | {f"d{name}": value for name, value, _ in twin.parameters()}
    for name, array in arrays.items():
        claim, worst, where = to_numpy(claims[name]), 0.0, ""
        for i in rng.permutation(array.size)[:entries]:
            index = np.unravel_index(int(i), array.shape)
            slope, difference = slopes(layer, f, array, index, h)
            scale = max(abs(slope), abs(claim[index]), 0.01 * np.abs(claim).max())
            if abs(slope - difference) > 1e-3 * max(abs(slope), abs(difference), scale):
                raise TypeError(f"{layer}: its forward pass is not analytic, the complex step says {slope:.6g} and a "
                                f"difference {difference:.6g}; check_layer takes differences alone")
            error = abs(slope - claim[index]) / scale if scale else 0.0
            if not error <= worst:
                at = tuple(map(int, index))
                worst, where = error, f", worst at {at}: backward says {claim[index]:.15g}, the step {slope:.15g}"
        report.add(name, worst, worst <= tol, f"relative error {worst:.1e}{where if worst > tol else ''}")
    return report


def slopes(layer, f, array, index, h) -> tuple[float, float]:
    """(the slope by the complex step, and roughly by a central difference)"""
    value, d = array[index].copy(), 1e-6 * max(1.0, abs(float(array[index].real)))
    try:
        array[index] = value + 1j * h
        slope = float(f().imag) / h
        array[index] = value + d
        above = f().real
        array[index] = value - d
        return slope, float(above - f().real) / (2 * d)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{layer}: cannot compute with complex numbers ({error}); check_layer takes differences") from None
    finally:
        array[index] = value
