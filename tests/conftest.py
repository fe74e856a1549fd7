"""Fixtures for every test that computes: `backend` runs it on NumPy, on the strict stand-in for CuPy, and on real CuPy
where there is a GPU; `standin` on the stand-in only."""
import importlib
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")     # before NumPy is loaded: on small matrices threads only wait

import fakecupy
import pytest
from hypothesis import HealthCheck, settings

import minigan as mg
from minigan import cublas, parallel

# Fixed examples, so that a red run can be repeated, and no deadline: shared machines are slow at times.
settings.register_profile("minigan", deadline=None, derandomize=True, max_examples=25,
                          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "minigan"))


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
    monkeypatch.setitem(sys.modules, "cupy", fakecupy)
    monkeypatch.setattr(cublas, "library", fakecupy.cublas_library)
    mg.use("cuda")
    fakecupy.syncs.clear()
    yield fakecupy
    mg.use("cpu")


@pytest.fixture
def in_shares(monkeypatch):
    """Every network cuts every batch, however small, into up to three shares."""
    monkeypatch.setattr(parallel, "SMALLEST_WORK", 1)
    of_the_layers = parallel.smallest_share
    monkeypatch.setattr(parallel, "smallest_share", lambda network: of_the_layers(network) and 2)
    monkeypatch.setattr(parallel, "workers", lambda: 3)


@pytest.fixture(params=["numpy", "shares", "standin", "cupy"])
def backend(request):
    """The name of the array module that the test runs on; "shares" is NumPy with batches cut for several cores."""
    if request.param == "shares":
        request.getfixturevalue("in_shares")
    if request.param == "standin":
        request.getfixturevalue("standin")
    elif request.param == "cupy" and gpu_is_missing():
        pytest.skip(gpu_is_missing())
    else:
        mg.use("cuda" if request.param == "cupy" else "cpu")
    yield request.param
    mg.use("cpu")
