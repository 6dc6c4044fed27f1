"""The DICOM listener: takes connections, lets nobody in who has not said what he wants, bounds how many are
in.

One thread listens and keeps the lobby. A stranger costs a socket and a small object there until his whole
A-ASSOCIATE-RQ has arrived; silence is cut off by the ARTIM time (PS3.8 9.1.5). Only then does an association
get a thread, if the limits allow, and otherwise a polite A-ASSOCIATE-RJ (transient, local limit exceeded). So
a thousand connections that say nothing cost no threads. When the lobby is full, a newcomer takes the place of
the oldest stranger of the address that crowds it most, so that a silent crowd pushes out only itself. What becomes of
those who are let in is in `associations.py`.

With TLS the handshake is done in the lobby too, piece by piece as the stranger's bytes arrive, so that one who
stops in its midst costs no more than any other.
"""

from __future__ import annotations

import logging
import select
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ithil.network.association import Association, Limits
from ithil.network.associations import Associations
from ithil.network.conversation import Conversation
from ithil.network.events import AssociateRequested, Event
from ithil.network.handler import AssociationHandler, FinishAll, Peer
from ithil.network.pdu import AssociateReject
from ithil.network.receiving import describe_fault
from ithil.network.store_loop import StoreLoop
from ithil.network.transport import RECEIVE_BUFFER, Transport

logger = logging.getLogger(__name__)

LOCAL_LIMIT_EXCEEDED = AssociateReject(2, 3, 2)
"""PS3.8 table 9-21: rejected transient, by the presentation service provider, local limit exceeded."""


@dataclass(frozen=True, slots=True)
class AcceptorConfig:
    """Times are in seconds, sizes in bytes; 0 means no limit where that makes sense."""

    max_pdu_length: int = 131072
    """Announced to peers as the longest P-DATA-TF we want."""
    timeout: float = 30
    """How long an established association may be silent; 0 for ever (Orthanc's DicomScpTimeout)."""
    artim: float = 30
    """How long a stranger may take until his A-ASSOCIATE-RQ is whole."""
    linger: float = 2
    """How long the peer may take to close the connection after the association's end."""
    max_associations: int = 100
    max_associations_per_host: int = 0
    max_strangers: int = 512
    """Connections in the lobby; one more shows out the oldest of the address that has the most there."""
    receive_buffer: int = RECEIVE_BUFFER
    tls: ssl.SSLContext | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class _Stranger:
    """A connection whose association request is not there yet, or which has been turned away."""

    sock: socket.socket
    peer: Peer
    deadline: float
    association: Association
    greeting: bool = False
    """Whether a TLS handshake is under way."""
    turned_away: bool = False


class Acceptor:
    """Takes connections from listening sockets and serves each association with a handler of its own.

    Several processes may have the same sockets; each connection then goes to whichever is first.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        config: AcceptorConfig,
        new_handler: Callable[[], AssociationHandler],
        finish_all: FinishAll | None = None,
    ) -> None:
        """With `finish_all`, associations that store small instances share a thread, if there is no TLS."""
        self._config = config
        self._new_handler = new_handler
        self._listeners = list(listeners)
        self._lobby: dict[socket.socket, _Stranger] = {}
        self._selector = selectors.DefaultSelector()
        store_loop = None
        if finish_all is not None and config.tls is None and hasattr(select, "epoll"):
            store_loop = StoreLoop(finish_all, timeout=config.timeout)
        self._associations = Associations(
            most=config.max_associations,
            most_per_host=config.max_associations_per_host,
            store_loop=store_loop,
        )
        self._stopping = False
        self._paused_until = 0.0
        self._accept_fails = False
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="dicom-acceptor", daemon=True)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens."""
        return [listener.getsockname()[:2] for listener in self._listeners]

    @property
    def active(self) -> int:
        """How many associations are being served."""
        return len(self._associations)

    def start(self) -> None:
        """Begin to serve; returns at once. From now on the sockets belong to the acceptor."""
        self._wake_receiver.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ, listener)
        self._associations.start()
        self._thread.start()

    def stop(self, deadline: float = 10) -> bool:
        """Listen no more, let associations finish their present message, and wait up to `deadline`
        seconds.

        What is not over by then is cut. Returns whether everything ended in time.
        """
        end = time.monotonic() + deadline
        self._stopping = True
        with suppress(OSError):
            self._wake_sender.send(b"\0")
        if self._thread.ident is not None:
            self._thread.join(max(0.0, deadline))
        in_time = self._associations.stop(end)
        self._wake_sender.close()
        return in_time

    def _listen(self) -> None:
        try:
            while not self._stopping:
                for key, _ in self._selector.select(self._patience()):
                    if isinstance(key.data, _Stranger):
                        self._hear_safely(key.data)
                    elif key.data is not None:
                        self._welcome(key.data)
                self._expire()
        finally:
            for stranger in list(self._lobby.values()):
                self._show_out(stranger)
            self._close_listeners()
            self._selector.close()
            self._wake_receiver.close()

    def _patience(self) -> float | None:
        """Seconds until something is due without anything arriving; None if nothing is."""
        due = [stranger.deadline for stranger in self._lobby.values()]
        if self._paused_until:
            due.append(self._paused_until)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _welcome(self, listener: socket.socket) -> None:
        """Take the connections that wait at one listener, a bounded number at a time."""
        for _ in range(64):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Typically out of file descriptors. The listener stays readable: pause instead of spinning.
                if not self._accept_fails:
                    logger.error("cannot accept connections: %s", error.strerror or type(error).__name__)
                self._accept_fails = True
                self._pause()
                return
            self._accept_fails = False
            sock.setblocking(False)
            tls = self._config.tls
            if tls is not None:
                try:
                    sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                except OSError:  # gone again already
                    sock.close()
                    continue
            peer = Peer(address[0], address[1])
            if self._config.max_strangers and len(self._lobby) >= self._config.max_strangers:
                self._make_room(peer.ip)
            deadline = time.monotonic() + (self._config.artim or 30)
            association = Association.as_acceptor(self._config.limits)
            stranger = _Stranger(sock, peer, deadline, association, greeting=tls is not None)
            self._lobby[sock] = stranger
            self._selector.register(sock, selectors.EVENT_READ, stranger)

    def _make_room(self, newcomer: str) -> None:
        """Show out the oldest stranger of the address that has the most, the newcomer's own included."""
        crowds = Counter(stranger.peer.ip for stranger in self._lobby.values())
        crowds[newcomer] += 1
        largest = max(crowds.values())
        # The lobby is in the order of arrival.
        self._show_out(next(one for one in self._lobby.values() if crowds[one.peer.ip] == largest))

    def _pause(self) -> None:
        if not self._paused_until:
            for listener in self._listeners:
                self._selector.unregister(listener)
        self._paused_until = time.monotonic() + 0.2

    def _expire(self) -> None:
        now = time.monotonic()
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            for listener in self._listeners:
                self._selector.register(listener, selectors.EVENT_READ, listener)
        for stranger in [one for one in self._lobby.values() if one.deadline <= now]:
            self._show_out(stranger)

    def _hear_safely(self, stranger: _Stranger) -> None:
        if stranger.sock not in self._lobby:
            return  # shown out for a newcomer since the selector spoke
        try:
            self._hear(stranger)
        except OSError:
            self._show_out(stranger)
        except Exception as error:
            # Whatever a stranger manages to break, the listener goes on.
            logger.error("hearing a stranger failed: %s", describe_fault(error))
            self._show_out(stranger)

    def _hear(self, stranger: _Stranger) -> None:
        if stranger.greeting and not self._greet(stranger):
            return
        try:
            data = stranger.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        if stranger.turned_away:
            if not data:
                self._show_out(stranger)
            return
        association = stranger.association
        events = association.receive_data(memoryview(data))
        if isinstance(stranger.sock, ssl.SSLSocket) and not events and stranger.sock.pending():
            self._hear(stranger)  # the selector does not see what TLS has read already
            return
        requested = bool(events) and isinstance(events[0], AssociateRequested)
        if requested and not association.is_over:
            if self._admit(stranger, events):
                return
            association.reject(LOCAL_LIMIT_EXCEEDED)
        if association.is_over:
            self._turn_away(stranger, connected=bool(data))

    def _greet(self, stranger: _Stranger) -> bool:
        """Go on with a TLS handshake; True when it is over. Raises OSError if it cannot succeed."""
        sock = stranger.sock
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(sock, selectors.EVENT_READ, stranger)
            return False
        except ssl.SSLWantWriteError:
            self._selector.modify(sock, selectors.EVENT_WRITE, stranger)
            return False
        except OSError as error:  # ssl.SSLError is one
            reason = getattr(error, "reason", None) or type(error).__name__
            logger.warning("TLS handshake with %s failed: %s", stranger.peer.ip, reason)
            raise
        self._selector.modify(sock, selectors.EVENT_READ, stranger)
        stranger.greeting = False
        stranger.peer = Peer(stranger.peer.ip, stranger.peer.port, _tls_subject(sock))
        return True

    def _turn_away(self, stranger: _Stranger, *, connected: bool) -> None:
        """Send the last PDU and give the peer a moment to read it and close."""
        answer = stranger.association.data_to_send()
        if not connected or not answer:
            self._show_out(stranger)
            return
        stranger.sock.send(answer)
        stranger.sock.shutdown(socket.SHUT_WR)
        stranger.turned_away = True
        stranger.deadline = time.monotonic() + self._config.linger

    def _show_out(self, stranger: _Stranger) -> None:
        if self._lobby.pop(stranger.sock, None) is not None:
            self._selector.unregister(stranger.sock)
        with suppress(OSError):
            stranger.sock.close()

    def _admit(self, stranger: _Stranger, events: list[Event]) -> bool:
        """Let the association begin, unless a limit is reached."""
        self._selector.unregister(stranger.sock)
        if not self._associations.admit(stranger.peer.ip, partial(self._begin, stranger, events)):
            self._selector.register(stranger.sock, selectors.EVENT_READ, stranger)
            return False
        del self._lobby[stranger.sock]
        return True

    def _begin(self, stranger: _Stranger, events: list[Event]) -> Conversation:
        config = self._config
        try:
            transport = Transport(
                stranger.sock,
                stranger.association,
                timeout=config.timeout,
                buffer_size=config.receive_buffer,
                events=events,
            )
            return Conversation(
                transport,
                self._new_handler(),
                stranger.peer,
                max_pdu_length=config.max_pdu_length,
                timeout=config.timeout,
                linger=config.linger,
            )
        except BaseException:
            stranger.sock.close()
            raise

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()


def listen(host: str, port: int, backlog: int = 2048) -> socket.socket:
    """A socket that listens on an address, for IPv4 or IPv6. Raises OSError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # IPv4 has a listener of its own, so that addresses in logs and checks have one form.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _tls_subject(sock: ssl.SSLSocket) -> str:
    """The common name of the peer's certificate, empty if it showed none."""
    certificate = sock.getpeercert() or {}
    names: Any = certificate.get("subject", ())  # ((("commonName", "STATION1"),), ...), loosely typed
    for parts in names:
        for name, value in parts:
            if name == "commonName":
                return str(value)
    return ""
