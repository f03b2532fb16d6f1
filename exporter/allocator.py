"""How memory is given back: by the C library's allocator (glibc's malloc), and by Python's collector of cycles."""

import contextlib
import ctypes
import gc
import os

# mallopt(3), from malloc.h
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Bodies and answers are larger: they get pages of their own, which go back when they are freed.
_OWN_PAGES_FROM = 256 * 1024
# One for the main thread, one for all others: Python's lock rarely lets two of them allocate at once.
_HEAPS = 2


def limit_fragmentation() -> None:
    """Keep glibc from growing holes: a tenth of the memory at 10,000 scopes. To be called before threads are started.

    By itself it gives each thread a heap of its own, and puts blocks as large as the largest that was ever freed into
    these, where they cannot be returned.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_FROM)
        if "MALLOC_ARENA_MAX" not in os.environ:
            mallopt(_M_ARENA_MAX, _HEAPS)


# Of new objects, of collections of these, and of collections of what survived those: see gc.set_threshold.
_GENERATIONS = (2_000, 5, 2_000)


def collect_rarely() -> None:
    """Keep Python from looking through all objects again and again, which stops every thread: 0.2 s at 5,000 scopes.

    States are no cycles: they go as soon as a poll replaces them. What a poll or a request leaves behind in cycles is
    young, and found among the young ones.
    """
    gc.set_threshold(*_GENERATIONS)
