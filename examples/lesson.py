"""What the lessons in examples/ have in common: their command line, data, small networks, the loop around the training step of
a translation, and pictures, among them the wrong way beside the right one."""
import argparse
import functools
import sys
from pathlib import Path

import numpy as np

from minigan import backend, datasets, models, plots
from minigan.cli import terminal
from minigan.engine.threads import workers
from minigan.files import make_folder
from minigan.gan import GAN
from minigan.layers import Dense, Flatten, LeakyReLU, ReLU, Reshape, Sequential, Tanh
from minigan.optimizers import Adam
from minigan.plots import Figure
from minigan.training import schedules

WRONG, RIGHT = "#b2182b", "#1b7837"


def arguments(doc, name, **options):
    """The arguments of the lesson `name`: out, a folder that can be written, and one value for each of `options`,
    name=(default, smallest, help) for a number, whole if the default is, or name=(default, [choices], help). The device
    is in use on return. A mistake ends the program, with exit status 2 and one line, and so does a disk that is full later."""
    program = f"{name}.py"
    terminal.prepare()
    sys.excepthook = functools.partial(without_traceback, program)
    parser = terminal.Parser(program, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        workers()                                      # raises if MINIGAN_THREADS makes no sense
        make_folder(args.out)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(error)
    return args


def without_traceback(program, kind, error, traceback):
    """What ends a program: Ctrl-C and what the operating system refuses are no errors of its own."""
    if issubclass(kind, KeyboardInterrupt):
        print(f"{program}: interrupted", file=sys.stderr)
    elif issubclass(kind, (OSError, MemoryError)):
        print(f"{program}: {terminal.sentence(error)}", file=sys.stderr)
        raise SystemExit(2)                            # from here it is the status of the program
    else:
        sys.__excepthook__(kind, error, traceback)


# --- translations ---

def large_digits(size):
    """The bundled digits, larger and with edges as steep as a pen's: x (N, size, size, 1), labels (N,)."""
    x, labels = datasets.digits()
    return np.tanh(4 * datasets.resize(x, size)), labels


def save_digits(path, rows, labels):
    """A picture with a row for each caption in rows = {caption: images (N, H, W, C)}: the first 0, 1 ... 9 among them."""
    _, each = np.unique(labels, return_index=True)
    plots.save_rows(path, {caption: images[each] for caption, images in rows.items()})


def train(model, batch, steps, lines=6):
    """`steps` training steps of a model with `train_step`, `optimizers` and `parts` (Translation, CycleGAN), on what batch()
    returns. In the second half the learning rates fall to zero, in a straight line, so that G comes to rest.

    Prints `lines` lines: the mean losses since the last one. Returns them too, as a list of {name: value}.
    """
    rates, falling = [optimizer.lr for optimizer in model.optimizers], schedules.constant_then_linear(1, 0, steps)
    rows, total, since = [], {}, 0
    for step in range(1, steps + 1):
        for optimizer, lr in zip(model.optimizers, rates):
            optimizer.lr = lr * falling(step - 1)
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

def small_networks(rng, *normalization):
    """(G, D) that learn the digits in seconds, 32-128-128-64 and 64-128-128-1; `normalization` before D's last LeakyReLU."""
    w = dict(rng=rng)
    G = Sequential(Dense(32, 128, **w), ReLU(), Dense(128, 128, **w), ReLU(), Dense(128, 64, **w), Tanh(), Reshape(8, 8, 1))
    D = Sequential(Flatten(), Dense(64, 128, **w), LeakyReLU(0.2), Dense(128, 128, **w), *normalization, LeakyReLU(0.2),
                   Dense(128, 1, **w))
    return G, D


class HeadStart:
    """On the points of a ring D learns for some steps, against a G that stays as it is. Noted before each step:

    score_real, score_fake    D's mean logits
    gradient                  the mean norm of ∂loss_G/∂fake, times N: how hard each fake would be pushed
    """

    N = 128

    def __init__(self, loss, steps, seed, lr=1e-3):
        self.host, self.noise = backend.host_rng(seed), backend.rng([seed, 1])
        self.x, _ = datasets.ring(20_000, self.host)
        self.gan = GAN(*models.toy_mlp(self.host), loss, Adam(lr), Adam(lr))
        G, D, rows = self.gan.G, self.gan.D, []
        for _ in range(steps + 1):
            real, z = self.batch()
            fake = G(z)
            logits_real, cache_real = D.forward(real)
            logits_fake, cache_fake = D.forward(fake)

            _, dlogits = loss.generator(logits_fake)                   # how G would be pushed now
            dfake = D.backward(dlogits, cache_fake, param_grads=False)
            norms = (dfake * dfake).sum(axis=1) ** 0.5
            rows.append([float(value.mean()) for value in (logits_real, logits_fake, self.N * norms)])

            _, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
            D.zero_grad()
            D.backward(dlogits_real, cache_real, input_grad=False)
            D.backward(dlogits_fake, cache_fake, input_grad=False)
            self.gan.optimizer_D.step()
        self.score_real, self.score_fake, self.gradient = np.array(rows).T

    def batch(self):
        """(real, z)"""
        real = self.x[self.host.integers(len(self.x), size=self.N)]
        return backend.asarray(real), self.gan.noise(self.N, self.noise)


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
