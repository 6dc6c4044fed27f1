"""The rows of jobs: a queue that many processes work on.

Every step from one state to another is an UPDATE that names the state it starts from, and for a job that runs
also its `owner`, which is one run of one process. So whoever comes second changes nothing and learns that from
the number of rows: a process that was held up longer than its lease cannot write over what another one does.

Only text and numbers here; what the JSON in the columns means is a matter of `ithil.jobs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from ithil.archive.index import job_outputs
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement

_j = t.jobs.c
_id = _j.id == sa.bindparam("key")
_mine = sa.and_(_id, _j.state == "Running", _j.owner == sa.bindparam("me"))
ENDED = ("Success", "Failure")
"""The states of jobs that have ended."""
AGAIN_PRIORITY = -20
"""The priority, at most, of jobs that are tried again: what has not been tried yet goes first, deliveries too."""
MOST_AGAIN = 1000
"""How many jobs may wait to be tried again; about, since several processes may count at the same time."""

_finished = sa.or_(*(_j.state == state for state in ENDED))


def _values(*names: str) -> dict[str, Any]:
    return {name: sa.bindparam(name) for name in names}


def _one_of(kinds: tuple[str, ...]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.false(), *(_j.type == kind for kind in kinds))


class NewJob(NamedTuple):
    """A row as it is submitted; JSON in `arguments`, `content` and `user_data`."""

    id: str
    type: str
    state: str
    priority: int
    created_at: float
    changed_at: float
    arguments: str
    content: str
    user_data: str | None


class JobRow(NamedTuple):
    """What clients may see of a job."""

    id: str
    type: str
    state: str
    priority: int
    created_at: float
    changed_at: float
    completed_at: float | None
    runtime: float
    progress: float
    content: str
    error_code: int
    error_details: str
    error_payload: str | None
    user_data: str | None


class TakenJob(NamedTuple):
    """What a run of a job needs."""

    id: str
    type: str
    arguments: str
    checkpoint: str
    content: str
    runtime: float
    progress: float


class RunningJob(NamedTuple):
    """Who runs a job, until when that holds, and what a client wishes of it meanwhile."""

    id: str
    owner: str
    lease_until: float
    wish: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends: the state the job goes to, and what is kept of it."""

    state: str
    progress: float
    checkpoint: str
    content: str
    error_code: int = 0
    error_details: str = ""
    completed_at: float | None = None
    error_payload: str | None = None
    due_at: float | None = None  # of a job that will be tried again


_VISIBLE = tuple(_j[name] for name in JobRow._fields)
_INSERT = Statement(sa.insert(t.jobs).values(_values(*NewJob._fields)))
_READ = Statement(sa.select(*_VISIBLE).where(_id))
_STATE = Statement(sa.select(_j.state, _j.wish).where(_id))
_COUNTS = Statement(sa.select(_j.state, sa.func.count()).group_by(_j.state))
_RUNNING = Statement(
    sa.select(*(_j[name] for name in RunningJob._fields)).where(_j.state == "Running").limit(10_000)
)
_STEP = Statement(
    sa.update(t.jobs)
    .where(_id, _j.state == sa.bindparam("before"))
    .values(
        state=sa.bindparam("after"),
        changed_at=sa.bindparam("now"),
        completed_at=sa.bindparam("completed_at"),
        error_code=sa.bindparam("error_code"),
        error_details="",
        error_payload=sa.null(),
        lease_until=sa.null(),
        wish="",
    )
)
_due = sa.and_(_j.state == "Retry", _j.lease_until <= sa.bindparam("now"))
_IS_DUE = Statement(sa.select(_j.id).where(_due).limit(1))
_later = sa.case((_j.priority < AGAIN_PRIORITY, _j.priority), else_=AGAIN_PRIORITY)
_WAKE = Statement(
    sa.update(t.jobs).where(_due).values(state="Pending", lease_until=sa.null(), priority=_later)
)
_AGAIN = sa.select(_j.id).where(_j.state == "Retry").limit(MOST_AGAIN).subquery()
_MANY_AGAIN = Statement(sa.select(sa.func.count()).select_from(_AGAIN))
_wish_of = sa.select(_j.wish, _j.checkpoint).where(_mine)
_WISH_OF = Statement(_wish_of, postgresql=_wish_of.with_for_update())
_WISH = Statement(sa.update(t.jobs).where(_id, _j.state == "Running").values(wish=sa.bindparam("wish")))
_TAKE = Statement(
    sa.update(t.jobs)
    .where(_id, _j.state == "Pending")
    .values(
        state="Running",
        owner=sa.bindparam("me"),
        lease_until=sa.bindparam("lease_until"),
        changed_at=sa.bindparam("now"),
        wish="",
        error_code=0,
        error_details="",
        error_payload=sa.null(),
    )
)
_RENEW = Statement(sa.update(t.jobs).where(_mine).values(lease_until=sa.bindparam("lease_until")))
_SAVE = Statement(
    sa.update(t.jobs)
    .where(_mine)
    .values(
        **_values("checkpoint", "content", "progress", "lease_until", "runtime"),
        changed_at=sa.bindparam("now"),
    )
    .returning(_j.wish)
)
_END = Statement(
    sa.update(t.jobs)
    .where(_mine)
    .values(
        **_values(
            *("state", "checkpoint", "content", "progress", "runtime", "error_code", "error_details"),
            *("error_payload", "completed_at"),
        ),
        changed_at=sa.bindparam("now"),
        wish="",
        owner=sa.null(),
        lease_until=sa.bindparam("due_at"),
    )
)
_LOSE = Statement(
    sa.update(t.jobs)
    .where(_mine)
    .values(
        **_values("state", "checkpoint", "error_code", "error_details", "completed_at"),
        changed_at=sa.bindparam("now"),
        wish="",
        owner=sa.null(),
        lease_until=sa.null(),
    )
)
_RESTART = Statement(
    sa.update(t.jobs)
    .where(_id, _j.state == "Failure")
    .values(
        state="Pending",
        changed_at=sa.bindparam("now"),
        completed_at=sa.null(),
        wish="",
        checkpoint=sa.bindparam("checkpoint"),
    )
)
_CHECKPOINT = Statement(sa.select(_j.checkpoint).where(_id))
_UNFINISHED_IDS = Statement(
    sa.select(_j.id)
    .where(sa.not_(_finished), _j.id > sa.bindparam("after"))
    .order_by(_j.id)
    .limit(sa.bindparam("limit"))
)
_FINISHED_IDS = Statement(
    sa.select(_j.id)
    .where(_finished)
    .order_by(_j.completed_at.desc(), _j.id.desc())
    .limit(sa.bindparam("limit"))
)
_OLDEST_KEPT = Statement(
    sa.select(_j.completed_at)
    .where(_finished)
    .order_by(_j.completed_at.desc(), _j.id.desc())
    .limit(1)
    .offset(sa.bindparam("others"))
)
_ENDED_BEFORE = Statement(
    sa.select(_j.id).where(_finished, _j.completed_at < sa.bindparam("before")).limit(sa.bindparam("limit"))
)
_DELETE = Statement(sa.delete(t.jobs).where(_id, _finished))


def insert(session: Session, new: NewJob) -> None:
    """Add a job."""
    session.run(_INSERT, new._asdict())


def read(session: Session, key: str) -> JobRow | None:
    """The job with the id `key`."""
    row = session.one(_READ, {"key": key})
    return None if row is None else JobRow(*row)


def state(session: Session, key: str) -> tuple[str, str] | None:
    """State and wish of a job."""
    row = session.one(_STATE, {"key": key})
    return None if row is None else (row[0], row[1])


def counts(session: Session) -> dict[str, int]:
    """How many jobs are in each state that has any."""
    return dict(session.all(_COUNTS))


def running(session: Session) -> list[RunningJob]:
    """All jobs that any process runs."""
    return [RunningJob(*row) for row in session.all(_RUNNING)]


def step(session: Session, key: str, before: str, after: str, now: float, error_code: int = 0) -> bool:
    """Move a job that nobody runs from one state to another; False if it is not in the first any more."""
    completed_at = now if after == "Failure" else None
    values = {"key": key, "before": before, "after": after, "now": now, "error_code": error_code}
    return session.run(_STEP, {**values, "completed_at": completed_at}) == 1


def is_due(session: Session, now: float) -> bool:
    """Whether there is a job that is to be tried again by now."""
    return session.one(_IS_DUE, {"now": now}) is not None


def wake(session: Session, now: float) -> None:
    """Queue the jobs that are to be tried again by now, behind those that have not been tried yet."""
    session.run(_WAKE, {"now": now})


def too_many_wait(session: Session) -> bool:
    """Whether so many jobs wait to be tried again that no more may."""
    row = session.one(_MANY_AGAIN)
    return row is not None and row[0] >= MOST_AGAIN


def wish(session: Session, key: str, what: str) -> bool:
    """Note what a client wants of a job that runs; False if it does not run any more."""
    return session.run(_WISH, {"key": key, "wish": what}) == 1


def restart(session: Session, key: str, checkpoint: str, now: float) -> bool:
    """Queue a failed job again, to go on from `checkpoint`; False if it is not a failed one."""
    return session.run(_RESTART, {"key": key, "checkpoint": checkpoint, "now": now}) == 1


def checkpoint(session: Session, key: str) -> str:
    """What a job keeps for its next run."""
    row = session.one(_CHECKPOINT, {"key": key})
    return row[0] if row else "{}"


@lru_cache(maxsize=16)
def _next(kinds: tuple[str, ...]) -> tuple[Statement, Statement]:
    """(whether there is one, which one): the first job in the queue of the given kinds.

    The highest priority is looked up by itself, since no index is sorted downwards by priority and upwards by
    time; so each of the two looks reads one entry of the index however long the queue is.
    """
    ready = sa.and_(_j.state == "Pending", _one_of(kinds))
    highest = sa.select(sa.func.max(_j.priority)).where(ready).scalar_subquery()
    columns = tuple(_j[name] for name in TakenJob._fields)
    first = sa.select(*columns).where(ready, _j.priority == highest).order_by(_j.created_at, _j.id).limit(1)
    return (
        Statement(sa.select(_j.id).where(ready).limit(1)),
        Statement(first, postgresql=first.with_for_update(skip_locked=True)),
    )


def is_waiting(session: Session, kinds: Sequence[str]) -> bool:
    """Whether any job of these kinds is in the queue."""
    return session.one(_next(tuple(kinds))[0]) is not None


def take(session: Session, kinds: Sequence[str], me: str, now: float, seconds: float) -> TakenJob | None:
    """Give the first job of these kinds in the queue to the run `me` for `seconds`; None if there is none,
    or if others are just taking those there are."""
    row = session.one(_next(tuple(kinds))[1])
    if row is None:
        return None
    values = {"key": row[0], "me": me, "now": now, "lease_until": now + seconds}
    return TakenJob(*row) if session.run(_TAKE, values) else None


def renew(session: Session, leases: Sequence[tuple[str, str]], lease_until: float) -> None:
    """Lengthen the leases of (job, run)."""
    session.run_many(_RENEW, [{"key": key, "me": me, "lease_until": lease_until} for key, me in leases])


def wish_of(session: Session, key: str, me: str) -> tuple[str, str] | None:
    """(what a client wishes of the job, its checkpoint), None if the run `me` has it no more.

    Neither changes before the end of the transaction.
    """
    row = session.one(_WISH_OF, {"key": key, "me": me})
    return None if row is None else (row[0], row[1])


def save(
    session: Session,
    key: str,
    me: str,
    checkpoint: str,
    content: str,
    progress: float,
    runtime: float,
    now: float,
    seconds: float,
) -> str | None:
    """Keep where the run `me` of a job is; gives the wish of a client, None if the run has lost the job."""
    values = {"key": key, "me": me, "checkpoint": checkpoint, "content": content, "progress": progress}
    row = session.one(_SAVE, {**values, "runtime": runtime, "now": now, "lease_until": now + seconds})
    return None if row is None else str(row[0])


def end(session: Session, key: str, me: str, outcome: Outcome, runtime: float, now: float) -> bool:
    """Bring the run `me` of a job to its end; False if the run has lost the job."""
    values = {
        "key": key,
        "me": me,
        "now": now,
        "runtime": runtime,
        "state": outcome.state,
        "progress": outcome.progress,
        "checkpoint": outcome.checkpoint,
        "content": outcome.content,
        "error_code": outcome.error_code,
        "error_details": outcome.error_details,
        "error_payload": outcome.error_payload,
        "completed_at": outcome.completed_at,
        "due_at": outcome.due_at,
    }
    return session.run(_END, values) == 1


def lose(
    session: Session,
    lost: RunningJob,
    state: str,
    checkpoint: str,
    now: float,
    error_code: int = 0,
    error_details: str = "",
) -> bool:
    """Take a job from a run whose process is gone; False if that run has ended it meanwhile."""
    values = {
        "key": lost.id,
        "me": lost.owner,
        "state": state,
        "checkpoint": checkpoint,
        "now": now,
        "error_code": error_code,
        "error_details": error_details,
        "completed_at": now if state == "Failure" else None,
    }
    return session.run(_LOSE, values) == 1


def unfinished_ids(session: Session, after: str, limit: int) -> list[str]:
    """Ids of jobs that have not ended, in the order of the ids, from the one after `after` on."""
    return [row[0] for row in session.all(_UNFINISHED_IDS, {"after": after, "limit": limit})]


def finished_ids(session: Session, limit: int) -> list[str]:
    """Ids of the jobs that ended last, the last one first."""
    return [row[0] for row in session.all(_FINISHED_IDS, {"limit": limit})]


def past_history(session: Session, keep: int, limit: int, before: float) -> list[str]:
    """Up to `limit` ids of finished jobs that are not among the last `keep`, and ended before a moment."""
    if keep > 0:
        row = session.one(_OLDEST_KEPT, {"others": keep - 1})
        if row is None:
            return []
        before = min(before, row[0] or 0.0)
    return [row[0] for row in session.all(_ENDED_BEFORE, {"before": before, "limit": limit})]


def delete(session: Session, key: str, now: float) -> bool:
    """Forget a finished job and its outputs; False if there is no such job, or it has not finished."""
    if not session.run(_DELETE, {"key": key}):
        return False
    job_outputs.drop_all(session, key, now)
    return True
