"""What the shards of a batch tell each other, while each goes through the network in a thread of its own.

    gradients     every shard adds into a vector of its own; at the end they are summed into dtheta      (shards.py)
    BatchNorm     its sums are over the whole batch: `batch_sum` adds up what the shards found
    Dropout       every shard needs random numbers of its own, in an order that does not depend on which thread is the
                  fastest: `shard_rng`
    SpectralNorm  moves its vectors, and divides W, once for all shards: `once_per_batch`

A batch that is not cut is one shard, and then each of these is a plain call. Where other shards are on other machines, the
sums go over these, too (ranks.py).
"""
import operator
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backend import T, host_rng
from minigan.engine import ranks, step
from minigan.engine.sums import channel_sum, in_pairs

_here = threading.local()           # .batch and .shard: which shard of which batch this thread works on


class Batch:
    """A batch on its way through a network, in `size` shards, its `slices`, of which those numbered `here` are in this
    process; and what these need to meet."""

    def __init__(self, size, here=None, slices=None):
        self.size, self.here, self.slices = size, range(size) if here is None else here, slices
        self.slots, self.found = {}, None              # what each shard here has found; what all have, or one for all
        self.barrier = threading.Barrier(len(self.here))


def enter(batch, shard) -> None:
    """This thread works on this shard from now on; on none if `batch` is None."""
    _here.batch, _here.shard = batch, shard


def batch_here() -> Batch | None:
    """The Batch, of one shard or more, that this thread works on, or None."""
    return getattr(_here, "batch", None)


def shard_here() -> int:
    """Which shard of the batch this is; 0 where it is not cut."""
    return _here.shard if batch_here() else 0


def sum_over_shards(value) -> Any:
    """The sum of `value` (a number or an array) over the shards of the batch, the same bits for all; where it is not
    cut, the value itself."""
    batch = batch_here()
    if batch is None or batch.size == 1:
        return value
    batch.slots[_here.shard] = value
    values = in_turn(batch, lambda: ranks.gathered(dict(batch.slots), batch.size))
    return in_pairs(values, 0, batch.size, batch.size, operator.add)[0]


def in_turn(batch: Batch, function: Callable[[], T]) -> T:
    """What function() gives in the first shard of this process, once all have come here; for all of them."""
    batch.barrier.wait()
    if _here.shard == batch.here.start:
        batch.found = function()
    batch.barrier.wait()
    return batch.found                                 # the next one is not found before all are back here


def batch_sum(x) -> Any:
    """Σ over all axes but the last, over the whole batch: x (..., C) -> (C,). Of x (C,) and of a number, what every shard has
    summed or counted already, it is the sum over the shards."""
    return sum_over_shards(channel_sum(x) if getattr(x, "ndim", 0) > 1 else x)


def once_per_batch(function: Callable[[], T]) -> T:
    """What function() gives in one shard, for all shards. (Each rank calls it once, with the same result.)"""
    batch = batch_here()
    return step.decided(function) if batch is None else in_turn(batch, lambda: step.decided(function))


def shard_rng(rng) -> Any:
    """The generator; where the batch is cut into shards one of its own for each, seeded by it. A generator of the device
    cannot be seeded by what the device draws, so there a shard has its share of what is drawn for all."""
    batch = batch_here()
    if batch is None or batch.size == 1:
        return rng
    if not isinstance(rng, np.random.Generator):
        return Share(rng, batch.slices[_here.shard], batch.slices[-1].stop)
    return host_rng(once_per_batch(lambda: rng.integers(2 ** 63, size=batch.size))[_here.shard])


class Share:
    """Draws for all N samples of a batch, the first axis of what is drawn, and gives those of some of them."""

    def __init__(self, rng, samples, N):
        self.rng, self.samples, self.N = rng, samples, N

    def random(self, size, dtype):
        return self.rng.random((self.N, *size[1:]), dtype=dtype)[self.samples]

    def standard_normal(self, size, dtype):
        return self.rng.standard_normal((self.N, *size[1:]), dtype=dtype)[self.samples]

    def integers(self, high, size):
        return self.rng.integers(high, size=(self.N, *size[1:]))[self.samples]
