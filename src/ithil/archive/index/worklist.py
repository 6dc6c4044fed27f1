"""The rows of scheduled procedure steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.read import keys_for
from ithil.archive.index.statement import Row, Session, Statement

_w, _s = t.worklists.c, t.studies.c


class WorklistRow(NamedTuple):
    """One item; `study` is the public id of its study, `content` a DICOM file."""

    id: str
    created_at: float
    study: str
    content: bytes


_one = _w.id == sa.bindparam("key")
_COLUMNS = tuple(_w[name] for name in WorklistRow._fields)
_INSERT = Statement(sa.insert(t.worklists).values({name: sa.bindparam(name) for name in WorklistRow._fields}))
_UPDATE = Statement(
    sa.update(t.worklists).where(_one).values({name: sa.bindparam(name) for name in ("study", "content")})
)
_READ = Statement(sa.select(*_COLUMNS).where(_one))
_PAGE = Statement(
    sa.select(*_COLUMNS).where(_w.id > sa.bindparam("after")).order_by(_w.id).limit(sa.bindparam("limit"))
)
_DELETE = Statement(sa.delete(t.worklists).where(_one))
_COUNT = Statement(sa.select(sa.func.count()).select_from(t.worklists))
_DONE = Statement(
    sa.delete(t.worklists).where(
        _w.study.in_(sa.select(_s.public_id).where(_s.stable_at.is_(None))), _w.study != ""
    )
)
_DONE_IDS = Statement(
    sa.select(_w.id)
    .join_from(t.worklists, t.studies, _w.study == _s.public_id)
    .where(_s.stable_at.is_(None))
    .limit(1)
)
_OLD = Statement(sa.delete(t.worklists).where(_w.created_at < sa.bindparam("before")))
_OLD_IDS = Statement(sa.select(_w.id).where(_w.created_at < sa.bindparam("before")).limit(1))


def _stable(dialect: str) -> sa.Select[tuple[str]]:
    return sa.select(_s.public_id).where(
        one_of(_s.public_id, "keys", sa.Text, dialect), _s.stable_at.is_(None)
    )


_STABLE = Statement(_stable("sqlite"), postgresql=_stable("postgresql"))


def insert(session: Session, row: WorklistRow) -> None:
    """Add an item."""
    session.run(_INSERT, row._asdict())


def update(session: Session, key: str, study: str, content: bytes) -> bool:
    """Replace an item; False if there is none."""
    return session.run(_UPDATE, {"key": key, "study": study, "content": content}) == 1


def read(session: Session, key: str) -> WorklistRow | None:
    """The item with that id."""
    row = session.one(_READ, {"key": key})
    return None if row is None else _row(row)


def page(session: Session, after: str, limit: int) -> list[WorklistRow]:
    """Items in the order of their ids, from the one after `after` on."""
    return [_row(row) for row in session.all(_PAGE, {"after": after, "limit": limit})]


def delete(session: Session, key: str) -> bool:
    """Forget an item; False if there is none."""
    return session.run(_DELETE, {"key": key}) == 1


def count(session: Session) -> int:
    """How many items there are."""
    row = session.one(_COUNT)
    return int(row[0]) if row else 0


def has_done(session: Session) -> bool:
    """Whether `delete_done` would find anything."""
    return session.one(_DONE_IDS) is not None


def delete_done(session: Session) -> int:
    """Forget the items whose study is stored and stable; gives how many."""
    return session.run(_DONE)


def has_old(session: Session, before: float) -> bool:
    """Whether `delete_old` would find anything."""
    return session.one(_OLD_IDS, {"before": before}) is not None


def delete_old(session: Session, before: float) -> int:
    """Forget the items that were made before a moment; gives how many."""
    return session.run(_OLD, {"before": before})


def stable_studies(session: Session, studies: Sequence[str]) -> set[str]:
    """Those of the public ids whose study is stored and stable."""
    return {row[0] for row in session.all(_STABLE, {"keys": keys_for(session, list(studies))})}


def _row(row: Row) -> WorklistRow:
    key, created_at, study, content = row
    return WorklistRow(key, created_at, study, bytes(content))
