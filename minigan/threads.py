"""The threads of this process: how many minigan uses, its own pool of them, and those of the BLAS behind NumPy.

What they do is in minigan/parallel.py.
"""
import functools
import os
import threading

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


# --- BLAS ---

@functools.cache
def blas():
    from threadpoolctl import ThreadpoolController
    return ThreadpoolController()


@functools.cache
def blas_libraries() -> list:
    """Those whose number of threads can be read and set."""
    return [library for library in blas().lib_controllers if library.user_api == "blas" and library.num_threads]


class Limit:
    """How many threads a BLAS library had before, how many it has now, and the batches that this is for."""

    def __init__(self, library):
        self.library, self.batches = library, set()
        self.before = self.now = library.num_threads

    def lower(self, most):
        if most < self.now:
            self.now = most
            self.set(most)

    def take_back(self):
        if self.library.num_threads == self.now < self.before:             # else somebody has set it to another number
            self.set(self.before)

    def set(self, number):
        self.library.set_num_threads(number)
        # From threadpoolctl 3.8 on OpenBLAS then belongs to this thread. Here another thread may be the one to take it back.
        getattr(self.library, "clear_controlling_thread", lambda: None)()


_limits = {}                        # by place: the library, and for one with a number for each thread, the thread


def limit_blas(batch, most) -> None:
    """Give BLAS at most `most` threads, and never more than it has, until `release_blas(batch)`.

    The number of OpenBLAS is one for the whole process, and several threads of a program may have batches on their way. So
    the first batch notes the number, others can only lower it, and the last one puts it back.
    """
    with _lock:
        for library in blas_libraries():
            of_a_thread = library.internal_api == "mkl" or getattr(library, "threading_layer", "") == "openmp"
            place = library, threading.get_ident() if of_a_thread else None
            if place not in _limits:
                _limits[place] = Limit(library)
            _limits[place].batches.add(batch)
            _limits[place].lower(most)


def release_blas(batch) -> None:
    """The batch needs its limit no longer. To call this twice does no harm."""
    with _lock:
        for place, limit in list(_limits.items()):
            limit.batches.discard(batch)
            if not limit.batches:
                limit.take_back()
                _limits.pop(place, None)


def _after_fork():
    """A forked process has none of the threads, so none of their batches either, and nobody who holds the lock."""
    global _lock
    _lock = threading.RLock()
    pool.cache_clear()
    for limit in _limits.values():
        limit.take_back()
    _limits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
