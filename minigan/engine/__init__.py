"""The engine computes the same numbers faster: on the cores of a CPU, in its caches, on a GPU. No formula is defined here.

What follows is its face: all that the layers, losses and optimizers use of it. Each name reads as mathematics.

    over_shards         this method of a network may be computed shard by shard of the batch, side by side
    batch_sum(x)        Σ over all axes but the last, over the whole batch, in pairs, so that it rounds little
    once_per_batch(f)   f() for the batch, not for each shard of it
    add_product(C, a, b)  C += a b, a product of matrices
    fuse                a formula, element by element; it may become one kernel
    accelerated         this function is the definition; the engine may have a faster equal (accelerate.py)

Four more are needed, each for one reason:

    channel_sum(x)      Σ over all axes but the last, of these samples: what a parameter's gradient gets from a shard
    pairwise_sum(x)     Σ over the middle axis of (A, M, C): the same in groups, as LayerNorm needs it
    shard_rng(rng)      the generator that these samples draw from, so that no two shards draw the same numbers
    this_step(f, dtype)  f(), the numbers that the host computes anew for each step: a falling learning rate

Programs choose `use_threads(n)`, and `use_plain(True)` if no faster equal is to run; gradcheck asks for `in_shards(2)`. A run
on many machines is one run: `once_per_run` marks what is written once, and a wish to stop counts `anywhere`. Which
file does what, and what it gains: README.md in this folder.
"""
from minigan.engine.accelerate import accelerated, plain, use_plain
from minigan.engine.exchange import batch_sum, once_per_batch, shard_rng
from minigan.engine.fusion import fuse
from minigan.engine.pieces import add_product
from minigan.engine.ranks import anywhere, once_per_run
from minigan.engine.shards import in_shards, over_shards
from minigan.engine.step import this_step
from minigan.engine.sums import channel_sum, pairwise_sum
from minigan.engine.threads import use_threads, workers

__all__ = ["accelerated", "add_product", "anywhere", "batch_sum", "channel_sum", "fuse", "in_shards", "once_per_batch",
           "once_per_run", "over_shards", "pairwise_sum", "plain", "shard_rng", "this_step", "use_plain", "use_threads",
           "workers"]
