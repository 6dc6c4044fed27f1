"""Numbers about what the server does, for `/tools/metrics-prometheus`: counted here, together for a host.

Each process has a row in memory that all processes of the host share, so whichever of them is asked can tell
the numbers of all. Counting is a few hundred nanoseconds, so that it is always on. Rows outlive their
process: what it counted stays counted, what it held at the moment is gone with it. Imports nothing of Ithil's
parts, so that every part may count.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum

from ithil.host_memory import HostMemory

WINDOW = 10.0
"""Seconds that a timer looks back, at least."""

_MOST_PROCESSES = 320  # `Ithil.Workers` is 256 at most, and a reset may have two generations
_NUMBER = struct.Struct("=d")
_HEAD = 2  # numbers in front of a row: the process and when it started


class Metric(Enum):
    """What can be counted; the values are Orthanc's names without their prefix."""

    STORAGE_READ_BYTES = "storage_read_bytes"
    STORAGE_WRITTEN_BYTES = "storage_written_bytes"
    CACHE_HITS = "storage_cache_hit_count"
    CACHE_MISSES = "storage_cache_miss_count"
    ERRORS = "logged_errors_count"
    WARNINGS = "logged_warnings_count"
    SERVING = "serving_processes"
    ACTIVE_REQUESTS = "rest_api_active_requests"
    BUSY_HTTP_THREADS = "busy_http_threads"
    ASSOCIATIONS = "dicom_associations"
    CACHED_FILES = "storage_cache_count"
    CACHED_BYTES = "storage_cache_bytes"
    REST_API = "rest_api_duration_ms"
    STORE_DICOM = "store_dicom_duration_ms"
    STORAGE_CREATE = "storage_create_duration_ms"
    STORAGE_READ = "storage_read_duration_ms"
    STORAGE_REMOVE = "storage_remove_duration_ms"
    FIND_SCP = "find_scp_duration_ms"
    GET_SCP = "get_scp_duration_ms"
    MOVE_SCP = "move_scp_duration_ms"


GAUGES = frozenset(
    {
        Metric.SERVING,
        Metric.ACTIVE_REQUESTS,
        Metric.BUSY_HTTP_THREADS,
        Metric.ASSOCIATIONS,
        Metric.CACHED_FILES,
        Metric.CACHED_BYTES,
    }
)
"""What a process holds at the moment, and no more when it has ended."""

TIMERS = frozenset(
    {
        Metric.REST_API,
        Metric.STORE_DICOM,
        Metric.STORAGE_CREATE,
        Metric.STORAGE_READ,
        Metric.STORAGE_REMOVE,
        Metric.FIND_SCP,
        Metric.GET_SCP,
        Metric.MOVE_SCP,
    }
)
"""The longest that something took within `WINDOW`, in milliseconds. A timer has two windows in turn."""

_PLACES: dict[Metric, int] = {}
_width = _HEAD
for _metric in Metric:
    _PLACES[_metric] = _width
    _width += 4 if _metric in TIMERS else 1
_ROW = _width * _NUMBER.size

_memory = HostMemory(_MOST_PROCESSES * _ROW)
_lock = threading.Lock()
_row: int | None = None  # where the row of this process begins


def _forget() -> None:
    global _row, _lock
    _row = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget)


def add(metric: Metric, amount: float = 1) -> None:
    """Count something, or hold more (or less) of it."""
    with _lock:
        place = _own_row() + _PLACES[metric] * _NUMBER.size
        _NUMBER.pack_into(_memory.pages, place, _NUMBER.unpack_from(_memory.pages, place)[0] + amount)


def hold(metric: Metric, amount: float) -> None:
    """Say how much of something this process holds."""
    with _lock:
        _NUMBER.pack_into(_memory.pages, _own_row() + _PLACES[metric] * _NUMBER.size, amount)


def observe(metric: Metric, seconds: float) -> None:
    """Something took this long."""
    window = time.monotonic() // WINDOW
    with _lock:
        place = _own_row() + (_PLACES[metric] + 2 * (int(window) % 2)) * _NUMBER.size
        known, longest = struct.unpack_from("=dd", _memory.pages, place)
        if known != window or seconds > longest:
            struct.pack_into("=dd", _memory.pages, place, window, seconds)


@contextmanager
def timed(metric: Metric) -> Iterator[None]:
    """Observe how long the block takes, also if it fails."""
    start = time.perf_counter()
    try:
        yield
    finally:
        observe(metric, time.perf_counter() - start)


@contextmanager
def holding(metric: Metric) -> Iterator[None]:
    """Hold one more of something within the block."""
    add(metric, 1)
    try:
        yield
    finally:
        add(metric, -1)


def totals() -> dict[Metric, float]:
    """The numbers of all processes of this host together; timers in milliseconds."""
    rows = [_unpacked(number) for number in range(_MOST_PROCESSES)]
    used = [row for row in rows if row[0]]
    living = [row for row in used if _lives(int(row[0]))]
    oldest = time.monotonic() // WINDOW - 1
    found: dict[Metric, float] = {}
    for metric, place in _PLACES.items():
        if metric in TIMERS:
            windows = [row[place + shift : place + shift + 2] for row in living for shift in (0, 2)]
            longest = max((seconds for window, seconds in windows if window >= oldest > 0), default=0.0)
            found[metric] = longest * 1000
        else:
            found[metric] = sum(row[place] for row in (living if metric in GAUGES else used))
    return found


def up_time() -> float:
    """Seconds since the oldest living process of the server began to count."""
    starts = [row[1] for row in map(_unpacked, range(_MOST_PROCESSES)) if _lives(int(row[0]))]
    return max(0.0, time.monotonic() - min(starts)) if starts else 0.0


def _unpacked(number: int) -> tuple[float, ...]:
    return struct.unpack_from(f"={_width}d", _memory.pages, number * _ROW)


def _own_row() -> int:
    """The row of this process; takes over the one of a process that has ended if need be."""
    global _row
    if _row is None:
        with _memory.lock():
            _row = _free_row() * _ROW
            for metric in GAUGES:
                _NUMBER.pack_into(_memory.pages, _row + _PLACES[metric] * _NUMBER.size, 0.0)
            struct.pack_into("=dd", _memory.pages, _row, float(os.getpid()), time.monotonic())
    return _row


def _free_row() -> int:
    pids = [int(_unpacked(number)[0]) for number in range(_MOST_PROCESSES)]
    for taken in (bool, _lives):
        for number, pid in enumerate(pids):
            if not taken(pid):
                return number
    return 0  # more processes than there are rows: two share one, and a few counts are lost


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
