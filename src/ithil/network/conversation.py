"""The life of one accepted association: negotiate, serve message after message, end well.

`run` does all that in one thread, which waits for the peer. While nothing but small instances comes, `read` and
`answer` do the same piece by piece and wait for nothing, so that one thread can do it for many (`store_loop.py`). A
data set is never held here: each read is handed to the handler's sink as views into the receive buffer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum

from ithil.network import status
from ithil.network.association import PROVIDER, PresentationContext
from ithil.network.errors import (
    AssociationAborted,
    AssociationError,
    AssociationReleased,
    AssociationTimeout,
    Refusal,
)
from ithil.network.events import AssociateRequested, DataReceived, MessageComplete, MessageStarted
from ithil.network.handler import AssociationHandler, Outcome, Peer
from ithil.network.messages import Command, CommandField
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import Buffer
from ithil.network.receiving import StoreMessage, collect, describe_fault, receive_store
from ithil.network.transport import Transport

logger = logging.getLogger(__name__)

LARGEST_SHARED = 65536
"""Bytes of the largest data set that is received in a thread that several associations share."""


class Step(Enum):
    """What an association that has no thread of its own needs next."""

    MORE = "more input"
    COMPLETE = "an answer to its C-STORE, whose instance is complete"
    OTHER = "a thread of its own"


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
        self._established = False
        self._fault: Exception | None = None
        self._stores_small = False  # whether it has shown that it sends small instances
        self._store: StoreMessage | None = None  # that began without a thread, and is not answered yet
        self._store_is_complete = False

    def stop(self) -> None:
        """From another thread: end at the next boundary between messages, now if the peer is silent."""
        self._stopping = True
        if not self._busy:
            self._transport.wake()

    def cut(self) -> None:
        """From another thread: end now, in the middle of whatever it does."""
        self._stopping = True
        self._transport.cut()

    def run(self, hand_over: Callable[[Conversation], bool] = lambda _: False) -> bool:
        """Serve until the end, whatever the peer and the handler do, and leave the connection closed.

        After a small instance `hand_over` may take the conversation away: then False, and nothing is closed. It goes
        on when it is called again.
        """
        outcome: Outcome | None = Outcome.LOST
        try:
            outcome = self._serve(hand_over)
            if outcome is None:
                return False
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
        if self._store is not None:
            self._store.discard()
        if self._stopping and outcome is Outcome.LOST:
            outcome = Outcome.STOPPED
        self._transport.association.abort(PROVIDER)
        self._transport.close(0 if outcome in (Outcome.LOST, Outcome.ABORTED_BY_PEER) else self._linger)
        logger.info("association from %s: %s", self._peer.ip, outcome.value)
        try:
            self._handler.closed(outcome)
        except Exception as error:
            logger.error("closing a handler failed: %s", describe_fault(error))
        return True

    def _serve(self, hand_over: Callable[[Conversation], bool]) -> Outcome | None:
        transport = self._transport
        if not self._established:
            event = transport.next_event()
            if not isinstance(event, AssociateRequested):
                return Outcome.REJECTED if transport.association.is_over else Outcome.LOST
            if not self._negotiate(event.request):
                return Outcome.REJECTED
            self._established = True
            transport.flush()
            transport.set_timeout(self._timeout)
        elif self._fault is not None:
            raise self._fault
        else:
            transport.flush()
        if self._store is not None:
            self._finish_store(self._store)
        while not self._stopping:
            message = transport.next_message_event()
            self._busy = True
            if isinstance(message, MessageStarted):
                self._receive(message)
            self._busy = False
            if self._stores_small and hand_over(self):
                return None
        return Outcome.STOPPED

    # -- without a thread of its own, waiting for nothing (`store_loop.py`) ----------------------------------

    def fileno(self) -> int:
        """The descriptor of the connection, to wait for what the peer sends."""
        return self._transport.fileno()

    def has_arrived(self) -> bool:
        """Whether something was read that is not served yet."""
        return self._transport.arrived() is not None

    def read(self) -> Step:
        """Read what has come, and receive small instances with it."""
        self._transport.read_arrived()
        return self._advance()

    def complete_store(self) -> StoreMessage:
        """The instance that is complete; `answer` is to follow."""
        assert self._store is not None
        return self._store

    def answer(self) -> Step:
        """Answer the request whose instance was complete, if there is an answer yet, and go on."""
        store = self.complete_store()
        if store.answer is None:  # it has to wait
            return Step.OTHER
        self._store = None
        is_sent = self._transport.send_now(store.context.id, store.command.response(*store.answer))
        self._busy = False
        return self._advance() if is_sent else Step.OTHER

    def end_with(self, fault: Exception) -> None:
        """Have `run` end the association as if it had met this."""
        self._fault = fault

    def _advance(self) -> Step:
        """Receive from what was read until something else is needed."""
        while (event := self._transport.arrived()) is not None:
            store = self._store
            if store is None:
                if not isinstance(event, MessageStarted) or self._stopping:
                    return Step.OTHER
                context = self._transport.association.contexts[event.context_id]
                if not self._is_store(context, event.command) or not self._handler.is_quick(context):
                    return Step.OTHER
                self._busy = True
                self._store = StoreMessage(self._handler.open_store, context, event.command)
                self._store_is_complete = False
            elif isinstance(event, DataReceived):
                store.write(event.views)
            elif not isinstance(event, MessageComplete):
                return Step.OTHER
            self._transport.next_event()
            if isinstance(event, MessageComplete):
                self._store_is_complete = True
                return Step.COMPLETE
            if store is not None and store.size > LARGEST_SHARED:
                return Step.OTHER
        return Step.OTHER if self._stopping and not self._busy else Step.MORE

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
        if self._is_store(context, command):
            self._finish_store(StoreMessage(self._handler.open_store, context, command))
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

    def _is_store(self, context: PresentationContext, command: Command) -> bool:
        return command.field == CommandField.C_STORE and command.has_data_set and context.local_scp

    def _finish_store(self, store: StoreMessage) -> None:
        """Receive what is left of an instance, and answer."""
        is_complete = store is self._store and self._store_is_complete
        self._store = None
        self._busy = True
        answer = store.finish() if is_complete else receive_store(self._transport, store)
        self._stores_small = store.size <= LARGEST_SHARED and self._handler.is_quick(store.context)
        self._transport.send_message(store.context.id, store.command.response(*answer))
        self._busy = False

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
