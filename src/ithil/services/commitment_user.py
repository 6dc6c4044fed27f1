"""Storage commitment as user: asking another server to promise that it keeps instances (PS3.4 J.3.2)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial

from ithil import error_codes as codes
from ithil.archive import commitment
from ithil.archive.archive import Archive
from ithil.archive.commitment import Reference
from ithil.archive.errors import ArchiveError
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE, generate_uid
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import AssociationError, NetworkError, Refusal
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import Requestor
from ithil.services import commitment_data as wire
from ithil.services.data_set import parsed
from ithil.services.modality_link import associate, failure, refusal
from ithil.settings import Modality

log = logging.getLogger(__name__)

LINGER_SECONDS = 3.0
"""How long the association stays open for a peer that reports on it."""

_MOST_LINGERING = 16


def request(
    archive: Archive,
    modality: Modality,
    references: Sequence[Reference],
    *,
    calling: str = "",
    timeout: int | None = None,
) -> str:
    """Ask a modality to commit to instances; gives the transaction UID, under which the report will be.

    `calling` and `timeout` (seconds) replace what the modality's entry and the settings say. Raises ReadOnly,
    CodedError (network protocol, no presentation context).
    """
    transaction = generate_uid()
    commitment.begin(archive, transaction, modality.aet, references)
    try:
        peer = associate(
            archive,
            modality,
            [(wire.PUSH_MODEL, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))],
            calling=calling,
            timeout=timeout,
        )
        try:
            answered = _ask(peer, transaction, references)
        except BaseException:
            peer.abort()
            raise
    except NetworkError as error:
        commitment.forget(archive, transaction)
        raise refusal(error, modality, codes.NO_PRESENTATION_CONTEXT) from error
    if not status.is_success(answered):
        peer.release()
        commitment.forget(archive, transaction)
        raise failure("N-ACTION", modality, answered)
    _leave(archive, peer)
    return transaction


def _ask(peer: Requestor, transaction: str, references: Sequence[Reference]) -> int:
    """Send N-ACTION; the status of the response. Raises AssociationError."""
    context = peer.context_for(wire.PUSH_MODEL)
    command = Command(
        RequestedSOPClassUID=wire.PUSH_MODEL,
        CommandField=CommandField.N_ACTION,
        RequestedSOPInstanceUID=wire.WELL_KNOWN_INSTANCE,
        ActionTypeID=wire.REQUEST_COMMITMENT,
    )
    content = wire.request(transaction, references, context.transfer_syntax)
    return [response.command.status for response in peer.request(context, command, [content])][-1]


_lingering = threading.BoundedSemaphore(_MOST_LINGERING)


def _leave(archive: Archive, peer: Requestor) -> None:
    """End the association, after a moment in which a report may come on it.

    The moment is in a thread of its own, for whoever asked has his answer already.
    """
    if not _lingering.acquire(blocking=False):
        peer.release()
        return

    def linger() -> None:
        try:
            peer.serve(partial(_served, archive), LINGER_SECONDS)
            peer.release()
        except (AssociationError, ArchiveError):
            peer.abort()
        finally:
            _lingering.release()

    threading.Thread(target=linger, name="commitment", daemon=True).start()


def _served(
    archive: Archive, context: PresentationContext, command: Command, content: bytes | None
) -> Command:
    """The response to a request of the peer on our association."""
    try:
        return take_event(archive, context, command, content)
    except Refusal as error:
        return command.response(error.status, error.comment)


def take_event(
    archive: Archive, context: PresentationContext, command: Command, content: bytes | None
) -> Command:
    """Note what an N-EVENT-REPORT says; gives the response (PS3.4 J.3.3.1.2). Raises Refusal."""
    if command.field != CommandField.N_EVENT_REPORT:
        raise Refusal(status.UNRECOGNIZED_OPERATION)
    if command.number("EventTypeID") not in (wire.ALL_COMMITTED, wire.FAILURES_EXIST):
        raise Refusal(status.NO_SUCH_EVENT_TYPE)
    found = parsed(
        archive,
        context.transfer_syntax,
        content,
        missing=status.INVALID_ARGUMENT_VALUE,
        unreadable=status.PROCESSING_FAILURE,
    )
    outcome = wire.read_event(found)
    try:
        known = commitment.answered(archive, outcome.transaction, outcome.committed, outcome.failed)
    except ArchiveError as error:
        log.error("a storage commitment report could not be kept: %s", error)
        raise Refusal(status.PROCESSING_FAILURE, "The report could not be kept") from error
    if not known:
        # Its sender can do nothing about it: the request may be too old to be remembered.
        log.warning("a storage commitment report belongs to no request that is kept")
    return command.response(status.SUCCESS)
