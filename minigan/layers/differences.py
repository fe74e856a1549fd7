"""Central differences: what they say of a claimed derivative, and when they can say nothing.

Moving one entry w by ± h shows the slope of f,

    ∂f/∂w ≈ (f(w + h) - f(w - h)) / 2h          wrong by h² f‴/6 (curvature) and by about ε |f| / h (rounding), ε = 2e-16

With h = 1e-5 |w| both are about 2e-11, if w, f and its derivatives are near 1; so a claim that is 1e-6 apart is wrong. Other
numbers need another h. Where f is 1e9 and the slope 1, rounding hides the slope until h is larger; where f bends within h, h
must be smaller. So `judge` compares claim and slope, and goes on from h to h:

    they agree                                          right: that they meet by chance, in six digits, does not happen
    they are no more apart than rounding explains       nothing is seen: try 10 h
    they are apart, and h/10 shows the same slope       wrong
    they are apart, and h/10 shows another slope        f bends: try h/10
    they are apart, and the slopes left and right of w are, too, by as much as for h/10
                                                        a kink, as that of ReLU at 0: no derivative exists
    no h is both large enough and small enough          hidden: nobody can tell

Some slopes are zero: that of a bias in front of a BatchNorm, of all that Dropout drops. Then claim and slope are both rounding
and agree for no h. So zero is what changes f no more than rounding does when w moves by its own size; unless f is linear in w,
and w only small beside f: then larger steps show a slope, and agree on it (`judge_zero`).

What apart means: the slope is the sum of those of all outputs, in which much may cancel, so 1e-6 is of 1 % of the sum of
their absolute values at least. For this f() returns the terms of its sum, if it can. It also makes the differences better:
terms that w does not change leave no rounding behind.
"""
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backend import Array, scalar, to_numpy

EPS = np.finfo("float64").eps


def central_difference(f: Callable, array: Array, i: int, h: float = 1e-5, middle=None) -> tuple[Any, Any]:
    """(slope, bend) of f at entry i of the array: the central difference, and how far the slopes left and right of it
    differ. Smooth functions bend by about h f″; a kink bends by the jump of the slope. For a sum of terms, an array of
    each. `middle` is f(), if it is known."""
    index = np.unravel_index(int(i), array.shape)
    value = scalar(array[index])
    middle = f() if middle is None else middle
    width = (value + h) - (value - h)                       # 2h, up to the rounding of value ± h
    if width == 0:
        raise ValueError(f"central_difference: h = {h:g} is too small to move an entry of {value:g}")
    try:
        array[index] = value + h
        above = f()
        array[index] = value - h
        below = f()
    finally:
        array[index] = value
    return (above - below) / width, abs(above - 2 * middle + below) / h


def sizes(array) -> np.ndarray:
    """How large the steps of each entry may be: its absolute value; something tiny where that is zero; 1 where all are."""
    size = np.abs(array)
    return np.maximum(size, 1e-6 * np.median(size[size > 0])) if size.any() else np.ones(array.shape)


def largest(*arrays) -> float:
    """The largest absolute value in all of them that is finite; 0 if there is none."""
    return max((np.max(np.abs(array), initial=0, where=np.isfinite(array)) for array in arrays if array.dtype.kind == "f"),
               default=0)


def judge(f, middle, array, i, claim, size, typical, largest, h=None, tol=1e-6) -> tuple[str, Any, float]:
    """("right", "zero", "wrong", "kink" or "hidden", slope, relative error): what the differences say of the claim ∂f/∂w,
    w being entry i of the array.

    middle   f() as it is
    typical  what replaces the sum of the terms where f() is one number: the largest claim of the array
    largest  claim of all arrays: the rounding of this one may be ε of it
    h        the smallest step, if it is not to begin with 1e-5 of the size
    """
    def slope_at(step):
        slopes, bends = central_difference(f, array, i, step, middle)
        slope, total = np.sum(slopes), np.abs(slopes).sum() if np.ndim(slopes) else typical
        apart, scale = abs(claim - slope), max(abs(claim), abs(slope), 0.01 * total)
        return slope, np.sum(bends), apart, apart / scale if scale else 0.0

    lowest, highest = h or 1e-9 * size, 1e6 * size
    step, going_up, rounding, limit, flat = h or 1e-5 * size, None, None, np.inf, False
    while True:
        slope, bend, apart, error = slope_at(step)
        if error <= tol and (claim or slope):
            return "right", slope, error
        if apart > limit:                                   # a smaller step would have shown so much: f bends, or wakes up
            return "zero" if flat else "hidden", slope, 0.0
        if rounding is None:                                # of f: its last digit, and what is seen of it in a tiny step
            rounding = EPS * np.abs(middle).sum() + 1e-8 * size * slope_at(1e-8 * size)[1]
        noise = 50 * (rounding / step + EPS * largest)      # in the slope and in the claim, and somewhat more
        if hidden := apart <= noise:
            limit, flat = noise, not claim and not slope
            if step >= size and max(abs(claim), abs(slope)) <= 50 * (rounding / size + EPS * largest):
                return judge_zero(slope_at, slope, size, rounding, limit, tol)
        else:
            closer, closer_bend, *_ = slope_at(step / 10)
            if bend > 1e-3 * abs(slope) and bend / 3 < closer_bend < 3 * bend:      # curvature: a tenth; rounding: ten times
                return "kink", slope, error
            if not abs(slope - closer) > 0.1 * min(apart, abs(closer) + 10 * noise):        # "not >": NaN is wrong as well
                return "wrong", slope, error
        step = size if hidden and flat and step < size else step * (10 if hidden else 0.1)
        if going_up not in (None, hidden) or not lowest <= step <= highest:
            return "hidden", slope, error
        going_up = hidden


def judge_zero(slope_at, slope, size, rounding, limit, tol) -> tuple[str, Any, float]:
    """The same where f stays as it is, to rounding, if w moves by its own size."""
    for step in size * 10.0 ** np.arange(1, 10):
        before, (slope, bend, apart, error) = slope, slope_at(step)
        if slope and error <= tol or apart > limit:
            break
        if abs(slope - before) + bend + rounding / step < min(1e-3 * abs(slope), 0.1 * apart):
            return "wrong", slope, error
        if apart <= 50 * rounding / step:
            limit = 50 * rounding / step
    return "zero", slope, 0.0


# --- reports ---

@dataclasses.dataclass
class Row:
    """One line of a report: what was checked, in how many entries, and how far apart the two values were at worst."""
    name: str
    error: float                                            # relative; 0 for a rule of the contract
    ok: bool | None                                         # None: cannot tell
    detail: str = ""


class Report(list):
    """The rows of a check; `ok` if all are right. print(report) shows them as a table."""

    def __init__(self, title):
        super().__init__()
        self.title = title

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self)

    def add(self, name: str, error: float, ok: bool | None, detail: str = "") -> None:
        self.append(Row(name, float(error), None if ok is None else bool(ok), detail))

    def __str__(self):
        verdict = "right" if self.ok else "WRONG" if any(row.ok is False for row in self) else "cannot tell"
        lines = [f"{self.title}: {verdict}"]
        for row in self:
            lines.append(f"  {'ok   ' if row.ok else '?    ' if row.ok is None else 'WRONG'} {row.name:<22} {row.detail}")
        return "\n".join(lines)

    __repr__ = __str__                                      # so that `assert report.ok, report` shows the table


def compare(report: Report, f: Callable, arrays: dict[str, Array], analytic: dict[str, np.ndarray],
            rng: np.random.Generator, h: float | None = None, tol: float = 1e-6, entries: int = 200) -> None:
    """Add a row to the report for every array in `arrays`: its analytic gradient against central differences of f().

    f() is a number, or a NumPy array of the terms whose sum it is. It is evaluated anew after each change of one entry, which
    is made in the array itself and taken back.
    """
    middle, of_all = f(), largest(*analytic.values())
    for name, array in arrays.items():
        gradient = analytic[name]
        if gradient.shape != array.shape:
            report.add(name, np.inf, False, f"has shape {gradient.shape}, its array has {array.shape}")
            continue
        size, typical = sizes(to_numpy(array)), largest(gradient)
        found, worst, detail = [], 0.0, ""
        for i in rng.permutation(array.size)[:entries]:
            claim = float(gradient.flat[i])
            with np.errstate(all="ignore"):                 # the larger steps may go far
                verdict, slope, error = judge(f, middle, array, i, claim, size.flat[i], typical, of_all, h, tol)
            found.append(verdict)
            if verdict in ("right", "zero", "wrong") and not error <= worst:        # so that a NaN counts as the worst of all
                worst = error if error == error else np.inf
                where = tuple(int(k) for k in np.unravel_index(i, array.shape))
                detail = f", worst at {where}: backward says {claim:.9g}, differences {slope:.9g}"
        report.add(name, worst, *_verdict(found, f"relative error {worst:.1e}", detail, array.size))


def _verdict(found, error, worst, size):
    """(ok, detail) of a row, by what was found of its entries."""
    right, zero, wrong, kinks, hidden = (found.count(verdict) for verdict in ("right", "zero", "wrong", "kink", "hidden"))
    compared = len(found) - kinks - hidden
    text = f"{error} in {compared} of {size} entries"
    for count, what in (kinks, "at kinks"), (hidden, "hidden by rounding or curvature"), (zero, "zero"):
        text += f", {count} {what}" if count else ""
    if wrong:
        return False, text + worst
    if hidden > right:                                      # the zeros beside them prove little
        return None, text + "; cannot tell: bring x and the parameters closer to 1, and to each other"
    if compared < 0.5 * len(found):
        return None, text + "; cannot tell, too many kinks: move x away from them"
    return True, text
