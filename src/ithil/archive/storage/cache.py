"""The most recently read files, kept in memory up to `MaximumStorageCacheSize`.

Files never change under their UUID, so an entry is valid as long as somebody asks for that UUID.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from ithil import metrics
from ithil.metrics import Metric


class FileCache:
    """Least recently used contents by UUID, `capacity` bytes at most; 0 keeps nothing."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, uuid: str) -> bytes | None:
        """The whole content of a file, if it is here."""
        with self._lock:
            content = self._contents.get(uuid)
            if content is not None:
                self._contents.move_to_end(uuid)
        metrics.add(Metric.CACHE_MISSES if content is None else Metric.CACHE_HITS)
        return content

    def put(self, uuid: str, content: bytes) -> None:
        """Remember a content; one that would take more than a quarter of the room is not worth it."""
        if len(content) > self._capacity // 4:
            return
        with self._lock:
            old = self._contents.pop(uuid, None)
            self._size += len(content) - (len(old) if old is not None else 0)
            self._contents[uuid] = content
            while self._size > self._capacity:
                _, dropped = self._contents.popitem(last=False)
                self._size -= len(dropped)
            self._tell()

    def drop(self, uuid: str) -> None:
        """Forget a file that is being removed."""
        with self._lock:
            old = self._contents.pop(uuid, None)
            if old is not None:
                self._size -= len(old)
                self._tell()

    def _tell(self) -> None:
        metrics.hold(Metric.CACHED_FILES, len(self._contents))
        metrics.hold(Metric.CACHED_BYTES, self._size)
