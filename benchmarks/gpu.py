"""Everything that is to be known of minigan on a GPU, in one command of at most 8 minutes: is it right, how fast is it?

    python benchmarks/gpu.py                        on a machine with CuPy and an NVIDIA GPU; with PyTorch, if it is there
    python benchmarks/gpu.py --smoke                a few steps on the stand-in for CuPy of the tests: does this program work?

1  Is it right?   5 steps of each model on the CPU and on the GPU, from the same weights with the same noise, end with nearly
                  the same parameters: nearly to 1e-9 in float64. In float32 rounding alone may carry one of a million numbers
                  over the bend of a LeakyReLU, so there nothing below 3 % says much. 20 steps as one CUDA graph each end as 20
                  steps as they are do.
2  How fast?      ms a step, kernels a step and memory, for each model, batch, TF32 on and off:
                  minigan  eager; captured: the whole step as one CUDA graph, with its noise (training.capture); and this, for
                           the last batch, with a convolution's columns in other pieces (engine/pieces.py), on lines of its own
                  PyTorch  eager; graph: the eager step recorded whole; compiled: torch.compile(mode="reduce-overhead")

Every model and framework has a process of its own, and an error there is a line in the table, not the end. Compiling takes
PyTorch long, so it comes last and stops when the time is over. A time is the median over rounds of many steps each, with one
wait for the GPU at the end of a round. The exit status is 1 if something under 1 is wrong.
"""
import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

MODELS = ["mlp_gan", "dcgan_28", "dcgan_64", "dcgan_64_stem"]
COLUMNS = [("minigan", "eager"), ("minigan", "captured"), ("torch", "eager"), ("torch", "graph"), ("torch", "compiled")]
TESTS = Path(__file__).resolve().parents[1] / "tests"


# --- one process: minigan ---

def use(device, tf32=None):
    import minigan as mg
    mg.use(device, tf32=tf32)


def stand_in():
    """The strict stand-in for CuPy in place of CuPy."""
    sys.path.insert(0, str(TESTS))
    import fakecupy
    from minigan.engine import cublas
    sys.modules["cupy"], cublas.library = fakecupy, fakecupy.cublas_library


def about_minigan():
    import numpy as np
    from minigan.engine import machine
    return {"GPU": machine.describe_gpu(), "NumPy": np.__version__, "CPU": dict(machine.describe())["CPU"],
            "Python": platform.python_version()}


def parameters(gan):
    import minigan as mg
    return {name: mg.to_numpy(network.theta).copy() for name, network in (("G", gan.G), ("D", gan.D))}


def apart(found, expected):
    """The largest difference between parameters, as a part of the largest parameter."""
    return max(float(abs(found[name] - expected[name]).max() / abs(expected[name]).max()) for name in expected)


def steps_on(device, tf32, model, batch, steps, dtype="float32"):
    """Parameters after some steps with noise and dropout drawn on the host, the same for all devices; a CPU, too, takes its
    batch whole. Adam's eps is large, so that rounding cannot turn a step around where a gradient is almost zero."""
    import minigan as mg
    from minigan_step import make_gan
    use("cpu")
    mg.engine.use_threads(1)
    host = mg.to_numpy(make_gan(model, batch, dtype=dtype)[1])
    use(device, tf32)
    gan, _ = make_gan(model, batch, eps=1e-3, dtype=dtype)
    for _, layer in [*gan.G.walk(), *gan.D.walk()]:
        if layer.rng is not None:
            layer.rng = mg.host_rng(7)
    rng, real = mg.host_rng(1), mg.asarray(host)
    for _ in range(steps):
        gan.train_step(real, mg.asarray(rng.standard_normal((batch, gan.latent_dim)).astype(dtype)))
    return parameters(gan)


def captured_and_eager(tf32, model, batch, steps):
    import minigan as mg
    from minigan_step import make_gan
    found = []
    for captured in (True, False):
        use("cuda", tf32)
        gan, real = make_gan(model, batch, eps=1e-3)
        noise = mg.rng(1)
        step = mg.training.capture(gan, noise)
        for _ in range(steps):
            step(real) if captured else gan.train_step(real, gan.noise(batch, noise))
        found.append(parameters(gan))
    return apart(*found)


def check(model, args):
    """The lines of part 1, one dict each. How far apart is too far: rounding alone, through some steps of a GAN."""
    for dtype, tf32, limit in (("float64", False, 1e-9), ("float32", False, 3e-2), ("float32", True, 3e-2)):
        cpu, gpu = (steps_on(*device, model, args.check_batch, 5, dtype) for device in (("cpu", None), ("cuda", tf32)))
        yield {"check": f"GPU against CPU in {dtype}, 5 steps", "tf32": tf32, "apart": apart(gpu, cpu), "limit": limit}
    for tf32 in (False, True):
        distance = captured_and_eager(tf32, model, args.check_batch, 20)
        yield {"check": "captured against eager, 20 steps", "tf32": tf32, "apart": distance, "limit": 1e-6}


def minigan_rows(model, args):
    for tf32 in (False, True):
        for batch in args.batches:
            for mode in ("eager", "captured"):
                yield attempt(partial(minigan_step, model, batch, tf32, mode, args), batch, tf32, mode, args)
    for size in (16, 32, 64, 512):             # what other pieces of a convolution's columns would do than those of 128 MB
        measure = partial(minigan_step, model, args.batches[-1], True, "captured", args, size)
        yield attempt(measure, args.batches[-1], True, f"captured, pieces of {size} MB", args)


def minigan_step(model, batch, tf32, mode, args, piece_size=None):
    import minigan as mg
    from minigan_step import make_gan
    use("cuda", tf32)
    pool = sys.modules["cupy"].get_default_memory_pool()
    pool.free_all_blocks()
    if piece_size:
        mg.engine.pieces.GPU_BYTES = piece_size << 20
    gan, real = make_gan(model, batch)
    noise = mg.rng(1)
    captured = mg.training.capture(gan, noise)
    step = (lambda: captured(real)) if mode == "captured" else (lambda: gan.train_step(real, gan.noise(batch, noise)))
    ms, losses = timed(step, mg.backend.synchronize, args)
    graph = graph_of(captured)
    memory = pool.total_bytes() + (graph.pool.total_bytes() if graph else 0)
    return ms, losses, nodes(graph.graph) if graph else None, memory


def graph_of(captured):
    """The Captured inside the function that GAN.capture returned, once it has a graph."""
    found = [cell.cell_contents for cell in captured.__closure__ if hasattr(cell.cell_contents, "graph")]
    return found[0] if found and found[0].graph is not None else None


def nodes(graph):
    """How many kernels, copies and fills a graph has; None where CuPy cannot say."""
    try:
        return len(re.findall(r'node_\d+"?\s*\[', graph.debug_dot_str()))
    except Exception:
        return None


# --- one process: PyTorch ---

def about_torch():
    import torch
    return {"PyTorch": f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"}


def torch_rows(model, args, modes):
    import torch
    from torch_step import make_step
    device = "cpu" if args.smoke else "cuda"
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    order = sorted(args.batches, key=lambda batch: batch != 128)       # the batch that counts first: time may run out
    for tf32 in (True, False):
        for batch in order:
            for mode in modes:
                torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32

                def measure(batch=batch, mode=mode):
                    if device == "cuda":
                        torch.cuda.empty_cache()
                        torch.cuda.reset_peak_memory_stats()
                    step = make_step(model, batch, "alternating", 1, device, mode)
                    ms, losses = timed(step, wait, args)
                    memory = torch.cuda.max_memory_reserved() if device == "cuda" else None
                    return ms, losses, torch_kernels(step) if mode == "eager" else None, memory
                yield attempt(measure, batch, tf32, mode, args)
                if mode == "compiled":
                    torch._dynamo.reset()


def torch_kernels(step):
    """Kernels, copies and fills of one step, as PyTorch's profiler counts them; None where it cannot."""
    import torch
    if not torch.cuda.is_available():
        return None
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            step()
            torch.cuda.synchronize()
        return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events())
    except Exception:
        return None


# --- what both share ---

def without_gpu():
    """Why nothing can run here, one sentence; in a process of its own, since a GPU in use could be held by this one."""
    command = [sys.executable, "-c", "from minigan.engine import machine; print(machine.describe_gpu())"]
    found = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return found.removeprefix("none: ") if found.startswith("none: ") else ""



def timed(step, wait, args):
    """([ms a step in each round], the last losses)."""
    for _ in range(args.warm_up):
        losses = step()
    wait()
    start = time.perf_counter()
    step()
    wait()
    count = max(1, min(1000, int(args.seconds / args.rounds / (time.perf_counter() - start))))
    times = []
    for _ in range(args.rounds):
        start = time.perf_counter()
        for _ in range(count):
            losses = step()
        wait()
        times.append(1000 * (time.perf_counter() - start) / count)
    losses = [float(value.detach() if hasattr(value, "detach") else value) for value in losses]
    if not all(abs(value) < 1e6 for value in losses):
        raise FloatingPointError(f"the losses are {losses}")
    return times, losses


def attempt(measure, batch, tf32, mode, args):
    """A row of the table; with an error in place of numbers if there was one, or no time."""
    row = {"batch": batch, "tf32": tf32, "mode": mode}
    if time.time() > args.until:
        return row | {"error": "not run: out of time"}
    try:
        times, losses, kernels, memory = measure()
        return row | {"ms": statistics.median(times), "times": times, "losses": losses, "kernels": kernels,
                      "MB": memory and memory / 2 ** 20}
    except Exception as error:
        return row | {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"}


def work(job, model, args):
    """One process: its rows, a line of JSON each."""
    if job in ("check", "minigan"):
        if args.smoke:
            stand_in()
        rows = check(model, args) if job == "check" else minigan_rows(model, args)
        about = about_minigan()
    else:
        modes = ["eager"] if args.smoke else ["compiled"] if job == "compiled" else ["eager", "graph"]
        rows = torch_rows(model, args, modes)
        about = about_torch()
    print(json.dumps({"about": about}), flush=True)
    framework = "minigan" if job in ("check", "minigan") else "torch"
    for row in rows:
        print(json.dumps({"model": model, "framework": framework} | row), flush=True)


# --- the parent process ---

def run(job, model, args):
    """(rows, about) of one process, shown as they come."""
    command = [sys.executable, __file__, "--job", job, "--models", model, "--until", str(args.until), "--seconds",
               str(args.seconds), "--rounds", str(args.rounds), "--batches", *map(str, args.batches)]
    environment = os.environ | ({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} if args.smoke else {})
    process = subprocess.Popen(command + ["--smoke"] * args.smoke, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:                                               # the compiler may hang; nothing else takes so long
        out, errors = process.communicate(timeout=max(30.0, args.until + 60 - time.time()))
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        errors += "\nstopped: out of time"
    rows, about = [], {}
    for line in out.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            about |= row.pop("about", {})
            rows += [row] if row else []
    if process.returncode:
        why = (errors.strip().splitlines() or ["no word"])[-1]
        rows.append({"model": model, "framework": job, "error": why})
    for row in rows:
        print(said(row), flush=True)
    return rows, about


def said(row):
    """A row as a line."""
    where = f"{row['model']:<14} {row['framework']:<8}"
    if "tf32" in row:
        where += f" TF32 {'on ' if row['tf32'] else 'off'}"
    if "check" in row:
        verdict = "right" if row["apart"] <= row["limit"] else "WRONG"
        return f"{where} {row['check']}: {row['apart']:.1e} apart, at most {row['limit']:g}: {verdict}"
    if "batch" in row:
        where += f" batch {row['batch']:<4} {row['mode']:<9}"
    if "error" in row:
        return f"{where} {row['error']}"
    memory = "" if row["MB"] is None else f"{row['MB']:8.0f} MB"
    kernels = "" if row["kernels"] is None else f"{row['kernels']:6d} kernels"
    return f"{where} {row['ms']:8.3f} ms{memory}{kernels}"


def table(rows):
    """Markdown: a line for each model, batch and TF32; ms a step, and what minigan's graph needs in comparison."""
    found = {(r["model"], r["batch"], r["tf32"], r["framework"], r["mode"]): r for r in rows if "batch" in r}
    lines = ["| model | batch | TF32 | " + " | ".join(f"{framework} {mode}" for framework, mode in COLUMNS)
             + " | captured / torch eager | captured / torch compiled | MB minigan / torch | kernels minigan / torch |",
             "|" + "---|" * (len(COLUMNS) + 7)]
    for model, batch, tf32 in dict.fromkeys(key[:3] for key in found):
        row = {column: found.get((model, batch, tf32, *column), {}) for column in COLUMNS}
        captured, eager = row["minigan", "captured"], row["torch", "eager"]
        cells = [f"{row[column]['ms']:.3f}" if "ms" in row[column] else "-" for column in COLUMNS]
        for other in (eager, row["torch", "compiled"]):
            cells.append(f"{captured['ms'] / other['ms']:.2f}" if "ms" in captured and "ms" in other else "-")
        cells.append(" / ".join(f"{r['MB']:.0f}" if r.get("MB") is not None else "-" for r in (captured, eager)))
        cells.append(" / ".join(str(r.get("kernels") or "-") for r in (captured, eager)))
        lines.append(f"| {model} | {batch} | {'on' if tf32 else 'off'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128, 512])
    parser.add_argument("--seconds", type=float, default=0.6, help="of timing for each number")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=7.0, help="when to begin nothing new")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="write all that was measured to this file")
    parser.add_argument("--smoke", action="store_true", help="a few steps on the stand-in for CuPy; says nothing of speed")
    parser.add_argument("--job", choices=["check", "minigan", "torch", "compiled"], help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    start = time.time()
    args.until = args.until or start + 60 * args.minutes
    args.warm_up, args.check_batch = (2, 4) if args.smoke else (5, 16)
    if args.job:
        return work(args.job, args.models[0], args)

    jobs = ["check", "minigan"] + ([] if importlib.util.find_spec("torch") is None else ["torch"] if args.smoke else [
        "torch", "compiled"])
    if not args.smoke and (problem := without_gpu()):
        parser.exit(2, f"gpu.py: {problem}, or try --smoke\n")
    if "torch" not in jobs:
        print("PyTorch is not installed here: minigan alone")
    rows, about = [], {}
    for job in jobs:
        for model in args.models:
            more, more_about = run(job, model, args)
            rows += more
            about |= more_about
    right = all(row["apart"] <= row["limit"] for row in rows if "check" in row)
    right = right and 5 * len(args.models) == sum("check" in row for row in rows)
    if args.smoke:
        about["smoke"] = "on the stand-in for CuPy: these times mean nothing"
    about["date"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    about["minutes"] = round((time.time() - start) / 60, 1)
    print("\n" + "\n".join(f"{name}: {value}" for name, value in about.items()) + "\n\n" + table(rows))
    print(f"\nthe results are {'right' if right else 'WRONG: see above'}")
    args.json.write_text(json.dumps({"about": about, "right": right, "rows": rows}, indent=1))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
