"""What do ranks cost? A training step in processes over MPI beside the same in threads of one process, and a model of many.

    python benchmarks/distributed.py                        1 and 2 ranks, dcgan_64, dcgan_28 and mlp_gan, batch 128

For each network: steps a second of 1 and 2 threads, and of 1 and 2 ranks of one thread each, in turn; the bytes that a rank
sends to the other in a step (it receives as many), and the time that this takes, waiting for the other included. Then the
model, which is no measurement:

    T(P) = compute / P + fixed + bytes(P) / bandwidth + latency · (large · (P - 1) + small · log2(P))

compute and fixed (what every rank does whole: Adam, losses, all outside of the networks) follow from the steps of 1 and 2
ranks without communication; bytes(P) = 2 (P - 1)/P of those for 2; large are the exchanges of vectors and images, in which
each rank speaks with each other one, small those of a few numbers; latency is taken as 30 microseconds.
"""
import argparse
import json
import math
import os
import pickle
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.pop("OPENBLAS_CORETYPE", None)               # before NumPy is loaded: the fastest kernels that the CPU has

from minigan_step import make_step

from minigan.cli import terminal
from minigan.engine import ranks, use_threads

LATENCY = 30e-6
COUNTS = ("bytes", "large", "small", "seconds")
MPIEXEC = Path(sys.executable).with_name("mpiexec")


class Counted:
    """An MPI communicator that counts the bytes that leave this rank, its calls, and the time that they take."""

    def __init__(self, world):
        self.world, self.bytes, self.large, self.small, self.seconds = world, 0, 0, 0, 0.0

    def __getattr__(self, name):
        found = getattr(self.world, name)
        if name not in ("allgather", "Allgatherv", "Alltoallv"):
            return found

        def call(*arguments):
            start = time.perf_counter()
            result = found(*arguments)
            self.seconds += time.perf_counter() - start
            if name == "allgather":
                self.small += 1
                self.bytes += (self.world.size - 1) * len(pickle.dumps(arguments[0]))
            else:                                      # all of a buffer but this rank's own part; of all parts but its own
                (buffer, (lengths, _)), self.large = arguments[name == "Allgatherv"], self.large + 1
                self.bytes += buffer.nbytes - lengths[self.world.rank] * buffer.itemsize
            return result
        return call


def worker(model, batch, threads, seconds, distributed):
    """Print the times of steps, and what communication took of one, as JSON."""
    use_threads(threads)
    if distributed:
        ranks.begin()
        ranks._world = Counted(ranks._world)
    step = make_step(model, batch, "alternating", threads)
    step()
    counted = ranks._world if distributed else Counted(None)
    counted.bytes = counted.large = counted.small = counted.seconds = 0
    times, end = [], time.perf_counter() + seconds
    while ranks.anywhere(len(times) < 3 or time.perf_counter() < end):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    if ranks.rank() == 0:
        n = len(times)
        of_a_step = {name: getattr(counted, name) / n for name in COUNTS}
        print(json.dumps({"times": times} | of_a_step))


def measure(model, batch, seconds, processes, threads, distributed):
    launcher, words = ([MPIEXEC, "-n", processes], ["--ranks"]) if distributed else ([], [])
    command = [*launcher, sys.executable, *(["-m", "mpi4py"] if distributed else []), __file__, "--worker", model,
               "--batch", batch, "--seconds", seconds, "--threads", threads, *words]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{model} failed: {(result.stderr.strip().splitlines() or ['without a word'])[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def modelled(one, two, computing, P, bandwidth):
    """Seconds of a step on P ranks of one thread."""
    fixed = max(0.0, 2 * computing - one)       # compute + fixed is what one takes, compute / 2 + fixed what two take
    traffic = two["bytes"] * 2 * (P - 1) / P
    waiting = LATENCY * (two["large"] * (P - 1) + two["small"] * math.log2(P))
    return (one - fixed) / P + fixed + traffic / bandwidth + waiting


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mlp_gan", "dcgan_28", "dcgan_64"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--ranks", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.batch, args.threads, args.seconds, args.ranks)
    print(f"batch {args.batch}, steps a second; of 2 ranks, for each: MB sent, exchanges, ms in communication")
    print("| | 1 thread | 2 threads | 1 rank | 2 ranks | 2 ranks / 2 threads | MB | large, small | ms |\n" + 9 * "|---" + "|")
    cases = {"1 thread": (1, 1, False), "2 threads": (1, 2, False), "1 rank": (1, 1, True), "2 ranks": (2, 1, True)}
    measured = {}
    for model in args.models:
        runs = {name: [] for name in cases}
        for _ in range(args.rounds):
            for name, case in cases.items():
                runs[name].append(measure(model, args.batch, args.seconds, *case))
        median = {name: statistics.median(t for run in found for t in run["times"]) for name, found in runs.items()}
        two = {key: statistics.median(run[key] for run in runs["2 ranks"]) for key in COUNTS}
        measured[model] = median["1 rank"], two, median["2 ranks"] - two["seconds"]
        rates = " | ".join(f"{1 / seconds:.2f}" for seconds in median.values())
        print(f"| {model} | {rates} | {median['2 threads'] / median['2 ranks']:.2f} | {two['bytes'] / 1e6:.1f} | "
              f"{two['large']:.0f}, {two['small']:.0f} | {1000 * two['seconds']:.1f} |", flush=True)
    print("\nThe model, times as fast as one rank, on 1, 10 and 100 Gbit/s (not measured)")
    sizes = (2, 4, 8, 16, 32, 64)
    print("| | Gbit/s | " + " | ".join(f"{P} ranks" for P in sizes) + " |\n" + (len(sizes) + 2) * "|---" + "|")
    for model, (one, two, compute) in measured.items():
        for gigabits in (1, 10, 100):
            row = [one / modelled(one, two, compute, P, gigabits * 1e9 / 8) for P in sizes]
            print(f"| {model} | {gigabits} | " + " | ".join(f"{factor:.1f}" for factor in row) + " |")


if __name__ == "__main__":
    terminal.prepare()
    main()
