"""run(function, size): the threads of the pool work side by side on the shards of one batch."""
import contextvars
import functools
import threading

from minigan.engine.blas import limit_blas, release_blas
from minigan.engine.exchange import Batch, enter
from minigan.engine.memory import keep_freed_memory
from minigan.engine.threads import start


def run(function, size, blas_threads=1, here=None, slices=None):
    """[function(0), ..., function(size - 1)], side by side; the first one in this thread. Where other processes have shards of
    the batch, `here` are the numbers of those in this one. `slices` are the samples of each."""
    keep_freed_memory()
    batch, others = Batch(size, here, slices), []

    def shard(index):
        enter(batch, index)
        try:
            return function(index), None
        except BaseException as error:
            batch.barrier.abort()              # or the others would wait there for ever
            return None, error
        finally:
            enter(None, None)

    try:
        limit_blas(batch, blas_threads)
        # Each thread gets a copy of this one's context, where NumPy keeps the settings of np.errstate.
        others = start(functools.partial(contextvars.copy_context().run, shard, index) for index in batch.here[1:])
        outcomes = [shard(batch.here[0]), *(other.result() for other in others)]
    except BaseException:                      # Ctrl-C, for instance: no shard may go on behind the caller's back
        batch.barrier.abort()
        for other in others:
            other.result()
        raise
    finally:
        try:
            enter(None, None)
            release_blas(batch)
        except BaseException:                  # Ctrl-C again, and right here
            enter(None, None)
            release_blas(batch)
            raise
    errors = [error for _, error in outcomes if error is not None]
    if errors:                                 # a broken barrier only means that another shard failed
        raise min(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError))
    return [result for result, _ in outcomes]
