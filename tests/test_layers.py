"""Every layer, in every variant, keeps the contract of minigan/layers/layer.py. The layers are listed in cases.py."""
import inspect
import subprocess
import sys

import numpy as np
import pytest
from cases import CASES, Parabola, build, check, convolutions, draw, randomized, run
from conftest import smallest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan import layers
from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.backend import rng as device_rng
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Sigmoid,
    Tanh,
)

every_case = pytest.mark.parametrize("name", CASES)
both_modes = pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])


@both_modes
@every_case
def test_backward_is_the_derivative_of_forward_and_the_contract_holds(backend, name, train):
    report = check(*build(name), train)
    assert report.ok, str(report)
    assert "kinks" not in str(report)


@both_modes
@every_case
def test_float32_stays_float32_and_agrees_with_float64(backend, name, train):
    single, double = run(*build(name, "float32"), train), run(*build(name, "float64"), train)
    for key in single:
        assert single[key].dtype == "float32" and double[key].dtype == "float64", key
        np.testing.assert_allclose(single[key], double[key], rtol=1e-4, atol=1e-4, err_msg=key)


def fortran_order(x):
    return xp.ascontiguousarray(x.T).T


def every_second(x):
    wide = xp.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def reversed_twice(x):
    return xp.ascontiguousarray(x[::-1])[::-1]


@pytest.mark.parametrize("view", [fortran_order, every_second, reversed_twice])
@every_case
def test_the_arrangement_in_memory_does_not_matter(backend, name, view):
    contiguous, other = run(*build(name)), run(*build(name), view=view)
    for key in contiguous:
        np.testing.assert_allclose(other[key], contiguous[key], rtol=1e-12, atol=1e-12, err_msg=key)


@every_case
def test_an_upstream_gradient_may_be_a_broadcast_view(backend, name):
    """As the gradient of a mean is: one number in memory, seen as many."""
    layer, x = build(name)
    y, cache = layer.forward(x)
    one = asarray(np.full((1,) * y.ndim, 0.5))
    np.testing.assert_allclose(to_numpy(layer.backward(xp.broadcast_to(one, y.shape), cache)),
                               to_numpy(layer.backward(xp.full(y.shape, 0.5), cache)), rtol=1e-12, atol=1e-12)


@every_case
def test_calling_a_layer_is_evaluation(backend, name):
    layer, x = build(name)
    np.testing.assert_array_equal(to_numpy(layer(x)), to_numpy(layer.forward(x, train=False)[0]))


@every_case
def test_evaluation_changes_nothing_on_the_layer(backend, name):
    layer, x = build(name)
    before = [(key, to_numpy(value).copy()) for key, value in layer.states()]
    once = to_numpy(layer(x))
    np.testing.assert_array_equal(to_numpy(layer(x)), once)
    for (key, old), (_, value) in zip(before, layer.states()):
        np.testing.assert_array_equal(to_numpy(value), old, err_msg=key)


@pytest.mark.parametrize("layer, names, values", [
    (Dense, "I O bias", (4, 3, False)), (LeakyReLU, "alpha", (0.1,)), (Dropout, "rate", (0.25,)),
    (BatchNorm, "C momentum eps", (4, 0.7, 1e-4)),
    (Conv2D, "C F kernel_size stride padding bias", (1, 2, 3, 2, 1, False)),
    (ConvTranspose2D, "C F kernel_size stride padding bias", (1, 2, 3, 2, "valid", True))])
def test_what_was_passed_stays_readable(layer, names, values):
    by_place, by_name = layer(*values), layer(**dict(zip(names.split(), values, strict=True)))
    for name, value in zip(names.split(), values, strict=True):
        assert getattr(by_place, name) == getattr(by_name, name) == value


@pytest.mark.parametrize("layer, defaults", [
    (Dense(4, 3), {"bias": True}), (LeakyReLU(), {"alpha": 0.3}), (ReLU(), {"alpha": 0.0}),
    (Conv2D(1, 2, 3), {"stride": 1, "padding": "same", "bias": True}),
    (ConvTranspose2D(1, 2, 3), {"stride": 1, "padding": "same", "bias": True})])
def test_defaults(layer, defaults):
    assert {name: getattr(layer, name) for name in defaults} == defaults
    assert all(value.dtype == "float32" for _, value, _ in layer.parameters())


def test_dense_adds_its_gradient_in_pieces_of_rows(monkeypatch):
    """A piece counts four times the bytes of its rows of dW, and all pieces are the whole."""
    layer, x, told = Dense(7, 3, dtype="float64", rng=host_rng(0)), draw(host_rng(1), (5, 7)), []
    monkeypatch.setattr("minigan.engine.pieces.pieces", lambda N, each: told.append((N, each)) or [slice(0, 4), slice(4, N)])
    y, cache = layer.forward(x)
    layer.backward(y, cache)
    layer.double_backward(2 * x, y, cache)
    np.testing.assert_allclose(layer.dW, 3 * x.T @ y, rtol=1e-12)
    assert told == 2 * [(7, 4 * layer.dW[0].nbytes)]


@pytest.mark.parametrize("layer", [Dense, Conv2D, ConvTranspose2D])
def test_a_layer_has_a_bias_of_zeros_or_none(layer):
    sizes = (4, 3) if layer is Dense else (4, 3, 2)
    assert [name for name, _, _ in layer(*sizes, bias=False).parameters()] == ["W"]
    assert [name for name, _, _ in layer(*sizes).parameters()] == ["W", "b"]
    np.testing.assert_array_equal(layer(*sizes).b, np.zeros(3, "float32"))


def test_at_its_kink_leaky_relu_has_the_slope_alpha(backend):
    y, cache = (layer := LeakyReLU(0.2)).forward(asarray(np.zeros(3)))
    np.testing.assert_array_equal(to_numpy(y), 0)
    np.testing.assert_array_equal(to_numpy(layer.backward(asarray(np.ones(3)), cache)), 0.2)


def test_every_layer_has_a_case():
    """A new layer that is not listed in cases.py would not be tested at all."""
    exported = {value for value in vars(layers).values() if isinstance(value, type) and issubclass(value, Layer)}
    assert exported - {Layer} == {type(build(name)[0]) for name in CASES} - {Parabola}


def test_weights_come_from_the_generator_alone(backend):
    one, same, other = (to_numpy(Conv2D(2, 3, 3, rng=host_rng(seed)).W) for seed in (5, 5, 6))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def random_parts():
    """What layers draw that were given no generator: one array for each."""
    x = asarray(np.ones((4, 4, 4, 2), "float32"))
    made = [Dense(8, 8), Dense(8, 8), Conv2D(2, 2, 2), Conv2D(2, 2, 2), layers.Maxout(4, 2, 2), layers.Maxout(4, 2, 2)]
    drawn = [layer.W for layer in made] + [layers.SpectralNorm(Dense(2, 8)).p for _ in range(2)]
    for kind in (lambda: Dropout(0.5), lambda: layers.InstanceNoise(1.0), lambda: layers.Brightness(1.0)):
        drawn += [kind().forward(x)[0] for _ in range(2)]
    generators = [layers.RandomFlip().rng, layers.RandomShift(1).rng, layers.Cutout(0.5).rng, layers.RandomRotate90().rng]
    drawn += [generator.random((8,), dtype="float32") for generator in generators]
    drawn += [mg.rng(0).random((8,), dtype="float32"), mg.rng(1).random((8,), dtype="float32")]
    return [to_numpy(array).ravel()[:8] for array in drawn]


def test_layers_without_a_generator_never_share_a_stream_and_repeat_themselves(backend):
    mg.seed(0)
    first, later = random_parts(), random_parts()
    for i, a in enumerate(first):
        assert not any(np.array_equal(a, b) for b in [*first[:i], *later[:-2]])
    mg.seed(0)
    np.testing.assert_equal(random_parts(), first)
    mg.seed(1)
    assert not any(np.array_equal(a, b) for a, b in zip(random_parts()[:-2], first))


def test_a_program_draws_the_same_numbers_twice():
    code = "import minigan as mg; print(mg.layers.Dense(2, 2).W, mg.layers.Dropout(0.5).rng.random(3))"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] != ""


# --- dropout is random, so its values need tests of their own ---

def test_dropout_sets_a_share_of_rate_to_zero_and_scales_the_rest_up(backend):
    y, _ = Dropout(0.3, rng=device_rng(5)).forward(asarray(np.full((100, 100), 2.1)))
    values, counts = np.unique(to_numpy(y), return_counts=True)
    np.testing.assert_allclose(values, [0, 2.1 / 0.7])
    assert counts[0] / y.size == pytest.approx(0.3, abs=0.02)          # four standard deviations


def test_dropout_draws_anew_at_each_call_and_the_seed_decides_what(backend):
    layer, same, x = Dropout(0.5, rng=device_rng(0)), Dropout(0.5, rng=device_rng(0)), asarray(np.ones(100))
    first, second = to_numpy(layer.forward(x)[0]), to_numpy(layer.forward(x)[0])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(to_numpy(same.forward(x)[0]), first)
    np.testing.assert_array_equal(to_numpy(same.forward(x)[0]), second)


def test_in_evaluation_dropout_passes_everything_and_draws_nothing(backend):
    layer, same, x = Dropout(0.5, rng=device_rng(0)), Dropout(0.5, rng=device_rng(0)), asarray(np.ones(100))
    np.testing.assert_array_equal(to_numpy(layer(x)), 1)
    np.testing.assert_array_equal(to_numpy(layer.forward(x)[0]), to_numpy(same.forward(x)[0]))


# --- sizes that nobody thought of ---

@settings(max_examples=60)
@given(convolutions(Conv2D))
def test_conv2d_of_any_configuration(backend, c):
    report = check(c.layer(Conv2D), c.images(), entries=6)
    assert report.ok, (c, str(report))


@settings(max_examples=60)
@given(convolutions(ConvTranspose2D))
def test_conv_transpose2d_of_any_configuration(backend, c):
    report = check(c.layer(ConvTranspose2D), c.images(), entries=6)
    assert report.ok, (c, str(report))


@given(N=st.integers(1, 5), I=st.integers(1, 5), O=st.integers(1, 5), bias=st.booleans(), seed=st.integers(0, 99))
def test_dense_of_any_size(backend, N, I, O, bias, seed):
    rng = host_rng(seed)
    report = check(randomized(Dense(I, O, bias, dtype="float64"), rng), draw(rng, (N, I)), entries=6)
    assert report.ok, str(report)


@given(shape=st.lists(st.integers(1, 3), max_size=2), N=st.integers(2, 4), C=st.integers(1, 3),
       eps=st.sampled_from([1e-5, 1e-3, 1.0]), seed=st.integers(0, 99), train=st.booleans())
def test_batchnorm_of_any_size(backend, shape, N, C, eps, seed, train):
    rng = host_rng(seed)
    layer = randomized(BatchNorm(C, eps=eps, dtype="float64"), rng)
    # two values drawn alike would bend the curve more within h than central differences can follow: hold them apart
    x = draw(rng, (N, *shape, C)) + asarray(np.arange(N).reshape(-1, *[1] * (len(shape) + 1)) * 2.0)
    report = check(layer, x, train, entries=6)
    assert report.ok, str(report)


# --- mistakes of the caller: one error that names the layer and what it got ---

def ones(*shape, dtype="float32"):
    return asarray(np.ones(shape, dtype))


MISTAKES = [                                           # error, what the message says, call
    (ValueError, "Dense: expected (N, 4), got (5, 3)", lambda: Dense(4, 3)(ones(5, 3))),
    (ValueError, "Dense: expected (N, 4), got (2, 5, 4)", lambda: Dense(4, 3)(ones(2, 5, 4))),
    (ValueError, "Conv2D: expected (N, H, W, 2), got (2, 5, 5, 3)", lambda: Conv2D(2, 3, 3)(ones(2, 5, 5, 3))),
    (ValueError, "Conv2D: expected (N, H, W, 2), got (5, 5, 2)", lambda: Conv2D(2, 3, 3)(ones(5, 5, 2))),
    (ValueError, "ConvTranspose2D: expected (N, H, W, 2), got (5, 2)", lambda: ConvTranspose2D(2, 3, 3)(ones(5, 2))),
    (ValueError, "BatchNorm: expected (..., 3), got (5, 2)", lambda: BatchNorm(3)(ones(5, 2))),
    (ValueError, "Reshape: expected 6 numbers a sample, to make (2, 3), got (5, 4)", lambda: Reshape(2, 3)(ones(5, 4))),
    (ValueError, "Tanh: expected (...), got ()", lambda: Tanh()(ones())),
    (ValueError, "Dense: got an empty batch, shape (0, 4)", lambda: Dense(4, 3)(ones(0, 4))),
    (ValueError, "Conv2D: got an empty batch, shape (0, 5, 5, 2)", lambda: Conv2D(2, 3, 3)(ones(0, 5, 5, 2))),
    (ValueError, "ConvTranspose2D: got an empty batch, shape (1, 0, 5, 2)",
     lambda: ConvTranspose2D(2, 3, 3)(ones(1, 0, 5, 2))),
    (ValueError, "BatchNorm: got an empty batch, shape (0, 3)", lambda: BatchNorm(3)(ones(0, 3))),
    (ValueError, "Flatten: got an empty batch, shape (0, 2, 2)", lambda: Flatten()(ones(0, 2, 2))),
    (ValueError, "Reshape: got an empty batch, shape (0, 4)", lambda: Reshape(4)(ones(0, 4))),
    (ValueError, "ReLU: got an empty batch, shape (0, 2)", lambda: ReLU()(ones(0, 2))),
    (ValueError, "Sigmoid: got an empty batch, shape (0,)", lambda: Sigmoid()(ones(0))),
    (ValueError, "Dropout: got an empty batch, shape (0, 4)", lambda: Dropout(0.5)(ones(0, 4))),
    (TypeError, "Dense: expected float32, got float64", lambda: Dense(4, 3)(ones(5, 4, dtype="float64"))),
    (TypeError, "Dense: expected float64, got float32", lambda: Dense(4, 3, dtype="float64")(ones(5, 4))),
    (TypeError, "Conv2D: expected float32, got float64", lambda: Conv2D(1, 1, 1)(ones(1, 2, 2, 1, dtype="float64"))),
    (TypeError, "ConvTranspose2D: expected float32, got int64",
     lambda: ConvTranspose2D(1, 1, 1)(ones(1, 2, 2, 1, dtype="int64"))),
    (TypeError, "BatchNorm: expected float32, got float64", lambda: BatchNorm(2)(ones(5, 2, dtype="float64"))),
    (TypeError, "LeakyReLU: expected float32 or float64, got uint8", lambda: LeakyReLU()(ones(2, dtype="uint8"))),
    (TypeError, "Dropout: expected float32 or float64, got bool", lambda: Dropout(0.3)(ones(2, dtype="bool"))),
    (TypeError, "LeakyReLU: alpha must be a number, got '0.2'", lambda: LeakyReLU("0.2")),
    (TypeError, "BatchNorm: eps must be a number, got None", lambda: BatchNorm(2, eps=None)),
    (TypeError, "LayerNorm: eps must be a number", lambda: layers.LayerNorm(2, eps="1e-3")),
    (TypeError, "Dropout: rate must be a number", lambda: Dropout([0.3])),
    (TypeError, "InstanceNoise: sigma must be a number", lambda: layers.InstanceNoise(None)),
    (TypeError, "Brightness: strength must be a number", lambda: layers.Brightness("bright")),
    (TypeError, "Cutout: share must be a number", lambda: layers.Cutout(1j)),
    (TypeError, "Flatten: expected an array", lambda: Flatten()([[1.0, 2.0]])),
    (TypeError, "Dense: expected an array", lambda: Dense(2, 3)([[1.0, 2.0]])),
    (TypeError, "ReLU: expected an array", lambda: ReLU()(1.5)),
    *((ValueError, f'Conv2D: padding must be "same", "valid" or a whole number of at least 0, got {padding!r}',
       lambda p=padding: Conv2D(2, 3, 3, padding=p)) for padding in ("same ", "SAME", -1, 1.5, True, None, (1, 1))),
    (ValueError, "ConvTranspose2D: padding must be", lambda: ConvTranspose2D(2, 3, 3, padding="full")),
    (ValueError, "Conv2D: a kernel of 4 does not fit into images of shape (1, 3, 9, 1) with padding 'valid'",
     lambda: Conv2D(1, 1, 4, padding="valid")(ones(1, 3, 9, 1))),
    (ValueError, "Conv2D: a kernel of 6 does not fit", lambda: Conv2D(1, 1, 6, padding=1)(ones(1, 9, 3, 1))),
    (ValueError, "ConvTranspose2D: padding 2 leaves nothing of images of shape (1, 1, 9, 1)",
     lambda: ConvTranspose2D(1, 1, 3, padding=2)(ones(1, 1, 9, 1))),
    *((ValueError, f"alpha must be between 0 and 1, got {alpha!r}", lambda a=alpha: LeakyReLU(a))
      for alpha in (-0.1, 1.5, float("nan"))),
    *((ValueError, f"Dropout: rate must be at least 0 and below 1, got {rate!r}", lambda r=rate: Dropout(r))
      for rate in (1.0, -0.1, float("nan"))),
    (ValueError, "Dense: I must be a whole number of at least 1, got 0", lambda: Dense(0, 3)),
    (ValueError, "Dense: O must be a whole number of at least 1, got 2.0", lambda: Dense(4, 2.0)),
    (ValueError, "Conv2D: F must be a whole number of at least 1, got -1", lambda: Conv2D(2, -1, 3)),
    (ValueError, "Conv2D: kernel_size must be a whole number of at least 1, got 0", lambda: Conv2D(2, 3, 0)),
    (ValueError, "Conv2D: kernel_size must be a whole number of at least 1, got (3, 3)", lambda: Conv2D(2, 3, (3, 3))),
    (ValueError, "ConvTranspose2D: stride must be a whole number of at least 1, got 0",
     lambda: ConvTranspose2D(2, 3, 3, 0)),
    (ValueError, "BatchNorm: C must be a whole number of at least 1, got 0", lambda: BatchNorm(0)),
    (ValueError, "Reshape: shape[1] must be a whole number of at least 1, got -1", lambda: Reshape(2, -1)),
    *((ValueError, f"BatchNorm: momentum must be between 0 and 1 and eps positive, got {momentum!r} and {eps!r}",
       lambda m=momentum, e=eps: BatchNorm(3, m, e)) for momentum, eps in [(1.1, 1e-3), (-0.1, 1e-3), (0.9, 0)]),
    *((TypeError, f"{layer.__name__}: rng must be", lambda a=(layer, arguments): a[0](*a[1], rng=42))
      for layer, arguments in [(Dense, (4, 3)), (Conv2D, (2, 3, 3)), (ConvTranspose2D, (2, 3, 3)), (Dropout, (0.3,))]),
]


@pytest.mark.parametrize("error, message, call", MISTAKES, ids=[message for _, message, _ in MISTAKES])
def test_a_mistake_gives_one_error_that_says_what_is_wrong(error, message, call):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_a_host_array_on_the_device_is_refused(backend):
    layer = Dense(4, 3)
    if backend in ("standin", "cupy"):
        with pytest.raises(TypeError, match="Dense: expected an array on 'cuda:0', got numpy.ndarray; .*asarray"):
            layer(np.ones((5, 4), "float32"))


# --- what backward refuses ---

@pytest.mark.parametrize("name", sorted({*CASES} - {"Dropout, rate 0", "Sequential, empty", "Parabola"}))
def test_an_upstream_gradient_of_another_shape_is_refused(backend, name):
    """But for layers that did nothing, and so know no shape, and for a reader's own."""
    layer, x = build(name, "float64")
    y, cache = layer.forward(x)
    with pytest.raises(ValueError, match="backward expected dy"):
        layer.backward(xp.concatenate([y, y]), cache)


def test_an_upstream_gradient_of_another_dtype_is_refused():
    layer = Dense(3, 2)
    y, cache = layer.forward(np.ones((4, 3), "float32"))
    with pytest.raises(ValueError, match=r"Dense: backward expected dy \(4, 2\) float32, got \(4, 2\) float64"):
        layer.backward(y.astype("float64"), cache)
    assert not layer.dW.any()


def test_an_initializer_must_return_the_shape():
    with pytest.raises(ValueError, match=r"Dense: the initializer must return an array of shape \(3, 2\), got \(2, 3\)"):
        Dense(3, 2, initializer=lambda rng, shape: rng.uniform(size=shape[::-1]))


# --- what is finite stays finite; what is not is cut off where the formula says so ---

def test_relu_cuts_off_what_has_overflowed(backend):
    x = asarray(np.array([[-np.inf, -3e38, -1.0, 0.0, 1.0, 3e38, np.inf]], "float32"))
    for layer in (ReLU(), LeakyReLU(0.0)):
        y, cache = layer.forward(x)
        np.testing.assert_array_equal(to_numpy(y), [[0, 0, 0, 0, 1, np.float32(3e38), np.inf]])
        np.testing.assert_array_equal(to_numpy(layer.backward(xp.ones_like(x), cache)), [[0, 0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(to_numpy(LeakyReLU(0.5)(x))[0, [0, 2, 6]], [-np.inf, -0.5, np.inf])
    assert np.isnan(to_numpy(ReLU()(asarray(np.array([np.nan], "float32"))))).all()


def test_sigmoid_keeps_both_tails(backend):
    host = np.array([-np.inf, -100, -50, -20, -18, -17, -1, 0, 1, 17, 20, 50, np.inf], "float32")
    layer, x = Sigmoid(), asarray(host)
    y, cache = layer.forward(x)
    dx = layer.backward(xp.ones_like(x), cache)
    with np.errstate(over="ignore"):                   # of e to the power of infinity
        expected = 1 / (1 + np.exp(-host.astype("float64")))
        slope = expected * (1 / (1 + np.exp(host.astype("float64"))))
    assert y.dtype == dx.dtype == "float32"
    lost = smallest(backend, 1e-44)
    np.testing.assert_allclose(to_numpy(y), expected, rtol=1e-6, atol=lost)
    np.testing.assert_allclose(to_numpy(dx), slope, rtol=1e-6, atol=lost)


@pytest.mark.parametrize("make", [
    lambda: Dense(2, 3, dtype="float16"), lambda: Conv2D(2, 3, 3, dtype="float16"), lambda: BatchNorm(2, dtype="float16"),
    lambda: layers.LayerNorm(2, dtype="float16"), lambda: layers.Maxout(2, 3, dtype=np.float16),
    lambda: Dense(2, 3, dtype="int32"), lambda: Dense(2, 3, dtype="longdouble"), lambda: Dense(2, 3, dtype="complex64"),
    lambda: ReLU()(asarray(np.ones(3, "float16"))), lambda: Dropout(0.5)(asarray(np.ones(3, "float16")))])
def test_only_float32_and_float64_are_computed_with(make):
    with pytest.raises(TypeError, match="float32 or float64"):
        make()


@pytest.mark.parametrize("layer, shape", [
    (layers.InstanceNorm(4), (5, 1, 1, 4)), (layers.LayerNorm(1), (5, 1)), (layers.LayerNorm(1), (5, 1, 1, 1)),
    (BatchNorm(4), (1, 4)), (BatchNorm(4), (1, 1, 1, 4))], ids=str)
def test_a_normalization_of_single_values_is_refused(layer, shape):
    with pytest.raises(ValueError, match=r"one value a (group|channel), shape \(.*\), has no variance"):
        layer.forward(np.ones(shape, "float32"))


@every_case
def test_a_pass_is_one_of_training_and_asks_for_all_gradients_unless_told_otherwise(name):
    layer, _ = build(name)
    defaults = {key: value.default for method in (layer.forward, layer.backward)
                for key, value in inspect.signature(method).parameters.items()}
    assert (defaults["train"], defaults["param_grads"], defaults["input_grad"]) == (True, True, True)
