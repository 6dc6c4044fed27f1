"""One run of one job: what its kind sees of the engine, and what the engine asks of it.

The run belongs to the thread that runs it; others only call `stop`. What the kind keeps reaches the index at
most a few times a second, since a step may take a millisecond. The index also tells at each write whether the
run still has the job: a run whose process was held up for longer than its lease stops there, without having
written anything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import orjson

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError, CommitUncertain, IndexUnavailable
from ithil.archive.index import job_outputs
from ithil.archive.index import jobs as rows
from ithil.archive.index.job_outputs import OutputRow
from ithil.archive.index.jobs import Outcome, TakenJob
from ithil.archive.index.statement import Session
from ithil.error_codes import CANCELED_JOB
from ithil.jobs import checkpoint
from ithil.jobs.kind import Interrupted, Output
from ithil.jobs.model import CANCEL, State
from ithil.jobs.pool import Pool
from ithil.jobs.registry import ARCHIVES

T = TypeVar("T")
R = TypeVar("R")

SAVE_SECONDS = 0.4  # between two writes of a job's progress
LEASE_SECONDS = 30.0


class Run:
    """A job that was taken under the name `me`, as a `Task`."""

    def __init__(self, archive: Archive, taken: TakenJob, me: str, pool: Pool) -> None:
        """Raises ValueError for a row that no `submit` or `save` has written."""
        self.archive = archive
        self.id = taken.id
        self.type = taken.type
        self.me = me
        self.arguments: dict[str, Any] = orjson.loads(taken.arguments)
        self.checkpoint: dict[str, Any]
        self.checkpoint, self.losses = checkpoint.unpack(taken.checkpoint)
        self.content: dict[str, Any] = orjson.loads(taken.content)
        self.progress = taken.progress
        self._last = (taken.checkpoint, taken.content)
        self._pool = pool
        self._runtime_before = taken.runtime
        self._began = self._saved = self._heard = time.monotonic()
        self._stopping = threading.Event()
        self._wish = ""
        self._is_lost = False

    def stop(self, wish: str = "") -> None:
        """Have the run end at its next step, for the sake of a client's `wish`, or "" to go on elsewhere.

        Called from any thread.
        """
        self._wish = wish or self._wish
        self._stopping.set()

    @property
    def wish(self) -> str:
        """What a client wishes of the job, "" for nothing."""
        return self._wish

    @property
    def runtime(self) -> float:
        """Seconds that the job has been running, all runs together."""
        return self._runtime_before + time.monotonic() - self._began

    def save(self, progress: float, *, now: bool = False) -> None:
        """See `Task.save`. Raises IndexUnavailable if the index cannot be written for too long."""
        self.progress = min(max(progress, 0.0), 1.0)
        moment = time.monotonic()
        if now or self._stopping.is_set() or moment - self._saved >= SAVE_SECONDS:
            try:
                self._write()
            except IndexUnavailable:
                # The index may be back at the next step. The lease says for how long that can be hoped.
                if now or self._stopping.is_set() or moment - self._heard > LEASE_SECONDS:
                    raise
                self._saved = moment
        if self._stopping.is_set():
            raise Interrupted

    def _write(self) -> None:
        kept = checkpoint.pack(self.checkpoint)
        content = _json(self.content)
        seconds = clock.now()[0]
        wish = self.archive.index.write(
            lambda session: rows.save(
                session, self.id, self.me, kept, content, self.progress, self.runtime, seconds, LEASE_SECONDS
            )
        )
        self._saved = self._heard = time.monotonic()
        self._last = (kept, content)
        self.losses = 0
        if wish is None:
            self._is_lost = True
            self.stop()
        elif wish:
            self.stop(wish)

    def add_output(self, output: Output) -> None:
        """See `Task.add_output`. Raises Interrupted when the job runs elsewhere meanwhile."""
        seconds = clock.now()[0]
        row = OutputRow(output.name, output.uuid, output.size, output.media_type, output.filename)
        most = self.archive.settings.media_archive_size

        def work(session: Session) -> bool:
            rows.renew(session, [(self.id, self.me)], seconds + LEASE_SECONDS)
            if rows.wish_of(session, self.id, self.me) is None:
                return False
            job_outputs.add(session, self.id, row, seconds)
            if self.type in ARCHIVES:
                job_outputs.drop_surplus(session, ARCHIVES, most, seconds)
            return True

        try:
            added = self.archive.index.write(work)
        except CommitUncertain:
            raise
        except ArchiveError:
            self.archive.storage.remove(output.uuid)
            raise
        if not added:
            self.archive.storage.remove(output.uuid)
            self._is_lost = True
            self.stop()
            raise Interrupted

    def each(self, work: Callable[[T], R], items: Iterable[T], *, ahead: int = 8) -> Iterator[R]:
        """See `Task.each`. Raises Interrupted while it waits, if the job must stop here."""
        return self._pool.each(work, items, ahead=ahead, interrupted=self._check)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise Interrupted

    def end(self, outcome: Outcome) -> bool:
        """Write how the run has ended; False if the job was no longer this run's. Raises IndexUnavailable.

        A job that shall be tried again fails at once if too many wait for that already.
        """
        if self._is_lost:
            return False
        seconds = clock.now()[0]
        runtime = self.runtime

        def work(session: Session) -> bool:
            found = rows.wish_of(session, self.id, self.me)
            if found is None:
                return False
            how = _as_wished(outcome, found[0], seconds)
            if how.state == State.RETRY and rows.too_many_wait(session):
                how = replace(how, state=State.FAILURE, completed_at=seconds, due_at=None)
            rows.end(session, self.id, self.me, how, runtime, seconds)
            return True

        return self.archive.index.write(work)

    def outcome(
        self,
        state: str,
        *,
        losses: int = 0,
        error_code: int = 0,
        details: str = "",
        payload: dict[str, Any] | None = None,
        due_at: float | None = None,
    ) -> Outcome:
        """How the run ends in `state`, with all that the kind has left so far.

        Raises TypeError if that is no JSON, unless the run has failed anyway: then what was saved last stays.
        """
        try:
            kept, content = checkpoint.pack(self.checkpoint, losses), _json(self.content)
        except TypeError:
            if state != "Failure":
                raise
            kept, content = self._last
        return Outcome(
            state=state,
            progress=self.progress,
            checkpoint=kept,
            content=content,
            error_code=error_code,
            error_details=details,
            error_payload=None if payload is None else _json(payload),
            completed_at=clock.now()[0] if state in ("Success", "Failure") else None,
            due_at=due_at,
        )


def _as_wished(outcome: Outcome, wish: str, now: float) -> Outcome:
    """What becomes of a job that has not ended, if a client wished something at the last moment."""
    if outcome.state not in ("Pending", "Paused", "Retry") or not wish:
        return outcome
    outcome = replace(outcome, error_code=0, error_details="", error_payload=None, due_at=None)
    if wish == CANCEL:
        return replace(outcome, state="Failure", error_code=CANCELED_JOB, completed_at=now)
    return replace(outcome, state="Paused")


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
