"""Results that cost time to make, kept in bounded memory and made only once at a time.

Several requests for the same frame of a cine loop or a slice arrive together: the first makes it, the others
wait for it. What is being made counts against a budget as well, so that many large frames at once queue up
instead of taking the memory of the machine.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from ithil import error_codes as codes
from ithil.error_codes import CodedError

T = TypeVar("T")

LARGEST_SHARE = 4  # a result larger than this part of the capacity is not kept


class SharedCache:
    """A least-recently-used cache of results; safe for many threads.

    Keys must name what never changes, such as the UUID of a stored file and a frame of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._being_made: dict[Hashable, Future[Any]] = {}
        self._size = 0

    def get(
        self,
        key: Hashable,
        capacity: int,
        make: Callable[[], tuple[T, int]],
        *,
        keep: bool | Callable[[], bool] = True,
    ) -> T:
        """The result for `key`; `make` gives it and the bytes that it takes. Raises what `make` raises.

        `capacity` is the number of bytes that all results together may take. What is not worth `keep`ing is
        only shared with those who wait for it; a function is asked about that once there is a result to keep.
        """
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                kept: T = found[0]
                return kept
            pending = self._being_made.get(key)
            if pending is None:
                mine: Future[Any] = Future()
                self._being_made[key] = mine
        if pending is not None:
            shared: T = pending.result()
            return shared
        try:
            result, size = make()
            worth_keeping = keep() if callable(keep) else keep
        except BaseException as error:
            with self._lock:
                del self._being_made[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._being_made[key]
            if worth_keeping:
                self._keep(key, result, size, capacity)
        mine.set_result(result)
        return result

    def _keep(self, key: Hashable, result: Any, size: int, capacity: int) -> None:
        if size > capacity // LARGEST_SHARE:
            return
        self._kept[key] = (result, size)
        self._size += size
        while self._size > capacity:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._size -= dropped

    @property
    def size(self) -> int:
        """Bytes that the kept results take."""
        return self._size


class MemoryGate:
    """Lets work in as long as all of it together takes no more memory than there is for it; the rest waits."""

    def __init__(self, patience: float) -> None:
        self._patience = patience  # seconds
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def share(self, size: int, capacity: int) -> Iterator[None]:
        """Hold `size` of `capacity` bytes; what is larger than the capacity is let in alone.

        Raises CodedError (not enough memory, 503) if there is no room in time.
        """
        size = min(size, capacity)
        deadline = time.monotonic() + self._patience
        with self._changed:
            while self._taken + size > capacity:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise CodedError(codes.NOT_ENOUGH_MEMORY, "Too many large frames at once", status=503)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
