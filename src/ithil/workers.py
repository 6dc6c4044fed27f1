"""Several equal processes behind the same listening sockets, and the parent that keeps their number.

The parent serves nothing and opens nothing but the sockets. A worker that dies is replaced at once; one that
dies again and again is replaced ever more slowly, so that a broken database does not eat the machine.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

STEADY_SECONDS = 10.0  # a worker that lived this long did start
_PR_SET_PDEATHSIG = 1
_LOOK = 0.1  # seconds between two looks at the workers
_SLOWEST = 10.0  # seconds between two starts of a worker that keeps dying


def supervise(count: int, work: Callable[[], None]) -> int:
    """Keep `count` processes that run `work` until SIGTERM or SIGINT; returns the exit status."""
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    started: dict[int, float] = {}
    delay = 0.0
    while not stopping:
        while len(started) < count and not stopping:
            started[_start(work)] = time.monotonic()
        pid = _wait_for_one(lambda: stopping)
        if pid is None or stopping:
            break
        lived = time.monotonic() - started.pop(pid)
        log.error("worker %d died, another takes its place", pid)
        delay = 0.0 if lived > STEADY_SECONDS else min(_SLOWEST, 2 * delay or 0.5)
        again = time.monotonic() + delay
        while not stopping and time.monotonic() < again:
            time.sleep(_LOOK)
    _stop_all(list(started))
    return 0


def _start(work: Callable[[], None]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _end_with(parent)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        work()
        status = 0
    except Exception as error:
        log.error("a worker cannot go on: %s", error)
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
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
    for pid in pids:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass
