"""CycleGAN: the gradients of a whole step by central differences, the order of its steps, and the pool of images."""
import numpy as np
import pytest
from cases import Asked

import minigan as mg
from minigan.backend import scalar, to_numpy
from minigan.cyclegan import ImagePool
from minigan.gradcheck import Report, compare
from minigan.layers import Conv2D, Dense, Flatten, InstanceNorm, LeakyReLU, Residual, Sequential, Tanh
from minigan.losses import Hinge, LeastSquares
from minigan.optimizers import SGD, Adam

NAMES = ("G_AB", "G_BA", "D_A", "D_B")


def networks(dtype="float64", patches=True, channels=(2, 2)):
    rng = mg.host_rng(3)
    w, (A, B) = {"rng": rng, "dtype": dtype}, channels

    def generator(C, F):
        return Sequential(Conv2D(C, 3, 3, **w), InstanceNorm(3, dtype=dtype), Tanh(),
                          Residual(Conv2D(3, 3, 3, **w), Tanh()), Conv2D(3, F, 3, **w), Tanh())

    def discriminator(C):
        return Sequential(Conv2D(C, 4, 4, stride=2, **w), LeakyReLU(0.2),
                          *([Conv2D(4, 1, 2, **w)] if patches else [Flatten(), Dense(16, 1, **w)]))

    made = generator(A, B), generator(B, A), discriminator(A), discriminator(B)
    for network in made:
        network.theta[...] = mg.asarray((0.6 * rng.standard_normal(network.theta.shape)).astype(dtype))
    return made


def batch(dtype="float64", channels=(2, 2)):
    rng = mg.host_rng(4)
    return tuple(mg.asarray(rng.uniform(-1, 1, (3, 4, 4, C)).astype(dtype)) for C in channels)


def cyclegan(lr=0.0, patches=True, channels=(2, 2), loss=LeastSquares(), **options):  # noqa: B008
    """Without a pool, and with steps of length 0, if not asked otherwise: the gradients can be looked at after."""
    return mg.CycleGAN(*networks(patches=patches, channels=channels), loss, [SGD(lr) for _ in range(4)],
                       **{"pool_size": 0} | options, rng=mg.host_rng(9))


def losses(model, a, b):
    """(loss_D, loss_G) by the formulas of the paper, from forward passes alone, for a model without a pool."""
    def distance(x, y):
        return abs(x - y).mean()

    def logits(D, x):
        return D.forward(x)[0].reshape(-1, 1)

    G, F, loss = (lambda x: model.G_AB.forward(x)[0]), (lambda x: model.G_BA.forward(x)[0]), model.loss
    fake_b, fake_a = G(a), F(b)
    adversarial = loss.generator(logits(model.D_B, fake_b))[0] + loss.generator(logits(model.D_A, fake_a))[0]
    cycle = distance(F(fake_b), a) + distance(G(fake_a), b)
    identity = distance(G(b), b) + distance(F(a), a) if model.identity else 0.0
    loss_D = (loss.discriminator(logits(model.D_A, a), logits(model.D_A, fake_a))[0]
              + loss.discriminator(logits(model.D_B, b), logits(model.D_B, fake_b))[0])
    return scalar(loss_D), scalar(adversarial + model.cycle * cycle + model.cycle * model.identity * identity)


def differences(model, a, b, only=NAMES):
    """A step of length 0; its gradients against central differences of the two losses."""
    model.train_step(a, b)
    thetas = {name: getattr(model, name).theta for name in only}
    analytic = {name: to_numpy(getattr(model, name).dtheta).copy() for name in only}
    report = Report("a step of CycleGAN")
    for kind, which in (("D", 0), ("G", 1)):
        chosen = {name: theta for name, theta in thetas.items() if name[0] == kind}
        compare(report, lambda which=which: losses(model, a, b)[which], chosen, analytic, mg.host_rng(5), entries=40)
    return report


VARIANTS = [{}, {"cycle": 0.7, "identity": 2.0}, {"identity": 0.0}, {"cycle": 0.0, "loss": Hinge()}, {"patches": False}]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_gradients_of_a_step(backend, options):
    """Each G works in three places, and all three are in its gradient."""
    model = cyclegan(**options)
    a, b = batch()
    expected = losses(model, a, b)
    np.testing.assert_allclose([scalar(value) for value in model.train_step(a, b)], expected, rtol=1e-12)
    report = differences(model, a, b)
    assert report.ok, report


def test_A_and_B_may_have_different_channels(backend):
    model = cyclegan(identity=0.0, channels=(1, 3))
    report = differences(model, *batch(channels=(1, 3)))
    assert report.ok, report


def lost(F, which):
    """Breaks what comes back through F in the cycle: "dx" is what goes on into G, "dW" what is F's own."""
    backward = F.backward

    def broken(dy, cache, param_grads=True, input_grad=True):
        if not input_grad:                             # the other two places, where F works on images of the data
            return backward(dy, cache, param_grads, input_grad)
        if which == "dW":
            return backward(dy, cache, False, True)
        return 0 * backward(dy, cache, True, True)
    F.backward = broken


@pytest.mark.parametrize("which, wrong", [("dx", "G_AB"), ("dW", "G_BA")])
def test_a_gradient_that_gets_lost_in_the_cycle_is_caught(which, wrong):
    """Test of the tests: in the cycle of a, which runs through G_AB and then through G_BA."""
    model = cyclegan()
    lost(model.G_BA, which)
    report = differences(model, *batch(), only=("G_AB", "G_BA"))
    assert [row.name for row in report if not row.ok] == [wrong]


def test_gradients_that_are_assigned_and_not_added_are_caught():
    model = cyclegan()
    backward = model.G_AB.backward

    def assigning(dy, cache, param_grads=True, input_grad=True):
        model.G_AB.zero_grad()
        return backward(dy, cache, param_grads, input_grad)
    model.G_AB.backward = assigning
    assert [row.name for row in differences(model, *batch(), only=("G_AB", "G_BA")) if not row.ok] == ["G_AB"]


def test_Gs_step_first_and_Ds_see_the_fakes_of_the_old_ones(backend):
    """All four gradients are those at the old networks: loss_D is of fakes that were made before the Gs moved."""
    still, moving = cyclegan(), cyclegan(lr=0.1)
    a, b = batch()
    for model in (still, moving):
        values = [scalar(value) for value in model.train_step(a, b)]
        np.testing.assert_allclose(values, losses(still, a, b), rtol=1e-12)
    for name in NAMES:
        old, new = getattr(still, name), getattr(moving, name)
        np.testing.assert_allclose(to_numpy(new.dtheta), to_numpy(old.dtheta), rtol=1e-9, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(to_numpy(new.theta), to_numpy(old.theta) - 0.1 * to_numpy(old.dtheta), rtol=1e-12)


def test_each_D_is_shown_what_its_pool_gives(backend):
    model = cyclegan(pool_size=5)
    asked = []
    for pool in (model.pool_A, model.pool_B):
        pool.exchange = lambda images, pool=pool: asked.append((pool, images)) or 0 * images
    a, b = batch()
    loss_D, _ = model.train_step(a, b)
    assert [pool for pool, _ in asked] == [model.pool_A, model.pool_B]
    np.testing.assert_array_equal(to_numpy(asked[0][1]), to_numpy(model.G_BA.forward(b)[0]))
    np.testing.assert_array_equal(to_numpy(asked[1][1]), to_numpy(model.G_AB.forward(a)[0]))
    black = sum(scalar(model.loss.discriminator(D.forward(x)[0].reshape(-1, 1), D.forward(0 * x)[0].reshape(-1, 1))[0])
                for D, x in ((model.D_A, a), (model.D_B, b)))
    assert scalar(loss_D) == pytest.approx(black)


def test_training_lowers_the_cycle_loss(backend):
    model = mg.CycleGAN(*networks(), LeastSquares(), [Adam(1e-2) for _ in range(4)], pool_size=4, rng=mg.host_rng(9))
    a, b = batch()
    first, *_, last = [scalar((model.train_step(a, b), model.parts["cycle"])[1]) for _ in range(60)]
    assert last < 0.7 * first


def test_a_float32_step_waits_for_no_number_and_makes_no_float64(standin):
    model = mg.CycleGAN(*networks("float32"), LeastSquares(), [Adam() for _ in range(4)], pool_size=2, rng=mg.host_rng(9))
    a, b = batch("float32")
    with standin.no_sync(), standin.no_float64():
        for _ in range(2):
            values = [*model.train_step(a, b), *model.parts.values()]
    assert [value.dtype for value in values] == ["float32"] * 5


def test_without_further_words_the_weights_are_those_of_the_paper(backend):
    """cycle 10, identity half of it, a pool of 50; `parts` holds the three losses without their weights."""
    model = mg.CycleGAN(*networks(), LeastSquares(), [SGD(0.0) for _ in range(4)], rng=mg.host_rng(9))
    a, b = batch()
    loss_G, parts = scalar(model.train_step(a, b)[1]), {name: scalar(value) for name, value in model.parts.items()}
    assert loss_G == pytest.approx(losses(cyclegan(cycle=10.0, identity=0.5), a, b)[1], rel=1e-12)
    assert parts["adversarial"] == pytest.approx(losses(cyclegan(cycle=0.0, identity=0.0), a, b)[1], rel=1e-12)
    assert loss_G == pytest.approx(parts["adversarial"] + 10 * parts["cycle"] + 5 * parts["identity"], rel=1e-12)
    assert model.pool_A.size == model.pool_B.size == 50


def test_no_gradient_is_computed_that_nobody_needs():
    made = [Sequential(Asked(2, width), Tanh(), Dense(width, F)) for width, F in ((3, 2), (4, 2), (5, 1), (6, 1))]
    model = mg.CycleGAN(*made, LeastSquares(), [SGD(0.1) for _ in range(4)], rng=mg.host_rng(9))
    model.train_step(*(mg.asarray(mg.host_rng(seed).standard_normal((5, 2)).astype("float32")) for seed in (0, 1)))
    of_G, of_D = [(True, False)] * 2 + [(True, True)], [(True, False)] * 2 + [(False, True)]
    assert [sorted(network[0].asked) for network in made] == [sorted(of_G)] * 2 + [sorted(of_D)] * 2


# --- the pool ---

def numbered(start, stop):
    """Images (n, 1, 1, 1) whose one pixel is their number."""
    return mg.asarray(np.arange(start, stop, dtype="float32").reshape(-1, 1, 1, 1))


def numbers(array):
    return to_numpy(array).ravel().astype(int).tolist()


def test_the_pool_fills_first_and_passes_everything_on(backend):
    pool = ImagePool(5, mg.host_rng(0))
    assert numbers(pool.exchange(numbered(0, 3))) == [0, 1, 2]
    assert numbers(pool.exchange(numbered(3, 5))) == [3, 4]
    assert numbers(pool.images) == [0, 1, 2, 3, 4]


def test_a_full_pool_exchanges_half_of_the_images_and_loses_none(backend):
    pool, shown = ImagePool(50, mg.host_rng(0)), []
    for start in range(0, 1000, 10):
        shown += numbers(pool.exchange(numbered(start, start + 10)))
    assert sorted(shown + numbers(pool.images)) == sorted([*range(50), *range(1000)])      # the first 50 were shown and kept
    new = np.mean([number == i for i, number in enumerate(shown) if i >= 50])
    assert 0.44 < new < 0.56                           # 0.5 with a standard deviation of 0.016
    ages = [i - number for i, number in enumerate(shown) if i >= 500 and i != number]
    assert 60 < np.mean(ages) < 140                    # 50 places, each exchanged every 100 images


def test_the_pool_keeps_copies_and_gives_copies(backend):
    pool = ImagePool(2, mg.host_rng(0))
    images = numbered(1, 3)
    shown = pool.exchange(images)
    images[...] = 7.0
    shown[...] = 8.0
    assert numbers(pool.images) == [1, 2]


def test_the_generator_decides(backend):
    def shown(seed):
        pool = ImagePool(3, mg.host_rng(seed))
        return [numbers(pool.exchange(numbered(i, i + 4))) for i in range(0, 40, 4)]
    assert shown(1) == shown(1) != shown(2)


def test_each_image_gets_one_coin_and_heads_one_place(backend):
    """Draw by draw, so that a run which goes on from a checkpoint shows the same images."""
    rng, pool, images, expected = mg.host_rng(4), ImagePool(3, mg.host_rng(4)), [0, 1, 2], [0, 1, 2]
    for new in range(3, 40):
        old = new
        if rng.random() < 0.5:
            place = rng.integers(3)
            old, images[place] = images[place], new
        expected.append(old)
    assert numbers(pool.exchange(numbered(0, 40))) == expected and numbers(pool.images) == images


def test_what_a_checkpoint_keeps_of_the_pools(backend):
    model, pool = cyclegan(pool_size=5), ImagePool(5, mg.host_rng(0))
    assert list(model.stateful()) == [f"optimizer_{name}" for name in NAMES] + ["pool_A", "pool_B"]
    assert model.stateful()["pool_B"] is model.pool_B and list(model.generators().values()) == [model.pool_A.rng]
    assert pool.state()["layout"] == "up to 5 images" and len(pool.state()["images"]) == 0
    pool.exchange(numbered(0, 3))
    twin = ImagePool(5, mg.host_rng(0))
    twin.set_state(pool.state())
    assert numbers(twin.state()["images"]) == [0, 1, 2] and twin.images is not pool.images
    assert numbers(twin.exchange(numbered(3, 9))) == numbers(pool.exchange(numbered(3, 9)))
    twin.set_state(ImagePool(5, mg.host_rng(0)).state())
    assert numbers(twin.exchange(numbered(7, 9))) == [7, 8] and len(twin.state()["images"]) == 2


def test_a_pool_of_size_0_changes_nothing(backend):
    assert numbers(ImagePool(0, mg.host_rng(0)).exchange(numbered(0, 9))) == [*range(9)]


# --- mistakes of the caller ---

def test_mistakes_of_the_caller():
    made = networks()
    four = [SGD(0.1) for _ in range(4)]
    for error, words, call in (
            (ValueError, "4 networks, all different", lambda: mg.CycleGAN(*made[:3], made[2], LeastSquares(), four,
                                                                          rng=mg.host_rng(0))),
            (ValueError, "4 optimizers, all different", lambda: mg.CycleGAN(*made, LeastSquares(), four[:3],
                                                                            rng=mg.host_rng(0))),
            (TypeError, "loss must be an object", lambda: mg.CycleGAN(*made, "leastsquares", four, rng=mg.host_rng(0))),
            (ValueError, "identity must be at least 0", lambda: mg.CycleGAN(*made, LeastSquares(), four, identity=-1.0,
                                                                            rng=mg.host_rng(0))),
            (TypeError, "rng must be a host generator", lambda: mg.CycleGAN(*made, LeastSquares(), four, rng=0)),
            (ValueError, "size must be a whole number", lambda: ImagePool(-1, mg.host_rng(0)))):
        with pytest.raises(error, match=words):
            call()
    mg.CycleGAN(*made, LeastSquares(), four, rng=mg.host_rng(0))       # what was refused has bound nothing
