"""Translation: the gradient of a whole step by central differences and by PyTorch, and who is changed by it."""
import numpy as np
import pytest
from cases import Asked

import minigan as mg
from minigan.backend import scalar, to_numpy
from minigan.gradcheck import Report, compare
from minigan.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    FillIn,
    Flatten,
    LeakyReLU,
    PixelShuffle,
    Residual,
    Sequential,
    Tanh,
    UpSample2D,
)
from minigan.losses import LeastSquares, NonSaturating, l1, l2
from minigan.metrics import psnr
from minigan.optimizers import SGD, Adam
from minigan.translation import pull_of_D

# --- fidelity ---

def images(*shape, seed=0, dtype="float64"):
    return mg.asarray(mg.host_rng(seed).uniform(-1, 1, shape).astype(dtype))


@pytest.mark.parametrize("fidelity, formula", [(l1, lambda d: np.abs(d).mean()), (l2, lambda d: (d ** 2).mean())])
def test_fidelity_and_its_gradient(backend, fidelity, formula):
    y, target = images(2, 3, 4, 2), images(2, 3, 4, 2, seed=1)
    value, dy = fidelity(y, target)
    assert scalar(value) == pytest.approx(formula(to_numpy(y) - to_numpy(target)), rel=1e-12)
    report = Report(fidelity.__name__)
    compare(report, lambda: scalar(fidelity(y, target)[0]), {"dy": y}, {"dy": to_numpy(dy)}, mg.host_rng(2))
    assert report.ok, report


def test_at_its_kink_l1_has_no_slope():
    assert not l1(np.ones((2, 3)), np.ones((2, 3)))[1].any()


@pytest.mark.parametrize("fidelity", [l1, l2])
def test_fidelity_never_broadcasts_nor_casts(fidelity):
    for target in (np.zeros((4, 1)), np.zeros((4, 3), "float32")):
        with pytest.raises(ValueError, match=f"{fidelity.__name__}: expected two arrays alike"):
            fidelity(np.zeros((4, 3)), target)
    value, dy = fidelity(np.ones((4, 3), "float32"), np.zeros((4, 3), "float32"))
    assert value.dtype == dy.dtype == "float32"


# --- networks: from (3, 3, 2) to (6, 6, 1), or of one size for a conditional D ---

def networks(conditional, dtype="float64", patches=False):
    w = {"rng": mg.host_rng(3), "dtype": dtype}
    enlarge = [] if conditional else [PixelShuffle(2), Residual(Conv2D(1, 1, 3, **w), UpSample2D(1), Tanh())]
    G = Sequential(Conv2D(2, 1 if conditional else 4, 3, **w), *enlarge, Tanh())
    D = Sequential(Conv2D(3 if conditional else 1, 4, 4, stride=2, **w), BatchNorm(4, momentum=0.8, dtype=dtype),
                   LeakyReLU(0.2), *([Conv2D(4, 1, 2, **w)] if patches else [Flatten(), Dense(36, 1, **w)]))
    rng = mg.host_rng(4)
    for network in (G, D):
        network.theta[...] = mg.asarray((0.6 * rng.standard_normal(network.theta.shape)).astype(dtype))
    return G, D


def pair(conditional, dtype="float64"):
    size = 6 if conditional else 3
    return images(3, size, size, 2, dtype=dtype), images(3, 6, 6, 1, seed=1, dtype=dtype)


def translation(conditional=False, patches=False, fidelity=l1, lr_D=0.0, **options):
    """With steps of length 0, for D if not asked otherwise: the gradients can be looked at after."""
    return mg.Translation(*networks(conditional, patches=patches), options.pop("loss", NonSaturating()), SGD(0.0), SGD(lr_D),
                          fidelity, conditional=conditional, **options)


def losses(model, source, target):
    """(loss_D, loss_G) by the formulas, from forward passes alone. Running statistics are moved, and play no role here."""
    fake = model.G.forward(source)[0]
    real, made = ((mg.backend.xp.concatenate([source, y], axis=3) if model.conditional else y) for y in (target, fake))
    a, b = (model.D.forward(seen)[0].reshape(-1, 1) for seen in (real, made))
    loss_D = model.loss.discriminator(a, b)[0]
    d = fake - target
    error = abs(d).mean() if model.fidelity is l1 else (d * d).mean()
    return scalar(loss_D), scalar(model.adversarial * model.loss.generator(b)[0] + model.weight * error)


def differences(model, source, target, analytic):
    report = Report("a step of Translation")
    if "D" in analytic:
        compare(report, lambda: losses(model, source, target)[0], {"D": model.D.theta}, analytic, mg.host_rng(5), entries=60)
    compare(report, lambda: losses(model, source, target)[1], {"G": model.G.theta}, analytic, mg.host_rng(5))
    return report


VARIANTS = [{"weight": 3.0}, {"weight": 0.0, "adversarial": 2.0}, {"weight": 2.0, "adversarial": 0.7, "fidelity": l2},
            {"conditional": True, "weight": 0.8}, {"patches": True, "weight": 0.5, "loss": LeastSquares()},
            {"conditional": True, "patches": True, "weight": 0.5, "adversarial": 0.3}]
every_variant = pytest.mark.parametrize("options", VARIANTS, ids=lambda options: ", ".join(options))


@every_variant
def test_the_gradients_of_a_step(backend, options):
    """∂loss_D/∂θ_D and ∂loss_G/∂θ_G, D's step of length 0, so that both losses are of the same networks."""
    model = translation(**options)
    source, target = pair(model.conditional)
    values = [scalar(value) for value in model.train_step(source, target)]
    np.testing.assert_allclose(values, losses(model, source, target), rtol=1e-12)
    report = differences(model, source, target, {"D": to_numpy(model.D.dtheta).copy(), "G": to_numpy(model.G.dtheta).copy()})
    assert report.ok, report


def test_G_meets_the_new_D(backend):
    model = translation(weight=0.5, lr_D=0.3)
    source, target = pair(False)
    before = to_numpy(model.D.theta).copy()
    _, loss_G = model.train_step(source, target)
    assert not np.array_equal(before, to_numpy(model.D.theta))
    assert scalar(loss_G) == pytest.approx(losses(model, source, target)[1], rel=1e-12)
    report = differences(model, source, target, {"G": to_numpy(model.G.dtheta).copy()})
    assert report.ok, report


@pytest.mark.parametrize("mistake", ["fidelity forgotten", "D forgotten", "weight forgotten", "source for fake"])
def test_a_mistake_in_the_step_is_caught(monkeypatch, mistake):
    """Test of the tests: the same check fails for a G step with one mistake."""
    model = translation(conditional=True, weight=0.5)
    if mistake == "fidelity forgotten":
        model.fidelity = lambda y, target: (l1(y, target)[0], 0 * y)
    if mistake == "weight forgotten":
        model.fidelity = lambda y, target: (l1(y, target)[0], l1(y, target)[1] / model.weight)
    if mistake == "D forgotten":
        monkeypatch.setattr("minigan.translation.pull_of_D", lambda D, loss, fake: (pull_of_D(D, loss, fake)[0], 0 * fake))
    if mistake == "source for fake":
        monkeypatch.setattr("minigan.translation.pull_of_D", lambda D, loss, seen: (
            pull_of_D(D, loss, seen)[0], pull_of_D(D, loss, seen)[1][..., ::-1]))
    source, target = pair(True)
    model.train_step(source, target)
    analytic = {"G": to_numpy(model.G.dtheta).copy()}
    model.fidelity = l1
    assert not differences(model, source, target, analytic).ok


@every_variant
def test_the_same_three_steps_in_pytorch(options):
    pytest.importorskip("torch")
    from torch_twin import LOSSES, Twin, tensor, torch, torch_optimizer
    options = {"loss": NonSaturating(), "fidelity": l1} | options
    flags = {"conditional": options.pop("conditional", False)}
    G, D = networks(flags["conditional"], patches=options.pop("patches", False))
    model = mg.Translation(G, D, options.pop("loss"), Adam(1e-2), Adam(1e-2), **options, **flags)
    twin_G, twin_D = Twin(G), Twin(D)
    step_G, step_D = (torch_optimizer(twin.parameters.values(), Adam(1e-2)) for twin in (twin_G, twin_D))
    torch_D, torch_G = LOSSES[repr(model.loss)]
    fidelity = torch.nn.functional.l1_loss if model.fidelity is l1 else torch.nn.functional.mse_loss
    for seed in range(3):
        source, target = pair(model.conditional)
        source = (1 + 0.1 * seed) * source
        ours = model.train_step(source, target)
        s, t = tensor(source), tensor(target)
        fake = twin_G(s)
        def judged(y, s=s):
            return twin_D(torch.cat([s, y], dim=3) if model.conditional else y)
        loss_D = torch_D(judged(t), judged(fake))
        twin_D.gradient(loss_D, keep_graph=True)
        step_D.step()
        states = dict(twin_D.states)
        loss_G = model.adversarial * torch_G(judged(fake)) + model.weight * fidelity(fake, t)
        twin_D.states = states
        twin_G.gradient(loss_G)
        step_G.step()
        np.testing.assert_allclose(ours, (loss_D.item(), loss_G.item()), rtol=1e-9)
    for network, twin in ((G, twin_G), (D, twin_D)):
        np.testing.assert_allclose(network.theta, twin.theta, rtol=1e-7, atol=1e-9)
        for name, value in network.states():
            np.testing.assert_allclose(value, twin.states[name], rtol=1e-9)


def test_without_further_words_the_weights_are_those_of_pix2pix(backend):
    model = mg.Translation(*networks(False), NonSaturating(), SGD(0.0), SGD(0.0))
    source, target = pair(False)
    fake = model.G.forward(source)[0]
    by_hand = 100 * abs(fake - target).mean() + NonSaturating().generator(model.D.forward(fake)[0])[0]
    assert scalar(model.train_step(source, target)[1]) == pytest.approx(scalar(by_hand), rel=1e-12)
    assert not model.conditional


def test_no_gradient_is_computed_that_nobody_needs():
    G, D = Sequential(Asked(2, 3), Tanh()), Sequential(Asked(3, 4), Tanh(), Dense(4, 1))
    model = mg.Translation(G, D, NonSaturating(), SGD(0.1), SGD(0.1))
    model.train_step(images(5, 2, dtype="float32"), images(5, 3, dtype="float32"))
    assert G[0].asked == [(True, False)] and D[0].asked == [(True, False), (True, False), (False, True)]


# --- who is changed ---

def test_without_adversarial_weight_D_is_left_alone(backend):
    model = translation(adversarial=0.0, weight=3.0, lr_D=0.5)
    source, target = pair(False)
    before = [to_numpy(value).copy() for value in (model.D.theta, *dict(model.D.states()).values())]
    loss_D, loss_G = model.train_step(source, target)
    assert scalar(loss_D) == 0 and scalar(loss_G) == pytest.approx(3 * scalar(model.parts["fidelity"]))
    for old, value in zip(before, (model.D.theta, *dict(model.D.states()).values())):
        np.testing.assert_array_equal(to_numpy(value), old)


def test_a_target_that_is_met_exactly_leaves_nothing_to_lose(backend):
    model = translation(adversarial=0.0)
    source, _ = pair(False)
    assert [scalar(value) for value in model.train_step(source, model.G.forward(source)[0])] == [0, 0]


def test_passing_D_leaves_no_trace_in_it(backend):
    _, D = networks(False)
    D.dtheta[...] = 7.0
    before = [to_numpy(value).copy() for value in (D.theta, D.dtheta, *dict(D.states()).values())]
    pull_of_D(D, NonSaturating(), images(3, 6, 6, 1))
    for old, value in zip(before, (D.theta, D.dtheta, *dict(D.states()).values())):
        np.testing.assert_array_equal(to_numpy(value), old)


def test_a_float32_step_waits_for_no_number_and_makes_no_float64(standin):
    model = mg.Translation(*networks(True, "float32", patches=True), LeastSquares(), Adam(), Adam(), conditional=True)
    source, target = pair(True, "float32")
    with standin.no_sync(), standin.no_float64():
        values = [*model.train_step(source, target), *model.parts.values()]
    assert [value.dtype for value in values] == ["float32"] * 4


# --- filling holes ---

def test_fill_in_keeps_the_known_pixels_bit_for_bit(backend):
    layer = FillIn(Conv2D(2, 1, 3, rng=mg.host_rng(0)))
    x = to_numpy(images(4, 5, 5, 2, dtype="float32")).copy()
    x[..., 1] = x[..., 1] > 0
    y = to_numpy(layer(mg.asarray(x)))
    known = x[..., 1] == 0
    np.testing.assert_array_equal(y[known], x[..., :1][known])
    np.testing.assert_array_equal(y[~known], to_numpy(layer.body(mg.asarray(x)))[~known])
    assert known.any() and not known.all()


# --- layers that only move numbers ---

def test_pixel_shuffle_by_its_formula(backend):
    x = images(2, 3, 2, 12)
    y, x = to_numpy(PixelShuffle(2)(x)), to_numpy(x)
    assert y.shape == (2, 6, 4, 3)
    for n, h, w, c in np.ndindex(*y.shape):
        assert y[n, h, w, c] == x[n, h // 2, w // 2, (h % 2 * 2 + w % 2) * 3 + c]


def test_up_sample_by_its_formula(backend):
    x = images(2, 3, 2, 2)
    y, x = to_numpy(UpSample2D(3)(x)), to_numpy(x)
    assert y.shape == (2, 9, 6, 2)
    for n, h, w, c in np.ndindex(*y.shape):
        assert y[n, h, w, c] == x[n, h // 3, w // 3, c]


# --- the measure ---

def test_psnr_by_hand(backend):
    target = images(2, 4, 4, 1)
    assert psnr(target + 0.2, target) == pytest.approx(20)              # 10 log10(4 / 0.04)
    noisy = target + mg.asarray(np.array([0.2, 0.02]).reshape(2, 1, 1, 1))
    assert psnr(noisy, target) == pytest.approx(30)                     # the mean of 20 and 40 dB
    assert psnr(target, target) == float("inf")
    assert psnr(target + 0.1, target, peak=1.0) == pytest.approx(20)


def test_psnr_never_broadcasts():
    with pytest.raises(ValueError, match="psnr: expected two batches"):
        psnr(np.zeros((4, 2, 2, 3)), np.zeros((4, 2, 2, 1)))


# --- mistakes of the caller ---

def test_mistakes_of_the_caller(backend):
    G, D = networks(False)
    shared = SGD(0.1)
    for error, words, call in (
            (ValueError, "all different", lambda: mg.Translation(G, G, LeastSquares(), SGD(0.1), SGD(0.1))),
            (ValueError, "2 optimizers, all different", lambda: mg.Translation(G, D, LeastSquares(), shared, shared)),
            (TypeError, "loss must be an object", lambda: mg.Translation(G, D, LeastSquares, SGD(0.1), SGD(0.1))),
            (ValueError, "weight must be at least 0", lambda: mg.Translation(G, D, LeastSquares(), SGD(0.1), SGD(0.1),
                                                                             weight=-1)),
            (ValueError, "multiple of 9 channels", lambda: PixelShuffle(3)(images(1, 2, 2, 12))),
            (ValueError, "Residual: its layers must keep the shape", lambda: Residual(UpSample2D(2))(images(1, 2, 2, 1))),
            (ValueError, "FillIn: its layers must paint (1, 2, 2, 2)", lambda: FillIn(UpSample2D(1))(images(1, 2, 2, 3)))):
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value)
    model = mg.Translation(G, D, LeastSquares(), SGD(0.1), SGD(0.1), conditional=True)
    with pytest.raises(ValueError, match=r"source and image of one size, .*\(3, 3, 3, 2\) and \(3, 6, 6, 1\)"):
        model.train_step(*pair(False))
    with pytest.raises(ValueError, match="l1: expected two arrays alike"):
        model.train_step(pair(False)[0], images(3, 6, 6, 3))
