"""Mode collapse, counted: GANs on 8 points of a ring and 25 of a grid, by the protocol of PacGAN, beside the published numbers.

    python benchmarks/quality.py --recipe ours --seeds 10 --json ours.json                       minutes
    python benchmarks/quality.py --packing 1 2 3 4 --seeds 10 --processes 8 --json pacgan.json   days of computing
    python benchmarks/quality.py --packing 1 2 --steps 40000 --seeds 4 --json short.json         an hour or two

Lin et al. 2018 (arXiv:1712.04086, table 1) train 10 GANs for each row, for 400,000 steps each, and judge 2,500 samples of the
last G: the modes found, the share of high quality (within three standard deviations of a centre), and the reverse KL of their
histogram over the modes from uniform (minigan.metrics.modes). `--recipe pacgan` does the same with the same networks, batches,
loss and optimizers, and both gradients of a step from one forward pass, as in their program. What differs: a batch is drawn
from the 100,000 points (theirs goes through a fixed list of packs), and BatchNorm sees all points of a batch at once (theirs
one of each pack at a time). `--recipe ours` is a faster recipe; its numbers are printed in rows of their own.

Each run gets one thread; --processes many go on side by side. With --json every finished run is kept, and not run again: the
same command goes on where it stopped, and after the last run only prints the table.
"""
import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import time
from pathlib import Path

os.environ["MINIGAN_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"       # before NumPy; worker processes inherit it

import numpy as np

import minigan as mg
from minigan.files import make_folder, write_whole

POINTS, SAMPLES = 100_000, 2_500
SIGMA = {"ring": 0.01, "grid": 0.05}
PUBLISHED = {                                          # modes, high quality in %, reverse KL: mean and standard error of 10 runs
    ("ring", 1): ((6.3, 0.5), (98.2, 0.2), (0.45, 0.09)), ("grid", 1): ((17.3, 0.8), (94.8, 0.7), (0.70, 0.07)),
    ("ring", 2): ((7.9, 0.1), (95.6, 2.0), (0.07, 0.03)), ("grid", 2): ((23.8, 0.7), (91.3, 0.8), (0.13, 0.04)),
    ("ring", 3): ((7.8, 0.1), (97.7, 0.3), (0.10, 0.02)), ("grid", 3): ((24.6, 0.4), (94.2, 0.4), (0.06, 0.02)),
    ("ring", 4): ((7.8, 0.1), (95.9, 1.4), (0.07, 0.02)), ("grid", 4): ((24.8, 0.2), (93.6, 0.6), (0.04, 0.01))}
METRICS = ("modes", "high_quality", "reverse_kl")


@dataclasses.dataclass
class Recipe:
    networks: object                                   # (rng, packing) -> (G, D)
    steps: int
    batch: int                                         # packs; a batch has so many times `packing` points
    lr: float
    beta1: float
    update: str
    decay: bool = False                                # lr constant in the first half of the steps, then linearly to 0


RECIPES = {
    "pacgan": Recipe(lambda rng, packing: mg.models.pacgan_toy(rng, packing=packing),
                     steps=400_000, batch=100, lr=1e-4, beta1=0.8, update="simultaneous"),
}


def train(recipe, data, packing, seed, steps):
    """One GAN, trained and judged: a dictionary of what it was and what it reached, at the end and on the way there."""
    start = time.time()
    chosen, host, noise = RECIPES[recipe], mg.host_rng([seed, 0]), mg.rng([seed, 1])
    x, _ = getattr(mg.datasets, data)(POINTS, host)
    G, D = chosen.networks(host, packing)
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(chosen.lr, chosen.beta1),
                 mg.optimizers.Adam(chosen.lr, chosen.beta1), chosen.update)
    n, history = chosen.batch * packing, []
    for step in range(1, steps + 1):
        if chosen.decay:
            gan.optimizer_D.lr = gan.optimizer_G.lr = chosen.lr * min(1.0, 2 * (1 - (step - 1) / steps))
        gan.train_step(x[host.integers(POINTS, size=n)], gan.noise(n, noise))
        if step % max(1, steps // 10) == 0 or step == steps:
            history.append({"step": step} | judge(gan, data, seed))
    return {"recipe": recipe, "data": data, "packing": packing, "seed": seed, "steps": steps,
            **history[-1], "seconds": round(time.time() - start, 1), "history": history}


def judge(gan, data, seed):
    centres = getattr(mg.datasets, f"{data}_centres")()
    return dataclasses.asdict(mg.metrics.modes(gan.sample(SAMPLES, seed=[seed, 2]), centres, SIGMA[data]))


def key(run):
    return tuple(run[name] for name in ("recipe", "data", "packing", "seed", "steps"))


def train_one(task):
    return train(*task)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, default="pacgan")
    parser.add_argument("--data", nargs="+", choices=SIGMA, default=list(SIGMA))
    parser.add_argument("--packing", nargs="+", type=int, default=[1], help="how many points D sees at once (1)")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each row (10)")
    parser.add_argument("--steps", type=int, help="those of the recipe")
    parser.add_argument("--processes", type=int, default=1, help="runs side by side (1)")
    parser.add_argument("--json", type=Path, help="keep every finished run in this file, and go on from it")
    args = parser.parse_args()
    for name in ("seeds", "steps", "processes"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if min(args.packing) < 1:
        parser.error("--packing must be at least 1")

    runs = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    done = {key(run) for run in runs}
    steps = args.steps or RECIPES[args.recipe].steps
    rows = [(args.recipe, data, packing) for data in args.data for packing in args.packing]
    tasks = [(*row, seed, steps) for seed in range(args.seeds) for row in rows]        # a first run of every row comes early
    waiting = [task for task in tasks if task not in done]
    if args.json:
        make_folder(args.json.parent)
    with multiprocessing.get_context("spawn").Pool(min(args.processes, max(1, len(waiting)))) as pool:
        for run in pool.imap_unordered(train_one, waiting):
            runs.append(run)
            if args.json:
                write_whole(args.json, json.dumps(runs, indent=1).encode())
            print(f"{run['recipe']} {run['data']:<4} packing {run['packing']} seed {run['seed']}: {run['modes']:2d} modes, "
                  f"{run['high_quality']:.1%} of high quality, reverse KL {run['reverse_kl']:.3f}, {run['seconds']:.0f} s",
                  flush=True)
    print_table([run for run in runs if key(run) in tasks])


def print_table(runs):
    print(f"\nmean ± standard error over the runs; {SAMPLES} samples each\n"
          f"{'':<32}{'steps':>9}{'runs':>6}{'modes':>14}{'high quality %':>17}{'reverse KL':>16}")
    groups = {}
    for run in runs:
        groups.setdefault((run["data"], run["packing"], run["recipe"], run["steps"]), []).append(run)
    for (data, packing, recipe, steps), group in groups.items():
        columns = [[run[name] * (100 if name == "high_quality" else 1) for run in group] for name in METRICS]
        cells = [(float(np.mean(column)), standard_error(column)) for column in columns]
        print_row(f"{data}, {recipe}, packing {packing}", steps, len(group), cells)
        if (data, packing) in PUBLISHED:
            print_row("  published", RECIPES["pacgan"].steps, 10, PUBLISHED[data, packing])


def standard_error(values):
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def print_row(name, steps, runs, cells):
    texts = [f"{mean:.{digits}f} ± {error:.{digits}f}" for (mean, error), digits in zip(cells, (1, 1, 3))]
    print(f"{name:<32}{steps:>9,}{runs:>6}{texts[0]:>14}{texts[1]:>17}{texts[2]:>16}")


if __name__ == "__main__":
    main()
