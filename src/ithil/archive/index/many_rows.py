"""Several rows with one statement, for SQLite.

Its driver lets other threads compute at every row that it inserts, and takes the interpreter back afterwards. While
many threads receive, that costs more than the row. One statement for many rows lets go once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson

from ithil.archive.index.statement import Session

_MOST_ROWS = 64  # in one statement; SQLite takes 32,766 parameters, and the widest rows have 20


def insert(session: Session, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, in their order."""
    start = 0
    while start < len(rows):
        # Few different lengths, so that the driver has the statements ready.
        count = min(_MOST_ROWS, 1 << ((len(rows) - start).bit_length() - 1))
        values = [value for row in rows[start : start + count] for value in row]
        session.cursor.execute(_text(table, columns, count), values)
        start += count


@cache
def _text(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"


def free_ids(session: Session, public_ids: Sequence[str]) -> int | None:
    """The internal id from which on new instances can be numbered; None if one of the public ids is taken.

    Both are true until the end of a transaction that writes.
    """
    row = session.cursor.execute(
        "SELECT (SELECT max(id) FROM instances), EXISTS (SELECT 1 FROM instances WHERE public_id IN"
        " (SELECT value FROM json_each(?)))",
        (orjson.dumps(public_ids).decode(),),
    ).fetchone()
    return None if row[1] else (row[0] or 0) + 1
