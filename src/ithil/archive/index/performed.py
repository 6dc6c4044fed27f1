"""The rows of performed procedure steps and of the scheduled ones that they carry out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.read import keys_for
from ithil.archive.index.statement import Session, Statement

_p, _r = t.performed_steps.c, t.performed_step_references.c


class PerformedRow(NamedTuple):
    """One step; `content` is a DICOM file."""

    uid: str
    state: str
    performer: str
    created_at: float
    changed_at: float
    content: bytes


class ReferenceRow(NamedTuple):
    """A scheduled step that a performed one carries out, and the state it has by that."""

    uid: str
    study_instance_uid: str
    scheduled_step_id: str
    state: str


_one = _p.uid == sa.bindparam("key")
_INSERT = Statement(
    sa.insert(t.performed_steps).values({name: sa.bindparam(name) for name in PerformedRow._fields})
)
_INSERT_REFERENCE = Statement(
    sa.insert(t.performed_step_references).values({name: sa.bindparam(name) for name in ReferenceRow._fields})
)
_read = sa.select(*(_p[name] for name in PerformedRow._fields)).where(_one)
_READ = Statement(_read)
_READ_FOR_CHANGE = Statement(_read, postgresql=_read.with_for_update())
_UPDATE = Statement(
    sa.update(t.performed_steps)
    .where(_one)
    .values({name: sa.bindparam(name) for name in ("state", "changed_at", "content")})
)
_UPDATE_REFERENCES = Statement(
    sa.update(t.performed_step_references)
    .where(_r.uid == sa.bindparam("key"))
    .values(state=sa.bindparam("state"))
)
_ANY = Statement(sa.select(_r.uid).limit(1))
_OF_STUDY = Statement(
    sa.select(_r.uid)
    .where(_r.study_instance_uid == sa.bindparam("study"))
    .distinct()
    .order_by(_r.uid)
    .limit(1000)
)


def _references(dialect: str) -> sa.Select[tuple[str, str, str]]:
    return sa.select(_r.study_instance_uid, _r.scheduled_step_id, _r.state).where(
        one_of(_r.study_instance_uid, "keys", sa.Text, dialect)
    )


_REFERENCES = Statement(_references("sqlite"), postgresql=_references("postgresql"))


def insert(session: Session, row: PerformedRow, references: Sequence[ReferenceRow]) -> None:
    """Add a step."""
    session.run(_INSERT, row._asdict())
    session.run_many(_INSERT_REFERENCE, [reference._asdict() for reference in references])


def read(session: Session, uid: str, *, to_change: bool = False) -> PerformedRow | None:
    """The step with that SOP Instance UID; with `to_change` nobody else changes it before the transaction ends."""
    row = session.one(_READ_FOR_CHANGE if to_change else _READ, {"key": uid})
    if row is None:
        return None
    key, state, performer, created_at, changed_at, content = row
    return PerformedRow(key, state, performer, created_at, changed_at, bytes(content))


def update(
    session: Session, uid: str, state: str, content: bytes, changed_at: float, reference_state: str
) -> None:
    """Change a step, and what the scheduled ones are by it."""
    session.run(_UPDATE, {"key": uid, "state": state, "content": content, "changed_at": changed_at})
    session.run(_UPDATE_REFERENCES, {"key": uid, "state": reference_state})


def is_any(session: Session) -> bool:
    """Whether anything was ever performed."""
    return session.one(_ANY) is not None


def references(session: Session, studies: Sequence[str]) -> list[tuple[str, str, str]]:
    """(StudyInstanceUID, id of the scheduled step, its state) of all that was performed in these studies."""
    return [
        (row[0], row[1], row[2])
        for row in session.all(_REFERENCES, {"keys": keys_for(session, list(studies))})
    ]


def of_study(session: Session, study: str) -> list[str]:
    """SOP Instance UIDs of the steps that were performed for a study."""
    return [row[0] for row in session.all(_OF_STUDY, {"study": study})]
