"""Instances that are stored together: each has its own outcome, and nothing is told that is not safe."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import pytest
from tests.data import synthetic
from tests.unit.archive.places import ORIGIN, Place, files_of, image, put
from tests.unit.archive.recount import assert_sound, rows

from ithil.archive import ingest_batch, query_tags
from ithil.archive.archive import Archive
from ithil.archive.errors import CommitUncertain, IndexUnavailable, StorageUnavailable
from ithil.archive.ingest import Incoming
from ithil.archive.ingest_batch import Outcome, commit_all
from ithil.archive.model import StoreResult
from ithil.archive.storage import journal
from ithil.dicom.errors import DicomError


def incoming(archive: Archive, content: bytes) -> Incoming:
    made = Incoming(archive, ORIGIN)
    made.write(content)
    return made


def store(archive: Archive, *contents: bytes) -> list[Outcome]:
    return commit_all(archive, [incoming(archive, content) for content in contents])


def told(outcomes: Sequence[Outcome]) -> list[str]:
    return [str(each.status) if isinstance(each, StoreResult) else type(each).__name__ for each in outcomes]


def large(number: int) -> bytes:
    """An instance that has a file of its own from the start."""
    return synthetic.instance(0, 0, number, size=300).content


def test_each_has_its_own_outcome(archive: Archive) -> None:
    put(archive, image(number=7))
    contents = (image(number=1), b"garbage", large(2), image(number=7), image(number=1), large(2)[:-10])
    outcomes = store(archive, *contents)
    assert told(outcomes) == [
        "Success",
        "DicomError",
        "Success",
        "AlreadyStored",
        "AlreadyStored",
        "DicomError",
    ]
    assert isinstance(outcomes[1], DicomError)
    assert len(rows(archive, "instances")) == len(files_of(archive)) == 3
    assert_sound(archive)
    assert commit_all(archive, []) == []


def test_more_than_go_into_a_transaction(archive: Archive) -> None:
    outcomes = store(archive, *(image(number=number) for number in range(150)))
    assert told(outcomes) == ["Success"] * 150
    assert_sound(archive)


def test_what_was_prepared_and_forgotten_leaves_nothing(archive: Archive) -> None:
    for content in (image(), large(1)):
        one = incoming(archive, content)
        one.prepare()
        assert files_of(archive) or (content == image() and archive.intake.journal is not None)
        one.discard()
        one.discard()
        assert not files_of(archive)
    assert not rows(archive, "instances")


def test_a_disk_that_refuses_one(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = sqlite.open(sync_storage_area=True)
    fsync, calls = os.fsync, []

    def once(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(errno.EIO, "broken")
        fsync(fd)

    ready = [incoming(archive, large(number)) for number in range(3)]
    for each in ready:
        each.prepare()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", once)
        outcomes = commit_all(archive, ready)
    assert told(outcomes) == ["StorageUnavailable", "Success", "Success"]
    assert isinstance(outcomes[0], StorageUnavailable)
    assert len(calls) >= 3, "each file was waited for"
    assert len(files_of(archive)) == 2
    assert_sound(archive)


def test_an_index_that_refuses(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = place.open(ithil={"workers": 2})  # where nothing is told before it is in the index

    def fail(*_: object, **__: object) -> None:
        raise IndexUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(type(archive.index), "write", fail)
        assert told(store(archive, image(), large(1))) == ["IndexUnavailable"] * 2
    assert not files_of(archive)
    assert told(store(archive, image(), large(1))) == ["Success"] * 2
    assert_sound(archive)


def test_files_stay_if_nobody_knows_whether_rows_name_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = place.open(ithil={"workers": 2})

    def fail(*_: object, **__: object) -> None:
        raise CommitUncertain("broke off")

    with monkeypatch.context() as broken:
        broken.setattr(type(archive.index), "write", fail)
        assert told(store(archive, image(), large(1))) == ["CommitUncertain"] * 2
    assert len(files_of(archive)) == 2


def test_a_journal_that_cannot_be_written_is_no_success(
    sqlite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sqlite.open(sync_storage_area=True)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "_fdatasync", fail)
        assert told(store(archive, image(), b"garbage", large(1))) == [
            "StorageUnavailable",
            "DicomError",
            "StorageUnavailable",
        ]
    assert not files_of(archive)
    assert told(store(archive, image(), large(1))) == ["Success"] * 2
    assert_sound(archive)


def test_query_tags_that_are_declared_in_between(archive: Archive) -> None:
    query_tags.known(archive)
    ready = [incoming(archive, image(number=number)) for number in range(3)]
    for each in ready:
        each.prepare()
    declaration = query_tags.declaration(archive, "00180050", "", "Instance", "")
    archive.index.write(lambda session: query_tags.declare(session, [declaration], 1.0))
    assert told(ingest_batch.commit_all(archive, ready)) == ["Success"] * 3
    assert_sound(archive)


def test_a_file_that_went_missing_is_put_back(archive: Archive) -> None:
    put(archive, image())
    (uuid,) = files_of(archive)
    archive.storage.remove(uuid)
    assert told(store(archive, image())) == ["Success"]
    assert len(files_of(archive)) == 1
    assert_sound(archive)


def test_what_is_there_already_leaves_nothing_behind(archive: Archive) -> None:
    contents = [large(number) for number in range(1, 6)]
    store(archive, *contents)
    archive.intake.empty()
    before, descriptors = files_of(archive), len(os.listdir("/proc/self/fd"))
    for _ in range(3):  # from the second time on, the archive asks before it writes
        assert told(store(archive, *contents)) == ["AlreadyStored"] * 5
    assert files_of(archive) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors
