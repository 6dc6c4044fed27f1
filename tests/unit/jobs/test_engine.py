"""Running jobs: order, results, failures, pauses, cancels, restarts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.unit.archive.places import Place, image, put
from tests.unit.jobs.conftest import StartEngine, eventually, until
from tests.unit.jobs.kinds import Gated, kinds

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.export.stream import Wish
from ithil.archive.index import job_outputs
from ithil.archive.index.job_outputs import OutputRow
from ithil.archive.sweeps import remove_files
from ithil.error_codes import CodedError
from ithil.jobs import queue
from ithil.jobs.engine import Engine
from ithil.jobs.kinds.archive import arguments
from ithil.jobs.model import State
from ithil.jobs.run import Run


def tried(folder: Path) -> list[int]:
    """The numbers of the steps that were begun, in order."""
    return [int(line.split()[0]) for line in (folder / "tried").read_text().splitlines()]


def test_a_job_runs_to_its_end(archive: Archive, start_engine: StartEngine, tmp_path: Path) -> None:
    start_engine(archive)
    job = queue.submit(
        archive,
        "Steps",
        {"count": 3, "folder": str(tmp_path)},
        priority=7,
        user_data={"ward": [1, None]},
        content={"Description": "three steps"},
    )
    ended = eventually(archive, job, State.SUCCESS)
    assert tried(tmp_path) == [0, 1, 2]
    assert (ended.progress, ended.error_code, ended.error_details) == (1.0, 0, "")
    assert ended.content == {"Description": "three steps", "Done": 3}
    assert (ended.priority, ended.user_data, ended.type) == (7, {"ward": [1, None]}, "Steps")
    assert ended.completed_at is not None
    assert ended.created_at <= ended.completed_at


def test_the_highest_priority_first_then_the_oldest(
    place: Place, start_engine: StartEngine, gated: Gated
) -> None:
    archive = place.open(concurrent_jobs=1)
    for label, priority in (("a", 0), ("b", -5), ("c", 9), ("d", 0), ("e", 9)):
        queue.submit(archive, "Gated", {}, priority=priority, content={"Label": label})
    start_engine(archive)
    for _ in range(5):
        assert gated.started.acquire(timeout=30)
        gated.gate.release()
    assert gated.order == ["c", "e", "a", "d", "b"]


def test_no_more_run_at_the_same_time_than_configured(
    place: Place, start_engine: StartEngine, gated: Gated
) -> None:
    archive = place.open(concurrent_jobs=2)
    start_engine(archive)
    for _ in range(3):
        queue.submit(archive, "Gated", {})
    assert gated.started.acquire(timeout=30)
    assert gated.started.acquire(timeout=30)
    assert not gated.started.acquire(timeout=1.5)
    assert queue.counts(archive)[State.RUNNING] == 2
    assert queue.counts(archive)[State.PENDING] == 1
    gated.gate.release()
    assert gated.started.acquire(timeout=30)


@pytest.mark.parametrize(
    ("how", "code", "details"),
    [
        ("coded", codes.INEXISTENT_ITEM, "The study is not there"),
        ("surprise", codes.INTERNAL_ERROR, ""),
        ("content", codes.INTERNAL_ERROR, ""),
    ],
)
def test_a_failure_says_why(
    archive: Archive,
    start_engine: StartEngine,
    how: str,
    code: int,
    details: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    start_engine(archive)
    job = queue.submit(archive, "Failing", {"how": how})
    ended = eventually(archive, job, State.FAILURE)
    assert (ended.error_code, ended.error_details) == (code, details)
    assert "Doe" not in caplog.text


def test_pause_and_resume_between_two_steps(
    archive: Archive, start_engine: StartEngine, gated: Gated
) -> None:
    start_engine(archive)
    job = queue.submit(archive, "Gated", {"count": 4})
    assert gated.started.acquire(timeout=30)
    gated.gate.release()
    assert queue.pause(archive, job)
    gated.gate.release()
    paused = eventually(archive, job, State.PAUSED)
    done = paused.content["Done"]
    assert done in (1, 2)
    assert paused.progress == done / 4
    assert not gated.started.acquire(timeout=1.2)
    assert queue.resume(archive, job)
    assert gated.started.acquire(timeout=30)
    for _ in range(4):
        gated.gate.release()
    assert eventually(archive, job, State.SUCCESS).content["Done"] == 4


def test_cancel_and_resubmit(archive: Archive, start_engine: StartEngine, gated: Gated) -> None:
    start_engine(archive)
    job = queue.submit(archive, "Gated", {"count": 3})
    assert gated.started.acquire(timeout=30)
    assert queue.cancel(archive, job)
    assert queue.pause(archive, job)  # the cancel is the stronger wish
    gated.gate.release()
    ended = eventually(archive, job, State.FAILURE)
    assert (ended.error_code, ended.content["Done"]) == (codes.CANCELED_JOB, 1)
    assert queue.resubmit(archive, job)
    assert gated.started.acquire(timeout=30)
    for _ in range(2):
        gated.gate.release()
    ended = eventually(archive, job, State.SUCCESS)
    assert (ended.error_code, ended.content["Done"]) == (0, 3)


def test_wishes_reach_a_job_of_another_process(place: Place, start_engine: StartEngine, gated: Gated) -> None:
    """The other process is an archive of its own, so that nothing but the index is shared."""
    here, elsewhere = place.open(), place.open()
    start_engine(here)
    job = queue.submit(elsewhere, "Gated", {"count": 2})
    assert gated.started.acquire(timeout=30)
    assert queue.pause(elsewhere, job)
    gated.gate.release()
    eventually(elsewhere, job, State.PAUSED)
    assert queue.cancel(elsewhere, job)
    assert eventually(here, job, State.FAILURE).error_code == codes.CANCELED_JOB


def test_a_stop_returns_jobs_to_the_queue_with_what_they_have_done(
    place: Place, start_engine: StartEngine, gated: Gated
) -> None:
    archive = place.open()
    engine = start_engine(archive)
    job = queue.submit(archive, "Gated", {"count": 3})
    assert gated.started.acquire(timeout=30)
    engine.interrupt()
    gated.gate.release()
    engine.stop(30)
    left = eventually(archive, job, State.PENDING)
    assert left.content == {"Done": 1}
    next_one = place.open()
    start_engine(next_one)
    for _ in range(2):
        gated.gate.release()
    assert eventually(next_one, job, State.SUCCESS).content == {"Done": 3}


def test_jobs_of_unknown_kinds_are_left_to_others(
    archive: Archive, start_engine: StartEngine, tmp_path: Path
) -> None:
    start_engine(archive)
    newer = queue.submit(archive, "FromTheFuture", {}, priority=100)
    known = queue.submit(archive, "Steps", {"count": 1, "folder": str(tmp_path)})
    eventually(archive, known, State.SUCCESS)
    found = queue.get(archive, newer)
    assert found is not None
    assert found.state is State.PENDING


def test_a_read_only_archive_runs_nothing(place: Place, start_engine: StartEngine) -> None:
    place.open()
    archive = place.open(read_only=True)
    start_engine(archive)
    with pytest.raises(ReadOnly):
        queue.submit(archive, "Steps", {})


def test_user_data_is_bounded(archive: Archive) -> None:
    with pytest.raises(CodedError) as refused:
        queue.submit(archive, "Steps", {}, user_data="x" * (queue.MOST_USER_DATA + 1))
    assert refused.value.status == 400


def test_the_history_is_bounded(place: Place, start_engine: StartEngine, tmp_path: Path) -> None:
    archive = place.open(jobs_history_size=3)
    start_engine(archive)
    submitted = [
        queue.submit(archive, "Steps", {"count": 0, "folder": str(tmp_path)}, priority=-number)
        for number in range(8)
    ]
    for job in submitted:
        eventually(archive, job, State.SUCCESS)
    waiting = queue.submit(archive, "FromTheFuture", {})
    assert set(queue.ids(archive)) == {*submitted[-3:], waiting} or len(list(queue.ids(archive))) == 4


def test_outputs_stay_until_the_job_goes(place: Place, start_engine: StartEngine) -> None:
    archive = place.open(media_archive_size=2)
    start_engine(archive)
    jobs = []
    for number in range(3):
        jobs.append(queue.submit(archive, "Archive", {"files": [["archive", f"text {number}"]]}))
        eventually(archive, jobs[-1], State.SUCCESS)
    found = [queue.output(archive, job, "archive") for job in jobs]
    assert found[0] is None
    assert found[2] is not None
    assert archive.storage.read(found[2].uuid) == b"text 2"
    assert (found[2].media_type, found[2].filename) == ("application/zip", "archive.zip")
    assert queue.delete_output(archive, jobs[1], "archive")
    assert not queue.delete_output(archive, jobs[1], "archive")
    assert queue.delete(archive, jobs[2])
    assert queue.output(archive, jobs[2], "archive") is None
    assert queue.get(archive, jobs[2]) is None
    assert not queue.delete(archive, jobs[2])


def test_an_output_stays_when_its_commit_is_tried_again(archive: Archive) -> None:
    """A connection that breaks off after the commit has the transaction run once more."""
    job = queue.submit(archive, "Archive", {})
    writer = archive.storage.writer()
    writer.write(b"text")
    writer.finish()
    row = OutputRow("archive", writer.uuid, writer.size, "application/zip", "archive.zip")
    for _ in range(2):
        archive.index.write(lambda session: job_outputs.add(session, job, row, 0.0))
    remove_files(archive, "sweeper", delay=0.0)
    assert queue.output(archive, job, "archive") == row
    assert archive.storage.read(writer.uuid) == b"text"


def test_the_name_of_an_archive_may_hold_anything(archive: Archive) -> None:
    study = put(archive, image()).study
    job = queue.submit(archive, "Archive", arguments([study], Wish(), "a\0b.zip"))
    Engine(archive).run_one()
    found = queue.output(archive, job, "archive")
    assert found is not None
    assert found.filename == "ab.zip"


def test_a_job_that_is_taken_while_the_engine_stops_goes_back(
    archive: Archive, gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.submit(archive, "Gated", {"count": 2})
    engine = Engine(archive, kinds(gated))
    take = engine._taken

    def taken() -> Run | None:
        run = take()
        engine.interrupt()
        return run

    monkeypatch.setattr(engine, "_taken", taken)
    engine.start()
    assert gated.started.acquire(timeout=30)
    gated.gate.release()
    assert eventually(archive, job, State.PENDING).content == {"Done": 1}
    engine.stop(10)


def test_what_could_not_be_done_is_tried_again(archive: Archive, start_engine: StartEngine) -> None:
    job = queue.submit(archive, "Patient", {"tries": 3, "seconds": 0.01})
    start_engine(archive)
    ended = eventually(archive, job, State.SUCCESS)
    assert (ended.content, ended.error_code, ended.error_details) == ({"Tried": 3}, 0, "")


def test_a_job_that_waits_for_its_next_try_says_why_and_can_be_sent_off(
    place: Place, start_engine: StartEngine
) -> None:
    archive = place.open()
    engine = start_engine(archive)
    jobs = [queue.submit(archive, "Patient", {"tries": 2, "seconds": 3600}) for _ in range(3)]
    waiting = [eventually(archive, job, State.RETRY) for job in jobs]
    assert {(job.error_code, job.error_details, job.is_finished) for job in waiting} == {
        (codes.NETWORK_PROTOCOL, "The modality is away", False)
    }
    assert queue.cancel(archive, jobs[0])
    assert queue.pause(archive, jobs[1])
    with pytest.raises(CodedError):
        queue.delete(archive, jobs[2])
    engine.stop(10)
    later = place.open()  # as a process that starts afterwards
    start_engine(later)
    assert queue.resume(later, jobs[2])
    assert eventually(later, jobs[2], State.SUCCESS).content == {"Tried": 2}
    states = [job.state for job in map(partial(queue.get, later), jobs[:2]) if job is not None]
    assert states == [State.FAILURE, State.PAUSED]
    assert queue.resume(later, jobs[1])
    eventually(later, jobs[1], State.SUCCESS)


def test_only_finished_jobs_can_be_deleted(archive: Archive) -> None:
    job = queue.submit(archive, "Steps", {})
    with pytest.raises(CodedError) as refused:
        queue.delete(archive, job)
    assert refused.value.status == 400
    assert queue.get(archive, job) is not None


def test_results_come_from_other_processes(archive: Archive, start_engine: StartEngine) -> None:
    start_engine(archive)
    job = queue.submit(archive, "Computing", {"items": [1, 2, 3, "nice"]})
    ended = eventually(archive, job, State.SUCCESS, State.FAILURE, seconds=60)
    assert ended.content["Results"][:3] == [2, 4, 6], ended
    assert ended.content["Results"][3] > 0
    until(lambda: queue.counts(archive)[State.RUNNING] == 0, "nothing runs")
