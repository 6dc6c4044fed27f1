"""Reports of storage commitment on the association on which they were asked for (PS3.4 J.3.3).

A caller that keeps its association open after N-ACTION, and then says nothing, waits for the report there. Only
the thread of the association can send on it, while the report is made by a job, in a thread of its own or in
another process. So the association's thread stays with the request for a moment, and the job looks here first
whether it is waited for. Nothing depends on it: a job that finds nobody opens an association of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ithil.network.handler import Responder

SILENCE_SECONDS = 1.0
"""How long a caller has to be silent before it is taken to wait for the report."""

_LOOK_SECONDS = 0.1

Send = Callable[[Responder], bool]
"""Sends a report on the association of a responder; whether the peer took it."""


class Channel:
    """One association whose peer may be waiting."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._silent = False
        self._closed = False
        self._send: Send | None = None
        self._result: bool | None = None

    def offer(self, responder: Responder, seconds: float) -> None:
        """Stay with a peer while it is silent, and send it the report that comes, if one does in time.

        Raises what ends the association meanwhile.
        """
        try:
            if not responder.is_silent(SILENCE_SECONDS):
                return
            with self._lock:
                self._silent = True
                self._lock.notify_all()
            for _ in range(int(seconds / _LOOK_SECONDS)):
                with self._lock:
                    send, self._send = self._send, None
                if send is not None:
                    result = False
                    try:
                        result = send(responder)
                    finally:
                        self._finish(result)
                    return
                if not responder.is_silent(_LOOK_SECONDS):
                    return
        finally:
            self._finish(False)

    def _finish(self, result: bool) -> None:
        with self._lock:
            self._closed = True
            self._result = result if self._result is None else self._result
            self._lock.notify_all()

    def report(self, send: Send, seconds: float) -> bool:
        """From the job's thread: have `send` called where the peer waits; whether the peer took the report."""
        with self._lock:
            self._lock.wait_for(lambda: self._silent or self._closed, SILENCE_SECONDS + 1)
            if self._closed or not self._silent:
                self._closed = True
                return False
            self._send = send
            self._lock.wait_for(lambda: self._result is not None, seconds)
            # Too late is never: what has not been sent by now must not be sent twice.
            self._send = None
            return bool(self._result)


Key = tuple[str, str]
"""Who asked (title), and the transaction UID."""

_channels: dict[Key, Channel] = {}
_lock = threading.Lock()


def opened(key: Key) -> Channel:
    """A channel for a report that is going to be made."""
    channel = Channel()
    with _lock:
        _channels[key] = channel
    return channel


def closed(key: Key, channel: Channel) -> None:
    """Nobody waits for that report any more."""
    with _lock:
        if _channels.get(key) is channel:
            del _channels[key]


def of(key: Key) -> Channel | None:
    """The channel for a report, if somebody waits for it in this process."""
    with _lock:
        return _channels.get(key)
