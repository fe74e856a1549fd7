"""engine.fuse: every formula is the plain function on the CPU, and one kernel of float32 numbers on a GPU.

The second is proved without a GPU, where CuPy is installed: it traces a formula with symbols in place of arrays, and writes
the text of the kernel. (That uses CuPy's own parts, as of version 14; on the stand-in the rules are checked everywhere.)
"""
import importlib
import re

import fakecupy
import numpy as np
import pytest

import minigan as mg
from minigan import backend
from minigan.backend import asarray, to_numpy, xp
from minigan.engine import accelerate, capture, fuse
from minigan.engine.fusion import FORMULAS as ALL

for _module in ("losses", "optimizers", "layers"):
    importlib.import_module(f"minigan.{_module}")

# formula: its arguments, as shapes of arrays and plain numbers; "bool" marks a mask
ARGUMENTS = {
    "softplus": [(5, 1)], "sigmoid": [(5, 1)], "as_real": [(5, 1), 0.1, 5], "as_fake": [(5, 1), 5],
    "leaky": [(3, 4, 2), 0.2], "leaky_backward": [(3, 4, 2), "bool (3, 4, 2)", 0.2],
    "rectified": [(3, 4, 2)], "move": [(2,), (2,), (2,), (2,)], "next_weight": [(2,), 0.99, 0.01],
    "scaled": [(3, 4, 2), (2,), (2,), (2,)], "scaled_backward": [(3, 4, 2), (2,), (2,)],
    "normalized_backward": [(3, 4, 2), (3, 4, 2), (2,), (2,), (2,), (2,), 12], "drop": [(3, 4), (3, 4), 0.3, 1 / 0.7],
    "sgd": [(7,), (7,), (7,), 0.1, 0.9], "adam": [(7,)] * 4 + [1e-3, 1e-8, 0.5, 0.5, 0.99, 0.03],
    "write": [(), (), (), (), 0.25, 3.0]}
CASES = ARGUMENTS | {                                      # in a captured step the numbers that change are arrays
    "sgd, captured": [(7,), (7,), (7,), (), 0.9], "adam, captured": [(7,)] * 4 + [(), (), 0.5, 0.5, 0.99, 0.03]}
FORMULAS = {formula.__name__: formula for formula in ALL if formula.__module__.startswith("minigan.")}


def arguments(case, array):
    """The arguments of a case: array(shape, dtype) for each shape."""
    return [array(eval(a[5:]), "bool") if isinstance(a, str) else array(a, "float32") if isinstance(a, tuple) else a
            for a in CASES[case]]


def random_arrays():
    rng = np.random.default_rng(0)

    def array(shape, dtype):
        numbers = np.asarray(rng.uniform(0.1, 1, shape), "float32")
        return numbers if dtype == "float32" else numbers > 0.5
    return array


def test_every_formula_is_here():
    assert set(FORMULAS) == set(ARGUMENTS)
    assert len(FORMULAS) == len([f for f in ALL if f.__module__.startswith("minigan.")])
    assert capture.write is FORMULAS["write"]


@pytest.mark.parametrize("case", [case for case in CASES if case != "write"])
def test_on_the_cpu_it_is_the_plain_function(case):
    formula = FORMULAS[case.partition(",")[0]]
    plain, fused = (arguments(case, random_arrays()) for _ in range(2))
    expected, found = formula.__wrapped__(*plain), formula(*fused)
    for a, b in zip([*plain, expected], [*fused, found]):
        np.testing.assert_equal(a, b)


# --- on the stand-in ---

@pytest.mark.parametrize("case", CASES)
def test_it_keeps_the_rules_and_computes_the_same(standin, case):
    formula = FORMULAS[case.partition(",")[0]]
    plain = arguments(case, random_arrays())
    there = [asarray(a) if isinstance(a, np.ndarray) else a for a in arguments(case, random_arrays())]
    standin.launches.clear()
    with standin.no_sync(), standin.no_float64():
        found = formula(*there)
    assert standin.launches == [formula.__name__]          # one kernel
    mg.use("cpu")
    expected = formula(*plain)
    tuples = [result if isinstance(result, tuple) else (result,) for result in (expected, found)]
    for a, b in zip([*plain, *tuples[0]], [*there, *tuples[1]]):
        np.testing.assert_equal(a, to_numpy(b) if isinstance(b, fakecupy.ndarray) else b)


def beta_twice(x, beta): return x * (1 - beta)
def a_sum(x): return x - x.sum()
def a_mean(x): return x - xp.mean(x)
def a_shape(x): return x / x.shape[0]
def a_length(x): return x / len(x)
def an_index(x): return x[1:] + 1.0
def a_view(x): return x.T + 1.0
def a_product(x): return x @ x
def builtin_abs(x): return abs(x)
def random_numbers(x): return x + mg.rng(0).random(3, dtype="float32")
def two_shapes(x, y): return x + 1.0, y + 1.0
def negative_number(x, beta): return x * -beta
def two_numbers(x, beta, gamma): return x * (beta * gamma)


@pytest.mark.parametrize("function, numbers", [
    (beta_twice, [0.5]), (a_sum, []), (a_mean, []), (a_shape, []), (a_length, []), (an_index, []), (a_view, []),
    (a_product, []),
    (builtin_abs, []), (random_numbers, []), (two_shapes, "array"), (negative_number, [0.5]), (two_numbers, [0.5, 0.5])])
def test_the_standin_refuses_what_cannot_be_one_kernel(standin, function, numbers):
    x = xp.ones((3, 3), "float32")
    fused = fuse(function)
    ALL.remove(fused)
    with pytest.raises(TypeError, match="fuse"):
        fused(x, *([xp.ones(3, "float32")] if numbers == "array" else numbers))


# --- traced by CuPy itself ---

@pytest.fixture
def trace(monkeypatch):
    """trace(function, arguments): the kernel that CuPy makes of it."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    fusion = pytest.importorskip("cupy._core.fusion", reason="this CuPy has other internals")
    memory = cupy.cuda.UnownedMemory(1 << 20, 1 << 30, None, 0)        # never touched, so any address will do

    def array(shape, dtype):
        return cupy.ndarray(shape, dtype, cupy.cuda.MemoryPointer(memory, 0))

    def trace(function, make_arguments):
        history = fusion._FusionHistory()
        fusion._thread_local.history, fusion._thread_local.is_old_fusing = history, True
        try:
            with monkeypatch.context() as patch:
                patch.setattr(backend, "_chosen", cupy)
                patch.setattr(accelerate, "device", lambda: "cuda:0")  # which chooses the equals of a GPU
                kernel, _ = history.get_fusion(function, make_arguments(array), function.__name__)
        finally:
            fusion._thread_local.history, fusion._thread_local.is_old_fusing = None, False
        assert type(kernel) is cupy.ElementwiseKernel
        return kernel
    return trace


def wide_or_narrow(kernel):
    """The types of the numbers that the kernel computes with, but for float and bool (and constants, which it casts)."""
    return set(re.findall(r"^(?!const |float |bool )(\w+) v\d", kernel.operation, re.MULTILINE))


@pytest.mark.parametrize("case", CASES)
def test_cupy_makes_one_kernel_of_float32_numbers(trace, case):
    mg.use("cpu")
    formula = FORMULAS[case.partition(",")[0]]
    kernel = trace(formula.__wrapped__, lambda array: arguments(case, array))
    assert wide_or_narrow(kernel) == set()
    assert {str(parameter.dtype) for parameter in kernel.out_params} <= {"float32", "bool"}
    results = formula.__wrapped__(*arguments(case, lambda shape, dtype: np.ones(shape, dtype)))
    assert kernel.nout == (len(results) if isinstance(results, tuple) else results is not None)


def a_number_alone(x, value): x[...] = value


@pytest.mark.parametrize("function", [beta_twice, a_number_alone])
def test_cupy_computes_numbers_among_themselves_in_float16(trace, function):
    """Why 1 - beta is computed outside, and why `write` adds a zero that is an array."""
    assert "float16" in wide_or_narrow(trace(function, lambda array: [array((3,), "float32"), 0.999]))


# --- compiled by NVRTC ---

@pytest.mark.parametrize("case", CASES)
def test_nvrtc_compiles_the_kernel(trace, nvrtc, case):
    mg.use("cpu")
    kernel = trace(FORMULAS[case.partition(",")[0]].__wrapped__, lambda array: arguments(case, array))
    arrays, numbers = {"float32": "float", "bool": "bool"}, {"float64": "double", "int64": "long long"}
    dtypes = {p.name: str(np.dtype(p.dtype)) for p in kernel.params if p.name != "_ind"}
    parameters = [((arrays | numbers)[dtype], name, dtype in arrays) for name, dtype in dtypes.items()]
    assert nvrtc(kernel.name, parameters, kernel.operation, kernel.preamble).startswith(b"\x7fELF")
    with pytest.raises(Exception, match="undefined"):
        nvrtc(kernel.name, parameters, kernel.operation + "; undefined_name = 1;", kernel.preamble)
