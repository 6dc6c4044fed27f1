"""How the C library hands out memory.

glibc gives every thread that asks for memory an arena of its own, up to eight a core, and each keeps what was
freed in it, whole pictures too. A server with tens of threads that each make a picture now and then ends up
holding a hundred megabytes that nobody uses. Two arenas are enough where one thread computes at a time, and
what is larger than an ordinary image goes back to the system at once. What is as large as one does not: an
upload of half a megabyte took 250 page faults, each of which costs more than copying the page. Other C libraries
have no such arenas and are left alone.
"""

from __future__ import annotations

import ctypes
import os

# Parameters of mallopt (malloc.h), the variables with which an operator sets them, and their values.
_BOUNDS = (
    (-8, "MALLOC_ARENA_MAX", 2),
    (-3, "MALLOC_MMAP_THRESHOLD_", 1024 * 1024),  # bytes from which on a block is the system's own
    (-1, "MALLOC_TRIM_THRESHOLD_", 8 * 1024 * 1024),  # free bytes at the end that go back to the system
)


def bound_memory() -> None:
    """Set the bounds, except those that the environment sets already."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, variable, value in _BOUNDS:
        if variable not in os.environ:
            mallopt(parameter, value)
