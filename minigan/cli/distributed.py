"""What a program does before the ranks of a distributed run train: how many threads each has, which GPU, and whether all have
the same data, options and versions."""
import os
import platform
import zlib
from pathlib import Path

import numpy as np

from minigan import backend
from minigan.engine import machine, ranks, shards, workers
from minigan.training.folder import fingerprint


def default_threads() -> int:
    """Of all ranks together: MINIGAN_THREADS for each, else the cores of a machine are divided between its ranks. Each has as
    many as the one that has the fewest."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    sharing = ranks.gather((platform.node(), cores)).count((platform.node(), cores))
    own = workers() if os.environ.get("MINIGAN_THREADS") else max(1, len(cores) // sharing)
    return min(ranks.gather(own)) * ranks.started()


def threads_on_resume(threads: int) -> int:
    """Of all ranks together, so that each has the same number of the shards that the run had, as far as that can be."""
    return max(1, threads // ranks.started()) * ranks.started()


def device(name: str) -> str:
    """The device of this rank: "cuda" is the first GPU for the first rank on a machine, the second for the second, and again
    the first where a rank sees only its own."""
    if name != "cuda" or ranks.started() == 1:
        return name
    before = ranks.gather(platform.node())[:ranks.rank()].count(platform.node())
    return f"cuda:{before % max(1, backend.load_cupy(0).cuda.runtime.getDeviceCount())}"


def check(gan, options: dict, x: np.ndarray, labels: np.ndarray | None) -> None:
    """Raise ValueError on all ranks unless they can train together."""
    if ranks.size() == 1:
        return
    count = options["threads"] if backend.device() == "cpu" else ranks.size()
    batch = options["batch_size"]
    if batch < count:
        raise ValueError(f"--batch-size {batch} cannot be cut into {count} shards, {count // ranks.size()} for each of "
                         f"{ranks.size()} ranks: it must be at least {count}, or --threads or the number of ranks smaller")
    by = ranks.connect()
    if options["capture"] and (backend.device() == "cpu") < (by == "MPI"):
        raise ValueError("--capture makes one CUDA graph of a step, and MPI cannot be part of one: CuPy needs NCCL, and each "
                         "rank a GPU of its own; or leave out --capture, or --distributed")
    facts = {f"--{name.replace('_', '-')}": value for name, value in options.items() if name != "device"}
    parameters = [zlib.crc32(backend.to_numpy(network.theta).tobytes()) for network in (gan.G, gan.D)]
    _, kernel, _ = machine.blas() or ("", "unknown", 0)
    ranks.check_equal(facts | {"data": fingerprint(x, labels).tolist(), "parameters": parameters,
                               "minigan, by the checksum of its files": code(), "Python": platform.python_version(),
                               "NumPy": np.__version__, "kernels of BLAS": kernel})
    whole = [name for name, network in (("G", gan.G), ("D", gan.D))
             if len(shards.cut(batch, shards.least_work(network), shards.fewest(network))) == 1]
    stays = f"; {' and '.join(whole)} not, too small for that or with layers that mix samples" if whole else ""
    print(f"{ranks.size()} ranks, joined by {by}: a batch of {batch} goes through the networks in {count} shards{stays}")


def code() -> int:
    folder = Path(ranks.__file__).parents[1]
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py"))))
