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

from ithil.archive.find_attributes import Match, Source

CAPACITY = 4 * 1024 * 1024
"""Bytes of all that a process keeps."""

LARGEST_SHARE = 16  # a study that takes more than this part of the capacity is not kept
MOST_NEW = 200
"""Studies of a batch that are new. Of more they are not kept: a list of the whole archive would push out all else,
and seldom comes again."""

_OVERHEAD = 400  # bytes of an entry beside its texts
_OF_FORM = 4096  # bytes of a form

_Entries = OrderedDict[int, tuple[Source, bytes]]
_EMPTY: _Entries = OrderedDict()


class ReadyJson:
    """Keeps `capacity` bytes. Safe for many threads.

    Forms are whatever JSON depends on beside the study. When there is no room, the form that was used least
    lately goes, and within the last one the studies that came first.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._forms: OrderedDict[Hashable, _Entries] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """About the bytes that are kept."""
        return self._size + _OF_FORM * len(self._forms)

    def of(self, form: Hashable, found: Sequence[Match], make: Callable[[Match], bytes]) -> list[bytes]:
        """The JSON of each match; `make` makes it in this form."""
        with self._lock:
            known = self._forms.get(form, _EMPTY)
            if known:
                self._forms.move_to_end(form)
        texts = []
        new: list[tuple[int, Source, bytes]] = []
        for one in found:
            entry = known.get(one.key)
            if entry is not None and entry[0] == one.source:
                texts.append(entry[1])
                continue
            text = make(one)
            texts.append(text)
            if one.source is not None:
                new.append((one.key, one.source, text))
        if new and len(new) <= MOST_NEW:
            self._keep(form, new)
        return texts

    def _keep(self, form: Hashable, new: Sequence[tuple[int, Source, bytes]]) -> None:
        with self._lock:
            known = self._forms.setdefault(form, OrderedDict())
            self._forms.move_to_end(form)
            for key, source, text in new:
                before = known.pop(key, None)
                if before is not None:
                    self._size -= _weight(*before)
                weight = _weight(source, text)
                if weight <= self._capacity // LARGEST_SHARE:
                    known[key] = source, text
                    self._size += weight
            while self.size > self._capacity:
                if len(self._forms) == 1:
                    self._size -= _weight(*known.popitem(last=False)[1])
                else:
                    _, dropped = self._forms.popitem(last=False)
                    self._size -= sum(_weight(*entry) for entry in dropped.values())


def _weight(source: Source, text: bytes) -> int:
    """About the bytes that an entry takes in memory."""
    return _OVERHEAD + sys.getsizeof(text) + sum(sys.getsizeof(each) for each in source[1:])
