"""Train any of minigan's GANs on any data; with no arguments, a conditional DCGAN on MNIST, in two minutes on two cores.

The options are those of recipe.py, and the report at the end is that of report.py.
"""
import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from minigan import losses, models
from minigan.backend import use
from minigan.cli import distributed, recipe, report, terminal
from minigan.cli.data import KNOWN, load_data
from minigan.engine import once_per_run, ranks, use_plain, use_threads
from minigan.files import new_folder
from minigan.training.doctor import Doctor
from minigan.training.run import Run


def parse_arguments(argv, program):
    parser = terminal.Parser(program, description=terminal.summary(__doc__), argument_default=argparse.SUPPRESS,
                             formatter_class=lambda prog: argparse.HelpFormatter(prog, width=110))
    add = parser.add_argument
    add("--model", choices=models.MODELS, help="the networks (default: dcgan, toy_mlp for points)")
    add("--data", help=f"{', '.join(KNOWN)}, or a folder of images (default: mnist)")
    add("--size", help="of the images, 32, or height x width, 40x56 (default: as they are; of a folder at most 64)")
    add("--channels", type=int, choices=(1, 3), help="1: grey, 3: colour (default: as the images are)")
    add("--fit", choices=("crop", "pad"), help="how an image of another shape is made to fit (default: crop)")
    add("--width", type=int, help="channels beside the image, in the dcgan (default: 32)")
    add("--latent-dim", type=int, help="how many numbers G makes an image of (default: 100; 2 for points)")
    add("--loss", help=f"{', '.join(losses.LOSSES)} (default: the model's recipe, as all up to --steps)")
    add("--lr", type=float, help="learning rate of Adam, in both networks")
    add("--lr-d", type=float, help="that of D, if it is another one")
    add("--beta1", type=float, help="Adam's memory of gradients")
    add("--beta2", type=float, help="and of their squares (default: 0.999)")
    add("--batch-size", type=int, help="samples a step")
    add("--steps", type=int, help="training steps in all")
    add("--update", choices=["alternating", "simultaneous"], help="D first, or both at once (default: alternating)")
    add("--device", help="cpu, cuda or cuda:N (default: cpu, or the environment variable MINIGAN_DEVICE)")
    add("--capture", action="store_true", help="on a GPU, run a step of D and G together as one CUDA graph")
    add("--threads", type=int, help="how many shards a batch is cut into (default: MINIGAN_THREADS, or one a core)")
    add("--distributed", action="store_true", help="one of several processes that mpiexec or srun has started, each with "
                                                   "--threads shards of every batch")
    add("--seed", type=int, help="of weights, noise and the order of the data (default: 0)")
    add("--seeds", type=int, help="a number of runs, with seeds from --seed on, and a table of their mean, spread and best")
    add("--sample-every", type=int, help="steps between two pictures, the frames of the film (default: 100)")
    add("--save-every", type=int, help="steps between two checkpoints (default: 1000)")
    add("--save-minutes", type=float, help="minutes after which there is one in any case (default: 5)")
    add("--doctor-every", type=int, help="steps between two looks at the health of the GAN; 0: none (default: 100)")
    add("--out", help="folder of the run (default: a new one in runs/)")
    add("--resume", action="store_true", help="continue the run in --out from its last checkpoint")
    add("--dry-run", action="store_true", help="two steps only, without a score, to see whether training works")
    group = parser.add_argument_group("stabilizers, all off by default")
    for name, (default, text) in recipe.STABILIZERS.items():
        kind = {"action": argparse.BooleanOptionalAction} if default is False else {"type": type(default)}
        group.add_argument(f"--{name.replace('_', '-')}", **kind, help=text)
    return vars(parser.parse_args(argv))


def folder_of(options, out):
    """`out`, or a new folder: runs/digits-mlp_gan-nonsaturating, or with -2, -3 ... behind."""
    name = f"{Path(options['data']).name}-{options['model']}-{options['loss']}"
    return contextlib.nullcontext(Path(out or ".")) if out or ranks.rank() > 0 else new_folder(Path("runs", name))


def train(options, out, resume=False, dry_run=False):
    """One run in the folder `out`; the score of its samples, or None if Ctrl-C stopped it."""
    use(distributed.device(options["device"]))
    use_threads(options["threads"] // ranks.size())
    use_plain(options["plain"])
    x, labels, names = load_data(options)
    options["sample_shape"] = list(x.shape[1:])
    made_of = options | {"init_from": ""} if resume else options       # then the checkpoint has what came of these networks
    gan, schedule = recipe.build_gan(made_of, 0 if labels is None else int(labels.max()) + 1)
    distributed.check(gan, options, x, labels)
    options |= {"classes": gan.classes, "names": names if gan.classes else []}
    sizes = f"G {gan.G.size:,} and D {gan.D.size:,} parameters"
    print(f"{options['model']} ({sizes}) on {len(x):,} x {x.shape[1:]} of {options['data']}, {options['loss']} loss -> {out}")

    run = Run(gan, x, out, labels=labels if gan.classes else None, batch_size=options["batch_size"],
                       seed=options["seed"], config=options, names=names, critic_steps=options["n_critic"],
                       generator_from=options["generator_from"] or None, schedule=schedule, capture=options["capture"],
                       doctor=Doctor() if options["doctor_every"] else None, doctor_every=options["doctor_every"])
    run.resume(options["steps"]) if resume else run.start()
    finished = run.train(options["steps"], options["sample_every"], options["save_every"], options["save_minutes"])
    score = {} if finished else None
    if dry_run:
        return score
    if finished:
        score = once_per_run(report.score)(gan, options["data"], x, options["seed"])
        report.print_score(score)
    else:
        print(f"stopped after step {run.step}; continue with --resume --out {out}")
    print("written:", ", ".join(str(out / name) for name in ("samples.png", "training.gif", "curves.png", "log.csv")))
    return score


def train_seeds(given, options, out, seeds):
    """A run for each seed, in folders of their own, and a table of all. Those that are there already, with the same options,
    go on where they are."""
    scores = {}
    for its_options, folder, there in runs_of_seeds(given, options, out, seeds):
        scores[its_options["seed"]] = score = train(its_options, folder, there)
        if score is None:
            print(f"the other seeds are waiting: the same command with --out {out} goes on here")
            return
    report.print_seeds(scores)
    once_per_run(report.save_seeds)(out / "seeds.png", scores)
    print("written:", out / "seeds.png")


@once_per_run
def runs_of_seeds(given, options, out, seeds):
    """[(options, folder, whether it has begun)]"""
    if (out / "config.json").exists():
        raise ValueError(f"--seeds: the folder {out} holds a single run; choose another --out")
    runs, same = [], {name: value for name, value in options.items() if name not in ("device", "threads", "plain")} | given
    for seed in range(options["seed"], options["seed"] + seeds):
        folder, there = out / f"seed_{seed}", (out / f"seed_{seed}" / "config.json").exists()
        runs.append((recipe.resumed(same | {"seed": seed}, folder) if there else options | {"seed": seed}, folder, there))
    return runs


def run(given):
    resume, dry_run, out = given.pop("resume", False), given.pop("dry_run", False), given.pop("out", None)
    seeds = given.pop("seeds", 1)
    if given.pop("distributed", False):                # config.json has the threads of all ranks together
        own = {"threads": given["threads"] * ranks.size()} if "threads" in given else {}
        given |= own if own or resume else {"threads": distributed.default_threads()}
    if resume and (out is None or dry_run or seeds > 1):
        raise ValueError("--resume needs --out, the folder of the run to continue, no --dry-run and no --seeds (which goes on "
                         "by itself)")
    if seeds < 1 or dry_run and seeds > 1:
        raise ValueError(f"--seeds must be at least 1, and 1 in a dry run, got {seeds}")
    options = once_per_run(recipe.resumed)(given, Path(out)) if resume else recipe.complete(given)
    if dry_run:
        options |= dict(steps=2, sample_every=1)
        with tempfile.TemporaryDirectory(prefix="minigan-dry-run-") as folder:
            finished = train(options, Path(out or folder), dry_run=True) is not None
        print(f"the dry run {'went well' if finished else 'was stopped'}; what it wrote is "
              + (f"in {out}" if out else "gone again (--out keeps it)"))
    else:
        with folder_of(options, out) as folder:
            folder = once_per_run(lambda: folder)()    # other ranks do not know which is free
            train_seeds(given, options, folder, seeds) if seeds > 1 else train(options, folder, resume)


def main(argv=None, program="train_gan.py"):
    def program_of_this_rank():
        if "--distributed" in (sys.argv[1:] if argv is None else argv):
            terminal.prepare_rank()
        run(parse_arguments(argv, program))

    return terminal.run(program, program_of_this_rank)
