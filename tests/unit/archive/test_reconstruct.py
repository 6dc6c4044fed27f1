"""Reconstruction: the index says again what the files say, and loses nothing else."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.data.real import all_files
from tests.unit.archive.places import ORIGIN, Place, files_of, image, put, put_all
from tests.unit.archive.recount import assert_sound, rows
from tests.unit.archive.test_attachments import attach, ids_of, kinds

from ithil import error_codes as codes
from ithil.archive import attachments, ingest, labels, metadata, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import ArchiveError, FileCorrupted, FileMissing, ReadOnly
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, StoreStatus
from ithil.archive.reconstruct import reconstruct, reconstruct_all
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

RESOURCES = ("patients", "studies", "series", "instances")
# What may be wrong in a row and follows from files, and a wrong value for it.
SPOILED: tuple[dict[str, Any], ...] = (
    {"patient_name_norm": "WRONG", "birth_date": "1", "main_tags": "{}", "study_count": 7, "disk_size": 1},
    {"study_date": "1", "patient_name_norm": "WRONG", "patient_main_tags": "{}", "main_tags": "{}"},
    {"modality": "XX", "expected_instances": 9, "main_tags": "{}", "instance_count": 0},
    {"sop_class_uid": "1", "transfer_syntax_uid": "1", "frames": 7, "pixel_data_offset": 1}
    | {"main_tags": "{}", "instance_number": 99, "frame_index": b"x"},
)
_SPOIL = tuple(
    Statement(sa.update(table).values({name: sa.bindparam(name) for name in values}))
    for table, values in zip(t.BY_LEVEL, SPOILED, strict=True)
)


def state(archive: Archive) -> dict[str, list[dict[str, Any]]]:
    """All rows of all resources and of what hangs on them."""
    tables = {table: rows(archive, table) for table in RESOURCES}
    tables = {table: sorted(found, key=lambda row: int(row["id"])) for table, found in tables.items()}
    hanging = {table: rows(archive, table) for table in ("metadata", "labels", "attachments")}
    return tables | {table: sorted(found, key=repr) for table, found in hanging.items()}


def spoil(archive: Archive) -> None:
    """Make every row say something else than its files do."""

    def work(session: Any) -> None:
        for statement, values in zip(_SPOIL, SPOILED, strict=True):
            session.run(statement, values)

    archive.index.write(work)


def annotate(archive: Archive) -> None:
    """Hang something on the first resource of each level."""
    for level, public_id in zip(Level, ids_of(archive), strict=True):
        attach(archive, level, public_id, b"attached")
        metadata.put(archive, level, public_id, 1024, "mine")
        labels.add(archive, level, public_id, "mine")


def images() -> list[bytes]:
    """Two patients, three studies, four series, five instances."""
    return [image(), image(number=1), image(series=1), image(1, patient=0), image(2)]


def test_all_that_follows_from_files_is_mended(archive: Archive) -> None:
    put_all(archive, *images())
    annotate(archive)
    before, log = state(archive), kinds(archive)
    spoil(archive)
    assert state(archive) != before
    reconstruct_all(archive)
    assert state(archive) == before
    assert kinds(archive) == log  # no events
    assert_sound(archive)


@pytest.mark.parametrize("level", Level)
def test_a_single_resource(archive: Archive, level: Level) -> None:
    """Of one patient, study, series or instance that is alone, everything is mended, above and below."""
    put(archive, image())
    annotate(archive)
    before = state(archive)
    spoil(archive)
    reconstruct(archive, level, ids_of(archive)[level])
    assert state(archive) == before


def test_this_level_only(archive: Archive) -> None:
    put_all(archive, *images())
    before = state(archive)
    spoil(archive)
    spoiled = state(archive)
    reconstruct(archive, Level.STUDY, ids_of(archive)[Level.STUDY], this_level_only=True)
    after = state(archive)
    assert after["studies"][0] == before["studies"][0]
    assert after["studies"][1:] == spoiled["studies"][1:]
    assert {name: after[name] for name in ("patients", "series", "instances")} == {
        name: spoiled[name] for name in ("patients", "series", "instances")
    }


def test_nothing_changes_for_real_files(place: Place) -> None:
    """What ingest writes and what reconstruction writes is the same, for every file there is."""
    archive = place.open()
    for path in all_files().values():
        content = Path(path).read_bytes()
        if len(content) < 3_000_000:
            try:
                ingest.store(archive, content, ORIGIN)
            except (ArchiveError, DicomError):
                continue
    before = state(archive)
    assert len(before["instances"]) > 100
    reconstruct_all(archive)
    after = state(archive)
    for table in (*RESOURCES, "metadata"):
        for old, new in zip(before[table], after[table], strict=True):
            assert new == old


def test_edited_in_place(archive: Archive) -> None:
    """The instances come again with another description; the study's row says so after reconstruction."""
    contents = [image(), image(number=1)]
    put_all(archive, *contents)
    study = ids_of(archive)[Level.STUDY]
    labels.add(archive, Level.STUDY, study, "kept")
    for content in contents:
        changed = content.replace(b"Test Institution", b"Next Institution")
        assert changed != content
        assert ingest.store(archive, changed, ORIGIN, overwrite="Always").status is StoreStatus.SUCCESS
    before = resources.read(archive, Level.STUDY, study)
    reconstruct(archive, Level.STUDY, study)
    after = resources.read(archive, Level.STUDY, study)
    assert before is not None
    assert after is not None
    assert before.main_tags[0x00080080] == "Test Institution"
    assert after.main_tags[0x00080080] == "Next Institution"
    assert rows(archive, "studies")[0]["institution_norm"] == "NEXT INSTITUTION"
    assert after.labels == ["kept"]
    assert after.last_update == before.last_update
    assert_sound(archive)


def test_more_tags_in_the_configuration(place: Place) -> None:
    put_all(place.open(), *images())
    archive = place.open(extra_main_dicom_tags={Level.SERIES: [0x00080070 + 0x20]})
    study = ids_of(archive)[Level.STUDY]
    reconstruct(archive, Level.STUDY, study)
    assert_sound(archive)


@pytest.mark.parametrize("compressed", [True, False])
def test_files_are_stored_anew(place: Place, compressed: bool) -> None:
    contents = images()
    put_all(place.open(storage_compression=not compressed), *contents)
    archive = place.open(storage_compression=compressed)
    before = state(archive)
    reconstruct_all(archive)
    assert state(archive) == before
    reconstruct_all(archive, files=True)
    assert {row["file_compression"] for row in rows(archive, "instances")} == {2 if compressed else 1}
    stored = [
        retrieve.read(archive, file)
        for public_id in resources.list_ids(archive, Level.INSTANCE)
        if (file := retrieve.dicom_file(archive, public_id)) is not None
    ]
    assert stored == contents
    assert_sound(archive)


def test_files_are_transcoded(place: Place) -> None:
    put_all(place.open(), image(), image(number=1))
    rle = "1.2.840.10008.1.2.5"
    archive = place.open(ingest_transcoding=rle)
    reconstruct_all(archive, files=True)
    assert {row["transfer_syntax_uid"] for row in rows(archive, "instances")} == {rle}
    assert all(row["frame_index"] for row in rows(archive, "instances"))
    before = state(archive)
    reconstruct_all(archive, files=True)
    assert state(archive) == before
    assert_sound(archive)


def test_files_that_cannot_be_read_hold_up_nobody(archive: Archive) -> None:
    put_all(archive, *images())
    before = state(archive)
    instances = resources.list_ids(archive, Level.INSTANCE)
    lost, damaged = (retrieve.dicom_file(archive, instances[number]) for number in (0, 4))
    assert lost is not None
    assert damaged is not None
    archive.storage.remove(lost.uuid)
    os.truncate(archive.storage.path(damaged.uuid), 50)
    spoil(archive)
    spoiled = state(archive)
    with pytest.raises(FileMissing):
        reconstruct_all(archive)
    after = state(archive)
    assert after["instances"][0] == spoiled["instances"][0]
    assert after["instances"][4] == spoiled["instances"][4]
    assert after["instances"][1:4] == before["instances"][1:4]
    assert after["studies"][1] == before["studies"][1]
    assert [row["instance_count"] for row in after["series"]] == [
        row["instance_count"] for row in before["series"]
    ]


def test_what_is_deleted_meanwhile_holds_up_nobody(place: Place) -> None:
    """Storing files anew goes on after an instance that was deleted since its page was read."""
    put_all(place.open(), *images())
    archive = place.open(storage_compression=True)
    gone = put(archive, image()).instance
    left = [True]

    def stopping() -> bool:
        if left.pop() if left else False:
            delete(archive, Level.INSTANCE, gone)
        return False

    reconstruct_all(archive, files=True, stopping=stopping)
    assert {row["file_compression"] for row in rows(archive, "instances")} == {2}
    assert_sound(archive)


def test_a_file_of_another_instance_is_not_believed(archive: Archive) -> None:
    put_all(archive, image(), image(number=1))
    before = state(archive)
    first, second = (
        retrieve.dicom_file(archive, public_id) for public_id in resources.list_ids(archive, Level.INSTANCE)
    )
    assert first is not None
    assert second is not None
    os.replace(archive.storage.path(second.uuid), archive.storage.path(first.uuid))
    with pytest.raises(FileCorrupted):
        reconstruct(archive, Level.INSTANCE, ids_of(archive)[Level.INSTANCE])
    assert state(archive) == before


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_file(place: Place, compressed: bool) -> None:
    """One that is not read into memory as a whole."""
    archive = place.open(storage_compression=compressed)
    put(archive, image() + b"\xfc\xff\xfc\xffOB\0\0" + (2 << 20).to_bytes(4, "little") + bytes(2 << 20))
    before = state(archive)
    spoil(archive)
    reconstruct(archive, Level.INSTANCE, ids_of(archive)[Level.INSTANCE])
    assert state(archive) == before


def test_what_is_not_there(archive: Archive, place: Place) -> None:
    put(archive, image())
    with pytest.raises(CodedError) as refused:
        reconstruct(archive, Level.SERIES, ids_of(archive)[Level.STUDY])
    assert refused.value.code == codes.UNKNOWN_RESOURCE
    with pytest.raises(ReadOnly):
        reconstruct_all(place.open(read_only=True))
    with pytest.raises(CodedError):
        reconstruct_all(archive, stopping=lambda: True)


def test_while_instances_come_and_go(place: Place) -> None:
    """Counters stay right although they are counted anew at the same time."""
    archives = [place.open(), place.open()]
    put_all(archives[0], image(), image(1))
    stop = threading.Event()
    errors: list[Exception] = []

    def repeat() -> None:
        while not stop.is_set():
            try:
                reconstruct_all(archives[1])
            except FileMissing:
                pass  # deleted in this moment
            except Exception as error:
                errors.append(error)
                return

    thread = threading.Thread(target=repeat)
    thread.start()
    study = ids_of(archives[0])[Level.STUDY]
    for number in range(1, 25):
        put_all(archives[0], image(number=number), image(series=number))
        attach(archives[0], Level.STUDY, study, b"x" * number)
        ingest.store(archives[0], image(number=number), ORIGIN, overwrite="Always")
    stop.set()
    thread.join(60)
    assert errors == []
    assert_sound(archives[0])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("twice", [False, True])
def test_a_lost_file_comes_back_with_the_next_upload(place: Place, compressed: bool, twice: bool) -> None:
    archive = place.open(storage_compression=compressed)
    put_all(archive, image(), image(number=1))
    annotate(archive)
    log = kinds(archive)
    if twice:
        put(archive, image(number=1))  # from now on the archive expects what it has
    instance = ids_of(archive)[Level.INSTANCE]
    lost = retrieve.dicom_file(archive, instance)
    assert lost is not None
    archive.storage.remove(lost.uuid)
    archive.cache.drop(lost.uuid)
    assert put(archive, image()).status is StoreStatus.SUCCESS
    file = retrieve.dicom_file(archive, instance)
    assert file is not None
    assert retrieve.read(archive, file) == image()
    again = resources.read(archive, Level.INSTANCE, instance)
    assert again is not None
    assert (again.labels, again.metadata[1024].value) == (["mine"], "mine")
    assert put(archive, image()).status is StoreStatus.ALREADY_STORED
    assert kinds(archive) == log
    assert_sound(archive)


def test_a_lost_file_comes_back_with_other_content(archive: Archive) -> None:
    put(archive, image())
    lost = retrieve.dicom_file(archive, ids_of(archive)[Level.INSTANCE])
    assert lost is not None
    archive.storage.remove(lost.uuid)
    changed = image().replace(b"Test Institution", b"Next Institution")
    assert put(archive, changed).status is StoreStatus.SUCCESS
    found = retrieve.dicom_file(archive, ids_of(archive)[Level.INSTANCE])
    assert found is not None
    assert retrieve.read(archive, found) == changed
    assert len(files_of(archive)) == 1


def test_attachments_are_left_alone(archive: Archive) -> None:
    put(archive, image())
    annotate(archive)
    study = ids_of(archive)[Level.STUDY]
    before = retrieve.attachment(archive, Level.STUDY, study, 1024)
    reconstruct_all(archive, files=True)
    assert retrieve.attachment(archive, Level.STUDY, study, 1024) == before
    attachments.recompress(archive, Level.INSTANCE, ids_of(archive)[3], DICOM_FILE, compressed=True)
    reconstruct_all(archive, files=True)
    assert_sound(archive)
