"""Which samples a training step sees."""
import functools

import numpy as np

from minigan.backend import host_rng


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
