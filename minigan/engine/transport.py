"""How the ranks of a run hand each other parts of a vector: by MPI, from the host's memory, or by NCCL, from GPU to GPU.

Both have the same two operations, in which all ranks take part, with the same `lengths` of rank 0, rank 1 ...:

    exchange(vector, sent, received)    vector holds sent[r] numbers for each rank r, one behind another; back comes what
                                        each has sent here, received[r] numbers
    spread(vector, lengths)             the vectors of all ranks, one behind another; rank r has lengths[r] numbers

MPI copies the arrays of a GPU to the host and back, for which the host waits. NCCL is work for the GPU like any other: it is
done in the order of the stream, nobody waits for it, and it can be part of a CUDA graph, which all ranks launch then. MPI
still starts it, and carries Python's own objects.
"""
import platform
from itertools import accumulate

import numpy as np

from minigan.backend import Array, array_module, asarray, to_numpy, xp


class MPI:
    name = "MPI"

    def __init__(self, world):
        self.world = world

    def exchange(self, vector, sent, received):
        out = np.empty(sum(received), vector.dtype)
        self.world.Alltoallv([to_numpy(vector), (sent, starts(sent))], [out, (received, starts(received))])
        return asarray(out) if hasattr(vector, "get") else out

    def spread(self, vector, lengths):
        out = np.empty(sum(lengths), vector.dtype)
        self.world.Allgatherv(to_numpy(vector), [out, (lengths, starts(lengths))])
        return asarray(out) if hasattr(vector, "get") else out


class NCCL:
    name = "NCCL"

    def __init__(self, world, cupy):
        self.nccl, self.cupy = cupy.cuda.nccl, cupy
        key = world.bcast(self.nccl.get_unique_id() if world.rank == 0 else None)
        self.connection = self.nccl.NcclCommunicator(world.size, key, world.rank)

    def exchange(self, vector, sent, received):
        return self.moved([vector[start:start + n] for start, n in zip(starts(sent), sent)], received, vector.dtype)

    def spread(self, vector, lengths):
        return self.moved([vector] * len(lengths), lengths, vector.dtype)

    def moved(self, parts, received, dtype) -> Array:
        """parts[r] to rank r, in a group: one after another they would wait for each other for ever."""
        out, stream = xp.empty(sum(received), dtype), self.cupy.cuda.get_current_stream().ptr
        self.nccl.groupStart()
        for r, (part, start, n) in enumerate(zip(parts, starts(received), received)):
            if part.size:
                self.connection.send(part.data.ptr, part.nbytes, self.nccl.NCCL_UINT8, r, stream)
            if n:
                self.connection.recv(out[start:start + n].data.ptr, n * out.itemsize, self.nccl.NCCL_UINT8, r, stream)
        self.nccl.groupEnd()
        return out


def starts(lengths) -> list[int]:
    return [0, *accumulate(lengths)][:-1]


def connect(world) -> MPI | NCCL:
    """NCCL where the device in use is a GPU, CuPy finds NCCL, and no two ranks share a GPU, which it refuses; else MPI."""
    module, place = array_module(), None
    if module is not np and module.cuda.nccl.available:
        place = platform.node(), module.cuda.Device().pci_bus_id
    places = world.allgather(place)
    return NCCL(world, module) if None not in places and len(set(places)) == len(places) else MPI(world)
