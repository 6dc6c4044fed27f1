"""The association as a state machine: bytes in, events and bytes out, no sockets."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.network.exchange import (
    ACCEPT,
    CT,
    ECHO,
    EXPLICIT,
    IMPLICIT,
    REQUEST,
    STORE,
    VERIFICATION,
    associated,
    deliver,
    flattened,
    message,
    store_events,
)

from ithil.network import pdu
from ithil.network.association import Association, Limits, PresentationContext
from ithil.network.errors import AbortReason, ProtocolMisuse
from ithil.network.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    ConnectionClosed,
    MessageComplete,
    MessageStarted,
    Released,
    ReleaseRequested,
)
from ithil.network.pdu import PresentationDataValue
from ithil.network.pdu_items import ContextAnswer, RoleSelection, UserInformation
from ithil.network.states import State


def receive(side: Association, data: bytes) -> list[object]:
    return flattened(side.receive_data(memoryview(data)))


def p_data(*values: PresentationDataValue) -> bytes:
    return pdu.encode(pdu.PData(values))


def aborted_for(events: list[object]) -> AbortReason:
    last = events[-1]
    assert isinstance(last, Aborted)
    assert not last.by_peer
    return AbortReason(last.reason)


def test_request_accept_echo_release():
    requestor, acceptor = Association.as_requestor(REQUEST), Association.as_acceptor()
    assert deliver(requestor, acceptor) == [AssociateRequested(REQUEST)]
    acceptor.accept(ACCEPT)
    assert deliver(acceptor, requestor) == [AssociateAccepted(ACCEPT)]
    assert requestor.is_established
    events = receive(acceptor, message(requestor, 1, ECHO))
    assert [type(event) for event in events] == [MessageStarted, MessageComplete]
    assert events[0].command.response(0).responded_message_id == 1
    requestor.release()
    assert deliver(requestor, acceptor) == [ReleaseRequested()]
    acceptor.confirm_release()
    assert deliver(acceptor, requestor) == [Released()]
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA13)
    assert acceptor.receive_data(memoryview(b"")) == [ConnectionClosed(expected=True)]


def test_rejection():
    requestor, acceptor = Association.as_requestor(REQUEST), Association.as_acceptor()
    deliver(requestor, acceptor)
    acceptor.reject(pdu.AssociateReject(1, 1, 7))
    assert deliver(acceptor, requestor) == [AssociateRejected(pdu.AssociateReject(1, 1, 7), by_peer=True)]
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA13)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"protocol_version": 2}, pdu.AssociateReject(1, 2, 2)),
        ({"application_context": "1.2.3"}, pdu.AssociateReject(1, 1, 2)),
        ({"calling_ae_title": ""}, pdu.AssociateReject(1, 1, 3)),
        ({"called_ae_title": "A\\B"}, pdu.AssociateReject(1, 1, 7)),
        ({"user_information": UserInformation(max_pdu_length=50)}, pdu.AssociateReject(1, 1, 1)),
    ],
)
def test_requests_that_nobody_could_serve_are_rejected_at_once(change, answer):
    requestor, acceptor = Association.as_requestor(replace(REQUEST, **change)), Association.as_acceptor()
    assert deliver(requestor, acceptor) == [AssociateRejected(answer, by_peer=False)]
    assert deliver(acceptor, requestor) == [AssociateRejected(answer, by_peer=True)]
    assert acceptor.is_over


def test_contexts_are_those_both_sides_agree_on():
    accept = replace(
        ACCEPT,
        contexts=(
            ContextAnswer(1, 0, EXPLICIT),  # a transfer syntax that was not proposed
            ContextAnswer(3, 0, IMPLICIT),
            ContextAnswer(5, 0, IMPLICIT),  # a context that was not proposed
        ),
    )
    requestor, acceptor = associated(accept=accept)
    expected = {3: PresentationContext(3, CT, IMPLICIT, local_scu=True, local_scp=False)}
    assert requestor.contexts == expected
    assert acceptor.contexts == {3: replace(expected[3], local_scu=False, local_scp=True)}


def test_roles_count_only_if_asked_for_and_answered():
    wish = replace(REQUEST, user_information=UserInformation(16384, roles=(RoleSelection(CT, False, True),)))
    grant = replace(
        ACCEPT,
        user_information=UserInformation(
            16384, roles=(RoleSelection(CT, False, True), RoleSelection(VERIFICATION, False, True))
        ),
    )
    requestor, acceptor = associated(wish, grant)
    assert (requestor.contexts[3].local_scu, requestor.contexts[3].local_scp) == (False, True)
    assert (acceptor.contexts[3].local_scu, acceptor.contexts[3].local_scp) == (True, False)
    assert requestor.contexts[1].local_scu


@given(
    data=st.binary(max_size=700),
    chunk=st.integers(1, 300),
    limit=st.integers(128, 400),
    cuts=st.lists(st.integers(1, 90), max_size=40),
)
@settings(max_examples=60)
def test_a_message_arrives_however_it_is_cut(data, chunk, limit, cuts):
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=limit))
    requestor, acceptor = associated(accept=accept)
    chunks = [data[start : start + chunk] for start in range(0, len(data), chunk)]
    stream = message(requestor, 3, STORE, chunks) + message(requestor, 1, ECHO)
    events: list[object] = []
    for cut in [*cuts, len(stream)]:
        piece, stream = stream[:cut], stream[cut:]
        if piece:
            # What the views show must be taken before the next read, as from a reused buffer.
            events += receive(acceptor, piece)
    joined: list[object] = []
    for event in events:
        if isinstance(event, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += event
        else:
            joined.append(event)
    assert joined[:-2] == store_events(data)
    assert [type(event) for event in joined[-2:]] == [MessageStarted, MessageComplete]
    assert not acceptor.inside_message


@given(st.lists(st.binary(max_size=500), max_size=12), st.integers(128, 300))
def test_no_pdu_is_longer_than_the_peer_wants(chunks, limit):
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=limit))
    requestor, _ = associated(accept=accept)
    stream = message(requestor, 3, STORE, chunks)
    while stream:
        (length,) = struct.unpack_from(">I", stream, 2)
        assert 6 <= length <= limit
        stream = stream[6 + length :]


@given(st.lists(st.binary(max_size=500), max_size=12), st.integers(128, 300))
def test_the_bytes_are_the_same_whether_the_parts_last_or_not(chunks, limit):
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=limit))
    requestor, _ = associated(accept=accept)

    def passing():
        for chunk in chunks:
            memory = bytearray(chunk)
            yield memory
            memory[:] = bytes(len(memory))

    expected = message(requestor, 3, STORE, [b"".join(chunks)])
    assert message(requestor, 3, STORE, tuple(chunks)) == expected
    assert message(requestor, 3, STORE, passing()) == expected


@pytest.mark.parametrize("limit", [128, 16384, 131072])
@pytest.mark.parametrize("parts", [1, 7, 4000])
@pytest.mark.parametrize("kind", [tuple, iter])
def test_a_large_data_set_leaves_in_batches_that_a_system_call_takes(limit, parts, kind):
    accept = replace(ACCEPT, user_information=UserInformation(max_pdu_length=limit))
    requestor, acceptor = associated(accept=accept)
    data = random.Random(0).randbytes(5_000_000)
    size = -(-len(data) // parts)
    chunks = kind(data[start : start + size] for start in range(0, len(data), size))
    received: list[object] = []
    for buffers in requestor.message_buffers(3, STORE, kind(chunks)):
        assert len(buffers) <= 1024
        assert sum(map(len, buffers)) <= 2 << 20
        received += receive(acceptor, b"".join(buffers))
    assert b"".join(event for event in received if isinstance(event, bytes)) == data
    assert isinstance(received[-1], MessageComplete)


def test_a_data_set_that_is_in_memory_is_not_copied():
    requestor, _ = associated()
    memory = bytearray(100_000)
    (buffers,) = requestor.message_buffers(3, STORE, (memory,))
    memory[:50_000] = b"x" * 50_000
    assert b"".join(buffers).count(b"x") >= 50_000


def test_command_and_data_in_one_pdu_several_fragments_and_empty_ones():
    requestor, acceptor = associated()
    raw = message(requestor, 3, STORE, [b"x"])[12:]
    command = raw[: raw.index(b"\4\0\0\0\0\x07")]
    stream = p_data(
        PresentationDataValue(3, True, False, command[:10]),
        PresentationDataValue(3, True, False, b""),
        PresentationDataValue(3, True, True, command[10:]),
        PresentationDataValue(3, False, False, b"ab"),
        PresentationDataValue(3, False, False, b""),
        PresentationDataValue(3, False, False, b"cd"),
        PresentationDataValue(3, False, True, b""),
    )
    assert receive(acceptor, stream) == store_events(b"abcd")


def test_a_pdu_larger_than_any_buffer_is_delivered_as_it_comes():
    requestor, acceptor = associated()
    command = message(requestor, 3, STORE, [b""])
    receive(acceptor, command[: -len(p_data(PresentationDataValue(3, False, True, b"")))])
    data = bytes(3 << 20)
    raw = p_data(PresentationDataValue(3, False, True, data))
    first = acceptor.receive_data(memoryview(raw)[:1000])
    assert len(flattened(first)[0]) == 1000 - 12
    rest = receive(acceptor, raw[1000:])
    assert [len(event) if isinstance(event, bytes) else event for event in rest] == [
        len(data) - 988,
        MessageComplete(),
    ]


def test_a_pdu_beyond_the_cap_aborts():
    requestor, acceptor = associated(limits=Limits(max_data_pdu_length=1000))
    receive(acceptor, message(requestor, 3, STORE, [b""])[:-12])
    events = receive(acceptor, p_data(PresentationDataValue(3, False, True, bytes(2000))))
    assert aborted_for(events) == AbortReason.INVALID_PARAMETER_VALUE
    assert deliver(acceptor, requestor) == [Aborted(2, 6, by_peer=True)]


def test_an_association_request_beyond_the_cap_aborts_without_being_read():
    acceptor = Association.as_acceptor()
    events = receive(acceptor, b"\1\0" + struct.pack(">I", 1 << 30) + bytes(50))
    assert aborted_for(events) == AbortReason.INVALID_PARAMETER_VALUE


def test_a_command_set_that_never_ends_aborts():
    _, acceptor = associated()
    endless = p_data(PresentationDataValue(3, True, False, bytes(60000)))
    assert receive(acceptor, endless) == []
    assert aborted_for(receive(acceptor, endless)) == AbortReason.INVALID_PARAMETER_VALUE


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param([(3, False, True, b"x")], AbortReason.UNEXPECTED_PARAMETER, id="data before command"),
        pytest.param([(9, True, True, b"x")], AbortReason.INVALID_PARAMETER_VALUE, id="unknown context"),
        pytest.param(
            [(3, True, False, b"x"), (1, True, True, b"x")],
            AbortReason.UNEXPECTED_PARAMETER,
            id="command changes its context",
        ),
        pytest.param([(3, True, True, b"x")], AbortReason.INVALID_PARAMETER_VALUE, id="no command set"),
    ],
)
def test_fragments_out_of_place_abort(values, reason):
    _, acceptor = associated()
    events = receive(acceptor, p_data(*(PresentationDataValue(*value) for value in values)))
    assert aborted_for(events) == reason
    assert acceptor.state is State.STA13


@pytest.mark.parametrize("value", [(1, False, True, b"x"), (3, True, True, b"x")])
def test_a_data_set_is_not_interrupted(value):
    requestor, acceptor = associated()
    receive(acceptor, message(requestor, 3, STORE, [b""])[:-12])
    events = receive(acceptor, p_data(PresentationDataValue(*value)))
    assert aborted_for(events) == AbortReason.UNEXPECTED_PARAMETER


@pytest.mark.parametrize("raw", ["0400 00000003 000000", "0400 00000008 00000009 0303 0000", "0400 00000000"])
def test_lying_lengths_abort(raw):
    _, acceptor = associated()
    assert aborted_for(receive(acceptor, bytes.fromhex(raw))) == AbortReason.INVALID_PARAMETER_VALUE


def test_events_before_the_error_are_kept():
    requestor, acceptor = associated()
    events = receive(acceptor, message(requestor, 1, ECHO) + b"GET / HTTP/1.1\r\n\r\n")
    assert [type(event) for event in events] == [MessageStarted, MessageComplete, Aborted]
    assert aborted_for(events) == AbortReason.UNRECOGNIZED_PDU


@pytest.mark.parametrize(
    "value",
    [REQUEST, ACCEPT, pdu.AssociateReject(1, 1, 1), pdu.ReleaseResponse()],
    ids=lambda value: type(value).__name__,
)
def test_pdus_that_do_not_belong_into_an_association_abort(value):
    _, acceptor = associated()
    assert aborted_for(receive(acceptor, pdu.encode(value))) == AbortReason.UNEXPECTED_PDU


def test_data_before_the_association_aborts():
    acceptor = Association.as_acceptor()
    raw = p_data(PresentationDataValue(1, True, True, b"x"))
    assert aborted_for(receive(acceptor, raw)) == AbortReason.UNEXPECTED_PDU


def test_nothing_is_read_after_an_abort():
    requestor, acceptor = associated()
    receive(acceptor, b"\x99" * 20)
    assert receive(acceptor, message(requestor, 1, ECHO)) == []
    assert receive(acceptor, pdu.encode(REQUEST)) == []


def test_the_peers_abort_ends_everything():
    requestor, acceptor = associated()
    requestor.abort()
    assert deliver(requestor, acceptor) == [Aborted(0, 0, by_peer=True)]
    assert acceptor.state is State.STA1
    with pytest.raises(ProtocolMisuse):
        message(acceptor, 1, ECHO)


def test_a_connection_that_breaks_is_not_expected():
    _, acceptor = associated()
    assert acceptor.receive_data(memoryview(b"")) == [ConnectionClosed(expected=False)]


def test_both_sides_release_at_once():
    requestor, acceptor = associated()
    requestor.release()
    acceptor.release()
    from_requestor, from_acceptor = requestor.data_to_send(), acceptor.data_to_send()
    assert receive(requestor, from_acceptor) == [ReleaseRequested()]
    assert receive(acceptor, from_requestor) == []
    requestor.confirm_release()
    assert deliver(requestor, acceptor) == [ReleaseRequested()]
    acceptor.confirm_release()
    assert deliver(acceptor, requestor) == [Released()]
    assert (requestor.state, acceptor.state) == (State.STA1, State.STA13)


def test_what_was_under_way_still_arrives_while_releasing():
    requestor, acceptor = associated()
    requestor.release()
    events = receive(requestor, message(acceptor, 1, ECHO))
    assert [type(event) for event in events] == [MessageStarted, MessageComplete]


def test_artim_runs_for_strangers_and_for_the_departing():
    acceptor = Association.as_acceptor()
    assert acceptor.artim_running
    acceptor.artim_expired()
    assert acceptor.state is State.STA1
    _, acceptor = associated()
    assert not acceptor.artim_running
    acceptor.abort()
    assert acceptor.artim_running


def test_asking_for_what_the_state_forbids_is_a_misuse():
    acceptor = Association.as_acceptor()
    with pytest.raises(ProtocolMisuse):
        acceptor.accept(ACCEPT)
    with pytest.raises(ProtocolMisuse):
        acceptor.release()
    with pytest.raises(ProtocolMisuse):
        acceptor.confirm_release()


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_never_raise(data, established):
    acceptor = associated()[1] if established else Association.as_acceptor()
    for event in acceptor.receive_data(memoryview(data)) if data else []:
        assert isinstance(event, Aborted | MessageStarted | MessageComplete | AssociateRejected)
