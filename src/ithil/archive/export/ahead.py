"""Work done ahead of whoever consumes it, in order, within a bound of memory, on threads shared by all.

Reading, decoding and compressing let go of the interpreter's lock, so a few threads keep all cores busy. One
set of threads serves every archive that is being written in this process, since a hundred downloads must not
mean hundreds of threads; each download only has a few results waiting, and all of them together a bounded
number of bytes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Work(Generic[R]):
    """Something to do, and about how many bytes it holds until it is consumed."""

    do: Callable[[], R]
    size: int


class Room:
    """A number of bytes that several consumers share. Safe to be used by many threads."""

    def __init__(self, capacity: int) -> None:
        self._lock = threading.Lock()
        self._free = capacity

    def take(self, size: int, *, anyway: bool = False) -> bool:
        """Take `size` bytes if they are free; with `anyway` also if they are not."""
        with self._lock:
            if not anyway and size > self._free:
                return False
            self._free -= size
            return True

    def give(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._lock:
            self._free += size


@cache
def threads(number: int) -> ThreadPoolExecutor:
    """The threads of this process; the same ones at each call with the same number."""
    return ThreadPoolExecutor(max_workers=number, thread_name_prefix="read-ahead")


@cache
def shared_room(capacity: int) -> Room:
    """The bytes that all consumers of this process may hold together."""
    return Room(capacity)


def in_order(
    pool: ThreadPoolExecutor, works: Iterator[Work[R]], *, window: int, capacity: int, room: Room
) -> Generator[R, None, None]:
    """The results of `works`, in their order; what one of them raises is raised at its place.

    At most `window` of them, and `capacity` bytes, are ahead of the consumer, and only what finds place in
    `room`; but always one, so that no consumer waits for another. Closing the iterator cancels what has
    not begun. `works` is advanced in the consumer's thread.
    """
    waiting: deque[tuple[Future[R], int]] = deque()
    held = 0
    pending = next(works, None)
    try:
        while pending is not None or waiting:
            while pending is not None and (
                not waiting or (len(waiting) < window and held + pending.size <= capacity)
            ):
                if not room.take(pending.size, anyway=not waiting):
                    break
                waiting.append((pool.submit(pending.do), pending.size))
                held += pending.size
                pending = next(works, None)
            future, size = waiting[0]
            result = future.result()
            # Its place is given free before it is consumed: whoever consumes holds up to two results beyond the
            # bound, the one in use and the next one, which can be drawn meanwhile.
            waiting.popleft()
            held -= size
            room.give(size)
            del future
            yield result
            del result
    finally:
        for future, size in waiting:
            future.cancel()
            room.give(size)
