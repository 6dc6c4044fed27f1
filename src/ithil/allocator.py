"""How the C library hands out memory.

glibc gives every thread that asks for memory an arena of its own, up to eight a core, and each keeps what was
freed in it. A server with tens of threads that each read a file now and then ends up holding tens of megabytes
that nobody uses. Two arenas are enough where one thread computes at a time. Other C libraries have no such
arenas and are left alone.
"""

from __future__ import annotations

import ctypes
import os

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_ARENAS = 2


def bound_arenas() -> None:
    """Set the number of arenas, unless `MALLOC_ARENA_MAX` in the environment does so already."""
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)
