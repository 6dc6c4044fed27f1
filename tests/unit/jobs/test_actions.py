"""Any sequence of actions on a job gives the answers and states of Orthanc, whatever the job itself does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.archive.places import OnSqlite
from tests.unit.jobs.kinds import Scripted

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.error_codes import CodedError
from ithil.jobs import queue
from ithil.jobs.engine import Engine
from ithil.jobs.kind import Task
from ithil.jobs.model import State

ACTIONS = {
    "pause": queue.pause,
    "cancel": queue.cancel,
    "resume": queue.resume,
    "resubmit": queue.resubmit,
    "delete": queue.delete,
}
ENDED = (State.SUCCESS, State.FAILURE)


class Model:
    """What Debian's Orthanc 1.10 was seen to do."""

    def __init__(self) -> None:
        self.state: State | None = State.PENDING
        self.wish = ""
        self.canceled = False

    def act(self, action: str) -> bool | None:
        """The answer to an action (None: refused with an error), and what it changes."""
        if self.state is None:
            return False
        match action, self.state:
            case "delete", State.SUCCESS | State.FAILURE:
                self.state = None
            case "delete", _:
                return None
            case "pause" | "cancel", State.SUCCESS | State.FAILURE:
                pass
            case "pause", State.RUNNING:
                self.wish = self.wish or "pause"
            case "cancel", State.RUNNING:
                self.wish = "cancel"
            case "pause", _:
                self.state = State.PAUSED
            case "cancel", _:
                self.state, self.canceled = State.FAILURE, True
            case ("resume", State.PAUSED) | ("resubmit", State.FAILURE):
                self.state = State.PENDING
            case _:
                return False
        return True

    def step(self) -> bool:
        """The job saves; whether it goes on after that."""
        if self.wish == "cancel":
            self.state, self.canceled = State.FAILURE, True
        elif self.wish == "pause":
            self.state = State.PAUSED
        return not self.wish

    def end(self, state: State) -> None:
        if self.state is State.RUNNING:
            self.state = state


action = st.sampled_from(sorted(ACTIONS))
run = st.tuples(
    st.lists(st.one_of(action, st.just("save")), max_size=6), st.sampled_from(["succeed", "fail"])
)


def check(archive: Archive, job: str, model: Model, action: str) -> None:
    try:
        answer: bool | None = ACTIONS[action](archive, job)
    except CodedError as refused:
        if refused.status != 400:
            raise
        answer = None
    assert answer == model.act(action), action


def compare(archive: Archive, job: str, model: Model) -> None:
    found = queue.get(archive, job)
    assert (None if found is None else found.state) == model.state
    if found is not None:
        assert (found.completed_at is not None) == (found.state in ENDED)
        if found.state is State.FAILURE:
            assert (found.error_code == codes.CANCELED_JOB) == model.canceled


@pytest.fixture(scope="module")
def shared() -> Iterator[Archive]:
    """One archive for all examples, since to open one takes longer than an example."""
    with TemporaryDirectory() as folder, OnSqlite(Path(folder)) as place:
        yield place.open()


@settings(max_examples=150, deadline=None)
@given(moves=st.lists(st.one_of(action, run), min_size=1, max_size=15))
def test_any_sequence_of_actions(shared: Archive, moves: list[str | tuple[list[str], str]]) -> None:
    archive, kind, model = shared, Scripted(), Model()
    engine = Engine(archive, {kind.name: kind})
    job = queue.submit(archive, kind.name, {})
    try:
        for move in moves:
            if isinstance(move, str):
                check(archive, job, model, move)
            else:
                _run(archive, engine, kind, job, model, *move)
            compare(archive, job, model)
    finally:
        queue.cancel(archive, job)  # nothing stays in the queue for the next example


def _run(
    archive: Archive, engine: Engine, kind: Scripted, job: str, model: Model, moves: list[str], end: str
) -> None:
    if model.state is not State.PENDING:
        assert not engine.run_one()
        return

    def script(task: Task) -> None:
        model.state, model.wish, model.canceled = State.RUNNING, "", False
        compare(archive, job, model)
        for move in moves:
            if move == "save":
                goes_on = model.step()
                task.save(0.5, now=True)
                assert goes_on
            else:
                check(archive, job, model, move)
                compare(archive, job, model)
        model.end(State.FAILURE if end == "fail" else State.SUCCESS)
        if end == "fail":
            raise CodedError(codes.BAD_FILE_FORMAT)

    kind.script = [script]
    assert engine.run_one()
