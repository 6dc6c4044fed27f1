"""Two processes whose transactions meet in PostgreSQL, at the very moment that hurts.

One transaction is held open between its statements and its COMMIT; the other one is started meanwhile and must
come to the right end when the first commits. SQLite has one writer, so that this cannot happen there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.unit.archive.places import OnPostgresql, image, put, put_all
from tests.unit.archive.recount import assert_sound, rows

from ithil.archive import changes, resources
from ithil.archive.archive import Archive
from ithil.archive.delete import Deleted, delete
from ithil.archive.errors import IndexUnavailable
from ithil.archive.index.database import Retry
from ithil.archive.index.statement import Session
from ithil.archive.model import StoreResult, StoreStatus
from ithil.archive.sweeps import settle
from ithil.dicom.level import Level

DEADLINE = 30.0  # seconds


@contextmanager
def held_before_commit(archive: Archive, work: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Run `work` in a thread up to its first COMMIT; the value is a function that lets it go on and awaits it."""
    reached, go_on = threading.Event(), threading.Event()
    index = archive.index
    write = index.write

    def held(inner: Callable[[Session], Any], *, durable: bool = True) -> Any:
        def then_wait(session: Session) -> Any:
            result = inner(session)
            reached.set()
            assert go_on.wait(DEADLINE)
            return result

        return write(then_wait, durable=durable)

    index.write = held  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            until = time.monotonic() + DEADLINE
            while not reached.wait(0.01):
                assert not future.done(), f"it ended without a transaction: {future.result()}"
                assert time.monotonic() < until

            def finish() -> Any:
                go_on.set()
                return future.result(DEADLINE)

            yield finish
        finally:
            go_on.set()
            index.write = write  # type: ignore[method-assign]


@contextmanager
def started(place: OnPostgresql, work: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Run `work` in a thread; the block begins when it waits for a lock of the other, or has ended."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        until = time.monotonic() + DEADLINE
        with psycopg.connect(place.url, autocommit=True) as watch:
            while not future.done() and time.monotonic() < until:
                row = watch.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchone()
                if row is not None and row[0]:
                    break
                time.sleep(0.01)
        yield future


@pytest.fixture
def pair(on_postgresql: OnPostgresql) -> tuple[Archive, Archive]:
    """Two archives on one database, as two processes have them."""
    return on_postgresql.open(), on_postgresql.open()


def meet(
    place: OnPostgresql, first: Archive, one: Callable[[], Any], other: Callable[[], Any]
) -> tuple[Any, Any]:
    """Let `other` run while `one` (of the archive `first`) stands before its COMMIT; gives both results."""
    with held_before_commit(first, one) as finish, started(place, other) as future:
        result = finish()
        return result, future.result(DEADLINE)


def test_two_first_instances_of_a_patient(on_postgresql: OnPostgresql, pair: tuple[Archive, Archive]) -> None:
    one, other = pair
    first, second = meet(
        on_postgresql, one, lambda: put(one, image(number=0)), lambda: put(other, image(number=1))
    )
    assert first.status is second.status is StoreStatus.SUCCESS
    kinds = [change.kind for change in changes.page(one).changes]
    assert sorted(kinds) == ["NewInstance", "NewInstance", "NewPatient", "NewSeries", "NewStudy"]
    assert_sound(one)


def test_the_same_instance_twice(on_postgresql: OnPostgresql, pair: tuple[Archive, Archive]) -> None:
    one, other = pair
    first, second = meet(on_postgresql, one, lambda: put(one, image()), lambda: put(other, image()))
    assert (first.status, second.status) == (StoreStatus.SUCCESS, StoreStatus.ALREADY_STORED)
    assert_sound(one)


def test_the_same_instance_replaced_twice(on_postgresql: OnPostgresql) -> None:
    one, other = (on_postgresql.open(overwrite_instances="Always") for _ in range(2))
    put(one, image())
    first, second = meet(on_postgresql, one, lambda: put(one, image()), lambda: put(other, image()))
    assert first.status is second.status is StoreStatus.SUCCESS
    assert_sound(one)


def test_two_last_siblings_are_deleted(on_postgresql: OnPostgresql, pair: tuple[Archive, Archive]) -> None:
    one, other = pair
    stored = put_all(one, image(number=0), image(number=1))
    meet(
        on_postgresql,
        one,
        lambda: delete(one, Level.INSTANCE, stored[0].instance),
        lambda: delete(other, Level.INSTANCE, stored[1].instance),
    )
    assert not rows(one, "series")
    assert not rows(one, "patients")
    assert_sound(one)


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES])
def test_two_last_parents_are_deleted(
    on_postgresql: OnPostgresql, pair: tuple[Archive, Archive], level: Level
) -> None:
    one, other = pair
    stored = put_all(one, image(0, 0, patient=1), image(0, 1, patient=1))
    if level == Level.STUDY:
        stored = put_all(one, image(2, patient=2), image(3, patient=2))
    targets = [(found.patient, found.study, found.series)[level] for found in stored]
    meet(
        on_postgresql,
        one,
        lambda: delete(one, level, targets[0]),
        lambda: delete(other, level, targets[1]),
    )
    assert resources.read(one, Level.PATIENT, stored[0].patient) is None
    assert_sound(one)


@pytest.mark.parametrize("level", list(Level))
def test_an_instance_arrives_while_its_parent_is_deleted(
    on_postgresql: OnPostgresql, pair: tuple[Archive, Archive], level: Level
) -> None:
    one, other = pair
    (stored,) = put_all(one, image())
    target = (stored.patient, stored.study, stored.series, stored.instance)[level]
    _, arrived = meet(
        on_postgresql, one, lambda: delete(one, level, target), lambda: put(other, image(number=1))
    )
    assert arrived.status is StoreStatus.SUCCESS
    assert resources.list_ids(one, Level.INSTANCE) == [arrived.instance]
    assert_sound(one)


@pytest.mark.parametrize(("series", "study"), [(0, 0), (1, 0), (0, 1)])
@pytest.mark.parametrize("level", list(Level))
def test_a_parent_is_deleted_while_an_instance_arrives(
    on_postgresql: OnPostgresql, pair: tuple[Archive, Archive], level: Level, series: int, study: int
) -> None:
    one, other = pair
    (stored,) = put_all(one, image(0, 0, 0, patient=1))
    target = (stored.patient, stored.study, stored.series, stored.instance)[level]
    arriving = image(study, series, 1, patient=1)
    arrived: StoreResult
    deleted: Deleted | None
    arrived, deleted = meet(
        on_postgresql, one, lambda: put(one, arriving), lambda: delete(other, level, target)
    )
    assert arrived.status is StoreStatus.SUCCESS
    assert deleted is not None
    above = (arrived.patient, arrived.study, arrived.series, arrived.instance)[level]
    # What was committed before the delete goes if it is below the target, and stays if not.
    left = [] if above == target else [arrived.instance]
    assert resources.list_ids(one, Level.INSTANCE) == left
    assert_sound(one)


def test_the_same_resource_is_deleted_twice(
    on_postgresql: OnPostgresql, pair: tuple[Archive, Archive]
) -> None:
    one, other = pair
    stored = put_all(one, image(number=0), image(number=1))
    first, second = meet(
        on_postgresql,
        one,
        lambda: delete(one, Level.STUDY, stored[0].study),
        lambda: delete(other, Level.STUDY, stored[0].study),
    )
    assert first is not None
    assert second is None
    assert_sound(one)


def test_a_study_becomes_stable_in_two_processes(on_postgresql: OnPostgresql) -> None:
    one, other = (on_postgresql.open(stable_age=1) for _ in range(2))
    put(one, image())
    until = time.monotonic() + DEADLINE
    while not settle_is_due(one) and time.monotonic() < until:
        time.sleep(0.02)
    first, second = meet(on_postgresql, one, lambda: settle(one), lambda: settle(other))
    assert (first, second) == (3, 0)
    kinds = [change.kind for change in changes.page(one, since=4).changes]
    assert kinds == ["StableSeries", "StableStudy", "StablePatient"]


def settle_is_due(archive: Archive) -> bool:
    """Whether the next sweep would find something."""
    now = time.time()
    return all(row["stable_at"] <= now for row in rows(archive, "patients"))


def test_a_transaction_that_never_gets_through_says_so(sqlite: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ithil.archive.index.database.RETRY_DELAYS", (0.0, 0.0))
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        raise Retry

    with pytest.raises(IndexUnavailable):
        sqlite.open().index.write(work)
    assert len(tries) == 3
