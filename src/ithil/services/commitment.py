"""The storage commitment service class, push model (PS3.4 annex J): requests of others, and reports to us.

A request is acknowledged when the job that looks after it is durable. The job examines each instance and reports
with N-EVENT-REPORT: on the association of the request if the caller waits there, otherwise on one that it opens
to the modality with the caller's title.
"""

from __future__ import annotations

import logging

from ithil.archive.errors import ArchiveError, ReadOnly
from ithil.jobs import queue
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.services import commitment_channel as channel
from ithil.services import commitment_data as wire
from ithil.services.commitment_job import COMMITMENT_SCP, arguments, content
from ithil.services.commitment_user import take_event
from ithil.services.data_set import parsed
from ithil.services.provider import Call, Provider

log = logging.getLogger(__name__)

_WAIT_SECONDS = 30.0
"""How long a caller that keeps its association open is stayed with."""


def handle(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """Serve one N-ACTION or N-EVENT-REPORT."""
    if command.sop_class_uid != wire.PUSH_MODEL:
        raise Refusal(status.NO_SUCH_SOP_CLASS)
    if command.sop_instance_uid != wire.WELL_KNOWN_INSTANCE:
        raise Refusal(status.NO_SUCH_SOP_INSTANCE)
    if command.field == CommandField.N_ACTION:
        _handle_request(call, command, data_set, responder)
    else:
        if not call.rights.event_report:
            raise Refusal(status.NOT_AUTHORIZED, "N-EVENT-REPORT is not allowed")
        responder.send(take_event(call.archive, call.context, command, data_set))


def _handle_request(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    if not call.rights.commitment:
        raise Refusal(status.NOT_AUTHORIZED, "Storage commitment is not allowed")
    if command.number("ActionTypeID") != wire.REQUEST_COMMITMENT:
        raise Refusal(status.NO_SUCH_ACTION)
    found = parsed(
        call.archive,
        call.context.transfer_syntax,
        data_set,
        missing=status.INVALID_ARGUMENT_VALUE,
        unreadable=status.PROCESSING_FAILURE,
    )
    transaction, references = wire.read_request(found)
    key = (call.origin.remote_aet, transaction)
    waiting = channel.opened(key)
    try:
        try:
            queue.submit(
                call.archive,
                COMMITMENT_SCP,
                arguments(call.origin, transaction, references),
                content=content(call.origin, transaction),
            )
        except ReadOnly:
            raise Refusal(status.NOT_AUTHORIZED, "The archive is read-only") from None
        except ArchiveError as error:
            log.error("a storage commitment could not be queued: %s", error)
            raise Refusal(status.PROCESSING_FAILURE, "The request could not be kept") from error
        log.info("storage commitment of %d instances asked for by %s", len(references), call.peer.ip)
        responder.send(command.response(status.SUCCESS))
        waiting.offer(responder, _WAIT_SECONDS)
    finally:
        channel.closed(key, waiting)


PROVIDER = Provider(
    (wire.PUSH_MODEL,),
    frozenset({CommandField.N_ACTION, CommandField.N_EVENT_REPORT}),
    lambda rights: rights.commitment or rights.event_report,
    handle,
    requestor_may_provide=True,
)
