"""How a training step grows with the batch, and shrinks with the threads: minigan beside eager PyTorch, where it is installed.

    python benchmarks/scaling.py --model dcgan_28
"""
import argparse
import importlib.util
import os
import statistics

from training_step import FRAMEWORKS, MODELS, measure


def median(framework, args, batch, threads):
    args.batch, args.threads = batch, threads
    return statistics.median(measure(framework, args.model, args)["times"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="dcgan_28", choices=MODELS)
    parser.add_argument("--update", choices=["alternating", "simultaneous"], default="alternating")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128, 256, 512])
    parser.add_argument("--seconds", type=float, default=3)
    args = parser.parse_args()
    args.keep_environment = False
    frameworks = [name for name in ("minigan", "torch") if importlib.util.find_spec(FRAMEWORKS[name])]
    cores = len(os.sched_getaffinity(0))
    cases = [(batch, cores) for batch in args.batches]
    cases += [(128, threads) for threads in range(1, cores)]
    print(f"{args.model}, {args.update} order; median ms a step (images a second)")
    print(f"{'batch':>6}{'threads':>9}" + "".join(f"{name:>24}" for name in frameworks))
    for batch, threads in cases:
        times = [median(name, args, batch, threads) for name in frameworks]
        print(f"{batch:>6}{threads:>9}" + "".join(f"{t:14.1f} ({1000 * batch / t:7.0f})" for t in times), flush=True)


if __name__ == "__main__":
    main()
