"""Where a training step spends its time: forward and backward of every layer, at the shapes of a model.

    python benchmarks/layers.py --models dcgan_28

Timed as in training: where a network's batch is cut into shards, all of them do the layer side by side. "a step" counts how
often each pass occurs in an alternating step: G once forward and back; D three times forward, twice back for its own
gradients, once on the way to G.
"""
import argparse
import os
import statistics
import time

os.environ.pop("OPENBLAS_CORETYPE", None)               # before NumPy is loaded: the fastest kernels that the CPU has

from minigan_step import describe, make_gan

from minigan import models, rng
from minigan.cli import terminal
from minigan.engine import shards
from minigan.engine.run import run
from minigan.engine.threads import workers
from minigan.backend import host_rng


def timed(function, count, repeats, blas_threads=1):
    """Median milliseconds until all shards have called the function."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(lambda i: function(), count, blas_threads)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def rows(name, network, x, forwards, backwards, through, repeats):
    """(layer, shape, forward, backward, through, a step) of each layer; "through" is the pass without parameter gradients."""
    count = len(shards.cut(len(x), shards.least_work(network), shards.fewest(network)))
    how = count, repeats, shards.blas_threads(len(x), network) if count == 1 else 1
    x = x[:len(x) // count]
    first = next(i for i, layer in enumerate(network.layers) if layer.size)
    for i, layer in enumerate(network.layers):
        y, cache = layer.forward(x)
        dy = host_rng(i).standard_normal(y.shape, dtype="float32")
        forward = timed(lambda: layer.forward(x), *how)
        backward = timed(lambda: layer.backward(dy, cache, input_grad=i > first), *how) if i >= first else 0
        only = timed(lambda: layer.backward(dy, cache, param_grads=False), *how) if through else 0
        total = forwards * forward + backwards * backward + through * only
        yield f"{name}.{i} {type(layer).__name__}", str(y.shape), forward, backward, only, total
        x = y


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[name for name in models.MODELS if name != "toy_mlp"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    print(f"{describe()}; batch {args.batch}, up to {workers()} shards, ms")
    for model in args.models:
        gan, real = make_gan(model, args.batch)
        table = [*rows("G", gan.G, gan.noise(args.batch, rng(0)), 1, 1, 0, args.repeats),
                 *rows("D", gan.D, real, 3, 2, 1, args.repeats)]
        for name, optimizer in (("Adam of G", gan.optimizer_G), ("Adam of D", gan.optimizer_D)):
            table.append((name, f"({optimizer.network.size},)", 0, 0, 0, timed(optimizer.step, 1, args.repeats)))
        whole = sum(row[-1] for row in table)
        print(f"\n{model:<24}{'output shape':<22}{'forward':>9}{'backward':>10}{'through':>9}{'a step':>9}{'share':>8}")
        for name, shape, *times in table:
            print(f"{name:<24}{shape:<22}{times[0]:9.2f}{times[1]:10.2f}{times[2]:9.2f}{times[3]:9.2f}{times[3] / whole:8.1%}")
        print(f"{'all':<46}{whole:37.2f}")


if __name__ == "__main__":
    terminal.prepare()
    main()
