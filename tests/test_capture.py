"""training.capture: a whole training step as one CUDA graph, on the stand-in, whose graphs repeat what was recorded with the
same memory and the same plain numbers; and on a GPU where there is one."""
import gc

import numpy as np
import pytest

import minigan as mg
from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.cli import recipe
from minigan.engine import cublas, once_per_batch, this_step
from minigan.engine.blas import blas
from minigan.engine.capture import Captured
from minigan.training import capture, checkpoint

STEPS = 20
SHAPES = {"mlp_gan": (8, 8, 1), "dcgan_28": (28, 28, 1), "dcgan_64": (64, 64, 3), "dcgan_64_stem": (64, 64, 3),
          "toy_mlp": (2,)}
OPTIONS = {                                        # name: options of recipe.build_gan, and how the step is to be looked at
    "Adam": {}, "simultaneous": {"update": "simultaneous"}, "hinge": {"loss": "hinge"}, "minimax": {"loss": "minimax"},
    "wasserstein": {"loss": "wasserstein", "weight_clip": 0.05}, "leastsquares": {"loss": "leastsquares"},
    "label smoothing": {"label_smoothing": 0.1, "loss": "nonsaturating"},
    "falling learning rate": {"lr_schedule": "linear:1:0.1:15"},
    "fading noise": {"instance_noise": "linear:0.3:0:10"},
    "wgan-gp": {"loss": "wasserstein", "penalty": "wgan-gp"}, "r1": {"penalty": "r1"},
    "r1 and r2": {"penalty": "r1+r2", "penalty_weight": 0.5},
    "regularizers": {"weight_decay": 0.1, "l1": 1e-4, "l2": 1e-3, "clip_norm": 1.0, "clip_value": 0.5},
    "weight decay, falling learning rate": {"weight_decay": 0.1, "lr_schedule": "cosine:1:0.1:15"},
    "moving average": {"ema": 0.9}, "packing": {"packing": 2}, "spectral norm": {"spectral_norm": True},
    "augmentations": {"augment": "flip,rotate,shift,brightness,cutout", "augment_real": "flip"},
    "conditional": {"conditional": True}}


def game(model="mlp_gan", **options):
    """(gan, schedule, noise): the same numbers each time."""
    options = recipe.complete({"model": model, "seed": 3} | options) | {"sample_shape": list(SHAPES[model])}
    gan, schedule = recipe.build_gan(options, classes=3 if options["conditional"] else 0)
    return gan, schedule, mg.rng([3, 1])


def everything(gan, noise):
    found = checkpoint.game_arrays(gan) | {"noise": mg.backend.rng_state(noise), "dG": gan.G.dtheta, "dD": gan.D.dtheta}
    return {name: to_numpy(value).copy() for name, value in found.items()}


def play(captured, steps=STEPS, batch=4, model="mlp_gan", **options):
    """What there is after every step: the losses and scores, and at the end all arrays."""
    gan, schedule, noise = game(model, **options)
    step, history, host = capture(gan, noise) if captured else None, [], host_rng(1)
    for t in range(steps):
        schedule(t)
        real = asarray(host.uniform(-1, 1, (batch, *SHAPES[model])).astype("float32"))
        labels = asarray(host.integers(3, size=batch)) if gan.classes else None
        losses = step(real, labels) if captured else gan.train_step(real, gan.noise(batch, noise), labels)
        history.append([float(value) for value in (*losses, *gan.scores)])
    return {"history": np.array(history)} | everything(gan, noise)


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, strict=True, err_msg=name)


@pytest.fixture(autouse=True)
def one_thread():
    with blas().limit(limits=1, user_api="blas"):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_captured_step_is_the_eager_step(standin, options):
    assert_same(play(True, **options), play(False, **options))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_no_option_waits_for_the_device_or_makes_float64(standin, options):
    with standin.no_float64():
        gan, schedule, noise = game(**options)
    real = asarray(host_rng(1).uniform(-1, 1, (4, *SHAPES["mlp_gan"])).astype("float32"))
    labels = asarray(np.arange(4) % 3) if gan.classes else None
    gan.train_step(real, gan.noise(4, noise), labels)  # the first batch is looked at
    standin.syncs.clear()
    with standin.no_sync(), standin.no_float64():
        for t in range(2):
            schedule(t)
            losses = gan.train_step(real, gan.noise(4, noise), labels)
            gan.discriminator_step(real, gan.noise(4, noise), labels)
            gan.generator_step(real, gan.noise(4, noise), labels)
    assert standin.syncs == []
    found = {**everything(gan, noise), **dict(enumerate((*losses, *gan.scores)))}
    assert {str(value.dtype) for name, value in found.items() if not str(name).endswith((".t", "rng", "noise", "layout"))} == {
        "float32"}


def test_no_regularizer_penalty_or_stabilizer_is_forgotten():
    mg.use("cpu")
    gans = [game(**options)[0] for options in OPTIONS.values()]
    used = {type(each) for gan in gans for each in (*gan.optimizer_G.regularizers, *gan.optimizer_D.regularizers)}
    used |= {type(penalty) for gan in gans for penalty in gan.penalties}
    known = {value for module in (mg.regularizers, mg.penalties) for value in vars(module).values()
             if isinstance(value, type) and value.__module__ == module.__name__}
    assert known - used == {mg.regularizers.Regularizer}
    neutral = {"penalty_weight", "n_critic", "generator_from", "init_from"}        # of the loop, or of another option
    assert set(recipe.STABILIZERS) - {name for options in OPTIONS.values() for name in options} <= neutral


@pytest.mark.slow
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("model", [model for model in SHAPES if model != "mlp_gan"])
def test_of_every_model(standin, model, update):
    steps = STEPS if model in ("toy_mlp", "dcgan_28") else 3
    found, expected = (play(captured, steps, model=model, update=update) for captured in (True, False))
    assert_same(found, expected)


def test_with_sgd_and_float64(standin):
    def play_sgd(captured):
        G, D = mg.models.toy_mlp(host_rng(0), width=8, dtype="float64")
        gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.SGD(0.1, 0.9), mg.optimizers.SGD(0.1))
        noise, real = mg.rng(1), asarray(host_rng(1).standard_normal((6, 2)))
        step = capture(gan, noise)
        for _ in range(STEPS):
            step(real) if captured else gan.train_step(real, gan.noise(6, noise))
        return everything(gan, noise)
    assert_same(play_sgd(True), play_sgd(False))


def test_on_the_cpu_it_is_the_plain_step():
    assert_same(play(True, steps=3), play(False, steps=3))


def test_the_recording_leaves_no_trace(standin):
    gan, _, noise = game(instance_noise="0.1", ema=0.9)
    real = xp.zeros((4, 8, 8, 1), "float32")
    gan.train_step(real, gan.noise(4, noise))
    captured = capture(gan, noise).__closure__
    captured, = [cell.cell_contents for cell in captured if isinstance(cell.cell_contents, Captured)]
    before = everything(gan, noise)
    captured.form, captured.inputs = [], [real, None]
    captured.record()
    after = everything(gan, noise)
    for name in before.keys() - {"dG", "dD"}:          # gradients are set to zero where they begin
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert gc.isenabled() and "matmul" not in vars(standin) and "__matmul__" not in vars(standin.ndarray)
    assert np.isfinite(before["G.theta"]).all()


def test_a_step_is_one_launch_and_two_small_ones_and_waits_for_nothing(standin):
    gan, _, noise = game()
    step, real = capture(gan, noise), xp.zeros((4, 8, 8, 1), "float32")
    step(real)
    standin.launches.clear()
    with standin.no_sync(), standin.no_float64():
        step(real)
    assert standin.launches == ["setitem", "write", "graph"]


def test_another_shape_is_recorded_anew(standin):
    gan, _, noise = game()
    step = capture(gan, noise)
    twin, _, twin_noise = game()
    for batch in (4, 6, 6, 4):
        real = xp.ones((batch, 8, 8, 1), "float32")
        step(real)
        twin.train_step(real, twin.noise(batch, twin_noise))
    assert_same(everything(gan, noise), everything(twin, twin_noise))


def test_the_noise_differs_from_launch_to_launch(standin):
    gan, _, noise = game()
    step = capture(gan, noise)
    real = xp.zeros((4, 8, 8, 1), "float32")
    states = []
    for _ in range(3):
        step(real)
        states.append(mg.backend.rng_state(noise).tobytes())
    assert len(set(states)) == 3 and gan.optimizer_G.t == gan.optimizer_D.t == 3


# --- what a graph would get wrong, and what it refuses ---

def simple(step, state=lambda: None):
    return Captured(step, state, lambda before: None)


def test_a_number_that_does_not_come_by_the_door_is_frozen(standin):
    """Which the comparison with the eager step must notice: here with an Adam that asks nobody."""
    gan, _, noise = game()
    twin, _, twin_noise = game()
    gan.optimizer_G.step = lambda: _adam_behind_the_door(gan.optimizer_G)
    step, real = capture(gan, noise), xp.ones((4, 8, 8, 1), "float32")
    for _ in range(3):
        step(real)
        twin.train_step(real, twin.noise(4, twin_noise))
    assert not np.array_equal(to_numpy(gan.G.theta), to_numpy(twin.G.theta))


def _adam_behind_the_door(adam):
    network = adam.network
    adam.update(network.theta, network.dtheta, *adam.count_step())


def test_numbers_by_the_door_follow(standin):
    x, factor = xp.zeros(3, "float32"), [1.0]

    def step(x):
        number, = this_step(lambda: (factor[0],), x.dtype)
        return x * number
    captured = simple(step)
    for value in (1.0, 0.1, 3.0):
        factor[0] = value
        np.testing.assert_array_equal(to_numpy(captured(x + 1.0)), np.float32([value] * 3))


def test_a_decision_that_changes_is_recorded_anew(standin):
    x, double = xp.ones(3, "float32"), [False]
    captured = simple(lambda x: x + x if once_per_batch(lambda: double[0]) else x * 1.0)
    for value in (False, True, True, False):
        double[0] = value
        np.testing.assert_array_equal(to_numpy(captured(x)), np.ones(3) * (1 + value))


def test_outside_of_a_capture_the_doors_are_open():
    assert this_step(lambda: (1.5, 2), "float32") == (1.5, 2) and once_per_batch(lambda: 7) == 7


@pytest.mark.parametrize("step, error", [
    (lambda x: float(x[0]), "synchronisation"), (lambda x: x[x > 0], "synchronisation"),
    (lambda x: x + asarray(np.ones(3)), "copy"), (lambda x: x[[0, 1]], "synchronisation"),
    (lambda x: xp.nonzero(x), "synchronisation"), (lambda x: mg.backend.synchronize(), "synchronize"),
    (lambda x: x.dot(x), "cuBLAS"), (lambda x: xp.tensordot(x, x, 1), "cuBLAS")])
def test_what_cannot_be_recorded_raises(standin, step, error):
    restored = []
    captured = Captured(step, lambda: "before", restored.append)
    with pytest.raises((RuntimeError, NotImplementedError), match=error):
        captured(xp.ones(3, "float32"))
    assert restored == ["before"] and standin._tape is None and gc.isenabled()
    assert mg.backend._capture is None and float(xp.ones(3).sum()) == 3        # all is as before


def test_memory_comes_from_a_pool_of_its_own(standin):
    stream = standin.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            with pytest.raises(RuntimeError, match="pool that everybody uses"):
                xp.zeros(3) + 1.0
        finally:
            stream.end_capture()
    with pytest.raises(RuntimeError, match="non-blocking"):
        standin.cuda.Stream().begin_capture()


def test_the_first_use_of_a_kernel_cannot_be_recorded(standin):
    calls = []

    def step(x):
        calls.append(1)
        return mg.losses.softplus(x.astype("float64") if len(calls) > 2 else x)
    with pytest.raises(RuntimeError, match="compiled"):
        simple(step)(xp.ones(3, "float32"))


# --- products by cuBLAS ---

@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m, k, n", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1), (1, 1, 1), (1, 4, 1), (16, 16, 16)])
def test_products_of_arrays_and_of_their_transposes(standin, m, k, n, dtype):
    rng = np.random.default_rng(0)
    multiply = cublas.Products(standin)
    for turned in range(4):
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        A = asarray(np.ascontiguousarray(a.T)).T if turned & 1 else asarray(a)
        B = asarray(np.ascontiguousarray(b.T)).T if turned & 2 else asarray(b)
        np.testing.assert_allclose(to_numpy(multiply(A, B)), a @ b, rtol=1e-4 if dtype == "float32" else 1e-12)
        np.testing.assert_array_equal(to_numpy(multiply(A, B)), to_numpy(A @ B))
        out = xp.full((m, n), 7, dtype)
        assert multiply(A, B, out=out) is out
        np.testing.assert_array_equal(to_numpy(out), to_numpy(A @ B))


def test_a_product_of_a_part_of_a_matrix(standin):
    a = asarray(np.arange(24, dtype="float32").reshape(4, 6))
    np.testing.assert_array_equal(to_numpy(cublas.Products(standin)(a[:, 1:4], a[:3])), to_numpy(a)[:, 1:4] @ to_numpy(a)[:3])


@pytest.mark.parametrize("a, b, out", [((2, 3), (2, 3), None), ((2, 3), (3, 4), (4, 2)), ((2, 3), (3, 4), "turned")])
def test_a_product_that_does_not_fit(standin, a, b, out):
    out = xp.zeros((4, 2), "float32").T if out == "turned" else out and xp.zeros(out, "float32")
    with pytest.raises(ValueError, match="matmul"):
        cublas.Products(standin)(xp.ones(a, "float32"), xp.ones(b, "float32"), out=out)


@pytest.mark.parametrize("tf32", [True, False])
def test_products_follow_the_switch(standin, monkeypatch, tf32):
    seen = []
    original = standin.cublas_library.cublasGemmEx
    monkeypatch.setattr(standin.cublas_library, "cublasGemmEx", lambda *a: seen.append(a[-2]) or original(*a))
    mg.use("cuda", tf32=tf32)
    multiply = cublas.Products(standin)
    for dtype in ("float32", "float64"):
        multiply(xp.ones((2, 2), dtype), xp.ones((2, 2), dtype))
    assert seen == [77 if tf32 else 68, 70]


def test_a_run_of_captured_steps_goes_on_where_it_stopped(standin, tmp_path):
    def run(folder, *stops):
        for i, steps in enumerate(stops):
            gan, schedule, _ = game(**OPTIONS["weight decay, falling learning rate"])
            x = host_rng(1).uniform(-1, 1, (32, *SHAPES["mlp_gan"])).astype("float32")
            going = mg.training.Run(gan, x, tmp_path / folder, batch_size=4, critic_steps=2, schedule=schedule, capture=True)
            going.resume(steps) if i else going.start()
            going.train(steps)
        return mg.checkpoint.load(tmp_path / folder / "checkpoint.npz")
    assert_same(run("stopped", 3, 6), run("straight", 6))
