"""The threads of this process: how many minigan uses, and its pool of them. What they do: shards.py, pieces.py."""
import functools
import os
import threading

MOST_THREADS = 256
_threads = None                     # set by use_threads


def workers() -> int:
    """How many shards a batch is cut into at most: the number given to `use_threads`, else MINIGAN_THREADS,
    else the number of cores that this process may use."""
    return _threads or threads_by_default()


def use_threads(count) -> None:
    """Cut batches into `count` shards from now on. The last bits of a run depend on it, and what its random
    layers draw; so a resumed run keeps its number, unless it is given another."""
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


# --- the pool ---

_lock = threading.RLock()           # RLock: a signal's handler, too, may use minigan


@functools.cache
def pool():
    from concurrent.futures import ThreadPoolExecutor  # here, since `import minigan` should take no time

    return ThreadPoolExecutor(MOST_THREADS, "minigan")         # it starts as many as are used


def start(functions) -> list:
    """Call each in a thread of the pool; returns their futures. All of one batch stand in the queue one behind another: two
    batches that had half of the threads each would wait for the other half for ever."""
    with _lock:
        return [start_one(function) for function in functions]


def start_one(function):
    try:
        return pool().submit(function)
    except RuntimeError:                # a pool ends with the main thread; a thread of the program may go on without it
        from concurrent.futures import Future

        future = Future()
        threading.Thread(target=lambda: future.set_result(function())).start()
        return future


def _after_fork():
    """A forked process has none of the threads, and no owner of the lock."""
    global _lock
    _lock = threading.RLock()
    pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
