"""The JSON of studies that were shown lately, so that a list of them need not be made from their values again.

Viewers and worklists ask for pages that overlap, and ask again whenever something has arrived, while nearly all of
what they show has stayed the same. What is kept of a study lies beside what it was made of. It is used only if
the index has just given the same, so nothing has to be told when a study changes, whichever process changes it.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from itertools import count

from ithil.archive.find_attributes import Match, Source

CAPACITY = 4 * 1024 * 1024
"""Bytes of all that a process keeps."""

LARGEST_SHARE = 16  # a study that takes more than this part of the capacity is not kept
MOST_NEW = 200
"""Studies of a batch that are new. Of more they are not kept: a list of the whole archive would push out all else,
and seldom comes again."""

_OVERHEAD = 480  # bytes of an entry beside its texts
_OF_FORM = 4096  # bytes of a form
_SHARE_OF_FORMS = 16  # the part of the capacity that is for forms


class ReadyJson:
    """Keeps `capacity` bytes. Safe for many threads.

    Forms are whatever JSON depends on beside the study. When there is no room, the studies go that were shown
    least lately, of whichever form. Of forms those are known that were used last; what is kept in one that is
    forgotten goes like all else.
    """

    def __init__(self, capacity: int) -> None:
        self._most_forms = max(1, capacity // _SHARE_OF_FORMS // _OF_FORM)
        self._capacity = capacity - self._most_forms * _OF_FORM
        self._lock = threading.Lock()
        self._numbers: OrderedDict[Hashable, int] = OrderedDict()
        self._unused = count()
        self._entries: OrderedDict[tuple[int, int], tuple[Source, bytes]] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """About the bytes that are kept."""
        return self._size + _OF_FORM * len(self._numbers)

    def of(self, form: Hashable, found: Sequence[Match], make: Callable[[Match], bytes]) -> list[bytes]:
        """The JSON of each match; `make` makes it in this form."""
        texts = []
        missing: list[int] = []
        with self._lock:
            entries = self._entries
            number = self._number(form)
            for one in found:
                entry = entries.get(place := (number, one.key))
                if entry is not None and entry[0] == one.source:
                    entries.move_to_end(place)
                    texts.append(entry[1])
                else:
                    missing.append(len(texts))
                    texts.append(b"")
        if missing:
            new: list[tuple[int, Source, bytes]] = []
            for index in missing:
                one = found[index]
                text = texts[index] = make(one)
                if one.source is not None:
                    new.append((one.key, one.source, text))
            if len(new) <= MOST_NEW:
                with self._lock:
                    self._keep(number, new)
        return texts

    def clear(self) -> None:
        """Keep nothing of all this."""
        with self._lock:
            self._numbers.clear()
            self._entries.clear()
            self._size = 0

    def _number(self, form: Hashable) -> int:
        """What stands for a form in keys. Never used again, so what is kept of a forgotten form is not found."""
        number = self._numbers.get(form)
        if number is None:
            number = self._numbers[form] = next(self._unused)
            if len(self._numbers) > self._most_forms:
                self._numbers.popitem(last=False)
        else:
            self._numbers.move_to_end(form)
        return number

    def _keep(self, number: int, new: Sequence[tuple[int, Source, bytes]]) -> None:
        entries = self._entries
        for key, source, text in new:
            before = entries.pop((number, key), None)
            if before is not None:
                self._size -= _weight(*before)
            weight = _weight(source, text)
            if weight <= self._capacity // LARGEST_SHARE:
                entries[number, key] = source, text
                self._size += weight
        while self._size > self._capacity:
            self._size -= _weight(*entries.popitem(last=False)[1])


def _weight(source: Source, text: bytes) -> int:
    """About the bytes that an entry takes in memory."""
    return _OVERHEAD + sys.getsizeof(text) + sum(sys.getsizeof(each) for each in source[1:])
