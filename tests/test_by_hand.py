"""The pencil programs: what they compute by hand is what minigan computes, and what differences say."""
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan as mg

sys.path.append(str(Path(__file__).parents[1] / "examples"))


@pytest.fixture
def load():
    return importlib.import_module


def test_the_matrix_of_a_convolution_and_its_transpose(load):
    lesson = load("conv_by_hand")
    A, (cols, y, dW, dx) = lesson.matrix(), lesson.minigan_numbers()
    np.testing.assert_array_equal(A @ lesson.x.ravel(), y.ravel())
    np.testing.assert_array_equal(A.T @ lesson.dy.ravel(), dx.ravel())
    np.testing.assert_array_equal(cols @ lesson.W.ravel(), y.ravel())
    np.testing.assert_array_equal(cols.T @ lesson.dy.ravel(), dW.ravel())


def test_batch_norm_staged_and_closed(load):
    lesson = load("batch_norm_by_hand")
    mean, _, inv_std, x_hat, _ = lesson.forward()
    *_, staged = lesson.backward_staged(mean, inv_std, x_hat)
    *_, closed = lesson.backward_closed(inv_std, x_hat)
    np.testing.assert_allclose(staged, closed, atol=1e-12)
    np.testing.assert_allclose(lesson.minigan_gradient(), closed, atol=1e-12)
    assert abs(closed.sum()) < 1e-12 and abs(closed @ x_hat) < 1e-8


def test_the_gradient_of_a_penalty(load):
    lesson = load("penalty_by_hand")
    _, a, _, g2, g1, g = lesson.passes()
    by_hand = lesson.double_backward(a, g2, g1, g)
    for name, value in lesson.minigan_gradients().items():
        np.testing.assert_allclose(by_hand[name], mg.to_numpy(value), atol=1e-12)
        array = getattr(lesson, name)
        slopes = [mg.gradcheck.central_difference(lesson.penalty, array, i)[0] for i in range(array.size)]
        np.testing.assert_allclose(by_hand[name].ravel(), slopes, atol=1e-8)


def test_adams_first_steps(load):
    lesson = load("adam_by_hand")
    with_correction, without = (lesson.adam(lesson.GRADIENTS, corrected) for corrected in (True, False))
    np.testing.assert_allclose([row[-1] for row in with_correction], lesson.minigan_thetas(), atol=1e-12)
    assert with_correction[0][-2] == pytest.approx(lesson.LR) and without[0][-2] == pytest.approx(lesson.LR * 10 ** 0.5)


def test_the_largest_singular_value(load):
    lesson = load("spectral_norm_by_hand")
    largest = np.linalg.svd(lesson.W)[1][0]
    assert lesson.power_iteration(20)[-1][-1] == pytest.approx(largest) and lesson.minigan_sigma() == pytest.approx(largest)


def test_pairs_show_a_collapse_more_clearly(load):
    lesson = load("packing")
    assert [lesson.total_variation((0.5, 0.5), (0, 1), m) for m in (1, 2, 3)] == [0.5, 0.75, 0.875]


def test_three_ways_agree_where_all_can_see(load):
    lesson = load("trust_a_gradient")
    assert abs(lesson.central(lesson.f, 0.7, 1e-5) - lesson.slope(0.7)) < 1e-9
    assert abs(lesson.complex_step(lesson.f, 0.7, 1e-30) - lesson.slope(0.7)) < 1e-15
