"""Augmentations: what each does to images, that its backward is its adjoint, and that a gradient comes through them to G."""
import numpy as np
import pytest
from cases import build, check, draw
from hypothesis import given
from hypothesis import strategies as st

from minigan import penalties
from minigan.backend import asarray, host_rng, rng_state, to_numpy
from minigan.backend import rng as device_rng
from minigan.gradcheck import check_double_backward
from minigan.layers import (
    Brightness,
    Conv2D,
    Cutout,
    Dense,
    Flatten,
    RandomFlip,
    RandomRotate90,
    RandomShift,
    Reshape,
    Sequential,
    Tanh,
)

AUGMENTATIONS = {
    "RandomFlip": lambda seed: RandomFlip(rng=device_rng(seed)),
    "RandomRotate90": lambda seed: RandomRotate90(rng=device_rng(seed)),
    "RandomShift": lambda seed: RandomShift(2, rng=device_rng(seed)),
    "Brightness": lambda seed: Brightness(0.5, rng=device_rng(seed)),
    "Cutout": lambda seed: Cutout(0.5, rng=device_rng(seed)),
}
every = pytest.mark.parametrize("name", AUGMENTATIONS)
LINEAR = sorted(set(AUGMENTATIONS) - {"Brightness"})


def images(N, H=5, W=5, C=2, seed=0):
    return host_rng(seed).uniform(-1, 1, (N, H, W, C)).astype("float32")


def transformed(layer, x):
    return to_numpy(layer.forward(asarray(x))[0])


# --- what they do ---

def test_flip_mirrors_about_half_of_the_images(backend):
    x = images(400, 3, 4)
    y = transformed(RandomFlip(rng=device_rng(1)), x)
    mirrored = (y == x[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(y[~mirrored], x[~mirrored])
    assert mirrored.mean() == pytest.approx(0.5, abs=0.1)              # four standard deviations


def test_rotate_turns_each_image_by_one_of_four_angles(backend):
    x = images(400, 3, 3)
    y = transformed(RandomRotate90(rng=device_rng(1)), x)
    counts = [sum(np.array_equal(b, np.rot90(a, k)) for a, b in zip(x, y)) for k in range(4)]
    assert sum(counts) == 400 and min(counts) > 65 and max(counts) < 135


def test_shift_is_a_crop_of_the_framed_image_at_every_place(backend):
    x, p = images(400, 4, 5), 2
    y = transformed(RandomShift(p, rng=device_rng(1)), x)
    framed = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    places = []
    for n in range(400):
        places += [(i, j) for i in range(5) for j in range(5) if np.array_equal(y[n], framed[n, i:i + 4, j:j + 5])]
    assert len(places) == 400 and set(places) == {(i, j) for i in range(5) for j in range(5)}
    assert max(places.count(place) for place in set(places)) < 34      # 16 on average, standard deviation 4


def test_brightness_adds_one_number_to_an_image(backend):
    x = images(400)
    added = transformed(Brightness(0.5, rng=device_rng(1)), x) - x
    b = added.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(added, np.broadcast_to(b.reshape(-1, 1, 1, 1), x.shape), atol=1e-6)
    assert -0.5 <= b.min() < -0.45 and 0.45 < b.max() <= 0.5
    assert b.mean() == pytest.approx(0, abs=0.06) and b.std() == pytest.approx(1 / np.sqrt(12), abs=0.03)


@pytest.mark.parametrize("share, height, width", [(0.5, 3, 2), (1.0, 6, 4), (0.25, 2, 1)])
def test_cutout_blanks_a_rectangle_around_any_pixel(backend, share, height, width):
    x = images(400, 6, 4)
    y = transformed(Cutout(share, rng=device_rng(1)), x)
    expected = {}                                          # the pattern of zeros for every centre
    for i in range(6):
        for j in range(4):
            kept = np.ones((6, 4), bool)
            kept[max(0, i - height // 2):max(0, i - height // 2 + height),
                 max(0, j - width // 2):max(0, j - width // 2 + width)] = False
            expected[kept.tobytes()] = kept
    found = set()
    for before, after in zip(x, y):
        kept = (after != 0).all(axis=-1)
        np.testing.assert_array_equal(after, np.where(expected[kept.tobytes()][..., None], before, 0))
        found.add(kept.tobytes())
    assert found == set(expected)


def test_what_is_drawn_makes_T_draw_by_draw(backend):
    """So that a seed gives the same images in every version of minigan."""
    x = images(6, 4, 4)
    def drawn(): return device_rng(5)
    u = to_numpy(drawn().random((6, 1, 1, 1), dtype="float32"))
    np.testing.assert_array_equal(transformed(RandomFlip(drawn()), x), np.where(u < 0.5, x[:, :, ::-1], x))
    np.testing.assert_array_equal(transformed(Brightness(0.3, drawn()), x), x + np.float32(0.3) * (2 * u - 1))
    np.testing.assert_array_equal(transformed(Brightness(0, drawn()), x), x)
    turns = to_numpy(drawn().integers(4, size=(6, 1, 1, 1))).ravel()
    np.testing.assert_array_equal(transformed(RandomRotate90(drawn()), x), [np.rot90(a, k) for a, k in zip(x, turns)])
    framed, places = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), to_numpy(drawn().integers(3, size=(2, 6, 1, 1)))
    np.testing.assert_array_equal(transformed(RandomShift(1, drawn()), x),
                                  [a[i:i + 4, j:j + 4] for a, i, j in zip(framed, *places.reshape(2, 6))])
    rng, expected = drawn(), x.copy()
    rows, columns = (to_numpy(rng.integers(4, size=(6, 1, 1, 1))).ravel() for _ in range(2))
    for a, i, j in zip(expected, rows, columns):
        a[max(0, i - 1):i + 1, max(0, j - 1):j + 1] = 0
    np.testing.assert_array_equal(transformed(Cutout(0.5, drawn()), x), expected)


@every
def test_every_call_and_every_sample_draws_anew_and_the_seed_decides_what(backend, name):
    x = np.broadcast_to(images(1), (40, 5, 5, 2)).copy()
    layer, same = AUGMENTATIONS[name](3), AUGMENTATIONS[name](3)
    first, second = transformed(layer, x), transformed(layer, x)
    assert not np.array_equal(first, second) and not np.array_equal(first, np.broadcast_to(first[:1], first.shape))
    np.testing.assert_array_equal(transformed(same, x), first)
    np.testing.assert_array_equal(transformed(same, x), second)


@every
def test_in_evaluation_nothing_happens_and_nothing_is_drawn(backend, name):
    layer, x = AUGMENTATIONS[name](3), asarray(images(3))
    before = rng_state(layer.rng).copy()
    y, cache = layer.forward(x, train=False)
    np.testing.assert_array_equal(to_numpy(y), to_numpy(x))
    np.testing.assert_array_equal(to_numpy(layer.backward(x, cache)), to_numpy(x))
    np.testing.assert_array_equal(rng_state(layer.rng), before)


@every
def test_each_shard_of_a_batch_draws_for_itself_and_always_the_same(in_shards, name):
    def run():
        net = Sequential(AUGMENTATIONS[name](2), Flatten(), Dense(50, 50))
        net[2].W = np.eye(50, dtype="float32")
        return net.forward(np.broadcast_to(images(1), (60, 5, 5, 2)).copy())[0]

    y = run()
    assert not np.array_equal(y[:20], y[20:40]) and not np.array_equal(y[20:40], y[40:])
    assert {run().tobytes() for _ in range(20)} == {y.tobytes()}


# --- their derivative ---

@pytest.mark.parametrize("name", LINEAR)
@given(N=st.integers(1, 5), H=st.integers(1, 5), W=st.integers(1, 5), C=st.integers(1, 3), seed=st.integers(0, 999))
def test_backward_is_the_adjoint(backend, name, N, H, W, C, seed):
    """<T x, c> = <x, T* c>, for the T that was drawn in this pass."""
    W = H if name == "RandomRotate90" else W
    x, c = (asarray(host_rng(s).standard_normal((N, H, W, C))) for s in (seed, seed + 1))
    layer = AUGMENTATIONS[name](seed)
    y, cache = layer.forward(x)
    a, b = to_numpy((y * c).sum()), to_numpy((x * layer.backward(c, cache)).sum())
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("broken", [
    ("RandomFlip", lambda layer, v, T: v), ("RandomRotate90", lambda layer, v, T: layer.adjoint(v, T)),
    ("RandomShift", lambda layer, v, T: layer.adjoint(v, T)), ("RandomShift", lambda layer, v, T: v),
    ("Brightness", lambda layer, v, T: layer.transform(v, T)), ("Cutout", lambda layer, v, T: v)],
    ids=lambda broken: broken[0])
def test_a_broken_double_backward_is_caught(broken):
    name, function = broken
    layer, x = build(name)
    layer.double_backward = lambda v, dy, cache: (function(layer, v, cache[0]), None)
    assert not check_double_backward(layer, x).ok


def critic(seed=0):
    w = {"rng": host_rng(seed), "dtype": "float64"}
    return [RandomFlip(rng=device_rng(1)), RandomRotate90(rng=device_rng(2)), RandomShift(1, rng=device_rng(3)),
            Brightness(0.5, rng=device_rng(4)), Cutout(0.5, rng=device_rng(5)), Conv2D(1, 3, 3, stride=2, **w), Tanh(),
            Flatten(), Dense(12, 1, **w)]


def test_the_gradient_reaches_G_through_the_augmentations_in_D(backend):
    w = {"rng": host_rng(7), "dtype": "float64"}
    G = [Dense(3, 16, **w), Tanh(), Reshape(4, 4, 1)]
    report = check(Sequential(*G, *critic()), draw(host_rng(8), (6, 3)))
    assert report.ok, report


def test_a_gradient_penalty_goes_through_the_augmentations(backend):
    report = check_double_backward(Sequential(*critic()), draw(host_rng(8), (6, 4, 4, 1)), entries=30)
    assert report.ok, report
    D, x = Sequential(*critic()), draw(host_rng(8), (6, 4, 4, 1))
    assert to_numpy(penalties.r1(D, x)) > 0 and to_numpy(abs(D.dtheta).max()) > 0


def test_real_images_alone_can_be_augmented_by_the_same_layers(backend):
    """The kind that is part of the data pipeline: no backward pass."""
    augment, x = Sequential(RandomFlip(rng=device_rng(1)), RandomShift(1, rng=device_rng(2))), asarray(images(8))
    y, _ = augment.forward(x)
    assert y.shape == x.shape and y.dtype == x.dtype and not np.array_equal(to_numpy(y), to_numpy(x))


# --- mistakes of the caller ---

@pytest.mark.parametrize("error, message, call", [
    (ValueError, "RandomFlip: expected (N, H, W, C), got (4, 25)", lambda x: RandomFlip().forward(x.reshape(4, 25))),
    (ValueError, "RandomRotate90: only square images keep their shape when turned, got (2, 5, 10, 1)",
     lambda x: RandomRotate90().forward(x.reshape(2, 5, 10, 1))),
    (ValueError, "RandomShift: pixels must be a whole number of at least 1, got 0", lambda x: RandomShift(0)),
    (ValueError, "RandomShift: pixels must be a whole number of at least 1, got 1.5", lambda x: RandomShift(1.5)),
    (ValueError, "Brightness: strength must be a number of at least 0, got -1", lambda x: Brightness(-1)),
    (ValueError, "Brightness: strength must be a number of at least 0, got nan", lambda x: Brightness(float("nan"))),
    (ValueError, "Cutout: share must be above 0 and at most 1, got 0", lambda x: Cutout(0)),
    (ValueError, "Cutout: share must be above 0 and at most 1, got 1.5", lambda x: Cutout(1.5)),
    (TypeError, "RandomFlip: rng must be a generator, minigan.backend.rng(seed), got 42", lambda x: RandomFlip(rng=42))])
def test_a_mistake_gives_one_error(error, message, call):
    with pytest.raises(error) as caught:
        call(images(4, 5, 5, 1))
    assert str(caught.value) == message
