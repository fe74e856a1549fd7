"""The losses: each value against exact arithmetic, each gradient against it and against differences of the value."""
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.backend import scalar, to_numpy
from minigan.gradcheck import check_loss
from minigan.losses import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein, by_name

LOSSES = [Minimax(), NonSaturating(), LeastSquares(), Wasserstein(), Hinge()]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


# --- the closed forms, one sample at a time, in decimal arithmetic: nothing there overflows ---

def s(x):
    return 1 / (1 + (-x).exp())


def softplus(x):
    return x.exp() if x < -50 else (1 + x.exp()).ln()


def relu(x):
    return max(x, Decimal(0))


# loss: values of a real and of a fake logit for D, their two derivatives; value of a fake logit for G, its derivative
EXACT = {
    "Minimax": (lambda a: softplus(-a), softplus, lambda a: -s(-a), s, lambda b: -softplus(b), lambda b: -s(b)),
    "NonSaturating": (lambda a: softplus(-a), softplus, lambda a: -s(-a), s, lambda b: softplus(-b), lambda b: -s(-b)),
    "LeastSquares": (lambda a: (a - 1) ** 2 / 2, lambda b: b ** 2 / 2, lambda a: a - 1, lambda b: b,
                     lambda b: (b - 1) ** 2 / 2, lambda b: b - 1),
    "Wasserstein": (lambda a: -a, lambda b: b, lambda a: -1, lambda b: 1, lambda b: -b, lambda b: -1),
    "Hinge": (lambda a: relu(1 - a), lambda b: relu(1 + b), lambda a: -int(a < 1), lambda b: int(b > -1),
              lambda b: -b, lambda b: -1),
}


def exact_shares(f, logits):
    """f of every logit over their number: the shares of the mean, or the entries of the gradient."""
    with localcontext() as context:
        context.prec = 60
        return [f(Decimal(float(x))) / Decimal(len(logits)) for x in logits]


def exact_mean(f, logits):
    return float(sum(exact_shares(f, logits)))


def column(logits, dtype="float64"):
    return mg.asarray(np.array(logits, dtype).reshape(-1, 1))


def results(loss, a, b):
    """(value, dlogits_real, dlogits_fake) of D and (value, dlogits_fake) of G, on the host."""
    return [to_numpy(x) for x in loss.discriminator(a, b)], [to_numpy(x) for x in loss.generator(b)]


special = st.sampled_from([-1e4, -100.0, -12.0, -1.0, 0.0, 1.0, 100.0, 1e4])
logit_lists = st.lists(st.floats(-1e4, 1e4, width=32) | special, min_size=1, max_size=6)


@every_loss
@both_dtypes
@given(real=logit_lists, fake=logit_lists)
def test_values_and_gradients_are_exact_up_to_logits_of_10000(backend, loss, dtype, real, fake):
    (value_D, da, db), (value_G, dg) = results(loss, column(real, dtype), column(fake, dtype))
    f_real, f_fake, df_real, df_fake, g, dg_exact = EXACT[repr(loss)]
    eps, tiny = 32 * np.finfo(dtype).eps, np.finfo(dtype).tiny
    size = 1 + max(abs(x) for x in real + fake) ** (2 if repr(loss) == "LeastSquares" else 1)   # what the mean adds up
    np.testing.assert_allclose(value_D, exact_mean(f_real, real) + exact_mean(f_fake, fake), eps, eps * size)
    np.testing.assert_allclose(value_G, exact_mean(g, fake), eps, eps * size)
    for gradient, f, logits in ((da, df_real, real), (db, df_fake, fake), (dg, dg_exact, fake)):
        np.testing.assert_allclose(gradient[:, 0], np.array(exact_shares(f, logits), float), rtol=eps, atol=tiny)


@every_loss
@pytest.mark.parametrize("x", [-1e4, 1e4])
@both_dtypes
def test_a_value_alone_in_its_mean_keeps_all_its_digits(loss, x, dtype):
    """The value of an extreme logit, as its own batch: no other term of the mean can hide a lost digit."""
    value = loss.generator(column([x], dtype))[0]
    np.testing.assert_allclose(value, exact_mean(EXACT[repr(loss)][4], [x]), rtol=2 * np.finfo(dtype).eps)


@every_loss
@pytest.mark.parametrize("n_real, n_fake", [(5, 5), (7, 4), (1, 6), (6, 1)])
def test_gradients_are_those_of_the_values(backend, loss, n_real, n_fake):
    rng = np.random.default_rng(n_real)
    report = check_loss(loss, column(2 * rng.standard_normal(n_real)), column(2 * rng.standard_normal(n_fake)))
    assert report.ok, report


@every_loss
def test_descent_raises_real_scores_and_lowers_fake_ones_and_G_does_the_reverse(loss):
    (_, da, db), (_, dg) = results(loss, column([0.5, -0.5]), column([0.5, -0.5, 0.2]))
    assert (da < 0).all() and (dg < 0).all()
    assert (db[[0, 2]] > 0).all()
    assert (db[1] > 0) == (repr(loss) != "LeastSquares"), "least squares pulls -0.5 up to 0, all others push it down"


@every_loss
@both_dtypes
def test_dtype_and_shape_are_kept_and_inputs_unchanged(backend, loss, dtype):
    a, b = column([1.5, -2.0, 0.25], dtype), column([-0.5, 3.0], dtype)
    (value_D, da, db), (value_G, dg) = results(loss, a, b)
    assert [x.dtype for x in (value_D, da, db, value_G, dg)] == [dtype] * 5
    assert [x.shape for x in (value_D, da, db, value_G, dg)] == [(), (3, 1), (2, 1), (), (2, 1)]
    assert to_numpy(a).ravel().tolist() == [1.5, -2.0, 0.25] and to_numpy(b).ravel().tolist() == [-0.5, 3.0]


@every_loss
def test_duplicating_the_batch_keeps_the_value_and_halves_every_gradient(loss):
    a, b = column([1.5, -2.0]), column([-0.5, 3.0, 0.1])
    once, twice = results(loss, a, b), results(loss, np.tile(a, (2, 1)), np.tile(b, (2, 1)))
    for (value, *gradients), (same, *halves) in zip(once, twice):
        np.testing.assert_allclose(same, value, rtol=1e-14)
        for gradient, half in zip(gradients, halves):
            np.testing.assert_allclose(half, np.tile(gradient, (2, 1)) / 2, rtol=1e-14)


def test_minimax_saturates_where_nonsaturating_does_not():
    b = column([-5.0, -5.0])
    np.testing.assert_allclose(Minimax().generator(b)[1] * 2, -0.0067, atol=5e-5)
    np.testing.assert_allclose(NonSaturating().generator(b)[1] * 2, -0.9933, atol=5e-5)


def test_minimax_and_nonsaturating_give_D_the_same_game():
    a, b = column([1.5, -2.0]), column([-0.5, 3.0])
    for x, y in zip(Minimax().discriminator(a, b), NonSaturating().discriminator(a, b)):
        np.testing.assert_array_equal(x, y)


def test_hinge_gradient_ends_at_the_margin():
    a, b = column([0.0, 0.999, 1.0, 2.0]), column([-2.0, -1.0, -0.999, 0.0])
    value, da, db = Hinge().discriminator(a, b)
    assert value == pytest.approx((1.0 + 0.001) / 4 + (0.001 + 1.0) / 4)
    assert (4 * da).ravel().tolist() == [-1, -1, 0, 0]
    assert (4 * db).ravel().tolist() == [0, 0, 1, 1]


def test_least_squares_is_satisfied_at_its_targets():
    value, da, db = LeastSquares().discriminator(column([1.0, 1.0]), column([0.0]))
    assert (value, da.any(), db.any()) == (0, False, False)
    value, db = LeastSquares().generator(column([1.0]))
    assert (value, db.any()) == (0, False)


def test_scores_are_probabilities_only_where_the_loss_means_one(backend):
    logits = column([-1e4, 0.0, 1e4], "float32")
    assert to_numpy(NonSaturating().score(logits)).ravel().tolist() == [0, 0.5, 1]
    for loss in (LeastSquares(), Wasserstein(), Hinge()):
        assert to_numpy(loss.score(logits)).ravel().tolist() == [-1e4, 0, 1e4]


@every_loss
@pytest.mark.parametrize("shape", [(4, 2), (1, 4), (4, 1, 1), (0, 1), (0,), ()], ids=str)
def test_wrong_logits_shapes_are_refused(backend, loss, shape):
    good, wrong = column([0.0, 1.0]), mg.asarray(np.zeros(shape))
    for call in (lambda: loss.discriminator(wrong, good), lambda: loss.discriminator(good, wrong),
                 lambda: loss.generator(wrong)):
        with pytest.raises(ValueError, match=f"{loss}.*expected logits"):
            call()


def test_whole_number_logits_are_refused_or_get_the_right_gradient():
    logits = np.array([[1], [2]])
    try:
        dlogits = Wasserstein().generator(logits)[1]
    except TypeError:
        return
    assert dlogits.ravel().tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("name", ["NonSaturating", "nonsaturating", "non_saturating", "non-saturating"])
def test_a_loss_by_its_name(name):
    assert type(by_name(name)) is NonSaturating
    assert [repr(by_name(repr(loss))) for loss in LOSSES] == [repr(loss) for loss in LOSSES]


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no loss 'gan'.*hinge"):
        by_name("gan")


# --- tests of the tests: a broken loss is caught ---

class Broken:
    """A loss whose results pass through a function that spoils them."""

    def __init__(self, loss, spoil_D=None, spoil_G=None):
        self.loss, self.spoil_D, self.spoil_G = loss, spoil_D, spoil_G

    def discriminator(self, a, b):
        results = self.loss.discriminator(a, b)
        return self.spoil_D(*results) if self.spoil_D else results

    def generator(self, b):
        results = self.loss.generator(b)
        return self.spoil_G(*results) if self.spoil_G else results


SPOILS = {
    "sign of real": {"spoil_D": lambda value, da, db: (value, -da, db)},
    "sign of fake": {"spoil_D": lambda value, da, db: (value, da, -db)},
    "sign of G": {"spoil_G": lambda value, db: (value, -db)},
    "no 1/N for real": {"spoil_D": lambda value, da, db: (value, da * len(da), db)},
    "no 1/N for fake": {"spoil_D": lambda value, da, db: (value, da, db * len(db))},
    "no 1/N for G": {"spoil_G": lambda value, db: (value, db * len(db))},
    "real and fake swapped": {"spoil_D": lambda value, da, db: (value, db, da)},
    "sum for mean": {"spoil_D": lambda value, da, db: (value * len(da), da, db)},
}


@every_loss
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_broken_loss_is_caught(loss, spoil):
    rng = np.random.default_rng(1)
    a, b = column(rng.standard_normal(5)), column(rng.standard_normal(5))
    assert check_loss(loss, a, b).ok
    assert not check_loss(Broken(loss, **SPOILS[spoil]), a, b).ok


def test_two_errors_that_cancel_are_caught_with_unequal_batches():
    """numpy-ml's WGAN loss returned both gradients negated and in the swapped order: right only if n_real = n_fake."""
    broken = Broken(Wasserstein(), spoil_D=lambda value, da, db: (value, -db, -da))
    rng = np.random.default_rng(1)
    a, b = column(rng.standard_normal(5)), column(rng.standard_normal(3))
    assert check_loss(broken, a, a.copy()).ok
    assert not check_loss(broken, a, b).ok


# --- one-sided label smoothing ---

def smoothed(loss, t):
    """D's value of a real logit if real samples have the label t, by its definition with probabilities; its derivative."""
    if type(loss) is LeastSquares:
        return lambda a: (a - t) ** 2 / 2, lambda a: a - t
    return lambda a: -t * s(a).ln() - (1 - t) * s(-a).ln(), lambda a: s(a) - t         # s(-a) = 1 - s(a)


@pytest.mark.parametrize("kind", [Minimax, NonSaturating, LeastSquares])
@pytest.mark.parametrize("t", [0.9, 0.625, 1.0])
@both_dtypes
def test_a_smoothed_label_is_exact_and_changes_nothing_for_fakes_and_for_G(backend, kind, t, dtype):
    loss, real, fake = kind(real_label=t), [-30.0, -1.5, 0.25, 4.0, 30.0], [-2.0, 0.5]
    f, df = smoothed(loss, Decimal(str(t)))
    (value, da, db), of_G = results(loss, column(real, dtype), column(fake, dtype))
    (_, _, same), same_of_G = results(kind(), column(real, dtype), column(fake, dtype))
    eps = 32 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, exact_mean(f, real) + exact_mean(EXACT[repr(loss)][1], fake), rtol=eps)
    np.testing.assert_allclose(da[:, 0], np.array(exact_shares(df, real), float), rtol=eps, atol=eps)
    for array, expected in zip((db, *of_G), (same, *same_of_G)):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("kind", [Minimax, NonSaturating, LeastSquares])
def test_a_label_is_above_a_half_and_at_most_1(kind):
    assert [kind(t).real_label for t in (0.5001, 1, 1.0)] == [0.5001, 1.0, 1.0] and kind().real_label == 1
    for t in (0.5, 0.3, 0.0, -0.9, 1.0001, 1.5, 2, float("nan")):
        with pytest.raises(ValueError, match=f"{kind.__name__}.*real_label must be above 0.5 and at most 1, got {t}"):
            kind(t)


def test_without_smoothing_the_largest_logits_give_a_finite_value(backend):
    """The mean of logits, which label smoothing adds, would overflow; without it nothing may be left of that, not 0 · inf."""
    logits = column([3e38] * 4, "float32")
    assert NonSaturating().discriminator(logits, -logits)[0] == 0


@every_loss
@pytest.mark.parametrize("size, n", [(2e38, 4), (1e19, 1000), (-2e38, 3)])
def test_a_mean_that_is_a_number_is_found_though_the_sum_is_none(backend, loss, size, n):
    """Also of squares, as long as their mean is one."""
    for real, fake in ((size, 0.0), (0.0, size)):
        wide = loss.discriminator(column([real] * n, "float64"), column([fake] * n, "float64"))[0]
        with np.errstate(over="ignore"):
            value = loss.discriminator(column([real] * n, "float32"), column([fake] * n, "float32"))[0]
        np.testing.assert_allclose(scalar(value), scalar(wide) if abs(scalar(wide)) < 3.4e38 else np.inf, rtol=1e-6)
    with np.errstate(over="ignore"):
        value, wide = (scalar(loss.generator(column([size] * n, dtype))[0]) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(value, wide if abs(wide) < 3.4e38 else np.inf, rtol=1e-6)


def test_logits_of_two_dtypes_are_refused(backend):
    with pytest.raises(TypeError, match="Hinge.*expected all logits in one dtype, got float32 and float64"):
        mg.losses.Hinge().discriminator(column([1.0], "float32"), column([1.0], "float64"))
