"""Outgoing associations that are kept for a moment after their use, in case more is to be sent to the same place.

Opening one costs several round trips and, at many modalities, a process that has to start. An association
belongs to one user at a time; those who come while it is in use open their own, so that several can send to one
destination at once. What nobody wants any more within the delay is released.
"""

from __future__ import annotations

import atexit
import ssl
import threading
import time
from dataclasses import dataclass

from ithil.archive.outgoing import Kind
from ithil.network.requestor import Requestor

_PATIENCE = 1.0
"""Seconds for the answer to a release that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an association goes and how; associations to equal destinations can stand in for each other."""

    host: str
    port: int
    called: str
    calling: str
    timeout: float  # seconds; 0 waits for ever
    tls: ssl.SSLContext | None = None


@dataclass(slots=True)
class Kept:
    """An association, and the kinds for which contexts were proposed in it."""

    requestor: Requestor
    kinds: frozenset[Kind]
    until: float = 0.0


class AssociationPool:
    """The associations of this process that are not in use. Safe to be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Destination, list[Kept]] = {}
        self._timer: threading.Timer | None = None

    def take(self, destination: Destination, kinds: frozenset[Kind]) -> Kept | None:
        """An association in which these kinds were proposed, or None; what is too narrow is released."""
        while True:
            with self._lock:
                idle = self._idle.get(destination, [])
                if not idle:
                    return None
                kept = idle.pop()
                if not idle:
                    del self._idle[destination]
            if not kept.requestor.is_usable():
                continue
            if kinds <= kept.kinds:
                return kept
            kept.requestor.release(_PATIENCE)

    def give(self, destination: Destination, kept: Kept, delay: float) -> None:
        """Keep an association for `delay` seconds; 0 releases it now."""
        if delay <= 0:
            kept.requestor.release(_PATIENCE)
            return
        kept.until = time.monotonic() + delay
        with self._lock:
            self._idle.setdefault(destination, []).append(kept)
            self._plan()

    def release_all(self) -> None:
        """End all associations that are not in use."""
        with self._lock:
            every = [kept for idle in self._idle.values() for kept in idle]
            self._idle.clear()
        for kept in every:
            kept.requestor.release(_PATIENCE)

    def _plan(self) -> None:
        """Set the timer for the next association that is due, with the lock held."""
        due = min((kept.until for idle in self._idle.values() for kept in idle), default=None)
        if self._timer is None and due is not None:
            self._timer = threading.Timer(max(0.0, due - time.monotonic()), self._expire)
            self._timer.daemon = True
            self._timer.start()

    def _expire(self) -> None:
        now = time.monotonic()
        due: list[Kept] = []
        with self._lock:
            self._timer = None
            for destination, idle in list(self._idle.items()):
                due += [kept for kept in idle if kept.until <= now]
                self._idle[destination] = [kept for kept in idle if kept.until > now]
                if not self._idle[destination]:
                    del self._idle[destination]
            self._plan()
        for kept in due:
            kept.requestor.release(_PATIENCE)


pool = AssociationPool()
"""The one of this process."""

atexit.register(pool.release_all)
