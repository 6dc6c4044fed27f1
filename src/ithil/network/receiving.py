"""Taking in one message's data set: streamed into a sink for C-STORE, into bounded memory for all else.

Both drivers need it: the acceptor for what peers send it, the requestor for the C-STOREs of a C-GET.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.events import DataReceived, MessageComplete
from ithil.network.handler import StoreSink
from ithil.network.messages import Command
from ithil.network.transport import Transport

logger = logging.getLogger(__name__)

MAX_DATA_SET_IN_MEMORY = 16 << 20
"""Bytes of a query or other data set that is not stored, beyond which it is refused."""


def receive_store(
    transport: Transport,
    open_store: Callable[[PresentationContext, Command], StoreSink],
    context: PresentationContext,
    command: Command,
) -> tuple[int, str]:
    """Read the data set of a C-STORE-RQ to its end; the status and comment to answer with.

    Whatever the sink raises, the rest is read and thrown away, so that the association can go on. If the
    association ends before the data set does, the sink is discarded and the `AssociationError` goes on.
    """
    sink: StoreSink | None = None
    failure = (status.PROCESSING_FAILURE, "")
    next_event = transport.next_message_event
    try:
        try:
            sink = open_store(context, command)
        except Exception as error:
            failure = _failure(command, error)
        while type(event := next_event()) is DataReceived:
            if sink is not None:
                try:
                    sink.write(event.views)
                except Exception as error:
                    failure = _failure(command, error)
                    _discard(sink)
                    sink = None
        if sink is None:
            return failure
        finished, sink = sink, None
        try:
            return finished.finish()
        except Exception as error:
            return _failure(command, error)
    finally:
        if sink is not None:
            _discard(sink)


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


def _failure(command: Command, error: Exception) -> tuple[int, str]:
    if isinstance(error, Refusal):
        return error.status, error.comment
    logger.error("%s failed: %s", command.name, describe_fault(error))
    return status.PROCESSING_FAILURE, ""


def _discard(sink: StoreSink) -> None:
    try:
        sink.discard()
    except Exception as error:
        logger.error("discarding a data set failed: %s", describe_fault(error))
