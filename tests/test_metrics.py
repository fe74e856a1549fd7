"""The judges of samples: a classifier for images, the modes of a mixture for points."""
import numpy as np
import pytest

import minigan as mg
from minigan import gradcheck, metrics

X, LABELS = mg.datasets.digits()


def test_softmax_cross_entropy_is_the_derivative_of_its_value():
    logits, labels = mg.host_rng(0).standard_normal((6, 4)), np.array([0, 3, 1, 1, 2, 0])
    value, dlogits = metrics.softmax_cross_entropy(logits, labels)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value == pytest.approx(-np.log(p[np.arange(6), labels]).mean())
    report = gradcheck.Report("softmax cross-entropy")
    gradcheck.compare(report, lambda: metrics.softmax_cross_entropy(logits, labels)[0], {"dlogits": logits},
                      {"dlogits": dlogits}, mg.host_rng(1))
    assert report.ok, report


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_stays_finite_for_huge_logits(dtype):
    value, dlogits = metrics.softmax_cross_entropy(np.array([[1e4, -1e4]], dtype), np.array([1]))
    assert value == 2e4 and dlogits.tolist() == [[1, -1]] and dlogits.dtype == dtype


def test_the_classifier_knows_the_digits(backend):
    judge = metrics.Classifier(X, LABELS, epochs=30)
    assert judge.accuracy > 0.95 and judge.classes == 10 and len(judge.held_out) == len(X) // 5
    real, noise = judge.verdict(judge.held_out), judge.verdict(mg.host_rng(0).uniform(-1, 1, (500, 8, 8, 1)).astype("float32"))
    assert real.classes == 10 and real.confident > 0.85 > noise.confident
    np.testing.assert_allclose(judge.probabilities(X[:5]).sum(axis=1), 1, rtol=1e-5)


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
    assert found.modes == 0 and found.high_quality == 0


def test_each_mode_counts_once():
    centres = mg.datasets.ring_centres()
    found = metrics.modes(np.concatenate([centres[[1, 1, 5]], [[9, 9]]]), centres, 0.01)
    assert found.modes == 2 and found.high_quality == 0.75
