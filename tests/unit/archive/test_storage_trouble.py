"""A storage or an index that refuses: what the archive answers, and that nothing is left that nobody stored."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data import synthetic
from tests.servers.postgresql import PostgreSql
from tests.unit.archive.places import ORIGIN, OnPostgresql, Place, commit, files_of, image, put
from tests.unit.archive.recount import assert_sound, rows

from ithil.archive.archive import Archive
from ithil.archive.errors import CommitUncertain, IndexUnavailable, StorageFull, StorageUnavailable
from ithil.archive.ingest import Incoming
from ithil.archive.model import StoreStatus
from ithil.settings import Settings


def failing(number: int) -> Callable[..., Any]:
    """A system call that fails with that error."""

    def call(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("call", ["writev", "fsync"])
@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageUnavailable)],
)
def test_a_disk_that_refuses(
    sqlite: Place, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: type[Exception]
) -> None:
    archive = sqlite.open(sync_storage_area=True)
    large = synthetic.instance(0, 0, 0, size=256).content  # beyond what goes through the intake
    with monkeypatch.context() as broken:
        broken.setattr(os, call, failing(number))
        with pytest.raises(kind):
            put(archive, large)
    assert not files_of(archive)
    assert not rows(archive, "instances")
    assert put(archive, large).status is StoreStatus.SUCCESS
    assert_sound(archive)


def test_a_disk_that_takes_only_a_part(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = sqlite.open()
    writev = os.writev

    def a_part(fd: int, buffers: Any) -> int:
        return writev(fd, [b"".join(buffers)[:1000]])

    with monkeypatch.context() as broken:
        broken.setattr(os, "writev", a_part)
        result = commit(archive, image())
        broken.setattr(os, "write", failing(errno.ENOSPC))
        with pytest.raises(StorageFull):
            commit(archive, image(number=1))
    assert result.status is StoreStatus.SUCCESS
    assert len(files_of(archive)) == 1
    assert_sound(archive)


def test_a_large_instance_on_a_disk_that_gets_full(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = Incoming(archive, ORIGIN)
    content = synthetic.instance(0, 0, 0, size=1024).content
    incoming.write(content[:1_200_000])
    with monkeypatch.context() as broken:
        broken.setattr(os, "writev", failing(errno.ENOSPC))
        with pytest.raises(StorageFull):
            incoming.write(content[1_200_000:])
    incoming.discard()
    assert not files_of(archive)
    assert_sound(archive)


def test_a_file_in_place_of_the_storage_folder(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("not a folder")
    with pytest.raises(StorageUnavailable):
        Archive.open(Settings(storage_directory=tmp_path / "storage", index_directory=tmp_path / "index"))


def test_a_file_in_place_of_the_index_folder(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("not a folder")
    with pytest.raises(StorageUnavailable):
        Archive.open(Settings(storage_directory=tmp_path / "storage", index_directory=tmp_path / "index"))


def test_an_index_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "ithil.db").write_bytes(b"this is not SQLite" * 100)
    with pytest.raises(IndexUnavailable):
        Archive.open(Settings(storage_directory=tmp_path))


def test_an_index_whose_disk_is_full(sqlite: Place) -> None:
    archive = sqlite.open()
    put(archive, image())
    pages = "PRAGMA max_page_count"

    def limit(count: int) -> None:
        # The limit belongs to the connection, which a failed transaction leaves as it is.
        archive.index.write(lambda session: session.cursor.execute(f"{pages}={count}"))

    limit(1)  # SQLite takes the present size instead
    stored, refused = 1, 0
    for number in range(1, 200):
        try:
            put(archive, image(number % 50, number % 7, number))
            stored += 1
        except StorageFull:
            refused += 1
            if refused > 3:
                break
    assert refused
    assert 0 < len(rows(archive, "instances")) <= stored  # what was accepted before anybody knew has to wait
    limit(1_000_000)
    assert put(archive, image(99)).status is StoreStatus.SUCCESS
    archive.intake.empty()
    assert len(rows(archive, "instances")) == len(files_of(archive)) == stored + 1
    assert_sound(archive)


def test_a_database_that_stops_and_comes_back(tmp_path: Path, postgresql: PostgreSql) -> None:
    with OnPostgresql(tmp_path, postgresql.url) as place:
        archive = place.open(sync_storage_area=True)
        put(archive, image())
        postgresql.halt("immediate")
        with pytest.raises(IndexUnavailable):
            put(archive, image(number=1))
        with pytest.raises(IndexUnavailable), archive.index.read() as session:
            session.cursor.execute("SELECT 1")
        assert len(files_of(archive)) == 1
        postgresql.restart()
        assert put(archive, image(number=1)).status is StoreStatus.SUCCESS
        assert_sound(archive)
        # A restart nobody noticed: the connections are lost, and the transaction is simply tried again.
        postgresql.halt()
        postgresql.restart()
        assert put(archive, image(number=2)).status is StoreStatus.SUCCESS
        assert len(rows(archive, "instances")) == 3
        assert_sound(archive)


class Connection:
    """A connection of PostgreSQL that breaks off in or after its next COMMIT."""

    def __init__(self, real: Any, *, committed: bool) -> None:
        self.real, self.committed = real, committed

    def cursor(self) -> Any:
        return Cursor(self, self.real.cursor())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Cursor:
    """Its cursor."""

    def __init__(self, connection: Connection, real: Any) -> None:
        self.connection, self.real = connection, real

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql == "COMMIT":
            if self.connection.committed:
                self.real.execute(sql)
            self.connection.real.close()
        return self.real.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize("committed", [False, True])
def test_a_connection_lost_during_the_commit(on_postgresql: OnPostgresql, committed: bool) -> None:
    """The second try finds out what became of the first; either way the instance is there once."""
    archive = on_postgresql.open()
    put(archive, image())
    archive.index._writer = Connection(archive.index._writer, committed=committed)
    assert put(archive, image(number=1)).status is StoreStatus.SUCCESS
    assert len(rows(archive, "instances")) == 2
    assert_sound(archive)


@pytest.mark.parametrize("committed", [False, True])
def test_a_database_lost_during_the_commit(
    on_postgresql: OnPostgresql, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what became of the commit: the file stays, since a row may name it."""
    archive = on_postgresql.open()
    put(archive, image())
    archive.index._writer = Connection(archive.index._writer, committed=committed)

    def refuse() -> None:
        raise IndexUnavailable("gone")

    with monkeypatch.context() as gone:
        gone.setattr(archive.index, "connect", refuse)
        with pytest.raises(CommitUncertain):
            put(archive, image(number=1))
    assert len(files_of(archive)) == 2
    assert len(rows(archive, "instances")) == 1 + committed
    again = put(archive, image(number=1))
    assert again.status is (StoreStatus.ALREADY_STORED if committed else StoreStatus.SUCCESS)
    assert len(rows(archive, "instances")) == 2
