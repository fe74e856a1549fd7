"""`over_shards`: the cores of a CPU, put to work on shards of the batch.

In most layers a sample of the output depends on its own sample of the input only. So in a convolutional network a batch of 128
on four cores is cut into four shards of 32, and each goes through the whole network in a thread of its own (NumPy lets threads
run side by side while it computes). Other machines take shards, too, where a run is distributed (ranks.py). What the shards
have to tell each other is in exchange.py.

A network of Dense layers gains nothing from small shards: to fetch W takes longer than to multiply a few rows with it. Its
batch stays whole if a shard would have fewer than 128 rows, and BLAS keeps its own threads if there is much to multiply.
"""
import contextlib
import functools
import operator
import weakref
from collections.abc import Iterator

from minigan import backend
from minigan.backend import F, xp
from minigan.engine import ranks
from minigan.engine.exchange import batch_here
from minigan.engine.pieces import parts_of
from minigan.engine.run import run
from minigan.engine.sums import in_pairs
from minigan.engine.threads import workers

SMALLEST_WORK = 1_000_000           # multiply-adds; handing a shard to a thread and back takes as long as about that many
WORK_FOR_BLAS = 100_000_000         # of a whole batch. BLAS' threads meet at every product: for less they save little, and
                                    # on a machine that is busy with other things each meeting waits for the last of them
FEWEST_ROWS = 128                   # of a shard in a network of Dense layers
POSITIONS = 16                      # that a kernel takes in an image at least: the smallest images of a DCGAN are 4 x 4
FEWEST_IMAGES = 2                   # in one with convolutions: an image has many patches, and two make a large product already
_asked_for = None                   # a number of shards, however small; see `in_shards`


class Sharded:
    """The cache of a batch that was cut: the slices of all shards, and the caches of those in this process."""

    def __init__(self, slices, caches):
        self.slices, self.caches = slices, caches


_facts: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()        # network -> (least_work, fewest): its layers are fixed
_gradients: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()    # network -> {shard: vector} of all but the first


def over_shards(method: F) -> F:
    """Decorator of a network's forward, backward or double_backward, written for a shard of the batch: it takes a batch of
    any size, whose shards go through it side by side."""
    return {"forward": forward_over_shards, "backward": backward_over_shards,
            "double_backward": double_backward_over_shards}[method.__name__](method)


def forward_over_shards(forward):
    @functools.wraps(forward)
    def of_the_batch(network, x, train=True):
        if batch_here() or not divided() or not isinstance(x, backend.array_module().ndarray) or x.ndim == 0:
            return forward(network, x, train)
        if network not in _facts:
            _facts[network] = least_work(network), fewest(network)
        slices = cut(len(x), *_facts[network])
        if len(slices) == 1:
            return run(lambda i: forward(network, x, train), 1, blas_threads(len(x), network))[0]
        try:
            results = run(lambda i: forward(network, x[slices[i]], train), len(slices), here=ranks.own(len(slices)),
                          slices=slices)
        except (ValueError, TypeError):
            forward(network, x, train)         # the same error, but it speaks of the whole batch
            raise
        return ranks.joined([y for y, _ in results], slices), Sharded(slices, [cache for _, cache in results])
    return of_the_batch


def backward_over_shards(backward):
    @functools.wraps(backward)
    def of_the_batch(network, dy, cache, param_grads=True, input_grad=True):
        if batch_here() or not divided():
            return backward(network, dy, cache, param_grads, input_grad)
        if not isinstance(cache, Sharded):
            return run(lambda i: backward(network, dy, cache, param_grads, input_grad), 1, blas_threads(len(dy), network))[0]
        if len(dy) != cache.slices[-1].stop:
            raise ValueError(f"{network}: backward expected dy for {cache.slices[-1].stop} samples, got {len(dy)}")
        results = add_gradients(network, cache, param_grads, lambda twin, samples, cache_of_shard:
                                backward(twin, dy[samples], cache_of_shard, param_grads, input_grad))
        return ranks.joined(results, cache.slices)
    return of_the_batch


def double_backward_over_shards(double_backward):
    @functools.wraps(double_backward)
    def of_the_batch(network, v, dy, cache):
        if batch_here() or not divided():
            return double_backward(network, v, dy, cache)
        if not isinstance(cache, Sharded):
            return run(lambda i: double_backward(network, v, dy, cache), 1, blas_threads(len(dy), network))[0]
        results = add_gradients(network, cache, True, lambda twin, samples, cache_of_shard:
                                double_backward(twin, v[samples], dy[samples], cache_of_shard))
        return tuple(ranks.joined(parts, cache.slices) for parts in zip(*results))
    return of_the_batch


def add_gradients(network, sharded, param_grads, function) -> list:
    """[function(network, samples, cache) for each shard]. The first shard adds into the network's dtheta, the others, through
    twins of the network, into vectors of their own. These are then added to it in pairs, and pairs of pairs."""
    size = len(sharded.slices)
    here = ranks.own(size)
    vectors = gradient_vectors(network, here) if param_grads else {}
    roots = ranks.roots_of(here, size)

    def work(i):
        twin = network.with_gradients(vectors[i]) if i > 0 and param_grads else network
        result = function(twin, sharded.slices[i], sharded.caches[i - here.start])
        if param_grads:
            batch_here().barrier.wait()            # until all have added
            k, count = i - here.start, len(here)
            for part in parts_of(network.dtheta, network.size * k // count, network.size * (k + 1) // count):
                in_pairs({j: vector[part] for j, vector in vectors.items()}, here.start, here.stop, size, operator.iadd)
                for j in vectors.keys() - roots:
                    vectors[j][part] = 0           # as it has to be for the next pass
        return result

    try:
        results = run(work, size, here=here)
        if param_grads and ranks.size() > 1:
            ranks.add_up({j: vectors[j] for j in roots}, network.dtheta, size)
        return results
    except BaseException:
        _gradients.pop(network, None)
        raise


def gradient_vectors(network, here) -> dict:
    """{shard: the vector that it adds its gradients into}"""
    kept = _gradients.setdefault(network, {})
    for i in here:
        if i > 0 and i not in kept:
            kept[i] = xp.zeros_like(network.dtheta)
    return {i: kept[i] if i else network.dtheta for i in here}


# --- how a batch is cut ---

def divided() -> bool:
    """Whether batches are cut here at all: a GPU wants as much work at once as there is."""
    return backend.device() == "cpu" or ranks.size() > 1


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
    """Slices of about the same size, one for each worker of each rank (with a GPU: for each rank); or a single one, if
    `fewest` is None, if a shard would be smaller, or if there is too little work, in multiply-adds for a sample."""
    n = _asked_for or ranks.started() * (workers() if backend.device() == "cpu" else 1)
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
