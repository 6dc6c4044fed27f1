"""Ten thousand jobs in the queue, and files of jobs beside those of the archive."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from tests.unit.archive.places import image, put
from tests.unit.jobs.conftest import StartEngine, eventually
from tests.unit.jobs.kinds import Leaving

from ithil.archive.archive import Archive
from ithil.archive.check import check
from ithil.archive.index import jobs as rows
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.jobs import checkpoint, queue
from ithil.jobs.engine import Engine, prune
from ithil.jobs.model import State

MANY = 10_000


def fill(archive: Archive, kind: str, count: int = MANY) -> None:
    """`count` jobs in the queue, of ten priorities."""

    def insert(session: Session) -> None:
        for number in range(count):
            job = f"{number:08x}-0000-4000-8000-000000000000"
            new = rows.NewJob(
                job,
                kind,
                State.PENDING,
                number % 10,
                float(number),
                float(number),
                '{"files": []}',
                "{}",
                None,
            )
            rows.insert(session, new)

    archive.index.write(insert)


def test_a_long_queue_stays_quick(archive: Archive) -> None:
    fill(archive, "Leaving")
    began = time.monotonic()
    listed = list(queue.ids(archive))
    assert len(listed) == MANY
    assert listed == sorted(listed)
    assert sum(1 for _ in queue.jobs(archive)) == MANY
    assert queue.counts(archive)[State.PENDING] == MANY
    listing = time.monotonic() - began
    engine = Engine(archive, {"Leaving": Leaving("Leaving")})
    began = time.monotonic()
    for _ in range(50):
        assert engine.run_one()
    running = time.monotonic() - began
    done = [job for job in queue.jobs(archive) if job.state is State.SUCCESS]
    assert len(done) == archive.settings.jobs_history_size
    assert all(job.priority == 9 for job in done)
    # Seconds, with room for a slow machine: each job costs a few milliseconds, not the length of the queue.
    assert listing < 15
    assert running < 5


def test_the_history_is_cut_and_its_files_go(archive: Archive) -> None:
    fill(archive, "Leaving", 300)
    engine = Engine(archive, {"Leaving": Leaving("Leaving")})
    first = queue.submit(archive, "Leaving", {"files": [["archive", "text"]]}, priority=1000)
    while engine.run_one():
        pass
    assert queue.counts(archive)[State.SUCCESS] == 301
    assert len(list(queue.ids(archive))) == 10
    assert queue.get(archive, first) is not None  # for whoever waits for it
    assert prune(archive) == 0
    assert prune(archive, grace=0.0) == 291
    assert queue.counts(archive)[State.SUCCESS] == 10
    assert queue.get(archive, first) is None
    assert queue.output(archive, first, "archive") is None
    assert len(list(queue.ids(archive))) == 10


def test_a_check_knows_the_files_of_jobs(archive: Archive, start_engine: StartEngine) -> None:
    put(archive, image())
    start_engine(archive)
    job = queue.submit(archive, "Archive", {"files": [["archive", "text"], ["other", "text"]]})
    eventually(archive, job, State.SUCCESS)
    found = queue.output(archive, job, "other")
    assert found is not None
    report = check(archive, minimum_age=0.0)
    # One of the two: MediaArchiveSize is 1, and the other waits to be removed.
    assert (report.orphans.count, report.files, report.sound) == (0, 1, True)
    assert check(archive, remove_orphans=True, minimum_age=0.0).removed == 0
    assert archive.storage.read(found.uuid) == b"text"


@pytest.mark.parametrize("column", ["arguments", "checkpoint", "content", "user_data"])
def test_a_damaged_row_harms_nobody_else(archive: Archive, column: str) -> None:
    engine = Engine(archive, {"Leaving": Leaving("Leaving")})
    damaged = queue.submit(archive, "Leaving", {"files": []}, priority=1, user_data="x")
    sound = queue.submit(archive, "Leaving", {"files": []})
    statement = Statement(sa.update(t.jobs).where(t.jobs.c.id == damaged).values({column: "{dam"}))
    archive.index.write(lambda session: session.run(statement))
    while engine.run_one():
        pass
    shown = {job.id: job for job in queue.jobs(archive)}
    assert shown[sound].state is State.SUCCESS
    assert shown[damaged].is_finished
    if shown[damaged].state is State.FAILURE:
        assert "damaged" in shown[damaged].error_details
        assert queue.resubmit(archive, damaged)
        assert engine.run_one() is (column == "user_data")
    assert queue.delete(archive, damaged)


def test_losses_are_forgotten_with_progress() -> None:
    text, losses = checkpoint.lost(checkpoint.pack({"done": 3}))
    assert losses == 1
    assert checkpoint.unpack(text) == ({"done": 3}, 1)
    assert checkpoint.unpack(checkpoint.unlost(text)) == ({"done": 3}, 0)
    assert checkpoint.unpack("{}") == ({}, 0)
