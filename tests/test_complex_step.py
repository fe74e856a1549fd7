"""The complex step: right gradients are right to ten digits, small mistakes are seen, what is not analytic is refused."""
import pytest

import minigan as mg
from minigan import layers as L
from minigan.gradcheck import check_complex_step, check_layer

ANALYTIC = [(lambda: L.Dense(3, 2, dtype="float64"), (4, 3)), (lambda: L.Conv2D(2, 3, 3, 2, dtype="float64"), (2, 5, 5, 2)),
            (lambda: L.ConvTranspose2D(2, 3, 4, 2, dtype="float64"), (2, 3, 3, 2)), (L.Tanh, (3, 2)),
            (lambda: L.BatchNorm(3, dtype="float64"), (6, 3)), (lambda: L.LayerNorm(3, dtype="float64"), (4, 2, 3)),
            (lambda: L.LeakyReLU(0.2), (3, 4)), (lambda: L.Dropout(0.5), (3, 4)),
            (lambda: mg.Sequential(L.Dense(3, 3, dtype="float64"), L.Tanh(), L.Dense(3, 1, dtype="float64")), (4, 3))]


def x(*shape):
    return mg.asarray(mg.host_rng(0).standard_normal(shape))


@pytest.mark.parametrize("make, shape", ANALYTIC)
def test_right_gradients_are_right_to_ten_digits_and_nothing_is_left_changed(make, shape):
    layer = make()
    before = [(value, mg.to_numpy(value).copy()) for _, value in layer.states()]
    before += [(value, mg.to_numpy(value).copy()) for _, value, _ in layer.parameters()]
    report = check_complex_step(layer, x(*shape))
    assert report.ok and len(report) == 1 + sum(1 for _ in layer.parameters()), report
    assert all((mg.to_numpy(value) == start).all() for value, start in before)


class Nearly(L.Tanh):
    def backward(self, dy, cache, param_grads=True, input_grad=True):
        dx = super().backward(dy, cache, param_grads, input_grad)
        return dx if dx is None else dx * (1 + 1e-8)


def test_it_sees_what_differences_cannot():
    assert check_layer(Nearly(), x(3, 2)).ok
    assert not check_complex_step(Nearly(), x(3, 2)).ok


def test_what_is_not_analytic_is_refused():
    with pytest.raises(TypeError, match="Sigmoid: its forward pass is not analytic.*check_layer"):
        check_complex_step(L.Sigmoid(), x(3, 2))


class Real(L.Tanh):
    def forward(self, x, train=True):
        if x.dtype.kind == "c":
            raise TypeError("no such numbers")
        return super().forward(x, train)


def test_a_layer_that_cannot_compute_with_complex_numbers_is_refused():
    with pytest.raises(TypeError, match="Real: cannot compute with complex numbers .no such"):
        check_complex_step(Real(), x(3, 2))
