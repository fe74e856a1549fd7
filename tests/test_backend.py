"""minigan.backend: the one switch between NumPy and CuPy, and the few functions that know the difference."""
import io
import os
import pathlib
import subprocess
import sys
import threading

import fakecupy
import numpy as np
import pytest

import minigan as mg
from minigan.backend import rng_state, scalar, set_rng_state, synchronize, to_numpy, xp
from minigan.training.batches import resident, rows

TESTS = pathlib.Path(__file__).parent


def python(code, **environment):
    """What a fresh interpreter prints that finds minigan and the stand-in (as `fakecupy`) and has this environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "MINIGAN_DEVICE"}
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True,
                            env=inherited | {"PYTHONPATH": path} | environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# --- the switch ---

def test_xp_follows_the_switch_though_it_was_imported_before(standin):
    assert isinstance(xp.zeros(3), fakecupy.ndarray) and "cuda:0" in repr(xp)
    mg.use("cpu")
    assert xp.exp is np.exp and "cpu" in repr(xp)


@pytest.mark.parametrize("name, number", [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_use_chooses_a_gpu(standin, name, number):
    mg.use("cuda:1" if number == 0 else "cuda:0")
    mg.use(name)
    assert mg.device() == f"cuda:{number}"
    assert standin.cuda.Device().id == number


@pytest.mark.parametrize("nonsense", ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "cpu:0", None, 0])
def test_an_unknown_device_is_refused_and_changes_nothing(standin, nonsense):
    with pytest.raises(ValueError, match="unknown device") as caught:
        mg.use(nonsense)
    assert repr(nonsense) in str(caught.value)
    assert mg.device() == "cuda:0"


@pytest.mark.parametrize("environment, argument, on", [
    (None, None, False), (None, True, True), (None, False, False), ("1", None, True), ("1", False, False), ("0", None, False)])
def test_tf32_is_a_switch(standin, monkeypatch, environment, argument, on):
    monkeypatch.delenv("MINIGAN_TF32", raising=False)
    if environment is not None:
        monkeypatch.setenv("MINIGAN_TF32", environment)
    mg.use("cuda", tf32=argument)
    assert mg.backend.tf32() is on and standin.compute_types[-1] == ("float32", 7 if on else 1)
    assert ("TF32", "on" if on else "off: products are float32") in mg.engine.machine.describe()
    mg.use("cpu")                                      # where the environment variable says nothing
    assert mg.backend.tf32() is False


def test_tf32_is_off_where_the_gpu_has_none(standin, monkeypatch):
    monkeypatch.setattr(standin._core, "get_compute_type", lambda dtype: 1)
    mg.use("cuda", tf32=True)
    assert mg.backend.tf32() is False


def test_tf32_is_refused_on_the_cpu(standin):
    with pytest.raises(ValueError, match="tf32=True is for a GPU") as caught:
        mg.use("cpu", tf32=True)
    assert "\n" not in str(caught.value) and mg.device() == "cuda:0"


def without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)     # makes `import cupy` raise ImportError


def without_driver(monkeypatch):
    def fail():
        raise OSError("cudaErrorInsufficientDriver")
    monkeypatch.setattr(fakecupy.cuda.runtime, "getDeviceCount", fail)


def with_one_gpu(monkeypatch):
    monkeypatch.setattr(fakecupy.cuda.runtime, "getDeviceCount", lambda: 1)


@pytest.mark.parametrize("before", ["cpu", "cuda:0"])
@pytest.mark.parametrize("obstacle, device, advice", [
    (without_cupy, "cuda", r"needs CuPy.*pip install .*cupy-cuda12x"),
    (without_driver, "cuda", r"CuPy .* finds no usable GPU .cudaErrorInsufficientDriver.*needs an NVIDIA GPU and its"),
    (with_one_gpu, "cuda:1", r"this machine has 1 GPU"),
])
def test_a_missing_gpu_gives_one_sentence_and_leaves_the_old_device(standin, monkeypatch, before, obstacle, device,
                                                                    advice):
    mg.use(before)
    module = type(xp.zeros(1))
    obstacle(monkeypatch)
    with pytest.raises(RuntimeError, match=advice) as caught:
        mg.use(device)
    assert "\n" not in str(caught.value)
    error = caught.value                               # alone, without a chain of tracebacks above it
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    assert mg.device() == before and type(xp.zeros(1)) is module


@pytest.mark.parametrize("variable, chosen", [
    (None, "numpy cpu"), ("", "numpy cpu"), ("cpu", "numpy cpu"),
    ("cuda", "fakecupy cuda:0"), ("cuda:1", "fakecupy cuda:1"),
    ("warp drive", "minigan.use: unknown device 'warp drive'; it takes \"cpu\", \"cuda\" or \"cuda:N\"")])
def test_the_environment_chooses_where_the_program_does_not(variable, chosen):
    code = """
import sys, fakecupy, minigan as mg
sys.modules["cupy"] = fakecupy
try:
    print(type(mg.backend.xp.zeros(1)).__module__, mg.device())
except ValueError as error:
    print(error)
mg.use("cpu")
print(mg.device())
"""
    environment = {} if variable is None else {"MINIGAN_DEVICE": variable}
    assert python(code, **environment).splitlines() == [chosen, "cpu"]


# --- the doors between host and device ---

ARRAYS = {
    "float64": np.linspace(-1, 1, 6).reshape(2, 3), "float32": np.ones((2, 1, 3), "float32"),
    "int8": np.arange(-2, 3, dtype="int8"), "bool": np.array([True, False]), "0-d": np.array(2.5),
    "empty": np.zeros((0, 3)), "transposed": np.arange(6.0).reshape(2, 3).T,
    "every second, backward": np.arange(9)[::-2]}


@pytest.mark.parametrize("x", ARRAYS.values(), ids=ARRAYS)
def test_there_and_back_again(backend, x):
    there = mg.asarray(x)
    assert isinstance(there, xp.ndarray)
    back = to_numpy(there)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, x, strict=True)


def test_asarray_casts_when_asked(backend):
    assert mg.asarray([1, 2], "float32").dtype == "float32"
    assert mg.asarray(mg.asarray([1.5, 2.5]), "float32").dtype == "float32"


def test_asarray_does_not_copy_what_is_on_the_device(backend):
    x = xp.zeros(3)
    mg.asarray(x)[1] = 7
    np.testing.assert_array_equal(to_numpy(x), [0, 7, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_scalar_is_a_python_float(backend, dtype):
    number = scalar(xp.full((2, 3), 3, dtype).sum())
    assert type(number) is float and number == 18


@pytest.mark.parametrize("fits", [True, False])
def test_the_data_stays_on_the_device_if_it_fits(backend, monkeypatch, fits):
    x, index = np.arange(60, dtype="float32").reshape(5, 3, 4), np.array([4, 0, 0, 3])
    if backend == "standin":
        monkeypatch.setattr(fakecupy.cuda.runtime, "memGetInfo", lambda: (2 * x.nbytes if fits else 2 * x.nbytes - 1, 10 ** 9))
    kept = resident(x)
    if backend in ("numpy", "shards"):
        assert kept is x
    elif backend == "standin":
        assert isinstance(kept, xp.ndarray) == fits
    batch = rows(kept, index)
    assert isinstance(batch, xp.ndarray)
    np.testing.assert_array_equal(to_numpy(batch), x[index], strict=True)


def test_scalar_to_numpy_and_synchronize_wait_for_the_device_once(standin):
    x = xp.ones(())
    for wait in (lambda: scalar(x), lambda: to_numpy(x), synchronize):
        standin.syncs.clear()
        wait()
        assert len(standin.syncs) == 1


def test_synchronize_is_harmless_everywhere(backend):
    assert synchronize() is None


# --- random generators ---

def draws(generator):
    """What the library draws, with the odd number of float32 that leaves half of a draw inside the generator."""
    device_arrays = (generator.random(3, dtype="float32"), generator.standard_normal((2, 3), dtype="float32"),
                     generator.integers(0, 10, 5))
    assert all(isinstance(array, xp.ndarray) for array in device_arrays)
    assert [str(array.dtype) for array in device_arrays] == ["float32", "float32", "int64"]
    return np.concatenate([to_numpy(array).ravel() for array in device_arrays])


@pytest.mark.parametrize("seed", [0, 2 ** 31 - 1, [3, 1]], ids=str)
def test_the_seed_decides_what_a_device_generator_draws(backend, seed):
    np.testing.assert_array_equal(draws(mg.rng(seed)), draws(mg.rng(seed)))
    assert not np.array_equal(draws(mg.rng(seed)), draws(mg.rng(12345)))


def test_a_device_generator_moves_on(backend):
    generator = mg.rng(0)
    assert not np.array_equal(draws(generator), draws(generator))


def test_the_host_generator_does_not_depend_on_the_device(backend):
    assert isinstance(mg.host_rng(3), np.random.Generator)
    np.testing.assert_array_equal(mg.host_rng(3).normal(size=4), np.random.default_rng(3).normal(size=4))


@pytest.mark.parametrize("make", [mg.rng, mg.host_rng], ids=["device", "host"])
def test_a_generator_continues_from_its_state(backend, make):
    generator = make(5)
    generator.random(3, dtype="float32")               # somewhere in the middle of its stream
    file = io.BytesIO()
    np.savez(file, state=rng_state(generator))         # as a checkpoint keeps it
    expected = [to_numpy(generator.random(5, dtype="float32")) for _ in range(2)]
    for other in (make(99), generator):
        set_rng_state(other, np.load(io.BytesIO(file.getvalue()))["state"])
        for numbers in expected:
            np.testing.assert_array_equal(to_numpy(other.random(5, dtype="float32")), numbers)


def test_the_state_is_a_snapshot_in_bytes(backend):
    generator = mg.rng(5)
    state = rng_state(generator)
    before = state.copy()
    draws(generator)
    assert state.dtype == "uint8" and state.ndim == 1
    np.testing.assert_array_equal(state, before)
    assert not np.array_equal(rng_state(generator), before)


@pytest.mark.parametrize("kind", ["foreign", "cut off", "empty"])
def test_a_state_of_another_kind_is_refused_and_changes_nothing(backend, kind):
    on_device = fakecupy.random.Generator(fakecupy.random.Philox4x3210(5, size=256))
    generator = mg.rng(5)
    states = {"foreign": rng_state(on_device if backend in ("numpy", "shards") else mg.host_rng(5)),
              "cut off": rng_state(generator)[:-2], "empty": np.zeros(0, "uint8")}
    with pytest.raises(ValueError, match="continues on the kind of device"):
        set_rng_state(generator, states[kind])
    np.testing.assert_array_equal(draws(generator), draws(mg.rng(5)))


# --- import minigan ---

def test_import_loads_no_optional_module():
    code = "import sys, minigan; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(python(code).split())
    assert "numpy" in loaded and not loaded & {"cupy", "matplotlib", "PIL", "torch"}


def test_import_takes_at_most_one_and_a_half_times_as_long_as_numpys(tmp_path):
    """Processor time, in one process after the other; the best of several, for a busy machine only ever adds to it."""
    code = """
from time import process_time
start = process_time()
import numpy
middle = process_time()
import minigan
print((process_time() - start) / (middle - start))
"""
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}    # as after an installation
    python(code, **compiled)
    ratio = min(float(python(code, **compiled)) for _ in range(7))
    if ratio > 1.5:
        ratio = min(float(python(code, **compiled)) for _ in range(7))
    assert ratio <= 1.5


def test_threads_that_make_layers_at_once_get_streams_of_their_own(monkeypatch):
    """Another thread asks for its stream while this one's is being made."""
    made, original = [], np.random.SeedSequence

    def interrupted(*seed, **key):
        if not made:
            made.append(None)
            other = threading.Thread(target=lambda: made.append(mg.backend.next_stream().spawn_key))
            other.start()
            other.join()
        return original(*seed, **key)

    mg.seed(0)
    monkeypatch.setattr(np.random, "SeedSequence", interrupted)
    assert sorted([mg.backend.next_stream().spawn_key, *made[1:]]) == [(0,), (1,)]
