"""Finished answers to GET requests, valid as long as nothing in the database changed.

The index has an exact and cheap validator, `index.version()`. While it stays equal, every answer that depends
on the index alone is still the right one, so it can be sent again without routing, threads or SQL. The first
lookup after a change drops everything; there is nothing to invalidate by hand.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ithil.http.answers import FilePart

OVERHEAD = 1000  # bytes that an entry costs beside what it holds
LARGEST_KEY = 4096  # bytes; longer ones are made up by somebody, and would hold more than their answers
LARGEST_SHARE = 4  # an entry larger than this part of the capacity is not kept


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """The headers and the body of a 200 answer, ready to be sent any number of times.

    With `part` the body is not kept here: it lies in a stored file, which the archive keeps in a cache of its
    own.
    """

    headers: list[tuple[bytes, bytes]]
    body: bytes
    part: FilePart | None = None
    head: bytes = field(init=False)  # status line and headers as they go over the wire

    def __post_init__(self) -> None:
        lines = [b"%s: %s\r\n" % header for header in self.headers]
        object.__setattr__(self, "head", b"".join([b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n"]))

    @property
    def size(self) -> int:
        """About the bytes that it takes in memory."""
        part = self.part
        around = 0 if part is None else len(part.before) + len(part.after)
        return OVERHEAD + len(self.body) + 2 * len(self.head) + around


class AnswerCache:
    """A least-recently-used cache of `capacity` bytes. To be used from the event loop only."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._version: object | None = None
        self._entries: OrderedDict[bytes, CachedAnswer] = OrderedDict()
        self._size = 0

    def get(self, key: bytes, version: object | None) -> CachedAnswer | None:
        """The answer kept for `key`, if the index is still at `version` (None: unknown, nothing is valid)."""
        if version != self._version or version is None:
            self._restart(version)
            return None
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, version: object | None, answer: CachedAnswer) -> None:
        """Keep an answer that was made from the index at `version` or later."""
        if version is None or version != self._version:
            return
        cost = len(key) + answer.size
        if len(key) > LARGEST_KEY or cost > self._capacity // LARGEST_SHARE:
            return
        before = self._entries.pop(key, None)
        if before is not None:
            self._size -= len(key) + before.size
        self._entries[key] = answer
        self._size += cost
        while self._size > self._capacity:
            oldest, dropped = self._entries.popitem(last=False)
            self._size -= len(oldest) + dropped.size

    def _restart(self, version: object | None) -> None:
        self._version = version
        if self._entries:
            self._entries.clear()
            self._size = 0

    def __len__(self) -> int:
        return len(self._entries)
