"""The event channel of a subscriber (PS3.18 8.10.4, 11.13): workitem events over a WebSocket.

Events are rows that any process may have written, so each process with open channels looks a few times a
second whether the last number has moved, once for all its channels. A channel then sends what is new for its
subscriber, and marks it as read once the connection has outlived it for a moment. So an event that is lost
with a broken connection comes again with the next one: a subscriber gets each at least once.
"""

from __future__ import annotations

import asyncio
import logging

from ithil.archive import workitems_events as events
from ithil.archive.workitems_subscribers import check_title
from ithil.http.answers import Answer
from ithil.http.context import Context
from ithil.http.request import Request
from ithil.http.web_socket import GOING_AWAY, NORMAL, WebSocket

log = logging.getLogger(__name__)

MOST_CHANNELS = 256
"""Channels of one process."""

INTERVAL = 0.25
"""Seconds between looks for events."""

_BATCH = 100
_SETTLED = 1.0  # seconds after which what was sent is taken to have arrived


class Pulse:
    """Tells the channels of a process that there are new events. Lives on one event loop."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.channels = 0
        self._newest = -1
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self) -> None:
        """One more channel."""
        self.channels += 1
        if self._task is None:
            self._task = asyncio.create_task(self._look())

    def leave(self) -> None:
        """One less; the last one ends the looking."""
        self.channels -= 1
        if not self.channels and self._task is not None:
            self._task.cancel()
            self._task = None
            _pulses.pop(id(self.context), None)

    def next(self) -> asyncio.Event:
        """What is set when there are events that were not there at this moment."""
        return self._moved

    async def _look(self) -> None:
        trouble = ""
        while True:
            try:
                newest = await self.context.in_thread(events.newest, self.context.archive)
            except Exception as error:
                # Whatever it is, the next look may do better, and without looks the channels would be deaf.
                if type(error).__name__ != trouble:
                    trouble = type(error).__name__
                    log.warning("Events of workitems cannot be looked for: %s", trouble)
            else:
                trouble = ""
                if newest > self._newest:
                    self._newest = newest
                    self._moved.set()
                    self._moved = asyncio.Event()
            await asyncio.sleep(INTERVAL)


_pulses: dict[int, Pulse] = {}  # by the identity of the context, while there are channels


async def open_channel(request: Request, socket: WebSocket) -> None:
    """Send a subscriber his events until he leaves. Raises CodedError (bad request) for what is no title."""
    aetitle = check_title(request.arguments["aetitle"])
    context = request.context
    pulse = _pulses.get(id(context))
    if pulse is not None and pulse.channels >= MOST_CHANNELS:
        await socket.refuse(Answer(status=503, headers={"Retry-After": "30"}))
        return
    if pulse is None:
        pulse = _pulses[id(context)] = Pulse(context)
    pulse.join()
    gone: asyncio.Task[int] | None = None
    try:
        await socket.accept()
        gone = asyncio.create_task(socket.closed())
        await _send_events(context, pulse, socket, gone, aetitle)
    finally:
        pulse.leave()
        if gone is not None and not gone.done():
            gone.cancel()


async def _send_events(
    context: Context, pulse: Pulse, socket: WebSocket, gone: asyncio.Task[int], aetitle: str
) -> None:
    archive, clock = context.archive, asyncio.get_running_loop()
    sent = marked = await context.in_thread(events.read_until, archive, aetitle)
    settling, since = sent, clock.time()  # what was sent at that time or before
    while not gone.done():
        moved = pulse.next()
        found = await context.in_thread(events.following, archive, aetitle, sent, _BATCH)
        for number, message in found:
            await socket.send_text(message.decode())
            sent = number
        if settling != marked and clock.time() - since >= _SETTLED and not gone.done():
            await context.in_thread(events.mark_read, archive, aetitle, settling)
            marked = settling
        if settling == marked:
            settling, since = sent, clock.time()
        if not found:
            await _either(moved, gone, None if sent == marked else _SETTLED)
    if sent != marked and gone.result() in (NORMAL, GOING_AWAY):
        await context.in_thread(events.mark_read, archive, aetitle, sent)


async def _either(moved: asyncio.Event, gone: asyncio.Task[int], timeout: float | None) -> None:
    """Wait for new events, for the end, or for some seconds."""
    waiting = asyncio.create_task(moved.wait())
    try:
        await asyncio.wait({waiting, gone}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
