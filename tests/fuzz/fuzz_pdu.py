"""Fuzz target for everything that reads bytes of a DICOM peer: PDUs, command sets, whole associations.

    python -m tests.fuzz.fuzz_pdu --seconds 60

Uses atheris (coverage guided) where it is installed, and random mutation of valid streams where it is not.
What may happen is written in `fuzz_one`; anything else is a finding, and the input that shows it is printed.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from ithil.network import pdu
from ithil.network.association import Association, Limits
from ithil.network.errors import PduError
from ithil.network.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    DataReceived,
    MessageComplete,
    MessageStarted,
    Released,
    ReleaseRequested,
)
from ithil.network.messages import Command, CommandField, decode_command, encode_command
from ithil.network.negotiation import Policy, negotiate
from ithil.network.pdu_items import (
    AsyncOperationsWindow,
    CommonExtendedNegotiation,
    ContextAnswer,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from ithil.network.states import State
from tests.fuzz import course

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
LIMITS = Limits(max_associate_length=1 << 16, max_data_pdu_length=1 << 16)
POLICY = Policy(lambda uid: True, lambda sop_class, uid: True, allows_requestor_as_scp=lambda uid: True)
REQUEST = pdu.AssociateRequest(
    "ARCHIVE",
    "MODALITY",
    (
        ProposedContext(1, CT, (EXPLICIT, "1.2.840.10008.1.2")),
        ProposedContext(3, "1.2.840.10008.1.1", (EXPLICIT,)),
    ),
    UserInformation(
        16384,
        "1.2.3",
        "FUZZ",
        AsyncOperationsWindow(1, 1),
        (RoleSelection(CT, True, True),),
        (ExtendedNegotiation(CT, b"\1\2"),),
        (CommonExtendedNegotiation(CT, "1.2.3", ("1.2.4",)),),
        UserIdentity(2, True, b"user", b"word"),
    ),
)
ACCEPT = pdu.AssociateAccept(
    "ARCHIVE", "MODALITY", (ContextAnswer(1, 0, EXPLICIT), ContextAnswer(3, 0, EXPLICIT))
)
STORE = Command(
    AffectedSOPClassUID=CT, CommandField=CommandField.C_STORE, MessageID=1, AffectedSOPInstanceUID="1.2.3"
)


def fuzz_one(data: bytes) -> None:
    """Feed `data` to every reader. The first byte says how the stream is cut.

    A decoder returns a value that can be encoded again, or raises `PduError`. An association never raises,
    its events make sense in order, and once over it stays over.
    """
    try:
        value = pdu.decode(data)
    except PduError:
        pass
    else:
        assert pdu.decode(pdu.encode(value)) == value
    try:
        command = decode_command(data)
    except PduError:
        pass
    else:
        again = decode_command(encode_command(command, data_set=command.has_data_set))
        assert again.get("CommandField") == command.get("CommandField")
    if len(data) > 1:
        for association in (
            Association.as_acceptor(LIMITS),
            _established(),
            Association.as_requestor(REQUEST, LIMITS),
        ):
            _feed(association, data[1:], 1 + data[0])


def _established() -> Association:
    association = Association.as_acceptor(LIMITS)
    association.receive_data(memoryview(pdu.encode(REQUEST)))
    association.accept(ACCEPT)
    association.data_to_send()
    return association


def _feed(association: Association, data: bytes, step: int) -> None:
    awaiting_data = False
    for start in range(0, len(data), step):
        piece = memoryview(data)[start : start + step]
        was_over = association.is_over
        received = 0
        for event in association.receive_data(piece):
            assert not was_over, "something happened after the end"
            match event:
                case MessageStarted():
                    assert not awaiting_data
                    assert event.context_id in association.contexts
                    awaiting_data = True
                case DataReceived():
                    assert awaiting_data
                    received += sum(len(view) for view in event.views)
                case MessageComplete():
                    assert awaiting_data
                    awaiting_data = False
                case AssociateRequested():
                    # As a driver would, unless something behind the request has ended it already.
                    if association.state is State.STA3:
                        _answer(association, event.request)
                case ReleaseRequested():
                    if association.state in (State.STA8, State.STA9, State.STA12):
                        association.confirm_release()
                case AssociateAccepted() | AssociateRejected() | Released() | Aborted():
                    pass
                case _:
                    raise AssertionError(f"unexpected {type(event).__name__}")
        assert received <= len(piece)
        association.data_to_send()
    association.receive_data(memoryview(b""))
    assert association.state is State.STA1


def _answer(association: Association, request: pdu.AssociateRequest) -> None:
    answer = negotiate(request, POLICY)
    assert isinstance(answer, pdu.AssociateAccept)
    association.accept(answer)


def seeds() -> list[bytes]:
    """Valid streams that mutation starts from, each behind its byte for the step."""
    requestor = Association.as_requestor(REQUEST, LIMITS)
    request = requestor.data_to_send()
    requestor.receive_data(memoryview(pdu.encode(ACCEPT)))
    store = b"".join(requestor.message_chunks(1, STORE, [bytes(500)]))
    small_pdus = [pdu.ReleaseRequest(), pdu.ReleaseResponse(), pdu.Abort(0, 0), pdu.AssociateReject(1, 1, 1)]
    streams = [
        request,
        pdu.encode(ACCEPT),
        store,
        store + store,
        request + store,
        *map(pdu.encode, small_pdus),
    ]
    return [b"\xff" + stream for stream in streams] + streams + [encode_command(STORE, data_set=True)]


def mutations(choice: random.Random) -> Iterator[bytes]:
    """Endless damaged streams: bytes and lengths overwritten, parts cut out, doubled and put together."""
    corpus = seeds()
    while True:
        raw = bytearray(choice.choice(corpus))
        for _ in range(choice.randint(1, 5)):
            at = choice.randrange(len(raw) + 1)
            match choice.randrange(5):
                case 0 if at < len(raw):
                    raw[at] = choice.randrange(256)
                case 1:
                    value = choice.choice((0, 1, 2, 4, 6, 0xFF, 0x7FFF, 0xFFFF, 0xFFFFFFFF))
                    raw[at : at + 4] = struct.pack(">I", value)
                case 2:
                    del raw[at : at + choice.randint(1, 20)]
                case 3:
                    raw[at:at] = raw[at : at + choice.randint(1, 40)]
                case _:
                    raw[at:] = choice.choice(corpus)[choice.randrange(20) :]
        yield bytes(raw)


if __name__ == "__main__":
    course.main(__doc__, fuzz_one, mutations)
