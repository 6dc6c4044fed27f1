"""The pool of processes: order, failures, crashes, sharing, and that nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.unit.jobs.conftest import until
from tests.unit.jobs.kinds import Odd, compute

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.jobs.kind import Interrupted
from ithil.jobs.pool import Pool
from ithil.settings import Settings


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(Settings(), 2)
    yield made
    made.close()


def children() -> int:
    """How many processes this one has that compute for jobs."""
    count = 0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            count += "spawn_main" in " ".join(child.cmdline())
    return count


def test_results_come_in_order_from_several_processes(pool: Pool) -> None:
    assert list(pool.each(compute, range(20))) == [2 * number for number in range(20)]
    pids = set(pool.each(compute, ["process"] * 20))
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_only_a_few_items_are_taken_before_their_turn(pool: Pool) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    results = pool.each(compute, items(), ahead=3)
    assert next(results) == 0
    assert taken <= 3
    assert next(results) == 2
    assert taken <= 4
    results.close()  # type: ignore[attr-defined]


def test_a_refusal_comes_at_its_place_as_it_was_raised(pool: Pool) -> None:
    results = pool.each(compute, [1, "refuse", 3])
    assert next(results) == 2
    with pytest.raises(CodedError) as refused:
        next(results)
    assert (refused.value.code, refused.value.details, refused.value.status) == (
        codes.BAD_FILE_FORMAT,
        "No such picture",
        400,
    )
    assert list(pool.each(compute, [4])) == [8]


def test_a_crash_fails_its_item_alone(pool: Pool) -> None:
    for number in (1, 2, 3):
        with pytest.raises(CodedError, match="have died"):
            list(pool.each(compute, ["crash"]))
        assert list(pool.each(compute, [number])) == [2 * number]
    neighbours = pool.each(compute, [1, 2, "crash"])
    assert [next(neighbours), next(neighbours)] == [2, 4]
    with pytest.raises(CodedError):
        next(neighbours)


def test_a_process_that_died_at_rest_costs_nothing(pool: Pool) -> None:
    for pid in set(pool.each(compute, ["process"] * 8)):
        os.kill(pid, 9)
    assert list(pool.each(compute, [1, 2, 3])) == [2, 4, 6]


def test_what_cannot_be_sent_is_an_error_and_no_loss(pool: Pool) -> None:
    with pytest.raises(CodedError, match="Odd"):
        list(pool.each(compute, ["odd"]))
    with pytest.raises(Exception, match="pickle"):
        list(pool.each(compute, [lambda: None]))
    assert Odd is not None
    assert list(pool.each(compute, [1, 2, 3])) == [2, 4, 6]


def test_a_consumer_that_leaves_gives_its_processes_back(pool: Pool) -> None:
    for _ in range(5):
        results = pool.each(compute, range(100))
        next(results)
        results.close()  # type: ignore[attr-defined]
    assert list(pool.each(compute, range(5))) == [0, 2, 4, 6, 8]
    assert children() <= 2


def test_waiting_can_be_interrupted(pool: Pool) -> None:
    stopped = threading.Event()

    def interrupted() -> None:
        if stopped.is_set():
            raise Interrupted

    threading.Timer(0.5, stopped.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        list(pool.each(compute, ["slow"], interrupted=interrupted))
    assert time.monotonic() - began < 20


def test_a_job_that_must_stop_does_not_fail_by_the_closed_pool(pool: Pool) -> None:
    def interrupted() -> None:
        raise Interrupted

    pool.close()
    with pytest.raises(Interrupted):
        list(pool.each(compute, [1], interrupted=interrupted))


def test_jobs_share_the_processes(pool: Pool) -> None:
    """A job with endless work does not keep another one from ending."""
    stop = threading.Event()

    def forever() -> Iterator[int]:
        while not stop.is_set():
            yield 1

    greedy = threading.Thread(target=lambda: list(pool.each(compute, forever())))
    greedy.start()
    try:
        assert list(pool.each(compute, range(30))) == [2 * number for number in range(30)]
    finally:
        stop.set()
        greedy.join(30)


def test_processes_end_when_they_have_nothing_to_do(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(pool.each(compute, [1])) == [2]
    pool.tidy()
    assert children() >= 1
    monkeypatch.setattr("ithil.jobs.pool.IDLE_SECONDS", 0.0)
    pool.tidy()
    until(lambda: children() == 0, "the processes are gone")
    assert list(pool.each(compute, [1])) == [2]


def test_a_process_that_hangs_after_its_consumer_has_gone_is_ended(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each codec that never returns would take a place of the pool for ever."""
    stopped = threading.Event()

    def interrupted() -> None:
        if stopped.is_set():
            raise Interrupted

    threading.Timer(0.5, stopped.set).start()
    with pytest.raises(Interrupted):
        list(pool.each(compute, ["slow"], interrupted=interrupted))
    pool.tidy()
    assert children() == 1
    monkeypatch.setattr("ithil.jobs.pool.IDLE_SECONDS", 0.0)
    pool.tidy()
    assert children() == 0
    assert list(pool.each(compute, [1, 2, 3])) == [2, 4, 6]


def test_closing_ends_what_still_computes(pool: Pool) -> None:
    failed = threading.Event()

    def draw() -> None:
        try:
            list(pool.each(compute, ["slow"]))
        except CodedError:
            failed.set()

    drawing = threading.Thread(target=draw)
    drawing.start()
    until(lambda: children() == 1, "a process computes")
    pool.close()
    drawing.join(30)
    assert failed.is_set()
    assert children() == 0
    with pytest.raises(CodedError):
        list(pool.each(compute, [1]))


def test_closing_ends_a_process_that_just_starts(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    start = pool._start

    def start_and_close() -> object:
        worker = start()
        pool.close()
        return worker

    monkeypatch.setattr(pool, "_start", start_and_close)
    with pytest.raises(CodedError):
        list(pool.each(compute, ["slow"]))
    assert children() == 0


_SERVER = """
import sys
from tests.unit.jobs.kinds import compute
from ithil.jobs.pool import Pool
from ithil.settings import Settings
if __name__ == "__main__":
    pool = Pool(Settings(), 1)
    print(*pool.each(compute, ["process"]), flush=True)
    if sys.argv[1] == "wait":
        list(pool.each(compute, ["slow"]))
"""


@pytest.mark.parametrize("end", ["kill", "exit"])
def test_the_processes_end_with_the_server(tmp_path: Path, end: str) -> None:
    script = tmp_path / "server.py"
    script.write_text(_SERVER)
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, str(script), "wait" if end == "kill" else "end"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"},
    ) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        if end == "kill":
            server.kill()
        server.wait(30)
    until(lambda: not psutil.pid_exists(pid), "the process of the pool is gone")
