"""How many threads the BLAS behind NumPy gets, and when it gets its own number back.

BLAS divides each product between threads of its own. That leaves all work between the products to one core, and in a
convolutional network this is much; so BLAS gets one thread while a batch is in shards. A network of Dense layers is little but
products: its batch stays whole, and BLAS keeps its threads if there is much to multiply (shards.py).
"""
import functools
import os
import threading


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
        if self.library.num_threads == self.now < self.before:             # else other code has set it to another number
            self.set(self.before)

    def set(self, number):
        self.library.set_num_threads(number)
        # From threadpoolctl 3.8 on OpenBLAS then belongs to this thread. Here another thread may be the one to take it back.
        getattr(self.library, "clear_controlling_thread", lambda: None)()


_lock = threading.RLock()           # RLock: a signal's handler, too, may use minigan
_limits: dict = {}                  # by place: the library, and for one with a number for each thread, the thread


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
    """A forked process has none of the threads, so none of their batches either."""
    global _lock
    _lock = threading.RLock()
    for limit in _limits.values():
        limit.take_back()
    _limits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
