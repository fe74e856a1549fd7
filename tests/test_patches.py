"""im2col and col2im on a GPU: the kernels, compiled for the CPU by the stand-in, against the lines for the CPU.

What the two compute, tests/test_convolution.py says, on every kind of device.
"""
import fakecupy
import numpy as np
import pytest
from cases import Convolution, convolutions
from conftest import DEVICES
from hypothesis import given, settings, strategies

import minigan as mg
from minigan.backend import asarray, to_numpy
from minigan.engine import kernels
from minigan.layers import Conv2D
from minigan.layers.patches import col2im, im2col
from minigan.padding import pad_and_count

on_device = pytest.mark.parametrize("backend", DEVICES, indirect=True)
GEOMETRIES = [Convolution(N=2, H=5, W=6, C=2, F=1, K=K, S=S, padding=padding)
              for K, S, padding in ((4, 2, "same"), (3, 1, 1), (2, 2, "valid"), (5, 2, "same"), (2, 3, 3))]
DTYPES = strategies.sampled_from(["float32", "float64"])


def arrays(c, dtype):
    """Images and columns of a convolution, with no zeros."""
    rng = np.random.default_rng(0)
    OH, OW = (pad_and_count(size, c.K, c.S, c.padding)[2] for size in (c.H, c.W))
    shapes = (c.N, c.H, c.W, c.C), (c.N * OH * OW, c.K * c.K * c.C)
    return [rng.uniform(1, 2, shape).astype(dtype) for shape in shapes]


def both(c, dtype, backend):
    """(im2col, col2im), as NumPy arrays, on the device."""
    mg.use("cpu" if backend == "numpy" else "cuda")
    x, cols = map(asarray, arrays(c, dtype))
    results = im2col(x, c.K, c.S, c.padding), col2im(cols, x.shape, c.K, c.S, c.padding)
    return [to_numpy(result) for result in results]


def same_bits(a, b):
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


@on_device
@settings(max_examples=200)
@given(convolutions(Conv2D), DTYPES)
def test_the_kernels_give_the_bits_of_the_lines_for_the_cpu(backend, c, dtype):
    for found, expected in zip(both(c, dtype, backend), both(c, dtype, "numpy")):
        assert same_bits(found, expected)


@on_device
@pytest.mark.parametrize("C", [1, 2, 3, 4, 8])
def test_they_do_so_for_any_number_of_channels_and_any_view(backend, C):
    whole = np.random.default_rng(0).standard_normal((3, 7, 6, C + 4)).astype("float32")
    flat = np.random.default_rng(0).standard_normal(2 * 5 * 4 * C + 1).astype("float32")
    for view in (lambda x, y: x[..., 4:], lambda x, y: x[::2, :, :, :C], lambda x, y: x.transpose(0, 2, 1, 3)[..., :C],
                 lambda x, y: y[1:].reshape(2, 5, 4, C)):
        mg.use("cuda")
        found = to_numpy(im2col(view(asarray(whole), asarray(flat)), 3, 2, "same"))
        mg.use("cpu")
        assert same_bits(found, im2col(view(whole, flat), 3, 2, "same"))


def test_they_read_and_write_no_more_than_they_must(standin):
    """4 x 4 taps with stride 2: a number of the image lies under 4 patches; the image has borders of 1."""
    x, cols = asarray(np.ones((1, 64, 64, 4), "float32")), asarray(np.ones((32 * 32, 64), "float32"))
    standin.traffic.clear()
    col2im(cols, x.shape, 4, 2, "same")
    im2col(x, 4, 2, "same")
    assert standin.traffic == 2 * [(5 * 4 * x.size, 0)]


def test_each_is_one_kernel_and_nothing_else(standin):
    x, cols = asarray(np.ones((2, 8, 8, 4), "float32")), asarray(np.ones((32, 64), "float32"))
    for work in (lambda: im2col(x, 4, 2, "same"), lambda: col2im(cols, x.shape, 4, 2, "same")):
        work()
        standin.launches.clear()
        with standin.no_sync():
            work()
        assert len(standin.launches) == 1


def test_large_arrays_are_counted_in_64_bits(monkeypatch):
    texts = []
    monkeypatch.setattr(kernels, "kernel", lambda name, text: texts.append(text) or (lambda a, out: None))
    for size in (2 ** 31 - 1, 2 ** 31):
        big, small = np.broadcast_to(np.float32(0), size), np.zeros(1, "float32")
        kernels.run("im2col", "", big, small, C=1)
        kernels.run("im2col", "", small, big, C=1)
    assert [text.partition(" Index")[0] for text in texts] == 2 * ["typedef unsigned int"] + 2 * ["typedef long long"]


def test_and_then_give_the_same_bits(standin, monkeypatch):
    original = kernels.kernel
    monkeypatch.setattr(kernels, "kernel", lambda name, text: original(name, text.replace("unsigned int", "long long")))
    for c in GEOMETRIES:
        assert all(map(same_bits, both(c, "float32", "standin"), both(c, "float32", "numpy")))


@pytest.mark.parametrize("name, right, wrong", [
    ("IM2COL", ": T(0)", ": T(-0.0f)"), ("IM2COL", "0 <= h && ", ""), ("IM2COL", "w < W", "w <= W"),
    ("IM2COL", "- left", "- top"), ("IM2COL", "* S + ki", "+ ki"), ("COL2IM", "+ left", ""),
    ("COL2IM", "oh < OH && ", ""), ("COL2IM", "ki += S", "ki += S + 1"), ("COL2IM", "sum += column", "sum = column"),
    ("COL2IM", "* K + ki) * K + kj", "* K + kj) * K + ki")])
def test_a_mistake_in_a_kernel_is_caught(standin, monkeypatch, name, right, wrong):
    text = getattr(kernels, name)
    assert right in text
    monkeypatch.setattr(kernels, name, text.replace(right, wrong))
    with pytest.raises((AssertionError, IndexError)):
        for c in GEOMETRIES:
            assert all(map(same_bits, both(c, "float32", "standin"), both(c, "float32", "numpy")))


@pytest.mark.parametrize("index", ["unsigned int", "long long"])
@pytest.mark.parametrize("name, T", [("IM2COL", "float"), ("IM2COL", "double"),
                                     ("COL2IM", "float"), ("COL2IM", "double")])
def test_nvrtc_compiles_the_kernels(nvrtc, monkeypatch, name, T, index):
    texts, x = [], np.zeros(1, "float32")
    monkeypatch.setattr(kernels, "kernel", lambda name, text: lambda a, out: texts.append(text.replace("unsigned int", index)))
    kernels.run(name.lower(), getattr(kernels, name), x, x, C=3, K=4, S=2, H=8, W=8, OH=4, OW=4, top=1, left=1)
    parameters = [("CArray<T, 1, 1, 1>", "a", False), ("T", "b", True)]
    assert nvrtc(name.lower(), parameters, texts[0], f"typedef {T} T;").startswith(b"\x7fELF")


def test_without_a_compiler_the_stand_in_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(fakecupy.shutil, "which", lambda name: None)
    with pytest.raises(pytest.skip.Exception, match="C\\+\\+ compiler"):
        fakecupy._compiled("new", "b = a[i];", "float32")
