"""The gradient check itself, as a reader uses it for his own layer. What it catches: test_mutations.py."""
import numpy as np
import pytest
from cases import CASES, Parabola, build, draw
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan import losses
from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.engine import batch_sum, channel_sum
from minigan.gradcheck import Report, central_difference, check_double_backward, check_layer, check_loss, compare
from minigan.layers import BatchNorm, Dense, Dropout, Layer, ReLU, Sequential, Tanh


class Square(Layer):
    """A reader's own layer: three lines."""
    def forward(self, x, train=True):
        return x * x, x

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        return 2 * cache * dy if input_grad else None


def with_dx(formula):
    """A Square whose dx is formula(the right dx, dy)."""
    class Broken(Square):
        def backward(self, dy, cache, param_grads=True, input_grad=True):
            return formula(2 * cache * dy, dy) if input_grad else None
    return Broken()


def some(*shape):
    return draw(host_rng(5), shape)


def row(report, name):
    return next(row for row in report if row.name == name)


def test_a_layer_of_three_lines_is_checked_in_one(backend):
    assert check_layer(Square(), some(4, 3)).ok


def test_x_may_come_from_the_host(backend):
    assert check_layer(Square(), to_numpy(some(4, 3))).ok


def test_gradients_of_an_earlier_pass_do_not_disturb():
    layer, x = build("Dense")
    layer.dW[...] = 7.0
    assert check_layer(layer, x).ok


# --- what it says ---

def test_the_report_of_a_right_layer(backend):
    report = check_layer(Dense(4, 3, dtype="float64"), some(5, 4))
    assert str(report).startswith("Dense at x (5, 4), training: right\n  ok    dx ")
    assert [row.name for row in report][:3] == ["dx", "dW", "db"]
    assert "WRONG" not in str(report)


def test_the_report_of_a_wrong_layer_shows_the_worst_entry_and_both_values(backend):
    def one_entry_wrong(dx, dy):
        dx[2, 1] += 0.5
        return dx
    report = check_layer(with_dx(one_entry_wrong), some(4, 3))
    x, dx = to_numpy(some(4, 3)), row(report, "dx")
    assert str(report).startswith("Broken at x (4, 3), training: WRONG\n  WRONG dx ")
    assert not report.ok and not dx.ok and "worst at (2, 1): backward says " in dx.detail
    claimed, measured = (float(text.split()[-1]) for text in dx.detail.rsplit(": ", 1)[1].split(","))
    assert claimed - measured == pytest.approx(0.5, rel=1e-6)
    assert dx.error == pytest.approx(0.5 / max(abs(claimed), abs(measured), 0.01 * abs(2 * x).max()), rel=0.5)


def test_the_report_names_the_layer_by_its_place_in_the_network():
    network = Sequential(Tanh(), name="D")
    assert str(check_layer(network, some(4, 3))).startswith('Sequential "D" at x')
    assert str(check_layer(network[0], some(4, 3), train=False)).startswith('Tanh "D.0" at x (4, 3), evaluation')


def test_the_same_seed_gives_the_same_report():
    assert str(check_layer(*build("Dense"), rng=host_rng(3))) == str(check_layer(*build("Dense"), rng=host_rng(3)))
    assert str(check_layer(*build("Dense"), rng=host_rng(3))) != str(check_layer(*build("Dense"), rng=host_rng(4)))


def test_at_most_so_many_entries_of_each_array_are_looked_at():
    report = check_layer(*build("Dense"), entries=3)
    assert [row(report, name).detail.split(" in ")[1] for name in ("dx", "dW", "db")] == [
        "3 of 20 entries", "3 of 12 entries", "3 of 3 entries"]


# --- how well it sees ---

@pytest.mark.parametrize("error, ok", [(1e-5, False), (-1e-5, False), (1e-8, True), (0, True)])
def test_a_gradient_is_wrong_from_the_sixth_digit_on(backend, error, ok):
    assert check_layer(with_dx(lambda dx, dy: dx * (1 + error)), some(4, 3)).ok == ok


def test_tol_says_what_counts_as_wrong():
    layer = with_dx(lambda dx, dy: dx * 1.001)
    assert check_layer(layer, some(4, 3), tol=0.01).ok and not check_layer(layer, some(4, 3), tol=1e-4).ok


def test_a_large_h_makes_the_differences_themselves_wrong():
    """So it is these that are compared, not the analytic gradient with itself."""
    layer = Tanh()
    assert not check_layer(layer, some(4, 3), h=0.1).ok and check_layer(layer, some(4, 3)).ok


@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_a_gradient_that_is_zero_passes(scale):
    """That of a bias before a BatchNorm is zero but for rounding, that of what Dropout drops zero altogether."""
    layer = Sequential(Dense(3, 2, dtype="float64"), BatchNorm(2, dtype="float64"), Dropout(0.5))
    report = check_layer(layer, scale * some(6, 3))
    assert report.ok, str(report)
    assert row(report, "d0.b").error == 0 and "2 zero" in row(report, "d0.b").detail


def test_the_upstream_gradient_is_not_the_x_of_the_same_seed():
    """Who draws x from seed 0, as everybody does, must not get dy = x: a backward that mixes them up would pass."""
    layer = with_dx(lambda dx, dy: 2 * dy * dy)
    assert not check_layer(layer, asarray(host_rng(0).standard_normal((4, 3)))).ok


def test_a_gradient_of_nan_fails(backend):
    report = check_layer(with_dx(lambda dx, dy: dx * float("nan")), some(4, 3))
    assert not row(report, "dx").ok and "nan" in row(report, "dx").detail


def test_an_output_of_nan_fails():
    class Undefined(Square):
        def forward(self, x, train=True):
            return x * float("nan"), x
    assert not check_layer(Undefined(), some(4, 3)).ok


@pytest.mark.parametrize("formula, shape", [(lambda dx, dy: dx[0], "(3,)"), (lambda dx, dy: dx.T, "(3, 4)"),
                                            (lambda dx, dy: None, "()")])
def test_a_gradient_of_the_wrong_shape_fails(formula, shape):
    report = check_layer(with_dx(formula), some(4, 3))
    assert not report.ok and row(report, "dx").detail == f"has shape {shape}, its array has (4, 3)"


@pytest.mark.parametrize("layer, x, name", [
    (lambda: Dense(4, 3), lambda: some(5, 4), "W is float32"),
    (Square, lambda: some(5, 4).astype("float32"), "x is float32"),
    (Square, lambda: asarray(np.arange(4)), "x is int64")])
def test_anything_but_float64_is_refused(backend, layer, x, name):
    """Differences of float32 numbers drown in rounding."""
    with pytest.raises(TypeError, match=f"gradcheck of .*: {name}; it needs float64"):
        check_layer(layer(), x())


# --- numbers of very different sizes ---

class Twice(Dense):
    """Its dx is twice what it should be."""
    def backward(self, dy, cache, param_grads=True, input_grad=True):
        dx = super().backward(dy, cache, param_grads, input_grad)
        return 2 * dx if input_grad else None


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-9, 1e7, 1e9, 1e12, 1e30])
def test_other_gradients_that_are_much_larger_or_smaller_hide_no_mistake(backend, scale):
    report = check_layer(Twice(3, 2, dtype="float64"), scale * some(4, 3))
    assert [row.name for row in report if not row.ok] == ["dx"] and row(report, "dx").ok is False
    assert check_layer(Dense(3, 2, dtype="float64"), scale * some(4, 3)).ok


SCALED = {name: ["dx", *(f"d{key}" for key, _, _ in build(name)[0].parameters())]
          for name in ("Dense", "Tanh", "BatchNorm", "Parabola", "LayerNorm", "Maxout", "Residual", "Sequential",
                       "Conv2D, K4 S2 same 4x6")}


@settings(max_examples=15)
@given(data=st.data(), name=st.sampled_from(list(SCALED)), column=st.booleans(),
       exponent=st.sampled_from([-9, -7, -4, 4, 7, 9]), factor=st.sampled_from([0, 2, -1, 1.001]))
def test_no_scale_of_x_or_of_a_parameter_hides_a_mistake_or_makes_one(data, name, exponent, column, factor):
    """What is right may be more than float64 shows, and then nobody can tell; but it is never WRONG."""
    layer, x = build(name)
    arrays = {"dx": x} | {f"d{key}": value for key, value, _ in layer.parameters()}
    scaled, wrong = (data.draw(st.sampled_from(SCALED[name])) for _ in range(2))
    (arrays[scaled][..., 0] if column else arrays[scaled])[...] *= 10 ** exponent
    report = check_layer(layer, x, entries=10)
    assert not [row for row in report if row.ok is False], str(report)

    def mistaken(dy, cache, param_grads=True, input_grad=True, good=layer.backward):
        before = {f"d{key}": gradient.copy() for key, _, gradient in layer.parameters()}
        dx = good(dy, cache, param_grads, input_grad)
        if wrong == "dx":
            claims.append(dx)
            return factor * dx if input_grad else None
        gradient = {f"d{key}": gradient for key, _, gradient in layer.parameters()}[wrong]
        claims.append(gradient - before[wrong])
        gradient[...] = before[wrong] + factor * claims[-1]
        return dx

    layer.backward, claims = mistaken, []
    report = check_layer(layer, x, entries=x.size + 100)
    assume(np.count_nonzero(claims[0]) > 0.9 * claims[0].size)      # a tanh that is saturated has no gradient to be wrong
    assert not row(report, wrong).ok, str(report)


def test_a_mistake_in_one_row_of_a_gradient_beside_a_row_1e9_times_as_large():
    class Broken(Dense):
        def backward(self, dy, cache, param_grads=True, input_grad=True):
            if param_grads:
                self.dW[1] += cache[:, 1] @ dy                      # adds this row a second time
            return super().backward(dy, cache, param_grads, input_grad)
    x = some(4, 2) * np.array([1e9, 1.0])
    report = check_layer(Broken(2, 3, dtype="float64"), x)
    assert row(report, "dW").ok is False and "worst at (1," in row(report, "dW").detail


@pytest.mark.parametrize("name, scale", [("a", 1e-9), ("c", 1e9)])
def test_a_forgotten_gradient_shows_where_a_small_step_changes_nothing(name, scale):
    """At x = 1e9, f is 1e18 and does not notice whether c is 1 or 1.00001; at 1e-9 it is a that does nothing."""
    class Forgetful(Parabola):
        def backward(self, *arguments, **flags):
            dx = super().backward(*arguments, **flags)
            getattr(self, f"d{name}")[...] = 0
            return dx
    layers = Forgetful(3, "float64"), Parabola(3, "float64")
    for layer in layers:
        for value in "abc":
            getattr(layer, value)[...] = 0.7
    wrong, right = (check_layer(layer, scale * some(5, 3)) for layer in layers)
    assert not row(wrong, f"d{name}").ok and row(right, f"d{name}").ok


class Beside(Layer):
    """y = 1e10 + tanh(w x): its rounding is 1e-6."""
    def __init__(self, factor=1, large=1e10):
        self.factor, self.large = factor, large
        self.add_parameter("w", np.full(3, 0.7), "float64")

    def forward(self, x, train=True):
        t = xp.tanh(self.w * x)
        return self.large + t, (x, t)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        (x, t), w = cache, self.w
        dh = self.factor * dy * (1 - t * t)
        if param_grads:
            self.dw += (dh * x).sum(axis=0)
        return dh * w if input_grad else None


def test_what_rounding_hides_is_not_right_and_not_wrong(backend):
    report = check_layer(Beside(), some(5, 3))
    assert not report.ok and row(report, "dx").ok is row(report, "dw").ok is None
    assert str(report).startswith("Beside at x (5, 3), training: cannot tell\n  ?     dx ")
    assert "15 hidden by rounding or curvature; cannot tell: bring x and the parameters" in row(report, "dx").detail
    assert check_layer(Beside(2), some(5, 3))[0].ok is False       # so much is seen
    assert check_layer(Beside(large=10.0), some(5, 3)).ok


@pytest.mark.parametrize("scale", [1e-15, 1e-12, 1e12])
def test_a_tiny_or_large_f_is_measured_by_itself(scale):
    x = some(6)
    for factor, ok in ((1, True), (1.0001, False)):
        compare(report := Report("f"), lambda: float((scale * x ** 3).sum()), {"dx": x}, {"dx": factor * 3 * scale * x * x},
                host_rng(0))
        assert report.ok is ok and report[0].ok is ok, str(report)


@pytest.mark.parametrize("claim, ok", [(0.0, True), (1e-30, False), (1.0, False), (np.inf, False), (np.nan, False)])
def test_the_claims_beside_a_constant(claim, ok):
    x = some(4)
    for f in (lambda: 0.0, lambda: 0 * x):
        compare(report := Report("a constant"), f, {"dx": x}, {"dx": np.full(4, claim)}, host_rng(0))
        assert report.ok is ok, str(report)


def test_a_step_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"central_difference: h = 1e-05 is too small to move an entry of 1e\+12"):
        central_difference(lambda: 0.0, np.array([1e12]), 0)


# --- kinks ---

def with_zeros(zeros):
    x = some(4, 5)
    x.reshape(-1)[:zeros] = 0.0
    return x


def test_entries_at_a_kink_are_counted_and_not_compared(backend):
    """At 0 the slope of ReLU is 1 on the right, 0 on the left; the central difference says 1/2. None is wrong."""
    report = check_layer(ReLU(), with_zeros(5))
    assert report.ok and "in 15 of 20 entries, 5 at kinks" in row(report, "dx").detail


def test_a_kink_hides_no_mistake_in_the_other_entries():
    class Leaky(ReLU):
        def backward(self, dy, cache, param_grads=True, input_grad=True):
            return xp.where(cache, dy, 0.1 * dy)
    assert not row(check_layer(Leaky(), with_zeros(5)), "dx").ok


@pytest.mark.parametrize("zeros, ok", [(10, True), (11, False), (20, False)])
def test_a_check_of_mostly_kinks_fails(zeros, ok):
    """It would have looked at too little to say that the layer is right."""
    report = check_layer(ReLU(), with_zeros(zeros))
    assert report.ok == ok and ("too many kinks: move x away from them" in str(report)) != ok


def test_a_strong_curvature_is_no_kink():
    """exp(5 x) bends a lot, but has a slope everywhere."""
    class Steep(Layer):
        def forward(self, x, train=True):
            y = xp.exp(5 * x)
            return y, y

        def backward(self, dy, cache, param_grads=True, input_grad=True):
            return 5 * dy * cache if input_grad else None
    report = check_layer(Steep(), some(4, 3))
    assert report.ok and "kinks" not in str(report)


def test_a_kink_in_a_small_gradient_beside_a_large_one():
    class Bent(Layer):
        """y = 1e4 x + relu(b)"""
        def __init__(self):
            self.add_parameter("b", np.array([0.0, 0.4, -0.3]), "float64")

        def forward(self, x, train=True):
            return 1e4 * x + self.b * (self.b > 0), None

        def backward(self, dy, cache, param_grads=True, input_grad=True):
            if param_grads:
                self.db += dy.sum(axis=0) * (self.b > 0)
            return 1e4 * dy if input_grad else None
    report = check_layer(Bent(), some(4, 3))
    assert report.ok and "in 2 of 3 entries, 1 at kinks, 1 zero" in row(report, "db").detail, str(report)


def test_a_unit_that_is_dead_is_right(backend):
    """Its slope is 0, though a large step would wake it."""
    report = check_layer(ReLU(), -abs(some(4, 5)))
    assert report.ok and "in 20 of 20 entries, 20 zero" in row(report, "dx").detail


def test_slope_and_bend_of_a_difference():
    x = np.array([2.0, 0.0])
    slope, bend = central_difference(lambda: x[0] ** 3 + abs(x[1]), x, 0)
    assert slope == pytest.approx(12) and bend == pytest.approx(12e-5, rel=1e-3)       # h f'' = 1e-5 · 6 · 2
    slope, bend = central_difference(lambda: x[0] ** 3 + abs(x[1]), x, 1)
    assert slope == pytest.approx(0, abs=1e-9) and bend == pytest.approx(2)            # the slope jumps from -1 to 1


# --- what it leaves behind ---

@pytest.mark.parametrize("name", CASES)
def test_x_and_the_parameters_are_as_before(backend, name):
    layer, x = build(name)
    arrays = [x, *(value for _, value, _ in layer.parameters())]
    before = [to_numpy(array).copy() for array in arrays]
    check_layer(layer, x, entries=3)
    assert all(np.array_equal(to_numpy(array), old) for array, old in zip(arrays, before))
    assert not any(to_numpy(gradient).any() for _, _, gradient in layer.parameters())


def test_the_running_statistics_are_as_before(backend):
    layer, x = build("BatchNorm")
    before = [to_numpy(value).copy() for _, value in layer.states()]
    check_layer(layer, x)
    for (name, value), old in zip(layer.states(), before):
        np.testing.assert_array_equal(to_numpy(value), old, err_msg=name)


def test_the_generator_goes_on_as_if_nothing_had_been_checked(backend):
    x = some(4, 3)
    checked, other = Dropout(0.5, rng=mg.rng(0)), Dropout(0.5, rng=mg.rng(0))
    check_layer(checked, x)
    np.testing.assert_array_equal(to_numpy(checked.forward(x)[0]), to_numpy(other.forward(x)[0]))


def test_x_is_only_read():
    x = np.broadcast_to(some(3), (4, 3))
    assert not x.flags.writeable and check_layer(Square(), x).ok


def test_an_error_in_f_leaves_the_entry_as_it_was():
    x = np.array([1.0])

    def f():
        assert x[0] == 1
    with pytest.raises(AssertionError):
        central_difference(f, x, 0, middle=0)
    assert x[0] == 1


# --- what nobody may write into ---

class Writes(Layer):
    """Right but for one place in which it writes where it must not, and puts nothing right again."""
    def __init__(self, place):
        self.place, self.out = place, None

    def forward(self, x, train=True):
        y = x * x
        if self.place == "y":                       # the same array for every result of this shape
            self.out = y if self.out is None or self.out.shape != y.shape else self.out
            self.out[...] = y
            y = self.out
        return y, {"x": [x], "used": xp.zeros(3)}

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        if self.place == "cache":
            cache["used"] += 1
        return 2 * cache["x"][0] * dy if input_grad else None

    def double_backward(self, v, dy, cache):
        if self.place == "double":
            cache["used"] += 1
        return 2 * cache["x"][0] * v, 2 * v * dy


@pytest.mark.parametrize("place", ["y", "cache", "double", None])
def test_writing_into_what_was_given_away_is_a_mistake(backend, place):
    for check, seen in (check_layer, ("y", "cache")), (check_double_backward, ("y", "double")):
        report = check(Writes(place), some(4, 3))
        assert [row.name for row in report if not row.ok] == (["inputs unchanged"] if place in seen else []), str(report)


# --- losses ---

@pytest.mark.parametrize("loss", [losses.Minimax(), losses.NonSaturating(), losses.LeastSquares(), losses.Wasserstein(),
                                  losses.Hinge()], ids=repr)
def test_the_gradients_of_a_loss_are_right(backend, loss):
    report = check_loss(loss, some(6, 1), some(4, 1))
    assert report.ok, str(report)
    assert [row.name for row in report] == ["D: dlogits_real", "D: dlogits_fake", "G: dlogits_fake"]


@pytest.mark.parametrize("place, name", [(1, "D: dlogits_real"), (2, "D: dlogits_fake")])
def test_a_wrong_gradient_of_the_discriminator_loss_is_caught(place, name):
    class Broken(losses.NonSaturating):
        def discriminator(self, logits_real, logits_fake):
            result = list(super().discriminator(logits_real, logits_fake))
            result[place] = result[place] * len(result[place])         # forgot the 1/N of the mean
            return result
    report = check_loss(Broken(), some(6, 1), some(4, 1))
    assert [row.name for row in report if not row.ok] == [name]
    assert str(report).startswith("Broken: WRONG")


def test_a_value_and_a_gradient_of_different_losses_are_caught():
    """The classic: the loss of one paper, the gradient of another."""
    class Mixed(losses.Minimax):
        def generator(self, logits_fake):
            return super().generator(logits_fake)[0], losses.NonSaturating().generator(logits_fake)[1]
    assert [row.name for row in check_loss(Mixed(), some(6, 1), some(4, 1)) if not row.ok] == ["G: dlogits_fake"]


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6])
def test_the_same_logits_may_stand_for_both_and_have_any_size(scale):
    logits = scale * some(6, 1)
    assert check_loss(losses.LeastSquares(), logits, logits).ok and check_loss(losses.Hinge(), logits, logits).ok


def test_logits_in_float32_are_refused():
    with pytest.raises(TypeError, match="float64"):
        check_loss(losses.LeastSquares(), some(6, 1).astype("float32"), some(4, 1).astype("float32"))


# --- two shards ---

class MeanTaken(Layer):
    """y = x - the mean over the batch: taken rightly, as BatchNorm takes it, or from the samples of one shard."""

    def __init__(self, samples, total):
        self.samples, self.total = samples, total

    def mean(self, x):
        return self.total(x) / batch_sum(len(x)) if self.total is batch_sum else self.total(x) / len(x)

    def forward(self, x, train=True):
        return x - self.mean(x), None

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        return dy - self.mean(dy) if input_grad else None


def two_shards(layer, x):
    return [row for row in check_layer(layer, x) if row.name == "two shards"]


def test_sums_over_the_batch_are_taken_by_batch_sum():
    x = mg.host_rng(0).standard_normal((5, 3))
    (right,) = two_shards(MeanTaken("summed", batch_sum), x)
    assert right.ok
    for samples in ("summed", "independent"):
        (wrong,) = two_shards(MeanTaken(samples, channel_sum), x)
        assert wrong.ok is False and f'samples = "{samples}"' in wrong.detail


def test_a_layer_that_says_nothing_of_its_samples_gets_the_batch_whole():
    report = check_layer(MeanTaken("mixed", channel_sum), mg.host_rng(0).standard_normal((5, 3)))
    assert report.ok and "two shards" not in [row.name for row in report]
