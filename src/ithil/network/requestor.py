"""The asking side: open an association with a peer and send it requests, in the calling thread.

    with connect("pacs", 104, called="PACS", calling="ITHIL", contexts=[(VERIFICATION, [uid])]) as peer:
        peer.echo()

Leaving the block releases the association, or aborts it if an exception leaves with it. A `Requestor` belongs
to one thread at a time. Data sets go out as they are read, so their size does not matter.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

from ithil.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ithil.network import status
from ithil.network.association import Association, Limits, PresentationContext
from ithil.network.errors import (
    AssociationAborted,
    AssociationError,
    AssociationLost,
    AssociationRefused,
    ConnectionFailed,
    NoAcceptedContext,
)
from ithil.network.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    ConnectionClosed,
    MessageStarted,
    Released,
    ReleaseRequested,
)
from ithil.network.handler import StoreSink
from ithil.network.messages import PRIORITY_MEDIUM, Command, CommandField
from ithil.network.pdu import AssociateAccept, AssociateRequest
from ithil.network.pdu_items import (
    Buffer,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from ithil.network.receiving import StoreMessage, collect, receive_store
from ithil.network.transport import Transport

VERIFICATION = "1.2.840.10008.1.1"

OpenStore = Callable[[PresentationContext, Command], StoreSink]
OnRequest = Callable[[PresentationContext, Command, bytes | None], Command]
"""Serves a request of the peer; gives the response."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response of a peer; pending ones of a C-FIND carry a data set."""

    command: Command
    data_set: bytes | None


def connect(
    host: str,
    port: int,
    *,
    called: str,
    calling: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    timeout: float = 10,
    max_pdu_length: int = 131072,
    roles: Sequence[RoleSelection] = (),
    extended: Sequence[ExtendedNegotiation] = (),
    user_identity: UserIdentity | None = None,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> Requestor:
    """Open an association. `contexts` are (abstract syntax, transfer syntaxes), at most 128 of them.

    `timeout` is in seconds, for the connection and then for each read and write; 0 waits for ever. Raises
    `ConnectionFailed`, `AssociationRefused`, or another `AssociationError` if the peer aborts or is silent.
    """
    if len(contexts) > 128:
        raise ValueError("an association has at most 128 presentation contexts")
    request = AssociateRequest(
        called,
        calling,
        tuple(
            ProposedContext(2 * number + 1, abstract, tuple(transfer))
            for number, (abstract, transfer) in enumerate(contexts)
        ),
        UserInformation(
            max_pdu_length=max_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION_NAME,
            roles=tuple(roles),
            extended=tuple(extended),
            user_identity=user_identity,
        ),
    )
    association = Association.as_requestor(request, limits)
    transport = Transport(_open_connection(host, port, timeout, tls), association, timeout=timeout)
    try:
        transport.flush()
        event = transport.next_event()
    except BaseException:
        transport.close()
        raise
    if isinstance(event, AssociateAccepted):
        return Requestor(transport, event.accept)
    transport.close()
    match event:
        case AssociateRejected():
            raise AssociationRefused(event.reject.result, event.reject.source, event.reject.reason)
        case Aborted():
            raise AssociationAborted(event.source, event.reason, by_peer=event.by_peer)
        case _:
            raise AssociationLost("the peer closed the connection without an answer")


def _open_connection(host: str, port: int, timeout: float, tls: ssl.SSLContext | None) -> socket.socket:
    sock: socket.socket | None = None
    try:
        sock = socket.create_connection((host, port), timeout=timeout or None)
        return sock if tls is None else tls.wrap_socket(sock, server_hostname=host)
    except (OSError, UnicodeError) as error:  # a host name that cannot be encoded is a UnicodeError
        if sock is not None:
            sock.close()
        raise ConnectionFailed(f"cannot connect ({type(error).__name__})") from error


class Requestor:
    """An established association, from the asking side. Made by `connect`."""

    def __init__(self, transport: Transport, accept: AssociateAccept) -> None:
        self.accept = accept
        """The peer's answer, with the result of each proposed context."""
        self._transport = transport
        self._message_id = 0

    @property
    def contexts(self) -> dict[int, PresentationContext]:
        """The accepted presentation contexts by identifier."""
        return self._transport.association.contexts

    def context_for(self, sop_class_uid: str, transfer_syntax: str | None = None) -> PresentationContext:
        """An accepted context in which we are the SCU; raises `NoAcceptedContext`."""
        for context in self.contexts.values():
            if (
                context.abstract_syntax == sop_class_uid
                and context.local_scu
                and transfer_syntax in (None, context.transfer_syntax)
            ):
                return context
        raise NoAcceptedContext("the peer accepted no presentation context for this SOP class and encoding")

    def echo(self) -> int:
        """C-ECHO (PS3.7 9.3.5): the status of the response."""
        command = Command(AffectedSOPClassUID=VERIFICATION, CommandField=CommandField.C_ECHO)
        return self._single(self.context_for(VERIFICATION), command, None).status

    def store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax: str,
        data_set: Iterable[Buffer],
        *,
        priority: int = PRIORITY_MEDIUM,
        move_originator: tuple[str, int] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        """C-STORE (PS3.7 9.3.1): the response. `data_set` is in `transfer_syntax`, without file meta header.

        `move_originator` is the AE title and message ID of the C-MOVE for which this is done. If `data_set`
        raises while it is read, the association is aborted. `meanwhile` is called when the request is on its way
        and its response has not been read; what it raises is raised after that.
        """
        command = Command(
            AffectedSOPClassUID=sop_class_uid,
            CommandField=CommandField.C_STORE,
            Priority=priority,
            AffectedSOPInstanceUID=sop_instance_uid,
        )
        if move_originator is not None:
            command["MoveOriginatorApplicationEntityTitle"] = move_originator[0]
            command["MoveOriginatorMessageID"] = move_originator[1]
        return self._single(self.context_for(sop_class_uid, transfer_syntax), command, data_set, meanwhile)

    def request(
        self,
        context: PresentationContext,
        command: Command,
        data_set: Iterable[Buffer] | None = None,
        *,
        on_store: OpenStore | None = None,
    ) -> Iterator[Response]:
        """Send `command` with a new message ID and yield its responses, the final one last.

        `on_store` takes the C-STOREs that a C-GET brings on the same association. The responses must be read
        to the end before the next request; `cancel` asks the peer for an early one.
        """
        self._message_id = self._message_id % 65535 + 1
        command["MessageID"] = self._message_id
        self._transport.send_message(context.id, command, data_set)
        return self._responses(command, on_store)

    def serve(self, on_request: OnRequest, seconds: float) -> bool:
        """Wait up to `seconds` for a request of the peer and have it answered; whether one came.

        For what a peer may ask in between our own requests, such as N-EVENT-REPORT. Raises an
        `AssociationError` when the association ends meanwhile.
        """
        if self._transport.is_silent(seconds):
            return False
        message = self._transport.next_message_event()
        if not isinstance(message, MessageStarted) or message.command.is_response:
            self.abort()
            raise AssociationAborted(0, 0, by_peer=False)
        data_set, refusal = collect(self._transport, message.command)
        if refusal is not None:
            answer = message.command.response(refusal.status, refusal.comment)
        else:
            answer = on_request(self.contexts[message.context_id], message.command, data_set)
        self._transport.send_message(message.context_id, answer)
        return True

    def cancel(self, context: PresentationContext) -> None:
        """Send C-CANCEL for the present request (PS3.7 9.3.2.3); its final response still comes."""
        command = Command(CommandField=CommandField.C_CANCEL, MessageIDBeingRespondedTo=self._message_id)
        self._transport.send_message(context.id, command)

    def is_usable(self) -> bool:
        """Whether the association is still there, as far as can be told without waiting; False closes it.

        For an association that was kept for a while: the peer may have ended it meanwhile.
        """
        try:
            if self._transport.association.is_established and self._transport.peek() is None:
                return True
        except AssociationError:
            pass
        self.abort()
        return False

    def release(self, patience: float = 0) -> None:
        """End the association in order and close. A peer that does not answer well is left all the same.

        `patience` are seconds to wait for each part of his answer, 0 for the timeout of the association.
        """
        association = self._transport.association
        try:
            if patience:
                self._transport.set_timeout(patience)
            if association.is_established:
                association.release()
                self._transport.flush()
                while not isinstance(
                    event := self._transport.next_event(), Released | Aborted | ConnectionClosed
                ):
                    if isinstance(event, ReleaseRequested):
                        association.confirm_release()
                        self._transport.flush()
        except AssociationError:
            association.abort()
        finally:
            self._transport.close()

    def abort(self) -> None:
        """End the association at once and close."""
        self._transport.association.abort()
        self._transport.close()

    def __enter__(self) -> Requestor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.release()
        else:
            self.abort()

    def _single(
        self,
        context: PresentationContext,
        command: Command,
        data_set: Iterable[Buffer] | None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        last: Command | None = None
        responses = self.request(context, command, data_set)
        try:
            if meanwhile is not None:
                meanwhile()
        finally:
            for response in responses:
                last = response.command
        assert last is not None  # `_responses` ends only after a final response, or raises
        return last

    def _responses(self, request: Command, on_store: OpenStore | None) -> Iterator[Response]:
        while True:
            message = self._transport.next_message_event()
            if not isinstance(message, MessageStarted):
                continue
            command = message.command
            if not command.is_response:
                self._serve(message, on_store)
                continue
            data_set, refusal = collect(self._transport, command)
            if command.responded_message_id != request.message_id or refusal is not None:
                self.abort()
                raise AssociationAborted(0, 0, by_peer=False)
            yield Response(command, data_set)
            if not status.is_pending(command.status):
                return

    def _serve(self, message: MessageStarted, on_store: OpenStore | None) -> None:
        """A request of the peer on our association: the C-STORE of a C-GET, and nothing else."""
        command = message.command
        context = self.contexts[message.context_id]
        if (
            on_store is not None
            and command.field == CommandField.C_STORE
            and command.has_data_set
            and context.local_scp
        ):
            answer = command.response(
                *receive_store(self._transport, StoreMessage(on_store, context, command))
            )
        else:
            collect(self._transport, command)
            answer = command.response(status.UNRECOGNIZED_OPERATION)
        self._transport.send_message(context.id, answer)


def file_chunks(file: BinaryIO, size: int = 262144) -> Iterator[bytes]:
    """The rest of an open file in pieces of `size` bytes, for a data set that is to be sent."""
    while chunk := file.read(size):
        yield chunk
