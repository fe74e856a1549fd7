"""What does minimal filtering gain, where it is chosen and where not? Each linear map of a convolution with it and without.

    python benchmarks/filtering.py                  convolutions of the models and of the main job, and some beside them

How many times as fast the map is, filtered, as by its definition in pieces: the median over the rounds of the ratio of two
that follow each other. All threads work side by side, each on a shard of its own, as in training. In brackets: tiles that are
not chosen. (The derivation: minigan/engine/filtering.py; how exact: tests/test_filtering.py.)
"""
import argparse
import os
import statistics
import time
from unittest.mock import patch

os.environ.pop("OPENBLAS_CORETYPE", None)               # before NumPy is loaded: the fastest kernels that the CPU has

from minigan_step import describe

from minigan.backend import host_rng
from minigan.cli import terminal
from minigan.engine import pieces, tiles
from minigan.engine.run import run
from minigan.engine.threads import workers
from minigan.layers import convolution as definitions

MAPS = ("conv", "conv_adjoint", "conv_weight_grad")
SHAPES = [                                              # pixels, C, F, K, S of the convolution; a transposed one backward
    ("dcgan_64 D, G", 32, 128, 128, 4, 2), ("dcgan_64 G", 16, 128, 128, 4, 2), ("dcgan_64 G", 32, 64, 128, 4, 2),
    ("dcgan_64 D, G", 64, 3, 128, 4, 2), ("dcgan_64_stem G", 8, 128, 256, 4, 2), ("dcgan_64_stem D", 16, 128, 128, 4, 2),
    ("dcgan_28 G", 7, 128, 256, 5, 1), ("dcgan_28 D, G", 14, 64, 128, 5, 2), ("dcgan_28 D", 28, 1, 64, 5, 2),
    ("main job D", 14, 32, 64, 4, 2), ("", 64, 64, 128, 4, 2), ("", 32, 64, 128, 5, 2), ("", 32, 64, 64, 3, 1)]


def timed(name, equal, arguments):
    definition, start = getattr(definitions, name).__wrapped__, time.perf_counter()
    run(lambda i: getattr(equal, name)(definition, *arguments), workers())
    return time.perf_counter() - start


def ratios(tiling, arguments, rounds):
    with patch.object(tiles, "choose", lambda *shape: tiling):
        for name in MAPS:
            timed(name, tiles, arguments[name])
            yield statistics.median(timed(name, pieces, arguments[name]) / timed(name, tiles, arguments[name])
                                    for _ in range(rounds))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{describe()}; batch {args.batch}, {workers()} threads; times as fast as the definition")
    print("| a convolution of | x -> F | K, S | outputs a tile | conv | conv_adjoint | conv_weight_grad |")
    print(7 * "|---" + "|")
    for where, size, C, F, K, S in SHAPES:
        rng, N = host_rng(0), max(1, args.batch // workers())
        x = rng.standard_normal((N, size, size, C), "float32")
        W = rng.standard_normal((K, K, C, F), "float32")
        dy = rng.standard_normal((N, -(-size // S), -(-size // S), F), "float32")
        arguments = {"conv": (x, W, S, "same"), "conv_adjoint": (dy, W, x.shape, S, "same"),
                     "conv_weight_grad": (x, dy, K, S, "same")}
        chosen = tiles.choose(N, size, size, C, F, K, S, "same")
        for m in tiles.OUTPUTS[-(-K // S)]:
            row = ratios(tiles.tiling(size, size, C, F, K, S, "same", m), arguments, args.rounds)
            cells = [f"{m} x {m}", *(f"{ratio:.2f}" for ratio in row)]
            if chosen is None or chosen.m != m:
                cells = [f"({cell})" for cell in cells]
            print(f"| {where} | {size} x {size} x {C} -> {F} | {K}, {S} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    terminal.prepare()
    main()
