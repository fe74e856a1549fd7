"""Points in the plane, D's surface over it, and the gradients that the fakes receive."""
from pathlib import Path

import numpy as np

from minigan.backend import Array, asarray, to_numpy
from minigan.files import save_picture
from minigan.plots.figures import FAKE, HEIGHTS, REAL, SCORES, Shown, rasterize


def plane(extent: tuple, width: float = 5.0, height: float = 5.0) -> tuple:
    """(figure, ax): axes with equal units over extent = (left, right, bottom, top), at 100 pixels an inch."""
    figure = Shown(figsize=(width, height), dpi=100, layout="constrained")
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
    return rasterize(points_figure(real, fake))


def points_figure(real: Array | None, fake: Array | None) -> Shown:
    """`points` as a matplotlib figure."""
    real, fake = (None if x is None else to_numpy(x) for x in (real, fake))
    for x in (real, fake):
        if x is not None and (x.shape[1:] != (2,) or len(x) == 0):
            raise ValueError(f"plots.points: expected points (N, 2), got {x.shape}")
    frame = np.asarray(fake if real is None else real, np.float64)
    half = 1.3 * abs(frame[np.isfinite(frame)]).max(initial=0) or 1.0
    figure, ax = plane((-half, half, -half, half))
    scatter(ax, real, fake)
    return figure


def save_points(path: str | Path, real: Array | None, fake: Array | None) -> None:
    """Write `points(real, fake)` as PNG."""
    save_picture(path, points(real, fake))
