"""The threads of this process: how many minigan uses, its own pool of them, and those of the BLAS behind NumPy.

What they do is in minigan/parallel.py.
"""
import functools
import os

MOST_THREADS = 256
_threads = None                     # what use_threads said


def workers() -> int:
    """How many shares a batch is cut into at most: what `use_threads` says, else MINIGAN_THREADS, else as many as there are
    cores that this process may use."""
    return _threads or threads_by_default()


def use_threads(count) -> None:
    """Cut batches into `count` shares from now on. The last bits of a run depend on it, and what its random
    layers draw; so a resumed run keeps its number."""
    global _threads
    if not isinstance(count, int) or not 1 <= count <= MOST_THREADS:
        raise ValueError(f"the number of threads must be between 1 and {MOST_THREADS}, got {count!r}")
    _threads = count


@functools.cache
def threads_by_default() -> int:
    wanted = os.environ.get("MINIGAN_THREADS")
    if wanted and not (wanted.isdecimal() and 1 <= int(wanted) <= MOST_THREADS):
        raise ValueError(f"MINIGAN_THREADS must be a number between 1 and {MOST_THREADS}, got {wanted!r}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(wanted) if wanted else min(cores or 1, MOST_THREADS)


@functools.cache
def pool():
    from concurrent.futures import ThreadPoolExecutor  # here, since `import minigan` should take no time

    return ThreadPoolExecutor(MOST_THREADS, "minigan")         # it starts as many as are used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)       # a forked process has none of the threads


@functools.cache
def blas():
    from threadpoolctl import ThreadpoolController
    return ThreadpoolController()


@functools.cache
def threads_of_blas() -> int:
    """How many threads BLAS has, as it was loaded; the variables OPENBLAS_NUM_THREADS and the like may have set fewer."""
    return max((library["num_threads"] for library in blas().info() if library["user_api"] == "blas"), default=1)
