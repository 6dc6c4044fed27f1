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

    __slots__ = ("_failure", "_sink", "command", "context")

    def __init__(
        self,
        open_store: Callable[[PresentationContext, Command], StoreSink],
        context: PresentationContext,
        command: Command,
    ) -> None:
        self.context = context
        self.command = command
        self._failure = (status.PROCESSING_FAILURE, "")
        self._sink: StoreSink | None = None
        try:
            self._sink = open_store(context, command)
        except Exception as error:
            self._failure = _failure(command, error)

    def write(self, views: list[memoryview]) -> None:
        """The next bytes of the data set."""
        if self._sink is not None:
            try:
                self._sink.write(views)
            except Exception as error:
                self._failure = _failure(self.command, error)
                self.discard()

    def finish(self) -> tuple[int, str]:
        """The data set is complete: the status and comment to answer with."""
        sink = self.take_sink()
        if sink is None:
            return self._failure
        try:
            return sink.finish()
        except Exception as error:
            return self.answer(error)

    def discard(self) -> None:
        """The association has ended before the data set; harmless when it is complete."""
        sink, self._sink = self._sink, None
        if sink is not None:
            _discard(sink)

    def take_sink(self) -> StoreSink | None:
        """The sink with a complete data set, None if it has failed."""
        sink, self._sink = self._sink, None
        return sink

    def answer(self, outcome: tuple[int, str] | BaseException | None) -> tuple[int, str]:
        """What to answer with if the sink has finished so; None if it had failed before."""
        if outcome is None:
            return self._failure
        return _failure(self.command, outcome) if isinstance(outcome, BaseException) else outcome


def finish_stores(stores: Sequence[StoreMessage], finish_all: FinishAll) -> list[tuple[int, str]]:
    """The same as `StoreMessage.finish` for several."""
    sinks = [store.take_sink() for store in stores]
    complete = [sink for sink in sinks if sink is not None]
    outcomes: dict[StoreSink, tuple[int, str] | BaseException]
    try:
        outcomes = dict(zip(complete, finish_all(complete) if complete else (), strict=True))
    except Exception as error:
        outcomes = dict.fromkeys(complete, error)
        for sink in complete:
            _discard(sink)
    return [
        store.answer(None if sink is None else outcomes[sink])
        for store, sink in zip(stores, sinks, strict=True)
    ]


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
