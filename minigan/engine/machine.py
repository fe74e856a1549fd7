"""What NumPy, its BLAS and the GPU have to work with here, and advice where they could be faster: `python -m minigan`."""
import os
import platform

import numpy as np

from minigan import backend
from minigan.engine import accelerate
from minigan.engine.blas import blas as controller
from minigan.engine.memory import keep_freed_memory
from minigan.engine.threads import workers

AVX512_KERNELS = ("skylakex", "cooperlake", "sapphirerapids")     # OpenBLAS' names


def blas() -> tuple[str, str, int] | None:
    """(name and version, kernel, threads) of the BLAS that NumPy uses, as threadpoolctl sees it; None if it sees none."""
    for library in controller().info():
        if library["user_api"] == "blas":
            name = f"{library['internal_api']} {library.get('version') or ''}".strip()
            return name, library.get("architecture") or "unknown", library["num_threads"]
    return None


def has_avx512():
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    return any(name.startswith(("AVX512", "X86_V4")) for name in found)


def describe_gpu() -> str:
    """The first GPU and the version of CuPy, or why there is none to use."""
    try:
        cupy = backend.load_cupy(0)
    except RuntimeError as error:
        return f"none: {error}"
    return f"{cupy.cuda.runtime.getDeviceProperties(0)['name'].decode()}, CuPy {cupy.__version__}"


def describe() -> list[tuple[str, str]]:
    """Lines (what, what was found)."""
    lines = [("Python", platform.python_version()), ("NumPy", np.__version__)]
    found = blas()
    if found:
        name, kernel, threads = found
        lines += [("BLAS", f"{name}, {kernel} kernels, {threads} threads of its own (one while a batch is in shards)")]
    lines += [("CPU", f"{os.cpu_count()} cores, AVX-512: {'yes' if has_avx512() else 'no'}"),
              ("minigan", f"cuts large batches for {workers()} threads; device {backend.device()}")]
    equals = accelerate.ON_CPU if backend.device() == "cpu" else accelerate.ON_GPU
    lines += [("equals", "none, MINIGAN_PLAIN=1: the definitions run" if accelerate.plain() else
               f"of {', '.join(equals)}; convolutions by minimal filtering where that gains" if backend.device() == "cpu" else
               f"of {', '.join(equals)}"),
              ("memory", "freed, it stays with the process" if keep_freed_memory() else
               "freed, it goes back as the allocator has it")]
    lines += [("GPU", describe_gpu()), ("TF32", "on" if backend.tf32() else "off: products are float32")]
    return lines


def advice() -> list[str]:
    """One sentence for each thing that makes minigan slower here than it need be; it takes effect before Python starts."""
    found = blas()
    sentences = []
    if found is None:
        sentences.append("no BLAS that threadpoolctl knows; NumPy from PyPI or conda-forge has a fast one")
    elif found[0].startswith("openblas") and has_avx512() and found[1].lower() not in AVX512_KERNELS:
        forced = os.environ.get("OPENBLAS_CORETYPE")
        remedy = f"unset OPENBLAS_CORETYPE, which is {forced}" if forced else "set OPENBLAS_CORETYPE=SkylakeX"
        sentences.append(f"BLAS uses its {found[1]} kernels though this CPU has AVX-512, which may be twice as fast: {remedy}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cores and workers() > cores:
        sentences.append(f"batches are cut for {workers()} threads, but this process may use {cores} cores: set "
                         f"MINIGAN_THREADS or --threads to {cores}")
    return sentences
