"""The pictures of a run: samples as training goes on, and at the end samples, curves and a film."""
import copy
import sys
from pathlib import Path

import numpy as np

from minigan import plots
from minigan.backend import to_numpy
from minigan.engine import once_per_run
from minigan.training.log import COLUMNS

BLUE = [int(plots.REAL[i:i + 2], 16) for i in (1, 3, 5)]


def name_of_picture(step):
    return f"step_{step:06d}.png"


def can_be_drawn(x) -> bool:
    """Whether these samples are images of 1 or 3 channels; others are drawn if they are points, or not at all."""
    return x.ndim == 4 and x.shape[3] in (1, 3)


def draw_samples(run, path: Path) -> None:
    """The samples of one fixed z: of images of 1 or 3 channels, below a row of real ones, of a conditional GAN a column for
    each class, or several if they are few; of points in the plane all in one picture; of other samples there is none."""
    if can_be_drawn(run.x):
        classes = run.gan.classes
        columns = classes * max(1, 8 // classes) if classes else 10
        names = run.names * (columns // len(run.names)) if run.names else []
        plots.save_picture(path, beside_real(run.x[real_row(run, columns)], run.gan.sample(8 * columns, run.seed), names))
    elif run.x.shape[1:] == (2,):
        plots.save_points(path, run.x[:1000], to_numpy(run.gan.sample(1000, run.seed)))


def real_row(run, columns) -> np.ndarray:
    """The numbers of the real samples in the first row: of each class in turn the next one, or just the first few."""
    if run.labels is None:
        return np.arange(columns) % len(run.x)
    members = [np.flatnonzero(run.labels == k) for k in range(run.gan.classes)]
    turns = [(members[k % len(members)], k // len(members)) for k in range(columns)]
    return np.array([own[turn % len(own)] if len(own) else 0 for own, turn in turns])


def beside_real(real, fake, names=()) -> np.ndarray:
    """A picture: the names of the columns, a row of real images, marked by blue, and below it the fakes, each as a grid."""
    grids = [plots.grid(x, len(real)) for x in (real, fake)]
    scale = max(1, round(500 / grids[0].shape[1]))
    above, below = (plots.in_colour(plots.enlarge(grid, scale)) for grid in grids)
    bar = np.full((6, above.shape[1], 3), BLUE, np.uint8)
    rows = [("", "black", plots.heading(names, above.shape[1]))] if any(names) else []
    rows += [("", "black", bar), ("real", plots.REAL, above), ("", "black", bar), ("fake", plots.FAKE, below)]
    return np.concatenate([np.concatenate([plots.caption([word], [0.5], 50, len(part), colour), part], axis=1)
                           for word, colour, part in rows])


@once_per_run
def draw_real(run) -> None:
    """real.png, at the beginning: real samples as D sees them, behind augmentation and noise, drawn by copies of these."""
    if run.step > 0 or not can_be_drawn(run.x):
        return
    real, _ = run.samples(0)
    for layer in copy.deepcopy([run.gan.augment, run.gan.preprocess_D]):
        real, _ = layer.forward(real)
    plots.save_grid(run.out / "real.png", real[:64])


@once_per_run
def draw_final_pictures(run) -> None:
    """samples.png, curves.png and training.gif of a training.Run."""
    draw_samples(run, run.out / "samples.png")
    log = run.log.read(run.step)
    plots.save_curves(run.out / "curves.png", {name: [float(row[i]) for row in log] for i, name in enumerate(COLUMNS)})
    film(run)


def film(run) -> None:
    """training.gif, of the pictures in samples/ up to this step that are like samples.png: others may have come there."""
    if not (run.out / "samples.png").exists():    # these samples are none that can be drawn
        return
    shape, frames = plots.read_picture(run.out / "samples.png").shape, []
    there = {path.name for path in run.out.glob("samples/step_*.png")}
    for name in map(name_of_picture, range(1, run.step + 1)):
        try:
            if name in there:
                frames.append(plots.read_picture(run.out / "samples" / name, shape))
        except ValueError as error:
            print(f"minigan: left out of training.gif: {error}", file=sys.stderr)
    if frames:
        plots.save_gif(run.out / "training.gif", frames)
