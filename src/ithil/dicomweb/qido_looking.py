"""Searches that look into files to find what matches: each for a while only, and not too many at once.

Nothing tells a handler that its client has gone, and in a large archive such a search could go on for hours. So
it ends after as long as clients and proxies wait for an answer, and most of the threads that answer requests are
kept from it. Who finds all places taken is told to come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from ithil import error_codes as codes
from ithil.archive.find import Keys, SearchTooLong
from ithil.error_codes import CodedError
from ithil.http.admission import RETRY_AFTER
from ithil.http.context import MOST_THREADS

LONGEST = 30.0
"""Seconds."""

SHARE = 4
"""One of so many threads may look into files."""


class _Places:
    """Counts the searches of this process that look into files. Safe to be used by many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken = 0

    @contextmanager
    def one(self, most: int) -> Iterator[None]:
        """Hold one of `most` places. Raises CodedError (503) if there is none."""
        with self._lock:
            if self._taken >= most:
                raise CodedError(
                    codes.DATABASE_UNAVAILABLE,
                    "Too many searches are looking into files at this moment; ask again",
                    headers={"Retry-After": str(RETRY_AFTER)},
                )
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1


_places = _Places()


def looked(keys: Keys, threads: int) -> tuple[list[list[int]], bool]:
    """What a search that opens files finds, and whether that is all: it ends when its time is over.

    `threads` is how many answer requests. Raises CodedError: 503 if too many such searches are under way, 413
    if nothing was found in time.
    """
    found: list[list[int]] = []
    with _places.one(max(1, min(threads, MOST_THREADS) // SHARE)):
        try:
            found.extend(keys)
        except SearchTooLong:
            if not found:
                raise CodedError(
                    codes.TIMEOUT,
                    "Too many files would have to be opened; match something that the index has as well, "
                    "such as StudyDate, or make the attribute an extended query tag",
                    status=413,
                ) from None
            return found, False
    return found, True
