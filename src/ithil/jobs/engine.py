"""The engine of a process: takes jobs from the queue of the index, runs them, and looks after their leases.

One thread looks at the queue, once a second or when something of this process calls it, and starts a thread
for each job it takes, `ConcurrentJobs` of them at the same time. A job that runs has a lease, which that thread
renews. When a lease has ended, or its process is known to be gone, whichever engine sees it first puts the job
back into the queue, and it goes on from its last saved step. Nothing of this is known in memory alone.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Mapping

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.coded import coded
from ithil.archive.errors import ArchiveError, IndexUnavailable
from ithil.archive.index import jobs as rows
from ithil.archive.index.jobs import Outcome, RunningJob, TakenJob
from ithil.archive.index.statement import Session
from ithil.jobs import checkpoint, notices, process_name, registry
from ithil.jobs.kind import Interrupted, JobKind, TryLater
from ithil.jobs.model import CANCEL, PAUSE, State
from ithil.jobs.places import place
from ithil.jobs.pool import Pool, cores
from ithil.jobs.run import LEASE_SECONDS, Run

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
RENEW_SECONDS = LEASE_SECONDS / 3
GRACE_SECONDS = 10.0  # how long a finished job stays for those who wait for it, beyond the history
_PRUNE_SECONDS = 60.0
_PRUNE_BATCH = 500
_RETRY_SECONDS = 1.0


class Engine:
    """Runs the jobs of `kinds` (all that are registered, if None) for one process."""

    def __init__(self, archive: Archive, kinds: Mapping[str, JobKind] | None = None) -> None:
        self._archive = archive
        self._kinds = dict(registry.kinds() if kinds is None else kinds)
        self._names = tuple(sorted(self._kinds))
        self._most = archive.settings.concurrent_jobs or cores()
        self._process = process_name.own_name()
        self._numbers = itertools.count(1)
        self._pool = Pool(archive.settings)
        self._runs: dict[str, tuple[Run, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._renew_at = self._prune_at = 0.0
        self._interrupted_at = float("inf")
        self._thread = threading.Thread(target=self._look_after, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin; does nothing for an archive that is read-only."""
        if not self._archive.settings.read_only:
            notices.of(self._archive).add_engine(self._called.set)
            self._thread.start()

    def interrupt(self) -> None:
        """Take no more jobs, and have those that run stop at their next step; returns at once."""
        self._interrupted_at = min(self._interrupted_at, time.monotonic())
        self._stopping.set()
        self._called.set()
        with self._lock:
            runs = [run for run, _ in self._runs.values()]
        for run in runs:
            run.stop()

    def stop(self, seconds: float) -> None:
        """Stop; jobs that come to rest within `seconds` of the interruption go back into the queue.

        One that does not is taken over when its lease ends, or this process.
        """
        self.interrupt()
        deadline = self._interrupted_at + seconds
        if self._thread.is_alive():
            self._thread.join(seconds)
            notices.of(self._archive).remove_engine(self._called.set)
        with self._lock:
            threads = [thread for _, thread in self._runs.values()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._pool.close()
        for thread in threads:  # that had waited for the pool
            thread.join(_RETRY_SECONDS)

    def _look_after(self) -> None:
        failing = False
        while not self._stopping.is_set():
            self._called.clear()
            try:
                self._look()
                failing = False
            except Exception as error:  # whatever it is, jobs have to go on
                if not failing:
                    reason = error if isinstance(error, ArchiveError) else place(error)
                    log.error("The queue of jobs cannot be looked at, trying again: %s", reason)
                failing = True
            self._called.wait(_RETRY_SECONDS if failing else POLL_SECONDS)

    def _look(self) -> None:
        with self._lock:
            runs = {run.me: run for run, _ in self._runs.values()}
        with self._archive.index.read() as session:
            running = rows.running(session)
            free = self._most - len(runs) if rows.is_waiting(session, self._names) else 0
            due = rows.is_due(session, clock.now()[0])
        if due:
            self._archive.index.write(lambda session: rows.wake(session, clock.now()[0]))
            free = self._most - len(runs)
        for found in running:
            mine = runs.get(found.owner)
            if mine is None and self._is_lost(found):
                self._put_back(found)
                free = max(free, self._most - len(runs))
            elif mine is not None and found.wish:
                mine.stop(found.wish)
        if time.monotonic() >= self._renew_at and runs:
            self._renew(list(runs.values()))
        while free > 0 and not self._stopping.is_set() and self._take():
            free -= 1
        self._keep_house()

    def _is_lost(self, found: RunningJob) -> bool:
        """Whether nobody works on a job any more that should be running."""
        process = found.owner.rpartition("#")[0]
        # What this process does not run is what it could not bring to an end when the index was away.
        return process == self._process or found.lease_until < clock.now()[0] or process_name.is_gone(process)

    def _put_back(self, found: RunningJob) -> None:
        """Have a lost job go on, or do what a client wished of it meanwhile."""

        def work(session: Session) -> State | None:
            left = rows.wish_of(session, found.id, found.owner)
            if left is None:
                return None
            wish, kept = left
            kept, losses = checkpoint.lost(kept)
            state, code, details = State.PENDING, 0, ""
            if wish == CANCEL:
                state, code = State.FAILURE, codes.CANCELED_JOB
            elif wish == PAUSE:
                state = State.PAUSED
            elif losses >= checkpoint.MOST_LOSSES:
                state, code = State.FAILURE, codes.INTERNAL_ERROR
                details = f"{losses} processes in a row have died while they ran this job"
            rows.lose(session, found, state, kept, clock.now()[0], code, details)
            return state

        state = self._archive.index.write(work)
        if state is not None:
            log.warning("A job whose process is gone is now %s", state.value)
            notices.of(self._archive).tell_end(found.id)

    def _renew(self, runs: list[Run]) -> None:
        until = clock.now()[0] + LEASE_SECONDS
        leases = [(run.id, run.me) for run in runs]
        self._archive.index.write(lambda session: rows.renew(session, leases, until))
        self._renew_at = time.monotonic() + RENEW_SECONDS

    def _take(self) -> bool:
        """Take one job and run it in a thread of its own; False if there is none."""
        run = self._taken()
        if run is None:
            return False
        thread = threading.Thread(target=self._run, args=(run,), name="job", daemon=True)
        with self._lock:
            self._runs[run.me] = (run, thread)
        if self._stopping.is_set():
            run.stop()  # `interrupt` may have come too early to know it
        thread.start()
        return True

    def run_one(self) -> bool:
        """Take one job and run it here and now, without regard to others; False if there is none.

        For an engine that was not started.
        """
        run = self._taken()
        if run is None:
            return False
        with self._lock:
            self._runs[run.me] = (run, threading.current_thread())
        self._run(run)
        return True

    def _taken(self) -> Run | None:
        """The next job in the queue that can be run; those whose rows are damaged fail on the way."""
        while True:
            me = f"{self._process}#{next(self._numbers)}"
            now = clock.now()[0]
            taken = self._take_row(me, now)
            if taken is None:
                return None
            try:
                return Run(self._archive, taken, me, self._pool)
            except ValueError:
                log.error("A job of kind %s cannot be run, since its row is damaged", taken.type)
                self._fail(taken, me, now)

    def _take_row(self, me: str, now: float) -> TakenJob | None:
        return self._archive.index.write(
            lambda session: rows.take(session, self._names, me, now, LEASE_SECONDS)
        )

    def _fail(self, taken: TakenJob, me: str, now: float) -> None:
        kept = (taken.progress, taken.checkpoint, taken.content)
        details = "What the index holds of this job is damaged"
        outcome = Outcome(State.FAILURE, *kept, codes.CORRUPTED_FILE, details, now)
        self._archive.index.write(
            lambda session: rows.end(session, taken.id, me, outcome, taken.runtime, now)
        )
        notices.of(self._archive).tell_end(taken.id)

    def _run(self, run: Run) -> None:
        try:
            outcome = self._outcome(run)
            if self._end(run, outcome):
                notices.of(self._archive).tell_end(run.id)
        finally:
            with self._lock:
                del self._runs[run.me]
            self._called.set()

    def _outcome(self, run: Run) -> Outcome:
        """Run a job as far as it goes."""
        try:
            self._kinds[run.type].run(run)
            run.progress = 1.0
            return run.outcome(State.SUCCESS)
        except Interrupted:
            if run.wish == CANCEL:
                return run.outcome(State.FAILURE, error_code=codes.CANCELED_JOB)
            return run.outcome(State.PAUSED if run.wish == PAUSE else State.PENDING)
        except TryLater as wish:
            log.warning("Job %s of kind %s asks to be tried again in %.0f s", run.id, run.type, wish.seconds)
            return _failure(run, wish.failure, State.RETRY, clock.now()[0] + wish.seconds)
        except IndexUnavailable as error:
            if run.losses + 1 < checkpoint.MOST_LOSSES:
                log.warning("A job has to wait for the index: %s", error)
                self._stopping.wait(_RETRY_SECONDS)
                return run.outcome(State.PENDING, losses=run.losses + 1)
            return _failure(run, error)
        except BaseException as error:
            return _failure(run, error)

    def _end(self, run: Run, outcome: Outcome) -> bool:
        """Write how a run has ended; if the index stays away for longer than the lease, it has to be run again."""
        deadline = time.monotonic() + LEASE_SECONDS
        while True:
            try:
                return run.end(outcome)
            except Exception as error:
                if time.monotonic() > deadline or self._stopping.is_set():
                    reason = error if isinstance(error, ArchiveError) else place(error)
                    log.error("The end of a job could not be written: %s", reason)
                    return False
            self._stopping.wait(_RETRY_SECONDS)

    def _keep_house(self) -> None:
        if time.monotonic() < self._prune_at:
            return
        gone = prune(self._archive)
        pause = 0.0 if gone == _PRUNE_BATCH else GRACE_SECONDS if gone else _PRUNE_SECONDS
        self._prune_at = time.monotonic() + pause
        self._pool.tidy()


def prune(archive: Archive, grace: float = GRACE_SECONDS) -> int:
    """Forget the finished jobs beyond `JobsHistorySize`, with their outputs; gives how many.

    Those that ended less than `grace` seconds ago stay for the sake of whoever waits for them.
    """
    keep = archive.settings.jobs_history_size
    now = clock.now()[0]
    with archive.index.read() as session:
        old = rows.past_history(session, keep, _PRUNE_BATCH, now - grace)

    def forget(session: Session) -> int:
        return sum(rows.delete(session, job, now) for job in old)

    return archive.index.write(forget) if old else 0


def _failure(
    run: Run, error: BaseException, state: State = State.FAILURE, due_at: float | None = None
) -> Outcome:
    refusal = coded(error)
    if refusal is None:
        # The exception's own words may quote a data set.
        log.error("Job %s of kind %s failed: %s", run.id, run.type, place(error))
        return run.outcome(State.FAILURE, error_code=codes.INTERNAL_ERROR)
    log.warning("Job %s of kind %s failed with code %d", run.id, run.type, refusal.code)
    return run.outcome(
        state, error_code=refusal.code, details=refusal.details, payload=refusal.payload, due_at=due_at
    )
