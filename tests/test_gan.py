"""The training step: against the formulas of both orders, against central differences, and against known mistakes."""
import numpy as np
import pytest
from cases import Asked

import minigan as mg
from minigan.backend import scalar, to_numpy
from minigan.gradcheck import Report, compare
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Dropout, LeakyReLU, Reshape, Sequential, Tanh
from minigan.losses import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein
from minigan.optimizers import SGD, Adam

ALL_LOSSES = [Minimax(), NonSaturating(), LeastSquares(), Wasserstein(), Hinge()]
every_loss = pytest.mark.parametrize("loss", ALL_LOSSES, ids=repr)
both_orders = pytest.mark.parametrize("update", ["alternating", "simultaneous"])


# --- small networks of every kind of layer, and their batches ---

def dense_networks(dtype="float64", dropout=0.0):
    """Points in the plane, with BatchNorm in both networks and, if asked for, Dropout in D."""
    w, n = {"rng": mg.host_rng(3), "dtype": dtype}, {"momentum": 0.8, "dtype": dtype}
    G = Sequential(Dense(3, 8, **w), BatchNorm(8, **n), Tanh(), Dense(8, 2, **w))
    D = Sequential(Dense(2, 8, **w), BatchNorm(8, **n), LeakyReLU(0.2), Dropout(dropout, mg.rng(5)), Dense(8, 1, **w))
    return G, D


def image_networks(dtype="float64"):
    """Images (6, 6, 2), in the manner of DCGAN."""
    w, n = {"rng": mg.host_rng(3), "dtype": dtype}, {"dtype": dtype}
    G = Sequential(Dense(3, 36, bias=False, **w), BatchNorm(36, **n), LeakyReLU(0.2), Reshape(3, 3, 4),
                   ConvTranspose2D(4, 2, 5, stride=2, **w), Tanh())
    D = Sequential(Conv2D(2, 3, 5, stride=2, **w), LeakyReLU(0.2), Conv2D(3, 4, 4, stride=2, **w), LeakyReLU(0.3),
                   mg.layers.Flatten(), Dense(16, 1, **w))
    return G, D


def batch(shape=(5, 2), dtype="float64", seed=0):
    """(real, z)"""
    rng = mg.host_rng(seed)
    return (mg.asarray(rng.uniform(-1, 1, shape).astype(dtype)),
            mg.asarray(rng.standard_normal((shape[0], 3)).astype(dtype)))


NETWORKS = {"dense": (dense_networks, (5, 2)), "images": (image_networks, (4, 6, 6, 2))}
both_networks = pytest.mark.parametrize("networks, shape", NETWORKS.values(), ids=NETWORKS)


# --- the formulas of a step ---

def gradient_D(G, D, loss, real, z):
    """loss_D and its gradient with respect to theta_D."""
    fake = G.forward(z)[0]
    logits_real, cache_real = D.forward(real)
    logits_fake, cache_fake = D.forward(fake)
    value, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
    D.zero_grad()
    D.backward(dlogits_real, cache_real)
    D.backward(dlogits_fake, cache_fake)
    return scalar(value), to_numpy(D.dtheta).copy()


def gradient_G(G, D, loss, z):
    """loss_G and its gradient with respect to theta_G, through D."""
    fake, cache_G = G.forward(z)
    logits, cache_D = D.forward(fake)
    value, dlogits = loss.generator(logits)
    G.zero_grad()
    G.backward(D.backward(dlogits, cache_D), cache_G)
    return scalar(value), to_numpy(G.dtheta).copy()


def descend(network, step):
    network.theta[...] = mg.asarray(to_numpy(network.theta) - step)


def plain_steps(G, D, loss, update, batches, rule):
    """The losses of all steps, by the formulas; rule(network name, t, gradient) -> what to take off theta."""
    losses = []
    for t, (real, z) in enumerate(batches, start=1):
        loss_D, dtheta_D = gradient_D(G, D, loss, real, z)
        if update == "alternating":
            descend(D, rule("D", t, dtheta_D))
        loss_G, dtheta_G = gradient_G(G, D, loss, z)
        if update == "simultaneous":
            descend(D, rule("D", t, dtheta_D))
        descend(G, rule("G", t, dtheta_G))
        losses.append((loss_D, loss_G))
    return losses


def sgd_rule(name, t, gradient):
    return 0.1 * gradient


class AdamRule:
    def __init__(self):
        self.past = {"G": [], "D": []}

    def __call__(self, name, t, gradient):
        """m and v as what their recursions stand for: weighted sums over all gradients (arXiv:1412.6980, eq. 1)."""
        past = self.past[name]
        past.append(gradient)
        m = sum(0.5 * 0.5 ** (t - i) * g for i, g in enumerate(past, start=1)) / (1 - 0.5 ** t)
        v = sum(0.1 * 0.9 ** (t - i) * g ** 2 for i, g in enumerate(past, start=1)) / (1 - 0.9 ** t)
        return 0.01 * m / (np.sqrt(v) + 1e-4)


OPTIMIZERS = {"SGD": (lambda: SGD(0.1), lambda: sgd_rule), "Adam": (lambda: Adam(0.01, 0.5, 0.9, eps=1e-4), AdamRule)}


@every_loss
@both_orders
@both_networks
@pytest.mark.parametrize("optimizer, rule", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_three_steps_equal_the_formulas(backend, networks, shape, loss, update, optimizer, rule):
    gan = mg.GAN(*networks(), loss, optimizer(), optimizer(), update)
    G, D = networks()
    batches = [batch(shape, seed=seed) for seed in range(3)]
    expected = plain_steps(G, D, loss, update, batches, rule())
    losses = [[scalar(value) for value in gan.train_step(real, z)] for real, z in batches]
    np.testing.assert_allclose(losses, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(to_numpy(gan.D.theta), to_numpy(D.theta), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(to_numpy(gan.G.theta), to_numpy(G.theta), rtol=1e-9, atol=1e-11)


# --- who moves in which step ---

class Spy(SGD):
    """SGD that takes a picture of both networks before and after each of its steps."""

    def __init__(self, name, album):
        super().__init__(0.1)
        self.name, self.album = name, album

    def step(self):
        self.album.append((f"before {self.name}", self.picture()))
        super().step()
        self.album.append((f"after {self.name}", self.picture()))


def snapshot(network):
    """theta and the running statistics, as bytes."""
    return [to_numpy(value).tobytes() for _, value in [("theta", network.theta), *network.states()]]


@both_orders
def test_each_step_moves_its_own_network_only(backend, update):
    album = []
    gan = mg.GAN(*dense_networks(), NonSaturating(), Spy("G", album), Spy("D", album), update)
    gan.optimizer_G.picture = gan.optimizer_D.picture = lambda: (snapshot(gan.G), snapshot(gan.D))
    gan.train_step(*batch())
    album.append(("end", (snapshot(gan.G), snapshot(gan.D))))
    assert [title for title, _ in album] == ["before D", "after D", "before G", "after G", "end"]
    (G0, D0), (G1, D1), (G2, D2), (G3, D3), (G4, D4) = [picture for _, picture in album]
    assert G0 == G1 == G2 != G3 == G4, "G moves in the G step and at no other time"
    assert D0 != D1 == D2 == D3 == D4, "D, its running statistics included, stays as the D step left it, bit for bit"


@both_orders
def test_running_statistics_see_every_batch_once(backend, update):
    """D's: the real batch, then the fakes; G's: the noise. The G step's second look leaves no trace."""
    gan = mg.GAN(*dense_networks(), NonSaturating(), SGD(0.1), SGD(0.1), update)
    G, D = dense_networks()
    real, z = batch()
    gan.train_step(real, z)
    D.forward(real)
    D.forward(G.forward(z)[0])
    for network, expected in ((gan.G, G), (gan.D, D)):
        for (name, value), (_, wanted) in zip(network.states(), expected.states()):
            np.testing.assert_array_equal(to_numpy(value), to_numpy(wanted), err_msg=name)


@both_orders
def test_the_G_step_adds_nothing_to_the_gradient_of_D(update):
    gan = mg.GAN(*dense_networks(), NonSaturating(), SGD(0.0), SGD(0.0), update)
    real, z = batch()
    gan.train_step(real, z)
    np.testing.assert_array_equal(gan.D.dtheta, gradient_D(*dense_networks(), NonSaturating(), real, z)[1])


def test_a_step_is_a_function_of_its_arguments(backend):
    """No trace of an earlier batch in the gradients of the next: with lr 0 the second step repeats the first."""
    gan = mg.GAN(*dense_networks(), NonSaturating(), SGD(0.0), SGD(0.0))
    gan.train_step(*batch(seed=1))
    first = [to_numpy(network.dtheta).copy() for network in (gan.G, gan.D)]
    gan.train_step(*batch(seed=2))
    gan.train_step(*batch(seed=1))
    for network, expected in zip((gan.G, gan.D), first):
        np.testing.assert_array_equal(to_numpy(network.dtheta), expected)


@both_orders
def test_the_batch_is_left_unchanged(backend, update):
    gan = mg.GAN(*dense_networks(), NonSaturating(), SGD(0.1), SGD(0.1), update)
    (real, z), (real_before, z_before) = batch(), batch()
    gan.train_step(real, z)
    np.testing.assert_array_equal(to_numpy(real), to_numpy(real_before))
    np.testing.assert_array_equal(to_numpy(z), to_numpy(z_before))


# --- the gradients of the whole chain ---

def check_gradients(gan, real, z, entries=40):
    """Compare what train_step, with optimizers of lr 0, leaves in both dtheta with differences of the losses."""
    G, D, loss = gan.G, gan.D, gan.loss

    def loss_D():
        return scalar(loss.discriminator(D.forward(real)[0], D.forward(G.forward(z)[0])[0])[0])

    def loss_G():
        return scalar(loss.generator(D.forward(G.forward(z)[0])[0])[0])

    gan.train_step(real, z)
    report = Report(f"{gan.update} step with {loss}")
    for name, network, f in (("dloss_D/dtheta_D", D, loss_D), ("dloss_G/dtheta_G", G, loss_G)):
        dtheta = to_numpy(network.dtheta).copy()
        compare(report, f, {name: network.theta}, {name: dtheta}, mg.host_rng(0), entries=entries)
    return report


@every_loss
@both_orders
@both_networks
def test_gradients_of_the_whole_step(backend, networks, shape, loss, update):
    gan = mg.GAN(*networks(), loss, SGD(0.0), SGD(0.0), update)
    report = check_gradients(gan, *batch(shape))
    assert report.ok, report


class Forgetful(Dense):
    """The mistake of many hand-written GANs: backward takes the input of the last forward, not that of its own."""

    def forward(self, x, train=True):
        self.x = x
        return super().forward(x, train)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        return super().backward(dy, self.x, param_grads, input_grad)


def test_a_discriminator_that_remembers_one_forward_pass_only_is_caught():
    G, _ = dense_networks()
    w = {"rng": mg.host_rng(3), "dtype": "float64"}
    right = Sequential(Dense(2, 8, **w), Tanh(), Dense(8, 1, **w))
    wrong = Sequential(Forgetful(2, 8, **w), Tanh(), Forgetful(8, 1, **w))
    reports = [check_gradients(mg.GAN(G, D, NonSaturating(), SGD(0.0), SGD(0.0)), *batch()) for D in (right, wrong)]
    assert [report.ok for report in reports] == [True, False]


@every_loss
@both_networks
def test_duplicating_the_batch_leaves_the_gradients_unchanged(networks, shape, loss):
    """Mean, not sum: the size of a step does not depend on the size of the batch."""
    real, z = batch(shape)
    dthetas = []
    for r, n in ((real, z), (np.concatenate([real, real]), np.concatenate([z, z]))):
        gan = mg.GAN(*networks(), loss, SGD(0.0), SGD(0.0))
        gan.train_step(r, n)
        dthetas.append(np.concatenate([gan.G.dtheta, gan.D.dtheta]))
    np.testing.assert_allclose(dthetas[1], dthetas[0], rtol=1e-9, atol=1e-13)


def test_unequal_numbers_of_real_and_fake():
    gan = mg.GAN(*dense_networks(), NonSaturating(), SGD(0.0), SGD(0.0))
    real, z = batch()
    report = check_gradients(gan, real[:3], z)
    assert report.ok, report


# --- what else a GAN does ---

def test_scores_are_Ds_opinion_before_the_step(backend):
    G, D = dense_networks()
    real, z = batch()
    logits_real, logits_fake = (to_numpy(D.forward(x)[0]) for x in (real, G.forward(z)[0]))
    for loss, meaning in ((NonSaturating(), lambda x: 1 / (1 + np.exp(-x))), (Wasserstein(), lambda x: x)):
        gan = mg.GAN(*dense_networks(), loss, SGD(0.1), SGD(0.1))
        gan.train_step(real, z)
        np.testing.assert_allclose([scalar(score) for score in gan.scores],
                                   [meaning(logits_real).mean(), meaning(logits_fake).mean()], rtol=1e-12)


def trained_gan(dtype="float64"):
    gan = mg.GAN(*dense_networks(dtype), NonSaturating(), Adam(), Adam())
    gan.train_step(*batch(dtype=dtype))
    return gan


def test_sample_is_deterministic_and_leaves_the_gan_unchanged(backend):
    gan = trained_gan()
    before = snapshot(gan.G), snapshot(gan.D)
    first, again, other = (to_numpy(gan.sample(10, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (snapshot(gan.G), snapshot(gan.D)) == before


def test_sample_is_G_in_evaluation_mode_of_the_noise_of_the_seed(backend):
    gan = trained_gan()
    z = gan.noise(10, mg.rng(1))
    np.testing.assert_allclose(to_numpy(gan.sample(10, 1)), to_numpy(gan.G.forward(z, train=False)[0]), rtol=1e-12)
    assert not np.allclose(to_numpy(gan.sample(10, 1)), to_numpy(gan.G.forward(z, train=True)[0]))


def test_samples_are_made_256_at_a_time():
    gan, sizes = trained_gan("float32"), []
    forward = gan.G.forward
    gan.G.forward = lambda x, train=True: (sizes.append(len(x)), forward(x, train))[1]
    gan.sample(600, seed=4)
    assert sizes == [256, 256, 88]


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None])
def test_a_number_of_samples_is_a_whole_one_of_at_least_1(n):
    with pytest.raises(ValueError, match=r"GAN.sample: n must be a whole number of at least 1, got"):
        trained_gan().sample(n, seed=0)
    assert len(trained_gan().sample(np.int64(3), seed=0)) == 3


@pytest.mark.parametrize("n", [1, 255, 256, 257, 600])
def test_sample_of_any_size(backend, n):
    """Larger than one portion, too: the same as G of all noise at once."""
    gan = trained_gan("float32")
    samples = gan.sample(n, seed=4)
    assert (samples.shape, samples.dtype) == ((n, 2), "float32")
    np.testing.assert_allclose(to_numpy(samples), to_numpy(gan.G(gan.noise(n, mg.rng(4)))), rtol=1e-4, atol=1e-6)


def test_two_consecutive_z_differ_and_the_seed_brings_them_back(backend):
    gan = trained_gan("float32")
    rng, again = mg.rng(0), mg.rng(0)
    z = [to_numpy(gan.noise(4, rng)) for _ in range(2)]
    assert (z[0].shape, z[0].dtype) == ((4, 3), "float32")
    assert not np.array_equal(*z)
    np.testing.assert_array_equal(z, [to_numpy(gan.noise(4, again)) for _ in range(2)])


def test_noise_is_standard_normal(backend):
    z = to_numpy(trained_gan().noise(20000, mg.rng(0)))
    assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02


def test_dropout_in_D_is_the_only_other_source_of_chance(backend):
    """Two GANs of the same seed stay equal, a fresh mask is drawn for each of D's passes."""
    gans = [mg.GAN(*dense_networks(dropout=0.5), NonSaturating(), Adam(), Adam()) for _ in range(2)]
    for gan in gans:
        for seed in range(3):
            gan.train_step(*batch(seed=seed))
    assert snapshot(gans[0].D) == snapshot(gans[1].D) and snapshot(gans[0].G) == snapshot(gans[1].G)


@both_orders
@both_networks
def test_a_float32_step_waits_for_no_number_and_makes_no_float64(standin, networks, shape, update):
    gan = mg.GAN(*networks("float32"), NonSaturating(), Adam(), Adam(), update)
    real, z = batch(shape, "float32")
    gan.train_step(real, z)                            # the first batch is looked at
    with standin.no_sync(), standin.no_float64():
        values = gan.train_step(real, z) + gan.scores
    assert [value.dtype for value in values] == ["float32"] * 4


@pytest.mark.parametrize("update", ["Alternating", "", None, "both"])
def test_an_unknown_order_is_refused(update):
    with pytest.raises(ValueError, match='"alternating" or "simultaneous"'):
        mg.GAN(*dense_networks(), NonSaturating(), SGD(0.1), SGD(0.1), update)


def test_latent_dim_is_found_or_asked_for():
    G, D = dense_networks()
    assert mg.GAN(G, D, NonSaturating(), SGD(0.1), SGD(0.1)).latent_dim == 3
    G, D = Sequential(Tanh(), Dense(4, 2)), Sequential(Dense(2, 1))
    with pytest.raises(ValueError, match="pass latent_dim"):
        mg.GAN(G, D, NonSaturating(), SGD(0.1), SGD(0.1))
    assert mg.GAN(G, D, NonSaturating(), SGD(0.1), SGD(0.1), latent_dim=4).sample(5, 0).shape == (5, 2)


def test_z_and_a_batch_may_be_a_single_number():
    for G, options in ((Sequential(Dense(1, 2)), {}), (Sequential(Dense(3, 2)), {"classes": 2, "latent_dim": 1}),
                       (Sequential(Tanh(), Dense(1, 2)), {"latent_dim": 1})):
        D = Sequential(Dense(2 + options.get("classes", 0), 1))
        gan = mg.GAN(G, D, NonSaturating(), SGD(0.1), SGD(0.1), **options)
        assert gan.latent_dim == 1 and gan.noise(1, mg.rng(0)).shape == (1, 1) and gan.sample(1, 0).shape == (1, 2)


def test_one_optimizer_for_both_networks_is_refused():
    shared = Adam()
    with pytest.raises(ValueError, match="optimizer of its own"):
        mg.GAN(*dense_networks(), NonSaturating(), shared, shared)


def test_a_refused_optimizer_leaves_the_other_free():
    used, free = trained_gan().optimizer_D, Adam()
    with pytest.raises(ValueError, match="optimizer of its own"):
        mg.GAN(*dense_networks(), NonSaturating(), free, used)
    mg.GAN(*dense_networks(), NonSaturating(), free, Adam())


def test_networks_are_named_for_messages():
    gan = trained_gan()
    with pytest.raises(ValueError, match='Dense "D.0".*expected'):
        gan.D.forward(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="real samples are .*, but G makes"):
        gan.train_step(np.zeros((5, 3)), np.zeros((5, gan.latent_dim)))
    with pytest.raises(ValueError, match='Dense "G.0".*expected'):
        gan.train_step(np.zeros((5, 2)), np.zeros((5, 2)))


@both_orders
def test_no_gradient_is_computed_that_nobody_needs(update):
    G, D = Sequential(Asked(3, 4), Tanh(), Dense(4, 2)), Sequential(Asked(2, 4), Tanh(), Dense(4, 1))
    gan = mg.GAN(G, D, NonSaturating(), SGD(0.1), SGD(0.1), update)
    of_D, of_G = [(True, False)] * 2, [(False, True)]
    data = batch(dtype="float32")
    gan.train_step(*data)
    assert G[0].asked == [(True, False)] and D[0].asked == of_D + of_G
    gan.discriminator_step(*data)
    assert G[0].asked == [(True, False)] and D[0].asked == of_D + of_G + of_D
    gan.generator_step(*data)
    assert G[0].asked == [(True, False)] * 2 and D[0].asked == of_D + of_G + of_D + of_G


@pytest.mark.parametrize("real, dtype", [((5, 3), "float64"), ((5, 2, 2), "float64"), ((5, 2), "float32")])
def test_real_samples_are_like_those_that_G_makes(real, dtype):
    gan = trained_gan()
    z = np.zeros((5, gan.latent_dim))
    with pytest.raises(ValueError, match="GAN: real samples are .*, but G makes"):
        gan.train_step(np.zeros(real, dtype), z)
    gan.train_step(np.ones((4, 2)), z)                 # of real ones there may be fewer


def test_a_list_of_images_is_refused_with_a_sentence():
    gan = trained_gan()
    with pytest.raises(TypeError, match='"D.0": expected an array'):
        gan.train_step([[0.0, 0.0]] * 5, np.zeros((5, gan.latent_dim)))
