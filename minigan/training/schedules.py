"""Numbers that change as training goes on: a learning rate that falls, instance noise that fades.

A schedule is a function of the step, counted from 0, that returns a Python float:

    sigma = schedules.linear(0.1, 0.0, steps=1000)
    layer.sigma = sigma(step)                          # 0.1 at step 0, 0.05 at step 500, 0 from step 1000 on

On a command line it is a text, its name and its numbers: parse("linear:0.1:0:1000"); parse("0.1") is constant.
"""
import inspect
import math
from collections.abc import Callable

from minigan.arguments import is_number

      # of the number of a step


Schedule = Callable[[int], float]      # of the number of a step


def constant(value: float) -> Schedule:
    """value at every step."""
    value = _number("constant", "value", value)
    return lambda step: value


def linear(start: float, end: float, steps: int) -> Schedule:
    """From start to end in a straight line over `steps` steps; then end."""
    return _ramp("linear", start, end, steps, lambda t: t)


def constant_then_linear(start: float, end: float, steps: int) -> Schedule:
    """start for the first half of the steps, then in a straight line to end: first G finds its place, then it comes to rest.

    Source    Zhu, Park, Isola & Efros 2017, arXiv:1703.10593, training details
    """
    return _ramp("constant_then_linear", start, end, steps, lambda t: max(0.0, 2 * t - 1))


def cosine(start: float, end: float, steps: int) -> Schedule:
    """From start to end along half a period of a cosine, slow at both ends; then end.

    Source    Loshchilov & Hutter 2017, arXiv:1608.03983 (without its restarts)
    """
    return _ramp("cosine", start, end, steps, lambda t: (1 - math.cos(math.pi * t)) / 2)


def exponential(start: float, factor: float, every: int) -> Schedule:
    """start · factor^(step / every): multiplied by `factor` once over every `every` steps, a little at each."""
    start, factor = _number("exponential", "start", start), _number("exponential", "factor", factor)
    if not 0 < factor <= 1:
        raise ValueError(f"schedule exponential: factor must be above 0 and at most 1, got {factor:g}")
    every = _count("exponential", "every", every)
    return lambda step: start * factor ** (step / every)


by_name: dict[str, Callable] = {
    function.__name__: function for function in (constant, linear, constant_then_linear, cosine, exponential)}


def parse(text: str) -> Schedule:
    """The schedule of a text NAME:NUMBER:NUMBER..., or of a single NUMBER, which is constant. Raises ValueError."""
    name, *words = str(text).split(":")
    if not words:
        name, words = "constant", [name]
    forms = {name: [*inspect.signature(function).parameters] for name, function in by_name.items()}
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if name not in forms or len(values) != len(forms[name]):
        expected = ", ".join(":".join([name, *map(str.upper, names)]) for name, names in forms.items())
        raise ValueError(f"schedule {text!r}: expected a number or one of {expected}")
    return by_name[name](*values)


def _ramp(schedule, start, end, steps, shape):
    """From start to end as `shape` goes from 0 to 1; then end."""
    start, end = _number(schedule, "start", start), _number(schedule, "end", end)
    steps = _count(schedule, "steps", steps)
    return lambda step: end if step >= steps else start + (end - start) * shape(step / steps)


def _number(schedule, name, value):
    if not is_number(value) or not math.isfinite(value):
        raise ValueError(f"schedule {schedule}: {name} must be a finite number, got {value!r}")
    return float(value)


def _count(schedule, name, value):
    value = _number(schedule, name, value)
    if value < 1 or value != int(value):
        raise ValueError(f"schedule {schedule}: {name} must be a whole number of at least 1, got {value:g}")
    return int(value)
