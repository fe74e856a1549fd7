"""What the lessons in examples/ have in common: their command line, the loop around the training step of a translation, and
pictures of the wrong way beside the right one."""
import argparse
from pathlib import Path

from matplotlib.figure import Figure

from minigan import backend, plots
from minigan.files import make_folder

WRONG, RIGHT = "#b2182b", "#1b7837"


def arguments(doc, name, **options):
    """The arguments of the lesson `name`: out, a folder that can be written, and one value for each of `options`,
    name=(default, smallest, help) for a number, whole if the default is, or name=(default, [choices], help). The device
    is in use on return. A mistake ends the program, with exit status 2 and one line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    for option, (default, limit, text) in options.items():
        choices = limit if isinstance(limit, list) else None
        parser.add_argument(f"--{option}", type=type(default), default=default, choices=choices, help=f"{text} ({default})")
    parser.add_argument("--out", type=Path, default=Path("runs", name), help=f"folder for the pictures (runs/{name})")
    parser.add_argument("--device", help="cpu, cuda or cuda:N")
    args = parser.parse_args()
    for option, (_, smallest, _) in options.items():
        if not isinstance(smallest, list) and not smallest <= getattr(args, option) < float("inf"):
            parser.error(f"--{option} must be at least {smallest}, got {getattr(args, option)}")
    try:
        backend.use(args.device or backend.device())
        make_folder(args.out)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(error)
    return args


def train(model, batch, steps, lines=6):
    """`steps` training steps of a model with `train_step`, `optimizers` and `parts` (Translation, CycleGAN), on what batch()
    returns. In the second half the learning rates fall to zero, in a straight line, so that G comes to rest.

    Prints `lines` lines: the mean losses since the last one. Returns them too, as a list of {name: value}.
    """
    rates = [optimizer.lr for optimizer in model.optimizers]
    rows, total, since = [], {}, 0
    for step in range(1, steps + 1):
        for optimizer, lr in zip(model.optimizers, rates):
            optimizer.lr = lr * min(1.0, 2 * (1 - (step - 1) / steps))
        loss_D, loss_G = model.train_step(*batch())
        losses = {"loss_D": loss_D, "loss_G": loss_G, **model.parts}
        total = {name: total.get(name, 0.0) + value for name, value in losses.items()}         # on the device: nobody waits
        since += 1
        if step * lines // steps > (step - 1) * lines // steps:
            rows.append({"step": step} | {name: backend.scalar(value) / since for name, value in total.items()})
            print(f"step {step:5d}" + "".join(f"   {name} {rows[-1][name]:.4f}" for name in total))
            total, since = {}, 0
    return rows


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
