"""`check`: what it finds when index and storage differ, and that it finds nothing when they do not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.unit.archive.places import Place, files_of, image, put
from tests.unit.archive.recount import sweep_files

from ithil.archive import resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.check import NotOurStorage, check
from ithil.archive.delete import delete
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.dicom.level import Level


def file_of(archive: Archive, instance: str) -> Path:
    """Where the file of an instance lies."""
    file = retrieve.dicom_file(archive, instance)
    assert file is not None
    return Path(archive.storage.path(file.uuid))


def orphan(archive: Archive, age: float) -> str:
    """A file that no row names, last changed `age` seconds ago."""
    writer = archive.storage.writer()
    writer.write(b"left by a crash")
    writer.finish()
    moment = time.time() - age
    os.utime(archive.storage.path(writer.uuid), (moment, moment))
    return writer.uuid


def test_a_sound_archive(archive: Archive) -> None:
    for number in range(3):
        put(archive, image(number=number))
    report = check(archive, verify_md5=True, minimum_age=0)
    assert report.sound
    assert report.files == 3
    assert (report.orphans.count, report.removed) == (0, 0)


def test_an_empty_archive(archive: Archive) -> None:
    report = check(archive)
    assert report.sound
    assert report.files == 0


def test_old_orphans_are_found_and_young_ones_left_alone(archive: Archive) -> None:
    put(archive, image())
    old, young = orphan(archive, 7200), orphan(archive, 60)
    report = check(archive)
    assert report.sound
    assert (report.orphans.uuids, report.orphans.size, report.removed) == ([old], 15, 0)
    report = check(archive, remove_orphans=True)
    assert report.removed == 1
    assert old not in files_of(archive)
    assert young in files_of(archive)
    assert len(files_of(archive)) == 2


def test_a_file_that_waits_for_its_removal_is_no_orphan(archive: Archive) -> None:
    result = put(archive, image())
    delete(archive, Level.PATIENT, result.patient)
    assert files_of(archive)
    assert check(archive, minimum_age=-1).orphans.count == 0


def test_a_missing_file(archive: Archive) -> None:
    result = put(archive, image())
    file_of(archive, result.instance).unlink()
    report = check(archive)
    assert not report.sound
    assert (report.missing.count, report.wrong_size.count, report.damaged.count) == (1, 0, 0)


def test_a_file_of_the_wrong_size(archive: Archive) -> None:
    result = put(archive, image())
    with file_of(archive, result.instance).open("ab") as file:
        file.write(b"more")
    report = check(archive, verify_md5=True)
    assert not report.sound
    assert (report.missing.count, report.wrong_size.count, report.damaged.count) == (0, 1, 0)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_shows_in_its_md5_sum_only(place: Place, compressed: bool) -> None:
    archive = place.open(storage_compression=compressed)
    result = put(archive, image())
    with file_of(archive, result.instance).open("r+b") as file:
        file.seek(500)
        byte = file.read(1)
        file.seek(500)
        file.write(bytes([byte[0] ^ 1]))
    assert check(archive).sound
    report = check(archive, verify_md5=True)
    assert not report.sound
    assert (report.missing.count, report.wrong_size.count, report.damaged.count) == (0, 0, 1)


def test_other_files_in_the_folder_are_not_its_business(archive: Archive) -> None:
    put(archive, image())
    (archive.storage.root / "README").write_text("mine")
    (archive.storage.root / "ab" / "cd").mkdir(parents=True)
    (archive.storage.root / "ab" / "cd" / "notes").write_text("mine too")
    report = check(archive, remove_orphans=True, minimum_age=-1)
    assert report.removed == 0
    assert (archive.storage.root / "ab" / "cd" / "notes").exists()


def test_an_instance_that_is_deleted_meanwhile_is_not_missing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, other = place.open(), place.open()
    result = put(archive, image())
    storage = type(archive.storage)
    size = storage.size

    def too_late(self: object, uuid: str) -> int | None:
        monkeypatch.setattr(storage, "size", size)
        delete(other, Level.PATIENT, result.patient)
        sweep_files(other)
        return archive.storage.size(uuid)

    monkeypatch.setattr(storage, "size", too_late)
    report = check(archive)
    assert report.missing.count == 0
    assert report.sound


def test_instances_arriving_meanwhile_are_no_orphans(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, other = place.open(), place.open()
    put(archive, image())
    storage = type(archive.storage)
    list_files = storage.all_files

    def and_one_more(self: object) -> object:
        put(other, image(number=1))
        return list_files(archive.storage)

    monkeypatch.setattr(storage, "all_files", and_one_more)
    assert check(archive, minimum_age=-1, remove_orphans=True).removed == 0


def test_more_files_than_a_page(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = place.open()
    for number in range(7):
        put(archive, image(number=number))
    seen: list[int] = []
    report = check(archive, verify_md5=True, minimum_age=-1, progress=seen.append)
    assert report.files == 7
    assert report.orphans.count == 0


def test_orphans_stay_if_they_outnumber_what_the_index_knows(place: Place) -> None:
    archive = place.open()
    for number in range(15):
        put(archive, image(number=number))
    uuids = files_of(archive)
    for instance in resources.list_ids(archive, Level.INSTANCE):
        delete(archive, Level.INSTANCE, instance)
    with archive.index.read() as session:  # as after the loss of the index: nobody knows the files any more
        assert session.all(Statement(sa.select(t.deleted_files.c.uuid)))
    archive.index.write(lambda session: session.run(Statement(sa.delete(t.deleted_files))))
    put(archive, image(number=99))
    with pytest.raises(NotOurStorage):
        check(archive, remove_orphans=True, minimum_age=-1)
    assert set(uuids) < set(files_of(archive))
    assert check(archive, remove_orphans=True, force=True, minimum_age=-1).removed == 15
    assert len(files_of(archive)) == 1
