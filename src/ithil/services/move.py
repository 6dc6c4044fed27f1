"""C-MOVE as provider (PS3.4 C.4.2): what is asked for goes by C-STORE to a third application entity.

With `SynchronousCMove` the caller is told of each instance while it is sent. Without, a job sends them, and the
caller has his answer as soon as that is in the queue.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from itertools import chain

from ithil.archive import exports, outgoing
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.outgoing import Kind, Outgoing
from ithil.archive.query import Query
from ithil.archive.remotes import modalities
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.jobs.queue import submit
from ithil.network import status
from ithil.network.errors import AssociationError, Refusal
from ithil.network.handler import Responder
from ithil.network.messages import Command
from ithil.services.access import same_title
from ithil.services.identifier import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT, requested
from ithil.services.provider import Call
from ithil.services.store_job import MODALITY_STORE, StoreWish, arguments, content
from ithil.services.store_user import Sender, Sent
from ithil.services.suboperations import Tally
from ithil.settings import Modality

log = logging.getLogger(__name__)

SOP_CLASSES = tuple(f"{model}.2" for model in (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY))


def handle(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """Serve one C-MOVE-RQ."""
    archive = call.archive
    name, modality = _destination(archive, command.text("MoveDestination"))
    queries = requested(call, data_set, deduce_level=True)
    kinds = outgoing.kinds(archive, queries)
    if not kinds:
        raise Refusal(status.CANNOT_UNDERSTAND, "Nothing in the archive matches")
    originator = (call.origin.remote_aet, command.message_id)
    if not archive.settings.synchronous_c_move:
        _submit(archive, name, modality, queries, originator)
        tally = Tally(0, completed=kinds.total())
        tally.finish(command, responder, call.context.transfer_syntax, cancelled=False)
        return
    tally = Tally(kinds.total())
    log.info("C-MOVE of %d instances to %s", tally.remaining, name)
    with _sender(archive, modality, originator) as sender:
        cancelled = False
        batches = outgoing.matching(archive, queries)
        for batch in batches:
            with closing(_sent(sender, batch, kinds)) as results:
                for number, sent in enumerate(results):
                    if isinstance(sent, AssociationError):
                        log.warning("C-MOVE to %s ends: %s", name, sent)
                        rest = chain(batch[number:], chain.from_iterable(batches))
                        tally.fail_rest(rest, "The destination cannot be reached")
                        break
                    tally.add(sent)
                    if sent.succeeded:
                        exports.record(archive, {sent.instance: Level.INSTANCE}, name)
                    cancelled = responder.is_cancelled()
                    if cancelled:
                        break
                    if tally.remaining:
                        responder.send(tally.pending(command), hold=True)
            if cancelled:
                break
    tally.finish(command, responder, call.context.transfer_syntax, cancelled=cancelled)


def _submit(
    archive: Archive, name: str, modality: Modality, queries: Sequence[Query], originator: tuple[str, int]
) -> None:
    """Leave the sending to a job, which clients of REST see as they see those of Orthanc."""
    instances = [item.instance for batch in outgoing.matching(archive, queries) for item in batch]
    wish = StoreWish(modality, instances, move_originator=originator, name=name)
    shown = {**content(archive, wish, ()), "Description": "C-MOVE"}
    try:
        submit(archive, MODALITY_STORE, arguments(wish), content=shown)
    except ReadOnly as error:
        raise Refusal(status.NOT_AUTHORIZED, str(error)) from error


def _sent(
    sender: Sender, batch: Sequence[Outgoing], kinds: Collection[Kind]
) -> Generator[Sent | AssociationError, None, None]:
    """What became of each; in the end the error for which the rest could not be sent.

    So that it is told from an error of the association with the caller.
    """
    try:
        yield from sender.send_batch(batch, kinds)
    except AssociationError as error:
        yield error


def _sender(archive: Archive, modality: Modality, originator: tuple[str, int]) -> Sender:
    """Raises Refusal if the options of TLS, which the destination needs, cannot be used."""
    try:
        return Sender(archive, modality, move_originator=originator)
    except CodedError as error:
        log.error("C-MOVE is not possible: %s", error)
        raise Refusal(status.UNABLE_TO_PERFORM_SUBOPERATIONS, "TLS is not set up here") from error


def _destination(archive: Archive, title: str) -> tuple[str, Modality]:
    """The modality with this application entity title, and its name here. Raises Refusal."""
    for name, modality in modalities(archive).items():
        if same_title(modality.aet, title, archive.settings):
            return name, modality
    raise Refusal(status.MOVE_DESTINATION_UNKNOWN, "No modality has the title of the destination")
