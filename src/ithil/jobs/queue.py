"""What can be done about jobs from outside of the engine: submit, look, stop, start again, forget.

All of it works from any process. A job that runs is told what a client wishes of it, and follows at its next
step; everything else happens at once. Who changes a row names the state that it expects, and looks again when
another process was faster.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import job_outputs
from ithil.archive.index import jobs as rows
from ithil.archive.index.database import Retry
from ithil.archive.index.job_outputs import OutputRow
from ithil.archive.index.jobs import JobRow
from ithil.archive.index.statement import Session
from ithil.error_codes import CodedError
from ithil.jobs import checkpoint, notices
from ithil.jobs.model import CANCEL, PAUSE, Job, State

MOST_USER_DATA = 1024 * 1024  # bytes of JSON
_PAGE = 100


def submit(
    archive: Archive,
    kind: str,
    arguments: dict[str, Any],
    *,
    priority: int = 0,
    user_data: Any = None,
    content: dict[str, Any] | None = None,
) -> str:
    """Put a job into the queue; gives its id. It is durable when this returns.

    `arguments` are what the kind makes of them; `content` is what clients see before the job has begun; both
    must be JSON. Raises ReadOnly for an archive that is, CodedError for user data that is too large.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only, so no job can be run")
    new = prepared(kind, arguments, priority=priority, user_data=user_data, content=content)
    archive.index.write(lambda session: rows.insert(session, new))
    notices.of(archive).stir()
    return new.id


def prepared(
    kind: str,
    arguments: dict[str, Any],
    *,
    priority: int = 0,
    user_data: Any = None,
    content: dict[str, Any] | None = None,
) -> rows.NewJob:
    """The row of a new job, for who inserts it in a transaction of his own; see `submit`."""
    data = None if user_data is None else _json(user_data)
    if data is not None and len(data) > MOST_USER_DATA:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The user data of a job is limited to 1 MB")
    now, _ = clock.now()
    return rows.NewJob(
        id=str(uuid.uuid4()),
        type=kind,
        state=State.PENDING,
        priority=priority,
        created_at=now,
        changed_at=now,
        arguments=_json(arguments),
        content=_json(content or {}),
        user_data=data,
    )


def get(archive: Archive, job: str) -> Job | None:
    """The job with that id, None if there is none."""
    with archive.index.read() as session:
        row = rows.read(session, job)
    return None if row is None else _job(row)


def ids(archive: Archive) -> Iterator[str]:
    """The ids, in their order, of all jobs that have not ended and of the last `JobsHistorySize` that have.

    Read in pages: what is submitted or ends meanwhile may be missing, but nothing comes twice.
    """
    with archive.index.read() as session:
        ended = sorted(rows.finished_ids(session, archive.settings.jobs_history_size))
    last = ""
    for job in merge(_unfinished_ids(archive), ended):
        if job != last:
            yield job
        last = job


def _unfinished_ids(archive: Archive) -> Iterator[str]:
    after = ""
    while True:
        with archive.index.read() as session:
            page = rows.unfinished_ids(session, after, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]


def jobs(archive: Archive) -> Iterator[Job]:
    """The same jobs in full."""
    listed = ids(archive)
    while page := list(islice(listed, _PAGE)):
        with archive.index.read() as session:
            found = [rows.read(session, job) for job in page]
        yield from (_job(row) for row in found if row is not None)


def counts(archive: Archive) -> dict[State, int]:
    """How many jobs are in each state."""
    with archive.index.read() as session:
        found = rows.counts(session)
    shown = dict.fromkeys(State, 0)
    for word, count in found.items():
        shown[_state(word) or State.PENDING] += count
    return shown


def cancel(archive: Archive, job: str) -> bool:
    """End a job as a failure; one that has ended stays as it is. False if there is no such job."""

    def work(session: Session, state: State) -> bool:
        if state is State.RUNNING:
            return rows.wish(session, job, CANCEL)
        return rows.step(session, job, state, State.FAILURE, clock.now()[0], codes.CANCELED_JOB)

    return _act(archive, job, work, {State.RUNNING, State.PENDING, State.PAUSED, State.RETRY}, set(State))


def pause(archive: Archive, job: str) -> bool:
    """Hold a job until it is resumed; one that has ended stays as it is. False if there is no such job."""

    def work(session: Session, state: State) -> bool:
        if state in (State.PENDING, State.RETRY):
            return rows.step(session, job, state, State.PAUSED, clock.now()[0])
        now = rows.state(session, job)
        if now == (State.RUNNING, CANCEL):
            return True  # to be cancelled is the stronger wish
        return rows.wish(session, job, PAUSE)

    return _act(archive, job, work, {State.RUNNING, State.PENDING, State.RETRY}, set(State))


def resume(archive: Archive, job: str) -> bool:
    """Let a paused job go on, or one that waits to be tried again; False if it is neither."""

    def work(session: Session, state: State) -> bool:
        return rows.step(session, job, state, State.PENDING, clock.now()[0])

    return _act(archive, job, work, {State.PAUSED, State.RETRY}, {State.PAUSED, State.RETRY})


def resubmit(archive: Archive, job: str) -> bool:
    """Queue a failed job again, which goes on after its last finished step; False if it has not failed."""

    def work(session: Session, state: State) -> bool:
        kept = checkpoint.unlost(rows.checkpoint(session, job))
        return rows.restart(session, job, kept, clock.now()[0])

    return _act(archive, job, work, {State.FAILURE}, {State.FAILURE})


def _act(
    archive: Archive,
    job: str,
    work: Callable[[Session, State], bool],
    acting: set[State],
    allowed: set[State],
) -> bool:
    """Do `work` if the job is in one of the states `acting`; gives whether its state is an `allowed` one."""

    def act(session: Session) -> tuple[bool, bool]:
        found = rows.state(session, job)
        state = None if found is None else _state(found[0])
        if state is None or state not in allowed:
            return False, False
        if state not in acting:
            return True, False
        if not work(session, state):
            raise Retry  # the job has gone on since it was looked at, as PostgreSQL shows
        return True, True

    allowed_there, changed = archive.index.write(act)
    if changed:
        told = notices.of(archive)
        told.stir()
        told.tell_end(job)  # whoever waits for it looks whether it has ended
    return allowed_there


def delete(archive: Archive, job: str) -> bool:
    """Forget a job that has finished, and its outputs; False if there is no such job.

    Raises CodedError (bad request) for a job that has not finished.
    """

    def work(session: Session) -> bool:
        if rows.state(session, job) is None:
            return False
        if not rows.delete(session, job, clock.now()[0]):
            raise CodedError(codes.BAD_REQUEST, "Only jobs that have finished can be deleted")
        return True

    return archive.index.write(work)


def output(archive: Archive, job: str, name: str) -> OutputRow | None:
    """The file `name` of a job, None if there is no such job or file."""
    with archive.index.read() as session:
        return job_outputs.read(session, job, name)


def delete_output(archive: Archive, job: str, name: str) -> bool:
    """Forget the file `name` of a job; False if there is none."""

    def work(session: Session) -> bool:
        found = job_outputs.read(session, job, name)
        return found is not None and job_outputs.drop(session, job, found, clock.now()[0])

    return archive.index.write(work)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _job(row: JobRow) -> Job:
    return Job(
        **{
            **row._asdict(),
            "state": _state(row.state) or State.PENDING,
            "content": _parsed(row.content, {}),
            "error_payload": None if row.error_payload is None else _parsed(row.error_payload, None),
            "user_data": None if row.user_data is None else _parsed(row.user_data, None),
        }
    )


def _state(word: str) -> State | None:
    """The state of that name; None for one of a newer version, whose jobs are shown as pending and left alone."""
    try:
        return State(word)
    except ValueError:
        return None


def _parsed(text: str, otherwise: Any) -> Any:
    """What a column holds; a damaged one must not hide the other jobs."""
    try:
        return orjson.loads(text)
    except ValueError:
        return otherwise
