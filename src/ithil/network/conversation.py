"""The life of one accepted association, in one thread: negotiate, serve message after message, end well.

An instance that is stored never changes threads between the socket and its acknowledgement, and its data set
is never held here: each read is handed to the handler's sink as views into the receive buffer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ithil.network import status
from ithil.network.association import PROVIDER, PresentationContext
from ithil.network.errors import (
    AssociationAborted,
    AssociationError,
    AssociationReleased,
    AssociationTimeout,
    Refusal,
)
from ithil.network.events import (
    AssociateRequested,
    MessageStarted,
)
from ithil.network.handler import AssociationHandler, Outcome, Peer
from ithil.network.messages import Command, CommandField
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import Buffer
from ithil.network.receiving import collect, describe_fault, receive_store
from ithil.network.transport import Transport

logger = logging.getLogger(__name__)

_KNOWN_REQUESTS = frozenset(CommandField)


class Conversation:
    """Serves one association with one handler. `run` returns when it is over and never raises."""

    def __init__(
        self,
        transport: Transport,
        handler: AssociationHandler,
        peer: Peer,
        *,
        max_pdu_length: int,
        timeout: float,
        linger: float,
    ) -> None:
        """`timeout` applies once associated. `linger` is how many seconds the peer has to close the
        connection after the association's end.
        """
        self._transport = transport
        self._handler = handler
        self._peer = peer
        self._max_pdu_length = max_pdu_length
        self._timeout = timeout
        self._linger = linger
        self._busy = False
        self._stopping = False
        self._next_message_id = 0

    def stop(self) -> None:
        """From another thread: end at the next boundary between messages, now if the peer is silent."""
        self._stopping = True
        if not self._busy:
            self._transport.wake()

    def cut(self) -> None:
        """From another thread: end now, in the middle of whatever it does."""
        self._stopping = True
        self._transport.cut()

    def run(self) -> None:
        """Serve until the end, whatever the peer and the handler do, and leave the connection closed."""
        outcome = Outcome.LOST
        try:
            outcome = self._serve()
        except AssociationReleased:
            outcome = Outcome.RELEASED
        except AssociationAborted as error:
            outcome = Outcome.ABORTED_BY_PEER if error.by_peer else Outcome.ABORTED
        except AssociationTimeout:
            outcome = Outcome.TIMED_OUT
        except AssociationError:
            outcome = Outcome.LOST
        except Exception as error:
            outcome = Outcome.ABORTED
            logger.error("association from %s failed: %s", self._peer.ip, describe_fault(error))
        if self._stopping and outcome is Outcome.LOST:
            outcome = Outcome.STOPPED
        self._transport.association.abort(PROVIDER)
        self._transport.close(0 if outcome in (Outcome.LOST, Outcome.ABORTED_BY_PEER) else self._linger)
        logger.info("association from %s: %s", self._peer.ip, outcome.value)
        try:
            self._handler.closed(outcome)
        except Exception as error:
            logger.error("closing a handler failed: %s", describe_fault(error))

    def _serve(self) -> Outcome:
        transport = self._transport
        event = transport.next_event()
        if not isinstance(event, AssociateRequested):
            return Outcome.REJECTED if transport.association.is_over else Outcome.LOST
        if not self._negotiate(event.request):
            return Outcome.REJECTED
        transport.flush()
        transport.set_timeout(self._timeout)
        while not self._stopping:
            message = transport.next_message_event()
            self._busy = True
            if isinstance(message, MessageStarted):
                self._receive(message)
            self._busy = False
        return Outcome.STOPPED

    def _negotiate(self, request: AssociateRequest) -> bool:
        association = self._transport.association
        try:
            answer = self._handler.negotiate(request, self._peer)
        except Exception as error:
            logger.error("negotiating with %s failed: %s", self._peer.ip, describe_fault(error))
            answer = AssociateReject(2, 3, 1)  # transient, temporary congestion
        if isinstance(answer, AssociateAccept):
            information = replace(answer.user_information, max_pdu_length=self._max_pdu_length)
            association.accept(replace(answer, user_information=information))
            return True
        association.reject(answer)
        return False

    def _receive(self, message: MessageStarted) -> None:
        """One message of the peer, to its end and its answer."""
        command = message.command
        context = self._transport.association.contexts[message.context_id]
        field = command.field
        if field == CommandField.C_STORE and command.has_data_set and context.local_scp:
            result = receive_store(self._transport, self._handler.open_store, context, command)
            self._transport.send_message(context.id, command.response(*result))
            return
        data_set, refusal = collect(self._transport, command)
        if command.is_response:
            # Nothing of ours is outstanding here, so the peer's idea of the association is not ours.
            self._transport.association.abort(PROVIDER, 2)
            self._transport.flush()
            raise AssociationAborted(PROVIDER, 2, by_peer=False)
        if field == CommandField.C_CANCEL:
            return  # came after the last response of what it meant to cancel (PS3.7 9.3.2.3)
        if field not in _KNOWN_REQUESTS:
            refusal = Refusal(status.UNRECOGNIZED_OPERATION)
        elif not context.local_scp and field != CommandField.N_EVENT_REPORT:  # which is what an SCP sends
            refusal = Refusal(status.SOP_CLASS_NOT_SUPPORTED)
        elif field == CommandField.C_STORE:
            refusal = Refusal(status.CANNOT_UNDERSTAND, "no data set")
        responder = AssociationResponder(self, context, command)
        if refusal is None:
            refusal = self._handle(context, command, data_set, responder)
        if refusal is not None and not responder.is_final:
            responder.send(command.response(refusal.status, refusal.comment))

    def _handle(
        self,
        context: PresentationContext,
        command: Command,
        data_set: bytes | None,
        responder: AssociationResponder,
    ) -> Refusal | None:
        try:
            self._handler.handle(context, command, data_set, responder)
        except Refusal as refusal:
            return refusal
        except AssociationError:
            raise
        except Exception as error:
            logger.error("%s failed: %s", command.name, describe_fault(error))
        # A handler that returns without its final response left the peer waiting.
        return None if responder.is_final else Refusal(status.PROCESSING_FAILURE)

    def request(
        self,
        context_id: int,
        command: Command,
        data_set: Iterable[Buffer] | None,
        meanwhile: Callable[[], None] | None,
    ) -> tuple[Command, bool]:
        """Send a request of our own and wait for its response; also whether a C-CANCEL came before it."""
        self._next_message_id = self._next_message_id % 65535 + 1
        command["MessageID"] = self._next_message_id
        self._transport.send_message(context_id, command, data_set)
        try:
            if meanwhile is not None:
                meanwhile()
        finally:
            # Whatever that ends with, the association goes on only without a response that nobody has taken.
            answer = self._response_to(command)
        return answer

    def _response_to(self, command: Command) -> tuple[Command, bool]:
        cancelled = False
        while True:
            message = self._transport.next_message_event()
            if not isinstance(message, MessageStarted):
                continue
            collect(self._transport, message.command)
            if message.command.field == CommandField.C_CANCEL:
                cancelled = True
            elif message.command.is_response and message.command.responded_message_id == command.message_id:
                return message.command, cancelled
            else:
                self._transport.association.abort(PROVIDER, 2)
                self._transport.flush()
                raise AssociationAborted(PROVIDER, 2, by_peer=False)

    @property
    def contexts(self) -> Mapping[int, PresentationContext]:
        """The accepted presentation contexts."""
        return self._transport.association.contexts

    def take_cancel(self) -> bool:
        """Whether a C-CANCEL has arrived.

        Another request breaks the agreed window of one operation; it waits unread and is served next, as it is
        behind a request that takes no time.
        """
        message = self._transport.peek()
        if not isinstance(message, MessageStarted):
            return False
        command = message.command
        if command.field == CommandField.C_CANCEL:
            self._transport.next_message_event()
            collect(self._transport, command)
            return True
        if not command.is_response:
            return False
        self._transport.association.abort(PROVIDER, 2)
        self._transport.flush()
        raise AssociationAborted(PROVIDER, 2, by_peer=False)

    def is_silent(self, seconds: float) -> bool:
        """Whether the peer says nothing for that long."""
        return not self._stopping and self._transport.is_silent(seconds)

    def send(
        self, context_id: int, command: Command, data_set: Iterable[Buffer] | None, *, hold: bool = False
    ) -> None:
        """Send one message; see `Responder.send` for `hold`."""
        self._transport.send_message(context_id, command, data_set, hold=hold)


class AssociationResponder:
    """The `Responder` of one request."""

    def __init__(self, conversation: Conversation, context: PresentationContext, request: Command) -> None:
        self._conversation = conversation
        self._context = context
        self._request = request
        self._cancelled = False
        self.is_final = False
        """Whether the final response has been sent."""

    @property
    def contexts(self) -> Mapping[int, PresentationContext]:
        """See `Responder.contexts`."""
        return self._conversation.contexts

    def send(self, command: Command, data_set: Iterable[Buffer] | None = None, *, hold: bool = False) -> None:
        """See `Responder.send`."""
        self._conversation.send(self._context.id, command, data_set, hold=hold)
        self.is_final = not status.is_pending(command.status)

    def is_cancelled(self) -> bool:
        """See `Responder.is_cancelled`."""
        if not self._cancelled:
            self._cancelled = self._conversation.take_cancel()
        return self._cancelled

    def is_silent(self, seconds: float) -> bool:
        """See `Responder.is_silent`."""
        return self._conversation.is_silent(seconds)

    def request(
        self,
        context_id: int,
        command: Command,
        data_set: Iterable[Buffer] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        """See `Responder.request`."""
        answer, cancelled = self._conversation.request(context_id, command, data_set, meanwhile)
        self._cancelled = self._cancelled or cancelled
        return answer
