"""Pictures: grids of samples, points in the plane, D's surface and the gradients that the fakes receive, curves, films.

A picture is an array (height, width, 1 or 3) of uint8; a film is a list of pictures. In all of them blue means real and
orange means fake. Arrays may be on the GPU. Nothing needs a display, and no state of pyplot is touched. Every file appears
whole or not at all; OSError if its folder is missing or closed.
"""
import math
import os
import sys
from pathlib import Path

import numpy as np

from minigan.arguments import check_whole
from minigan.backend import Array, asarray, to_numpy
from minigan.files import read_picture, save_gif, save_picture  # noqa: F401, which belong here and need no matplotlib

# matplotlib cannot be imported where MPLBACKEND names a backend that is not installed, and a program inherits the environment
# of what started it. (A notebook's kernel sets it to a backend of its own.) So this is the only file that imports it.
_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch as FancyBboxPatch
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend
try:
    if _backend:
        matplotlib.rcParams["backend"] = _backend      # as matplotlib does, for those who draw with pyplot beside minigan
except ValueError:
    pass

REAL, FAKE = "#08519c", "#c2410c"
LOSS_D, LOSS_G = "#6a3d9a", "#1b7837"
SCORES = LinearSegmentedColormap.from_list("scores", [               # steep around 0.5, where a good game is played
    (0, "#fd9f5c"), (0.35, "#fdd5ac"), (0.5, "#ffffff"), (0.65, "#c3dcf1"), (1, "#86b9dc")])
HEIGHTS = LinearSegmentedColormap.from_list("heights", ["#fd9f5c", "#ffffff", "#86b9dc"])


def to_pixels(x: Array) -> np.ndarray:
    """Images (N, H, W, 1 or 3) in [-1, 1] -> uint8 of the same shape: round((x + 1) · 127.5), clipped to 0..255; NaN is 0."""
    x = to_numpy(x)
    if x.ndim != 4 or x.shape[3] not in (1, 3) or len(x) == 0 or x.dtype.kind != "f":
        raise ValueError(f"plots: expected images (N, H, W, 1 or 3) of floats, got {x.shape} of {x.dtype}"
                         + ("; save_points draws points" if x.ndim == 2 else ""))
    return np.nan_to_num(np.rint((np.clip(x, -1, 1) + 1) * 127.5)).astype(np.uint8)


def grid(x: Array, columns: int | None = None, margin: int = 1) -> np.ndarray:
    """N images as one picture, row by row, with white lines of `margin` pixels between and around them.

    Shapes    x (N, H, W, C) in [-1, 1] -> (rows·(H + margin) + margin, columns·(W + margin) + margin, C) uint8
              without `columns` the picture is about square; what is left of the last row stays white
    """
    x = to_pixels(x)
    N, H, W, C = x.shape
    columns = math.ceil(math.sqrt(N * H / W)) if columns is None else columns
    check_whole("plots.grid", 1, columns=columns)
    check_whole("plots.grid", 0, margin=margin)
    rows = -(-N // columns)                            # ⌈N / columns⌉
    picture = np.full((rows * (H + margin) + margin, columns * (W + margin) + margin, C), 255, np.uint8)
    for i, image in enumerate(x):
        top, left = margin + i // columns * (H + margin), margin + i % columns * (W + margin)
        picture[top:top + H, left:left + W] = image
    return picture


def enlarge(picture: np.ndarray, scale: int | None = None) -> np.ndarray:
    """Every pixel as scale x scale pixels; without `scale` the picture gets about 500 pixels wide."""
    scale = max(1, round(500 / picture.shape[1])) if scale is None else scale
    check_whole("plots.enlarge", 1, scale=scale)
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def save_grid(path: str | Path, x: Array, columns: int | None = None, scale: int | None = None) -> None:
    """Write the grid of the images x (N, H, W, C) as PNG, enlarged; `scale` as in `enlarge`."""
    save_picture(path, enlarge(grid(x, columns), scale))


def save_rows(path: str | Path, rows: dict[str, Array]) -> None:
    """Write rows of images, each under its caption, as PNG: the images in one column belong together.

    Shapes    rows: {caption: x (N, H, W, C)}, of one N; smaller images are enlarged to the largest, pixel by pixel
    """
    lengths = {len(x) for x in rows.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"plots.save_rows: expected rows of one length, not empty, got {sorted(lengths) or 'none'}")
    largest = max(x.shape[1] for x in rows.values())
    figure = Figure(figsize=(9, len(rows) * (9 / lengths.pop() + 0.3)), dpi=100, layout="constrained")
    for ax, (caption, x) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows.items()):
        scale = largest // x.shape[1]
        picture = grid(to_numpy(x).repeat(scale, axis=1).repeat(scale, axis=2), columns=len(x))
        ax.imshow(np.broadcast_to(picture, (*picture.shape[:2], 3)), interpolation="nearest")
        ax.set_title(caption, loc="left", fontsize=10)
        ax.axis("off")
    save_picture(path, rasterize(figure))


# --- pictures of points in the plane ---

def plane(extent: tuple, width: float = 5.0, height: float = 5.0) -> tuple:
    """(figure, ax): axes with equal units over extent = (left, right, bottom, top), at 100 pixels an inch."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    ax = figure.add_subplot(xlim=extent[:2], ylim=extent[2:], aspect="equal")
    ax.tick_params(labelsize=8, color="0.6", labelcolor="0.4")
    ax.spines[:].set_color("0.6")
    return figure, ax


def scatter(ax, real: Array | None, fake: Array | None) -> None:
    """Real points (N, 2) in blue, unless they are None, and fakes (M, 2) in orange, with a legend."""
    for x, colour, size, label in ((real, REAL, 14, "real"), (fake, FAKE, 7, "fake")):
        if x is not None:
            ax.scatter(*to_numpy(x).T, s=size, c=colour, alpha=0.7, linewidths=0, label=label, zorder=3)
    ax.legend(loc="upper right", fontsize=9, framealpha=0.9, markerscale=1.5)


def surface(ax, D, extent: tuple, resolution: int = 100) -> object:
    """D's score over the plane, sigmoid(logit), as a heat map: orange where D says fake, blue where it says real, a
    dashed line at 0.5, where it cannot tell. A critic's logits are no odds: there only the order of the colours counts.

    Shapes    D maps (N, 2) to logits (N, 1);  extent (left, right, bottom, top);  D is asked at resolution² points
    Returns   the matplotlib image, from which a colour bar can be made
    """
    u, v, logits = _logits(D, extent, resolution)
    score = 0.5 + 0.5 * np.tanh(0.5 * to_numpy(logits))             # the sigmoid
    if score.min() < 0.5 < score.max():
        ax.contour(u, v, score, levels=[0.5], colors="0.35", linewidths=1.0, linestyles="--")
    return ax.imshow(score, cmap=SCORES, vmin=0, vmax=1, extent=extent, origin="lower", interpolation="bilinear")


def heights(ax, D, extent: tuple, resolution: int = 100, levels: int = 16) -> object:
    """A critic's score over the plane, as a map with lines of equal height: orange is low, blue high, and fakes climb.
    Colours and lines are spread over the range of this map, so compare its numbers. Shapes and result as for `surface`."""
    u, v, logits = _logits(D, extent, resolution)
    logits = to_numpy(logits)
    if logits.min() < logits.max():
        ax.contour(u, v, logits, levels=levels, colors="0.35", linewidths=0.6, linestyles="solid")
    return ax.imshow(logits, cmap=HEIGHTS, extent=extent, origin="lower", interpolation="bilinear")


def _logits(D, extent, resolution):
    """(u, v, logits): D at the centres of resolution² pixels, u from left to right, v from below; the logits on the device."""
    centres = (np.arange(resolution) + 0.5) / resolution
    u, v = extent[0] + (extent[1] - extent[0]) * centres, extent[2] + (extent[3] - extent[2]) * centres
    points = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    return u, v, D(asarray(points, D.theta.dtype)).reshape(resolution, resolution)


def arrows(ax, points: Array, gradients: Array) -> None:
    """Where each point (N, 2) is pushed: an arrow along -gradient (N, 2), since descent goes against it. Lengths compare
    within one picture only: the longest arrow is an eighth of the axes' width."""
    points, push = to_numpy(points), -to_numpy(gradients)
    longest = np.hypot(*push.T).max()
    if longest > 0:
        push = push * (0.125 * abs(ax.get_xlim()[1] - ax.get_xlim()[0]) / longest)
        ax.quiver(*points.T, *push.T, angles="xy", scale_units="xy", scale=1, width=0.0035, color="0.15", zorder=4)


def points(real: Array | None, fake: Array | None) -> np.ndarray:
    """A picture of real points (N, 2) and fakes (M, 2), framed by the real ones, so that the frames of a film agree.
    Without real ones (None), of the fakes alone. Points that are not finite are not drawn."""
    real, fake = (None if x is None else to_numpy(x) for x in (real, fake))
    for x in (real, fake):
        if x is not None and (x.shape[1:] != (2,) or len(x) == 0):
            raise ValueError(f"plots.points: expected points (N, 2), got {x.shape}")
    frame = np.asarray(fake if real is None else real, np.float64)
    half = 1.3 * abs(frame[np.isfinite(frame)]).max(initial=0) or 1.0
    figure, ax = plane((-half, half, -half, half))
    scatter(ax, real, fake)
    return rasterize(figure)


def save_points(path: str | Path, real: Array | None, fake: Array | None) -> None:
    """Write `points(real, fake)` as PNG."""
    save_picture(path, points(real, fake))


def save_curves(path: str | Path, log: dict[str, list]) -> None:
    """Draw how a training went, as PNG: above the losses, below D's mean score of real samples and of fakes. Pale is every
    row, strong the mean over a 25th of them.

    Shapes    log: dict of the columns step, loss_D, loss_G, score_real, score_fake, each a list of one length
    """
    columns = {name: len(log.get(name, ())) for name in ("step", "loss_D", "loss_G", "score_real", "score_fake")}
    if len(set(columns.values())) != 1 or columns["step"] == 0:
        raise ValueError(f"plots.save_curves: expected columns of one length, not empty, got {columns}")
    figure = Figure(figsize=(8, 6), dpi=100, layout="constrained")
    losses, scores = figure.subplots(2, 1, sharex=True)
    losses.set(title="Losses: each network minimises its own; neither says how good the samples are", ylabel="loss")
    _curves(losses, log, {"loss_D": ("D", LOSS_D), "loss_G": ("G", LOSS_G)})
    scores.set(title="D's mean score before each step: where they meet, D cannot tell", ylabel="score", xlabel="step")
    _curves(scores, log, {"score_real": ("real samples", REAL), "score_fake": ("fakes", FAKE)})
    save_picture(path, rasterize(figure))


def _curves(ax, log, lines):
    for name, (label, colour) in lines.items():
        y = np.asarray(log[name], float)
        window = np.ones(len(y) // 25 | 1)                                         # of odd length: centred
        smooth = np.convolve(y, window, "same") / np.convolve(np.ones_like(y), window, "same")
        ax.plot(log["step"], y, color=colour, alpha=0.25, linewidth=0.8)
        ax.plot(log["step"], smooth, color=colour, linewidth=1.8, label=label, marker="o" if len(y) == 1 else None)
    seen = np.concatenate([np.asarray(log[name], float) for name in lines])
    if np.isfinite(seen).any():
        low, high = np.percentile(seen[np.isfinite(seen)], [0.5, 99.5])            # one spike must not flatten the rest
        ax.set_ylim(low - 0.1 * (high - low) - 1e-3, high + 0.1 * (high - low) + 1e-3)
    ax.title.set_fontsize(11)
    ax.grid(color="0.9")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False)       # beside it, over no curve


def rasterize(figure: Figure) -> np.ndarray:
    """A matplotlib Figure as a picture (height, width, 3): its size in inches times its dpi."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
