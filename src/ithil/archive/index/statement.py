"""A statement written once in SQLAlchemy Core and run at the driver's speed.

SQLAlchemy's own execution costs 50 to 100 microseconds a statement, more than SQLite needs to run it, and an
ingest runs ten of them. So SQLAlchemy is used for what it is best at (one text for every database) and the
compiled text goes to the driver itself with named parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_DIALECTS: dict[str, sa.Dialect] = {
    "sqlite": SQLiteDialect_pysqlite(paramstyle="named"),
    "postgresql": PGDialect_psycopg(),  # type: ignore[no-untyped-call]
}

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class Statement:
    """One SQL statement for all databases; the text for each is made when it is first run there."""

    __slots__ = ("_clauses", "_texts")

    def __init__(self, clause: sa.ClauseElement, *, postgresql: sa.ClauseElement | None = None) -> None:
        """`postgresql` replaces `clause` there, for the few things the databases word differently."""
        self._clauses = {"sqlite": clause, "postgresql": clause if postgresql is None else postgresql}
        self._texts: dict[str, tuple[str, dict[str, Any]]] = {}

    def text(self, dialect: str) -> tuple[str, dict[str, Any]]:
        """The SQL for `sqlite` or `postgresql`, and the constants that stand in it as parameters."""
        found = self._texts.get(dialect)
        if found is None:
            compiled = self._clauses[dialect].compile(dialect=_DIALECTS[dialect])
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            found = self._texts[dialect] = (str(compiled), constants)
        return found


class DriverCursor(Protocol):
    """What `sqlite3` and `psycopg` cursors have in common."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, sql: Any, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: Any, parameters: Any, /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Session:
    """A driver's cursor inside one transaction, or outside any for single reads."""

    __slots__ = ("cursor", "dialect")

    def __init__(self, cursor: DriverCursor, dialect: str) -> None:
        self.cursor = cursor
        self.dialect = dialect

    def run(self, statement: Statement, parameters: Parameters | None = None) -> int:
        """Run a statement whose rows nobody needs; returns how many rows it touched."""
        self._execute(statement, parameters)
        return self.cursor.rowcount

    def run_many(self, statement: Statement, parameters: list[dict[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""
        if parameters:
            text, constants = statement.text(self.dialect)
            if constants:
                parameters = [{**constants, **one} for one in parameters]
            self.cursor.executemany(text, parameters)

    def one(self, statement: Statement, parameters: Parameters | None = None) -> Row | None:
        """The first row of the answer, or None."""
        self._execute(statement, parameters)
        row: Row | None = self.cursor.fetchone()
        return row

    def all(self, statement: Statement, parameters: Parameters | None = None) -> list[Row]:
        """All rows of the answer."""
        self._execute(statement, parameters)
        rows: list[Row] = self.cursor.fetchall()
        return rows

    def _execute(self, statement: Statement, parameters: Parameters | None) -> None:
        text, constants = statement.text(self.dialect)
        if constants:
            self.cursor.execute(text, {**constants, **(parameters or {})})
        else:
            self.cursor.execute(text, parameters or {})
