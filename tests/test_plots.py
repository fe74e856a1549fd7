"""Pictures: pixel values and layout, files that other programs can read, what stands in a figure, and no display."""
import os
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigan as mg
from minigan import plots
from minigan.plots.history import _curves

ROOT = pathlib.Path(mg.__file__).parents[1]


def images(n, height=8, width=8, channels=1, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, height, width, channels)).astype("float32")


def colours(picture):
    return len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0))


# --- pictures of images ---

def test_pixels_of_any_number_are_drawn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 0], "float32").reshape(6, 1, 1, 1)
        assert plots.to_pixels(x).ravel().tolist() == [0, 255, 0, 255, 0, 128]


def test_pixels_are_rounded_and_clipped():
    x = np.array([-1, 1, 0, -1.5, 7, 0.5, -0.998], "float32").reshape(1, 1, 7, 1)
    assert plots.to_pixels(x).dtype == np.uint8
    assert plots.to_pixels(x).ravel().tolist() == [0, 255, 128, 0, 255, 191, 0]


def test_every_byte_survives_the_way_through_a_data_set():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert np.array_equal(plots.to_pixels(pixels.astype("float32") / 127.5 - 1), pixels)


@given(n=st.integers(1, 12), height=st.integers(1, 6), width=st.integers(1, 6), channels=st.sampled_from([1, 3]),
       columns=st.none() | st.integers(1, 14), margin=st.integers(0, 3))
def test_the_grid_holds_every_image_once_and_nothing_else_but_white(n, height, width, channels, columns, margin):
    x = images(n, height, width, channels)
    picture = plots.grid(x, columns, margin)
    columns = (picture.shape[1] - margin) // (width + margin) if columns is None else columns
    rows = -(-n // columns)
    assert picture.shape == (rows * (height + margin) + margin, columns * (width + margin) + margin, channels)
    rest = picture.astype(int)
    for i, pixels in enumerate(plots.to_pixels(x)):
        top, left = margin + i // columns * (height + margin), margin + i % columns * (width + margin)
        assert np.array_equal(picture[top:top + height, left:left + width], pixels)
        rest[top:top + height, left:left + width] = 255
    assert (rest == 255).all()


@pytest.mark.parametrize("n, shape, rows_columns", [
    (64, (8, 8), (8, 8)), (10, (8, 8), (3, 4)), (1, (8, 8), (1, 1)), (16, (4, 16), (8, 2)), (16, (16, 4), (2, 8))])
def test_without_columns_the_picture_is_about_square(n, shape, rows_columns):
    height, width, _ = plots.grid(images(n, *shape), margin=0).shape
    assert (height // shape[0], width // shape[1]) == rows_columns


def test_enlarging_repeats_pixels():
    picture = plots.to_pixels(images(1, 3, 4))[0]
    large = plots.enlarge(picture, 5)
    assert large.shape == (15, 20, 1) and np.array_equal(large[2::5, 2::5], picture)
    assert plots.enlarge(picture).shape == (375, 500, 1)
    assert plots.enlarge(np.zeros((2, 2000, 3), np.uint8)).shape == (2, 2000, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_grid_is_the_grid(tmp_path, channels):
    x = images(5, channels=channels)
    plots.save_grid(tmp_path / "a.png", x, columns=3, scale=2)
    picture = plots.read_picture(tmp_path / "a.png")
    assert picture.shape == (2 * 19, 2 * 28, channels)
    assert np.array_equal(picture[::2, ::2], plots.grid(x, columns=3))
    plots.save_grid(tmp_path / "b.png", images(64))
    with Image.open(tmp_path / "b.png") as image:
        assert image.format == "PNG" and image.size == (7 * 73, 7 * 73)


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.zeros((3, 8, 8)), np.zeros((3, 8, 8, 2)), np.zeros((0, 8, 8, 1)),
                               np.zeros((3, 8, 8, 1), np.uint8)])
def test_what_is_no_image_is_refused(x):
    with pytest.raises(ValueError, match=r"expected images \(N, H, W, 1 or 3\) of floats, got"):
        plots.grid(x)


@pytest.mark.parametrize("layout", [{"columns": 0}, {"margin": -1}])
def test_a_layout_that_cannot_be_is_refused(layout):
    with pytest.raises(ValueError, match="plots.grid: .* must be a whole number of at least"):
        plots.grid(images(4), **layout)


def test_what_is_no_picture_of_ours_is_named(tmp_path):
    plots.save_picture(tmp_path / "a.png", np.zeros((2, 3, 1), np.uint8))
    Image.new("L", (3, 2)).save(tmp_path / "b.png", "BMP")
    with pytest.raises(ValueError, match=r"expected a picture of shape \(3, 2, 1\), got \(2, 3, 1\) in .*a\.png"):
        plots.read_picture(tmp_path / "a.png", (3, 2, 1))
    pipe = tmp_path / "pipe.png"                       # to open it would mean to wait for whoever writes into it
    getattr(os, "mkfifo", os.mkdir)(pipe)
    for path in (tmp_path / "b.png", tmp_path, pipe):
        with pytest.raises(ValueError, match=f"expected a PNG or a GIF, cannot read {re.escape(str(path))} "):
            plots.read_picture(path)


# --- films ---

def test_a_film_has_its_frames_in_order_and_holds_the_last(tmp_path):
    frames = [np.full((6, 9, 3), [10 * i, 255 - 10 * i, 50], np.uint8) for i in range(12)]
    plots.save_gif(tmp_path / "a.gif", frames, seconds_per_frame=0.15)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.format, film.n_frames, film.size, film.info["loop"]) == ("GIF", 12, (9, 6), 0)
        durations = []
        for i, frame in enumerate(frames):
            film.seek(i)
            durations.append(film.info["duration"])
            assert abs(np.asarray(film.convert("RGB")).astype(int) - frame).max() <= 8
    assert durations == [150] * 11 + [2000]


def test_a_film_may_be_grey_and_have_one_frame(tmp_path):
    plots.save_gif(tmp_path / "a.gif", [plots.grid(images(4))])
    assert np.array_equal(plots.read_picture(tmp_path / "a.gif")[..., :1], plots.grid(images(4)))


@pytest.mark.parametrize("frames", [[], [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)]])
def test_no_film_of_nothing_or_of_several_sizes(tmp_path, frames):
    with pytest.raises(ValueError, match="expected frames of one shape"):
        plots.save_gif(tmp_path / "a.gif", frames)
    assert list(tmp_path.iterdir()) == []


# --- points in the plane ---

def linear_D(w):
    """D with the logit w · x."""
    D = mg.Sequential(mg.layers.Dense(2, 1))
    D[0].W[...] = mg.asarray(np.array(w, "float32").reshape(2, 1))
    return D


@pytest.mark.parametrize("w", [(3, 0), (0, 3)])
def test_the_surface_is_D_at_the_centre_of_each_pixel(backend, w):
    _, ax = plots.plane((-1, 1, -2, 2))
    image = plots.surface(ax, linear_D(w), (-1, 1, -2, 2), resolution=4)
    score = np.asarray(image.get_array())              # rows from below: the origin is the lower left corner
    u, v = np.meshgrid([-0.75, -0.25, 0.25, 0.75], [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-(w[0] * u + w[1] * v))), rtol=1e-5)
    assert image.get_extent() == [-1, 1, -2, 2] and image.origin == "lower" and image.get_clim() == (0, 1)
    line = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    np.testing.assert_allclose(line @ np.array(w), 0, atol=1e-2)       # the contour is where the logit is 0


def test_a_D_that_is_sure_everywhere_has_no_contour():
    D = linear_D((0, 0))
    D[0].b[...] = 9
    figure, ax = plots.plane((-1, 1, -1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.surface(ax, D, (-1, 1, -1, 1))
        plots.rasterize(figure)
    assert not ax.collections


@pytest.mark.parametrize("w", [(3, 0), (0, 3)])
def test_the_heights_are_the_logits_themselves(backend, w):
    _, ax = plots.plane((-1, 1, -2, 2))
    image = plots.heights(ax, linear_D(w), (-1, 1, -2, 2), resolution=4)
    u, v = np.meshgrid([-0.75, -0.25, 0.25, 0.75], [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(np.asarray(image.get_array()), w[0] * u + w[1] * v, rtol=1e-5)
    assert image.get_extent() == [-1, 1, -2, 2] and image.origin == "lower"
    low, high = (np.array(image.cmap(share)[:3]) for share in (0.0, 1.0))
    assert low[0] > low[2] + 0.3 and high[2] > high[0] + 0.3           # orange, blue
    for line, level in zip(ax.collections[0].get_paths(), ax.collections[0].levels):
        np.testing.assert_allclose(line.vertices @ np.array(w), level, atol=1e-4)


def test_a_flat_critic_has_no_lines():
    figure, ax = plots.plane((-1, 1, -1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.heights(ax, linear_D((0, 0)), (-1, 1, -1, 1))
        plots.rasterize(figure)
    assert not ax.collections


def test_orange_is_fake_white_undecided_and_blue_real():
    fake, middle, real = (np.array(plots.SCORES(score)[:3]) for score in (0.0, 0.5, 1.0))
    assert fake[0] > fake[2] + 0.3 and real[2] > real[0] + 0.3 and (middle > 0.99).all()


def test_arrows_go_against_the_gradient(backend):
    _, ax = plots.plane((-2, 2, -2, 2))
    plots.arrows(ax, mg.asarray(np.array([[0.0, 1], [1, 0]])), mg.asarray(np.array([[0.03, 0.04], [0, -0.025]])))
    quiver, = ax.collections
    np.testing.assert_allclose(np.stack([quiver.X, quiver.Y], 1), [[0, 1], [1, 0]])
    np.testing.assert_allclose(np.stack([quiver.U, quiver.V], 1), [[-0.3, -0.4], [0, 0.25]])     # longest: 4 / 8


def test_no_gradient_no_arrow():
    _, ax = plots.plane((-2, 2, -2, 2))
    plots.arrows(ax, np.ones((3, 2)), np.zeros((3, 2)))
    assert not ax.collections


def test_points_are_drawn_where_they_are_and_in_their_colours(tmp_path, backend):
    real, fake = np.array([[-1.0, 1], [1, 1]]), np.array([[0.0, -1.2]])
    plots.save_points(tmp_path / "a.png", mg.asarray(real), mg.asarray(fake))
    picture = plots.read_picture(tmp_path / "a.png").astype(int)
    assert picture.shape == (500, 500, 3)
    blue, orange = picture[..., 2] - picture[..., 0] > 90, picture[..., 0] - picture[..., 2] > 90
    blue[:130, 330:] = orange[:130, 330:] = False      # the legend
    assert np.nonzero(blue)[0].max() < 250 and np.nonzero(blue)[1].min() < 150          # above, and one at the left
    assert np.nonzero(orange)[0].min() > 400 and np.ptp(np.nonzero(orange)[1]) < 10     # one place below


@pytest.mark.parametrize("real, fake", [(np.zeros((5, 2)), np.ones((5, 2))), (None, np.full((5, 2), np.nan)),
                                        (np.full((5, 2), 3e38, "float32"), np.full((5, 2), np.inf))])
def test_points_that_span_nothing_or_are_not_finite_are_no_end_of_a_run(real, fake):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plots.points(real, fake).shape == (500, 500, 3)


def test_a_film_of_points_does_not_jump():
    real = mg.datasets.ring(50, np.random.default_rng(0))[0]
    a, b = plots.points(real, 0.2 * real), plots.points(real, 9 * real)
    assert a.shape == b.shape and np.array_equal(a[-15:], b[-15:])     # the numbers on the axis below


def test_what_is_no_point_is_refused():
    with pytest.raises(ValueError, match=r"expected points \(N, 2\), got \(4, 3\)"):
        plots.points(np.zeros((4, 3)), np.zeros((4, 2)))


# --- curves ---

def a_log(n):
    rng = np.random.default_rng(0)
    means = {"loss_D": 1.0, "loss_G": 0.7, "score_real": 0.6, "score_fake": 0.4}
    return {"step": list(range(1, n + 1))} | {name: list(mean + 0.1 * rng.random(n)) for name, mean in means.items()}


@pytest.mark.parametrize("n", [1, 2, 30, 3000])
def test_curves_of_any_length_are_drawn_in_four_colours(tmp_path, n):
    plots.save_curves(tmp_path / "a.png", a_log(n))
    picture = plots.read_picture(tmp_path / "a.png").astype(int)
    assert picture.shape == (600, 800, 3)
    for colour, half in ((plots.LOSS_D, picture[:300]), (plots.LOSS_G, picture[:300]),
                         (plots.REAL, picture[300:]), (plots.FAKE, picture[300:])):
        wanted = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
        assert (abs(half - wanted).max(axis=2) < 12).sum() > (60 if n == 1 else 400)


def test_smoothing_keeps_a_constant_and_a_spike_does_not_flatten_the_rest(tmp_path):
    _, ax = plots.plane((0, 1, 0, 1))
    _curves(ax, {"step": range(500), "flat": [2.0] * 500}, {"flat": ("flat", "black")})
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 2.0, rtol=1e-12)
    y = [1e6, *np.linspace(0, 1, 999)]
    _, ax = plots.plane((0, 1, 0, 1))
    _curves(ax, {"step": range(1000), "y": y}, {"y": ("y", "black")})
    assert -0.3 < ax.get_ylim()[0] < 0 and 1 < ax.get_ylim()[1] < 1.3


def test_a_run_that_ended_in_nan_still_has_curves(tmp_path):
    log = a_log(40)
    log["loss_G"][30:] = [float("nan")] * 10
    log["score_fake"] = [float("nan")] * 40
    plots.save_curves(tmp_path / "a.png", log)
    assert colours(plots.read_picture(tmp_path / "a.png")) > 50


@pytest.mark.parametrize("log", [{}, a_log(0), a_log(5) | {"loss_D": [1.0]},
                                 {name: column for name, column in a_log(5).items() if name != "score_real"}])
def test_a_log_that_is_not_whole_is_refused(tmp_path, log):
    with pytest.raises(ValueError, match="expected columns of one length, not empty, got"):
        plots.save_curves(tmp_path / "a.png", log)


# --- files and displays ---

SAVERS = {
    "grid": lambda path: plots.save_grid(path, images(4)),
    "points": lambda path: plots.save_points(path, *np.ones((2, 3, 2))),
    "curves": lambda path: plots.save_curves(path, a_log(3)),
    "gif": lambda path: plots.save_gif(path, [plots.grid(images(4))]),
}


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
def test_a_path_that_cannot_be_written_is_an_OSError_and_leaves_nothing(tmp_path, save):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    for path in (tmp_path / "missing" / "a", tmp_path / "file" / "a", tmp_path / "folder"):
        with pytest.raises(OSError):
            save(path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "precious"


def run_python(code, tmp_path, **environment):
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "MINIGAN_DEVICE"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env=clean | {"PYTHONPATH": str(ROOT)} | environment)


def test_no_display_is_needed_and_no_state_of_pyplot_touched(tmp_path):
    result = run_python("import sys, numpy as np; from minigan import plots\n"
                        "plots.save_points('a.png', np.eye(2), np.eye(2))\n"
                        "print('matplotlib.pyplot' in sys.modules)", tmp_path, MPLBACKEND="TkAgg")
    assert (result.stdout, result.stderr) == ("False\n", "")
    assert (tmp_path / "a.png").exists()


def test_importing_minigan_imports_no_matplotlib(tmp_path):
    result = run_python("import sys, minigan; print('matplotlib' in sys.modules, 'PIL' in sys.modules)", tmp_path)
    assert result.stdout == "False False\n", result.stderr


def test_rows_of_images_are_aligned_whatever_their_size(tmp_path):
    """The same images, once small and once enlarged by hand, make the same picture; a colour row stays in colour."""
    small = np.random.default_rng(0).uniform(-1, 1, (3, 2, 2, 1))
    large, colour = small.repeat(4, axis=1).repeat(4, axis=2), np.random.default_rng(1).uniform(-1, 1, (3, 8, 8, 3))
    for name, first in (("a", small), ("b", large)):
        plots.save_rows(tmp_path / f"{name}.png", {"one": first, "two": large, "three": colour})
    a, b = (plots.read_picture(tmp_path / f"{name}.png") for name in "ab")
    np.testing.assert_array_equal(a, b)
    grey = (a.max(axis=2) == a.min(axis=2)).mean(axis=1)               # the share of grey pixels in each line
    assert grey[:len(a) // 2].min() == 1 and grey[len(a) // 2:].min() < 0.5


@pytest.mark.parametrize("rows", [{}, {"a": np.zeros((2, 2, 2, 1)), "b": np.zeros((3, 2, 2, 1))}])
def test_rows_of_several_lengths_are_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="save_rows: expected rows of one length"):
        plots.save_rows(tmp_path / "a.png", rows)
