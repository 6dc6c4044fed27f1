"""Commits, and waits for the disk, that are shared by those who wait anyway.

The thread that brings an instance does all the work itself, up to the commit, since handing an instance to
another thread costs more than indexing it. While one thread commits, others queue up; when it is done, one of
those takes everything in the queue and commits it in one transaction, and the rest find their result made.
A thread that comes alone commits alone and at once.

What is only `post`ed waits in the same queue for whoever comes next: one that brings more, one that wants to see
what was posted (`drain`), or the owner, who drains from time to time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ithil.archive.errors import ArchiveError, IndexBusy, IndexUnavailable, StorageFull

Item = TypeVar("Item")
Result = TypeVar("Result")

MAXIMUM_BATCH = 64


class _Waiting(Generic[Item, Result]):
    """An item in the queue, which may be None; one that `is_mark` only says how far the queue must have got."""

    __slots__ = ("done", "error", "gate", "is_mark", "item", "result", "told")

    def __init__(
        self,
        item: Item | None,
        told: Callable[[Result | BaseException], None] | None = None,
        *,
        is_mark: bool = False,
    ) -> None:
        self.item = item
        self.is_mark = is_mark
        self.told = told  # of a posted item
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.done = False
        self.gate = threading.Lock()
        if told is None:
            self.gate.acquire()


def _concerns_all(error: BaseException | None) -> bool:
    return isinstance(error, (IndexUnavailable, StorageFull)) and not isinstance(error, IndexBusy)


class GroupCommit(Generic[Item, Result]):
    """Runs `commit` on lists of items, one list at a time, and gives each caller its own result.

    When a list fails, its items are tried one by one, so that one that cannot be stored takes no other along;
    but for the failures that concern all of them.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self.waiting = 0
        """How many posted items are not committed yet."""
        self.failure: BaseException | None = None
        """Why posted items could not be committed at the last try; they stay in the queue."""
        self._commit = commit
        self._lock = threading.Lock()
        self._queue: list[_Waiting[Item, Result]] = []
        self._busy = False
        self._leader = 0  # the thread that commits

    def submit(self, item: Item) -> Result:
        """Commit `item`, alone or with others; returns or raises what `commit` made of it."""
        mine: _Waiting[Item, Result] = _Waiting(item)
        self._await([mine])
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]

    def submit_all(self, items: Sequence[Item]) -> list[Result | BaseException]:
        """Commit several items, in as few transactions as can be; what was made of each, or what it raised."""
        mine: list[_Waiting[Item, Result]] = [_Waiting(item) for item in items]
        self._await(mine)
        return [
            waiting.error if waiting.error is not None else waiting.result  # type: ignore[misc]
            for waiting in mine
        ]

    def post(self, item: Item, told: Callable[[Result | BaseException], None]) -> None:
        """Leave `item` to whoever commits next. `told` gets what became of it, in that thread.

        Where the archive fails (ArchiveError), or `told` does, it stays in the queue to be tried again.
        """
        with self._lock:
            self._queue.append(_Waiting(item, told))
            self.waiting += 1

    def drain(self, *, again: bool = False) -> None:
        """Return when all that was posted before is committed, or was tried in vain (`failure`).

        Once that has happened, only those try who say `again`. From within a commit, it returns at once.
        """
        if self.waiting and (again or self.failure is None) and self._leader != threading.get_ident():
            self._await([_Waiting(None, is_mark=True)])

    def _await(self, mine: list[_Waiting[Item, Result]]) -> None:
        """Return when all of `mine` is done, leading as long as nobody else does."""
        if not mine:
            return
        with self._lock:
            self._queue += mine
            leads = not self._busy
            self._busy = True
        try:
            for waiting in mine:
                if not leads and not waiting.done:
                    waiting.gate.acquire()  # opened when it is done, or to lead
                while not waiting.done:
                    leads = True
                    self._lead()
        finally:
            if leads:
                self._hand_over()

    def _lead(self) -> None:
        with self._lock:
            batch = self._queue[:MAXIMUM_BATCH]
            del self._queue[:MAXIMUM_BATCH]
        self._leader = threading.get_ident()
        try:
            items = [waiting for waiting in batch if not waiting.is_mark]
            if items:
                self._run(items)
            posted = [waiting for waiting in batch if waiting.told is not None]
            kept = [waiting for waiting in posted if not self._tell(waiting)]
        finally:
            self._leader = 0
        with self._lock:
            self.waiting -= len(posted) - len(kept)
            ended = [waiting for waiting in batch if waiting.told is None]
            if kept:
                ended += self._keep(kept)
            elif posted:
                self.failure = None
        for waiting in ended:
            waiting.done = True
            waiting.gate.release()

    def _keep(self, kept: list[_Waiting[Item, Result]]) -> list[_Waiting[Item, Result]]:
        """Have posted items tried again; gives those in the queue whose wait ends with that."""
        self.failure = next((each.error for each in kept if _concerns_all(each.error)), kept[0].error)
        if not _concerns_all(self.failure):
            self._queue += kept  # not before those who wait, who may be luckier
            return []
        ended = [waiting for waiting in self._queue if waiting.told is None]
        for waiting in ended:
            waiting.error = self.failure
        self._queue = [*kept, *(waiting for waiting in self._queue if waiting.told is not None)]
        return ended

    def _tell(self, waiting: _Waiting[Item, Result]) -> bool:
        """Tell what became of a posted item; False if it has to be tried again."""
        assert waiting.told is not None
        try:
            if isinstance(waiting.error, ArchiveError):
                return False
            waiting.told(waiting.error if waiting.error is not None else waiting.result)  # type: ignore[arg-type]
        except BaseException as error:
            waiting.error = error
            return False
        return True

    def _hand_over(self) -> None:
        """Let the first that waits lead; what is only posted can wait."""
        with self._lock:
            successor = next((waiting for waiting in self._queue if waiting.told is None), None)
            self._busy = successor is not None
        if successor is not None:
            successor.gate.release()

    def _run(self, batch: list[_Waiting[Item, Result]]) -> None:
        for waiting in batch:
            waiting.error = None  # of an earlier try
        try:
            results = self._commit([waiting.item for waiting in batch])  # type: ignore[misc]
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
