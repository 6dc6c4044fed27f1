"""The archive as one object: the index, the storage and the settings that every part of it works with.

The modules beside this one are its verbs (`ingest`, `resources`, `retrieve`, `delete`, `changes`); skins call
those with the archive as their first argument. It keeps no state of its own that another process would miss.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ithil.archive.checksum import Checksums
from ithil.archive.describe import TagsOfLevels
from ithil.archive.document_keeper import DocumentKeeper
from ithil.archive.errors import IndexUnavailable
from ithil.archive.index import schema
from ithil.archive.index.database import Database
from ithil.archive.index.sqlite import SqliteDatabase
from ithil.archive.intake import Intake
from ithil.archive.storage.cache import FileCache
from ithil.archive.storage.journal import Journal
from ithil.archive.storage.local import LocalStorage, refusal
from ithil.settings import Settings
from ithil.settings.runtime import Runtime

log = logging.getLogger(__name__)

INDEX_FILE = "ithil.db"
JOURNAL_FOLDER = "journal"
ORTHANCS_INDEX_FILE = "index"


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything that is stored, and the way to it. Safe to be used by many threads."""

    settings: Settings
    index: Database
    storage: LocalStorage
    cache: FileCache
    intake: Intake
    tags_of: TagsOfLevels
    checksums: Checksums
    keeper: DocumentKeeper
    runtime: Runtime

    @property
    def default_encoding(self) -> str:
        """The encoding of data sets that do not name theirs, as it is for the moment."""
        return self.runtime.values.default_encoding or self.settings.default_encoding

    @classmethod
    def open(cls, settings: Settings, runtime: Runtime | None = None) -> Archive:
        """Open the index and the storage that the settings name, creating them where they are missing.

        `runtime` are the values that all processes of this host share; without it, this one has its own.
        Raises IndexUnavailable, StorageUnavailable or StorageFull with a message for the operator.
        """
        storage = LocalStorage(settings.storage_directory, durable=settings.sync_storage_area)
        storage.prepare()
        index = _open_index(settings)
        schema.prepare(index)
        # Other processes of this server must see what one of them has acknowledged, without asking it.
        intake = Intake(index, storage, _journal(settings, index), defers=settings.ithil.workers == 1)
        cache = FileCache(settings.maximum_storage_cache_size * 1024 * 1024)
        tags_of = TagsOfLevels.with_extra(settings.extra_main_dicom_tags)
        return cls(
            settings,
            index,
            storage,
            cache,
            intake,
            tags_of,
            Checksums(),
            DocumentKeeper(),
            runtime or Runtime(),
        )

    def close(self) -> None:
        """Close the connections to the database. What has been acknowledged is durable already."""
        self.keeper.close()
        self.intake.close()
        self.checksums.close()
        self.storage.close()
        self.index.close()


def has_index(settings: Settings) -> bool:
    """Whether there is an index already, so that opening the archive would not make one."""
    return settings.postgresql.enable_index or (settings.index_directory / INDEX_FILE).is_file()


def holds_index_of_orthanc(settings: Settings) -> bool:
    """Whether Orthanc keeps, or kept, its index where the settings point."""
    folders = {settings.index_directory, settings.storage_directory}
    return any((folder / ORTHANCS_INDEX_FILE).is_file() for folder in folders)


def _journal(settings: Settings, index: Database) -> Journal | None:
    if not isinstance(index, SqliteDatabase) or settings.read_only:
        return None
    return Journal(settings.index_directory / JOURNAL_FOLDER, durable=_waits_for_the_disk(settings))


def _waits_for_the_disk(settings: Settings) -> bool:
    """Whether transactions of SQLite are on the disk before they count."""
    return settings.ithil.sqlite_synchronous == "Full" or (
        settings.ithil.sqlite_synchronous == "Auto" and settings.sync_storage_area
    )


def _open_index(settings: Settings) -> Database:
    if settings.postgresql.enable_index:
        return _open_postgresql(settings)
    folder: Path = settings.index_directory
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(error) from error
    return SqliteDatabase(folder / INDEX_FILE, durable=_waits_for_the_disk(settings))


def _open_postgresql(settings: Settings) -> Database:
    # Here, so that a server on SQLite does without libpq and its memory.
    from psycopg.conninfo import make_conninfo

    from ithil.archive.index.postgresql import PostgresqlDatabase

    postgresql = settings.postgresql
    if postgresql.connection_uri:
        conninfo = make_conninfo(postgresql.connection_uri, **_PATIENCE)
    else:
        conninfo = make_conninfo(
            **_PATIENCE,
            host=postgresql.host,
            port=postgresql.port,
            dbname=postgresql.database,
            user=postgresql.username,
            password=postgresql.password,
            sslmode="require" if postgresql.enable_ssl else "disable",
            application_name=postgresql.application_name or "ithil",
        )
    database = PostgresqlDatabase(
        conninfo, schema=postgresql.schema.lower(), durable=settings.sync_storage_area
    )
    _wait_for(database, postgresql.maximum_connection_retries, postgresql.connection_retry_interval)
    return database


# Seconds, and milliseconds for the last: a database that has fallen silent must not hold senders for ever.
_PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def _wait_for(database: Database, retries: int, interval: float) -> None:
    """Give a database that starts at the same time as we the time to do so."""
    for attempt in range(retries + 1):
        try:
            with database.read():
                return
        except IndexUnavailable:
            if attempt == retries:
                raise
            log.warning("The database does not answer yet, trying again in %s s", interval)
            time.sleep(interval)
