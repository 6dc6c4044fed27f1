"""The index in PostgreSQL: for many processes on many hosts.

Transactions run READ COMMITTED; rows that several processes change (the parents of an instance) are locked by
the UPDATE that counts, always from series to patient, so that deadlocks are rare and simply tried again.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from ithil.archive.errors import IndexUnavailable, StorageFull
from ithil.archive.index.database import Database

SCHEMA_LOCK = 0x17811  # advisory lock held while the schema changes


class PostgresqlDatabase(Database):
    """The database that a libpq connection string (`conninfo`) leads to."""

    dialect = "postgresql"
    begin = "BEGIN"

    def __init__(self, conninfo: str, *, schema: str = "public", durable: bool = True) -> None:
        super().__init__()
        self._conninfo = conninfo
        self._schema = schema
        self._durable = durable

    def connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('search_path', %s, false)", (self._schema,))
            if not self._durable:
                cursor.execute("SET synchronous_commit = off")
        return connection

    def _translate(self, error: Exception) -> Exception | None:
        if isinstance(error, psycopg.errors.DiskFull):
            return StorageFull("The disk of the database is full")
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            return IndexUnavailable(f"The database cannot be used ({type(error).__name__})")
        return None

    def _is_lost(self, error: BaseException) -> bool:
        if isinstance(error, psycopg.InterfaceError):
            return True
        # An error that the server answered with a code leaves the connection usable, except for the
        # classes 57 (shutdown) and 08 (connection).
        return isinstance(error, psycopg.OperationalError) and (
            error.sqlstate is None or error.sqlstate[:2] in ("57", "08")
        )

    def _is_stale(self, connection: psycopg.Connection[Any]) -> bool:
        # The server says nothing on a connection at rest, unless it ends.
        if connection.closed:
            return True
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def _is_clash(self, error: Exception) -> bool:
        return isinstance(
            error,
            (
                psycopg.errors.DeadlockDetected,
                psycopg.errors.SerializationFailure,
                psycopg.errors.UniqueViolation,
                psycopg.errors.ForeignKeyViolation,  # the parent was deleted while the child was inserted
            ),
        )

    def lacks_table(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.UndefinedTable)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        connection = self._guarded(self.connect)
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", (SCHEMA_LOCK,))
            yield
        finally:
            self._discard(connection)
