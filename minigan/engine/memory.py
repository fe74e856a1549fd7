"""Memory that is freed stays with the process, so that a step takes no fresh memory from the system.

A step frees as much as it allocates, hundreds of megabytes. glibc's allocator gives large blocks back to the system at once,
and gets them again, page by page, filled with zeros, at the first touch: a page fault for every 4 kB, ten times as slow as
memory that was in use before. So it is told to keep what it has. Each thread has a part of its own, whose blocks are still in
the caches of its core. The process then stays as large as its largest step.
"""
import ctypes
import functools
import os

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4         # glibc's malloc.h
HEAP = 64 << 20                                        # a part of a thread grows by heaps of this size


@functools.cache
def keep_freed_memory() -> bool:
    """Whether glibc was told. Not where there is another allocator, nor where the environment has settings for this one."""
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):       # not glibc: musl, macOS, Windows
        return False
    # no block as a mapping of its own; none given back from the end; no empty heap given back, which TOP_PAD decides
    return all([mallopt(MMAP_MAX, 0), mallopt(TRIM_THRESHOLD, (1 << 31) - 1), mallopt(TOP_PAD, HEAP)])
