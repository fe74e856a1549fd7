"""What the lessons in examples/ have in common: their command line, and pictures of the wrong way beside the right one."""
import argparse
from pathlib import Path

from matplotlib.figure import Figure

from minigan import backend, plots
from minigan.files import make_folder

WRONG, RIGHT = "#b2182b", "#1b7837"


def arguments(doc, name, **numbers):
    """The arguments of the lesson `name`: out, a folder that can be written, and one whole number for each of
    `numbers`, name=(default, smallest, help). The device is in use on return. A mistake ends the program, with exit
    status 2 and one line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    for option, (default, _, text) in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default, help=f"{text} ({default})")
    parser.add_argument("--out", type=Path, default=Path("runs", name), help=f"folder for the pictures (runs/{name})")
    parser.add_argument("--device", help="cpu, cuda or cuda:N")
    args = parser.parse_args()
    for option, (_, smallest, _) in numbers.items():
        if getattr(args, option) < smallest:
            parser.error(f"--{option} must be at least {smallest}, got {getattr(args, option)}")
    try:
        backend.use(args.device or backend.device())
        make_folder(args.out)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(error)
    return args


# --- wrong beside right ---

def panels(*titles, width=5.2, height=4.2):
    """(figure, axes): one panel for each title in a row; a title that begins with "wrong" is red, with "right" green."""
    figure = Figure(figsize=(width * len(titles), height), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    for ax, title in zip(axes, titles):
        colour = WRONG if title.startswith("wrong") else RIGHT if title.startswith("right") else "0.2"
        ax.set_title(title, fontsize=11, color=colour)
        ax.tick_params(labelsize=8, color="0.6", labelcolor="0.4")
        ax.spines[:].set_color("0.6")
    return figure, axes


def images(ax, x, columns=None):
    """The images x (N, H, W, C) in [-1, 1], as a grid, in the panel."""
    picture = plots.grid(x, columns)
    ax.imshow(picture[..., 0] if picture.shape[2] == 1 else picture, cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])


def compare(number, wrong, right):
    """Print what was measured, for the wrong way and for the right one."""
    print(f"  {number:<70} wrong {wrong:<12} right {right}")
