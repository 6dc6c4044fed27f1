"""The processes that compute for jobs, so that a job uses all cores and requests stay fast meanwhile.

Processes are started when a job first needs them, at a lower priority than the server's, and end when they have
had nothing to do for a while. They are started anew, not forked: a fork of a process with threads may hang.

A codec may bring its process down. So each process has one item at a time: what was lost with it is known. That
item is tried once more, since the system may have killed the process to get memory, and then it alone fails. A
process that has died is replaced when the next item needs it.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias, TypeVar, cast

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.jobs import pool_worker
from ithil.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
_Pipe: TypeAlias = "Connection[Any, Any]"

IDLE_SECONDS = 60.0  # how long a process without work is kept
_MOST_LOSSES = 2  # a process may be killed for no fault of its item, once
_LOOK = 0.25  # seconds between two looks whether the job must stop


class Pool:
    """At most `size` processes (0: one a core), shared by the jobs of this process. Safe for threads."""

    def __init__(self, settings: Settings, size: int = 0) -> None:
        self.size = size or cores()
        self._settings = settings
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        self._left: list[_Worker] = []  # whose consumer has gone, and whose result nobody wants
        self._at_work: set[_Worker] = set()
        self._count = 0  # of all there are, or about to be
        self._users = 0  # jobs that draw from the pool
        self._closed = False
        self._is_registered = False

    def each(
        self,
        work: Callable[[T], R],
        items: Iterable[T],
        *,
        ahead: int = 8,
        interrupted: Callable[[], None] = lambda: None,
    ) -> Iterator[R]:
        """`work` of each item in their order; `ahead` items at most are taken before their turn.

        `interrupted` is called several times a second while results are waited for, and may raise. Raises
        what `work` raises, or CodedError (internal error) for an item with which two processes died.
        """
        source = iter(items)
        window: deque[_Slot] = deque()
        busy: dict[_Worker, _Slot] = {}
        waiting: deque[_Slot] = deque()  # for a process
        more = True
        self._use(1)
        try:
            while True:
                while True:
                    if not waiting and more and len(window) < max(ahead, 1):
                        try:
                            slot = _Slot(pickle.dumps((work, next(source)), pickle.HIGHEST_PROTOCOL))
                        except StopIteration:
                            more = False
                            break
                        waiting.append(slot)
                        window.append(slot)
                    if self._closed:
                        interrupted()  # the end of the server is no failure of the job
                    worker = self._take(len(busy)) if waiting else None
                    if worker is None:
                        break
                    busy[worker] = waiting.popleft()
                    worker.begin(busy[worker])
                if not window and not more:
                    return
                if window and window[0].is_done:
                    yield window.popleft().result()
                    continue
                interrupted()
                if not busy:
                    self._wait_for_one()
                    continue
                by_connection = {worker.connection: worker for worker in busy}
                for ready in wait(list(by_connection), _LOOK):
                    lost = self._collect(by_connection[cast(_Pipe, ready)], busy)
                    if lost is not None:
                        interrupted()  # the end of the server is no failure of the item
                        waiting += lost.lose()
        finally:
            for worker in busy:
                self._leave(worker)
            self._use(-1)

    def tidy(self) -> None:
        """End the processes that have had nothing to do for `IDLE_SECONDS`, or nothing that anybody wants.

        Called now and then.
        """
        oldest = time.monotonic() - IDLE_SECONDS
        ending: list[_Worker] = []
        with self._changed:
            self._reclaim()
            for resting in (self._idle, self._left):
                old = [worker for worker in resting if worker.since < oldest]
                for worker in old:
                    resting.remove(worker)
                self._count -= len(old)
                ending += old
            self._changed.notify_all()
        for worker in ending:
            worker.kill()

    def close(self) -> None:
        """End all processes, whatever they do, and take no more work."""
        with self._changed:
            self._closed = True
            ending = self._idle + self._left
            self._idle, self._left = [], []
            self._count -= len(ending)
            at_work = list(self._at_work)
            self._changed.notify_all()
        for worker in ending:
            worker.kill()
        for worker in at_work:
            worker.end()  # whoever waits for it takes note, and lets it go

    def _use(self, change: int) -> None:
        with self._changed:
            self._users += change
            self._changed.notify_all()

    def _take(self, have: int) -> _Worker | None:
        """A process at rest for a job that has `have` already; None if there is none for it now."""
        with self._changed:
            if self._closed:
                raise CodedError(codes.INTERNAL_ERROR, "The server is stopping")
            # Jobs that run at the same time share the processes evenly.
            if have and have >= max(1, self.size // max(1, self._users)):
                return None
            self._reclaim()
            while self._idle:
                worker = self._idle.pop()
                if not worker.connection.poll():
                    self._at_work.add(worker)
                    return worker
                worker.kill()  # it says something without being asked: it has died
                self._count -= 1
            if self._count >= self.size:
                return None
            self._count += 1
        try:
            worker = self._start()
        except BaseException:
            with self._changed:
                self._count -= 1
            raise
        with self._changed:
            if not self._closed:
                self._at_work.add(worker)
                return worker
            self._count -= 1
        worker.kill()  # `close` came while it started, and does not know it
        raise CodedError(codes.INTERNAL_ERROR, "The server is stopping")

    def _start(self) -> _Worker:
        if not self._is_registered:
            # Before multiprocessing's own end, which waits for processes that nobody has told to end.
            atexit.register(self.close)
            self._is_registered = True
        return _Worker(self._settings)

    def _wait_for_one(self) -> None:
        with self._changed:
            self._changed.wait(_LOOK)

    def _collect(self, worker: _Worker, busy: dict[_Worker, _Slot]) -> _Slot | None:
        """Take the result of a process that has one; gives what was lost if it has died instead."""
        slot = busy.pop(worker)
        if worker.finish(slot):
            self._give_back(worker)
            return None
        self._drop(worker)
        return slot

    def _give_back(self, worker: _Worker) -> None:
        with self._changed:
            self._at_work.discard(worker)
            if not self._closed:
                worker.since = time.monotonic()
                self._idle.append(worker)
                self._changed.notify_all()
                return
        self._drop(worker)

    def _leave(self, worker: _Worker) -> None:
        """Let a process end what it computes although nobody wants it; that is cheaper than a new one."""
        with self._changed:
            self._at_work.discard(worker)
            if not self._closed:
                worker.since = time.monotonic()
                self._left.append(worker)
                return
        self._drop(worker)

    def _drop(self, worker: _Worker) -> None:
        worker.kill()
        with self._changed:
            self._at_work.discard(worker)
            self._count -= 1
            self._changed.notify_all()

    def _reclaim(self) -> None:
        """Put processes that were left with work to rest, once they have done it."""
        for worker in [one for one in self._left if one.connection.poll()]:
            self._left.remove(worker)
            if worker.finish(_Slot()):
                worker.since = time.monotonic()
                self._idle.append(worker)
            else:
                worker.kill()
                self._count -= 1


class _Slot:
    """One item, pickled with its function until it is done, and then what has become of it."""

    __slots__ = ("_error", "_value", "is_done", "losses", "message")

    def __init__(self, message: bytes = b"") -> None:
        self.message = message
        self.losses = 0
        self.is_done = False
        self._value: Any = None
        self._error: BaseException | None = None

    def settle(self, value: Any, error: BaseException | None) -> None:
        self.message = b""
        self._value, self._error = value, error
        self.is_done = True

    def lose(self) -> list[_Slot]:
        """Take note that the process died: [itself] to be tried again, [] if it has failed."""
        self.losses += 1
        if self.losses < _MOST_LOSSES:
            return [self]
        log.error("Another process that computed for a job has died; what both were computing fails")
        self.settle(None, CodedError(codes.INTERNAL_ERROR, "The processes that computed this have died"))
        return []

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.connection: _Pipe = ours
        self.since = time.monotonic()
        self._process = context.Process(
            target=pool_worker.run, args=(theirs, settings), name="ithil-job-worker", daemon=True
        )
        try:
            self._process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def begin(self, slot: _Slot) -> None:
        """Send an item; if the process has died, `finish` tells."""
        with suppress(OSError):
            self.connection.send_bytes(slot.message)

    def finish(self, slot: _Slot) -> bool:
        """Receive what became of the item; False if the process has died."""
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError):
            return False
        try:
            slot.settle(*pickle.loads(message))
        except Exception as error:
            slot.settle(None, error)
        return True

    def end(self) -> None:
        """Have the process end at once, while somebody else may wait for its result."""
        with suppress(ValueError):  # it has been killed since
            self._process.kill()

    def kill(self) -> None:
        """End the process, whatever it does, and give back what it took."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.connection.close()


def cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
