"""One training step of each model: minigan against eager PyTorch and TensorFlow's tf.function, where they are installed.

    python benchmarks/training_step.py                      4 models, batch 128, alternating order
    python benchmarks/training_step.py --update simultaneous --models dcgan_28 --threads 2

Machines drift, so only ratios from one run mean anything: every framework gets a process of its own, again and again in
turn, and the table shows the median over all steps of all rounds. Each uses the fastest kernels that the CPU has: a setting
OPENBLAS_CORETYPE of the environment, which would hold back NumPy's BLAS only, is left out unless --keep-environment is given.
"""
import argparse
import importlib
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

MODELS = ["mlp_gan", "dcgan_28", "dcgan_64", "dcgan_64_stem"]
FRAMEWORKS = {"minigan": "numpy", "torch": "torch", "channels_last": "torch", "tensorflow": "tensorflow"}  # name: its package


def worker(framework, model, batch, update, threads, seconds):
    """Time steps for about so many seconds, and print the times in ms, the peak memory in MB and what computed."""
    peer = importlib.import_module("torch_step" if framework == "channels_last" else f"{framework}_step")
    layout = {"layout": peer.torch.channels_last} if framework == "channels_last" else {}
    step = peer.make_step(model, batch, update, threads, **layout)
    for _ in range(2):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"times": times, "peak": peak, "about": peer.describe()}))


def measure(framework, model, args):
    """Run `worker` in a process of its own."""
    environment = dict(os.environ, MINIGAN_THREADS=str(args.threads), OMP_NUM_THREADS=str(args.threads))
    if not args.keep_environment:
        environment.pop("OPENBLAS_CORETYPE", None)
    command = [sys.executable, __file__, "--worker", framework, "--models", model, "--batch", str(args.batch),
               "--update", args.update, "--threads", str(args.threads), "--seconds", str(args.seconds)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{framework} failed on {model}: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS,
                        default=[name for name, package in FRAMEWORKS.items() if importlib.util.find_spec(package)])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--update", choices=["alternating", "simultaneous"], default="alternating")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3, help="processes of each framework and model")
    parser.add_argument("--seconds", type=float, default=4, help="of timing in each process")
    parser.add_argument("--keep-environment", action="store_true", help="leave OPENBLAS_CORETYPE as it is set")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    parser.add_argument("--worker", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.models[0], args.batch, args.update, args.threads, args.seconds)

    results = {model: {name: [] for name in args.frameworks} for model in args.models}
    for _ in range(args.rounds):
        for model in args.models:
            for name in args.frameworks:
                results[model][name].append(measure(name, model, args))

    print(f"{platform.processor() or platform.machine()}, {args.threads} threads, batch {args.batch}, {args.update} order, "
          f"{args.rounds} rounds of {args.seconds:g} s; median ms a step, peak MB")
    for name in args.frameworks:
        print(f"  {name}: {results[args.models[0]][name][0]['about']}")
    print(f"{'model':<15}" + "".join(f"{name:>22}" for name in args.frameworks)
          + "".join(f"{'minigan/' + name:>20}" for name in args.frameworks[1:]))
    for model in args.models:
        median = {name: statistics.median(t for run in runs for t in run["times"]) for name, runs in results[model].items()}
        peak = {name: max(run["peak"] for run in runs) for name, runs in results[model].items()}
        cells = [f"{median[name]:10.1f} ms {peak[name]:5.0f} MB" for name in args.frameworks]
        ratios = [f"{median['minigan'] / median[name]:20.2f}" for name in args.frameworks[1:]] if "minigan" in median else []
        print(f"{model:<15}" + "".join(f"{cell:>22}" for cell in cells) + "".join(ratios))
    if args.json:
        arguments = {name: value for name, value in vars(args).items() if name not in ("json", "worker")}
        about = {"date": date.today().isoformat(), "machine": f"{platform.platform()}, {os.cpu_count()} cores"}
        args.json.write_text(json.dumps(about | {"arguments": arguments, "results": results}))


if __name__ == "__main__":
    main()
