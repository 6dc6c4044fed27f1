"""MD5 sums that are computed while something else happens.

The sum of a large instance takes longer than all other work on it. Its pieces are hashed by a few threads of
their own while the next piece is received, the file is written and the disk is waited for; hashing lets go of
the interpreter, so this really is at the same time. Small pieces are hashed on the spot, since handing them
over would take longer.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

WORTH_HANDING_OVER = 64 * 1024  # bytes
_PIECE = 2047  # bytes that are hashed without letting go of the interpreter
MOST_WAITING = 8 * 1024 * 1024  # bytes of one instance that are held for hashing


class Checksums:
    """The threads that hash for one archive."""

    def __init__(self, threads: int = 2) -> None:
        # One thread each, since the pieces of an instance must stay in order.
        self._pools = [ThreadPoolExecutor(1, f"md5-{number}") for number in range(threads)]
        self._turn = cycle(self._pools)

    def new(self) -> RunningMd5:
        """A sum to be fed with pieces."""
        return RunningMd5(next(self._turn))

    def close(self) -> None:
        """End the threads."""
        for pool in self._pools:
            pool.shutdown(wait=False)


class RunningMd5:
    """The MD5 of pieces given one after the other by one thread."""

    __slots__ = ("_held", "_md5", "_pool", "_size", "_waiting")

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pool = pool
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._held = b""
        self._size = 0

    def update(self, piece: bytes) -> None:
        """Add a piece; it must not change afterwards."""
        if self._held:
            held, self._held = self._held, b""
            self._hand_over(held)
        elif not self._waiting:
            # Perhaps there is no other, and the thread that brings it is as good a place to hash it as any.
            if len(piece) < WORTH_HANDING_OVER:
                # A longer piece has hashlib let other threads compute meanwhile, for which this is too short.
                for start in range(0, len(piece), _PIECE):
                    self._md5.update(piece[start : start + _PIECE])
            else:
                self._held = piece
            return
        self._hand_over(piece)

    def catch_up(self) -> None:
        """Hash here what came in one piece: for a moment when the disk is at work already."""
        if self._held:
            self._md5.update(self._held)
            self._held = b""

    def _hand_over(self, piece: bytes) -> None:
        self._waiting.append((self._pool.submit(self._md5.update, piece), len(piece)))
        self._size += len(piece)
        self._wait(MOST_WAITING)

    def hexdigest(self) -> str:
        """The sum of all pieces, in lower-case hex."""
        self._wait(0)
        self.catch_up()
        return self._md5.hexdigest()

    def _wait(self, allowed: int) -> None:
        """Wait until no more than `allowed` bytes are still to be hashed."""
        while self._size > allowed:
            future, size = self._waiting.popleft()
            future.result()
            self._size -= size
