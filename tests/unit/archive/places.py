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

from ithil.archive import ingest
from ithil.archive.archive import Archive
from ithil.archive.index.database import Database
from ithil.archive.index.postgresql import PostgresqlDatabase
from ithil.archive.index.sqlite import SqliteDatabase
from ithil.archive.model import Origin, StoreResult
from ithil.archive.recovery import open_archive
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


ORIGIN = Origin("RestApi", remote_ip="127.0.0.1", http_username="tester")


def image(study: int = 0, series: int = 0, number: int = 0, *, patient: int | None = None) -> bytes:
    """A small CT image; the same numbers give the same bytes."""
    return synthetic.instance(study, series, number, size=4, patient=patient).content


def put(archive: Archive, content: bytes) -> StoreResult:
    """Store a file that came by REST."""
    return ingest.store(archive, content, ORIGIN)


def put_all(archive: Archive, *contents: bytes) -> list[StoreResult]:
    """Store several files, one after the other."""
    return [put(archive, content) for content in contents]


def files_of(archive: Archive) -> set[str]:
    """The UUIDs of the files that lie in the storage."""
    return {uuid for uuid, _, _ in archive.storage.all_files()}
