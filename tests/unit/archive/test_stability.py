"""Resources become stable once no instance has arrived for `StableAge`, once, and also after a restart."""

from __future__ import annotations

import time

import pytest
from tests.unit.archive.places import Place, image, put
from tests.unit.archive.recount import rows

from ithil.archive import changes, resources
from ithil.archive.archive import Archive
from ithil.archive.index import stability
from ithil.archive.sweeps import Sweeper, settle
from ithil.dicom.level import Level

STABLE = {"StableSeries", "StableStudy", "StablePatient"}
DATE = "20260101T000000"


def settle_at(archive: Archive, seconds_from_now: float, stable_age: float = 60) -> list[str]:
    """What becomes stable in a sweep at that time."""
    now = time.time() + seconds_from_now
    entries = archive.index.write(lambda session: stability.settle(session, now, DATE, stable_age))
    return [entry.kind for entry in entries]


def test_nothing_is_stable_before_its_time(archive: Archive) -> None:
    result = put(archive, image())
    assert settle(archive) == 0
    assert settle_at(archive, 50) == []
    found = resources.read(archive, Level.SERIES, result.series)
    assert found is not None
    assert not found.is_stable


def test_all_levels_become_stable_once(archive: Archive) -> None:
    result = put(archive, image())
    assert set(settle_at(archive, 61)) == STABLE
    assert settle_at(archive, 1000) == []
    page = changes.page(archive, since=4)
    assert {(change.kind, change.id) for change in page.changes} == {
        ("StableSeries", result.series),
        ("StableStudy", result.study),
        ("StablePatient", result.patient),
    }
    for level, public_id in zip(Level, (result.patient, result.study, result.series), strict=False):
        found = resources.read(archive, level, public_id)
        assert found is not None
        assert found.is_stable


def test_another_instance_puts_it_off(archive: Archive) -> None:
    put(archive, image())
    with archive.index.read() as session:
        deadline = stability.is_due(session, time.time() + 61)
    assert deadline
    # As if the second instance came half a minute after the first.
    archive.index.write(
        lambda session: session.cursor.execute("UPDATE series SET stable_at = stable_at - 30")
    )
    put(archive, image(number=1))
    assert "StableSeries" not in settle_at(archive, 40)
    assert "StableSeries" in settle_at(archive, 61)


def test_an_instance_makes_a_stable_series_unstable_again(archive: Archive) -> None:
    result = put(archive, image())
    assert set(settle_at(archive, 61)) == STABLE
    put(archive, image(number=1))
    found = resources.read(archive, Level.SERIES, result.series)
    assert found is not None
    assert not found.is_stable
    assert settle_at(archive, 50) == []
    assert set(settle_at(archive, 62)) == STABLE
    kinds = [change.kind for change in changes.page(archive).changes]
    assert kinds.count("StableStudy") == 2


def test_an_instance_that_is_stored_already_changes_nothing(archive: Archive) -> None:
    put(archive, image())
    assert set(settle_at(archive, 61)) == STABLE
    put(archive, image())
    assert settle_at(archive, 1000) == []


def test_another_series_leaves_the_first_one_stable(archive: Archive) -> None:
    first = put(archive, image())
    assert set(settle_at(archive, 61)) == STABLE
    put(archive, image(series=1))
    found = resources.read(archive, Level.SERIES, first.series)
    assert found is not None
    assert found.is_stable
    study = resources.read(archive, Level.STUDY, first.study)
    assert study is not None
    assert not study.is_stable


def test_the_deadline_survives_a_restart(place: Place) -> None:
    archive = place.open()
    put(archive, image())
    archive.close()
    again = place.open()
    assert settle_at(again, 50) == []
    assert set(settle_at(again, 61)) == STABLE


def test_more_than_one_sweep_takes(archive: Archive) -> None:
    for study in range(5):
        put(archive, image(study))
    now = time.time() + 61
    found = [
        archive.index.write(lambda session: stability.settle(session, now, DATE, 60, limit=2))
        for _ in range(4)
    ]
    assert [len(entries) for entries in found] == [6, 6, 3, 0]


def test_two_sweepers_log_each_event_once(place: Place) -> None:
    one, other = (place.open(stable_age=1, ithil={"stability_sweep_seconds": 0.05}) for _ in range(2))
    sweepers = [Sweeper(one, "one"), Sweeper(other, "other")]
    for sweeper in sweepers:
        sweeper.start()
    try:
        for study in range(4):
            put(one, image(study))
        until = time.monotonic() + 30
        while any(row["stable_at"] is not None for row in rows(one, "patients")):
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        for sweeper in sweepers:
            sweeper.stop()
    kinds = [change.kind for change in changes.page(one).changes if change.kind in STABLE]
    assert sorted(kinds) == sorted(list(STABLE) * 4)


def test_a_sweep_that_fails_in_an_unforeseen_way_does_not_end_the_sweeps(
    sqlite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sqlite.open(stable_age=1, ithil={"stability_sweep_seconds": 0.05})
    failures = []

    def fail_once(*_: object) -> int:
        failures.append(1)
        monkeypatch.undo()
        raise ValueError("unforeseen")

    monkeypatch.setattr("ithil.archive.sweeps.settle", fail_once)
    sweeper = Sweeper(archive, "one")
    sweeper.start()
    try:
        put(archive, image())
        until = time.monotonic() + 30
        while any(row["stable_at"] is not None for row in rows(archive, "patients")):
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        sweeper.stop()
    assert failures == [1]
