"""The job that reports on storage commitment: what it promises at a later try, and how often it tries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.archive.places import Place, image, put

from ithil import error_codes as codes
from ithil.archive import clock, commitment, delete, remotes
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.dicom.level import Level
from ithil.jobs import queue
from ithil.jobs.engine import Engine
from ithil.jobs.kind import Task
from ithil.jobs.model import Job, State
from ithil.network.errors import ConnectionFailed
from ithil.services import commitment_data as wire
from ithil.services import commitment_job, out_of_reach
from ithil.settings import Modality

WAITS = len(commitment_job.RETRY_SECONDS)


@dataclass
class Peer:
    """The modality: how often it was called, what it was told, and whether it is there."""

    calls: int = 0
    told: list[tuple[int, int]] = field(default_factory=list)  # committed, failed
    is_there: bool = False


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Peer:
    """In place of the network."""
    made = Peer()
    out_of_reach.forget(modality())
    known = {"it": modality()}
    context = SimpleNamespace(
        id=1, abstract_syntax=wire.PUSH_MODEL, local_scp=True, transfer_syntax="1.2.840.10008.1.2"
    )

    def request(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(command=SimpleNamespace(status=0))

    @contextmanager
    def associate(*_: Any, **__: Any) -> Iterator[Any]:
        made.calls += 1
        if not made.is_there:
            raise ConnectionFailed("nobody is there")
        yield SimpleNamespace(contexts={1: context}, request=request)

    def event(_: str, committed: list[Any], failed: list[Any], __: str) -> bytes:
        made.told.append((len(committed), len(failed)))
        return b""

    monkeypatch.setattr(commitment_job, "associate", associate)
    monkeypatch.setattr(wire, "event", event)
    monkeypatch.setattr(remotes, "modalities", lambda archive: known)
    return made


def modality() -> Modality:
    return Modality("MODALITY", "192.0.2.1", 104)


def asked(archive: Archive, instance: str) -> str:
    """A job to report on an instance."""
    origin = Origin("DicomProtocol", remote_aet="MODALITY", remote_ip="192.0.2.1", called_aet="ITHIL")
    references = commitment.references(archive, [instance])
    arguments = commitment_job.arguments(origin, "1.2.3", references)
    return queue.submit(archive, commitment_job.COMMITMENT_SCP, arguments)


def run(archive: Archive, job: str) -> Job:
    """The job after one run."""
    assert Engine(archive, {commitment_job.COMMITMENT_SCP: commitment_job.CommitmentScpKind()}).run_one()
    found = queue.get(archive, job)
    assert found is not None
    return found


def make_due(archive: Archive, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue the job as if its time had come."""
    later = clock.now()[0] + 4000.0
    monkeypatch.setattr(clock, "now", lambda: (later, ""))
    assert queue.resume(archive, job)


def test_what_was_deleted_before_a_later_try_is_not_promised(archive: Archive, peer: Peer) -> None:
    instance = put(archive, image()).instance
    job = asked(archive, instance)
    assert run(archive, job).state is State.RETRY
    assert delete.delete(archive, Level.INSTANCE, instance) is not None
    peer.is_there = True
    assert queue.resume(archive, job)
    assert run(archive, job).state is State.SUCCESS
    assert peer.told == [(0, 1)]


def test_what_was_examined_long_before_an_interruption_is_examined_again(
    archive: Archive, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = put(archive, image()).instance
    job = asked(archive, instance)
    report = commitment_job._report

    def interrupted(task: Task, *_: Any) -> None:
        queue.pause(archive, job)
        task.save(0.9, now=True)

    monkeypatch.setattr(commitment_job, "_report", interrupted)
    assert run(archive, job).state is State.PAUSED
    monkeypatch.setattr(commitment_job, "_report", report)
    assert delete.delete(archive, Level.INSTANCE, instance) is not None
    make_due(archive, job, monkeypatch)
    peer.is_there = True
    assert run(archive, job).state is State.SUCCESS
    assert peer.told == [(0, 1)]


def test_the_tries_run_out_and_begin_anew_when_it_is_resubmitted(
    archive: Archive, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(archive, put(archive, image()).instance)
    for _ in range(WAITS):
        assert run(archive, job).state is State.RETRY
        out_of_reach.forget(modality())
        make_due(archive, job, monkeypatch)
    ended = run(archive, job)
    assert (ended.state, ended.error_code) == (State.FAILURE, codes.NETWORK_PROTOCOL)
    assert peer.calls == WAITS + 1
    assert queue.resubmit(archive, job)
    assert run(archive, job).state is State.RETRY


def test_a_modality_that_is_away_is_not_called_for_each_report(
    archive: Archive, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = put(archive, image()).instance
    first, second = asked(archive, instance), asked(archive, instance)
    assert run(archive, first).state is State.RETRY
    skipped = run(archive, second)
    assert (skipped.state, skipped.error_code, peer.calls) == (State.RETRY, codes.NETWORK_PROTOCOL, 1)
    peer.is_there = True
    assert queue.resume(archive, second)  # a client who knows better
    assert run(archive, second).state is State.SUCCESS
    make_due(archive, first, monkeypatch)
    assert run(archive, first).state is State.SUCCESS
    assert peer.calls == 3


def test_a_failure_that_is_none_of_the_network_is_not_tried_again(
    sqlite: Place, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sqlite.open()
    job = asked(archive, put(archive, image()).instance)
    monkeypatch.setattr(remotes, "modalities", lambda archive: {})
    ended = run(archive, job)
    assert (ended.state, ended.error_code, peer.calls) == (State.FAILURE, codes.UNKNOWN_MODALITY, 0)


def test_no_more_than_so_many_modalities_are_noted() -> None:
    many = [Modality("AWAY", "192.0.2.1", port) for port in range(1, out_of_reach._MOST + 2)]
    for each in many:
        out_of_reach.note(each)
    assert not out_of_reach.is_noted(many[0])
    assert out_of_reach.is_noted(many[-1])
    for each in many:
        out_of_reach.forget(each)
    assert not out_of_reach.is_noted(many[-1])
