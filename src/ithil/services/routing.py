"""Routing: stable studies that match a rule are sent on, with patience, and nobody has to ask.

One process at a time, by a lease, follows the change log from where the last one left off. A change and the
deliveries that follow from it become durable in one transaction, and so do a delivery and the job that sends
it: a process that dies leaves nothing twice and nothing out. What a failure leads to is written down too, so
that the next try comes when it is due, in whichever process.

The work itself is done by the ordinary jobs that send to modalities and peers. A destination that does not
answer holds a job for as long as its timeout; no more than half of the jobs that run at a time are deliveries.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from ithil import error_codes as codes
from ithil.archive import clock, exports, remotes, resources, routing
from ithil.archive.archive import Archive
from ithil.archive.coded import coded
from ithil.archive.errors import ArchiveError, IndexUnavailable
from ithil.archive.index import changelog, sweeps
from ithil.archive.index import deliveries as rows
from ithil.archive.index import jobs as job_rows
from ithil.archive.index.jobs import NewJob
from ithil.archive.index.statement import Session
from ithil.archive.model import Change
from ithil.archive.routing import Delivery, DeliveryState
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.jobs import notices, process_name, queue
from ithil.jobs.model import State
from ithil.jobs.pool import cores
from ithil.services import peers, store_job
from ithil.services.peers import PEER_STORE, PeerStoreWish
from ithil.services.store_job import MODALITY_STORE, StoreWish

log = logging.getLogger(__name__)

PRIORITY = -10
"""Of the jobs of deliveries: what people ask for comes first."""

_STABLE_STUDY = "StableStudy"
_LEASE = "routing"
_LEASE_SECONDS = 30.0
_PAGE = 100  # changes, or deliveries, that are looked at in one go
_LAG = 1000  # changes that the cursor may lie behind when none of them matters


class Router:
    """The thread of a process that looks for what is to be routed every `ithil.stability_sweep_seconds`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._owner = process_name.own_name()
        self._most = max(1, (archive.settings.concurrent_jobs or cores()) // 2)
        self._stopping = threading.Event()
        self._called = threading.Event()  # that a job of this process has ended, or that it is time to stop
        self._thread = threading.Thread(target=self._run, name="router", daemon=True)

    def start(self) -> None:
        """Begin; does nothing for an archive that is read-only."""
        if not self._archive.settings.read_only:
            self._thread.start()

    def stop(self, seconds: float) -> None:
        """End after what is being done, or after `seconds`."""
        self._stopping.set()
        self._called.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        interval = self._archive.settings.ithil.stability_sweep_seconds
        failing = more = False
        while not self._stopping.is_set():
            if not more:
                self._called.wait(interval)
            self._called.clear()
            if self._stopping.is_set():
                return
            try:
                more = self.look()
                failing = False
            except Exception as error:  # whatever it is, routing has to go on
                more = False
                if not failing:
                    reason = error if isinstance(error, ArchiveError) else type(error).__name__
                    log.error("Routing fails and will be tried again: %s", reason)
                failing = True

    def look(self) -> bool:
        """Do what is due, unless another process does; whether there is more of it."""
        now, _ = clock.now()
        archive = self._archive
        with archive.index.read() as session:
            at, last = rows.cursor(session), changelog.last_seq(session)
            is_sending = bool(rows.places(session, DeliveryState.SENDING, 1))
            is_due = bool(rows.due(session, DeliveryState.WAITING, now, 1))
        if at is None:
            archive.index.write(lambda session: rows.begin(session, last))
            return False
        if at == last and not is_sending and not is_due:
            return False
        found = None
        if at < last:
            with archive.index.read() as session:
                found = changelog.page(session, at, _PAGE, kinds=[_STABLE_STUDY])
        changes = found.changes if found is not None else []
        reached = max(at, found.last if found is not None else at)
        if not changes and reached - at < _LAG and not is_sending and not is_due:
            return False
        if not archive.index.write(
            lambda session: sweeps.take_lease(session, _LEASE, self._owner, now, _LEASE_SECONDS)
        ):
            return False
        if changes or reached - at >= _LAG:
            self._follow(at, reached, changes)
        self._look_after()
        return self._send(now) or (found is not None and not found.done)

    # -- from changes to deliveries --

    def _follow(self, at: int, reached: int, changes: list[Change]) -> None:
        """Make deliveries of the changes up to a number, unless another process has done so meanwhile."""
        rules = routing.rules(self._archive)
        made: list[Delivery] = []
        for change in changes:
            for name, rule in rules.items():
                try:
                    if routing.matches(self._archive, rule, change.id):
                        made.append(routing.new(change.seq, name, rule, change.id))
                except CodedError as error:
                    log.error("The routing rule %s cannot be used: %s", name, error.details)

        def work(session: Session) -> None:
            if rows.advance(session, at, reached):
                for delivery in made:
                    routing.put(session, delivery)

        self._archive.index.write(work)

    # -- from deliveries to jobs --

    def _send(self, now: float) -> bool:
        """Start the jobs of what is due, as many as there is room for; whether some more could start."""
        archive = self._archive
        with archive.index.read() as session:
            free = self._most - len(rows.places(session, DeliveryState.SENDING, self._most))
        if free <= 0:
            return False
        waiting = routing.due(archive, now, free)
        for delivery in waiting:
            place = delivery.place
            try:
                job = self._job(delivery)
            except IndexUnavailable:
                raise
            except (CodedError, ArchiveError) as error:
                reason = coded(error) or CodedError(codes.INTERNAL_ERROR)
                if reason.code == codes.UNKNOWN_RESOURCE and not _exists(archive, delivery.study):
                    self._move(delivery, DeliveryState.WAITING, place, None)  # the study has been deleted
                    continue
                delivery.attempts += 1
                _fail(delivery, reason.code, reason.details)
                self._move(delivery, DeliveryState.WAITING, place, delivery)
                continue
            delivery.attempts += 1
            delivery.state, delivery.job = DeliveryState.SENDING, job.id
            if self._move(delivery, DeliveryState.WAITING, place, delivery, job):
                exports.record(archive, {delivery.study: Level.STUDY}, _destination(delivery))
        return len(waiting) == free

    def _job(self, delivery: Delivery) -> NewJob:
        """The job of a delivery. Raises CodedError for an unknown destination, or a study that has gone."""
        archive, how = self._archive, delivery.how
        instances = resources.descendants(archive, Level.STUDY, delivery.study, Level.INSTANCE)
        if not instances:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        kind, arguments, content = self._to_destination(how, instances, delivery.study)
        return queue.prepared(
            kind,
            arguments,
            priority=PRIORITY,
            user_data={"RoutingRule": delivery.rule, "Delivery": delivery.id},
            content={**content, "Description": f"Routing rule {delivery.rule}"},
        )

    def _to_destination(
        self, how: dict[str, Any], instances: list[str], study: str
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Kind, arguments and content of a job that sends to the destination of a rule."""
        archive = self._archive
        if how.get("Peer"):
            to_peer = PeerStoreWish(
                how["Peer"], instances, transcode=how["Transcode"], compress=how["Compress"]
            )
            return PEER_STORE, peers.arguments(to_peer), peers.content(archive, to_peer, [study])
        modality = remotes.modality(archive, how["Modality"])
        wish = StoreWish(modality=modality, instances=instances, name=how["Modality"])
        return MODALITY_STORE, store_job.arguments(wish), store_job.content(archive, wish, [study])

    def _move(
        self,
        delivery: Delivery,
        before: DeliveryState,
        place: str,
        after: Delivery | None,
        job: NewJob | None = None,
    ) -> bool:
        """Take a delivery from one state to the next, or out of the queue, and insert its job.

        False if it is not where it was any more.
        """

        def work(session: Session) -> bool:
            if not rows.take(session, before, place):
                return False
            if after is None:
                rows.forget(session, delivery.id)
            else:
                routing.put(session, after)
            if job is not None:
                job_rows.insert(session, job)
            return True

        moved = self._archive.index.write(work)
        if moved and job is not None:
            notices.of(self._archive).wait_for(job.id, self._called.set)
            notices.of(self._archive).stir()
        return moved

    # -- from jobs back to deliveries --

    def _look_after(self) -> None:
        """See what has become of the jobs that were started."""
        for delivery in list(routing.in_state(self._archive, DeliveryState.SENDING, self._most)):
            job = queue.get(self._archive, delivery.job)
            if job is not None and not job.is_finished:
                continue
            place = delivery.place
            if job is not None and job.state is State.SUCCESS:
                self._move(delivery, DeliveryState.SENDING, place, None)
                continue
            if job is None:
                _fail(delivery, codes.UNKNOWN_RESOURCE, "The job was deleted before its result was seen")
            else:
                _fail(delivery, job.error_code, job.error_details)
                if job.error_code == codes.CANCELED_JOB:
                    delivery.state = DeliveryState.FAILED  # somebody does not want it
            if self._move(delivery, DeliveryState.SENDING, place, delivery):
                log.warning(
                    "Routing to %s has failed %d times, %s",
                    _destination(delivery),
                    delivery.attempts,
                    "and will be tried again"
                    if delivery.state == DeliveryState.WAITING
                    else "and is given up",
                )


def _fail(delivery: Delivery, code: int, details: str) -> None:
    """Note a failed attempt and when the next one is due, if there is to be one."""
    how = delivery.how
    delivery.error_code, delivery.error = code, details
    if delivery.attempts > how["Retries"]:
        delivery.state = DeliveryState.FAILED
        return
    wait = min(how["FirstDelay"] * 2 ** min(delivery.attempts - 1, 30), how["LongestDelay"])
    delivery.state, delivery.due = DeliveryState.WAITING, clock.now()[0] + wait


def _destination(delivery: Delivery) -> str:
    return str(delivery.how.get("Modality") or delivery.how.get("Peer"))


def _exists(archive: Archive, study: str) -> bool:
    return resources.exists(archive, Level.STUDY, study)
