"""Handlers that only look into SQLite, one after the other, since together they are slower.

SQLite's module lets go of the interpreter at every row. Where another thread waits for it, a handler gets it back
after two changes of threads, a thousand times a second and more. Eight threads that read a page of 50 studies
each took three times as much of the processor for a page as one thread (measured; the more rows, the worse). So
such handlers take turns: one thread leads, which does what waits. If what it does takes long, another one leads
from then on, and nobody waits for a slow search for more than a moment.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

LONG = 0.02
"""Seconds after which the others do not wait any more for what is being done."""

Work = Callable[[], None]
"""Must not raise."""


class Turns:
    """The turns of one application. `threads` are where leaders run."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._leader: object | None = None
        self._since = 0.0  # when the leader began with what it does
        self._is_watched = False

    def take(self, work: Work) -> None:
        """Have `work` done when its turn comes. To be called in the event loop; returns at once."""
        with self._lock:
            self._waiting.append(work)
            if self._leader is None:
                self._begin_to_lead()
                return
        if not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(LONG, self._watch)

    def _begin_to_lead(self) -> None:
        self._leader = me = object()
        self._since = time.monotonic()
        self._threads.submit(self._lead, me)

    def _watch(self) -> None:
        """Give the lead to another thread if this one does something that takes long."""
        with self._lock:
            if not self._waiting:
                self._is_watched = False
                return
            if time.monotonic() - self._since >= LONG:
                self._begin_to_lead()
        asyncio.get_running_loop().call_later(LONG, self._watch)

    def _lead(self, me: object) -> None:
        while True:
            with self._lock:
                if self._leader is not me:
                    return  # what it did took long
                if not self._waiting:
                    self._leader = None
                    return
                work = self._waiting.popleft()
                self._since = time.monotonic()
            work()
