"""The ranks of a distributed run: one program, started P times by mpiexec, each with T of the P·T shards of every batch.

All ranks do the same and hold the same networks, data and generators. Only the passes of a network are divided: a rank takes
its shards through it. What shards tell each other goes over all ranks, in an order that depends only on P·T:

    sums of a few numbers    each rank gets all of them, and adds them up
    gradients                each rank owns a part of the vector: it gets that part from all, adds, and all get the sums
    outputs                  each rank gets the samples of all

So P ranks of T threads compute, bit for bit, what one process computes with P·T threads. Only the main thread calls MPI.
"""
import contextlib
import functools
import importlib
import itertools
import operator
from collections.abc import Iterator
from typing import Any, cast

from minigan.backend import F, xp
from minigan.engine import transport
from minigan.engine.sums import in_pairs

_world: Any = None                  # of a program that has called `begin`: all its ranks
_arrays: Any = None                 # what carries arrays between them, see `connect`
_alone = 0                          # how many blocks of `alone` this is in


def begin() -> None:
    """This process is one of those that mpiexec started: from now on batches are divided between them. Raises RuntimeError
    where mpi4py, or an MPI, is missing."""
    global _world, _arrays
    try:
        _world = _world or importlib.import_module("mpi4py.MPI").COMM_WORLD.Dup()
    except (ImportError, RuntimeError) as error:
        raise RuntimeError(f"a distributed run needs mpi4py and an MPI, of which one is missing here ({error}); install "
                           "them with: pip install mpi4py mpich (a cluster has an MPI of its own)") from None
    _arrays = transport.MPI(_world)


def connect() -> str:
    """To be called by all ranks together once each has chosen its device: what carries arrays from now on, by name."""
    global _arrays
    _arrays = transport.connect(_world)
    return _arrays.name


def size() -> int:
    """The number of ranks that work together."""
    return 1 if _world is None or _alone else _world.size


def rank() -> int:
    """Which of them this is."""
    return 0 if _world is None else _world.rank


def started() -> int:
    """How many ranks there are, also while this one is alone."""
    return 1 if _world is None else _world.size


def own(count: int, r: int | None = None) -> range:
    """Which of `count` things, shards or numbers, are those of rank r; of this rank if it is None."""
    r = r if r is not None else rank() if size() > 1 else 0
    return range(count * r // size(), count * (r + 1) // size())


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """While the block runs, this rank takes all shards itself: what it does, no other rank does."""
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


# --- what the shards of a batch tell each other ---

def gathered(values: dict[int, Any], count: int) -> dict[int, Any]:
    """{shard: a number or a small array} of this rank's shards -> of all, those of a rank added up as far as the order
    of `in_pairs` allows."""
    if size() == 1:
        return values
    here = own(count)
    values = in_pairs(values, here.start, here.stop, count, operator.add)
    if not hasattr(values[here.start], "get"):
        return {shard: value for part in _world.allgather(values) for shard, value in part.items()}
    first, roots = values[here.start], [roots_of(own(count, r), count) for r in range(size())]
    vector = end_to_end([values[shard].ravel() for shard in sorted(values)])
    rows = _arrays.spread(vector, [len(part) * first.size for part in roots]).reshape(-1, *first.shape)
    return dict(zip(itertools.chain(*roots), rows))


def add_up(vectors: dict[int, Any], total, count: int) -> None:
    """total = Σ of the vectors of all `count` shards; {shard: vector} are those of this rank, added up by `in_pairs` as far as
    they can be. Each rank adds a part. The vectors are zero then, but for `total` if it is among them."""
    owned_by = [own(total.size, r) for r in range(size())]
    roots = [roots_of(own(count, r), count) for r in range(size())]
    lengths = [len(part) for part in owned_by]
    length = lengths[rank()]
    mine = end_to_end([vectors[shard][part.start:part.stop] for part in owned_by for shard in sorted(vectors)]
                      if len(vectors) > 1 else [*vectors.values()])
    parts = _arrays.exchange(mine, [len(vectors) * n for n in lengths], [len(part) * length for part in roots])
    parts = parts.reshape(-1, length)
    owned = in_pairs(dict(zip(itertools.chain(*roots), parts)), 0, count, count, operator.iadd)[0]
    whole = _arrays.spread(owned, lengths)
    for vector in vectors.values():
        vector[...] = 0
    total[...] = whole


def end_to_end(vectors: list) -> Any:
    return vectors[0] if len(vectors) == 1 else xp.concatenate(vectors)


def roots_of(here: range, count: int) -> list[int]:
    """The shards under which the values of these stand when `in_pairs` has added up all that it can of them."""
    return sorted(in_pairs(dict.fromkeys(here, 0), here.start, here.stop, count, operator.add))


def whole(rows, slices: list[slice]) -> Any:
    """The samples of all ranks, one behind another: rows are those of this rank, slices those of all shards."""
    if size() == 1:
        return rows
    shards = [own(len(slices), r) for r in range(size())]
    counts = [slices[part[-1]].stop - slices[part[0]].start for part in shards]
    return _arrays.spread(rows.ravel(), [n * rows[0].size for n in counts]).reshape(-1, *rows.shape[1:])


def joined(parts: list, slices: list[slice]) -> Any:
    """The whole array, of which `parts` are this rank's shards; None of None."""
    return None if parts[0] is None else whole(parts[0] if len(parts) == 1 else xp.concatenate(parts), slices)


# --- what the program as a whole does ---

def anywhere(flag: bool) -> bool:
    """Whether the flag is up on any rank. All ranks ask together."""
    return any(gather(bool(flag)))


def once_per_run(function: F) -> F:
    """Decorator: rank 0 calls the function, for all: what it writes is written once. All ranks get what it returns, or raise
    what it raises."""
    @functools.wraps(function)
    def on_rank_0(*arguments, **named):
        if size() == 1:
            return function(*arguments, **named)
        outcome = None
        if rank() == 0:
            with alone():
                try:
                    outcome = function(*arguments, **named), None
                except Exception as error:
                    outcome = None, error
        value, failed = _world.bcast(outcome)
        if failed is not None:
            raise failed
        return value
    return cast(F, on_rank_0)


def gather(value) -> list:
    """[value of rank 0, value of rank 1, ...]"""
    return [value] if size() == 1 else _world.allgather(value)


def check_equal(facts: dict) -> None:
    """Raise ValueError on all ranks, naming the first difference, unless these facts, {name: value}, are the same on each."""
    first, *others = gather(facts)
    for r, found in enumerate(others, 1):
        for name in first:
            if found[name] != first[name]:
                raise ValueError(f"all ranks of a run need the same {name}: rank {r} has {found[name]}, rank 0 {first[name]}")


def end_all(status: int) -> None:
    """End all ranks at once, since this one cannot go on."""
    if _world is not None and _world.size > 1:
        _world.Abort(status)

