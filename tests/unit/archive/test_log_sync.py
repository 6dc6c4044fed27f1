"""SQLite's log on the disk before anything is acknowledged, and what follows when it cannot be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.archive.places import accept, commit, image

from ithil.archive import delete, resources
from ithil.archive.archive import Archive
from ithil.archive.errors import CommitUncertain
from ithil.archive.index import sqlite
from ithil.archive.index.ingest import file_of
from ithil.dicom.level import Level
from ithil.settings import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def open_archive(folder: Path, **settings: Any) -> Archive:
    return Archive.open(load([], {}, {"StorageDirectory": str(folder / "storage"), **settings}))


def test_each_acknowledgement_waits_for_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = open_archive(folder)
    log = f"{folder}/storage/ithil.db-wal"
    synced: list[bool] = []
    real = sqlite._fdatasync

    def watched(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino == os.stat(log).st_ino)
        real(fd)

    monkeypatch.setattr(sqlite, "_fdatasync", watched)
    told = [(accept if number % 2 else commit)(archive, image(number=number)) for number in range(6)]
    assert len(resources.list_ids(archive, Level.INSTANCE)) == 6
    assert synced == []  # what makes them safe is in the journal
    for number in range(3):
        delete.delete(archive, Level.INSTANCE, told[number].instance)
        assert synced == [True] * (number + 1)
    archive.intake.empty()  # after which the journal does not make them safe any more
    assert synced == [True] * 4
    archive.close()


def test_without_sync_nobody_waits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = open_archive(folder, SyncStorageArea=False)

    def fail(fd: int) -> None:
        raise AssertionError("nobody asked for this")

    monkeypatch.setattr(sqlite, "_fdatasync", fail)
    delete.delete(archive, Level.INSTANCE, commit(archive, image()).instance)
    accept(archive, image())
    archive.intake.empty()
    archive.close()


def test_a_log_that_cannot_be_written_is_no_success(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = open_archive(folder)
    told = [commit(archive, image(number=number)) for number in range(3)]
    calls = 0

    def broken(fd: int) -> None:
        nonlocal calls
        calls += 1
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sqlite, "_fdatasync", broken)
    with pytest.raises(CommitUncertain):
        delete.delete(archive, Level.INSTANCE, told[0].instance)
    assert calls == 1  # a second try would succeed without having written anything
    # The disk is well again, but the pages that failed count as written: until SQLite has moved the log into
    # the database, an acknowledgement would rest on a hole.
    monkeypatch.undo()
    moved: list[str] = []
    rescue = archive.index._rescue_log  # type: ignore[attr-defined]

    def watched_rescue() -> None:
        moved.append("moved")
        rescue()

    monkeypatch.setattr(archive.index, "_rescue_log", watched_rescue)
    assert commit(archive, image(number=3)).status == "Success"  # for which nobody needs the log
    assert moved == []
    for each in told[1:]:
        assert delete.delete(archive, Level.INSTANCE, each.instance) is not None
    assert moved == ["moved"]
    archive.close()


def test_nothing_is_acknowledged_while_the_log_cannot_be_moved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = open_archive(folder)

    def broken(fd: int) -> None:
        raise OSError(5, "Input/output error")

    def stuck() -> None:
        raise OSError(16, "in use")

    told = [commit(archive, image(number=number)) for number in range(4)]
    monkeypatch.setattr(sqlite, "_fdatasync", broken)
    with pytest.raises(CommitUncertain):
        delete.delete(archive, Level.INSTANCE, told[0].instance)
    monkeypatch.setattr(sqlite, "_fdatasync", lambda fd: None)
    with monkeypatch.context() as patched:
        patched.setattr(archive.index, "_rescue_log", stuck)
        for each in told[1:]:
            with pytest.raises(CommitUncertain):
                delete.delete(archive, Level.INSTANCE, each.instance)
        with pytest.raises(CommitUncertain):
            archive.intake.empty()
    archive.intake.empty()
    archive.close()


def test_the_log_of_a_reopened_archive_is_a_new_file(folder: Path) -> None:
    for number in range(3):
        archive = open_archive(folder)
        commit(archive, image(number=number))
        assert os.stat(f"{folder}/storage/ithil.db-wal").st_size >= sqlite.LOG_SIZE
        archive.close()
    archive = open_archive(folder)
    assert len(resources.list_ids(archive, Level.INSTANCE)) == 3
    archive.close()


def test_a_log_that_was_lengthened_before_the_first_write_loses_nothing(folder: Path) -> None:
    open_archive(folder).close()  # SQLite moves all of the log into the database
    archive = open_archive(folder)
    archive.index.prepare_to_write()
    log = folder / "storage" / "ithil.db-wal"
    assert log.stat().st_size >= sqlite.LOG_SIZE
    stored = commit(archive, image())
    copy = folder / "after-a-crash"  # the database and its log as they are on the disk in this moment
    copy.mkdir()
    for name in ("ithil.db", "ithil.db-wal"):
        (copy / name).write_bytes((folder / "storage" / name).read_bytes())
    survivor = sqlite.SqliteDatabase(copy / "ithil.db")
    with survivor.read() as session:
        assert file_of(session, stored.instance) is not None
    survivor.close()
    archive.close()
