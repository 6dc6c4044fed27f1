"""The rows of what other servers were asked to commit to, and of instances by their SOP Instance UID."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.read import DICOM_FILE_COLUMNS, keys_for
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import DICOM_FILE, Attachment

_r = t.commitment_reports.c
_i = t.instances.c


class ReportRow(NamedTuple):
    """One request; `instances` and `outcome` are JSON, the latter None while there is no answer."""

    uid: str
    remote_aet: str
    instances: str
    outcome: str | None
    used_at: float


class StoredInstance(NamedTuple):
    """An instance as a commitment looks at it."""

    id: str
    sop_class: str
    sop_instance: str
    file: Attachment


_one = _r.uid == sa.bindparam("key")
_INSERT = Statement(
    sa.insert(t.commitment_reports).values({name: sa.bindparam(name) for name in ReportRow._fields})
)
_READ = Statement(sa.select(*(_r[name] for name in ReportRow._fields)).where(_one))
_ANSWER = Statement(
    sa.update(t.commitment_reports)
    .where(_one)
    .values(outcome=sa.bindparam("outcome"), used_at=sa.bindparam("used_at"))
)
_TOUCH = Statement(sa.update(t.commitment_reports).where(_one).values(used_at=sa.bindparam("used_at")))
_DELETE = Statement(sa.delete(t.commitment_reports).where(_one))
_SURPLUS = Statement(
    sa.select(_r.uid).order_by(_r.used_at.desc(), _r.uid).limit(1000).offset(sa.bindparam("keep"))
)
_COLUMNS = (_i.public_id, _i.sop_class_uid, _i.sop_instance_uid, *DICOM_FILE_COLUMNS)
_BY_UID = Statement(
    sa.select(*_COLUMNS).where(_i.sop_instance_uid == sa.bindparam("uid")).order_by(_i.id).limit(100)
)


def _identities(dialect: str) -> sa.Select[tuple[str, str, str]]:
    return sa.select(_i.public_id, _i.sop_class_uid, _i.sop_instance_uid).where(
        one_of(_i.public_id, "keys", sa.Text, dialect)
    )


_IDENTITIES = Statement(_identities("sqlite"), postgresql=_identities("postgresql"))


def insert(session: Session, row: ReportRow) -> None:
    """Add a request."""
    session.run(_INSERT, row._asdict())


def read(session: Session, uid: str) -> ReportRow | None:
    """The request with that transaction UID."""
    row = session.one(_READ, {"key": uid})
    return None if row is None else ReportRow(*row)


def answer(session: Session, uid: str, outcome: str, used_at: float) -> bool:
    """Note what came of a request; False if there is none with that transaction UID."""
    return session.run(_ANSWER, {"key": uid, "outcome": outcome, "used_at": used_at}) == 1


def touch(session: Session, uid: str, used_at: float) -> None:
    """Note that a report was looked at."""
    session.run(_TOUCH, {"key": uid, "used_at": used_at})


def delete(session: Session, uid: str) -> bool:
    """Forget a request; False if there is none."""
    return session.run(_DELETE, {"key": uid}) == 1


def surplus(session: Session, keep: int) -> list[str]:
    """Transaction UIDs of the requests beyond the `keep` that were used last."""
    return [row[0] for row in session.all(_SURPLUS, {"keep": keep})]


def stored(session: Session, sop_instance: str) -> list[StoredInstance]:
    """The instances with that SOP Instance UID: several if it is stored for several patients or studies."""
    return [
        StoredInstance(row[0], row[1], row[2], Attachment(DICOM_FILE, *row[3:]))
        for row in session.all(_BY_UID, {"uid": sop_instance})
    ]


def identities(session: Session, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
    """SOP class and SOP instance by public id, without what is unknown."""
    rows = session.all(_IDENTITIES, {"keys": keys_for(session, list(instances))})
    return {row[0]: (row[1], row[2]) for row in rows}
