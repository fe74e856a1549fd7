"""The cores of a CPU, put to work on shares of the batch.

A network treats each sample by itself, with few exceptions. So in a convolutional network a batch of 128 on four cores is cut
into four shares of 32, and each share goes through the whole network in a thread of its own (NumPy lets threads run side by
side while it computes). That is what several GPUs or machines do in data-parallel training. What the shares must agree on:

    gradients    every share adds into a vector of its own; at the end they are summed into dtheta    (below)
    BatchNorm    its sums are over the whole batch: `total` adds up what the shares found             (normalization.py)
    Dropout      every share needs random numbers of its own, in an order that does not depend on
                 which thread is the fastest: `from_first`                                            (random_layer.py)
    SpectralNorm moves its vectors, and divides W, once for all shares: `from_first`                  (spectral_norm.py)

The BLAS behind NumPy has threads of its own, which divide each product between them. That leaves all work between the
products to one core, and in a convolutional network this is much; so BLAS gets one thread while a batch is in shares. A
network of Dense layers is little but products, and a share of a few rows makes bad ones: to fetch W takes longer than to
multiply with it. Its batch stays whole as long as a share would have fewer than 128 rows, and BLAS gets its threads back if
there is much to multiply.
"""
import contextvars
import functools
import threading
import weakref

import numpy as np

from minigan import backend
from minigan.threads import blas as blas
from minigan.threads import limit_blas, release_blas, start, workers
from minigan.threads import use_threads as use_threads  # parallel.use_threads(4) is what a user writes

SMALLEST_WORK = 1_000_000           # multiply-adds; handing a share to a thread and back takes as long as about so many
WORK_FOR_BLAS = 100_000_000         # of a whole batch. BLAS' threads meet at every product: for less they save little, and
                                    # on a machine that is busy with other things each meeting waits for the last of them
PIECE_BYTES = 1 << 19               # of one vector; a step of Adam works on four, and their temporaries


class Crew:
    """The shares of one batch on their way through one network, and what they need to meet."""

    def __init__(self, size):
        self.size = size
        self.slots = [None] * size
        self.barrier = threading.Barrier(size)


class Shares:
    """The cache of a batch that was cut: the slices, and the cache of each."""

    def __init__(self, slices, caches):
        self.slices, self.caches = slices, caches


_here = threading.local()           # .crew and .index: which share of which crew this thread works on
_gradients = weakref.WeakKeyDictionary()       # network -> the gradient vectors of all its shares but the first


def forward_in_shares(forward):
    """Make the forward of a network, written for a share of the batch, one for the whole batch."""
    @functools.wraps(forward)
    def of_the_whole(network, x, train=True):
        if crew() or backend.device() != "cpu" or not isinstance(x, np.ndarray) or x.ndim == 0:
            return forward(network, x, train)
        slices = cut(len(x), network.size, smallest_share(network))
        if len(slices) == 1:
            return run(lambda i: forward(network, x, train), 1, blas_threads(len(x), network))[0]
        try:
            results = run(lambda i: forward(network, x[slices[i]], train), len(slices))
        except (ValueError, TypeError):
            forward(network, x, train)         # the same error, but it speaks of the whole batch
            raise
        return np.concatenate([y for y, _ in results]), Shares(slices, [cache for _, cache in results])
    return of_the_whole


def backward_in_shares(backward):
    """The same for backward."""
    @functools.wraps(backward)
    def of_the_whole(network, dy, cache, param_grads=True, input_grad=True):
        if crew() or backend.device() != "cpu":
            return backward(network, dy, cache, param_grads, input_grad)
        if not isinstance(cache, Shares):
            return run(lambda i: backward(network, dy, cache, param_grads, input_grad), 1, blas_threads(len(dy), network))[0]
        if len(dy) != cache.slices[-1].stop:
            raise ValueError(f"{network}: backward expected dy for {cache.slices[-1].stop} samples, got {len(dy)}")
        results = add_gradients(network, cache, param_grads, lambda twin, samples, cache_of_share:
                                backward(twin, dy[samples], cache_of_share, param_grads, input_grad))
        return np.concatenate(results) if input_grad else None
    return of_the_whole


def double_backward_in_shares(double_backward):
    """And for double_backward."""
    @functools.wraps(double_backward)
    def of_the_whole(network, v, dy, cache):
        if crew() or backend.device() != "cpu":
            return double_backward(network, v, dy, cache)
        if not isinstance(cache, Shares):
            return run(lambda i: double_backward(network, v, dy, cache), 1, blas_threads(len(dy), network))[0]
        results = add_gradients(network, cache, True, lambda twin, samples, cache_of_share:
                                double_backward(twin, v[samples], dy[samples], cache_of_share))
        return tuple(None if parts[0] is None else np.concatenate(parts) for parts in zip(*results))
    return of_the_whole


def add_gradients(network, shares, param_grads, function):
    """[function(network, samples, cache) for each share]. The first share adds into the network's dtheta, the others, through
    twins of the network, into vectors of their own, which are then added to it."""
    size = len(shares.slices)
    vectors = [network.dtheta, *gradient_vectors(network, size - 1)] if param_grads else []

    def work(i):
        twin = network.with_gradients(vectors[i]) if i > 0 and param_grads else network
        result = function(twin, shares.slices[i], shares.caches[i])
        if param_grads:
            crew().barrier.wait()                  # until all have added
            for part in parts_in_pieces(network.dtheta, network.size * i // size, network.size * (i + 1) // size):
                for vector in vectors[1:]:
                    network.dtheta[part] += vector[part]
                    vector[part] = 0               # as it has to be for the next pass
        return result

    try:
        return run(work, size)
    except BaseException:
        _gradients.pop(network, None)
        raise


def gradient_vectors(network, count):
    kept = _gradients.setdefault(network, [])
    kept += [np.zeros_like(network.dtheta) for _ in range(count - len(kept))]
    return kept[:count]


def in_pieces(function, vector):
    """function(part) for slices `part` that cover the vector, pieces that fit a cache; the workers take turns."""
    if crew() or backend.device() != "cpu":
        return function(slice(0, vector.size))
    parts = parts_in_pieces(vector, 0, vector.size)
    size = min(workers(), len(parts))

    def work(i):
        for part in parts[i::size]:
            function(part)

    run(work, size)


def parts_in_pieces(vector, start, stop):
    size = PIECE_BYTES // vector.itemsize
    return [slice(i, min(i + size, stop)) for i in range(start, stop, size)]


# --- cutting, running ---

def blas_threads(N, network) -> int:
    """How many of BLAS' threads, at most, a batch of N gets that goes through the network whole."""
    return workers() if N * network.size >= WORK_FOR_BLAS else 1


def smallest_share(network):
    """The fewest samples of a share, by what the layers say: None if one of them wants the batch whole, else the least that
    any asks for, since the layers that are content with few are those where most of the work is."""
    wanted = [layer.smallest_share for _, layer in network.walk()]
    return None if None in wanted else min(wanted)


def cut(N, parameters, fewest):
    """Slices of about the same size, one for each worker; or a single one, if `fewest` is None, if a share would be smaller,
    or if there is too little work: a parameter is used at least once for every sample, so N · parameters is the least number
    of multiply-adds."""
    n = workers()
    if fewest is None or N < n * fewest or N * parameters < n * SMALLEST_WORK:
        n = 1
    return [slice(N * i // n, N * (i + 1) // n) for i in range(n)]


def run(function, size, blas_threads=1):
    """[function(0), ..., function(size - 1)], side by side; the first one in this thread."""
    together, others = Crew(size), []

    def share(index):
        _here.crew, _here.index = together, index
        try:
            return function(index), None
        except BaseException as error:
            together.barrier.abort()           # or the others would wait there for ever
            return None, error
        finally:
            _here.crew = None

    try:
        limit_blas(together, blas_threads)
        # Each thread gets a copy of this one's context, where NumPy keeps what np.errstate says.
        others = start(functools.partial(contextvars.copy_context().run, share, index) for index in range(1, size))
        outcomes = [share(0), *(other.result() for other in others)]
    except BaseException:                      # Ctrl-C, for instance: no share may go on behind the caller's back
        together.barrier.abort()
        for other in others:
            other.result()
        raise
    finally:
        _here.crew = None
        try:
            release_blas(together)
        except BaseException:                  # Ctrl-C again, and right here
            release_blas(together)
            raise
    errors = [error for _, error in outcomes if error is not None]
    if errors:                                 # a broken barrier only says that another share failed
        raise min(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError))
    return [result for result, _ in outcomes]


# --- what the shares of a batch tell each other ---

def crew():
    """The crew that this thread works in, or None."""
    return getattr(_here, "crew", None)


def index() -> int:
    """Which share of the batch this is; 0 where it is not cut."""
    return _here.index if crew() else 0


def crew_size() -> int:
    """How many shares the batch is cut into."""
    return crew().size if crew() else 1


def total(value):
    """The sum of `value` (a number, an array, a list) over the shares of the batch, the same bits for all; where it is not
    cut, the value itself."""
    together = crew()
    if together is None or together.size == 1:
        return value
    together.slots[_here.index] = value
    together.barrier.wait()
    result = sum(together.slots[1:], together.slots[0])
    together.barrier.wait()                    # no slot may be used again before all have read it
    return result


def from_first(function):
    """What function() gives in the first share, for all shares."""
    return total([function()] if index() == 0 else [])[0]      # [value] + [] + []
