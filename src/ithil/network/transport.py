"""A socket and an `Association` joined: the one place where this package reads and writes a connection.

Both drivers, the acceptor's conversation and the requestor, are loops over `next_event`. It blocks the
calling thread, which is the fastest way to receive large instances in Python (see
docs/decisions/0003-network-drivers.md), and reads into one buffer that is reused for the whole life of the
connection. `read_arrived`, `arrived` and `send_now` are for the thread that serves many and must not wait.

Two TCP habits are dealt with here. Nagle's algorithm at the peer holds back the end of a data set until the
command set before it is acknowledged, and our kernel delays that acknowledgement by 40 ms. `TCP_QUICKACK`,
set again whenever a read ends inside a message, sends it at once. `TCP_NODELAY` does the same for what we
send.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from ithil.network.association import Association
from ithil.network.errors import (
    AssociationAborted,
    AssociationLost,
    AssociationReleased,
    AssociationTimeout,
    NetworkError,
)
from ithil.network.events import (
    Aborted,
    ConnectionClosed,
    DataReceived,
    Event,
    MessageComplete,
    MessageStarted,
    ReleaseRequested,
)
from ithil.network.messages import Command
from ithil.network.pdu_items import Buffer

RECEIVE_BUFFER = 262144
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_MORE: int = getattr(socket, "MSG_MORE", 0)
_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
_KERNEL_TIMEOUTS = sys.platform == "linux"
_timeval = struct.Struct("ll")
_TLS_SLICE = 65536  # bytes that a peer has one timeout to take

MessageEvent = MessageStarted | DataReceived | MessageComplete


class Transport:
    """Blocking input and output of one association. Not thread-safe, but for `wake`."""

    def __init__(
        self,
        sock: socket.socket,
        association: Association,
        *,
        timeout: float = 0,
        buffer_size: int = RECEIVE_BUFFER,
        events: Iterable[Event] = (),
    ) -> None:
        """`timeout` in seconds for each read and write, 0 for none; `events` are those already read."""
        self.association = association
        self._socket = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._buffer = memoryview(bytearray(buffer_size))
        self._events: deque[Event] = deque(events)
        self._woken = False
        self._unsent = b""
        tune(sock)
        self.set_timeout(timeout)

    def fileno(self) -> int:
        """The descriptor of the connection."""
        return self._socket.fileno()

    def set_timeout(self, seconds: float) -> None:
        """How long one read or write may take; 0 waits for ever."""
        if self._is_tls or not _KERNEL_TIMEOUTS:
            self._socket.settimeout(seconds or None)
            return
        # The kernel's own timeouts save the poll() that Python does before each recv() of a timed socket.
        self._socket.settimeout(None)
        value = _timeval.pack(int(seconds), int(seconds % 1 * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def next_event(self) -> Event:
        """The next event, waiting for it; the views of the event before die. Raises `AssociationTimeout`."""
        while not self._events:
            self._read()
        return self._events.popleft()

    def next_message_event(self) -> MessageEvent:
        """The next event of a message.

        The end of the association becomes an exception: `AssociationReleased` (already confirmed to the
        peer), `AssociationAborted`, `AssociationLost` or `AssociationTimeout`.
        """
        event = self.next_event()
        if isinstance(event, MessageStarted | DataReceived | MessageComplete):
            return event
        raise self._ending(event)

    def peek(self) -> MessageEvent | None:
        """The next event of a message if one has arrived, without waiting and without taking it.

        Whoever takes what it shows calls `next_message_event`, which then does not wait. Raises as that does.
        """
        if not self._events and self._has_input():
            self._read()
        if not self._events:
            return None
        event = self._events[0]
        if isinstance(event, MessageStarted | DataReceived | MessageComplete):
            return event
        raise self._ending(self._events.popleft())

    def arrived(self) -> Event | None:
        """The next event of what was read, not taken yet; None if there is no more."""
        return self._events[0] if self._events else None

    def read_arrived(self) -> None:
        """Read what has come, without waiting. What is to be sent because of it is left to `flush`. Raises
        `AssociationLost` after `wake`, `AssociationTimeout` if the peer has vanished.
        """
        try:
            self._receive(_DONT_WAIT)
        except BlockingIOError:
            pass  # there is nothing after all
        except TimeoutError:  # the probes of the system find nobody any more
            raise AssociationTimeout("the peer said nothing for too long") from None

    def send_now(self, context_id: int, command: Command) -> bool:
        """Send a message without a data set, if that needs no waiting. False if something is left to `flush`, or the
        association is over. Raises `AssociationLost`.
        """
        if self.association.is_over:
            return False
        (buffers,) = self.association.message_buffers(context_id, command)
        data = b"".join(buffers)
        try:
            sent = self._socket.send(data, _DONT_WAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _not_sent(error) from None
        self._unsent = data[sent:]
        return not self._unsent

    def send_message(
        self,
        context_id: int,
        command: Command,
        data_set: Iterable[Buffer] | None = None,
        *,
        hold: bool = False,
    ) -> None:
        """Send one message whole. Raises `AssociationLost` or `AssociationTimeout`.

        With `hold` the system may keep it back for up to 200 ms, to send it together with what follows.

        If `data_set` itself raises, the message cannot be completed any more: the association is aborted and
        the exception goes on to the caller.
        """
        if self.association.is_over:
            # What ended it was read behind the request that is being answered now.
            raise self._pending_end()
        try:
            if self._is_tls:
                for chunk in self.association.message_chunks(context_id, command, data_set):
                    self._send(chunk)
            else:
                for buffers in self.association.message_buffers(context_id, command, data_set):
                    self._send_buffers(buffers, _MORE if hold else 0)
        except NetworkError:
            raise
        except Exception:
            self.association.abort()
            with suppress(AssociationLost, AssociationTimeout):
                self.flush()
            raise

    def flush(self) -> None:
        """Send what was left unsent, and what the association has queued."""
        data = self._unsent + self.association.data_to_send()
        self._unsent = b""
        if data:
            self._send(data)

    def wake(self) -> None:
        """Make a read that blocks in another thread end with `AssociationLost`; sending is still possible."""
        self._woken = True
        with suppress(OSError):
            # Not that of SSLSocket, which would have what is sent afterwards go out unencrypted.
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def cut(self) -> None:
        """End the connection under the thread that uses it, which then sees it lost."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self, linger: float = 0) -> None:
        """Send what is queued and close, after up to `linger` seconds for the peer to close first.

        Closing with unread input would reset the connection and could destroy our last PDU on its way.
        """
        deadline = time.monotonic() + linger
        with suppress(OSError, AssociationLost, AssociationTimeout, ValueError):
            self._socket.settimeout(max(linger, 1))
            self.flush()
            if linger:
                self._socket.shutdown(socket.SHUT_WR)
                while (left := deadline - time.monotonic()) > 0:
                    self._socket.settimeout(left)
                    if not self._socket.recv_into(self._buffer):
                        break
        with suppress(OSError):
            self._socket.close()

    def _read(self) -> None:
        try:
            size = self._receive()
        except (BlockingIOError, TimeoutError):
            raise AssociationTimeout("the peer said nothing for too long") from None
        data = self.association.data_to_send() if size else b""
        if data:
            with suppress(AssociationLost, AssociationTimeout):
                self._send(data)

    def _receive(self, flags: int = 0) -> int:
        """Take in what one read gives; how many bytes, 0 at the end of the connection.

        Raises BlockingIOError or TimeoutError if nothing has come, `AssociationLost` after `wake`.
        """
        try:
            size = self._socket.recv_into(self._buffer, len(self._buffer), flags)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError:
            size = 0
        if not size and self._woken:
            raise AssociationLost("stopped by this side")
        association = self.association
        self._events.extend(association.receive_data(self._buffer[:size]))
        if size and _QUICKACK is not None and association.inside_message:
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return size

    def _send_buffers(self, buffers: list[Buffer], flags: int) -> None:
        """Send buffers one after the other, from where they lie."""
        try:
            sent = self._socket.sendmsg(buffers, (), flags)
        except OSError as error:
            raise _not_sent(error) from None
        if sent < sum(map(len, buffers)):
            # It took some of it before the timeout of this call, which the rest has to itself.
            self._send(memoryview(b"".join(buffers))[sent:], flags)

    def _send(self, data: Buffer, flags: int = 0) -> None:
        try:
            if not self._is_tls:
                self._socket.sendall(data, flags)
                return
            # Under TLS the timeout is for a call as a whole: what it has sent so far does not renew it.
            view = memoryview(data)
            for start in range(0, len(view), _TLS_SLICE):
                self._socket.sendall(view[start : start + _TLS_SLICE])
        except OSError as error:
            raise _not_sent(error) from None

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes from the peer for that long; whatever comes is left to be read."""
        return not self._events and not self._has_input(seconds)

    def _has_input(self, seconds: float = 0.0) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    def _pending_end(self) -> Exception:
        while self._events:
            event = self._events.popleft()
            if not isinstance(event, MessageStarted | DataReceived | MessageComplete):
                return self._ending(event)
        return AssociationLost("the association is over")

    def _ending(self, event: Event) -> Exception:
        match event:
            case ReleaseRequested():
                self.association.confirm_release()
                self.flush()
                return AssociationReleased("released by the peer")
            case Aborted():
                return AssociationAborted(event.source, event.reason, by_peer=event.by_peer)
            case ConnectionClosed():
                return AssociationLost("the peer closed the connection")
            case _:
                return AssociationLost(f"unexpected {type(event).__name__}")


def _not_sent(error: OSError) -> AssociationTimeout | AssociationLost:
    if isinstance(error, BlockingIOError | TimeoutError):
        return AssociationTimeout("the peer took nothing for too long")
    return AssociationLost(f"the connection broke ({type(error).__name__})")


def tune(sock: socket.socket) -> None:
    """Set what every connection of this package has: no Nagle, and probes that find a vanished peer."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
