"""Engines over an archive of the test's own, on SQLite and on PostgreSQL, with kinds of jobs made for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from tests.unit.archive.conftest import archive, place, sqlite  # noqa: F401
from tests.unit.jobs.kinds import Gated, kinds

from ithil.archive.archive import Archive
from ithil.jobs import queue
from ithil.jobs.engine import Engine
from ithil.jobs.kind import JobKind
from ithil.jobs.model import Job, State

StartEngine = Callable[..., Engine]


@pytest.fixture
def gated() -> Gated:
    """A kind of job that goes on when the test says so."""
    return Gated()


@pytest.fixture
def start_engine(gated: Gated) -> Iterator[StartEngine]:
    """A function that starts an engine on an archive, with the test's kinds and `others`."""
    started: list[Engine] = []

    def start(on: Archive, *others: JobKind) -> Engine:
        engine = Engine(on, kinds(gated, *others))
        started.append(engine)
        engine.start()
        return engine

    yield start
    for _ in range(1000):
        gated.gate.release()
    for engine in started:
        engine.stop(10)


def eventually(on: Archive, job: str, *states: State, seconds: float = 30.0) -> Job:
    """The job when it has come to one of the states."""
    deadline = time.monotonic() + seconds
    while True:
        found = queue.get(on, job)
        assert found is not None
        if found.state in states:
            return found
        assert time.monotonic() < deadline, f"the job is still {found.state}"
        time.sleep(0.01)


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(0.01)
