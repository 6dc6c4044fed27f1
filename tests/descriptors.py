"""The open file descriptors of this process, by folder: what other tests leave for the garbage collector is not
counted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def open_below(folder: Path) -> int:
    """How many descriptors lead to files below a folder, removed ones included."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # closed meanwhile
            count += os.readlink(f"/proc/self/fd/{name}").startswith(f"{folder}{os.sep}")
    return count
