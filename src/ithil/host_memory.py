"""A few pages of memory that all processes of one server on this host share, and a lock for writing to them.

Made before the worker processes are forked, so that they inherit it. For what belongs to a host and may be
forgotten when the server stops (values an operator changes for the moment, counts for the metrics); all that
matters is in the index. Imports nothing of Ithil, so that every part may use it.
"""

from __future__ import annotations

import fcntl
import mmap
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HostMemory:
    """Anonymous shared memory. The lock holds between threads and processes, and dies with its holder."""

    def __init__(self, size: int) -> None:
        self.pages = mmap.mmap(-1, size)
        # Record locks belong to a process, unlike those of flock, and a killed process leaves none behind.
        self._lock_file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this lives
        self._threads = threading.Lock()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Alone among all threads of all processes that share this memory."""
        with self._threads:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._lock_file, fcntl.LOCK_UN)
