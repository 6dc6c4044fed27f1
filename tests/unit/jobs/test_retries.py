"""Jobs that are tried again: when, behind whom, how many; and states of a newer version."""

from __future__ import annotations

from tests.unit.archive.places import Place
from tests.unit.jobs.conftest import StartEngine, eventually
from tests.unit.jobs.kinds import Gated, kinds

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.index import jobs as rows
from ithil.archive.index.statement import Session
from ithil.jobs import queue
from ithil.jobs.engine import Engine
from ithil.jobs.model import Job, State

PATIENT = {"tries": 2, "seconds": 100}


def found(archive: Archive, job: str) -> Job:
    """The job, which is there."""
    shown = queue.get(archive, job)
    assert shown is not None
    return shown


def waiting(archive: Archive, gated: Gated, **options: int) -> tuple[str, float, float]:
    """A job that was tried once, and two moments between which it was."""
    job = queue.submit(archive, "Patient", PATIENT, **options)
    before = clock.now()[0]
    assert Engine(archive, kinds(gated)).run_one()
    assert found(archive, job).state is State.RETRY
    return job, before, clock.now()[0]


def is_due(archive: Archive, now: float) -> bool:
    with archive.index.read() as session:
        return rows.is_due(session, now)


def wake(archive: Archive, now: float) -> None:
    archive.index.write(lambda session: rows.wake(session, now))


def put_state(archive: Archive, job: str, state: str) -> None:
    archive.index.write(
        lambda session: session.cursor.execute(f"UPDATE jobs SET state = '{state}' WHERE id = '{job}'")
    )


def test_a_job_waits_until_it_is_due(archive: Archive, gated: Gated) -> None:
    job, before, after = waiting(archive, gated)
    assert not is_due(archive, before + 99.9)
    wake(archive, before + 99.9)
    assert found(archive, job).state is State.RETRY
    assert not Engine(archive, kinds(gated)).run_one()
    assert is_due(archive, after + 100)
    wake(archive, after + 100)
    assert found(archive, job).state is State.PENDING
    assert not is_due(archive, after + 100)
    assert Engine(archive, kinds(gated)).run_one()
    assert found(archive, job).state is State.SUCCESS


def test_an_engine_leaves_alone_what_is_not_due(
    archive: Archive, gated: Gated, start_engine: StartEngine
) -> None:
    job, _, _ = waiting(archive, gated)
    start_engine(archive)
    eventually(archive, queue.submit(archive, "Leaving", {"files": []}), State.SUCCESS)
    assert found(archive, job).state is State.RETRY


def test_only_a_job_in_retry_is_woken(archive: Archive) -> None:
    job = queue.submit(archive, "Patient", PATIENT)
    assert queue.pause(archive, job)
    wake(archive, clock.now()[0] + 1e6)
    assert found(archive, job).state is State.PAUSED
    assert not is_due(archive, clock.now()[0] + 1e6)


def test_what_was_not_tried_yet_goes_first(archive: Archive, gated: Gated) -> None:
    again, _, after = waiting(archive, gated, priority=5)
    lowest, _, later = waiting(archive, gated, priority=-50)
    assert found(archive, again).priority == 5
    new = queue.submit(archive, "Leaving", {"files": []})
    wake(archive, max(after, later) + 100)
    assert (found(archive, again).priority, found(archive, lowest).priority) == (-20, -50)
    engine = Engine(archive, kinds(gated))
    for job in (new, again, lowest):
        assert engine.run_one()
        assert found(archive, job).state is State.SUCCESS


def test_no_more_than_so_many_wait(archive: Archive, gated: Gated) -> None:
    new = [queue.prepared("Patient", PATIENT)._replace(state=State.RETRY) for _ in range(rows.MOST_AGAIN - 1)]

    def insert(session: Session) -> None:
        for row in new:
            rows.insert(session, row)

    archive.index.write(insert)
    last, _, _ = waiting(archive, gated)
    one_more = queue.submit(archive, "Patient", PATIENT)
    assert Engine(archive, kinds(gated)).run_one()
    ended = found(archive, one_more)
    assert (ended.state, ended.error_code) == (State.FAILURE, codes.NETWORK_PROTOCOL)
    assert (ended.error_details, ended.completed_at is None) == ("The modality is away", False)
    assert queue.cancel(archive, last)
    assert queue.resubmit(archive, one_more)
    assert Engine(archive, kinds(gated)).run_one()
    assert found(archive, one_more).state is State.SUCCESS  # its second try


def test_due_jobs_are_found_by_an_index(sqlite: Place) -> None:
    """On SQLite only: PostgreSQL's planner prefers to read a small table."""
    archive = sqlite.open()
    plans: list[str] = []
    for query in (
        "SELECT id FROM jobs WHERE state = ? AND lease_until <= ? LIMIT 1",
        "SELECT max(priority) FROM jobs WHERE state = ? AND type = ?",
    ):
        with archive.index.read() as session:
            session.cursor.execute("EXPLAIN QUERY PLAN " + query, ("Retry", 1.0))
            plans.append(str([tuple(row) for row in session.cursor.fetchall()]))
    assert "ix_jobs_due (state=? AND lease_until<?)" in plans[0]
    assert "ix_jobs_queue" in plans[1]


def test_a_state_of_a_newer_version_is_shown_as_pending_and_left_alone(
    archive: Archive, gated: Gated
) -> None:
    newer, other = (queue.submit(archive, "Leaving", {"files": []}) for _ in range(2))
    put_state(archive, newer, "Scheduled")
    assert {job.id: job.state for job in queue.jobs(archive)} == {
        newer: State.PENDING,
        other: State.PENDING,
    }
    assert found(archive, newer).state is State.PENDING
    assert queue.counts(archive)[State.PENDING] == 2
    for act in (queue.cancel, queue.pause, queue.resume, queue.resubmit):
        assert not act(archive, newer)
    engine = Engine(archive, kinds(gated))
    assert engine.run_one()
    assert not engine.run_one()
    assert queue.counts(archive)[State.PENDING] == 1
    with archive.index.read() as session:
        assert rows.state(session, newer) == ("Scheduled", "")
