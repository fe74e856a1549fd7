"""Images (N, H, W, C) as one picture: grids, rows with captions."""
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minigan.arguments import check_whole
from minigan.backend import Array, to_numpy
from minigan.files import save_picture
from minigan.plots.figures import Figure, Shown, rasterize
from minigan.plots.planes import points_figure


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


def save_grid(path: str | Path, x: Array, columns: int | None = None, scale: int | None = None,
              names: Sequence[str] = ()) -> None:
    """Write the grid of the images x (N, H, W, C) as PNG, enlarged; `scale` as in `enlarge`; above it the names of its
    columns, if there are any."""
    picture = enlarge(grid(x, columns), scale)
    save_picture(path, np.concatenate([heading(names, picture.shape[1]), in_colour(picture)]) if any(names) else picture)


def heading(names: Sequence[str], width: int) -> np.ndarray:
    """A picture (20, width, 3): a name above the middle of each of as many columns."""
    return caption(names, [(i + 0.5) / len(names) for i in range(len(names))], width, 20)


def in_colour(picture: np.ndarray) -> np.ndarray:
    """A picture (height, width, 1 or 3) as (height, width, 3)."""
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def show(x: Array, columns: int | None = None) -> Shown:
    """The grid of images (N, H, W, C), or the points (N, 2), as a matplotlib figure, which a notebook shows;
    `figure.savefig(path)` keeps it."""
    if x.ndim == 2:
        return points_figure(None, x)
    picture = enlarge(grid(x, columns))
    figure = Shown(figsize=(picture.shape[1] / 100, picture.shape[0] / 100), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(in_colour(picture), interpolation="nearest", aspect="auto")
    ax.axis("off")
    return figure


def caption(texts: Sequence[str], centres: Sequence[float], width: int, height: int, colour: str = "black") -> np.ndarray:
    """A picture (height, width, 3), white, with each text around its centre, 0 left to 1 right."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    for text, centre in zip(texts, centres):
        figure.text(centre, 0.5, text, ha="center", va="center", fontsize=9, color=colour)
    return rasterize(figure)


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
        ax.imshow(in_colour(picture), interpolation="nearest")
        ax.set_title(caption, loc="left", fontsize=10)
        ax.axis("off")
    save_picture(path, rasterize(figure))
