"""Convolution: against four loops, against its adjoint, and the geometry of padding."""
import numpy as np
import pytest
from cases import convolutions, draw
from hypothesis import given, settings

from minigan.backend import asarray, host_rng, to_numpy
from minigan.engine import pieces as engine_pieces
from minigan.layers import Conv2D, ConvTranspose2D, col2im, convolution, im2col
from minigan.layers.convolution import conv_weight_grad
from minigan.padding import pad_and_count


def geometry(size, K, S, padding):
    """(pixels of zeros before the image, output size), after the documentation of TensorFlow."""
    if padding == "same":
        outputs = int(np.ceil(size / S))
        return max((outputs - 1) * S + K - size, 0) // 2, outputs
    pad = 0 if padding == "valid" else padding
    return pad, int(np.floor((size + 2 * pad - K) / S)) + 1


def patches(c):
    """(oh, ow, i, j, h, w): tap (i, j) of the patch at output (oh, ow) lies on pixel (h, w); no taps on padding."""
    top, OH = geometry(c.H, c.K, c.S, c.padding)
    left, OW = geometry(c.W, c.K, c.S, c.padding)
    for oh, ow, i, j in np.ndindex(OH, OW, c.K, c.K):
        h, w = oh * c.S + i - top, ow * c.S + j - left
        if 0 <= h < c.H and 0 <= w < c.W:
            yield oh, ow, i, j, h, w


def conv_by_loops(c, x, W):
    """y[n, oh, ow, f] = Σ_i Σ_j Σ_c  x_padded[n, oh·S + i, ow·S + j, c] · W[i, j, c, f]"""
    OH, OW = (geometry(size, c.K, c.S, c.padding)[1] for size in (c.H, c.W))
    y = np.zeros((c.N, OH, OW, c.F))
    for oh, ow, i, j, h, w in patches(c):
        y[:, oh, ow] += x[:, h, w] @ W[i, j]
    return y


def close(a, b):
    np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-12, atol=1e-12)


def inner(a, b):
    return float(np.vdot(to_numpy(a), to_numpy(b)))


def assert_adjoint(one, other, *pairs):
    """<one> = <other>, relative to the size of what is summed up."""
    assert abs(one - other) <= 1e-12 * sum(np.linalg.norm(to_numpy(a)) * np.linalg.norm(to_numpy(b)) for a, b in pairs)


# --- the formula ---

@settings(max_examples=100)
@given(convolutions(Conv2D))
def test_conv2d_is_the_formula(backend, c):
    layer, x = c.layer(Conv2D), c.images()
    close(layer(x), conv_by_loops(c, to_numpy(x), to_numpy(layer.W)) + to_numpy(layer.b))


@settings(max_examples=100)
@given(convolutions(Conv2D))
def test_im2col_writes_every_patch_into_a_row(backend, c):
    x = c.images()
    OH, OW = (geometry(size, c.K, c.S, c.padding)[1] for size in (c.H, c.W))
    rows = np.zeros((c.N, OH, OW, c.K, c.K, c.C))
    for oh, ow, i, j, h, w in patches(c):
        rows[:, oh, ow, i, j] = to_numpy(x)[:, h, w]
    np.testing.assert_array_equal(to_numpy(im2col(x, c.K, c.S, c.padding)), rows.reshape(c.N * OH * OW, -1))


@settings(max_examples=100)
@given(convolutions(ConvTranspose2D))
def test_conv_transpose2d_paints_a_patch_for_every_input_pixel(backend, c):
    layer, x = c.layer(ConvTranspose2D), to_numpy(c.images())
    y, W = to_numpy(layer(asarray(x))), to_numpy(layer.W)
    canvas = np.zeros((c.N, c.H * c.S + 9, c.W * c.S + 9, c.F))
    for h, w, i, j in np.ndindex(c.H, c.W, c.K, c.K):
        canvas[:, h * c.S + i, w * c.S + j] += x[:, h, w] @ W[i, j].T
    crop = {"valid": 0, "same": max(c.K - c.S, 0) // 2}.get(c.padding, c.padding)
    close(y, canvas[:, crop:crop + y.shape[1], crop:crop + y.shape[2]] + to_numpy(layer.b))


def test_a_kernel_of_one_tap_is_a_dense_layer_on_every_pixel(backend):
    layer, x = Conv2D(3, 2, 1, rng=host_rng(0), dtype="float64"), draw(host_rng(1), (2, 3, 4, 3))
    close(layer(x), to_numpy(x) @ to_numpy(layer.W)[0, 0])


def counting(rng, shape):
    return np.arange(9.0).reshape(shape)


def test_the_kernel_is_not_flipped(backend):
    """Deep learning's convolution is the cross-correlation of signal processing: W[0, 0] looks up and left."""
    layer = Conv2D(1, 1, 3, dtype="float64", initializer=counting)
    dot = np.zeros((1, 3, 3, 1))
    dot[0, 1, 1, 0] = 1
    np.testing.assert_array_equal(to_numpy(layer(asarray(dot)))[0, :, :, 0], [[8, 7, 6], [5, 4, 3], [2, 1, 0]])


def test_the_transposed_convolution_paints_its_kernel_as_it_stands(backend):
    layer = ConvTranspose2D(1, 1, 3, padding="valid", dtype="float64", initializer=counting)
    np.testing.assert_array_equal(to_numpy(layer(asarray(np.ones((1, 1, 1, 1)))))[0, :, :, 0],
                                  [[0, 1, 2], [3, 4, 5], [6, 7, 8]])


# --- adjoints ---

@settings(max_examples=100)
@given(convolutions(Conv2D))
def test_col2im_is_the_adjoint_of_im2col(backend, c):
    rng = host_rng(0)
    x = c.images(rng)
    cols = im2col(x, c.K, c.S, c.padding)
    other = draw(rng, cols.shape)
    back = col2im(other, x.shape, c.K, c.S, c.padding)
    assert back.shape == x.shape
    assert_adjoint(inner(cols, other), inner(x, back), (cols, other))


@settings(max_examples=100)
@given(convolutions(ConvTranspose2D))
def test_conv_transpose2d_is_the_adjoint_of_conv2d_with_one_shardd_kernel(backend, c):
    """<conv(u), x> = <u, convT(x)>: convT maps C to F channels, so its convolution maps F to C."""
    rng = host_rng(0)
    transposed = ConvTranspose2D(c.C, c.F, c.K, c.S, c.padding, bias=False, rng=rng, dtype="float64")
    convolution = Conv2D(c.F, c.C, c.K, c.S, c.padding, bias=False, dtype="float64")
    convolution.W[...] = transposed.W
    x = c.images(rng)
    painted = transposed(x)
    u = draw(rng, painted.shape)
    seen = convolution(u)
    assert_adjoint(inner(seen, x), inner(u, painted), (seen, x), (u, painted))


@settings(max_examples=100)
@given(convolutions(Conv2D))
def test_the_weight_gradient_is_the_adjoint_of_W_to_conv(backend, c):
    """conv is linear in W too: <conv(x; W), dy> = <W, dW>."""
    layer, x = c.layer(Conv2D), c.images()
    y = layer(x) - layer.b
    dy = draw(host_rng(1), y.shape)
    assert_adjoint(inner(y, dy), inner(layer.W, conv_weight_grad(x, dy, c.K, c.S, c.padding)), (y, dy))


# --- the batch in pieces ---

@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("K, S, padding", [(3, 1, "valid"), (5, 2, "same")])
def test_pieces_are_cut_by_the_bytes_of_the_columns(monkeypatch, K, S, padding, dtype):
    """conv_weight_grad and conv_adjoint tell `pieces` how many bytes of columns an image takes; conv as for padding "same"."""
    told, taken = [], []
    monkeypatch.setattr(engine_pieces, "pieces", lambda N, each: told.append((N, each)) or [slice(0, N)])
    monkeypatch.setattr(convolution, "im2col", lambda x, *geometry: (
        taken.append((len(x), im2col(x, *geometry).nbytes / len(x))), im2col(x, *geometry))[1])
    monkeypatch.setattr(convolution, "col2im", lambda cols, shape, *geometry: (
        taken.append((shape[0], cols.nbytes / shape[0])), col2im(cols, shape, *geometry))[1])
    layer, x = Conv2D(2, 3, K, S, padding, dtype=dtype), np.ones((3, 6, 7, 2), dtype)
    y, cache = layer.forward(x)
    layer.backward(y, cache)
    assert told[1:] == taken[1:] and len(told) == 3
    assert told[0] == taken[0] or padding == "valid" and told[0] > taken[0]


def test_the_pieces_together_are_the_whole(monkeypatch):
    """Of one image each, or of two."""
    layer, x = Conv2D(2, 3, 3, stride=2, dtype="float64", rng=host_rng(0)), draw(host_rng(1), (5, 6, 7, 2))

    def results():
        layer.zero_grad()
        y, cache = layer.forward(x)
        return y, layer.backward(y, cache), layer.dW.copy(), layer.double_backward(x, y, cache)[0], layer.dW.copy()

    whole = results()
    for bytes_of_a_piece in (1, 2 * 3 * 4 * 18 * 8):
        monkeypatch.setattr("minigan.engine.pieces.CPU_BYTES", bytes_of_a_piece)
        for one, other in zip(results(), whole):
            close(one, other)


# --- geometry ---

@pytest.mark.parametrize("size, K, S, before, after, outputs", [
    (28, 5, 2, 1, 2, 14), (28, 4, 2, 1, 1, 14), (28, 5, 1, 2, 2, 28), (28, 3, 2, 0, 1, 14), (7, 5, 2, 2, 2, 4),
    (7, 4, 2, 1, 2, 4), (7, 3, 2, 1, 1, 4), (8, 4, 1, 1, 2, 8), (6, 1, 1, 0, 0, 6), (7, 1, 3, 0, 0, 3),
    (7, 2, 3, 0, 1, 3), (1, 5, 2, 2, 2, 1)])
def test_same_pads_as_tensorflow_does(size, K, S, before, after, outputs):
    assert pad_and_count(size, K, S, "same") == (before, after, outputs)


@pytest.mark.parametrize("K, S, padding, outputs", [
    (5, 2, "same", (4, 5)), (5, 2, "valid", (2, 3)), (5, 2, 0, (2, 3)), (5, 2, 2, (4, 5)), (4, 2, 1, (3, 4)),
    (4, 2, "valid", (2, 3)), (3, 1, 1, (7, 9)), (1, 3, "valid", (3, 3)), (7, 1, "valid", (1, 3)), (1, 1, 2, (11, 13))])
def test_the_output_size_of_conv2d(backend, K, S, padding, outputs):
    assert Conv2D(1, 2, K, S, padding)(asarray(np.zeros((3, 7, 9, 1), "float32"))).shape == (3, *outputs, 2)


@pytest.mark.parametrize("K, S, padding, outputs", [
    (5, 2, "same", (6, 8)), (5, 1, "same", (3, 4)), (4, 2, "same", (6, 8)), (2, 3, "same", (9, 12)), (4, 2, 1, (6, 8)),
    (5, 2, "valid", (9, 11)), (5, 2, 0, (9, 11)), (5, 2, 2, (5, 7)), (1, 3, "valid", (7, 10))])
def test_the_output_size_of_conv_transpose2d(backend, K, S, padding, outputs):
    assert ConvTranspose2D(1, 2, K, S, padding)(asarray(np.zeros((2, 3, 4, 1), "float32"))).shape == (2, *outputs, 2)


@pytest.mark.parametrize("K, S, covered", [
    (1, 3, [1, 0, 0, 1, 0, 0, 1, 0]), (2, 3, [1, 1, 0, 1, 1, 0, 1, 1]), (3, 2, [1, 1, 1, 1, 1, 1, 1, 0]),
    (3, 4, [1, 1, 1, 0, 1, 1, 1, 0]), (5, 2, [1, 1, 1, 1, 1, 1, 1, 0])])
def test_pixels_that_no_patch_covers_get_no_gradient(backend, K, S, covered):
    """With S > K there are gaps between the patches, with "valid" a rest behind the last: y does not depend on them."""
    layer, x = Conv2D(1, 1, K, S, "valid", rng=host_rng(0), dtype="float64"), draw(host_rng(1), (1, 8, 8, 1))
    y, cache = layer.forward(x)
    dx = to_numpy(layer.backward(draw(host_rng(2), y.shape), cache))[0, :, :, 0]
    np.testing.assert_array_equal(dx != 0, np.outer(covered, covered) == 1)


def test_pixels_that_no_patch_paints_get_the_bias(backend):
    layer = ConvTranspose2D(1, 1, 1, 3, dtype="float64", initializer=lambda rng, shape: np.ones(shape))
    layer.b[...] = 5.0
    painted = to_numpy(layer(asarray(np.full((1, 2, 2, 1), 2.0))))[0, :, :, 0]
    np.testing.assert_array_equal(painted, 5 + np.kron([[2, 2], [2, 2]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]))
