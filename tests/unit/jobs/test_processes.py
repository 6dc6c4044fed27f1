"""Jobs that survive the processes that run them: kill -9, leases, fences, and jobs that kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest
from tests.unit.archive.places import Place
from tests.unit.jobs import process
from tests.unit.jobs.conftest import StartEngine, eventually, until
from tests.unit.jobs.kinds import Gated

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.index import jobs as rows
from ithil.jobs import process_name, queue
from ithil.jobs.kind import Interrupted
from ithil.jobs.model import State
from ithil.jobs.pool import Pool
from ithil.jobs.run import Run

STEPS = 60


@pytest.fixture
def processes() -> Iterator[list[BaseProcess]]:
    """Processes that the test starts, ended with it."""
    started: list[BaseProcess] = []
    yield started
    for one in started:
        with suppress(ValueError):
            one.kill()
            one.join()


def tries(folder: Path) -> list[tuple[int, int]]:
    """(step, process id) of each step that was begun, in order."""
    try:
        text = (folder / "tried").read_text()
    except FileNotFoundError:
        return []
    return [(int(number), int(pid)) for number, pid in (line.split() for line in text.splitlines())]


@pytest.mark.parametrize("at_once", [True, False], ids=["saved at once", "saved now and then"])
def test_another_process_ends_the_job_of_a_killed_one(
    place: Place, processes: list[BaseProcess], tmp_path: Path, at_once: bool
) -> None:
    archive = place.open()
    processes += [process.start(place) for _ in range(2)]
    job = queue.submit(
        archive, "Steps", {"count": STEPS, "seconds": 0.03, "folder": str(tmp_path), "at_once": at_once}
    )
    until(lambda: len(tries(tmp_path)) > STEPS // 3, "a third of the steps is done")
    victim = tries(tmp_path)[-1][1]
    psutil.Process(victim).kill()
    ended = eventually(archive, job, State.SUCCESS, State.FAILURE, seconds=60)
    assert ended.state is State.SUCCESS
    assert ended.content == {"Done": STEPS}
    done = tries(tmp_path)
    assert len({pid for _, pid in done}) == 2
    assert sorted(tmp_path.glob("effect-*")) == sorted(tmp_path / f"effect-{n}" for n in range(STEPS))
    again = [number for number, times in Counter(number for number, _ in done).items() if times > 1]
    # Only what was done and not saved yet is done again, to no effect.
    assert len(again) <= (1 if at_once else STEPS // 2)
    assert max(Counter(number for number, _ in done).values()) <= 2


def test_a_process_that_stops_in_order_hands_its_job_over(
    place: Place, processes: list[BaseProcess], tmp_path: Path
) -> None:
    archive = place.open()
    first = process.start(place)
    processes.append(first)
    job = queue.submit(archive, "Steps", {"count": STEPS, "seconds": 0.03, "folder": str(tmp_path)})
    until(lambda: len(tries(tmp_path)) > 10, "some steps are done")
    first.terminate()
    first.join(30)
    assert first.exitcode == 0
    left = queue.get(archive, job)
    assert left is not None
    assert left.state is State.PENDING
    processes.append(process.start(place))
    assert eventually(archive, job, State.SUCCESS, seconds=60).content == {"Done": STEPS}
    assert [number for number, _ in tries(tmp_path)] == list(range(STEPS))


def test_a_job_that_kills_every_process_fails_in_the_end(
    place: Place, processes: list[BaseProcess], start_engine: StartEngine
) -> None:
    archive = place.open()
    start_engine(archive)  # does not know that kind, and sees what becomes of the others
    job = queue.submit(archive, "Deadly", {})
    for _ in range(3):
        eventually(archive, job, State.PENDING)
        processes.append(process.start(place))
        processes[-1].join(60)
        assert processes[-1].exitcode == -9
    ended = eventually(archive, job, State.FAILURE)
    assert ended.error_code == codes.INTERNAL_ERROR
    assert "3 processes" in ended.error_details
    assert queue.resubmit(archive, job)
    assert eventually(archive, job, State.PENDING)


def run_elsewhere(archive: Archive, lease: float) -> Run:
    """A job as it is run by a process on another host, whose lease ends after `lease` seconds."""
    queue.submit(archive, "Gated", {"count": 2}, content={"By": "the other"})
    now, _ = clock.now()
    taken = archive.index.write(lambda session: rows.take(session, ["Gated"], "otherhost#1", now, lease))
    assert taken is not None
    return Run(archive, taken, "otherhost#1", Pool(archive.settings, 1))


def test_a_lease_that_ends_gives_the_job_to_another_host(
    archive: Archive, start_engine: StartEngine, gated: Gated
) -> None:
    run = run_elsewhere(archive, 1.0)
    start_engine(archive)
    assert not gated.started.acquire(timeout=0.3)
    assert gated.started.acquire(timeout=30)
    # The other host was only slow. It learns that the job is no longer its own, and changes nothing.
    run.content["By"] = "the late one"
    with pytest.raises(Interrupted):
        run.save(0.9, now=True)
    assert not run.end(run.outcome("Success"))
    for _ in range(2):
        gated.gate.release()
    assert eventually(archive, run.id, State.SUCCESS).content == {"By": "the other", "Done": 2}


def test_who_saves_keeps_the_lease(archive: Archive, start_engine: StartEngine, gated: Gated) -> None:
    run = run_elsewhere(archive, 1.0)
    run.save(0.5, now=True)
    start_engine(archive)
    assert not gated.started.acquire(timeout=2.5)
    assert run.end(run.outcome("Success"))


@pytest.mark.parametrize(("wish", "state"), [("cancel", State.FAILURE), ("pause", State.PAUSED)])
def test_a_wish_survives_the_process(
    archive: Archive, start_engine: StartEngine, wish: str, state: State
) -> None:
    run = run_elsewhere(archive, 0.2)
    assert queue.cancel(archive, run.id) if wish == "cancel" else queue.pause(archive, run.id)
    start_engine(archive)
    found = eventually(archive, run.id, state)
    assert found.error_code == (codes.CANCELED_JOB if wish == "cancel" else 0)


@pytest.mark.parametrize("state", ["Pending", "Paused"])
def test_a_cancel_at_the_last_moment_counts(archive: Archive, state: str) -> None:
    run = run_elsewhere(archive, 60)
    outcome = run.outcome(state)
    assert queue.cancel(archive, run.id)
    assert run.end(outcome)
    found = queue.get(archive, run.id)
    assert found is not None
    assert (found.state, found.error_code) == (State.FAILURE, codes.CANCELED_JOB)
    assert found.completed_at is not None


def test_a_process_knows_which_of_its_neighbours_are_gone(
    processes: list[BaseProcess], sqlite: Place
) -> None:
    assert not process_name.is_gone(process_name.own_name())
    assert not process_name.is_gone("otherhost:1:2:3")
    assert not process_name.is_gone("")
    surroundings, _, _, token = process_name.own_name().rsplit(":", 3)
    assert process_name.is_gone(f"{surroundings}:{2**22 + 1}:1:{token}")
    assert process_name.is_gone(f"{surroundings}:{psutil.Process().pid}:1:{token}")  # the id was given again
