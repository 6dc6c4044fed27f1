"""What the parts of one process tell each other about jobs, so that nobody waits for a look at the index.

Notices are a matter of speed only: whoever waits also looks at the index now and then, since a job may be
submitted, stopped or finished by another process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from ithil.archive.archive import Archive
from ithil.archive.index.database import Database

Called = Callable[[], None]


class Notices:
    """Who of this process wants to know what about the jobs of one archive. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: list[Called] = []
        self._waiting: dict[str, list[Called]] = {}

    def add_engine(self, wake: Called) -> None:
        """Have `wake` called when a job was submitted or a client wishes something of one."""
        with self._lock:
            self._engines.append(wake)

    def remove_engine(self, wake: Called) -> None:
        """End that."""
        with self._lock:
            self._engines.remove(wake)

    def stir(self) -> None:
        """Tell the engine that there is something to do."""
        with self._lock:
            engines = list(self._engines)
        for wake in engines:
            wake()

    def wait_for(self, job: str, call: Called) -> None:
        """Have `call` called, in whichever thread, when this process has brought the job to an end."""
        with self._lock:
            self._waiting.setdefault(job, []).append(call)

    def wait_no_more(self, job: str, call: Called) -> None:
        """End that; harmless when it was called already."""
        with self._lock:
            calls = self._waiting.get(job, [])
            if call in calls:
                calls.remove(call)
            if not calls:
                self._waiting.pop(job, None)

    def tell_end(self, job: str) -> None:
        """Tell those who wait for the job that it has ended."""
        with self._lock:
            calls = self._waiting.pop(job, [])
        for call in calls:
            call()


_lock = threading.Lock()
_of: WeakKeyDictionary[Database, Notices] = WeakKeyDictionary()


def of(archive: Archive) -> Notices:
    """The notices of an open archive."""
    with _lock:
        found = _of.get(archive.index)
        if found is None:
            found = _of[archive.index] = Notices()
        return found
