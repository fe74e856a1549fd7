"""Train any of minigan's GANs on any data; with no arguments, one on the bundled handwritten digits, in under a minute.

    python examples/train_gan.py
    python examples/train_gan.py --model dcgan_28 --data mnist --steps 5000
    python examples/train_gan.py --model dcgan_64 --data path/to/pictures --out runs/mine
    python examples/train_gan.py --resume --out runs/mine --steps 20000
"""
import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path

import minigan as mg
from minigan import metrics, training

# What each model trains with unless told otherwise. mlp_gan is tuned for the digits, the DCGANs have their tutorials' Adam.
RECIPES = {
    "mlp_gan": dict(loss="leastsquares", lr=6e-4, beta1=0.5, batch_size=64, steps=2800),
    "dcgan_28": dict(loss="nonsaturating", lr=1e-4, beta1=0.9, batch_size=128, steps=5000),
    "dcgan_64": dict(loss="nonsaturating", lr=2e-4, beta1=0.5, batch_size=64, steps=10_000),
    "dcgan_64_stem": dict(loss="leastsquares", lr=2e-4, beta1=0.5, batch_size=128, steps=10_000),
    "toy_mlp": dict(loss="nonsaturating", lr=1e-3, beta1=0.5, batch_size=256, steps=3000),
}
DEFAULTS = dict(data="digits", update="alternating", seed=0, sample_every=100, save_every=1000)
MAY_CHANGE = {"steps", "sample_every", "save_every"}   # on --resume: all other options would make another run


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], argument_default=argparse.SUPPRESS,
                                     formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100))

    parser.error = lambda message: parser.exit(2, f"train_gan.py: {message}\n")      # one line, without the usage
    add = parser.add_argument
    add("--model", choices=mg.models.MODELS, help="the networks (default: toy_mlp for points, mlp_gan for images)")
    add("--data", help="digits, mnist, ring, grid, or a folder of images (default: digits)")
    add("--loss", help=f"{', '.join(mg.losses.LOSSES)} (default: the model's recipe, as all up to --steps)")
    add("--lr", type=float, help="learning rate of Adam, in both networks")
    add("--beta1", type=float, help="Adam's memory of gradients")
    add("--batch-size", type=int, help="samples a step")
    add("--steps", type=int, help="training steps in all")
    add("--update", choices=["alternating", "simultaneous"], help="D first, or both at once (default: alternating)")
    add("--device", help="cpu, cuda or cuda:N (default: cpu, or the environment variable MINIGAN_DEVICE)")
    add("--threads", type=int, help="how many shares a batch is cut into (default: MINIGAN_THREADS, or one a core)")
    add("--seed", type=int, help="of weights, noise and the order of the data (default: 0)")
    add("--sample-every", type=int, help="steps between two pictures, the frames of the film (default: 100)")
    add("--save-every", type=int, help="steps between two checkpoints (default: 1000)")
    add("--out", help="folder of the run (default: a new one in runs/)")
    add("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    add("--dry-run", action="store_true", help="two steps only, to see whether everything works")
    return vars(parser.parse_args(argv))


def complete(given):
    """All options of a new run: those given, else the model's recipe, else the defaults."""
    data = given.get("data", DEFAULTS["data"])
    model = given.get("model", "toy_mlp" if data in ("ring", "grid") else "mlp_gan")
    if model not in RECIPES:
        raise ValueError(f"there is no model {model!r}; there are {', '.join(RECIPES)}")
    options = DEFAULTS | {"device": mg.device(), "threads": mg.parallel.workers()} | RECIPES[model] | given | {"model": model}
    options["loss"] = repr(mg.losses.by_name(options["loss"])).lower()         # one spelling
    if options["seed"] < 0:
        raise ValueError(f"--seed must be at least 0, got {options['seed']}")
    for name in ("steps", "batch_size", "sample_every", "save_every"):
        if options[name] < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {options[name]}")
    return options


def resumed(given, out):
    """All options of the run in the folder `out`, of which those that would make it another run cannot be given again."""
    try:
        options = json.loads((out / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"--resume: {out} holds no run with a readable config.json ({error})") from None
    if not isinstance(options, dict) or not {*DEFAULTS, "model", "threads"} <= options.keys():
        raise ValueError(f"--resume: {out / 'config.json'} is not the config.json of a run")
    complete_options = complete(options | given)
    for name, value in complete_options.items():
        if name not in MAY_CHANGE and value != options.get(name):
            raise ValueError(f"--resume: the run in {out} has --{name.replace('_', '-')} {options.get(name)}, not {value}; "
                             "without --resume, and with another --out, it is a new run")
    return complete_options


def load_data(name, model):
    """(x, labels) on the host, in the size that the model takes: resized, never reshaped."""
    if name in ("ring", "grid"):
        x, labels = getattr(mg.datasets, name)(100_000, mg.host_rng(0))
    elif name in ("digits", "mnist"):
        x, labels = getattr(mg.datasets, name)()
    elif name and Path(name).is_dir():
        x, labels = mg.datasets.image_folder(name, mg.models.IMAGE_SIZE.get(model, 28))
    else:
        raise ValueError(f"--data {name}: neither digits, mnist, ring or grid nor a folder of images")
    size = mg.models.IMAGE_SIZE.get(model)
    if size is not None and x.ndim == 4 and x.shape[1:3] != (size, size):
        x = mg.datasets.resize(x, size)
    return x, labels


def build_gan(options):
    G, D = mg.models.build(options["model"], mg.host_rng(options["seed"]), options["sample_shape"])
    adam_G, adam_D = (mg.optimizers.Adam(options["lr"], options["beta1"]) for _ in "GD")
    return mg.GAN(G, D, mg.losses.by_name(options["loss"]), adam_G, adam_D, update=options["update"])


def new_folder(options):
    """runs/digits-mlp_gan-nonsaturating, or with -2, -3 ... behind, if that run exists."""
    name = f"{Path(options['data']).name}-{options['model']}-{options['loss']}"
    return next(path for i in itertools.count(1) if not (path := Path("runs", f"{name}-{i}" if i > 1 else name)).exists())


def report(gan, data, x, labels, seed):
    """A number for the quality of the samples, with the same number for real ones beside it."""
    if data in ("ring", "grid"):
        centres = getattr(mg.datasets, f"{data}_centres")()
        sigma = {"ring": 0.01, "grid": 0.05}[data]
        for name, points in (("samples", mg.to_numpy(gan.sample(2500, seed))), ("real points", x[:2500])):
            found = metrics.modes(points, centres, sigma)
            print(f"{name:<20}: {found.modes} of {len(centres)} modes, {found.high_quality:.1%} within 3 sigma of one")
    elif data in ("digits", "mnist"):
        judge = metrics.Classifier(x[:10_000], labels[:10_000], epochs=100 if len(x) < 10_000 else 10)
        print(f"A classifier, {judge.accuracy:.1%} right on held-out images, is sure (p > 0.9) of")
        for name, images in (("1,000 samples", mg.to_numpy(gan.sample(1000, seed))), ("held-out real images", judge.held_out)):
            found = judge.verdict(images)
            print(f"  {found.confident:6.1%} of the {name:<20}, in which it finds {found.classes} of {judge.classes} classes")


def run(given):
    resume, dry_run, out = given.pop("resume", False), given.pop("dry_run", False), given.pop("out", None)
    if resume and (out is None or dry_run):
        raise ValueError("--resume needs --out, the folder of the run to continue, and no --dry-run")
    options = resumed(given, Path(out)) if resume else complete(given)
    if dry_run:
        options |= dict(steps=2, sample_every=1)
        out = out or tempfile.mkdtemp(prefix="minigan-dry-run-")
    out = Path(out) if out else new_folder(options)

    mg.use(options["device"])
    mg.parallel.use_threads(options["threads"])
    x, labels = load_data(options["data"], options["model"])
    options["sample_shape"] = list(x.shape[1:])
    gan = build_gan(options)
    sizes = f"G {gan.G.size:,} and D {gan.D.size:,} parameters"
    print(f"{options['model']} ({sizes}) on {len(x):,} x {x.shape[1:]} of {options['data']}, {options['loss']} loss -> {out}")

    training_run = training.Run(gan, x, out, batch_size=options["batch_size"], seed=options["seed"], config=options)
    training_run.resume(options["steps"]) if resume else training_run.start()
    finished = training_run.train(options["steps"], options["sample_every"], options["save_every"])
    if finished:
        report(gan, options["data"], x, labels, options["seed"])
    else:
        print(f"stopped after step {training_run.step}; continue with: train_gan.py --resume --out {out}")
    print("written:", ", ".join(str(out / name) for name in ("samples.png", "training.gif", "curves.png", "log.csv")))


def main(argv=None):
    try:
        run(parse_arguments(argv))
        return 0
    except KeyboardInterrupt:
        print("train_gan.py: interrupted", file=sys.stderr)
        return 130
    except FloatingPointError as error:
        print(f"train_gan.py: {error}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, RuntimeError) as error:        # what the user can mend: one line, no traceback
        print(f"train_gan.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
