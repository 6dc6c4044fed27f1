"""One association as a pure state machine: bytes of the peer in, events out; our wishes in, bytes to send
out.

Nothing here touches a socket, a clock or a thread (the way of h11 and of psycopg's protocol code). A driver
reads from its connection and calls `receive_data`, looks at the events, calls what answers them, and sends
what `data_to_send` and `message_chunks` give it. So the same code serves a blocking thread, an event loop, a
test that feeds one byte at a time, and a fuzzer. What follows what is written in `states.py`; how the byte
stream is cut, in `reader.py`.

Timers are the driver's too: while `artim_running` is true, the peer has the ARTIM time to get on with it, and
then `artim_expired` is due (PS3.8 9.1.5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from ithil.network import pdu
from ithil.network.errors import AbortReason, PduError, ProtocolMisuse
from ithil.network.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    ConnectionClosed,
    Event,
    Released,
    ReleaseRequested,
)
from ithil.network.messages import Command, encode_command
from ithil.network.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import Buffer, ContextResult
from ithil.network.reader import PduReader
from ithil.network.states import Action, Input, State, transition

# Of a batch, which can begin with almost as much that was left before. A system call takes 1024 buffers, and a
# fragment is two.
_SEND_BATCH = 1 << 20  # bytes
_MOST_FRAGMENTS = 250
_data_header = struct.Struct(">BxIIBB")

_INPUT_OF_PDU = {
    pdu.ASSOCIATE_RQ: Input.ASSOCIATE_RQ,
    pdu.ASSOCIATE_AC: Input.ASSOCIATE_AC,
    pdu.ASSOCIATE_RJ: Input.ASSOCIATE_RJ,
    pdu.P_DATA_TF: Input.P_DATA_TF,
    pdu.RELEASE_RQ: Input.RELEASE_RQ,
    pdu.RELEASE_RP: Input.RELEASE_RP,
    pdu.ABORT: Input.ABORT_PDU,
}

USER = 0
PROVIDER = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes that bound what one peer can make us hold or send."""

    max_associate_length: int = 1 << 20
    max_data_pdu_length: int = 16 << 20
    """Above what we announce, since peers exist that ignore it; a larger P-DATA-TF aborts the association."""
    max_sent_pdu_length: int = 131072
    """Used towards a peer that announces no limit or a higher one."""


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """An accepted context, and which roles this side has in it (PS3.7 D.3.3.4)."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    local_scu: bool
    local_scp: bool


class Association:
    """The upper layer of one connection. Create it with `as_acceptor` or `as_requestor`."""

    def __init__(self, limits: Limits, *, is_requestor: bool) -> None:
        self.state = State.STA1
        self.is_requestor = is_requestor
        self.contexts: dict[int, PresentationContext] = {}
        """Accepted contexts by identifier; empty until the association is established."""
        self.request: AssociateRequest | None = None
        """The request, the peer's or ours, once there is one."""
        self._limits = limits
        self._reader = PduReader(limits.max_associate_length, limits.max_data_pdu_length)
        self._outgoing: list[bytes] = []
        self._payload = 0

    @classmethod
    def as_acceptor(cls, limits: Limits | None = None) -> Association:
        """For a connection that a peer has opened (Evt5)."""
        association = cls(limits or Limits(), is_requestor=False)
        association._step(Input.CONNECTION_INDICATED)
        return association

    @classmethod
    def as_requestor(cls, request: AssociateRequest, limits: Limits | None = None) -> Association:
        """For a connection that we have opened (Evt1, Evt2): A-ASSOCIATE-RQ is ready to be sent."""
        association = cls(limits or Limits(), is_requestor=True)
        association._step(Input.REQUEST)
        association._step(Input.CONNECTION_CONFIRMED)
        association.request = request
        association._outgoing.append(pdu.encode(request))
        return association

    @property
    def artim_running(self) -> bool:
        """Whether the peer is being waited for under the ARTIM timer."""
        return self.state in (State.STA2, State.STA13)

    @property
    def is_established(self) -> bool:
        """Whether messages can be sent and received."""
        return self.state is State.STA6

    @property
    def is_over(self) -> bool:
        """Whether nothing remains but to close the connection, now (Sta1) or when the peer does (Sta13)."""
        return self.state in (State.STA1, State.STA13)

    @property
    def inside_message(self) -> bool:
        """Whether the peer is in the middle of a message, so that more of it must follow."""
        return self._reader.inside_message

    def data_to_send(self) -> bytes:
        """Everything but messages that is to be sent now; empty if nothing is."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def receive_data(self, data: memoryview) -> list[Event]:
        """What `data` from the peer means. An empty view says that the connection has ended.

        Never raises for what a peer sends: bytes that are wrong queue an A-ABORT and end in an `Aborted`
        event.
        """
        if not data:
            return self._connection_closed()
        events: list[Event] = []
        reader = self._reader
        offset, end = 0, len(data)
        try:
            while offset < end and self.state is not State.STA13 and self.state is not State.STA1:
                offset = reader.feed(data, offset, events)
                if reader.control is not None:
                    pdu_type, body = reader.control
                    reader.control = None
                    self._receive_control(pdu_type, body, events)
        except PduError as error:
            self._step(Input.INVALID_PDU)
            self._abort_for(error, events)
        return events

    def accept(self, answer: AssociateAccept) -> None:
        """Answer `AssociateRequested` with yes (Evt7). `answer` goes out as it is."""
        self._step(Input.ACCEPT)
        self._outgoing.append(pdu.encode(answer))
        self._establish(answer)

    def reject(self, answer: AssociateReject) -> None:
        """Answer `AssociateRequested` with no (Evt8)."""
        self._step(Input.REJECT)
        self._outgoing.append(pdu.encode(answer))

    def release(self) -> None:
        """Ask the peer to end the association (Evt11)."""
        self._step(Input.RELEASE)
        self._outgoing.append(pdu.encode(pdu.ReleaseRequest()))

    def confirm_release(self) -> None:
        """Answer `ReleaseRequested` (Evt14)."""
        self._step(Input.CONFIRM_RELEASE)
        self._outgoing.append(pdu.encode(pdu.ReleaseResponse()))
        self._reader.accepts_data = False

    def abort(self, source: int = USER, reason: int = AbortReason.NOT_SPECIFIED) -> None:
        """End the association at once (Evt15); nothing happens if it is over already."""
        if self.state in (State.STA1, State.STA2, State.STA13):
            return
        self._step(Input.ABORT)
        self._outgoing.append(pdu.encode(Abort(source, reason)))
        self._reader.accepts_data = False

    def artim_expired(self) -> None:
        """The peer let the ARTIM time pass (Evt18): the driver closes the connection."""
        self._step(Input.ARTIM_EXPIRED)

    def message_buffers(
        self, context_id: int, command: Command, data_set: Iterable[Buffer] | None = None
    ) -> Iterator[list[Buffer]]:
        """The bytes of a message as P-DATA-TF that fit the peer's limit, in batches of up to 2 MiB.

        To be sent whole and in order before anything else. Data are not copied: a batch is made of headers and
        of views into `data_set`, for a system call that takes many buffers, and is dead when the next one is
        asked for. `data_set` is consumed as batches are asked for, so it may be a file that is larger than
        memory. If it is a tuple, its parts all live until the end of the message, so that they travel together.
        Raises `ProtocolMisuse` if no data may be sent now.
        """
        if transition(self.state, Input.SEND_DATA, is_requestor=self.is_requestor) is None:
            raise ProtocolMisuse(f"cannot send a message while {self.state.value}")
        raw = encode_command(command, data_set=data_set is not None)
        if len(raw) <= self._payload:
            head = _data_header.pack(pdu.P_DATA_TF, len(raw) + 6, len(raw) + 2, context_id, 3) + raw
        else:
            head = b"".join(chain.from_iterable(_fragments(context_id, 1, (raw,), self._payload, b"")))
        if data_set is not None:
            return _fragments(context_id, 0, data_set, self._payload, head)
        alone: list[Buffer] = [head]
        return iter((alone,))

    def message_chunks(
        self, context_id: int, command: Command, data_set: Iterable[Buffer] | None = None
    ) -> Iterator[bytes]:
        """The same as `message_buffers`, each batch joined, for connections that take one buffer at a time."""
        return map(b"".join, self.message_buffers(context_id, command, data_set))

    def _step(self, happening: Input) -> Action:
        """Move as the table says; raises `ProtocolMisuse` for what this side may not do now."""
        entry = transition(self.state, happening, is_requestor=self.is_requestor)
        if entry is None:
            raise ProtocolMisuse(f"{happening.name} is not possible while {self.state.value}")
        action, self.state = entry
        return action

    def _receive_control(self, pdu_type: int, body: bytes, events: list[Event]) -> None:
        # Data is read by the reader in the states that allow it; here it is always out of place. Everything
        # else is decoded first, since bytes that are no PDU are Evt19 in any state.
        received = None if pdu_type == pdu.P_DATA_TF else pdu.decode_body(pdu_type, body)
        action = self._step(_INPUT_OF_PDU[pdu_type])
        match action:
            case Action.AE6:
                assert isinstance(received, AssociateRequest)
                self._receive_request(received, events)
            case Action.AE3:
                assert isinstance(received, AssociateAccept)
                self._establish(received)
                events.append(AssociateAccepted(received))
            case Action.AE4:
                assert isinstance(received, AssociateReject)
                events.append(AssociateRejected(received, by_peer=True))
            case Action.AR2:
                self._reader.accepts_data = False
                events.append(ReleaseRequested())
            case Action.AR8:
                self._reader.accepts_data = False
                # In a collision the requestor answers first; the acceptor is asked at AR-10.
                if self.is_requestor:
                    events.append(ReleaseRequested())
            case Action.AR3:
                events.append(Released())
            case Action.AR10:
                events.append(ReleaseRequested())
            case Action.AA2 | Action.AA3:
                assert isinstance(received, Abort)
                events.append(Aborted(received.source, received.reason, by_peer=True))
            case _:
                self._abort_for(
                    PduError("a PDU came that is not expected now", AbortReason.UNEXPECTED_PDU), events
                )

    def _receive_request(self, request: AssociateRequest, events: list[Event]) -> None:
        """Reject at once what no service could serve (AE-6, PS3.8 9.3.4), and report the rest."""
        self.request = request
        reject: AssociateReject | None = None
        if not request.protocol_version & pdu.PROTOCOL_VERSION:
            reject = AssociateReject(1, 2, 2)
        elif request.application_context != pdu.APPLICATION_CONTEXT:
            reject = AssociateReject(1, 1, 2)
        elif not pdu.is_acceptable_ae_title(request.calling_ae_title):
            reject = AssociateReject(1, 1, 3)
        elif not pdu.is_acceptable_ae_title(request.called_ae_title):
            reject = AssociateReject(1, 1, 7)
        elif 0 < request.user_information.max_pdu_length < 128:
            # Too small to carry a command set in any sane number of fragments.
            reject = AssociateReject(1, 1, 1)
        if reject is None:
            events.append(AssociateRequested(request))
        else:
            self.reject(reject)
            events.append(AssociateRejected(reject, by_peer=False))

    def _establish(self, answer: AssociateAccept) -> None:
        assert self.request is not None
        proposed = {context.id: context for context in self.request.contexts}
        requested_roles = {role.sop_class_uid for role in self.request.user_information.roles}
        roles = {
            role.sop_class_uid: (role.scu, role.scp)
            for role in answer.user_information.roles
            if role.sop_class_uid in requested_roles
        }
        for result in answer.contexts:
            context = proposed.get(result.id)
            if (
                context is None
                or result.result != ContextResult.ACCEPTANCE
                or result.transfer_syntax not in context.transfer_syntaxes
            ):
                continue
            # Without a role selection, the requestor is the SCU and the acceptor the SCP.
            scu, scp = roles.get(context.abstract_syntax, (True, False))
            local_scu, local_scp = (scu, scp) if self.is_requestor else (scp, scu)
            self.contexts[result.id] = PresentationContext(
                result.id, context.abstract_syntax, result.transfer_syntax, local_scu, local_scp
            )
        peer = answer.user_information if self.is_requestor else self.request.user_information
        limit = min(peer.max_pdu_length or self._limits.max_sent_pdu_length, self._limits.max_sent_pdu_length)
        # Fragments are of even length but for the last (PS3.8 annex E.1), each with a header of six bytes.
        self._payload = (max(limit, 128) - 6) & ~1
        self._reader.contexts = self.contexts
        self._reader.accepts_data = True

    def _abort_for(self, error: PduError, events: list[Event]) -> None:
        self._reader.accepts_data = False
        self._outgoing.append(pdu.encode(Abort(PROVIDER, error.reason)))
        events.append(Aborted(PROVIDER, error.reason, by_peer=False, detail=str(error)))

    def _connection_closed(self) -> list[Event]:
        if self.state is State.STA1:
            return [ConnectionClosed(expected=True)]
        expected = self._step(Input.CONNECTION_CLOSED) in (Action.AR5, Action.AA5)
        return [ConnectionClosed(expected)]


def _fragments(
    context_id: int, kind: int, chunks: Iterable[Buffer], payload: int, head: bytes
) -> Iterator[list[Buffer]]:
    """`chunks` as P-DATA-TF of one fragment each, after `head`. `kind` is 1 for a command set, else 0."""
    full_header = _data_header.pack(pdu.P_DATA_TF, payload + 6, payload + 2, context_id, kind)
    most = max(1, min(_SEND_BATCH // payload, _MOST_FRAGMENTS)) * payload
    lasting = isinstance(chunks, tuple)
    parts: list[Buffer] = [head]
    held = bytearray()  # up to one payload, held back because the last fragment must be marked as such
    batch = 0
    for chunk in chunks:
        view = memoryview(chunk)
        position = 0
        if held:
            position = min(payload - len(held), len(view))
            held += view[:position]
            if position == len(view):
                continue
            parts += (full_header, bytes(held))
            batch += payload
            held.clear()
        end = position + (len(view) - position - 1) // payload * payload
        while position < end:
            stop = min(end, position + most)
            for start in range(position, stop, payload):
                parts.append(full_header)
                parts.append(view[start : start + payload])
            batch += stop - position
            position = stop
            if batch >= most:
                yield parts
                parts = []
                batch = 0
        held += view[position:]
        if batch >= most or (batch and not lasting):
            # Before the caller's chunk is given back, since the parts are views into it.
            yield parts
            parts = []
            batch = 0
    last = _data_header.pack(pdu.P_DATA_TF, len(held) + 6, len(held) + 2, context_id, kind | 2)
    parts += (last, held)
    yield parts
