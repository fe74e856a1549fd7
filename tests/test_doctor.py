"""The doctor: its signs against numbers worked out otherwise, its sentences from signs, and on GANs made ill on purpose."""
import itertools

import numpy as np
import pytest

import minigan as mg
from minigan.layers import BatchNorm, Dense, Dropout, Flatten, LeakyReLU, ReLU, Reshape, Residual, Sequential, Tanh
from minigan.training import checkpoint, doctor
from minigan.training.doctor import Doctor, diagnose
from minigan.training.symptoms import accuracies, mean_distance

WELL = dict(accuracy_real=0.8, accuracy_fake=0.75, spread=1.0, push=0.6, gradient_G=1.0, gradient_D=1.0, diversity=0.9,
            loss_G=1.2, saturated=0.3, saturated_real=0.4, real_min=-1.0, real_max=1.0) | {"dead_G.1": 0.1}
WON = dict(accuracy_real=1.0, accuracy_fake=1.0)


def names(*changes, before=12):
    """What is diagnosed after `before` healthy looks and then one for each of `changes`."""
    looks = [WELL] * before + [WELL | change for change in changes]
    return set(diagnose(looks[-1], looks[:-1]))


# --- sentences, from signs alone ---

def test_a_healthy_gan_gets_no_sentence():
    assert all(not names(before=n) for n in range(1, 20))


@pytest.mark.parametrize("illness, change", [
    ("D has won", WON | dict(gradient_G=0.02)),
    ("D has won", WON | dict(push=0.01)),
    ("D has won", WON | dict(loss_G=6.0)),
    ("D has given up", dict(accuracy_real=1.0, accuracy_fake=0.0)),
    ("D has given up", dict(accuracy_real=0.0, accuracy_fake=1.0)),
    ("D has given up", dict(accuracy_real=0.5, accuracy_fake=0.55, spread=0.001)),
    ("collapsed", dict(diversity=0.1)),
    ("saturated", dict(saturated=0.99)),
    ("dead", {"dead_G.1": 0.95}),
])
def test_an_illness_is_one_that_lasts(illness, change):
    assert names(change) == names(change, change) == set()
    assert names(change, change, change) == {illness}
    assert names(change, {}, change) == names(change, change, change, {}) == set()


@pytest.mark.parametrize("change", [
    WON,                                                               # G still learns: its gradient and its loss are as ever
    dict(accuracy_real=1.0, accuracy_fake=0.9, gradient_G=0.0),        # D still has something to learn
    dict(accuracy_real=0.5, accuracy_fake=0.5),                        # the end of a good game, not of a D that gave up
    dict(accuracy_real=0.99, accuracy_fake=0.98, spread=0.001),        # a clipped critic's scores may be small
    dict(saturated=0.9, saturated_real=0.9),                           # white paper
    dict(saturated=1.0, saturated_real=1.0),                           # pixels that are black or white only
    dict(gradient_G=5.0), dict(gradient_D=0.001), {"dead_G.1": 0.8},
])
def test_what_looks_like_an_illness_and_is_none(change):
    assert names(change, change, change) == set()


def test_a_growing_loss_is_told_from_one_that_swings():
    grow, swing = ([WON | dict(loss_G=loss) for loss in losses] for losses in ((2.0, 3.0, 4.0), (3.0, 4.5, 4.0)))
    assert names(*grow) == {"D has won"} and names(*grow[::-1]) == names(*swing) == set()
    critic = [{name: value for name, value in (WELL | WON).items() if name != "loss_G"}] * 5
    assert diagnose(critic[-1], critic[:-1]) == {}


def test_a_young_g_may_have_little_variety():
    alike = WELL | dict(diversity=0.1)
    assert diagnose(alike, [alike] * 5) == {}
    assert set(diagnose(alike, [alike] * 12)) == {"collapsed"}
    assert set(diagnose(alike, [WELL, alike, alike])) == {"collapsed"}         # it had more before


@pytest.mark.parametrize("name", ["gradient_G", "gradient_D"])
def test_an_exploding_gradient_is_told_at_once(name):
    assert names({name: 150.0}) == {"exploded"} and names({name: 50.0}) == set()
    assert names({name: 150.0}, before=2) == set() and names({name: 1e5}, before=0) == {"exploded"}
    tiny = [WELL | {name: 1e-9}] * 5
    assert diagnose(WELL | {name: 0.5}, tiny) == {}                            # an awakening is no explosion


@pytest.mark.parametrize("low, high, wrong", [(0, 1, True), (0, 255, True), (-1, 1, False), (-2, 2, True), (-0.9, 0.8, False)])
def test_data_in_another_range_than_tanh(low, high, wrong):
    found = diagnose(WELL | dict(real_min=low, real_max=high), [])
    assert set(found) == ({"wrong range"} if wrong else set())
    assert not wrong or f"between {low} and {high}" in found["wrong range"]


def test_what_is_not_finite_is_said_alone_and_with_its_place():
    ill = WELL | WON | dict(loss_G=float("nan"), diversity=0.0)
    assert set(diagnose(ill, [ill] * 5)) == {"not finite"}
    assert "loss_G" in diagnose(ill, [])["not finite"]
    assert 'any more: Dense "D.3" has ...' in diagnose(ill, [], 'Dense "D.3" has ...')["not finite"]


def test_sentences_carry_their_numbers_and_an_option():
    ill = WELL | WON | dict(gradient_G=0.0123, diversity=0.077, saturated=0.995) | {"dead_G.1": 0.97}
    found = diagnose(ill, [WELL] + [ill] * 5)
    assert set(found) == {"D has won", "collapsed", "saturated", "dead"}
    for name, number in (("D has won", "0.012"), ("collapsed", "0.077"), ("saturated", "100%"), ("dead", "97% in G.1")):
        assert number in found[name] and "--" in found[name]


def test_each_sentence_comes_once_and_again_only_after_it_had_gone():
    patient, said, ill = Doctor(), [], (3, 4, 5, 6, 8, 9, 10, 22, 23, 24, 25)          # on these looks
    for i in range(30):
        patient.history.append(WELL | (dict(diversity=0.1) if i in ill else {}))
        said.append(len(patient.advice()))
    assert [i for i, n in enumerate(said) if n] == [5, 24]             # a short break between does not make it news


def test_before_the_first_look_there_is_nothing_to_say():
    assert Doctor().advice() == []


# --- signs, on networks ---

def points_gan(loss):
    return mg.GAN(*mg.models.toy_mlp(mg.host_rng(0), width=64), loss, mg.optimizers.Adam(1e-3), mg.optimizers.Adam(1e-3))


def images_gan(dtype="float32"):
    """With all that a careless look would change: running statistics, generators of Dropout."""
    rng, w = mg.host_rng(0), dict(rng=mg.host_rng(1), dtype=dtype)
    G = Sequential(Dense(4, 16, **w), BatchNorm(16, dtype=dtype), ReLU(), Sequential(Dense(16, 16, **w), ReLU()),
                   Dense(16, 16, **w), Tanh(), Reshape(4, 4, 1))
    D = Sequential(Flatten(), Dense(16, 16, **w), BatchNorm(16, dtype=dtype), LeakyReLU(0.2), Dropout(0.3, rng=mg.rng(2)),
                   Dense(16, 1, **w))
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(), mg.optimizers.Adam())
    real, z = rng.uniform(-1, 1, (12, 4, 4, 1)), rng.standard_normal((12, 4))
    return gan, mg.asarray(real.astype(dtype)), mg.asarray(z.astype(dtype))


def state(gan):
    arrays = checkpoint.game_arrays(gan) | {"dtheta_G": gan.G.dtheta, "dtheta_D": gan.D.dtheta}
    return {name: mg.to_numpy(value).tobytes() for name, value in arrays.items()}


def test_a_look_changes_nothing_and_repeats_itself(backend):
    gan, real, z = images_gan()
    gan.train_step(real, z)
    before, inputs = state(gan), (mg.to_numpy(real).tobytes(), mg.to_numpy(z).tobytes())
    assert any(".rng" in name for name in before) and any("running" in name for name in before)
    first, second = Doctor().look(gan, real, z), Doctor().look(gan, real, z)
    assert first == second and all(type(value) is float for value in first.values())
    gan.G.theta[0] = float("nan")                                      # nor does the search for what is not finite
    with_nan = state(gan)
    assert Doctor().look(gan, real, z) and state(gan) == with_nan
    gan.G.theta[0] = mg.asarray(np.frombuffer(before["G.theta"], "float32"))[0]
    assert state(gan) == before and inputs == (mg.to_numpy(real).tobytes(), mg.to_numpy(z).tobytes())


def test_the_signs_are_what_they_say(backend):
    gan, real, z = images_gan()
    gan.train_step(real, z)
    signs = Doctor().look(gan, real, z)
    fake = gan.G(z)
    a, b, x, y = (mg.to_numpy(value).astype("float64") for value in (gan.D(real), gan.D(fake), real, fake))

    def apart(x):
        return np.mean([np.linalg.norm(x[i] - x[j]) for i, j in itertools.combinations(range(len(x)), 2)])

    # G's units come first, then the nested ones; a unit is dead if it is zero for all samples.
    hidden = [mg.to_numpy(gan.G[:3](z)), mg.to_numpy(gan.G[:4](z))]
    expected = {
        "accuracy_real": (a > 0).mean(), "accuracy_fake": (b <= 0).mean(), "spread": np.concatenate([a, b]).std(),
        "push": (1 / (1 + np.exp(b))).mean(), "loss_G": np.log1p(np.exp(-b)).mean(),
        "gradient_G": np.linalg.norm(mg.to_numpy(gan.G.dtheta)), "gradient_D": np.linalg.norm(mg.to_numpy(gan.D.dtheta)),
        "diversity": apart(y.reshape(12, -1)) / apart(x.reshape(12, -1)),
        "saturated": (abs(y) > 0.99).mean(), "saturated_real": (abs(x) > 0.99).mean(),
        "real_min": x.min(), "real_max": x.max(),
        "dead_G.2": (hidden[0] == 0).all(axis=0).mean(), "dead_G.3.1": (hidden[1] == 0).all(axis=0).mean()}
    assert signs == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_look_takes_no_more_samples_than_it_was_told():
    gan, real, z = images_gan()
    assert Doctor(samples=5).look(gan, real, z) == Doctor().look(gan, real[:5], z[:5]) != Doctor().look(gan, real, z)


@pytest.mark.parametrize("loss, shift, expected", [
    ("NonSaturating", 0.0, (1 / 2, 3 / 4)), ("LeastSquares", 0.5, (1 / 2, 3 / 4)), ("Hinge", 0.0, (1 / 2, 3 / 4)),
    ("Wasserstein", 7.0, (3 / 4, 3 / 4)), ("Wasserstein", -7.0, (3 / 4, 3 / 4))])
def test_accuracies_have_the_border_of_the_loss(loss, shift, expected):
    """Real at -2 -1 1 2, so half above the border; fakes at -4 -3 -2 0.5, so three below it; medians 0 and -2.5 ..."""
    a, b = (np.array(values)[:, None] + shift for values in ([-2.7, -1, 1, 2], [-4, -3, -2, 0.5]))
    assert tuple(map(float, accuracies(getattr(mg.losses, loss)(), a, b))) == expected


def test_a_critic_that_sees_no_difference_is_right_half_the_time():
    scores = np.arange(10.0)[:, None]
    assert tuple(map(float, accuracies(mg.losses.Wasserstein(), scores, scores))) == (0.5, 0.5)


def test_the_diversity_of_equal_samples_is_zero(backend):
    x = mg.asarray(np.full((20, 8, 8, 1), 0.7, "float32"))
    assert float(mean_distance(x)) == 0


def test_the_mean_distance_is_over_pairs_of_different_samples():
    assert float(mean_distance(np.array([[10.0, 0.0], [13.0, 4.0]]))) == pytest.approx(5)


def test_the_shares_of_dead_units_count_channels_of_images():
    D = Sequential(mg.layers.Conv2D(1, 4, 3, rng=mg.host_rng(0)), ReLU(), Flatten(), Dense(64, 1, rng=mg.host_rng(1)))
    G = Sequential(Dense(3, 16, rng=mg.host_rng(2)), Tanh(), Reshape(4, 4, 1))
    D[0].b[1:] = mg.asarray(np.array([-99, 99, -99], "float32"))
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    real = mg.asarray(mg.host_rng(3).uniform(-1, 1, (6, 4, 4, 1)).astype("float32"))
    assert Doctor().look(gan, real, gan.noise(6, mg.rng(0)))["dead_D.1"] == 0.5


def test_dead_units_are_seen_inside_a_residual_too():
    G, D = Sequential(Dense(2, 2)), Sequential(Residual(Dense(2, 4), ReLU(), Dense(4, 2)), Dense(2, 1))
    D[0].body[0].b[:3] = -99
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    x = mg.asarray(mg.host_rng(0).standard_normal((8, 2)).astype("float32"))
    assert Doctor().look(gan, x, gan.noise(8, mg.rng(0)))["dead_D.0.body.1"] >= 0.75


def test_a_unit_of_d_that_only_fakes_reach_is_not_dead():
    G, D = Sequential(Dense(2, 2)), Sequential(Dense(2, 3), ReLU(), Dense(3, 1))
    D[0].W = np.array([[1.0, -1.0, -1.0], [0.0, 0.0, 0.0]])            # alive at the right, at the left, at the left ...
    D[0].b = np.array([0.0, 0.0, -9.0])                                # ... but far out only
    G[0].W, G[0].b = np.zeros((2, 2)), np.array([-1.0, 0.0])
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    signs = Doctor().look(gan, mg.asarray(np.ones((4, 2), "float32")), gan.noise(4, mg.rng(0)))
    assert signs["dead_D.1"] == pytest.approx(1 / 3)


def test_without_tanh_there_is_no_range_and_nothing_saturates():
    gan = points_gan(mg.losses.Wasserstein())
    signs = Doctor().look(gan, mg.asarray(np.ones((8, 2), "float32")), gan.noise(8, mg.rng(0)))
    assert not {"saturated", "real_min", "loss_G"} & set(signs)


# --- the whole way: GANs made ill on purpose ---

def visit(gan, steps, x, every=20, train=None):
    """All sentences of a training of the GAN on the points x."""
    patient, host, noise, said = Doctor(), mg.host_rng(0), mg.rng(1), []
    for step in range(1, steps + 1):
        real, z = x[host.integers(len(x), size=64)], gan.noise(64, noise)
        (train or gan.train_step)(real, z)
        if step % every == 0:
            patient.look(gan, real, z)
            said += patient.advice()
    return said


RING, _ = mg.datasets.ring(5000, mg.host_rng(0))


@pytest.mark.parametrize("loss", ["NonSaturating", "LeastSquares", "Hinge"])
def test_a_good_training_is_silent(loss):
    assert visit(points_gan(getattr(mg.losses, loss)()), 1000, RING, every=50) == []


def D_alone(gan):
    """A step of D only: G stays as it is."""
    def step(real, z):
        before = gan.G.theta.copy()
        losses = gan.train_step(real, z)
        gan.G.theta[...] = before
        return losses
    return step


def test_a_d_far_ahead_has_won_and_the_minimax_loss_is_flat():
    gan = points_gan(mg.losses.Minimax())
    said = visit(gan, 600, RING, train=D_alone(gan))
    assert said[0].startswith("D has won") and "--loss nonsaturating" in said[0]
    assert sum(sentence.startswith("D has won") for sentence in said) == 1


def test_a_d_far_ahead_has_won_and_the_other_loss_grows():
    gan = points_gan(mg.losses.NonSaturating())
    said = visit(gan, 600, RING, train=D_alone(gan))
    assert said[0].startswith("D has won") and "G's loss was" in said[0] and "--instance-noise" in said[0]
    assert sum(sentence.startswith("D has won") for sentence in said) == 1


class Difference(mg.losses.LeastSquares):
    """A tutorial's loss of D, mean (a - b)²: it teaches D to tell nothing apart."""

    def discriminator(self, logits_real, logits_fake):
        apart = logits_real - logits_fake
        return (apart * apart).mean(), 2 * apart / len(apart), -2 * apart / len(apart)


def test_a_d_that_is_taught_nothing_has_given_up():
    gan = points_gan(Difference())
    said = visit(gan, 600, RING, train=D_alone(gan))
    assert [sentence for sentence in said if sentence.startswith("D has given up")]


def test_a_g_of_one_point_has_collapsed(backend):
    gan, patient = points_gan(mg.losses.NonSaturating()), Doctor()
    gan.G[4].W[...] = 0
    for _ in range(doctor.YOUNG):
        patient.look(gan, mg.asarray(RING[:64]), gan.noise(64, mg.rng(0)))
    said = patient.advice()
    assert len(said) == 1 and said[0].startswith("G has collapsed") and "--packing" in said[0]


def test_a_g_of_huge_weights_is_saturated(backend):
    gan, real, z = images_gan()
    gan.G[4].W *= 1e4
    patient = Doctor()
    for _ in range(3):
        patient.look(gan, real, z)
    assert [sentence for sentence in patient.advice() if sentence.startswith("G's output is saturated")]


def test_the_layer_that_is_not_finite_is_named(backend):
    gan, real, z = images_gan()
    gan.D[1].W[2, 3] = float("inf")
    patient = Doctor()
    patient.look(gan, real, z)
    assert 'Dense "D.1" has a W that is not finite' in patient.advice()[0]


def test_a_look_at_a_packed_D_tears_no_pack():
    """It uses as many whole packs as there are samples for, of up to Doctor.samples; one if these are fewer than a pack."""
    G, D = mg.models.build("toy_mlp", mg.host_rng(0), (2,), packing=3)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    real, z = mg.datasets.ring(30, mg.host_rng(1))[0], gan.noise(30, mg.rng(0))
    for samples, given, used in ((7, 30, 6), (128, 29, 27), (2, 30, 3)):
        assert Doctor(samples).look(gan, real[:given], z) == Doctor(30).look(gan, real[:used], z[:used])
    with pytest.raises(ValueError, match="N a multiple of m = 3, got .2, 2."):
        Doctor().look(gan, real[:2], z)


def test_huge_numbers_that_are_finite_are_no_illness_of_their_own():
    """Their squares are beyond float32: a gradient of 1e20 has exploded, but is finite."""
    gan = points_gan(mg.losses.NonSaturating())
    gan.G.dtheta[...] = 1e20
    gan.D.dtheta[...] = 1e25
    signs = Doctor().look(gan, 1e25 * mg.datasets.ring(20, mg.host_rng(1))[0], gan.noise(20, mg.rng(0)))
    assert signs["gradient_G"] == pytest.approx(1e20 * gan.G.size ** 0.5) and signs["gradient_D"] == pytest.approx(
        1e25 * gan.D.size ** 0.5)
    assert all(map(np.isfinite, signs.values()))
    assert set(diagnose(signs, [])) == {"exploded"}
