"""Where the archives of tests are kept: a folder, with the index beside the files or in a PostgreSQL schema."""

from __future__ import annotations

import contextlib
import itertools
import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from tests.data import synthetic

from ithil.archive import ingest, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.index.database import Database, NoBacklog
from ithil.archive.index.postgresql import PostgresqlDatabase
from ithil.archive.index.sqlite import SqliteDatabase
from ithil.archive.model import Origin, StoreResult
from ithil.archive.recovery import open_archive
from ithil.archive.storage.journal import Journal
from ithil.archive.storage.segments import Segment
from ithil.dicom.level import Level
from ithil.settings import Settings
from ithil.settings.database_options import PostgreSql
from ithil.settings.ithil_options import IthilSettings

_schemas = itertools.count()


class Place(ABC):
    """A folder and a database, empty at first. `open` gives an archive on them, each as in a process of its own."""

    dialect: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "files"
        self._opened: list[Archive] = []

    def options(self, **settings: Any) -> dict[str, Any]:
        """Settings of an archive here, for another process to open it."""
        return {"storage_directory": self.folder, "sync_storage_area": False, **settings}

    def open(self, **settings: Any) -> Archive:
        """An archive with these settings; `ithil` may be a dict of options of that section."""
        ours = settings.pop("ithil", None)
        if ours is not None:
            settings["ithil"] = IthilSettings(**ours)
        opened = open_archive(Settings(**self.options(**settings)))
        self._opened.append(opened)
        return opened

    def kill(self, archive: Archive) -> None:
        """Leave an archive of this place as the death of its process does: what was accepted and is not in the
        index stays in the journal, and others see that nobody writes that any more.
        """
        self._opened.remove(archive)
        intake = archive.intake
        intake._commits.drain = lambda *, again=False: None  # type: ignore[method-assign]
        intake._closing.set()
        intake._posted.set()
        if intake._thread is not None:
            intake._thread.join()
        archive.index.backlog = NoBacklog()
        if intake.journal is not None:
            abandon(intake.journal)
        for part in (archive.keeper, archive.checksums, archive.storage, archive.index):
            part.close()

    @abstractmethod
    def database(self) -> Database:
        """The bare database, without tables if nothing was opened before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._opened:
            opened.close()


class OnSqlite(Place):
    """The index is a file beside the stored ones."""

    dialect = "sqlite"

    def database(self) -> SqliteDatabase:
        self.folder.mkdir(parents=True, exist_ok=True)
        return SqliteDatabase(self.folder / "ithil.db", durable=False)


class OnPostgresql(Place):
    """The index is in a schema of its own in the cluster of the whole run."""

    dialect = "postgresql"

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url
        self.schema = f"test_{os.getpid()}_{next(_schemas)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {self.schema}")

    def options(self, **settings: Any) -> dict[str, Any]:
        index = PostgreSql(
            enable_index=True, connection_uri=self.url, schema=self.schema, maximum_connection_retries=0
        )
        return super().options(**{"postgresql": index, **settings})

    def database(self) -> PostgresqlDatabase:
        return PostgresqlDatabase(self.url, schema=self.schema)

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)
        with psycopg.connect(self.url, autocommit=True) as connection, contextlib.suppress(psycopg.Error):
            connection.execute(f"SET client_min_messages = error; DROP SCHEMA {self.schema} CASCADE")


class OnDurableSqlite(OnSqlite):
    """The same, waiting for the disk, as the default is."""

    def options(self, **settings: Any) -> dict[str, Any]:
        return super().options(**{"sync_storage_area": True, **settings})


ORIGIN = Origin("RestApi", remote_ip="127.0.0.1", http_username="tester")


def image(study: int = 0, series: int = 0, number: int = 0, *, patient: int | None = None) -> bytes:
    """A small CT image; the same numbers give the same bytes."""
    return synthetic.instance(study, series, number, size=4, patient=patient).content


def put(archive: Archive, content: bytes) -> StoreResult:
    """Store a file that came by REST, and have it in the index, where other processes see it."""
    result = ingest.store(archive, content, ORIGIN)
    catch_up(archive)
    return result


def catch_up(archive: Archive) -> None:
    """Have what was accepted in the index."""
    if archive.index.backlog.waiting:
        with archive.index.read():
            pass


def commit(archive: Archive, content: bytes) -> StoreResult:
    """Store a file that came by REST, and wait until it is in the index."""
    incoming = ingest.Incoming(archive, ORIGIN)
    try:
        incoming.write(content)
        return incoming.commit()
    finally:
        incoming.discard()


def accept(archive: Archive, content: bytes) -> StoreResult:
    """Store a file that came by REST, without waiting for the index where that can be."""
    incoming = ingest.Incoming(archive, ORIGIN)
    try:
        incoming.write(content)
        return incoming.accept()
    finally:
        incoming.discard()


def read_all(archive: Archive) -> dict[str, bytes]:
    """What is stored of every instance, past the cache."""
    stored = {}
    for instance in resources.list_ids(archive, Level.INSTANCE):
        file = retrieve.dicom_file(archive, instance)
        assert file is not None
        archive.cache.drop(file.uuid)
        stored[instance] = retrieve.read(archive, file)
    return stored


def put_all(archive: Archive, *contents: bytes) -> list[StoreResult]:
    """Store several files, one after the other."""
    return [put(archive, content) for content in contents]


def abandon(journal: Journal) -> None:
    """What the death of its process does to a journal."""
    for segment in segments_of(journal):
        os.close(segment.fd)
    journal._active = journal._spare = None
    journal._retired = []


def segments_of(journal: Journal) -> list[Segment]:
    """All segments of a journal that is open."""
    segments = (*journal._retired, journal._active, journal._spare)
    return [segment for segment in segments if segment is not None]


def files_of(archive: Archive) -> set[str]:
    """The UUIDs of the files that lie in the storage, when all that was accepted is in its place."""
    catch_up(archive)
    return {uuid for uuid, _, _ in archive.storage.all_files()}
