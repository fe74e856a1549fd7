"""The pictures of a run: samples as training goes on, and at the end samples, curves and a film."""
import sys
from pathlib import Path

from minigan import plots
from minigan.backend import to_numpy
from minigan.training.log import COLUMNS


def name_of_picture(step):
    return f"step_{step:06d}.png"


def draw_samples(run, path: Path) -> None:
    """The samples of one fixed z: of images of 1 or 3 channels, and of points in the plane; of other samples there is none."""
    if run.x.ndim == 4 and run.x.shape[3] in (1, 3):             # of a conditional GAN a column for each class
        classes = run.gan.classes
        plots.save_grid(path, run.gan.sample(8 * classes or 64, run.seed), classes or None)
    elif run.x.shape[1:] == (2,):
        plots.save_points(path, run.x[:1000], to_numpy(run.gan.sample(1000, run.seed)))


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
