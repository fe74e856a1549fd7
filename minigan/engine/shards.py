"""`over_shards`: the cores of a CPU, put to work on shards of the batch.

In most layers a sample of the output depends on its own sample of the input only. So in a convolutional network a batch of 128
on four cores is cut into four shards of 32, and each goes through the whole network in a thread of its own (NumPy lets threads
run side by side while it computes). Several GPUs or machines that train data parallel do the same. What the shards have to
tell each other is in exchange.py.

A network of Dense layers gains nothing from small shards: to fetch W takes longer than to multiply a few rows with it. Its
batch stays whole if a shard would have fewer than 128 rows, and BLAS keeps its own threads if there is much to multiply.
"""
import contextlib
import functools
import weakref
from collections.abc import Iterator

import numpy as np

from minigan import backend
from minigan.backend import F
from minigan.engine.exchange import batch_here
from minigan.engine.pieces import parts_of
from minigan.engine.run import run
from minigan.engine.threads import workers

SMALLEST_WORK = 1_000_000           # multiply-adds; handing a shard to a thread and back takes as long as about that many
WORK_FOR_BLAS = 100_000_000         # of a whole batch. BLAS' threads meet at every product: for less they save little, and
                                    # on a machine that is busy with other things each meeting waits for the last of them
FEWEST_ROWS = 128                   # of a shard in a network of Dense layers
POSITIONS = 16                      # that a kernel takes in an image at least: the smallest images of a DCGAN are 4 x 4
FEWEST_IMAGES = 2                   # in one with convolutions: an image has many patches, and two make a large product already
_asked_for = None                   # a number of shards, however small; see `in_shards`


class Sharded:
    """The cache of a batch that was cut: the slices, and the cache of each."""

    def __init__(self, slices, caches):
        self.slices, self.caches = slices, caches


_facts: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()        # network -> (least_work, fewest): its layers are fixed
_gradients: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()    # network -> the vectors of all its shards but the first


def over_shards(method: F) -> F:
    """Decorator of a network's forward, backward or double_backward, written for a shard of the batch: it takes a batch of
    any size, whose shards go through it side by side."""
    return {"forward": forward_over_shards, "backward": backward_over_shards,
            "double_backward": double_backward_over_shards}[method.__name__](method)


def forward_over_shards(forward):
    @functools.wraps(forward)
    def of_the_batch(network, x, train=True):
        if batch_here() or backend.device() != "cpu" or not isinstance(x, np.ndarray) or x.ndim == 0:
            return forward(network, x, train)
        if network not in _facts:
            _facts[network] = least_work(network), fewest(network)
        slices = cut(len(x), *_facts[network])
        if len(slices) == 1:
            return run(lambda i: forward(network, x, train), 1, blas_threads(len(x), network))[0]
        try:
            results = run(lambda i: forward(network, x[slices[i]], train), len(slices))
        except (ValueError, TypeError):
            forward(network, x, train)         # the same error, but it speaks of the whole batch
            raise
        return np.concatenate([y for y, _ in results]), Sharded(slices, [cache for _, cache in results])
    return of_the_batch


def backward_over_shards(backward):
    @functools.wraps(backward)
    def of_the_batch(network, dy, cache, param_grads=True, input_grad=True):
        if batch_here() or backend.device() != "cpu":
            return backward(network, dy, cache, param_grads, input_grad)
        if not isinstance(cache, Sharded):
            return run(lambda i: backward(network, dy, cache, param_grads, input_grad), 1, blas_threads(len(dy), network))[0]
        if len(dy) != cache.slices[-1].stop:
            raise ValueError(f"{network}: backward expected dy for {cache.slices[-1].stop} samples, got {len(dy)}")
        results = add_gradients(network, cache, param_grads, lambda twin, samples, cache_of_shard:
                                backward(twin, dy[samples], cache_of_shard, param_grads, input_grad))
        return np.concatenate(results) if input_grad else None
    return of_the_batch


def double_backward_over_shards(double_backward):
    @functools.wraps(double_backward)
    def of_the_batch(network, v, dy, cache):
        if batch_here() or backend.device() != "cpu":
            return double_backward(network, v, dy, cache)
        if not isinstance(cache, Sharded):
            return run(lambda i: double_backward(network, v, dy, cache), 1, blas_threads(len(dy), network))[0]
        results = add_gradients(network, cache, True, lambda twin, samples, cache_of_shard:
                                double_backward(twin, v[samples], dy[samples], cache_of_shard))
        return tuple(None if parts[0] is None else np.concatenate(parts) for parts in zip(*results))
    return of_the_batch


def add_gradients(network, sharded, param_grads, function) -> list:
    """[function(network, samples, cache) for each shard]. The first shard adds into the network's dtheta, the others, through
    twins of the network, into vectors of their own, which are then added to it."""
    size = len(sharded.slices)
    vectors = [network.dtheta, *gradient_vectors(network, size - 1)] if param_grads else []

    def work(i):
        twin = network.with_gradients(vectors[i]) if i > 0 and param_grads else network
        result = function(twin, sharded.slices[i], sharded.caches[i])
        if param_grads:
            batch_here().barrier.wait()            # until all have added
            for part in parts_of(network.dtheta, network.size * i // size, network.size * (i + 1) // size):
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


# --- how a batch is cut ---

def blas_threads(N, network) -> int:
    """How many of BLAS' threads, at most, a batch of N gets that goes through the network whole."""
    return workers() if N * network.size >= WORK_FOR_BLAS else 1


def fewest(network) -> int | None:
    """The fewest samples of a shard; None if a layer mixes the samples of a batch, so that it stays whole. A network has
    convolutions if one of its parameters is a kernel (K, K, C, F)."""
    layers = [layer for _, layer in network.walk()]
    if any(layer.samples == "mixed" for layer in layers):
        return None
    kernels = (getattr(layer, name).ndim == 4 for layer in layers for name in layer.parameter_names)
    return FEWEST_IMAGES if any(kernels) else FEWEST_ROWS


def least_work(network) -> int:
    """The multiply-adds for a sample, at least: a parameter is used once, that of a kernel at every position."""
    return sum(value.size * (POSITIONS if value.ndim == 4 else 1) for _, value, _ in network.parameters())


def cut(N, work, fewest) -> list[slice]:
    """Slices of about the same size, one for each worker; or a single one, if `fewest` is None, if a shard would be smaller,
    or if there is too little work, in multiply-adds for a sample."""
    n = _asked_for or workers()
    if fewest is None or not _asked_for and (N < n * fewest or N * work < n * SMALLEST_WORK):
        n = 1
    return [slice(N * i // n, N * (i + 1) // n) for i in range(n)]


@contextlib.contextmanager
def in_shards(n: int) -> Iterator[None]:
    """While the block runs, a batch is cut into n shards, however small, unless a layer mixes its samples."""
    global _asked_for
    before, _asked_for = _asked_for, n
    try:
        yield
    finally:
        _asked_for = before
