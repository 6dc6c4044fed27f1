"""Two associations that talk without a socket, and data to talk about."""

from __future__ import annotations

from ithil.network import pdu
from ithil.network.association import Association, Limits
from ithil.network.events import DataReceived, Event, MessageComplete, MessageStarted
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import ContextAnswer, ProposedContext, UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

REQUEST = pdu.AssociateRequest(
    "ARCHIVE",
    "MODALITY",
    (ProposedContext(1, VERIFICATION, (IMPLICIT,)), ProposedContext(3, CT, (EXPLICIT, IMPLICIT))),
    UserInformation(max_pdu_length=16384),
)
ACCEPT = pdu.AssociateAccept(
    "ARCHIVE",
    "MODALITY",
    (ContextAnswer(1, 0, IMPLICIT), ContextAnswer(3, 0, EXPLICIT)),
    UserInformation(max_pdu_length=4096),
)
ECHO = Command(AffectedSOPClassUID=VERIFICATION, CommandField=CommandField.C_ECHO, MessageID=1)
STORE = Command(
    AffectedSOPClassUID=CT,
    CommandField=CommandField.C_STORE,
    MessageID=2,
    Priority=0,
    AffectedSOPInstanceUID="1.2.3",
)


def deliver(source: Association, target: Association) -> list[Event]:
    """Give what one side has to send to the other."""
    data = source.data_to_send()
    return target.receive_data(memoryview(data)) if data else []


def associated(
    request: pdu.AssociateRequest = REQUEST,
    accept: pdu.AssociateAccept = ACCEPT,
    limits: Limits | None = None,
) -> tuple[Association, Association]:
    """A requestor and an acceptor in Sta6."""
    requestor, acceptor = Association.as_requestor(request, limits), Association.as_acceptor(limits)
    deliver(requestor, acceptor)
    acceptor.accept(accept)
    deliver(acceptor, requestor)
    return requestor, acceptor


def message(side: Association, context_id: int, command: Command, data_set=None) -> bytes:
    """A message's bytes."""
    return b"".join(side.message_chunks(context_id, command, data_set))


def flattened(events: list[Event]) -> list[object]:
    """Events with the pieces of each data set joined, since where they are cut depends on the reads."""
    flat: list[object] = []
    for event in events:
        if isinstance(event, DataReceived):
            piece = b"".join(event.views)
            if flat and isinstance(flat[-1], bytes):
                flat[-1] += piece
            else:
                flat.append(piece)
        else:
            flat.append(event)
    return flat


def store_events(data: bytes) -> list[object]:
    """What a C-STORE of `data` is to its receiver."""
    command = Command(STORE, CommandDataSetType=1)
    return [MessageStarted(3, command), *([data] if data else []), MessageComplete()]
