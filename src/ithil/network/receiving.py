"""Taking in one message's data set: streamed into a sink for C-STORE, into bounded memory for all else.

Both drivers need it: the acceptor for what peers send it, the requestor for the C-STOREs of a C-GET.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence

from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.events import DataReceived, MessageComplete
from ithil.network.handler import FinishAll, StoreSink
from ithil.network.messages import Command
from ithil.network.transport import Transport

logger = logging.getLogger(__name__)

MAX_DATA_SET_IN_MEMORY = 16 << 20
"""Bytes of a query or other data set that is not stored, beyond which it is refused."""


class StoreMessage:
    """One C-STORE-RQ from its command set to its status.

    Whatever the sink raises, the rest is thrown away as it comes, so that the association can go on.
    """

    __slots__ = ("answer", "command", "context", "sink", "size")

    def __init__(
        self,
        open_store: Callable[[PresentationContext, Command], StoreSink],
        context: PresentationContext,
        command: Command,
    ) -> None:
        self.context = context
        self.command = command
        self.size = 0
        """Bytes of the data set that have come."""
        self.sink: StoreSink | None = None
        """None once it has failed or finished."""
        self.answer: tuple[int, str] | None = None
        """The status and comment to answer with when the data set is complete, as soon as they are known."""
        try:
            self.sink = open_store(context, command)
        except Exception as error:
            self.finished(error)

    def write(self, views: list[memoryview]) -> None:
        """The next bytes of the data set."""
        self.size += sum(map(len, views))
        if self.sink is not None:
            try:
                self.sink.write(views)
            except Exception as error:
                self.discard()
                self.finished(error)

    def finish(self) -> tuple[int, str]:
        """The data set is complete: the status and comment to answer with."""
        if self.sink is not None:
            try:
                self.finished(self.sink.finish())
            except Exception as error:
                self.finished(error)
        assert self.answer is not None
        return self.answer

    def finished(self, outcome: tuple[int, str] | BaseException) -> None:
        """The sink has ended so."""
        self.sink = None
        if isinstance(outcome, BaseException):
            outcome = _failure(self.command, outcome)
        self.answer = outcome

    def discard(self) -> None:
        """The association has ended before the data set; harmless when it is complete."""
        sink, self.sink = self.sink, None
        if sink is not None:
            _discard(sink)


def finish_stores(stores: Sequence[StoreMessage], finish_all: FinishAll) -> None:
    """The same as `StoreMessage.finish` for several; those that would have to wait have no answer then."""
    waiting = [store for store in stores if store.sink is not None]
    if not waiting:
        return
    try:
        for store, outcome in list(zip(waiting, finish_all([store.sink for store in waiting]), strict=True)):
            if outcome is not None:
                store.finished(outcome)
    except Exception as error:
        for store in waiting:
            store.discard()
            store.finished(error)


def receive_store(transport: Transport, store: StoreMessage) -> tuple[int, str]:
    """Read the data set of a C-STORE-RQ to its end; the status and comment to answer with.

    If the association ends before the data set does, the `AssociationError` goes on.
    """
    next_event = transport.next_message_event
    try:
        while type(event := next_event()) is DataReceived:
            store.write(event.views)
        return store.finish()
    finally:
        store.discard()


def collect(transport: Transport, command: Command) -> tuple[bytes | None, Refusal | None]:
    """The data set of any other message, None if it has none; a refusal if it is too large for memory."""
    data = bytearray()
    refusal: Refusal | None = None
    while not isinstance(event := transport.next_message_event(), MessageComplete):
        if not isinstance(event, DataReceived) or refusal is not None:
            continue
        for view in event.views:
            data += view
        if len(data) > MAX_DATA_SET_IN_MEMORY:
            refusal = Refusal(status.OUT_OF_RESOURCES, "data set too large")
            data.clear()
    return (bytes(data) if command.has_data_set else None), refusal


def describe_fault(error: BaseException) -> str:
    """An exception for the log: its type and place, not its message, which may quote patient data."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _failure(command: Command, error: BaseException) -> tuple[int, str]:
    if isinstance(error, Refusal):
        return error.status, error.comment
    logger.error("%s failed: %s", command.name, describe_fault(error))
    return status.PROCESSING_FAILURE, ""


def _discard(sink: StoreSink) -> None:
    try:
        sink.discard()
    except Exception as error:
        logger.error("discarding a data set failed: %s", describe_fault(error))
