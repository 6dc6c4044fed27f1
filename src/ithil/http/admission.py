"""A budget for the memory that request bodies take (`Ithil.MaximumInFlightMB`).

A request takes its share before its body is read and gives it back when it is answered. What finds the budget
spent is told to come back, which loses nothing, instead of letting the process run out of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ithil.http.body import LARGEST_WHOLE_BODY, Body

RETRY_AFTER = 2  # seconds
UNANNOUNCED = 64 * 1024  # bytes that a body without a length is taken for, if it is held as a whole


class Busy(Exception):
    """The budget is spent: 503 with `Retry-After`."""


class Budget:
    """Counts bytes in flight. To be used from the event loop only."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._taken = 0

    def take(self, size: int) -> bool:
        """Take `size` bytes if there are as many, or if nothing is taken: one request alone is always let in."""
        if self._taken and self._taken + size > self._capacity:
            return False
        self._taken += size
        return True

    def give_back(self, size: int) -> None:
        """Undo a `take` that was granted."""
        self._taken -= size

    @contextmanager
    def share(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the budget. Raises Busy if `take` does not grant them."""
        if not self.take(size):
            raise Busy
        try:
            yield
        finally:
            self.give_back(size)


def share_of(body: Body, streamed_at_once: int) -> int:
    """Bytes that a body may take in memory; `streamed_at_once` is what a streaming handler holds, else 0."""
    if streamed_at_once:
        return min(streamed_at_once, body.length if body.length is not None else streamed_at_once)
    return min(LARGEST_WHOLE_BODY, body.length if body.length is not None else UNANNOUNCED)
