"""Handlers of which more at a time are only slower: few of them lead, and the others wait for their turn.

The interpreter runs one thread at a time, and SQLite's module lets go of it at every row. Where another thread
waits for it, a handler gets it back after two changes of threads, a thousand times a second and more. Eight
threads that read a page of 50 studies each took three times as much of the processor for a page as one thread
(measured; the more rows, the worse). Pictures are made mostly without the interpreter, but with more threads
than cores they fare the same.

So as many threads lead as is useful, and do what waits. If what one of them does takes long, it leads no more,
and another one goes on in its place: nobody waits for a slow search for more than a moment.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

Work = Callable[[], None]
"""Must not raise."""


class _Leader:
    __slots__ = ("since",)

    def __init__(self) -> None:
        self.since = float("inf")  # when it began with what it does; it has not begun to lead at all


class Turns:
    """Turns for one kind of handlers, with threads of their own."""

    def __init__(self, name: str, *, leaders: int, long: float, most: int) -> None:
        """`leaders` lead at a time; after `long` seconds the others do not wait any more for what one of them
        does; `most` threads there can be.
        """
        self._threads = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._most_leaders = leaders
        self._long = long
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._leaders: set[_Leader] = set()
        self._is_watched = False

    def take(self, work: Work) -> None:
        """Have `work` done when its turn comes. To be called in the event loop; returns at once."""
        with self._lock:
            self._waiting.append(work)
            if len(self._leaders) < self._most_leaders:
                self._begin_to_lead()
                return
        if not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(self._long, self._watch)

    def close(self) -> None:
        """Wait for what is being done; what still waits is not done any more."""
        with self._lock:
            self._waiting.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin_to_lead(self) -> None:
        leader = _Leader()
        self._leaders.add(leader)
        self._threads.submit(self._lead, leader)

    def _watch(self) -> None:
        """Let other threads lead in the place of those that do something that takes long."""
        with self._lock:
            if not self._waiting:
                self._is_watched = False
                return
            before = time.monotonic() - self._long
            for leader in [each for each in self._leaders if each.since <= before]:
                self._leaders.remove(leader)
                self._begin_to_lead()
        asyncio.get_running_loop().call_later(self._long, self._watch)

    def _lead(self, me: _Leader) -> None:
        while True:
            with self._lock:
                if me not in self._leaders:
                    return  # what it did took long
                if not self._waiting:
                    self._leaders.remove(me)
                    return
                work = self._waiting.popleft()
                me.since = time.monotonic()
            work()
