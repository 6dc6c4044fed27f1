"""The associations that are served at the moment: how many there may be, their threads, and how they are ended.

Each begins in a thread of its own. One that stores small instances then gives it up for that of the store loop
(`store_loop.py`), which gives it back for whatever else the association wants.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ithil.network.conversation import Conversation
from ithil.network.errors import AssociationLost
from ithil.network.receiving import describe_fault
from ithil.network.store_loop import StoreLoop

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Served:
    """One association that is served."""

    host: str
    conversation: Conversation | None = None
    """None until it can be told to stop."""


class Associations:
    """The associations of one acceptor. Safe to be used by many threads."""

    def __init__(self, *, most: int, most_per_host: int, store_loop: StoreLoop | None = None) -> None:
        """0 means no limit."""
        self._most = most
        self._most_per_host = most_per_host
        self._store_loop = store_loop
        self._changed = threading.Condition()
        self._served: set[_Served] = set()
        self._per_host: Counter[str] = Counter()
        self._stopping = False

    def __len__(self) -> int:
        with self._changed:
            return len(self._served)

    def start(self) -> None:
        """Before the first one is admitted."""
        if self._store_loop is not None:
            self._store_loop.start()

    def admit(self, host: str, begin: Callable[[], Conversation]) -> bool:
        """Serve an association with a host in a thread, which calls `begin`; False if a limit is reached."""
        served = _Served(host)
        with self._changed:
            if self._most and len(self._served) >= self._most:
                return False
            if self._most_per_host and self._per_host[host] >= self._most_per_host:
                return False
            self._per_host[host] += 1
            self._served.add(served)
        if self._start_thread(served, partial(self._converse, served, begin)):
            return True
        self._forget(served)
        return False

    def stop(self, end: float) -> bool:
        """Let each finish its present message, and wait until the monotonic time `end`; what is not over by then
        is cut. Returns whether everything ended in time.
        """
        self._stopping = True
        for conversation in self._conversations():
            conversation.stop()
        in_time = self._wait_for_all(end)
        for conversation in self._conversations():
            conversation.cut()
        self._wait_for_all(time.monotonic() + 1)
        if self._store_loop is not None and not self._store_loop.stop(max(1.0, end - time.monotonic())):
            return False
        return in_time

    def _conversations(self) -> list[Conversation]:
        with self._changed:
            return [served.conversation for served in self._served if served.conversation is not None]

    def _wait_for_all(self, end: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._served, max(0.0, end - time.monotonic()))

    def _start_thread(self, served: _Served, body: Callable[[], None]) -> bool:
        try:
            threading.Thread(target=body, name=f"dicom-{served.host}", daemon=True).start()
        except Exception:  # the system gives no more threads, or no memory for them
            logger.error("cannot start a thread for an association from %s", served.host)
            return False
        return True

    def _converse(self, served: _Served, begin: Callable[[], Conversation]) -> None:
        """The body of an association's first thread."""
        is_over = True
        try:
            conversation = served.conversation = begin()
            if self._stopping:
                conversation.stop()
            is_over = conversation.run(partial(self._hand_over, served))
        except Exception as error:
            logger.error("an association could not be served: %s", describe_fault(error))
        finally:
            if is_over:
                self._forget(served)

    def _hand_over(self, served: _Served, conversation: Conversation) -> bool:
        """Whether the association shares a thread from now on."""
        if self._store_loop is None:
            return False
        return self._store_loop.take(conversation, partial(self._take_back, served, conversation))

    def _take_back(self, served: _Served, conversation: Conversation) -> None:
        """Give an association a thread again."""

        def converse() -> None:
            conversation.run()
            self._forget(served)

        if not self._start_thread(served, converse):
            conversation.end_with(AssociationLost("there is no thread for it"))
            converse()  # which waits at most until the peer has seen the end

    def _forget(self, served: _Served) -> None:
        with self._changed:
            self._served.discard(served)
            self._per_host[served.host] -= 1
            if self._per_host[served.host] <= 0:
                del self._per_host[served.host]
            self._changed.notify_all()
