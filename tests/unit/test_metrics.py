"""Counts of all processes of a host together."""

from __future__ import annotations

import os
import time

import pytest

from ithil import metrics
from ithil.metrics import Metric


def in_child(work: object) -> None:
    child = os.fork()
    if not child:
        assert callable(work)
        work()
        os._exit(0)
    os.waitpid(child, 0)


def test_what_a_process_counted_stays_counted_when_it_has_ended() -> None:
    before = metrics.totals()[Metric.STORAGE_READ_BYTES]
    metrics.add(Metric.STORAGE_READ_BYTES, 10)
    in_child(lambda: metrics.add(Metric.STORAGE_READ_BYTES, 5))
    assert metrics.totals()[Metric.STORAGE_READ_BYTES] == before + 15


def test_what_it_held_goes_with_it() -> None:
    before = metrics.totals()[Metric.ACTIVE_REQUESTS]
    in_child(lambda: metrics.add(Metric.ACTIVE_REQUESTS))
    assert metrics.totals()[Metric.ACTIVE_REQUESTS] == before
    with metrics.holding(Metric.ACTIVE_REQUESTS):
        assert metrics.totals()[Metric.ACTIVE_REQUESTS] == before + 1
    assert metrics.totals()[Metric.ACTIVE_REQUESTS] == before


def test_rows_of_the_dead_are_taken_over() -> None:
    for _ in range(400):
        in_child(lambda: metrics.add(Metric.CACHE_HITS))
    assert metrics.totals()[Metric.CACHE_HITS] >= 400


def test_timers_tell_the_longest_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic() + 1000
    monkeypatch.setattr("ithil.metrics.time.monotonic", lambda: now)
    metrics.observe(Metric.FIND_SCP, 0.25)
    metrics.observe(Metric.FIND_SCP, 0.125)
    assert metrics.totals()[Metric.FIND_SCP] == 250
    now += metrics.WINDOW
    metrics.observe(Metric.FIND_SCP, 0.001)
    assert metrics.totals()[Metric.FIND_SCP] == 250
    now += metrics.WINDOW
    assert metrics.totals()[Metric.FIND_SCP] == 1
    now += 2 * metrics.WINDOW
    assert metrics.totals()[Metric.FIND_SCP] == 0
