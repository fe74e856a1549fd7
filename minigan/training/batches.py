"""Which samples a training step gets, and how they come to the device."""
import functools

import numpy as np

from minigan.backend import Array, array_module, asarray, host_rng, xp


class Batches:
    """batches[t] are the indices of the samples that step t sees: an endless row of shuffled epochs, each with every one of
    the n samples once, cut into batches of one size (so a batch may begin in one epoch and end in the next)."""

    def __init__(self, n, size, seed):
        self.n, self.size, self.seed = n, size, seed

    def __getitem__(self, t):
        start, stop = t * self.size, (t + 1) * self.size
        first, last = start // self.n, (stop - 1) // self.n
        row = np.concatenate([shuffled(self.n, self.seed, epoch) for epoch in range(first, last + 1)])
        return row[start - first * self.n:stop - first * self.n]


@functools.lru_cache(maxsize=4)
def shuffled(n, seed, epoch):
    return host_rng([seed, 0, epoch]).permutation(n)


def resident(x, share=0.5) -> np.ndarray | Array:
    """The host array x on the device, to stay there, if it takes no more than `share` of the memory that is free; else x
    itself. On the CPU that is the same."""
    if array_module() is np or x.nbytes > share * array_module().cuda.runtime.memGetInfo()[0]:
        return x
    return asarray(x)


def rows(x, index) -> Array:
    """x[index] on the device, for an index on the host, wherever x is: what `resident` gave. Only what is not on the device is
    copied there, the numbers of the rows or the rows."""
    return asarray(x[index]) if isinstance(x, np.ndarray) else xp.take(x, asarray(index), axis=0)
