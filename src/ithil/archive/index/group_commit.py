"""Commits, and waits for the disk, that are shared by those who wait anyway.

The thread that brings an instance does all the work itself, up to the commit, since handing an instance to
another thread costs more than indexing it. While one thread commits, others queue up; when it is done, one of
those takes everything in the queue and commits it in one transaction, and the rest find their result made.
A thread that comes alone commits alone and at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ithil.archive.errors import IndexBusy, IndexUnavailable, StorageFull

Item = TypeVar("Item")
Result = TypeVar("Result")

MAXIMUM_BATCH = 64


class _Waiting(Generic[Item, Result]):
    __slots__ = ("done", "error", "gate", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.done = False
        self.gate = threading.Lock()
        self.gate.acquire()


def _concerns_all(error: BaseException) -> bool:
    return isinstance(error, (IndexUnavailable, StorageFull)) and not isinstance(error, IndexBusy)


class GroupCommit(Generic[Item, Result]):
    """Runs `commit` on lists of items, one list at a time, and gives each caller its own result.

    When a list fails, its items are tried one by one, so that one that cannot be stored takes no other along;
    but for the failures that concern all of them.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._queue: list[_Waiting[Item, Result]] = []
        self._busy = False

    def submit(self, item: Item) -> Result:
        """Commit `item`, alone or with others; returns or raises what `commit` made of it."""
        mine: _Waiting[Item, Result] = _Waiting(item)
        with self._lock:
            self._queue.append(mine)
            leads = not self._busy
            self._busy = True
        if not leads:
            mine.gate.acquire()  # opened when the result is there, or to lead the next batch
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]

    def submit_all(self, items: Sequence[Item]) -> list[Result | BaseException]:
        """Commit several items, in as few transactions as can be; what was made of each, or what it raised."""
        mine: list[_Waiting[Item, Result]] = [_Waiting(item) for item in items]
        if not mine:
            return []
        with self._lock:
            self._queue += mine
            leads = not self._busy
            self._busy = True
        for waiting in mine:
            if not leads:
                waiting.gate.acquire()
            leads = False
            if not waiting.done:
                self._lead()
        return [
            waiting.error if waiting.error is not None else waiting.result  # type: ignore[misc]
            for waiting in mine
        ]

    def _lead(self) -> None:
        with self._lock:
            batch = self._queue[:MAXIMUM_BATCH]
            del self._queue[:MAXIMUM_BATCH]
        try:
            self._run(batch)
        finally:
            with self._lock:
                successor = self._queue[0] if self._queue else None
                self._busy = successor is not None
            for waiting in batch:
                waiting.done = True
                waiting.gate.release()
            if successor is not None:
                successor.gate.release()

    def _run(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = self._commit([waiting.item for waiting in batch])
        except BaseException as error:
            # A commit that may have happened must not be followed by a try that fails cleanly: its caller would
            # believe that nothing was committed. A full disk is full for all, and a lost database lost.
            if len(batch) == 1 or _concerns_all(error):
                for waiting in batch:
                    waiting.error = error
                return
            for waiting in batch:
                self._run([waiting])
            return
        for waiting, result in zip(batch, results, strict=True):
            waiting.result = result
