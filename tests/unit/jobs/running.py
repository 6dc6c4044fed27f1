"""An engine of the tests' kinds of jobs, for applications that are asked to run some."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.unit.application import Client, MakeClient
from tests.unit.jobs.kinds import Gated, kinds

from ithil.archive.archive import Archive
from ithil.jobs.engine import Engine


@pytest.fixture
def gated() -> Gated:
    return Gated()


@pytest.fixture
def start(gated: Gated) -> Iterator[Callable[[Client], None]]:
    """A function that runs the tests' kinds of jobs for a client's application, one job at a time."""
    engines: list[Engine] = []

    def run(client: Client) -> None:
        known = {name: kind for name, kind in kinds(gated).items() if name != "Archive"}
        engine = Engine(archive_of(client), known)
        engine.start()
        engines.append(engine)

    yield run
    for _ in range(100):
        gated.gate.release()
    for engine in engines:
        engine.stop(10)


@pytest.fixture
def one_at_a_time(make_client: MakeClient, start: Callable[[Client], None]) -> Client:
    """A client of an application that runs one job of the tests' kinds at a time."""
    client = make_client(concurrent_jobs=1)
    start(client)
    return client


def archive_of(client: Client) -> Archive:
    return client.app.context.archive
