"""The files that jobs leave for their clients: rows that name files of the storage area."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.index import remove
from ithil.archive.index import tables as t
from ithil.archive.index.remove import RemovedFile
from ithil.archive.index.statement import Session, Statement

NO_CONTENT = 0  # content type of the outputs of jobs in the list of deleted files

_j, _o = t.jobs.c, t.job_outputs.c


class OutputRow(NamedTuple):
    """A file of a job, in the storage under `uuid`."""

    name: str
    uuid: str
    size: int
    media_type: str
    filename: str


_OUTPUT_COLUMNS = tuple(_o[name] for name in OutputRow._fields)
_OUTPUTS = Statement(sa.select(*_OUTPUT_COLUMNS).where(_o.job == sa.bindparam("key")).order_by(_o.name))
_OUTPUT = Statement(
    sa.select(*_OUTPUT_COLUMNS).where(_o.job == sa.bindparam("key"), _o.name == sa.bindparam("name"))
)
_ADD_OUTPUT = Statement(
    sa.insert(t.job_outputs).values(
        job=sa.bindparam("key"),
        **{name: sa.bindparam(name) for name in OutputRow._fields},
        created_at=sa.bindparam("now"),
    )
)
_DROP_OUTPUT = Statement(
    sa.delete(t.job_outputs).where(_o.job == sa.bindparam("key"), _o.name == sa.bindparam("name"))
)


def of_job(session: Session, key: str) -> list[OutputRow]:
    """The files that a job has made."""
    return [OutputRow(*row) for row in session.all(_OUTPUTS, {"key": key})]


def read(session: Session, key: str, name: str) -> OutputRow | None:
    """One of the files that a job has made."""
    row = session.one(_OUTPUT, {"key": key, "name": name})
    return None if row is None else OutputRow(*row)


def add(session: Session, key: str, new: OutputRow, now: float) -> None:
    """Note a file of a job; another one of the same name goes."""
    former = read(session, key, new.name)
    if former is not None and former.uuid == new.uuid:
        return  # an earlier try was committed although its answer got lost
    if former is not None:
        drop(session, key, former, now)
    session.run(_ADD_OUTPUT, {"key": key, **new._asdict(), "now": now})


def drop(session: Session, key: str, gone: OutputRow, now: float) -> bool:
    """Forget a file of a job and have it removed from the storage."""
    if not session.run(_DROP_OUTPUT, {"key": key, "name": gone.name}):
        return False
    remove.queue_files(session, [RemovedFile(gone.uuid, NO_CONTENT, gone.size, gone.size)], now)
    return True


@lru_cache(maxsize=16)
def _surplus(kinds: tuple[str, ...]) -> Statement:
    return Statement(
        sa.select(_o.job, *_OUTPUT_COLUMNS)
        .join_from(t.job_outputs, t.jobs, _o.job == _j.id)
        .where(sa.or_(sa.false(), *(_j.type == kind for kind in kinds)))
        .order_by(_o.created_at.desc())
        .limit(1000)
        .offset(sa.bindparam("keep"))
    )


def drop_surplus(session: Session, kinds: Sequence[str], keep: int, now: float) -> int:
    """Forget the outputs of jobs of these kinds but for the newest `keep`; gives how many."""
    rows = session.all(_surplus(tuple(kinds)), {"keep": keep})
    for key, *gone in rows:
        drop(session, key, OutputRow(*gone), now)
    return len(rows)


def drop_all(session: Session, key: str, now: float) -> None:
    """Forget all files of a job."""
    for gone in of_job(session, key):
        drop(session, key, gone, now)
