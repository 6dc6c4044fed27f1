"""Several equal processes behind the same listening sockets, and the parent that keeps their number.

The parent serves nothing and opens nothing but the sockets. A worker that dies is replaced at once; one that
dies again and again is replaced ever more slowly, so that a broken database does not eat the machine. One
that does not stop when it is told to is killed in the end, so that the parent always comes to its own end.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from ithil.archive.errors import ArchiveError
from ithil.network.receiving import describe_fault

log = logging.getLogger(__name__)

STEADY_SECONDS = 10.0  # a worker that lived this long did start
LONGEST_STOP = 35.0  # seconds: HTTP, associations and sweeps each have app.STOP_SECONDS, one after the other
_ENDING = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1
_LOOK = 0.1  # seconds between two looks at the workers
_SLOWEST = 10.0  # seconds between two starts of a worker that keeps dying


def supervise(count: int, work: Callable[[], None], renew: Callable[[], int] | None = None) -> int:
    """Keep `count` processes that run `work` until SIGTERM or SIGINT; returns the exit status.

    At SIGHUP `renew` prepares what `work` will find and tells the new number of processes, and all of them
    are replaced.
    """
    stopping = renewing = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal stopping, renewing
        if number == signal.SIGHUP:
            renewing = True
        else:
            stopping = True

    def interrupted() -> bool:
        return stopping or renewing

    for number in (*_ENDING, signal.SIGHUP):
        signal.signal(number, hear)
    started: dict[int, float] = {}
    delay = 0.0
    while not stopping:
        while len(started) < count and not stopping:
            started[_start(work)] = time.monotonic()
        pid = _wait_for_one(interrupted)
        if pid is None:
            if renewing and not stopping:
                renewing = False
                count = renew() if renew is not None else count
                _stop_all(list(started))
                started.clear()
            continue
        born = started.pop(pid, None)
        if born is None:
            continue  # an orphan of others, as process 1 of a container inherits them
        lived = time.monotonic() - born
        log.error("worker %d died, another takes its place", pid)
        delay = 0.0 if lived > STEADY_SECONDS else min(_SLOWEST, 2 * delay or 0.5)
        again = time.monotonic() + delay
        while not interrupted() and time.monotonic() < again:
            time.sleep(_LOOK)
    _stop_all(list(started))
    return 0


def _start(work: Callable[[], None]) -> int:
    parent = os.getpid()
    # Until the child has handlers of its own, a signal would be lost in those it inherits. So signals wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        pid = os.fork()
        if not pid:
            _be_worker(work, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _be_worker(work: Callable[[], None], parent: int) -> NoReturn:
    status = 1
    try:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which is for the parent
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        _end_with(parent)
        work()
        status = 0
    except ArchiveError as error:  # its message is meant for the operator
        log.error("a worker cannot go on: %s", error)
    except Exception as error:
        log.error("a worker cannot go on: %s", describe_fault(error))
    finally:
        os._exit(status)


def _end_with(parent: int) -> None:
    """Have this process stop when its parent dies, which otherwise nobody would replace or stop any more."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)


def _wait_for_one(stopping: Callable[[], bool]) -> int | None:
    """The next worker that ends, or None when it is time to stop."""
    while not stopping():
        # A short sleep instead of a blocking wait, which a signal handler would not end.
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid:
            return pid
        time.sleep(_LOOK)
    return None


def _stop_all(pids: list[int]) -> None:
    """Ask the workers to stop, kill those that have not within `LONGEST_STOP`, and reap them all."""
    _send(signal.SIGTERM, pids)
    deadline = time.monotonic() + LONGEST_STOP
    while (pids := [pid for pid in pids if not _has_ended(pid, os.WNOHANG)]) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    if pids:
        log.error("%d workers did not stop in time and are killed", len(pids))
    _send(signal.SIGKILL, pids)
    for pid in pids:
        _has_ended(pid, 0)


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _has_ended(pid: int, options: int) -> bool:
    try:
        return os.waitpid(pid, options)[0] == pid
    except ChildProcessError:  # reaped by somebody else
        return True
