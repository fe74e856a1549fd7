"""Mode collapse, counted: GANs on 8 points of a ring and 25 of a grid by PacGAN's protocol, beside the published numbers.

    python benchmarks/quality.py --recipe ours --seeds 10 --processes 2 --json ours.json         a quarter of an hour
    python benchmarks/quality.py --packing 1 2 --steps 40000 --seeds 4 --processes 2 --json short.json         hours
    python benchmarks/quality.py --packing 1 2 3 4 --processes 8 --json pacgan.json              days: 80 runs of hours

Lin et al. 2018 (arXiv:1712.04086, table 1) train 10 GANs for each row, for 400,000 steps each, and judge 2,500 samples of the
last G: the modes found, the share of high quality (within three standard deviations of a centre), and the reverse KL of their
histogram over the modes from uniform (minigan.metrics.modes).

--recipe pacgan   the same networks, batches of 100 packs, loss and optimizers, and both gradients of a step from one forward
                  pass, as in their program (https://github.com/fjxmlzn/PacGAN). Two things differ: a batch is drawn from the
                  100,000 points at random (theirs goes through a fixed list of packs), and BatchNorm in G sees all points of
                  a batch at once (theirs one point of each pack at a time).
--recipe ours     three small hidden layers in both networks, the same loss with an R1 penalty (Mescheder et al. 2018,
                  arXiv:1801.04406), Adam without momentum, a learning rate that falls to 0; 20,000 steps
--recipe plain    ours without the penalty: what it is worth

Each run has one thread; --processes many go on side by side. With --json every finished run is kept, and not run again: the
same command goes on where it stopped. --table prints the table of what is there, and runs nothing. A run also keeps what it
had reached at each tenth of its steps ("history").
"""
import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["MINIGAN_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"       # before NumPy; worker processes inherit it

import numpy as np

import minigan as mg
from minigan.cli import terminal
from minigan.files import make_folder, write_whole

POINTS, SAMPLES = 100_000, 2_500
SIGMA = {"ring": 0.01, "grid": 0.05}
METRICS = ("modes", "high_quality", "reverse_kl")
PUBLISHED = {                                          # modes, % of high quality, reverse KL: mean, standard error of 10 runs
    ("ring", 1): ((6.3, 0.5), (98.2, 0.2), (0.45, 0.09)), ("grid", 1): ((17.3, 0.8), (94.8, 0.7), (0.70, 0.07)),
    ("ring", 2): ((7.9, 0.1), (95.6, 2.0), (0.07, 0.03)), ("grid", 2): ((23.8, 0.7), (91.3, 0.8), (0.13, 0.04)),
    ("ring", 3): ((7.8, 0.1), (97.7, 0.3), (0.10, 0.02)), ("grid", 3): ((24.6, 0.4), (94.2, 0.4), (0.06, 0.02)),
    ("ring", 4): ((7.8, 0.1), (95.9, 1.4), (0.07, 0.02)), ("grid", 4): ((24.8, 0.2), (93.6, 0.6), (0.04, 0.01))}


def small_networks(rng, packing):
    """2-128-128-128-2 and 2·packing-128-128-128-1."""
    w = dict(rng=rng)
    G, D = [], [mg.layers.Pack(packing)]
    for I in (2, 128, 128):
        G += [mg.layers.Dense(I, 128, **w), mg.layers.ReLU()]
    for I in (2 * packing, 128, 128):
        D += [mg.layers.Dense(I, 128, **w), mg.layers.LeakyReLU(0.2)]
    return mg.Sequential(*G, mg.layers.Dense(128, 2, **w)), mg.Sequential(*D, mg.layers.Dense(128, 1, **w))


@dataclasses.dataclass
class Recipe:
    networks: Callable                                 # (rng, packing) -> (G, D)
    steps: int
    batch: int                                         # packs; a batch has `packing` times as many points
    lr: float
    betas: tuple                                       # beta1 and beta2 of Adam
    update: str
    penalty: object = None
    decay: bool = False                                # lr: constant in the first half of the steps, then linearly to 0
    scaled: bool = False                               # the networks see points of [-1, 1]², whatever the data


RECIPES = {
    "pacgan": Recipe(mg.models.pacgan_toy, steps=400_000, batch=100, lr=1e-4, betas=(0.8, 0.999), update="simultaneous"),
    "ours": Recipe(small_networks, steps=20_000, batch=128, lr=1e-3, betas=(0.0, 0.99), update="alternating",
                   penalty=mg.penalties.R1(0.1), decay=True, scaled=True)}
RECIPES["plain"] = dataclasses.replace(RECIPES["ours"], penalty=None)


def train(name, data, packing, seed, steps):
    """One GAN, trained and judged: a dictionary of what it was and what it reached, at the end and on the way there."""
    start, recipe = time.time(), RECIPES[name]
    host, noise = mg.host_rng([seed, 0]), mg.rng([seed, 1])
    x, _ = getattr(mg.datasets, data)(POINTS, host)
    centres = getattr(mg.datasets, f"{data}_centres")()
    unit = abs(centres).max() if recipe.scaled else np.float32(1)
    G, D = recipe.networks(host, packing=packing)
    adams = [mg.optimizers.Adam(recipe.lr, *recipe.betas) for _ in range(2)]
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), *adams, recipe.update, penalty=recipe.penalty)
    falling = mg.training.schedules.constant_then_linear(1, 0, steps)
    n, history = recipe.batch * packing, []
    for step in range(1, steps + 1):
        if recipe.decay:
            gan.optimizer_D.lr = gan.optimizer_G.lr = recipe.lr * falling(step - 1)
        gan.train_step(x[host.integers(POINTS, size=n)] / unit, gan.noise(n, noise))
        if step % max(1, steps // 10) == 0 or step == steps:
            points = gan.sample(SAMPLES, seed=[seed, 2]) * unit
            history.append({"step": step} | dataclasses.asdict(mg.metrics.modes(points, centres, SIGMA[data])))
    return {"recipe": name, "data": data, "packing": packing, "seed": seed, "steps": steps,
            **{metric: history[-1][metric] for metric in METRICS}, "seconds": round(time.time() - start), "history": history}


def train_one(task):
    return train(*task)


def task_of(run):
    return tuple(run[name] for name in ("recipe", "data", "packing", "seed", "steps"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="pacgan")
    parser.add_argument("--data", nargs="+", choices=SIGMA, default=list(SIGMA))
    parser.add_argument("--packing", nargs="+", type=int, default=[1], help="how many points D sees at once (1)")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each row (10)")
    parser.add_argument("--steps", type=int, help="in place of the recipe's number of steps")
    parser.add_argument("--processes", type=int, default=1, help="runs side by side (1)")
    parser.add_argument("--json", type=Path, help="keep every finished run in this file, and go on from it")
    parser.add_argument("--table", action="store_true", help="only print the table of all runs in the file of --json")
    args = parser.parse_args()
    steps = RECIPES[args.recipe].steps if args.steps is None else args.steps
    if min(args.seeds, steps, args.processes, *args.packing) < 1:
        parser.error("--packing, --seeds, --steps and --processes must be at least 1")

    if args.table and not (args.json and args.json.exists()):
        parser.error("--table needs --json and a file that is there")

    runs = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    if args.table:
        return print_table(runs)
    done = {task_of(run) for run in runs}
    rows = [(args.recipe, data, packing) for data in args.data for packing in args.packing]
    tasks = [(*row, seed, steps) for seed in range(args.seeds) for row in rows]        # so every row soon has a first run
    waiting = [task for task in tasks if task not in done]
    if args.json:
        make_folder(args.json.parent)
    if waiting:
        with multiprocessing.get_context("spawn").Pool(min(args.processes, len(waiting))) as pool:
            for run in pool.imap_unordered(train_one, waiting):
                runs.append(run)
                if args.json:
                    write_whole(args.json, json.dumps(runs, indent=1).encode())
                print(f"{run['recipe']} {run['data']} packing {run['packing']} seed {run['seed']}: {run['modes']} modes, "
                      f"{run['high_quality']:.1%}, {run['reverse_kl']:.3f} after {run['seconds']} s", flush=True)
    print_table([run for run in runs if task_of(run) in tasks])


def print_table(runs):
    """A row for each recipe, data set and packing, with the published one below it."""
    print(f"\nmean ± standard error over the runs, of {SAMPLES:,} samples each\n"
          f"{'':<28}{'steps':>8}{'runs':>6}{'modes':>13}{'high quality':>16}{'reverse KL':>17}")
    groups = {}
    for run in runs:
        groups.setdefault((run["data"], run["packing"], run["recipe"], run["steps"]), []).append(run)
    for (data, packing, recipe, steps), group in sorted(groups.items()):
        columns = [[run[metric] for run in group] for metric in METRICS]
        modes, quality, reverse_kl = [(float(np.mean(column)), standard_error(column)) for column in columns]
        print_row(f"{data}, packing {packing}, {recipe}", steps, len(group), modes, [100 * q for q in quality], reverse_kl)
        if (data, packing) in PUBLISHED:
            print_row("  published", RECIPES["pacgan"].steps, 10, *PUBLISHED[data, packing])


def standard_error(values):
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def print_row(name, steps, runs, modes, quality, reverse_kl):
    print(f"{name:<28}{steps:>8,}{runs:>6}{plus_minus(modes, 1):>13}{plus_minus(quality, 1) + ' %':>16}"
          f"{plus_minus(reverse_kl, 3):>17}")


def plus_minus(value, digits):
    """mean ± standard error, or the mean alone: a single run has no spread."""
    mean, error = value
    return f"{mean:.{digits}f}" + ("" if math.isnan(error) else f" ± {error:.{digits}f}")


if __name__ == "__main__":
    terminal.prepare()
    main()
