"""The order of the samples, epoch after epoch: which row a step sees is part of what a run promises when it goes on."""
import numpy as np
import pytest

import minigan as mg
from minigan.training import batches


@pytest.mark.parametrize("n, size", [(10, 3), (10, 10), (3, 7), (7, 1), (12, 4), (5, 10)])
def test_the_batches_are_the_shuffled_epochs_in_a_row(n, size):
    row = np.concatenate([mg.host_rng([6, 0, epoch]).permutation(n) for epoch in range(8 * size // n + 1)])
    order = batches.Batches(n, size, seed=6)
    for t in (0, 1, 7, 2, 5):                          # at any time, in any order
        np.testing.assert_array_equal(order[t], row[t * size:(t + 1) * size])


def test_no_epoch_is_shuffled_before_it_is_needed(monkeypatch):
    asked = []
    monkeypatch.setattr(batches, "shuffled", lambda n, seed, epoch: asked.append(epoch) or np.arange(n))
    order = batches.Batches(6, 4, seed=0)
    assert [order[t].tolist() for t in range(3)] == [[0, 1, 2, 3], [4, 5, 0, 1], [2, 3, 4, 5]]
    assert asked == [0, 0, 1, 1]
