"""The strict stand-in for CuPy (fakecupy.py), and the library on it: the GPU path tested without a GPU.

Statements are texts here, executed with these names: xp, the array module; x, a (4, 3) array on the device; host, the
same on the host; mask, x > 1; rows, an index array on the device; stack, three axes; rng, a device generator; mg; np.
"""
import copy
import inspect

import fakecupy
import numpy as np
import pytest
from cases import CASES, build, run
from conftest import DEVICES

import minigan as mg
from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.cli import recipe
from minigan.engine import pieces, shards, tiles
from minigan.engine.blas import blas

on_device = pytest.mark.parametrize("backend", DEVICES, indirect=True)


def names():
    host = np.arange(1, 13, dtype="float32").reshape(4, 3)
    x = asarray(host)
    return {"np": np, "mg": mg, "xp": xp, "host": host, "x": x, "mask": x > 1, "rows": asarray(np.array([2, 0])),
            "stack": xp.ones((2, 3, 3), "float32"), "rng": mg.rng(0)}


def execute(statement, known):
    exec(statement, known)                             # noqa: S102


# --- what the stand-in refuses ---

REFUSED = [
    # no conversion by itself, in neither direction
    "np.asarray(x)", "x + host", "host + x", "x @ host.T", "host.T @ x", "x > host", "x += host", "host += x",
    "xp.exp(host)", "xp.exp(x, out=host)", "xp.maximum(x, host)", "xp.where(mask, host, x)", "xp.stack([host, host])",
    "xp.dot(x, host.T)", "x[...] = host", "x[0] = host[0]", "x[0] = [1.0, 2.0, 3.0]",
    "x + [1.0, 2.0, 3.0]", "[1.0, 2.0, 3.0] * x", "x < [1.0, 2.0, 3.0]", "xp.maximum(x, [1.0, 2.0, 3.0])",
    "range(x[0, 0].astype(int))",
    # keywords that CuPy does not have
    "x.sum(where=True)", "xp.sum(x, initial=1.0)", "x.max(initial=0)", "xp.mean(x, where=True)",
    "xp.clip(x, min=0, max=1)", "xp.reshape(x, shape=(3, 4))", "xp.take(x, 0, mode='wrap')", "xp.zeros(3, like=x)",
    "x.argsort(stable=True)", "xp.lib.stride_tricks.as_strided(x, writeable=False)",
    # functions, attributes and generator methods that CuPy does not have
    "xp.errstate()", "xp.geomspace(1, 2)", "xp.block([x, x])", "xp.linalg.multi_dot([x, x.T])", "x.ctypes",
    "x.setflags(write=True)", "rng.normal()", "rng.permutation(3)", "rng.shuffle(x)", "rng.choice(3)"]
HOUSE_RULES = [                                        # CuPy takes these, slowly or with a surprise
    "stack @ stack", "xp.matmul(stack, stack)", "xp.linalg.matmul(stack, stack)", "stack @ x[0]", "x @= x[:3]",
    "xp.einsum('ij->j', x)", "xp.add.at(x, 0, 1.0)", "np.add.reduce(x)", "np.add.outer(x, x)",
    "x += x.astype('float64')", "x *= np.float64(2)", "x -= xp.ones(())", "xp.multiply(x, np.float64(2), out=x)",
    "xp.add(x, x, out=xp.zeros((4, 3)))", "xp.add(x[0], 1.0, out=x)"]


@on_device
@pytest.mark.parametrize("statement", REFUSED)
def test_what_cupy_refuses(backend, statement):
    with pytest.raises((TypeError, ValueError, AttributeError)):
        execute(statement, names())


@pytest.mark.parametrize("statement", HOUSE_RULES)
def test_what_minigan_does_without(standin, statement):
    with pytest.raises(TypeError):
        execute(statement, names())


@pytest.mark.parametrize("statement", REFUSED + HOUSE_RULES)
def test_numpy_takes_all_that(statement):
    """So it is the stand-in that refuses, and no mistake in the statement."""
    execute(statement, names())


def test_the_size_of_a_generator_must_be_a_multiple_of_256(standin):
    with pytest.raises(ValueError, match="256"):
        standin.random.Philox4x3210(0, size=100)


def test_a_generator_cannot_be_copied(standin):
    with pytest.raises(TypeError, match="lock"):
        copy.deepcopy(mg.rng(0))


# --- what makes the host wait ---

WAITS = [
    "x.get()", "float(x[0, 0])", "int(x[0, 0])", "complex(x[0, 0])", "bool(x[0, 0])", "x[0, 0].item()", "x.tolist()",
    "x.tobytes()", "repr(x)", "f'{x[0, 0]:.2f}'", "assert x[0, 0] == 1", "xp.asarray(host)", "xp.asarray([1.0, 2.0])",
    "x[mask]", "x[mask] = xp.ones(11, 'float32')", "x[[0, 1]]", "x[np.array([0, 1])]", "x[[0, 1]] = 0", "xp.nonzero(x)",
    "x.nonzero()", "xp.where(mask)", "xp.unique(x)", "xp.concatenate([x] * 9)", "xp.stack([x] * 9)", "mg.to_numpy(x)",
    "mg.backend.scalar(x[0, 0])", "mg.backend.synchronize()", "mg.asarray(host)"]
WAITS_NOT = [
    "x.sum()", "total = x.sum(); total += 1", "x[0, 0] + 1", "x[1:, ::2]", "x[rows]", "x[rows] = 0", "x[mask] = 0",
    "x[...] = 0", "x[...] = np.float32(1)", "xp.where(mask, x, 0)", "xp.concatenate([x] * 8)", "x.T @ x",
    "x.shape, x.size, x.dtype, len(x)", "for row in x: row += 1", "xp.asarray(x)", "xp.asarray(3.0)",
    "xp.zeros((2, 3))", "rng.random((2, 3))", "mg.rng(1)", "x.astype('float64')"]


@pytest.mark.parametrize("statement", WAITS)
def test_a_synchronisation_is_noted_and_can_be_forbidden(standin, statement):
    known = names()
    standin.syncs.clear()
    execute(statement, known)
    assert len(standin.syncs) == 1
    with standin.no_sync(), pytest.raises(RuntimeError, match="host synchronisation not allowed"):
        execute(statement, known)


@pytest.mark.parametrize("statement", WAITS_NOT)
def test_what_needs_no_synchronisation(standin, statement):
    known = names()
    standin.syncs.clear()
    with standin.no_sync():
        execute(statement, known)
    assert standin.syncs == []


def test_the_ban_ends_with_its_context(standin):
    with standin.no_sync(), standin.no_sync(), pytest.raises(RuntimeError):
        mg.asarray([1, 2])
    assert mg.asarray([1, 2]).tolist() == [1, 2]


# --- dtypes ---

@pytest.mark.parametrize("statement", ["xp.zeros(3)", "x * np.float64(2)", "x + xp.asarray(0.5)", "x.astype('float64')",
                                       "xp.where(mask, 1.0, 0.2)", "x.mean(dtype='float64')", "rng.standard_normal(3)"])
def test_a_float64_array_can_be_forbidden(standin, statement):
    known = names()
    execute(statement, known)
    with standin.no_float64(), pytest.raises(TypeError, match="float64"):
        execute(statement, known)


@pytest.mark.parametrize("statement", ["x * 2.0", "x.mean()", "xp.zeros(3, x.dtype)", "xp.where(mask, x, 0.2)",
                                       "x.argmax()", "rng.standard_normal(3, dtype='float32')"])
def test_float32_is_never_forbidden(standin, statement):
    known = names()
    with standin.no_float64():
        execute(statement, known)


# --- what the stand-in must do ---

@pytest.mark.parametrize("statement", ["view += 1", "view -= 2", "view *= 3", "view /= 3", "view //= 3", "view %= 3",
                                       "view **= 2", "view[...] = 7", "view[1:] += 1", "view[1:] += view[:-1]",
                                       "view.fill(7)", "xp.negative(view, out=view)",
                                       "number = view[:1].reshape(()); number += 1"])
def test_a_view_writes_into_the_memory_of_its_array(backend, statement):
    """As layer.W does into theta."""
    before = np.arange(6, dtype="float32")
    theta, expected = asarray(before.copy()), before.copy()
    execute(statement, {"view": theta[2:5], "xp": xp})
    execute(statement, {"view": expected[2:5], "xp": np})
    assert not np.array_equal(expected, before)
    np.testing.assert_allclose(to_numpy(theta), expected, rtol=1e-6)


@on_device
@pytest.mark.parametrize("expression", ["x.sum()", "xp.max(x)", "x[0, 0]", "x[0][1]", "x.T[0, 0]", "x[0, 0] * 2",
                                        "x[0] @ x[1]"])
def test_one_number_is_an_array_too(backend, expression):
    result = eval(expression, names())
    assert isinstance(result, xp.ndarray) and result.shape == () and result.dtype == "float32"


@on_device
def test_one_number_of_an_array_is_a_view_of_it(backend):
    x = xp.zeros(3)
    number = x[1]
    number += 5
    np.testing.assert_array_equal(to_numpy(x), [0, 5, 0])


def test_numpys_functions_are_handed_over(standin):
    """Which hides a stray np.sum in a layer, on CuPy as here: test_lint.py looks for it."""
    x = names()["x"]
    for result in (np.sum(x), np.exp(x), np.float32(2) * x):
        assert isinstance(result, standin.ndarray)


def test_a_copy_is_independent(standin):
    x = names()["x"]
    for twin in (copy.deepcopy(x), x.copy()):
        twin += 1
        assert x[0, 0].item() == 1 and twin[0, 0].item() == 2


def test_the_random_numbers_are_numpys(standin):
    device, host = mg.rng(3), np.random.default_rng(3)
    for _ in range(2):
        for method, arguments in (("random", ((3, 1), "float32")), ("standard_normal", (5,)), ("integers", (0, 9, 4))):
            found, expected = (getattr(generator, method)(*arguments) for generator in (device, host))
            np.testing.assert_array_equal(to_numpy(found), expected, strict=True)


def test_random_numbers_go_into_an_array(standin):
    out = xp.zeros(4)
    assert mg.rng(0).standard_normal(out=out) is out
    np.testing.assert_array_equal(to_numpy(out), np.random.default_rng(0).standard_normal(4))
    mg.rng(0).random(out=out)                          # CuPy's trap: without a size one number fills the array
    np.testing.assert_array_equal(to_numpy(out), np.full(4, np.random.default_rng(0).random()))
    mg.rng(0).random(4, out=out)
    np.testing.assert_array_equal(to_numpy(out), np.random.default_rng(0).random(4))


def test_the_table_is_true_of_the_cupy_that_is_installed():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    modules = {"numpy": cupy, "ndarray": cupy.ndarray, "Generator": cupy.random.Generator, "linalg": cupy.linalg,
               "lib.stride_tricks": cupy.lib.stride_tricks}
    for path, module in modules.items():
        assert [name for name in fakecupy.TABLE["names"][path] if not hasattr(module, name)] == [], path


# --- the library on the stand-in, and on real CuPy: the same numbers as on NumPy ---

def assert_same_as_numpy(backend, work):
    """work(), which returns {name: array}, computes the same on both: bit for bit on the stand-in, nearly on a GPU."""
    with blas().limit(limits=1, user_api="blas"):     # as networks on the CPU have it: other cuts round otherwise
        found = {name: to_numpy(value).copy() for name, value in work().items()}
    mg.use("cpu")
    with pytest.MonkeyPatch.context() as patch:        # a GPU takes each batch whole; so do the same sums here
        patch.setattr(shards, "workers", lambda: 1)
        patch.setattr(pieces, "workers", lambda: 1)
        patch.setattr(pieces, "CPU_BYTES", 1 << 40)
        patch.setattr(tiles, "choose", lambda *shapes: None)
        expected = {name: np.asarray(value) for name, value in work().items()}
    assert list(found) == list(expected)
    for name, value in expected.items():
        if backend == "standin":
            np.testing.assert_array_equal(found[name], value, strict=True, err_msg=name)
        else:
            near = 1e-3 if value.dtype == "float32" else 1e-9
            np.testing.assert_allclose(found[name], value, rtol=near, atol=near * np.abs(value).max(), err_msg=name)


def same_noise(network):
    """Give its dropout layers host generators: those of a GPU draw other numbers than NumPy's."""
    for _, layer in network.walk():
        if layer.rng is not None:
            layer.rng = host_rng(7)


@on_device
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_every_layer_computes_what_numpy_computes(backend, name, train):
    def work():
        layer, x = build(name, "float32")
        if backend == "cupy":
            same_noise(layer)
        return run(layer, x, train) | dict(layer.states())
    assert_same_as_numpy(backend, work)


def every_subclass(module, base):
    """The layers, the losses, the optimizers: {name: class}."""
    return {name: value for name, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, base) and value is not base}


LAYERS = every_subclass(mg.layers, mg.Layer)
LOSSES = {name: loss for name, loss in every_subclass(mg.losses, mg.losses.Loss).items() if hasattr(loss, "generator")}
OPTIMIZERS = {"SGD": {"lr": 0.1, "momentum": 0.9}, "Adam": {"eps": 1e-3}}
MODELS = {"toy_mlp": {"width": 8}, "dcgan": {"image_shape": (12, 12, 1), "width": 4},
          "mlp_gan": {"image_shape": (8, 8, 1)}, "dcgan_28": {}, "dcgan_64": {},
          "dcgan_64_stem": {}, "pacgan_toy": {"packing": 2}}
UPDATES = ["alternating", "simultaneous"]


def test_nothing_is_forgotten():
    assert set(LAYERS) <= {name.partition(",")[0] for name in CASES}
    functions = inspect.getmembers(mg.models, inspect.isfunction)
    assert {name for name, f in functions if {"rng", "dtype"} <= set(inspect.signature(f).parameters)} == set(MODELS)
    assert set(every_subclass(mg.optimizers, mg.optimizers.Optimizer)) == set(OPTIMIZERS)
    assert len(LOSSES) >= 5


@on_device
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_computes_what_numpy_computes(backend, loss):
    def work():
        a, b = asarray(np.float32([[-200], [-1], [0], [1], [88]])), asarray(np.float32([[-2], [-1], [0.5], [1e4]]))
        for_D, for_G = loss().discriminator(a, b), loss().generator(b)
        return dict(zip(("loss_D", "dreal", "dfake", "loss_G", "dlogits", "score"), (*for_D, *for_G, loss().score(a))))
    assert_same_as_numpy(backend, work)


@on_device
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_computes_what_numpy_computes(backend, name):
    def work():
        network = mg.Sequential(mg.layers.Dense(20, 10, rng=host_rng(0)))
        optimizer = getattr(mg.optimizers, name)(**OPTIMIZERS[name])
        optimizer.bind(network)
        for seed in range(3):
            network.dtheta[...] = asarray(host_rng(seed).standard_normal(network.size).astype("float32"))
            optimizer.step()
        return {"theta": network.theta} | optimizer.state()
    assert_same_as_numpy(backend, work)


def new_game(model, loss, update, dtype="float32"):
    """(gan, real, z): a GAN of this model and a batch of 4, the same numbers on every device. Adam's eps is so large
    that the rounding of a GPU cannot turn a step around, as it can with 1e-8 where a gradient is almost zero."""
    rng = host_rng(0)
    G, D = getattr(mg.models, model)(rng, **MODELS[model], dtype=dtype)
    gan = mg.GAN(G, D, loss(), mg.optimizers.Adam(eps=1e-3), mg.optimizers.Adam(eps=1e-3), update)
    z = asarray(rng.standard_normal((4, gan.latent_dim)).astype(dtype))
    real = asarray(rng.uniform(-1, 1, G(z).shape).astype(dtype))
    return gan, real, z


def all_arrays(gan, losses):
    """Everything that a step computes: {name: array}."""
    found = {"loss_D": losses[0], "loss_G": losses[1], "D(x)": gan.scores[0], "D(G(z))": gan.scores[1]}
    for name, network, optimizer in (("G", gan.G, gan.optimizer_G), ("D", gan.D, gan.optimizer_D)):
        found |= {f"{name}.theta": network.theta, f"{name}.dtheta": network.dtheta}
        found |= {f"{name}.{key}": value for key, value in network.states()}
        found |= {f"{name}.{key}": getattr(optimizer, key) for key in optimizer.vector_names}
    return found


def play(backend, model, loss, update, steps):
    """On a GPU in float64: in float32 its rounding alone may carry one of a million numbers over the bend of a LeakyReLU, and
    the gradients under it are then others."""
    gan, real, z = new_game(model, loss, update, "float64" if backend == "cupy" else "float32")
    for network in (gan.G, gan.D):
        if backend == "cupy":
            same_noise(network)
    for _ in range(steps):
        losses = gan.train_step(real, z)
    return all_arrays(gan, losses) | {"images": gan.G(z)}


@on_device
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", MODELS)
def test_a_step_of_every_model_computes_what_numpy_computes(backend, model, update):
    assert_same_as_numpy(backend, lambda: play(backend, model, mg.losses.NonSaturating, update, steps=1))


@on_device
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_steps_with_every_loss_compute_what_numpy_computes(backend, loss, update):
    assert_same_as_numpy(backend, lambda: play(backend, "toy_mlp", loss, update, steps=3))


def test_samples_and_noise_are_numpys(standin):
    def work():
        gan, _, _ = new_game("toy_mlp", mg.losses.Hinge, "alternating")
        return {"sample": gan.sample(300, seed=1), "noise": gan.noise(5, mg.rng(2))}
    assert_same_as_numpy("standin", work)


# --- ... with no wait for the device and no float64 on the way ---

@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_no_layer_waits_for_the_device_or_makes_float64(standin, name, train):
    layer, x = build(name, "float32")
    with standin.no_sync(), standin.no_float64():
        y, cache = layer.forward(x, train)
        dx = layer.backward(y, cache)
    assert y.dtype == dx.dtype == "float32"


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_no_loss_waits_for_the_device_or_makes_float64(standin, loss):
    a, b = xp.ones((4, 1), "float32"), xp.zeros((3, 1), "float32")
    with standin.no_sync(), standin.no_float64():
        results = [*loss().discriminator(a, b), *loss().generator(b), loss().score(a)]
    assert {str(result.dtype) for result in results} == {"float32"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_waits_for_the_device_or_makes_float64(standin, name):
    network = mg.Sequential(mg.layers.Dense(3, 2))
    optimizer = getattr(mg.optimizers, name)(**OPTIMIZERS[name])
    with standin.no_sync(), standin.no_float64():
        optimizer.bind(network)
        optimizer.step()


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("model", MODELS)
def test_a_whole_step_neither_waits_for_the_device_nor_makes_float64(standin, model, update):
    with standin.no_float64():                         # the networks are made without one, too
        gan, real, z = new_game(model, mg.losses.NonSaturating, update)
        gan.train_step(real, z)                        # the first batch is looked at
    with standin.no_sync(), standin.no_float64():
        losses = gan.train_step(real, z)
    assert {name: str(value.dtype) for name, value in all_arrays(gan, losses).items() if value.dtype != "float32"} == {}


# --- the loops ---

def test_the_training_loop_waits_for_the_index_and_the_log_only(standin, tmp_path):
    x, labels = mg.datasets.digits()
    options = recipe.complete({"data": "digits", "conditional": True, "ema": 0.9}) | {"sample_shape": [8, 8, 1]}
    gan, schedule = recipe.build_gan(options, 10)
    run = mg.training.Run(gan, x, tmp_path / "run", labels=labels, batch_size=16, schedule=schedule)
    run.start()
    run.train_step()
    standin.syncs.clear()
    with standin.no_float64():
        run.train_step()
    assert standin.syncs == ["copy from the host"] * 2 + ["get"]      # where images and labels lie; a row of log.csv


@pytest.mark.parametrize("capture", [False, True], ids=["eager", "captured"])
def test_a_run_computes_what_numpy_computes(standin, tmp_path, capture):
    standin.launches.clear()

    def work():
        x, _ = mg.datasets.digits()
        given = {"data": "digits", "model": "mlp_gan", "lr_schedule": "linear:1:0:9"}
        options = recipe.complete(given) | {"sample_shape": [8, 8, 1]}
        gan, schedule = recipe.build_gan(options)
        run = mg.training.Run(gan, x, tmp_path / mg.device(), batch_size=16, schedule=schedule, capture=capture)
        run.start()
        run.train(5)
        content = mg.checkpoint.load(tmp_path / mg.device() / "checkpoint.npz")
        return {name: value for name, value in content.items() if "theta" in name or name.startswith("optimizer")}
    assert_same_as_numpy("standin", work)
    assert ("graph" in standin.launches) == capture


def translations():
    """The two other games: {name: a function that makes (game, its batch)}."""
    L = mg.layers

    def networks(count, C):
        w = {"rng": host_rng(0)}
        Gs = [mg.Sequential(L.Conv2D(1, 4, 3, **w), L.BatchNorm(4), L.LeakyReLU(), L.Conv2D(4, 1, 3, **w), L.Tanh())
              for _ in range(count)]
        return Gs, [mg.Sequential(L.Conv2D(C, 4, 3, 2, **w), L.LeakyReLU(), L.Conv2D(4, 1, 3, **w)) for _ in range(count)]

    def batch():
        return [asarray(host_rng(seed).uniform(-1, 1, (4, 8, 8, 1)).astype("float32")) for seed in (1, 2)]

    def adams(count):
        return [mg.optimizers.Adam(eps=1e-3) for _ in range(count)]

    def translation():
        (G,), (D,) = networks(1, 2)
        return mg.Translation(G, D, mg.losses.NonSaturating(), *adams(2), conditional=True), batch()

    def cyclegan():
        Gs, Ds = networks(2, 1)
        return mg.CycleGAN(*Gs, *Ds, mg.losses.LeastSquares(), adams(4), pool_size=6, rng=host_rng(3)), batch()
    return {"Translation": translation, "CycleGAN": cyclegan}


@pytest.mark.parametrize("name", translations())
def test_translations_compute_what_numpy_computes_and_wait_for_nothing(standin, name):
    def work():
        game, batch = translations()[name]()
        with standin.no_sync(), standin.no_float64():
            for _ in range(3):
                losses = game.train_step(*batch)
        networks = {key: network.theta for key, network in vars(game).items() if isinstance(network, mg.Sequential)}
        return dict(zip("DG", losses)) | game.parts | networks
    assert_same_as_numpy("standin", work)


# --- arrays of the wrong side ---

@pytest.mark.parametrize("name", [name for name in CASES
                                  if name.partition(",")[0] in LAYERS and name != "Sequential, empty"])
def test_every_layer_refuses_an_array_of_the_other_side(standin, name):
    layer, x = build(name, "float32")
    with pytest.raises(TypeError, match="expected an array on 'cuda:0', got numpy.ndarray; .*asarray converts"):
        layer.forward(to_numpy(x))
    mg.use("cpu")
    layer, _ = build(name, "float32")
    with pytest.raises(TypeError, match="expected an array on 'cpu', got fakecupy.ndarray"):
        layer.forward(x)


def test_a_step_refuses_host_images(standin):
    gan, real, z = new_game("toy_mlp", mg.losses.Hinge, "alternating")
    with pytest.raises(TypeError, match="minigan.backend.asarray converts"):
        gan.train_step(to_numpy(real), z)
    with pytest.raises(TypeError, match="minigan.backend.asarray converts"):
        gan.train_step(real, to_numpy(z))
