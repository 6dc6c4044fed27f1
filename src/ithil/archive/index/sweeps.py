"""The rows behind the periodic work: leases that give a sweep to one process, and files waiting to be removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_l, _d = t.leases.c, t.deleted_files.c


def _take(insert: Callable[[Any], Any]) -> Any:
    """INSERT, or UPDATE where the lease has ended or is the owner's already; a row comes back if so."""
    statement = insert(t.leases).values({name: sa.bindparam(name) for name in ("name", "owner", "until")})
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": statement.excluded.owner, "until": statement.excluded.until},
        where=sa.or_(_l.until < sa.bindparam("now"), _l.owner == sa.bindparam("owner")),
    ).returning(_l.owner)


_TAKE = Statement(_take(sqlite_insert), postgresql=_take(postgresql_insert))
_WAITING = Statement(
    sa.select(_d.uuid, _d.content_type)
    .where(_d.deleted_at <= sa.bindparam("before"))
    .limit(sa.bindparam("limit"))
)
_FORGET = Statement(sa.delete(t.deleted_files).where(_d.uuid == sa.bindparam("uuid")))


def take_lease(session: Session, name: str, owner: str, now: float, seconds: float) -> bool:
    """Take or renew the lease `name` for `owner`; False while another living process has it."""
    row = session.one(_TAKE, {"name": name, "owner": owner, "now": now, "until": now + seconds})
    return row is not None


def waiting_files(session: Session, before: float, limit: int) -> list[tuple[str, int]]:
    """(uuid, content type) of files whose rows went before the given time (seconds since 1970)."""
    return [(uuid, kind) for uuid, kind in session.all(_WAITING, {"before": before, "limit": limit})]


def forget_files(session: Session, uuids: list[str]) -> None:
    """Take files off the list after their removal."""
    session.run_many(_FORGET, [{"uuid": uuid} for uuid in uuids])
