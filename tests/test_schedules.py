"""Schedules: their values at the ends and between, and what parse refuses."""
import math

import numpy as np
import pytest

import minigan as mg
from minigan.training import schedules
from minigan.training.schedules import parse


def test_constant():
    assert [schedules.constant(3)(step) for step in (0, 1, 10 ** 6)] == [3.0] * 3


@pytest.mark.parametrize("make", [schedules.linear, schedules.cosine])
@pytest.mark.parametrize("start, end", [(0.1, 0.3), (1.0, 0.0), (0.7, 0.1)])
def test_a_ramp_meets_its_ends_to_the_bit_and_stays_at_the_last(make, start, end):
    value = make(start, end, 30)
    assert value(0) == start and value(30) == value(31) == value(10 ** 9) == end
    assert value(15) == pytest.approx((start + end) / 2, rel=1e-12)
    steps = [(value(step + 1) - value(step)) / (end - start) for step in range(30)]
    assert min(steps) > 0


def test_linear_is_straight_and_cosine_is_slow_at_both_ends():
    straight, curved = schedules.linear(1, 0, 8), schedules.cosine(1, 0, 8)
    assert [straight(step) for step in range(9)] == [1 - step / 8 for step in range(9)]
    assert curved(1) == pytest.approx((1 + math.cos(math.pi / 8)) / 2, rel=1e-12)
    assert curved(2) == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-12)


def test_exponential_has_one_factor_for_every_so_many_steps():
    value = schedules.exponential(0.8, 0.5, 10)
    assert (value(0), value(10), value(30)) == pytest.approx((0.8, 0.4, 0.1), rel=1e-12)
    assert value(5) == pytest.approx(0.8 * math.sqrt(0.5), rel=1e-12)


def test_constant_then_linear_holds_for_half_of_the_steps_and_is_straight_then():
    value = schedules.constant_then_linear(0.5, 0.25, 16)
    assert [value(step) for step in range(9)] == [0.5] * 9
    assert [value(step) for step in (8, 10, 12, 14, 16, 99)] == [0.5, 0.4375, 0.375, 0.3125, 0.25, 0.25]


def test_the_limits_are_schedules_too():
    assert [schedules.exponential(0.3, 1, 1)(step) for step in (0, 7)] == [0.3, 0.3]
    assert [schedules.linear(1, 0, 1)(step) for step in (0, 1, 2)] == [1, 0, 0]


@pytest.mark.parametrize("text, same", [
    ("0.25", schedules.constant(0.25)), ("constant:0.25", schedules.constant(0.25)),
    (0.25, schedules.constant(np.float32(0.25))),
    ("linear:0.1:0:1000", schedules.linear(0.1, 0, 1000)), ("linear:0:-1e-1:1e3", schedules.linear(0, -0.1, 1000)),
    ("constant_then_linear:1:0:1200", schedules.constant_then_linear(1, 0, 1200)),
    ("cosine:1:0.5:300", schedules.cosine(1, 0.5, 300)), ("exponential:1:0.9:50", schedules.exponential(1, 0.9, 50))])
def test_a_text_names_a_schedule(text, same):
    values = [parse(text)(step) for step in (0, 1, 299, 1000, 5000)]
    assert values == [same(step) for step in (0, 1, 299, 1000, 5000)]
    assert {type(value) for value in values} == {float}


def test_every_schedule_has_a_name():
    assert set(schedules.by_name) == {"constant", "linear", "constant_then_linear", "cosine", "exponential"}
    assert all(schedules.by_name[name] is getattr(schedules, name) for name in schedules.by_name)


FORMS = ("expected a number or one of constant:VALUE, linear:START:END:STEPS, "
         "constant_then_linear:START:END:STEPS, cosine:START:END:STEPS, exponential:START:FACTOR:EVERY")


@pytest.mark.parametrize("text, message", [
    *((text, f"schedule {text!r}: {FORMS}")
      for text in ("", "linear", "liner:1:0:10", "linear:1:0", "linear:1:0:10:3", "linear:1:zero:10", "constant:", ":1")),
    ("linear:1:0:0", "schedule linear: steps must be a whole number of at least 1, got 0"),
    ("cosine:1:0:2.5", "schedule cosine: steps must be a whole number of at least 1, got 2.5"),
    ("linear:nan:0:10", "schedule linear: start must be a finite number, got nan"),
    ("linear:0:inf:10", "schedule linear: end must be a finite number, got inf"),
    ("inf", "schedule constant: value must be a finite number, got inf"),
    ("exponential:1:0:10", "schedule exponential: factor must be above 0 and at most 1, got 0"),
    ("exponential:1:1.1:10", "schedule exponential: factor must be above 0 and at most 1, got 1.1"),
    ("exponential:1:0.5:-3", "schedule exponential: every must be a whole number of at least 1, got -3")])
def test_a_text_that_is_none_gives_one_error(text, message):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_schedule_drives_the_noise_of_a_layer():
    layer, sigma = mg.layers.InstanceNoise(1.0), parse("linear:1:0:4")
    x, sizes = mg.asarray(mg.host_rng(0).standard_normal((400, 5))), []
    for step in range(5):
        layer.sigma = sigma(step)
        sizes.append(float((layer.forward(x)[0] - x).std()))
    assert sizes == pytest.approx([1, 0.75, 0.5, 0.25, 0], rel=0.07)
