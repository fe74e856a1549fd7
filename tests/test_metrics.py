"""The judges of samples: a classifier for images, the modes of a mixture for points."""
import math
import os

import numpy as np
import pytest
from cases import Asked

import minigan as mg
from minigan import gradcheck, metrics
from minigan.losses import softmax_cross_entropy
from minigan.metrics.classifier import in_portions

X, LABELS = mg.datasets.digits()


def test_softmax_cross_entropy_is_the_derivative_of_its_value():
    logits, labels = mg.host_rng(0).standard_normal((6, 4)), np.array([0, 3, 1, 1, 2, 0])
    value, dlogits = softmax_cross_entropy(logits, labels)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value == pytest.approx(-np.log(p[np.arange(6), labels]).mean())
    report = gradcheck.Report("softmax cross-entropy")
    gradcheck.compare(report, lambda: softmax_cross_entropy(logits, labels)[0], {"dlogits": logits},
                      {"dlogits": dlogits}, mg.host_rng(1))
    assert report.ok, report


@pytest.mark.parametrize("labels", [[0, 3, 1, -1], [0, 4, 1, 1], [[0], [3], [1], [1]], [0], [0.0, 3.0, 1.0, 1.0], np.eye(4)],
                         ids=["below 0", "beyond K", "a column", "too few", "floats", "one-hot"])
def test_it_refuses_what_are_no_labels(labels):
    with pytest.raises(ValueError, match=r"softmax_cross_entropy: labels must be .* from 0 to 3, one a sample, \(4,\), got"):
        softmax_cross_entropy(mg.host_rng(0).standard_normal((4, 4)), np.array(labels))
    with pytest.raises(ValueError, match=r"expected logits \(N, K\)"):
        softmax_cross_entropy(np.zeros(4), np.array([0, 1, 2, 3]))


def test_a_label_that_is_no_class_is_not_silent_on_a_gpu(standin):
    with np.errstate(invalid="ignore"):
        value, dlogits = softmax_cross_entropy(mg.asarray(np.zeros((2, 3), "float32")), mg.asarray(np.array([1, 3])))
    assert np.isnan(value.get()) and np.isnan(dlogits.get()).any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("worst", [-np.inf, -3e38])
def test_another_class_may_be_impossible(backend, worst):
    with np.errstate(over="ignore"):
        value, dlogits = softmax_cross_entropy(mg.asarray(np.array([[3e38, worst], [0.0, 0.0]], "float32")),
                                                       mg.asarray(np.array([0, 1])))
    assert float(value) == pytest.approx(math.log(2) / 2) and mg.to_numpy(dlogits).tolist() == [[0, 0], [0.25, -0.25]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_stays_finite_for_huge_logits(dtype):
    value, dlogits = softmax_cross_entropy(np.array([[1e4, -1e4]], dtype), np.array([1]))
    assert value == 2e4 and dlogits.tolist() == [[1, -1]] and dlogits.dtype == dtype


def test_the_classifier_knows_the_digits(backend):
    judge = metrics.Classifier(X, LABELS, epochs=30)
    assert judge.accuracy > 0.95 and judge.classes == 10 and len(judge.held_out) == len(X) // 5
    real, noise = judge.verdict(judge.held_out), judge.verdict(mg.host_rng(0).uniform(-1, 1, (500, 8, 8, 1)).astype("float32"))
    assert real.classes == 10 and real.confident > 0.85 > noise.confident
    np.testing.assert_allclose(judge.probabilities(X[:5]).sum(axis=1), 1, rtol=1e-5)


def few_images(n=85):
    """Images of 2 x 1 pixels of three classes, that are no trouble to tell apart, in no order."""
    rng = mg.host_rng(8)
    labels = rng.integers(3, size=n)
    return (0.3 * rng.standard_normal((n, 2, 1, 1)) + labels.reshape(-1, 1, 1, 1)).astype("float32"), labels


def adam_by_hand(network, x, labels, steps, lr, beta1, beta2=0.999, eps=1e-8):
    """Training of a softmax(x W + b) in float64, with the sums that m and v stand for (arXiv:1412.6980, eq. 1)."""
    W, past = np.vstack([network[-1].W, network[-1].b]).astype("float64"), []
    for batch in steps:
        rows = np.hstack([x[batch].reshape(len(batch), -1).astype("float64"), np.ones((len(batch), 1))])
        p = np.exp(rows @ W)
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(batch)), labels[batch]] -= 1
        past.append(rows.T @ p / len(batch))
        t = len(past)
        m = sum((1 - beta1) * beta1 ** (t - 1 - i) * g for i, g in enumerate(past)) / (1 - beta1 ** t)
        v = sum((1 - beta2) * beta2 ** (t - 1 - i) * g * g for i, g in enumerate(past)) / (1 - beta2 ** t)
        W -= lr * m / (np.sqrt(v) + eps)
    return W


def test_the_classifier_learns_as_by_hand():
    """One fifth held out, the others in an order drawn anew for each epoch; Adam with 2e-3 and 0.9."""
    x, labels = few_images(27)
    judge = metrics.Classifier(x, labels, 5, 2, 4, network=mg.Sequential(mg.layers.Flatten(), Asked(2, 3, rng=mg.host_rng(2))))
    rng, by_hand = mg.host_rng(5), mg.Sequential(mg.layers.Flatten(), mg.layers.Dense(2, 3, rng=mg.host_rng(2)))
    order = rng.permutation(27)
    held_out, steps = order[:5], []
    for _ in range(2):
        train = rng.permutation(order[5:])
        steps += [train[i:i + 4] for i in range(0, 22, 4)]
    W = adam_by_hand(by_hand, x, labels, steps, 2e-3, 0.9)
    np.testing.assert_allclose(np.vstack([judge.network[-1].W, judge.network[-1].b]), W, rtol=1e-4, atol=1e-6)
    assert judge.network[-1].asked == 12 * [(True, False)]
    np.testing.assert_array_equal(judge.held_out, x[held_out])
    right = (x[held_out].reshape(5, 2) @ W[:2] + W[2]).argmax(axis=1) == labels[held_out]
    assert 0 < right.sum() < 5 and judge.accuracy == right.mean()


def test_the_classifier_takes_images_of_either_dtype():
    x, labels = (array[:50] for array in mg.datasets.digits())
    for dtype in ("float32", "float64"):
        assert metrics.Classifier(x.astype(dtype), labels, epochs=1).probabilities(x.astype(dtype)).dtype == dtype


def test_the_defaults_of_the_classifier():
    x, labels = few_images()
    judge, same = metrics.Classifier(x, labels), metrics.Classifier(x, labels, seed=0, epochs=100, batch_size=64)
    assert judge.network.theta.tobytes() == same.network.theta.tobytes() and judge.accuracy == same.accuracy
    assert [layer.W.shape for layer in judge.network.layers if hasattr(layer, "W")] == [(2, 128), (128, 3)]


class Said(metrics.Classifier):
    """A classifier that says of any images what it was told."""

    def __init__(self, p):
        self.p = np.array(p)

    def probabilities(self, x):
        return self.p


def test_the_verdict_by_hand():
    """Sure is above the confidence, 0.9 if nothing else is said; classes that are nobody's most probable one do not count."""
    judge = Said([[0.95, 0.03, 0.02], [0.5, 0.3, 0.2], [0.875, 0.1, 0.025], [0.02, 0.06, 0.92], [0.4, 0.3, 0.3]])
    assert judge.verdict(None) == metrics.Verdict(2, 0.4)
    assert judge.verdict(None, confidence=0.875) == metrics.Verdict(2, 0.4)
    assert judge.verdict(None, 0.875 - 1e-9) == metrics.Verdict(2, 0.6) and judge.verdict(None, 0.3).confident == 1


def test_the_smallest_that_can_be_judged():
    x, labels = few_images(5)
    assert metrics.Classifier(x, labels, epochs=1).accuracy in (0, 1)
    with pytest.raises(ValueError, match="Classifier: needs at least 5 images, .* got 4"):
        metrics.Classifier(x[:4], labels[:4])
    value, dlogits = softmax_cross_entropy(np.array([[3.0]]), np.array([0]))
    assert value == 0 and dlogits.tolist() == [[0]]
    assert metrics.psnr(np.ones((1, 1)), np.zeros((1, 1)), peak=10) == pytest.approx(20)
    with pytest.raises(ValueError, match="psnr: expected two batches of images"):
        metrics.psnr(np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="modes: fewest must be a whole number of at least 1"):
        metrics.modes(np.zeros((1, 2)), np.zeros((1, 2)), 1.0, fewest=0)


@pytest.mark.parametrize("wrong", [-0.1, math.inf, math.nan])
def test_one_number_that_is_no_probability_among_others_is_refused(wrong):
    for score in (metrics.classifier_score, metrics.class_kl):
        with pytest.raises(ValueError, match="expected probabilities"):
            score(np.array([[0.5, 0.5], [0.25, wrong]]))
    for p, q in (([0.5, wrong], [1, 1]), ([1, 1], [0.5, wrong])):
        with pytest.raises(ValueError, match="kl: expected two lists"):
            metrics.kl(p, q)


def test_portions_are_of_1000():
    sizes = []
    in_portions(lambda x: sizes.append(len(x)) or x, np.zeros((2001, 1)))
    assert sizes == [1000, 1000, 1]


def test_a_collapsed_generator_shows_one_class():
    judge = metrics.Classifier(X, LABELS, epochs=5)
    assert judge.verdict(np.repeat(X[:1], 100, axis=0)).classes == 1


@pytest.mark.parametrize("name, sigma, count", [("ring", 0.01, 8), ("grid", 0.05, 25)])
def test_real_points_find_all_modes(name, sigma, count):
    points, _ = getattr(mg.datasets, name)(2500, mg.host_rng(0))
    found = metrics.modes(points, getattr(mg.datasets, f"{name}_centres")(), sigma)
    assert found.modes == count
    assert found.high_quality == pytest.approx(1 - np.exp(-4.5), abs=0.01)     # within 3 sigma, in two dimensions


def test_points_between_the_modes_find_none():
    found = metrics.modes(np.zeros((10, 2)), mg.datasets.ring_centres(), 0.01)
    assert found.modes == 0 and found.high_quality == 0 and math.isnan(found.reverse_kl)


def test_each_mode_counts_once():
    centres = mg.datasets.ring_centres()
    found = metrics.modes(np.concatenate([centres[[1, 1, 5]], [[9, 9]]]), centres, 0.01)
    assert found.modes == 2 and found.high_quality == 0.75
    points = centres[[1, 1, 5]]
    assert [metrics.modes(points, centres, 0.01, fewest).modes for fewest in (1, 2, 3)] == [2, 1, 0]


def test_modes_that_are_not_symmetric_around_the_origin_and_points_at_the_border():
    """Within 3 sigma: a point exactly there is outside."""
    centres = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 16.0]])
    points = np.array([[3.0, 0.0], [0.0, 2.75], [8.0, 2.9], [5.1, 0.0], [0.0, 13.0], [0.5, 13.5]])
    assert metrics.modes(points, centres, 1.0) == metrics.Modes(3, 4 / 6, pytest.approx(metrics.kl([1, 2, 1])))


# --- how evenly ---

def test_kl_by_hand():
    assert metrics.kl([1, 1, 2]) == pytest.approx(0.5 * math.log(3 / 4) + 0.5 * math.log(3 / 2))      # 1/4, 1/4, 1/2 to thirds
    assert metrics.kl([0.2, 0.8], [0.5, 0.5]) == pytest.approx(metrics.kl([1, 4]))
    assert metrics.kl([3, 1], [1, 3]) == pytest.approx(0.5 * math.log(3))
    assert metrics.kl([5, 5, 5]) == 0 and metrics.kl([0, 7, 0]) == pytest.approx(math.log(3))
    assert metrics.kl([1, 1], [1, 0]) == math.inf and math.isnan(metrics.kl([0, 0]))
    assert metrics.kl([1, 0], [1, 1]) != metrics.kl([1, 1], [1, 0])                # it has a direction


def test_kl_of_what_is_hardly_there():
    assert metrics.kl([1, 1], [1, 1e-320]) == pytest.approx(0.5 * math.log(0.5) + 0.5 * (math.log(0.5) - math.log(1e-320)))
    assert math.isnan(metrics.kl([1, 1], [0, 0]))


@pytest.mark.parametrize("p, q", [([[1, 2]], None), ([1, -1], None), ([1, 2], [1, 2, 3]), ([1, 2], [1, -2])])
def test_kl_refuses_what_is_no_distribution(p, q):
    with pytest.raises(ValueError, match="kl"):
        metrics.kl(p, q)


def test_reverse_kl_of_points_by_hand():
    centres = mg.datasets.ring_centres()
    found = metrics.modes(np.concatenate([centres[[1, 1, 5, 6]], [[9, 9]]]), centres, 0.01)
    # 1/2, 1/4, 1/4 of the four good points, against 1/8 everywhere; the point at (9, 9) does not count
    assert found.reverse_kl == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(2))
    assert metrics.modes(centres, centres, 0.01).reverse_kl == pytest.approx(0)
    assert metrics.modes(centres[[3, 3]], centres, 0.01).reverse_kl == pytest.approx(math.log(8))


def test_reverse_kl_of_real_points_is_that_of_a_finite_sample():
    points, _ = mg.datasets.grid(2500, mg.host_rng(1))
    found = metrics.modes(points, mg.datasets.grid_centres(), 0.05)
    assert found.reverse_kl == pytest.approx(24 / (2 * 2500), rel=0.8)              # (K - 1) / 2N, on average


# --- classes ---

def test_classifier_score_by_hand():
    sure = np.eye(4)[[0, 1, 2, 3, 3, 2, 1, 0]]
    assert metrics.classifier_score(sure) == pytest.approx(4)                      # sure of each, and all classes equal
    assert metrics.classifier_score(sure[:2]) == pytest.approx(2)
    assert metrics.classifier_score(np.repeat(sure[:1], 5, axis=0)) == pytest.approx(1)            # collapsed
    assert metrics.classifier_score(np.full((5, 4), 0.25)) == pytest.approx(1)                     # it cannot tell
    p = np.array([[0.9, 0.1], [0.5, 0.5]])                                                         # p(k) = 0.7, 0.3
    by_hand = (0.9 * math.log(9 / 7) + 0.1 * math.log(1 / 3) + 0.5 * math.log(5 / 7) + 0.5 * math.log(5 / 3)) / 2
    assert metrics.classifier_score(p) == pytest.approx(math.exp(by_hand))


def test_class_kl_by_hand():
    p = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0], [0.4, 0.3, 0.3]])             # classes 0, 0, 1, 0
    assert metrics.class_kl(p) == pytest.approx(0.75 * math.log(9 / 4) + 0.25 * math.log(3 / 4))
    assert metrics.class_kl(p, target=[3, 1, 0]) == pytest.approx(0)
    assert metrics.class_kl(p, target=[1, 0, 1]) == math.inf                       # a class that should not be there


def test_real_digits_score_better_than_a_collapsed_generator():
    judge = metrics.Classifier(X, LABELS, epochs=20)
    real, one_class = judge.probabilities(judge.held_out), judge.probabilities(X[LABELS == 3])
    assert 8 < metrics.classifier_score(real) <= 10 and metrics.classifier_score(one_class) < 1.5
    assert metrics.class_kl(real) < 0.05 and metrics.class_kl(one_class) > 2


def test_features_are_what_the_last_layer_sees(backend):
    judge = metrics.Classifier(X[:300], LABELS[:300], epochs=2)
    features = judge.features(X[:7])
    last = judge.network[-1]
    W, b = mg.to_numpy(last.W), mg.to_numpy(last.b)
    logits = features @ W + b
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert features.shape == (7, 128) and features.dtype == "float32"
    np.testing.assert_allclose(judge.probabilities(X[:7]), p, rtol=1e-4, atol=1e-6)


def test_portions_change_nothing():
    judge = metrics.Classifier(X[:300], LABELS[:300], epochs=1)
    in_one = in_portions(judge.network, X[:50])
    np.testing.assert_allclose(in_portions(judge.network, X[:50], size=7), in_one, rtol=1e-5, atol=1e-6)


def test_a_network_of_ones_own_can_judge():
    w = {"rng": mg.host_rng(0)}
    network = mg.Sequential(mg.layers.Conv2D(1, 8, 3, stride=2, **w), mg.layers.ReLU(), mg.layers.Flatten(),
                            mg.layers.Dense(128, 10, **w))
    judge = metrics.Classifier(X, LABELS, epochs=15, network=network)
    assert judge.accuracy > 0.9 and judge.features(X[:3]).shape == (3, 128)


@pytest.mark.parametrize("n, batch_size", [(81, 64), (6, 64), (81, 16), (80, 64)])
def test_a_last_batch_of_one_joins_the_one_before_it(n, batch_size):
    """Alone it would have no variance for a BatchNorm. All others stay as they are, and each sample is seen once an epoch."""
    sizes = []

    class Counting(mg.layers.Flatten):
        def forward(self, x, train=True):
            sizes.append(len(x)) if train else None
            return super().forward(x, train)

    w = {"rng": mg.host_rng(0)}
    network = mg.Sequential(Counting(), mg.layers.Dense(64, 8, **w), mg.layers.BatchNorm(8), mg.layers.ReLU(),
                            mg.layers.Dense(8, 10, **w))
    judge = metrics.Classifier(X[:n], LABELS[:n], epochs=1, batch_size=batch_size, network=network)
    assert sum(sizes) == n - n // 5 and min(sizes) > 1 and max(sizes) <= batch_size + 1
    assert judge.probabilities(X[:1]).shape == (1, 10)


def test_a_judge_may_know_more_classes_than_the_labels_show():
    network = mg.Sequential(mg.layers.Flatten(), mg.layers.Dense(64, 5, rng=mg.host_rng(0)))
    judge = metrics.Classifier(X[:50], LABELS[:50] % 3, epochs=1, network=network)
    assert judge.classes == 5 and judge.probabilities(X[:2]).shape == (2, 5)


# --- stacked digits: 1000 modes ---

class Oracle:
    """A classifier of images of one pixel, whose value is their class."""
    classes = 10

    def probabilities(self, x):
        assert x.shape[1:] == (1, 1, 1)
        return np.eye(10)[x[:, 0, 0, 0].astype(int)]


def test_stacked_modes_by_hand():
    triples = np.array([[1, 2, 3], [1, 2, 3], [3, 2, 1], [0, 0, 0]])
    found = metrics.stacked_modes(triples.reshape(4, 1, 1, 3), Oracle())
    assert found.modes == 3                                                        # 123 and 321 are two
    assert found.kl == pytest.approx(0.5 * math.log(500) + 0.5 * math.log(250))
    every = np.stack(np.meshgrid(*[np.arange(10)] * 3), axis=-1).reshape(1000, 1, 1, 3)
    assert metrics.stacked_modes(every, Oracle()) == metrics.StackedModes(1000, pytest.approx(0, abs=1e-12))
    assert metrics.stacked_modes(triples[:, :2].reshape(4, 1, 1, 2), Oracle()).modes == 3          # of 100


def test_stacked_digits_show_as_many_modes_as_were_drawn():
    judge = metrics.Classifier(X, LABELS, epochs=30)
    x, labels = mg.datasets.stacked_digits(4000, mg.host_rng(0))
    found = metrics.stacked_modes(x, judge)
    assert abs(found.modes - len(np.unique(labels))) < 15 and len(np.unique(labels)) > 960         # 1000 (1 - 1/e⁴) = 982
    assert found.kl == pytest.approx(metrics.kl(np.bincount(labels, minlength=1000)), abs=0.02)


@pytest.mark.skipif(not os.environ.get("MINIGAN_DATA"), reason="MINIGAN_DATA names no folder with MNIST")
def test_stacked_mnist_shows_1000_modes():
    x, labels = mg.datasets.mnist()
    judge = metrics.Classifier(x[:20_000], labels[:20_000], epochs=10)
    images, _ = mg.datasets.stacked_mnist(10_000, mg.host_rng(0))
    found = metrics.stacked_modes(images, judge)
    assert judge.accuracy > 0.94 and found.modes >= 998 and 0.04 < found.kl < 0.09                # 999 / 20,000 = 0.05


# --- the Fréchet distance ---

def standardised(n, F, seed=0):
    """(n, F) numbers of mean 0 and covariance 1 to the last digit."""
    x = mg.host_rng(seed).standard_normal((n, F))
    x -= x.mean(axis=0)
    L = np.linalg.cholesky(x.T @ x / (n - 1))
    return np.linalg.solve(L, x.T).T


def test_frechet_distance_of_one_dimension():
    """(m₁ - m₂)² + (σ₁ - σ₂)²"""
    a, b = standardised(50, 1), standardised(70, 1, seed=1)
    assert metrics.frechet_distance(2 * a + 1, 0.5 * b - 3) == pytest.approx(16 + 2.25)


def test_frechet_distance_of_covariances_that_commute():
    """With the same axes it is the sum over the axes, whatever way these are turned."""
    a, b = standardised(50, 3), standardised(60, 3, seed=1)
    turn, _ = np.linalg.qr(mg.host_rng(2).standard_normal((3, 3)))
    distance = metrics.frechet_distance((a * [1, 2, 3] + 1) @ turn, (b * [4, 2, 0]) @ turn)
    assert distance == pytest.approx(3 + 9 + 0 + 9)


def test_frechet_distance_of_covariances_that_do_not_commute():
    """In two dimensions tr √M = √(tr M + 2 √det M), for M = C₁ C₂."""
    a, b = standardised(50, 2), standardised(60, 2, seed=1)
    A, B = np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [3.0, 0.5]])
    C_a, C_b = A.T @ A, B.T @ B
    M = C_a @ C_b
    root = math.sqrt(np.trace(M) + 2 * math.sqrt(np.linalg.det(M)))
    assert abs(C_a @ C_b - C_b @ C_a).max() > 1
    assert metrics.frechet_distance(a @ A, b @ B) == pytest.approx(np.trace(C_a) + np.trace(C_b) - 2 * root)


def test_frechet_distance_is_symmetric_and_zero_for_the_same():
    a, b = mg.host_rng(0).standard_normal((40, 5)), 2 * mg.host_rng(1).standard_normal((30, 5))
    assert metrics.frechet_distance(a, b) == pytest.approx(metrics.frechet_distance(b, a))
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert metrics.frechet_distance(a, a[::-1].astype("float32")) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_samples_than_features_stays_finite():
    a, b = mg.host_rng(0).standard_normal((5, 20)), mg.host_rng(1).standard_normal((6, 20))
    a[:, 3] = b[:, 3] = 0                                                          # a feature that is never active
    assert 0 < metrics.frechet_distance(a, b) < 100
    assert metrics.frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]])) == pytest.approx(2)        # σ² = 2, 0


class Plain:
    """A judge whose features are the numbers of the images."""

    def features(self, x):
        return x.reshape(len(x), -1)


def test_frechet_takes_every_second_real_image_and_as_many_others():
    real, fake = (mg.host_rng(seed).standard_normal((n, 1, 1, 1)) for seed, n in ((0, 4), (1, 2)))
    found, flat = metrics.frechet(Plain(), fake, real), real.reshape(4, 1)
    assert found.fake == pytest.approx(metrics.frechet_distance(fake.reshape(2, 1), flat[::2]))
    assert found.real == pytest.approx(metrics.frechet_distance(flat[1::2], flat[::2]))
    for few in ((fake[:1], real), (fake, real[:3])):
        with pytest.raises(ValueError, match="frechet: needs at least 4 real images"):
            metrics.frechet(Plain(), *few)


@pytest.mark.parametrize("a, b", [((5, 3), (5, 4)), ((5,), (5,)), ((1, 3), (5, 3)), ((5, 3), (1, 3)), ((5, 0), (5, 0))])
def test_frechet_distance_refuses(a, b):
    with pytest.raises(ValueError, match="frechet_distance"):
        metrics.frechet_distance(np.zeros(a), np.zeros(b))


def test_frechet_puts_real_against_real_beside_it():
    judge = metrics.Classifier(X, LABELS, epochs=10)
    noise = mg.host_rng(0).uniform(-1, 1, (600, 8, 8, 1)).astype("float32")
    bad, collapsed = metrics.frechet(judge, noise, X), metrics.frechet(judge, X[LABELS == 1], X)
    a, b = judge.features(X[::2]), judge.features(X[1:1201:2])
    assert bad.real == pytest.approx(metrics.frechet_distance(b, a))               # 600 of each
    assert bad.fake > 20 * bad.real and collapsed.fake > 5 * collapsed.real
    assert collapsed.real > bad.real                                               # of fewer images: 182 of each
    assert metrics.frechet(judge, X[1::2], X).fake == pytest.approx(metrics.frechet(judge, X[1::2], X).real)
    assert f"{bad.real:.2f}" in str(bad) and f"{bad.fake:.2f}" in str(bad)
