"""The change log: its order, its pages, and that no number comes twice or gets lost."""

from __future__ import annotations

import threading

import pytest
from tests.unit.archive.places import OnPostgresql, Place, image, put, put_all

from ithil.archive import changes, clock
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import ReadOnly
from ithil.archive.index.changelog import Entry, record
from ithil.archive.index.statement import Session
from ithil.archive.model import Changes
from ithil.dicom.level import Level


def kinds(page: Changes) -> list[str]:
    """The names of the changes of a page."""
    return [change.kind for change in page.changes]


def numbers(page: Changes) -> list[int]:
    """Their numbers."""
    return [change.seq for change in page.changes]


def test_the_first_instance_of_a_patient_logs_four_changes(archive: Archive) -> None:
    result = put(archive, image())
    page = changes.page(archive)
    assert [(change.kind, change.level, change.id) for change in page.changes] == [
        ("NewInstance", Level.INSTANCE, result.instance),
        ("NewSeries", Level.SERIES, result.series),
        ("NewStudy", Level.STUDY, result.study),
        ("NewPatient", Level.PATIENT, result.patient),
    ]
    assert numbers(page) == [1, 2, 3, 4]
    assert (page.done, page.last, page.first) == (True, 4, 1)


def test_what_is_known_is_not_logged_again(archive: Archive) -> None:
    put_all(archive, image(), image(number=1), image(number=1), image(series=1))
    assert kinds(changes.page(archive, since=4)) == ["NewInstance", "NewInstance", "NewSeries"]


def test_an_empty_log(archive: Archive) -> None:
    page = changes.page(archive)
    assert (page.changes, page.done, page.last) == ([], True, 0)
    assert changes.page(archive, last=True).changes == []


def test_pages(archive: Archive) -> None:
    put_all(archive, *(image(number=number) for number in range(5)))  # 8 changes
    seen: list[int] = []
    page = changes.page(archive, limit=3)
    while True:
        seen += numbers(page)
        assert page.last == seen[-1]
        if page.done:
            break
        page = changes.page(archive, since=page.last, limit=3)
    assert seen == list(range(1, 9))
    assert changes.page(archive, since=5, limit=3).done
    assert not changes.page(archive, since=4, limit=3).done
    beyond = changes.page(archive, since=8)
    assert (beyond.changes, beyond.done, beyond.last) == ([], True, 8)


def test_the_newest_alone(archive: Archive) -> None:
    put_all(archive, image(), image(number=1))
    page = changes.page(archive, last=True)
    assert (kinds(page), page.last, page.done) == (["NewInstance"], 5, True)


def test_backwards_from_a_number(archive: Archive) -> None:
    put_all(archive, *(image(number=number) for number in range(5)))
    page = changes.page(archive, to=6, limit=2)
    assert (numbers(page), page.done, page.first) == ([5, 6], False, 5)
    assert changes.page(archive, to=2, limit=2).done
    assert numbers(changes.page(archive, since=2, to=5)) == [3, 4, 5]


def test_only_the_kinds_that_are_wanted(archive: Archive) -> None:
    put_all(archive, image(), image(series=1), image(number=1))
    assert kinds(changes.page(archive, kinds=["NewSeries"])) == ["NewSeries", "NewSeries"]
    page = changes.page(archive, kinds=["NewStudy", "NewPatient"], limit=1)
    assert (kinds(page), page.done) == (["NewStudy"], False)
    assert kinds(changes.page(archive, kinds=["StableStudy"])) == []
    assert kinds(changes.page(archive, kinds=[])) == []


@pytest.mark.parametrize("number", [2**31, 2**62, 2**63, 2**80])
def test_numbers_beyond_any_that_was_given(archive: Archive, number: int) -> None:
    put(archive, image())
    assert changes.page(archive, since=number).changes == []
    assert len(changes.page(archive, to=number).changes) == 4
    assert len(changes.page(archive, limit=number).changes) == 4
    assert changes.page(archive, since=-number).changes == changes.page(archive).changes


def test_clearing_keeps_the_count(archive: Archive) -> None:
    put(archive, image())
    changes.clear(archive)
    page = changes.page(archive)
    assert (page.changes, page.done, page.last) == ([], True, 4)
    put(archive, image(number=1))
    assert numbers(changes.page(archive)) == [5]


def test_no_number_comes_twice(place: Place) -> None:
    archive = place.open()
    result = put(archive, image())
    delete(archive, Level.PATIENT, result.patient)  # takes the newest entries away
    put(archive, image())
    first = numbers(changes.page(archive))
    assert min(first) > 4
    changes.clear(archive)
    changes.clear(archive)
    archive.close()
    again = place.open()
    assert changes.page(again).last == max(first)
    put(again, image(number=1))
    assert min(numbers(changes.page(again))) > max(first)


def test_a_reader_that_is_up_to_date_stays_so_when_entries_go(archive: Archive) -> None:
    put(archive, image())
    result = put(archive, image(study=1))
    last = changes.page(archive).last
    delete(archive, Level.STUDY, result.study)
    page = changes.page(archive, since=last)
    assert page.changes == []
    assert page.last >= last


def test_the_log_of_a_read_only_archive_stays(place: Place) -> None:
    put(place.open(), image())
    archive = place.open(read_only=True)
    with pytest.raises(ReadOnly):
        changes.clear(archive)
    assert len(changes.page(archive).changes) == 4


def test_a_number_that_is_not_committed_yet_is_not_the_last(on_postgresql: OnPostgresql) -> None:
    """A reader goes on from `last`: if that were the number of a change still to be committed, he would miss it."""
    archive, other = on_postgresql.open(), on_postgresql.open()
    put(archive, image())
    drawn, seen = threading.Event(), threading.Event()

    def log_slowly(session: Session) -> None:
        record(session, [Entry("NewSeries", Level.SERIES, None, "slow")], clock.now()[1])
        drawn.set()
        assert seen.wait(30)

    writer = threading.Thread(target=lambda: other.index.write(log_slowly))
    writer.start()
    try:
        assert drawn.wait(30)
        page = changes.page(archive, since=4)
        newest = changes.page(archive, last=True)
    finally:
        seen.set()
        writer.join()
    assert page.changes == []
    assert [change.id for change in changes.page(archive, since=page.last).changes] == ["slow"]
    assert newest.last == 4
