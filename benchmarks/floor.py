"""How far is a training step from its limit? The time of its matrix products alone, by the same BLAS on the same threads.

    python benchmarks/floor.py                   all models, batch 128, alternating order

All other work of a step (im2col, col2im, activations, BatchNorm, Adam ...) only moves numbers; the products are what has to be
computed. Steps and products are timed in turn; the table shows medians, and the rate at which the products ran.
"""
import argparse
import os
import statistics
import time

os.environ.pop("OPENBLAS_CORETYPE", None)               # before NumPy is loaded: the fastest kernels that the CPU has

import numpy as np
from minigan_step import describe, make_gan, make_step

from minigan import host_rng, models
from minigan.cli import terminal
from minigan.engine import shards
from minigan.engine.run import run
from minigan.engine.threads import workers
from minigan.layers import Conv2D, ConvTranspose2D, Dense


def network_products(network, x):
    """[(rows, K, N)] a sample for every layer with a product y = x W, x (rows, K), W (K, N); and whether it is the first."""
    found = []
    for layer in network.layers:
        y = layer(x)
        if isinstance(layer, Dense):
            found.append((1, layer.I, layer.O))
        elif isinstance(layer, Conv2D):
            found.append((y.shape[1] * y.shape[2], layer.kernel_size ** 2 * layer.C, layer.F))
        elif isinstance(layer, ConvTranspose2D):
            found.append((x.shape[1] * x.shape[2], layer.C, layer.kernel_size ** 2 * layer.F))
        x = y
    return found


def step_products(gan, real):
    """{(which, rows, K, N, workers, BLAS' threads): how often} of an alternating step, a sample: forward x W, dx = dy Wᵀ,
    dW = xᵀ dy; and how many workers get a shard of the batch each (one: it stays whole, and BLAS may divide the product)."""
    counts = {}
    for network, x, forwards, backwards, through in ((gan.G, gan.noise(1, host_rng(0)), 1, 1, 0), (gan.D, real[:1], 3, 2, 1)):
        count = len(shards.cut(len(real), shards.least_work(network), shards.fewest(network)))
        blas_threads = shards.blas_threads(len(real), network) if count == 1 else 1
        for i, (rows, K, N) in enumerate(network_products(network, x)):
            size = rows, K, N, count, blas_threads
            for product, times in ((("x W", *size), forwards), (("xT dy", *size), backwards),
                                   (("dy WT", *size), through + (backwards if i > 0 else 0))):
                counts[product] = counts.get(product, 0) + times
    return counts


def product_time(kind, rows, K, N, count, blas_threads, batch):
    """Seconds for one product of the whole batch, every worker with the rows of its shard."""
    rng = host_rng(0)
    m = max(1, rows * batch // count)
    shapes = {"x W": ((m, K), (K, N)), "xT dy": ((K, m), (m, N)), "dy WT": ((m, N), (N, K))}[kind]
    a, b = (rng.standard_normal(shape, dtype="float32") for shape in shapes)
    outs = [np.zeros((shapes[0][0], shapes[1][1]), "float32") for _ in range(count)]      # no page is touched first below
    start = time.perf_counter()
    run(lambda i: np.matmul(a, b, out=outs[i]), count, blas_threads)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[name for name in models.MODELS if name != "toy_mlp"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    threads = workers()
    print(f"{describe()}; {threads} threads, batch {args.batch}")
    print(f"{'model':<15}{'GFLOP a step':>14}{'products ms':>14}{'step ms':>10}{'step/products':>15}{'GFLOP/s':>10}")
    for model in args.models:
        counts = step_products(*make_gan(model, args.batch))
        step = make_step(model, args.batch, "alternating", threads)
        step()
        floors, steps = [], []
        for _ in range(args.rounds):
            floors.append(sum(n * product_time(*product, args.batch) for product, n in counts.items()))
            start = time.perf_counter()
            step()
            steps.append(time.perf_counter() - start)
        flop = sum(2 * n * rows * K * N * args.batch for (_, rows, K, N, *_), n in counts.items())
        floor, whole = statistics.median(floors), statistics.median(steps)
        print(f"{model:<15}{flop / 1e9:14.1f}{1000 * floor:14.1f}{1000 * whole:10.1f}{whole / floor:15.2f}"
              f"{flop / floor / 1e9:10.0f}")


if __name__ == "__main__":
    terminal.prepare()
    main()
