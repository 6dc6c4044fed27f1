"""Deletes at every level: what goes, what stays, and what the change log says."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from tests.unit.archive.places import Place, files_of, image, put, put_all
from tests.unit.archive.recount import assert_sound, rows, sweep_files

from ithil.archive import changes, clock, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import ReadOnly, StorageUnavailable
from ithil.archive.index.sweeps import take_lease
from ithil.archive.model import StoreStatus
from ithil.archive.sweeps import remove_files
from ithil.dicom.level import Level


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """Two patients; the first with two studies, the first of them with two series, of two and one instances."""
    put_all(
        archive,
        image(0, 0, 0, patient=1),
        image(0, 0, 1, patient=1),
        image(0, 1, 0, patient=1),
        image(1, 0, 0, patient=1),
        image(2, 0, 0, patient=2),
    )
    return archive


def ids(archive: Archive) -> list[list[str]]:
    """The public ids of each level, in order of arrival."""
    return [resources.list_ids(archive, level) for level in Level]


def test_an_instance_with_a_sibling(filled: Archive) -> None:
    before = ids(filled)
    deleted = delete(filled, Level.INSTANCE, before[Level.INSTANCE][0])
    assert deleted is not None
    assert deleted.remaining_ancestor == (Level.SERIES, before[Level.SERIES][0])
    assert ids(filled) == [*before[:3], before[Level.INSTANCE][1:]]
    assert_sound(filled)


def test_the_only_instance_of_a_series_takes_the_series_along(filled: Archive) -> None:
    before = ids(filled)
    deleted = delete(filled, Level.INSTANCE, before[Level.INSTANCE][2])
    assert deleted is not None
    assert deleted.remaining_ancestor == (Level.STUDY, before[Level.STUDY][0])
    assert before[Level.SERIES][1] not in resources.list_ids(filled, Level.SERIES)
    assert_sound(filled)


def test_the_only_series_of_a_study_takes_the_study_along(filled: Archive) -> None:
    before = ids(filled)
    deleted = delete(filled, Level.SERIES, before[Level.SERIES][2])
    assert deleted is not None
    assert deleted.remaining_ancestor == (Level.PATIENT, before[Level.PATIENT][0])
    assert resources.list_ids(filled, Level.STUDY) == [before[Level.STUDY][0], before[Level.STUDY][2]]
    assert_sound(filled)


def test_the_only_instance_of_a_patient_takes_all_along(filled: Archive) -> None:
    before = ids(filled)
    deleted = delete(filled, Level.INSTANCE, before[Level.INSTANCE][4])
    assert deleted is not None
    assert deleted.remaining_ancestor is None
    assert resources.list_ids(filled, Level.PATIENT) == before[Level.PATIENT][:1]
    assert_sound(filled)


@pytest.mark.parametrize("level", list(Level))
def test_each_level_takes_all_below_along(filled: Archive, level: Level) -> None:
    before = ids(filled)
    target = before[level][0]
    below = {at: set(resources.descendants(filled, level, target, at) or ()) for at in Level if at >= level}
    assert delete(filled, level, target) is not None
    for at, gone in below.items():
        assert gone
        assert set(resources.list_ids(filled, at)) == set(before[at]) - gone
        for one in gone:
            assert resources.read(filled, at, one) is None
    assert_sound(filled)


@pytest.mark.parametrize("level", list(Level))
def test_an_unknown_resource(filled: Archive, level: Level) -> None:
    before = ids(filled)
    assert delete(filled, level, "no such resource") is None
    other = before[Level.SERIES][0] if level != Level.SERIES else before[Level.STUDY][0]
    assert delete(filled, level, other) is None  # a public id of another level
    assert ids(filled) == before


def test_deleting_twice(filled: Archive) -> None:
    study = ids(filled)[Level.STUDY][0]
    assert delete(filled, Level.STUDY, study) is not None
    assert delete(filled, Level.STUDY, study) is None
    assert_sound(filled)


def test_everything_can_go_and_come_again(filled: Archive) -> None:
    for patient in ids(filled)[Level.PATIENT]:
        delete(filled, Level.PATIENT, patient)
    assert ids(filled) == [[], [], [], []]
    assert_sound(filled)
    assert not files_of(filled)
    assert put(filled, image(0, 0, 0, patient=1)).status is StoreStatus.SUCCESS
    assert_sound(filled)


def test_the_entries_of_what_is_gone_leave_the_log(filled: Archive) -> None:
    study = ids(filled)[Level.STUDY][0]
    gone = {study, *(resources.descendants(filled, Level.STUDY, study, Level.INSTANCE) or ())}
    delete(filled, Level.STUDY, study)
    page = changes.page(filled)
    assert page.changes
    assert not gone & {change.id for change in page.changes}
    deleted = [row for row in rows(filled, "changes") if row["kind"] == "Deleted"]
    assert gone <= {row["public_id"] for row in deleted}
    assert "Deleted" not in {change.kind for change in page.changes}


def test_files_outlive_their_rows_for_a_moment(filled: Archive) -> None:
    instance = ids(filled)[Level.INSTANCE][0]
    file = retrieve.dicom_file(filled, instance)
    assert file is not None
    delete(filled, Level.INSTANCE, instance)
    assert remove_files(filled, "test", delay=3600.0) == 0
    assert file.uuid in files_of(filled)  # for a read that has just asked the index
    sweep_files(filled)
    assert file.uuid not in files_of(filled)


def test_a_file_that_cannot_be_removed_does_not_hold_up_the_others(filled: Archive) -> None:
    file = retrieve.dicom_file(filled, ids(filled)[Level.INSTANCE][0])
    assert file is not None
    path = Path(filled.storage.path(file.uuid))
    filled.storage.remove(file.uuid)
    # A folder in the place of the file: unlink refuses it, for root as well.
    path.mkdir(parents=True)
    (path / "in the way").touch()
    delete(filled, Level.PATIENT, ids(filled)[Level.PATIENT][0])
    for _ in range(2):
        with contextlib.suppress(StorageUnavailable):
            remove_files(filled, "test", delay=-1.0)
    assert [row["uuid"] for row in rows(filled, "deleted_files")] == [file.uuid]


def test_a_read_only_archive_deletes_nothing(place: Place) -> None:
    result = put(place.open(), image())
    with pytest.raises(ReadOnly):
        delete(place.open(read_only=True), Level.PATIENT, result.patient)


def test_one_sweeper_at_a_time_has_the_lease(place: Place) -> None:
    one, other = place.open(), place.open()
    result = put(one, image())
    delete(one, Level.PATIENT, result.patient)
    now = clock.now()[0]
    assert one.index.write(lambda session: take_lease(session, "remove-files", "first", now, 30.0))
    assert remove_files(other, "second", delay=-1.0) == 0
    assert files_of(other)
    # The first died: its lease ends by itself.
    assert one.index.write(lambda session: take_lease(session, "remove-files", "first", now - 60.0, 30.0))
    assert remove_files(other, "second", delay=-1.0) == 1
    assert not files_of(other)
