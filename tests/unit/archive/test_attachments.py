"""Attachments: stored, replaced, compressed and deleted without a moment in which they are wrong."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.archive.places import Place, files_of, image, put, put_all
from tests.unit.archive.recount import assert_sound, rows

from ithil import error_codes as codes
from ithil.archive import attachments, changes, delete, labels, metadata, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.attachments import Upload
from ithil.archive.errors import CommitUncertain, FileCorrupted, FileMissing, IndexUnavailable, ReadOnly
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.revisions import Version
from ithil.archive.storage import compression
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

KIND = 1024
CONTENT = b"what a plugin keeps of a study " * 5000


def ids_of(archive: Archive) -> tuple[str, str, str, str]:
    """The public ids of the first resource of each level."""
    patient, study, series, instance = (resources.list_ids(archive, level)[0] for level in Level)
    return patient, study, series, instance


def attach(
    archive: Archive, level: Level, public_id: str, content: bytes, expected: Version | None = None
) -> Attachment:
    """Store an attachment in two pieces."""
    upload = Upload(archive)
    try:
        upload.write(content[:10])
        upload.write(content[10:])
        return upload.commit(level, public_id, KIND, expected)
    finally:
        upload.discard()


def found(archive: Archive, level: Level, public_id: str, kind: int = KIND) -> Attachment:
    """An attachment that is there."""
    file = retrieve.attachment(archive, level, public_id, kind)
    assert file is not None
    return file


def kinds(archive: Archive) -> list[str]:
    """The kinds of all changes, those of new resources left out."""
    return [change.kind for change in changes.page(archive).changes if not change.kind.startswith("New")]


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_attached_comes_back(place: Place, level: Level, compressed: bool) -> None:
    archive = place.open(storage_compression=compressed)
    put_all(archive, image(), image(1))
    public_id = ids_of(archive)[level]
    stored = attach(archive, level, public_id, CONTENT)
    file = found(archive, level, public_id)
    assert file == stored
    assert retrieve.read(archive, file) == CONTENT
    assert (file.uncompressed_size, file.revision) == (len(CONTENT), 0)
    assert file.uncompressed_md5 == hashlib.md5(CONTENT).hexdigest()
    assert (file.compressed_size < len(CONTENT)) is compressed
    assert retrieve.verify(archive, file)
    assert kinds(archive) == ["UpdatedAttachment"]
    assert_sound(archive)


@pytest.mark.parametrize("level", Level)
def test_replacing_and_deleting(archive: Archive, level: Level) -> None:
    put_all(archive, image(), image(number=1))
    public_id = ids_of(archive)[level]
    first = attach(archive, level, public_id, CONTENT)
    second = attach(archive, level, public_id, b"")
    assert (second.revision, retrieve.read(archive, second)) == (1, b"")
    assert retrieve.read(archive, first) == CONTENT  # for whoever has just begun to read it
    attachments.delete(archive, level, public_id, KIND)
    assert retrieve.attachment(archive, level, public_id, KIND) is None
    with pytest.raises(CodedError) as refused:
        attachments.delete(archive, level, public_id, KIND)
    assert refused.value.code == codes.UNKNOWN_RESOURCE
    assert kinds(archive) == ["UpdatedAttachment"] * 3
    assert_sound(archive)
    assert attach(archive, level, public_id, CONTENT).revision == 0


def test_statistics_tell_dicom_from_the_rest(archive: Archive) -> None:
    put_all(archive, image(), image(series=1))
    plain = {level: resources.statistics(archive, level, ids_of(archive)[level]) for level in Level}
    for level in Level:
        attach(archive, level, ids_of(archive)[level], b"x" * (level + 1))
    for level in Level:
        before, after = plain[level], resources.statistics(archive, level, ids_of(archive)[level])
        assert before is not None
        assert after is not None
        assert after.dicom_disk_size == before.disk_size
        assert after.disk_size - before.disk_size == sum(at + 1 for at in Level if at >= level)
        assert after.uncompressed_size - after.dicom_uncompressed_size == after.disk_size - before.disk_size


@pytest.mark.parametrize("level", Level)
def test_a_delete_takes_attachments_of_all_levels_along(archive: Archive, level: Level) -> None:
    put_all(archive, image(), image(number=1), image(series=1), image(1, patient=0), image(2))
    public_ids = ids_of(archive)
    for at in Level:
        attach(archive, at, public_ids[at], CONTENT)
        labels.add(archive, at, public_ids[at], "urgent")
        metadata.put(archive, at, public_ids[at], KIND, "mine")
    delete.delete(archive, level, public_ids[level])
    assert_sound(archive)
    delete.delete_many(archive, [*public_ids, "nope", public_ids[0]])
    assert_sound(archive)
    for table in ("attachments", "labels", "metadata"):
        assert rows(archive, table) == []


def test_an_overwritten_instance_loses_its_attachments(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    put_all(archive, image(), image(number=1))
    attach(archive, Level.INSTANCE, ids_of(archive)[Level.INSTANCE], CONTENT)
    put(archive, image())
    assert rows(archive, "attachments") == []
    assert_sound(archive)


def test_the_version_must_fit(archive: Archive) -> None:
    put(archive, image())
    study = ids_of(archive)[Level.STUDY]
    first = attach(archive, Level.STUDY, study, b"one", Version(7, "of nothing"))
    files = files_of(archive)
    for wrong in (Version(1, first.uncompressed_md5), Version(0, "other")):
        for change in (
            lambda wrong=wrong: attach(archive, Level.STUDY, study, b"two", wrong),
            lambda wrong=wrong: attachments.check(archive, Level.STUDY, study, KIND, wrong),
            lambda wrong=wrong: attachments.delete(archive, Level.STUDY, study, KIND, wrong),
        ):
            with pytest.raises(CodedError) as refused:
                change()
            assert refused.value.code == codes.REVISION
    assert files_of(archive) == files
    right = Version(0, first.uncompressed_md5)
    attachments.check(archive, Level.STUDY, study, KIND, right)
    second = attach(archive, Level.STUDY, study, b"two", right)
    attachments.delete(archive, Level.STUDY, study, KIND, Version(1, second.uncompressed_md5))
    assert_sound(archive)


def test_versions_may_be_asked_for(place: Place) -> None:
    archive = place.open(check_revisions=True)
    put(archive, image())
    study = ids_of(archive)[Level.STUDY]
    attach(archive, Level.STUDY, study, b"one")
    for change in (
        lambda: attach(archive, Level.STUDY, study, b"two"),
        lambda: attachments.delete(archive, Level.STUDY, study, KIND),
    ):
        with pytest.raises(CodedError) as refused:
            change()
        assert refused.value.status == 409
    assert_sound(archive)


def test_of_many_that_change_one_version_one_wins(place: Place) -> None:
    """Optimistic locking, also between processes: each counts up from what it has read."""
    archives = [place.open(), place.open()]
    put(archives[0], image())
    study = ids_of(archives[0])[Level.STUDY]
    attach(archives[0], Level.STUDY, study, b"0")

    def count(archive: Archive) -> None:
        done = 0
        while done < 10:
            file = found(archive, Level.STUDY, study)
            number = int(retrieve.read(archive, file))
            try:
                attach(archive, Level.STUDY, study, b"%d" % (number + 1), attachments.version(file))
            except (CodedError, FileMissing):
                continue
            done += 1

    threads = [threading.Thread(target=count, args=(archive,)) for archive in archives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert retrieve.read(archives[0], found(archives[0], Level.STUDY, study)) == b"20"
    assert_sound(archives[0])


def test_nothing_is_attached_to_what_is_not_there(archive: Archive) -> None:
    put(archive, image())
    files = files_of(archive)
    for change in (
        lambda: attach(archive, Level.SERIES, ids_of(archive)[Level.STUDY], CONTENT),
        lambda: attachments.check(archive, Level.STUDY, "nope", KIND),
        lambda: attachments.recompress(archive, Level.STUDY, "nope", KIND, compressed=True),
    ):
        with pytest.raises(CodedError) as refused:
            change()
        assert refused.value.code == codes.UNKNOWN_RESOURCE
    assert files_of(archive) == files


@pytest.mark.parametrize("error", [IndexUnavailable("gone"), RuntimeError("bug")])
def test_a_failed_commit_leaves_no_file(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    put(archive, image())
    files = files_of(archive)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("ithil.archive.attachments.record", fail)
    with pytest.raises(type(error)):
        attach(archive, Level.STUDY, ids_of(archive)[Level.STUDY], CONTENT)
    assert files_of(archive) == files
    monkeypatch.undo()
    assert_sound(archive)


def test_an_uncertain_commit_keeps_the_file(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    put(archive, image())
    study, write = ids_of(archive)[Level.STUDY], type(archive.index).write

    def lose(index: Any, work: Callable[..., Any], **options: Any) -> None:
        write(index, work, **options)
        raise CommitUncertain("lost")

    monkeypatch.setattr(type(archive.index), "write", lose)
    with pytest.raises(CommitUncertain):
        attach(archive, Level.STUDY, study, CONTENT)
    monkeypatch.undo()
    assert retrieve.read(archive, found(archive, Level.STUDY, study)) == CONTENT
    assert_sound(archive)


def test_an_upload_that_is_given_up_leaves_nothing(archive: Archive) -> None:
    put(archive, image())
    files = files_of(archive)
    upload = Upload(archive)
    upload.write(CONTENT)
    upload.discard()
    upload.discard()
    assert files_of(archive) == files


@pytest.mark.parametrize("md5", [True, False])
def test_compressing_keeps_all_but_the_stored_bytes(place: Place, md5: bool) -> None:
    archive = place.open(store_md5_for_attachments=md5)
    content = image()
    put(archive, content)
    instance = ids_of(archive)[Level.INSTANCE]
    attach(archive, Level.INSTANCE, instance, CONTENT)
    for kind, plain in ((DICOM_FILE, content), (KIND, CONTENT)):
        before = found(archive, Level.INSTANCE, instance, kind)
        for compressed in (True, False):
            wanted = (archive, Level.INSTANCE, instance, kind)
            assert attachments.recompress(*wanted, compressed=compressed)
            assert not attachments.recompress(*wanted, compressed=compressed)
            after = found(archive, Level.INSTANCE, instance, kind)
            assert after.uuid != before.uuid
            assert (after.compression == compression.ZLIB) is compressed
            assert (after.uncompressed_md5, after.revision) == (before.uncompressed_md5, before.revision)
            assert bool(after.compressed_md5) is md5
            assert retrieve.read(archive, after) == plain
            assert retrieve.verify(archive, after)
            assert_sound(archive)
    assert kinds(archive) == ["UpdatedAttachment"] * 3  # that of the instance's own file is no news


def test_a_damaged_file_is_not_compressed(archive: Archive) -> None:
    put(archive, image())
    instance = ids_of(archive)[Level.INSTANCE]
    file = found(archive, Level.INSTANCE, instance, DICOM_FILE)
    path = archive.storage.path(file.uuid)
    with open(path, "r+b") as stored:
        stored.seek(-1, os.SEEK_END)
        stored.write(b"?")
    files = files_of(archive)
    with pytest.raises(FileCorrupted):
        attachments.recompress(archive, Level.INSTANCE, instance, DICOM_FILE, compressed=True)
    os.truncate(path, 100)
    with pytest.raises(FileCorrupted):
        attachments.recompress(archive, Level.INSTANCE, instance, DICOM_FILE, compressed=True)
    assert not retrieve.verify(archive, file)
    assert files_of(archive) == files
    assert found(archive, Level.INSTANCE, instance, DICOM_FILE) == file


def test_a_compressed_instance_survives_a_crash(sqlite: Place) -> None:
    """The bytes of the old file that are still in the journal must not come back for the new one."""
    archive = sqlite.open(sync_storage_area=True)
    put(archive, image())
    instance = ids_of(archive)[Level.INSTANCE]
    attachments.recompress(archive, Level.INSTANCE, instance, DICOM_FILE, compressed=True)
    sqlite.kill(archive)
    again = sqlite.open(sync_storage_area=True)
    assert retrieve.read(again, found(again, Level.INSTANCE, instance, DICOM_FILE)) == image()


def test_attaching_while_deleting_leaves_nothing_loose(place: Place) -> None:
    archives = [place.open(), place.open()]
    stop = threading.Event()
    errors: list[Exception] = []

    def annotate(archive: Archive) -> None:
        while not stop.is_set():
            for level in Level:
                for public_id in resources.list_ids(archive, level):
                    try:
                        attach(archive, level, public_id, b"x")
                        metadata.put(archive, level, public_id, KIND, "x")
                        labels.add(archive, level, public_id, "x")
                    except CodedError:
                        pass
                    except Exception as error:
                        errors.append(error)
                        return

    thread = threading.Thread(target=annotate, args=(archives[1],))
    put_all(archives[0], image(), image(number=1))
    thread.start()
    for _ in range(20):
        put_all(archives[0], image(), image(number=1))
        delete.delete(archives[0], Level.INSTANCE, ids_of(archives[0])[Level.INSTANCE])
        put_all(archives[0], image())
        delete.delete(archives[0], Level.STUDY, ids_of(archives[0])[Level.STUDY])
    stop.set()
    thread.join(60)
    assert errors == []
    assert_sound(archives[0])


def test_a_read_only_archive_takes_nothing(place: Place) -> None:
    put(place.open(), image())
    archive = place.open(read_only=True)
    study = ids_of(archive)[Level.STUDY]
    for change in (
        lambda: Upload(archive),
        lambda: attachments.delete(archive, Level.STUDY, study, KIND),
        lambda: attachments.recompress(archive, Level.STUDY, study, KIND, compressed=True),
        lambda: metadata.put(archive, Level.STUDY, study, KIND, "x"),
        lambda: metadata.delete(archive, Level.STUDY, study, KIND),
        lambda: labels.add(archive, Level.STUDY, study, "x"),
        lambda: labels.remove(archive, Level.STUDY, study, "x"),
    ):
        with pytest.raises(ReadOnly):
            change()
