"""One thread of an archive that stores what was made for an answer, so that no answer waits for that or fails of it.

To compress the metadata of a series and write them to the index takes a while, and much longer when the index
is busy or its disk is full. None of that is the business of a client whose answer is made already. What waits
is bounded, and nothing depends on it: what is refused, fails, or is dropped when the archive is closed is made
again when somebody asks for it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from ithil.archive.errors import ArchiveError
from ithil.error_codes import CodedError

log = logging.getLogger(__name__)


class DocumentKeeper:
    """The thread, which begins when there is something to do, and what waits for it."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], None], int]] = deque()
        self._size = 0  # bytes of what waits and of what is being stored
        self._unfinished = 0
        self._arrived = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def unfinished(self) -> int:
        """How many documents wait or are being stored."""
        return self._unfinished

    def take(self, store: Callable[[], None], size: int, capacity: int) -> bool:
        """Have `store` called soon, which holds `size` bytes. Returns at once and never raises.

        False if all that waits would take more than `capacity` bytes, and when the archive is closed. What is
        larger than the capacity is taken if nothing else waits.
        """
        with self._arrived:
            if self._closed or (self._unfinished and self._size + size > capacity):
                return False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="documents", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the system has no more threads
                    return False
                self._thread = thread
            self._waiting.append((store, size))
            self._size += size
            self._unfinished += 1
            self._arrived.notify()
        return True

    def close(self) -> None:
        """Finish what is being stored, since the index is closed next, and drop what waits."""
        with self._arrived:
            self._closed = True
            while self._waiting:
                self._size -= self._waiting.pop()[1]
                self._unfinished -= 1
            self._arrived.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._arrived:
                while not self._waiting and not self._closed:
                    self._arrived.wait()
                if self._closed:
                    return
                store, size = self._waiting.popleft()
            try:
                store()
            except (ArchiveError, CodedError) as error:
                log.warning("The metadata of a series cannot be kept: %s", error)
            except Exception as error:  # whose text may hold anything
                log.warning("The metadata of a series cannot be kept: %s", type(error).__name__)
            del store  # and with it the document, while this thread waits
            with self._arrived:
                self._size -= size
                self._unfinished -= 1
