"""What does each part of the engine gain? A training step with it and without it, in turn.

    python benchmarks/engine.py                  the convolutional models and mlp_gan, batch 128

The table shows how many times as long a step takes without the part: the median over the rounds of the ratio of two steps that
follow each other. A part that gains less than 5 % in every model has no place in the engine (CONTRIBUTING.md).
"""
import argparse
import contextlib
import os
import statistics
import time
from unittest.mock import patch

os.environ.pop("OPENBLAS_CORETYPE", None)               # before NumPy is loaded: the fastest kernels that the CPU has

from minigan_step import describe, make_step

from minigan import models
from minigan.cli import terminal
from minigan.engine import accelerate, pieces, shards, threads, tiles
from minigan.layers import dense

WHOLE = 1 << 40


def add_whole(C, a, b):
    C += a @ b


def without():
    """{part: a context manager in which it is off}"""
    return {
        "the other threads": lambda: patch.object(shards, "workers", lambda: 1),
        "minimal filtering": lambda: patch.object(tiles, "choose", lambda *shape: None),
        "columns in pieces": lambda: patch.object(pieces, "CPU_BYTES", WHOLE),
        "dW in pieces": lambda: patch.object(dense, "add_product", add_whole),
        "Adam in pieces": lambda: patch.object(pieces, "VECTOR_BYTES", WHOLE),
        "fast hypot": lambda: patch.dict(accelerate.ON_CPU, {"hypot": None})}


def timed(step, off=contextlib.nullcontext):
    with off():
        start = time.perf_counter()
        step()
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[name for name in models.MODELS if name != "toy_mlp"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"{describe()}; batch {args.batch}, {threads.workers()} threads")
    print(f"{'without':<20}" + "".join(f"{model:>16}" for model in args.models))
    steps = {model: make_step(model, args.batch, "alternating", threads.workers()) for model in args.models}
    for part, off in without().items():
        row = []
        for step in steps.values():
            step()
            row.append(statistics.median(timed(step, off) / timed(step) for _ in range(args.rounds)))
        print(f"{part:<20}" + "".join(f"{ratio:16.2f}" for ratio in row), flush=True)


if __name__ == "__main__":
    terminal.prepare()
    main()
