"""The change feed on both databases: its order among processes, its windows, and what is forgotten when."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.archive.places import OnPostgresql, Place, image, put

from ithil.archive import change_feed, changes
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.archive.intake import Intake, Prepared
from ithil.dicom.level import Level

DAY = 86_400.0


def told(archive: Archive, since: int = 0) -> list[tuple[str, str]]:
    return [(entry.action, entry.state.value) for entry in change_feed.page(archive, since=since)]


def redate(archive: Archive, seconds: float) -> None:
    """Make all that is logged so far this much older."""
    date = f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y%m%dT%H%M%S}"
    gone = sa.case((t.changes.c.gone.is_(None), sa.null()), else_=sa.bindparam("to"))
    statement = Statement(sa.update(t.changes).values(date=sa.bindparam("to"), gone=gone))
    archive.index.write(lambda session: session.run(statement, {"to": date}))


def test_arrivals_and_deletions_of_whole_studies(archive: Archive) -> None:
    results = [put(archive, image(study=1, number=number)) for number in range(3)]
    delete(archive, Level.STUDY, results[0].study)
    assert told(archive) == [("create", "deleted")] * 3 + [("delete", "deleted")] * 3
    entries = change_feed.page(archive)
    assert {entry.instance_id for entry in entries} == {result.instance for result in results}
    assert len({(entry.study, entry.series, entry.instance) for entry in entries}) == 3
    assert all(entry.study and entry.series and entry.instance for entry in entries)


def test_what_comes_twice_in_one_transaction_came_once(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    barrier = threading.Barrier(4)

    def store() -> None:
        barrier.wait(30)
        put(archive, image())

    threads = [threading.Thread(target=store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = told(archive)
    assert found[0][0] == "create"
    assert all(action == "update" for action, _ in found[1:])
    assert [state for _, state in found] == ["replaced"] * (len(found) - 1) + ["current"]


def test_a_reader_misses_nothing_that_is_committed_late(
    on_postgresql: OnPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that has begun first and is committed last has the greater number."""
    slow, quick = on_postgresql.open(), on_postgresql.open()
    put(slow, image())
    seen = change_feed.page(quick)[-1].sequence
    begun, go_on = threading.Event(), threading.Event()
    add_all = Intake._add_all

    def add_slowly(intake: Intake, session: Session, batch: Sequence[Prepared]) -> Any:
        result = add_all(intake, session, batch)
        if threading.current_thread().name == "slow":
            begun.set()
            assert go_on.wait(30)
        return result

    monkeypatch.setattr(Intake, "_add_all", add_slowly)
    writers = [
        threading.Thread(target=lambda: put(slow, image(study=1)), name="slow"),
        threading.Thread(target=lambda: put(quick, image(study=2)), name="quick"),
    ]
    writers[0].start()
    assert begun.wait(30)
    writers[1].start()
    writers[1].join(0.5)  # it waits for the other, or else it is done by now
    between = change_feed.page(quick, since=seen)
    go_on.set()
    for writer in writers:
        writer.join()
    last = between[-1].sequence if between else seen
    assert len(between) + len(change_feed.page(quick, since=last)) == 2


def test_entries_of_what_is_gone_are_forgotten_after_their_time(archive: Archive) -> None:
    put(archive, image(study=1))
    delete(archive, Level.STUDY, put(archive, image(study=2)).study)
    redate(archive, 400 * DAY)
    delete(archive, Level.STUDY, put(archive, image(study=3)).study)
    now = datetime.now(UTC).timestamp()
    assert change_feed.prune(archive, now - 60 * DAY) == 0
    while change_feed.prune(archive, now):
        pass
    assert told(archive) == [("create", "current"), ("create", "deleted"), ("delete", "deleted")]
    assert len(changes.page(archive).changes) == 4


def test_an_arrival_is_told_as_long_as_its_deletion(archive: Archive) -> None:
    old = put(archive, image(study=1))
    redate(archive, 2000 * DAY)
    delete(archive, Level.STUDY, old.study)
    put(archive, image(study=2))
    now = datetime.now(UTC).timestamp()
    assert change_feed.prune(archive, now) == 0
    assert told(archive) == [("create", "deleted"), ("delete", "deleted"), ("create", "current")]
    while change_feed.prune(archive, now + 366 * DAY):
        pass
    assert told(archive) == [("create", "current")]


def test_what_was_replaced_long_ago_is_forgotten(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    put(archive, image(study=1))
    put(archive, image(study=1))
    redate(archive, 400 * DAY)
    put(archive, image(study=1))
    while change_feed.prune(archive, datetime.now(UTC).timestamp()):
        pass
    assert told(archive) == [("update", "replaced"), ("update", "current")]


def test_the_last_number_of_the_log_never_goes_back(archive: Archive) -> None:
    delete(archive, Level.STUDY, put(archive, image(study=1)).study)
    last = changes.page(archive).last
    while change_feed.prune(archive, datetime.now(UTC).timestamp() + 366 * DAY):
        pass
    assert changes.page(archive).last == last
    assert changes.page(archive, last=True).last == last
    put(archive, image(study=2))
    assert all(change.seq > last for change in changes.page(archive).changes)


def test_clearing_the_log_twice_keeps_the_feed(archive: Archive) -> None:
    put(archive, image(study=1))
    changes.clear(archive)
    put(archive, image(study=2))
    changes.clear(archive)
    assert changes.page(archive).changes == []
    assert changes.page(archive, last=True).changes == []
    assert changes.page(archive, to=1000).changes == []
    assert told(archive) == [("create", "current")] * 2


def test_a_window_finds_what_lies_in_it(archive: Archive) -> None:
    for study in range(5):
        put(archive, image(study=study))
    numbers = [entry.sequence for entry in change_feed.page(archive)]
    date_from = Statement(
        sa.update(t.changes).where(t.changes.c.seq >= sa.bindparam("first")).values(date=sa.bindparam("to"))
    )

    def spread(session: Session) -> None:
        for day, number in enumerate(numbers, 1):
            session.run(date_from, {"first": number, "to": f"202601{day:02}T120000"})

    archive.index.write(spread)
    for first in range(5):
        for last in range(first, 6):
            start, end = datetime(2026, 1, 1 + first), datetime(2026, 1, 1 + last)
            found = [entry.sequence for entry in change_feed.page(archive, start=start, end=end)]
            assert found == numbers[first:last]
