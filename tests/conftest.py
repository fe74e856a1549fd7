"""Fixtures for every test that computes: `backend` runs it on NumPy, on the strict stand-in for CuPy, and on real CuPy
where there is a GPU; `standin` on the stand-in only."""
import collections
import importlib
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")     # before NumPy is loaded: on small matrices threads only wait

import fakecupy
import pytest
from hypothesis import HealthCheck, settings

import minigan as mg
from minigan.engine import cublas, pieces, shards

# Fixed examples, so that a red run can be repeated, and no deadline: shared machines are slow at times.
settings.register_profile("minigan", deadline=None, derandomize=True, max_examples=25,
                          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "minigan"))


ABOUT_BACKENDS = ("test_backend", "test_patches", "test_shards", "test_standin")


@pytest.hookimpl(tryfirst=True)         # before pytest leaves out what -m does not want
def pytest_collection_modifyitems(items):
    """On every backend runs what is about backends. Of all other tests those on NumPy are quick, those beside it slow."""
    for item in items:
        on = getattr(item, "callspec", None) and item.callspec.params.get("backend")
        if on in ("shards", "standin") and item.path.stem not in ABOUT_BACKENDS:
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter, config):
    """What was not run, and why, in a line each."""
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ")
                                  for report in terminalreporter.stats.get("skipped", ()))
    if config.option.markexpr == "not slow":
        terminalreporter.write_line("not run: the slow checks (python -m pytest -m slow)")
    if gpu_is_missing():
        terminalreporter.write_line(f"not run: the checks on a GPU ({gpu_is_missing()})")
    for reason, count in reasons.items():
        terminalreporter.write_line(f"not run: {count} of the others ({reason})")


@pytest.fixture(autouse=True)
def same_streams():
    """Layers without a generator draw the same numbers in every test, whatever ran before."""
    mg.seed(0)


def gpu_is_missing():
    """Why tests on real CuPy cannot run here, or an empty string."""
    try:
        cupy = importlib.import_module("cupy")
        return "" if cupy.is_available() else "CuPy finds no GPU"
    except ImportError:
        return "CuPy is not installed"


@pytest.fixture
def standin(monkeypatch):
    """The stand-in for CuPy, in use, and with no synchronisation noted yet."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupyx"]:
        monkeypatch.delitem(sys.modules, name)         # CuPy loads it late: it would find the stand-in
    monkeypatch.setitem(sys.modules, "cupy", fakecupy)
    monkeypatch.setattr(cublas, "library", fakecupy.cublas_library)
    mg.use("cuda")
    fakecupy.syncs.clear()
    yield fakecupy
    mg.use("cpu")


def smallest(backend, denormal):
    """What counts as zero: CuPy compiles its kernels so that no number below the smallest normal one, 1.2e-38, is left."""
    return denormal if backend != "cupy" else 1.2e-38


@pytest.fixture
def in_shards(monkeypatch):
    """Every network cuts every batch, however small, into up to three shards."""
    monkeypatch.setattr(shards, "SMALLEST_WORK", 1)
    monkeypatch.setattr(shards, "FEWEST_ROWS", 2)
    for module in (shards, pieces):
        monkeypatch.setattr(module, "workers", lambda: 3)


DEVICES = ["standin"] if gpu_is_missing() else ["standin", "cupy"]         # real CuPy only where it can run


@pytest.fixture(params=["numpy", "shards", *DEVICES])
def backend(request):
    """The name of the array module that the test runs on; "shards" is NumPy with batches cut for several cores."""
    if request.param == "shards":
        request.getfixturevalue("in_shards")
    if request.param == "standin":
        request.getfixturevalue("standin")
    else:
        mg.use("cuda" if request.param == "cupy" else "cpu")
    yield request.param
    mg.use("cpu")


@pytest.fixture
def nvrtc(monkeypatch):
    """nvrtc(name, parameters, text): the machine code of a kernel, for an H100, from NVRTC, the compiler that CuPy calls. It
    needs no GPU, only to be installed: pip install "cupy-cuda12x[ctk]". (That uses CuPy's own parts, as of version 14.)

    parameters  [(type, name, whether the text gets one element of it)]
    """
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    compiler = pytest.importorskip("cupy.cuda.compiler", reason="this CuPy has other internals")
    pathfinder = pytest.importorskip("cuda.pathfinder", reason="CUDA's pathfinder is not installed")
    try:
        pathfinder.load_nvidia_dynamic_lib("nvrtc")
        headers = pathfinder.find_nvidia_header_directory("cudart")
    except pathfinder.DynamicLibNotFoundError:
        headers = None
    if headers is None:
        pytest.skip("NVRTC or CUDA's headers are not installed")
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: ("-arch=sm_90", "cubin"))
    own = Path(cupy.__file__).parent / "_core" / "include"
    options = ("-std=c++17", f"-I{own}", *cupy._core.core._get_cccl_include_options(), f"-I{headers}")

    def compiled(name, parameters, text, preamble=""):
        arguments = [f"CArray<{kind}, 1, 1, 1> _raw_{name}" if element else f"const {kind} {name}"
                     for kind, name, element in parameters]
        elements = [f"{kind} &{name} = _raw_{name}[_ind.get()];" for kind, name, element in parameters if element]
        source = "".join(f"#include <cupy/{file}>\n" for file in ("complex.cuh", "carray.cuh", "atomics.cuh")) + f"""{preamble}
            extern "C" __global__ void {name}({", ".join(arguments)}, CIndexer<1, 1> _ind) {{
                CUPY_FOR(i, _ind.size()) {{ _ind.set(i); {" ".join(elements)} {text}; }}
            }}"""
        return compiler.compile_using_nvrtc(source, options)[0]
    return compiled
