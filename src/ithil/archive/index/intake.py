"""The rows of the intake: the bytes of instances whose files may not have reached the disk (archive/intake.py)."""

from __future__ import annotations

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_c = t.intake.c
_ADD = Statement(
    sa.insert(t.intake).values({name: sa.bindparam(name) for name in ("instance", "uuid", "content")})
)
_DROP = Statement(sa.delete(t.intake).where(_c.instance == sa.bindparam("instance")))
_DROP_FILE = Statement(
    sa.delete(t.intake).where(_c.instance == sa.bindparam("instance"), _c.uuid == sa.bindparam("uuid"))
)
_NAMES = Statement(
    sa.select(_c.instance, _c.uuid)
    .where(_c.instance > sa.bindparam("after"))
    .order_by(_c.instance)
    .limit(5000)
)
_CONTENT = Statement(
    sa.select(_c.content).where(_c.instance == sa.bindparam("instance"), _c.uuid == sa.bindparam("uuid"))
)


def add(session: Session, instance: int, uuid: str, content: bytes) -> None:
    """Keep the bytes of a file together with the row that names it."""
    session.run(_ADD, {"instance": instance, "uuid": uuid, "content": content})


def drop(session: Session, instances: list[int]) -> None:
    """Forget the bytes of instances that are deleted."""
    session.run_many(_DROP, [{"instance": instance} for instance in instances])


def drop_files(session: Session, files: list[tuple[int, str]]) -> None:
    """Forget the bytes of files (instance, uuid) that are on the disk; not those of a successor."""
    session.run_many(_DROP_FILE, [{"instance": instance, "uuid": uuid} for instance, uuid in files])


def names(session: Session, after: int = 0) -> list[tuple[int, str]]:
    """(instance, uuid) of the next files, beginning after the instance with that internal id."""
    return [(row[0], row[1]) for row in session.all(_NAMES, {"after": after})]


def content(session: Session, instance: int, uuid: str) -> bytes | None:
    """The bytes of a file, or None if another process has dropped them."""
    row = session.one(_CONTENT, {"instance": instance, "uuid": uuid})
    return bytes(row[0]) if row else None
