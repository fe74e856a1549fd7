"""What the lessons in examples/ have in common: their command line, and the loop around the training step."""
import argparse
from pathlib import Path

from minigan import backend
from minigan.files import make_folder


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
