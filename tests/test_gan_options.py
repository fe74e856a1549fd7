"""What a GAN can be told beside its two networks: labels, layers in front of D, a penalty, an average of G, single steps."""
import numpy as np
import pytest

import minigan as mg
from minigan import penalties
from minigan.backend import asarray, rng_state, scalar, set_rng_state, to_numpy, xp
from minigan.gradcheck import Report, compare
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, LeakyReLU, Pack, Reshape, Sequential, Tanh
from minigan.losses import LeastSquares, NonSaturating, Wasserstein
from minigan.optimizers import SGD, Adam

CLASSES, LATENT, SHAPE = 3, 4, (4, 4, 2)


def make_gan(classes=CLASSES, packing=1, dtype="float64", optimizer=lambda: SGD(0.0), loss=None, **options):
    w = {"rng": mg.host_rng(3), "dtype": dtype}
    G = Sequential(Dense(LATENT + classes, 32, **w), BatchNorm(32, dtype=dtype), Tanh(), Reshape(*SHAPE))
    D = Sequential(Pack(packing), Conv2D(packing * (2 + classes), 4, 3, stride=2, **w), LeakyReLU(0.2), Conv2D(4, 3, 2, **w),
                   Tanh(), Flatten(), Dense(12, 1, **w))
    return mg.GAN(G, D, loss or NonSaturating(), optimizer(), optimizer(), classes=classes, **options)


def batch(n=6, dtype="float64", seed=0):
    rng = mg.host_rng(seed)
    return (asarray(rng.uniform(-1, 1, (n, *SHAPE)).astype(dtype)), asarray(rng.standard_normal((n, LATENT)).astype(dtype)),
            asarray(rng.integers(CLASSES, size=n)))


OPTIONS = {
    "labels": lambda: {},
    "labels, WGAN-GP": lambda: {"loss": Wasserstein(), "penalty": penalties.WGANGP(mg.rng(5))},
    "labels, R1, packing": lambda: {"penalty": penalties.R1(2.0), "packing": 2},
    "no labels, dropout before D, WGAN-GP, packing": lambda: {
        "classes": 0, "packing": 3, "preprocess_D": Sequential(Dropout(0.4, mg.rng(6))),
        "penalty": penalties.WGANGP(mg.rng(5))},
    "all": lambda: {"loss": LeastSquares(0.9), "packing": 2, "preprocess_D": Sequential(Dropout(0.4, mg.rng(6))),
                    "augment": Sequential(Dropout(0.1, mg.rng(7))), "penalty": penalties.WGANGP(mg.rng(5)), "average": 0.9},
}


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("name", OPTIONS)
def test_both_gradients_of_a_step_are_those_of_the_losses(backend, name, update):
    """With a learning rate of 0 train_step is a function of theta, and may be asked again and again."""
    gan = make_gan(update=update, **OPTIONS[name]())
    data = batch()
    data = data if gan.classes else data[:2]
    generators = [generator for network in gan.networks().values() for _, generator in network.generators()]
    generators += gan.generators().values()
    states = [rng_state(generator) for generator in generators]
    running = [(value, value.copy()) for _, value in gan.G.states()]

    def losses():
        for generator, state in zip(generators, states):
            set_rng_state(generator, state)
        for value, before in running:
            value[...] = before
        return gan.train_step(*data)

    losses()
    analytic = {"D": to_numpy(gan.D.dtheta).copy(), "G": to_numpy(gan.G.dtheta).copy()}
    report = Report(name)
    for i, network in enumerate((gan.D, gan.G)):
        compare(report, lambda: scalar(losses()[i]), {"DG"[i]: network.theta}, analytic, mg.host_rng(0), entries=60)
    assert report.ok, report


def test_the_label_is_one_constant_map_a_class(backend):
    """keras.io once painted the class into rows of the image."""
    gan = make_gan()
    x, z, labels = batch()
    seen = to_numpy(gan.with_labels(x, labels))
    assert seen.shape == (6, 4, 4, 5)
    np.testing.assert_array_equal(seen[..., :2], to_numpy(x))
    for image, label in zip(seen[..., 2:], to_numpy(labels)):
        np.testing.assert_array_equal(image, np.broadcast_to(np.eye(CLASSES)[label], (4, 4, CLASSES)))
    np.testing.assert_array_equal(to_numpy(gan.with_labels(z, labels))[:, LATENT:], np.eye(CLASSES)[to_numpy(labels)])


WRONG_LABELS = [None, [0, 1, 2, 0, 1, 2], np.zeros(5, int), np.zeros((6, 1), int), np.eye(3)[[0, 1, 2, 0, 1, 2]], np.zeros(6),
                np.zeros(6, bool), np.arange(6) - 1, np.arange(6)]


@pytest.mark.parametrize("step", ["train_step", "discriminator_step", "generator_step"])
def test_wrong_labels_are_refused_before_anything_changes(step):
    gan = make_gan(optimizer=Adam)
    before = gan.G.theta.tobytes(), gan.D.theta.tobytes()
    for labels in WRONG_LABELS:
        with pytest.raises(ValueError, match=r"GAN: labels must be .* whole numbers from 0 to 2, one a sample, \(6,\), got"):
            getattr(gan, step)(*batch()[:2], labels)
    with pytest.raises(ValueError, match="got labels, but there are no classes"):
        getattr(make_gan(classes=0), step)(*batch())
    assert before == (gan.G.theta.tobytes(), gan.D.theta.tobytes())


def test_samples_of_wrong_labels_are_refused(backend):
    gan = make_gan()
    for labels in ([0, 3], [-1, 0], [0.0, 1.0], [0], 1):
        with pytest.raises(ValueError, match=r"GAN.sample: labels must be .* from 0 to 2, one a sample, \(2,\), got"):
            gan.sample(2, 0, labels)
    for labels in ([2, 0], np.array([2, 0]), asarray(np.array([2, 0]))):
        np.testing.assert_array_equal(to_numpy(gan.sample(2, 0, labels)), to_numpy(gan.G(gan.with_labels(
            gan.noise(2, mg.rng(0)), asarray(np.array([2, 0]))))))
    with pytest.raises(ValueError, match="got labels, but there are no classes"):
        make_gan(classes=0).sample(2, 0, [0, 1])


def test_on_a_gpu_a_label_that_is_no_class_is_not_silent(standin):
    """Its value cannot be seen without waiting for the device: so the losses say it."""
    gan = make_gan(dtype="float32")
    real, z, labels = batch(dtype="float32")
    gan.train_step(real, z, labels)                    # the first labels are looked at
    labels[3] = 3
    with standin.no_sync(), np.errstate(invalid="ignore"):
        losses = gan.train_step(real, z, labels)
    assert all(np.isnan(scalar(loss)) for loss in losses)
    with pytest.raises(TypeError, match="GAN: labels must be an array on 'cuda:0', got numpy.ndarray"):
        gan.train_step(real, z, np.zeros(6, int))


def test_without_options_nothing_is_drawn_or_changed():
    """The options off give the bytes of a GAN that never heard of them."""
    def theta(**options):
        gan = make_gan(classes=0, dtype="float32", optimizer=Adam, **options)
        for _ in range(3):
            gan.train_step(*batch(dtype="float32")[:2])
        return gan.G.theta.tobytes() + gan.D.theta.tobytes()

    assert theta() == theta(preprocess_D=Sequential(), augment=None, penalty=None, average=0.0) == theta(average=0.5)


def test_preprocess_D_may_be_a_layer_by_itself():
    def dtheta(layer):
        gan = make_gan(classes=0, preprocess_D=layer)
        gan.train_step(*batch()[:2])
        return gan.D.dtheta.tobytes()
    assert dtheta(Dropout(0.4, mg.rng(6))) == dtheta(Sequential(Dropout(0.4, mg.rng(6)))) != dtheta(None)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_preprocess_D_is_a_layer_in_front_of_D_and_augment_one_in_front_of_the_real_samples(backend, update):
    """Both a tanh here, so that the same step can be made without them."""
    def after_a_step(real, in_D=False, **options):
        w = {"rng": mg.host_rng(3), "dtype": "float64"}
        G = Sequential(Dense(4, 3, **w), Tanh(), Dense(3, 2, **w))
        D = Sequential(*[Tanh()] * in_D, Dense(2, 5, **w), Tanh(), Dense(5, 1, **w))
        gan = mg.GAN(G, D, NonSaturating(), SGD(0.1), SGD(0.1), update, **options)
        losses = gan.train_step(real, asarray(mg.host_rng(1).standard_normal((6, 4))))
        return [scalar(loss) for loss in losses], to_numpy(G.theta), to_numpy(D.theta)

    real = asarray(mg.host_rng(0).standard_normal((6, 2)))
    for found, expected in ((after_a_step(real, preprocess_D=Tanh()), after_a_step(real, in_D=True)),
                            (after_a_step(real, augment=Tanh()), after_a_step(xp.tanh(real)))):
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize("option", ["preprocess_D", "augment"])
def test_layers_before_D_that_nobody_would_train_is_refused_and_the_optimizers_stay_free(option):
    G, D = mg.models.toy_mlp(mg.host_rng(0))
    adams = Adam(), Adam()
    with pytest.raises(ValueError, match="(preprocess_D|augment) has parameters"):
        mg.GAN(G, D, mg.losses.Hinge(), *adams, **{option: Dense(2, 2)})
    mg.GAN(G, D, mg.losses.Hinge(), *adams)


def test_the_average_of_G(backend):
    gan = make_gan(classes=0, optimizer=lambda: SGD(0.5), average=0.75)
    expected = to_numpy(gan.G.theta).copy()
    for seed in range(3):
        gan.train_step(*batch(seed=seed)[:2])
        expected = 0.75 * expected + 0.25 * to_numpy(gan.G.theta)
    np.testing.assert_allclose(to_numpy(gan.G_average.theta), expected, rtol=1e-12)
    for (_, value), (_, newest) in zip(gan.G_average.states(), gan.G.states()):
        np.testing.assert_array_equal(to_numpy(value), to_numpy(newest))
    z = gan.noise(5, mg.rng(1))
    np.testing.assert_array_equal(to_numpy(gan.sample(5, 1)), to_numpy(gan.G_average(z)))
    assert (to_numpy(gan.sample(5, 1)) != to_numpy(gan.G(z))).any()


@pytest.mark.parametrize("step, moves", [("discriminator_step", "D"), ("generator_step", "G")])
def test_a_step_of_one_network_leaves_the_other_alone(backend, step, moves):
    gan = make_gan(optimizer=Adam)
    before = {name: to_numpy(network.theta).copy() for name, network in (("G", gan.G), ("D", gan.D))}
    getattr(gan, step)(*batch())
    for name, theta in before.items():
        assert (to_numpy(getattr(gan, name).theta) != theta).any() == (name == moves)


def test_the_values_of_the_single_steps(backend):
    """Both losses are those of the networks before the step; D's scores are in `scores`."""
    gan, loss = make_gan(optimizer=Adam, penalty=penalties.R1(2.0)), NonSaturating()
    real, z, labels = batch()
    for step in ("discriminator_step", "generator_step"):
        copies = make_gan(optimizer=Adam)
        for copy, network in ((copies.G, gan.G), (copies.D, gan.D)):
            copy.theta[...] = network.theta
        seen = copies.with_labels(real, labels)
        a, b = copies.D.forward(seen)[0], copies.D.forward(
            copies.with_labels(copies.G.forward(copies.with_labels(z, labels))[0], labels))[0]
        loss_D, loss_G = loss.discriminator(a, b)[0], loss.generator(b)[0]
        values = getattr(gan, step)(real, z, labels)
        if step == "discriminator_step":
            values, loss_D = [values], loss_D + penalties.r1(copies.D, seen, 2.0, CLASSES)
        np.testing.assert_allclose([scalar(value) for value in values],
                                   [scalar(value) for value in (loss_D, loss_G)][:len(values)], rtol=1e-10)
        np.testing.assert_allclose([scalar(score) for score in gan.scores],
                                   [scalar(loss.score(logits).mean()) for logits in (a, b)], rtol=1e-10)


def test_what_a_checkpoint_keeps_of_a_GAN():
    rng = mg.rng(5)
    gan = make_gan(preprocess_D=Dropout(0.4, mg.rng(6)), penalty=penalties.WGANGP(rng), average=0.9)
    assert list(gan.networks()) == ["G", "D", "preprocess_D", "G_average"] and gan.generators() == {"penalty.rng": rng}
    assert gan.stateful() == {"optimizer_G": gan.optimizer_G, "optimizer_D": gan.optimizer_D}
    for penalty in (None, penalties.R1()):
        gan = make_gan(penalty=penalty)
        assert list(gan.networks()) == ["G", "D"] and gan.generators() == {}


def test_labels_go_behind_channels_and_may_be_unsigned():
    x, z, labels = batch()
    with pytest.raises(ValueError, match="to put labels behind, got"):
        make_gan().with_labels(z[:, 0], labels)
    np.testing.assert_array_equal(make_gan().with_labels(x, labels.astype("uint8")), make_gan().with_labels(x, labels))


def test_a_step_of_D_and_one_of_G_make_a_training_step():
    """In the alternating order, without dropout and BatchNorm in D, the two halves are the whole."""
    whole, halves = make_gan(optimizer=Adam), make_gan(optimizer=Adam)
    whole.train_step(*batch())
    halves.discriminator_step(*batch())
    halves.generator_step(*batch())
    np.testing.assert_array_equal(whole.D.theta, halves.D.theta)
    np.testing.assert_array_equal(whole.G.theta, halves.G.theta)


def test_a_conditional_GAN_samples_all_classes_in_turn(backend):
    gan = make_gan()
    z = gan.noise(7, mg.rng(2))
    in_turn = gan.G(gan.with_labels(z, xp.arange(7) % CLASSES))
    np.testing.assert_array_equal(to_numpy(gan.sample(7, 2)), to_numpy(in_turn))


@pytest.mark.parametrize("average", [-0.1, 1.0])
def test_a_weight_of_the_average_is_checked(average):
    with pytest.raises(ValueError, match="average"):
        make_gan(average=average)


def test_a_wgan_gp_step_costs_at_most_two_and_a_half_plain_ones():
    """In products of matrices: forward 1, dW 1, dx 1 (none for the first layer). Counted, since times drift."""
    counted = []

    class Counting(Dense):
        def forward(self, x, train=True):
            counted.append(1)
            return super().forward(x, train)

        def backward(self, dy, cache, param_grads=True, input_grad=True):
            counted.append(param_grads + input_grad)
            return super().backward(dy, cache, param_grads, input_grad)

        def double_backward(self, v, dy, cache):
            counted.append(2)
            return super().double_backward(v, dy, cache)

    def products(penalty):
        D = Sequential(*[layer for _ in range(4) for layer in (Counting(8, 8), LeakyReLU())], Dense(8, 1))
        gan = mg.GAN(Sequential(Dense(2, 8)), D, Wasserstein(), Adam(), Adam(), penalty=penalty)
        counted.clear()
        gan.discriminator_step(np.zeros((4, 8), "float32"), np.zeros((4, 2), "float32"))
        return sum(counted)

    assert products(penalties.WGANGP(mg.rng(0))) <= 2.5 * products(None)
