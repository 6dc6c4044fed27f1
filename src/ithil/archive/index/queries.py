"""The rows of queries to other servers and of their answers.

The row of a query comes first and gets its number of answers last, so nobody sees a query whose answers still
come, and answers without a query are never there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_q, _a = t.queries.c, t.query_answers.c


class QueryRow(NamedTuple):
    """A query as it was asked; `answers` is None while they still come."""

    id: str
    modality: str
    level: int
    query: str
    local_aet: str
    timeout: int | None
    transfer_syntax: str
    answers: int | None
    used_at: float


_key = _q.id == sa.bindparam("key")
_INSERT = Statement(sa.insert(t.queries).values({name: sa.bindparam(name) for name in QueryRow._fields}))
_READ = Statement(sa.select(*(_q[name] for name in QueryRow._fields)).where(_key, _q.answers.is_not(None)))
_IDS = Statement(sa.select(_q.id).where(_q.answers.is_not(None)).order_by(_q.id))
_FINISH = Statement(
    sa.update(t.queries)
    .where(_key)
    .values({name: sa.bindparam(name) for name in ("answers", "transfer_syntax", "used_at")})
)
_TOUCH = Statement(sa.update(t.queries).where(_key).values(used_at=sa.bindparam("used_at")))
_DELETE = Statement(sa.delete(t.queries).where(_key))
_DELETE_ANSWERS = Statement(sa.delete(t.query_answers).where(_a.query == sa.bindparam("key")))
_SURPLUS = Statement(
    sa.select(_q.id)
    .where(_q.answers.is_not(None))
    .order_by(_q.used_at.desc(), _q.id)
    .limit(1000)
    .offset(sa.bindparam("keep"))
)
_LOST = Statement(
    sa.select(_q.id).where(_q.answers.is_(None), _q.used_at < sa.bindparam("before")).limit(1000)
)
_ADD_ANSWER = Statement(
    sa.insert(t.query_answers).values({name: sa.bindparam(name) for name in ("query", "number", "content")})
)
_PAGE = Statement(
    sa.select(_a.number, _a.content)
    .where(_a.query == sa.bindparam("key"), _a.number >= sa.bindparam("first"))
    .order_by(_a.number)
    .limit(sa.bindparam("limit"))
)


def insert(session: Session, row: QueryRow) -> None:
    """Add a query."""
    session.run(_INSERT, row._asdict())


def read(session: Session, key: str) -> QueryRow | None:
    """A query that has been answered."""
    row = session.one(_READ, {"key": key})
    return None if row is None else QueryRow(*row)


def ids(session: Session) -> list[str]:
    """The ids of all that have been answered, sorted."""
    return [row[0] for row in session.all(_IDS)]


def finish(session: Session, key: str, answers: int, transfer_syntax: str, used_at: float) -> bool:
    """Note that all answers have come; False if the query is not there any more."""
    values = {"key": key, "answers": answers, "transfer_syntax": transfer_syntax, "used_at": used_at}
    return session.run(_FINISH, values) == 1


def touch(session: Session, key: str, used_at: float) -> None:
    """Note that a query was looked at."""
    session.run(_TOUCH, {"key": key, "used_at": used_at})


def delete(session: Session, key: str) -> bool:
    """Forget a query and its answers; False if it is not there."""
    session.run(_DELETE_ANSWERS, {"key": key})
    return session.run(_DELETE, {"key": key}) == 1


def surplus(session: Session, keep: int, lost_before: float) -> list[str]:
    """Ids of the queries beyond the `keep` that were used last, and of those whose process died long ago."""
    found = session.all(_SURPLUS, {"keep": keep}) + session.all(_LOST, {"before": lost_before})
    return [row[0] for row in found]


def add_answers(session: Session, key: str, first: int, contents: Sequence[bytes]) -> None:
    """Add answers, the first of which has the number `first`."""
    session.run_many(
        _ADD_ANSWER,
        [
            {"query": key, "number": number, "content": content}
            for number, content in enumerate(contents, first)
        ],
    )


def page(session: Session, key: str, first: int, limit: int) -> list[tuple[int, bytes]]:
    """Up to `limit` answers from number `first` on."""
    found = session.all(_PAGE, {"key": key, "first": first, "limit": limit})
    return [(number, bytes(content)) for number, content in found]
