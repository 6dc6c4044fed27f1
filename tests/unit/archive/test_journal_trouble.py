"""What must not come back, and what must not be lost, when the disk fails in the midst of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.unit.archive.places import OnDurableSqlite, accept, image, read_all
from tests.unit.archive.recount import assert_sound

from ithil.archive import resources
from ithil.archive.delete import delete
from ithil.archive.errors import StorageFull, StorageUnavailable
from ithil.archive.storage import journal as journal_module
from ithil.archive.storage.journal import Journal
from ithil.archive.storage.segments import records
from ithil.dicom.level import Level


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal", durable=False)
    yield made
    made.close()


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[OnDurableSqlite]:
    with OnDurableSqlite(tmp_path) as place:
        yield place


def refuses(*_: Any) -> None:
    raise OSError(5, "Input/output error")


def test_what_was_refused_stays_deleted_when_it_came_again(
    durable: OnDurableSqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first record is in a segment that no later transaction writes to."""
    archive = durable.open()
    with monkeypatch.context() as broken:
        broken.setattr(journal_module, "_fdatasync", refuses)
        with pytest.raises(StorageUnavailable):
            accept(archive, image())
    stored = accept(archive, image())
    accept(archive, image(number=1))
    assert len(resources.list_ids(archive, Level.INSTANCE)) == 2
    delete(archive, Level.INSTANCE, stored.instance)
    durable.kill(archive)
    again = durable.open()
    assert list(read_all(again).values()) == [image(number=1)]
    assert_sound(again)


def test_a_closed_journal_takes_nothing_and_writes_nothing(journal: Journal, tmp_path: Path) -> None:
    """Its descriptors may be those of other files by then."""
    place = journal.append(b"head")
    journal.close()
    with ExitStack() as stack:
        others = [tmp_path / f"other-{number}" for number in range(8)]
        files = [stack.enter_context(path.open("wb")) for path in others]
        assert place.segment.fd in [file.fileno() for file in files]
        with pytest.raises(StorageUnavailable):
            journal.sync(place)
    assert [path.stat().st_size for path in others] == [0] * 8
    with pytest.raises(StorageUnavailable):
        journal.append(b"another")


def test_a_record_that_was_never_written_is_not_written_with_the_next(journal: Journal) -> None:
    """It was refused before its segment was written, and the segment was then used again."""
    journal.settle(journal.append(b"refused"), refused=True)
    (segment,) = journal.turn()
    journal.free(segment)
    journal.settle(journal.append(b"between"))
    (other,) = journal.turn()
    journal.free(other)
    place = journal.append(b"taken")
    assert place.segment is segment
    journal.sync(place)
    assert [record.head for record in records(segment.fd)] == [b"taken"]


def test_one_segment_that_fails_does_not_refuse_what_is_in_another(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = journal.append(b"old")
    journal.turn()
    new = journal.append(b"new")
    write = journal._write

    def fails(segment: Any) -> None:
        if segment is old.segment:
            refuses()
        write(segment)

    monkeypatch.setattr(journal, "_write", fails)
    first, second = journal._syncs.submit_all([old.segment, new.segment])
    assert isinstance(first, StorageUnavailable)
    assert second is None
    assert [record.head for record in records(new.segment.fd)] == [b"new"]


def test_without_room_for_another_segment_the_present_one_is_emptied(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes room is behind this in the sweep, and the disk would stay full for ever."""
    place = journal.append(b"head")
    journal.sync(place)
    journal.settle(place)

    def full(*_: Any) -> None:
        raise StorageFull("The storage area is full (ENOSPC)")

    monkeypatch.setattr(journal, "_create", full)
    (segment,) = journal.turn()
    journal.free(segment)
    assert journal.append(b"next").segment is segment
