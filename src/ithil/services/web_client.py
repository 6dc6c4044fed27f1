"""Requests to other servers over HTTP: a connection that is used again, credentials, certificates, bounds.

    with WebClient(peer, settings) as client:
        answer = client.request("GET", "system")

It blocks the calling thread, as everything in jobs and handlers does. Answers are kept in memory and have a
bound, since they come from a server that may be anything. A body that is larger than memory should hold comes as
a function that gives its pieces, so that it can be sent again. An answer that is larger than that comes as a
`WebStream`, piece by piece:

    with client.open("GET", "studies/1.2.3") as stream:
        for piece in stream.pieces(): ...
"""

from __future__ import annotations

import base64
import http.client
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import orjson

from ithil import __version__
from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.settings import Settings
from ithil.settings.remotes import Peer

MOST = 16 << 20
"""Bytes of the largest answer, unless a caller says otherwise."""

A = TypeVar("A")

_PIECE = 1 << 18
_LAST_WORDS = 0.1  # seconds that an answer may take to arrive when the connection is closed already
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GONE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
"""What a connection that the server has closed meanwhile ends with."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is made while it is sent: `pieces` gives its `length` bytes anew at each call.

    Without a length it is sent in chunks (RFC 9112 7.1).
    """

    length: int | None
    pieces: Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a server answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def succeeded(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises CodedError (network protocol) for anything else."""
        try:
            return orjson.loads(self.body)
        except ValueError as error:
            raise CodedError(codes.NETWORK_PROTOCOL, "The other server did not answer with JSON") from error


class WebStream:
    """An answer that is read while it comes; close it, or use it as a context manager. For one thread at a time."""

    def __init__(self, client: WebClient, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.getheaders()}
        self.length: int | None = response.length
        """Bytes of the body that are announced, None if they are not."""
        self._client = client
        self._response = response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def succeeded(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300

    def pieces(self) -> Iterator[bytes]:
        """The body. Raises CodedError (network protocol) if it stops coming before its end."""
        try:
            while piece := self._response.read1(_PIECE):
                yield piece
            if self._response.length:  # what was announced and has not come
                raise http.client.IncompleteRead(b"")
            self._response.close()
        except (OSError, http.client.HTTPException) as error:
            self._client.close()
            raise _unreachable(error) from error

    def close(self) -> None:
        """Be done with it; what has not been read is not read any more, and the connection is given up."""
        if not self._response.isclosed() or self._response.will_close:
            self._response.close()
            self._client.close()


class WebClient:
    """Asks one server, with one connection at a time. Belongs to one thread."""

    def __init__(self, peer: Peer, settings: Settings, *, timeout: float | None = None) -> None:
        """`timeout` is in seconds and replaces that of the peer and `HttpTimeout`; 0 waits for ever.

        Raises CodedError: bad file format for an address that is none, SSL initialization for certificates
        that cannot be used.
        """
        self._timeout = (peer.timeout or settings.http_timeout) if timeout is None else timeout
        self._url = _split(peer.url)
        self._headers = _headers(peer, self._url)
        self._proxy = _proxy(settings.http_proxy)
        self._tls = _tls(peer, settings) if self._url.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Body = b"",
        *,
        headers: Mapping[str, str] | None = None,
        most: int = MOST,
    ) -> WebAnswer:
        """One request; `path` is relative to the address of the server, and encoded.

        It is sent once more if the server had closed the connection that was kept. Raises CodedError (network
        protocol, timeout) if there is no answer or one of more than `most` bytes. What `body` raises while it
        is made passes.
        """
        return self._twice(lambda: self._ask(method, path, body, headers or {}, most))

    def open(self, method: str, path: str, *, headers: Mapping[str, str] | None = None) -> WebStream:
        """One request without a body, whose answer is read piece by piece; no other is made meanwhile.

        Raises what `request` raises.
        """

        def ask() -> WebStream:
            connection = self._send(method, path, b"", headers or {})
            return WebStream(self, connection.getresponse())

        return self._twice(ask)

    def _twice(self, ask: Callable[[], A]) -> A:
        """What `ask` gives; it is tried once more if the server had closed the connection that was kept."""
        kept = self._connection is not None
        try:
            return ask()
        except _GONE as error:
            self.close()
            if not kept:
                raise _unreachable(error) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _unreachable(error) from error
        except BaseException:
            self.close()
            raise
        try:
            return ask()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _unreachable(error) from error
        except BaseException:
            self.close()
            raise

    def _ask(
        self, method: str, path: str, body: bytes | Body, headers: Mapping[str, str], most: int
    ) -> WebAnswer:
        return self._read(self._send(method, path, body, headers), most)

    def _send(
        self, method: str, path: str, body: bytes | Body, headers: Mapping[str, str]
    ) -> http.client.HTTPConnection:
        """Send a request; the connection on which its answer comes."""
        connection = self._connected()
        target = self._url.path + path
        if self._proxy is not None and self._url.scheme == "http":
            target = f"http://{self._url.netloc.rpartition('@')[2]}{target}"
        length = len(body) if isinstance(body, bytes) else body.length
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in _merged(self._headers, headers):
                connection.putheader(name, value)
            if length is None:
                connection.putheader("Transfer-Encoding", "chunked")
            elif length or method in ("POST", "PUT"):
                connection.putheader("Content-Length", str(length))
            connection.endheaders(body if isinstance(body, bytes) and body else None)
        except (ValueError, UnicodeError) as error:  # a header or a host name that cannot be sent
            raise CodedError(codes.BAD_FILE_FORMAT, "An address or header of a server is invalid") from error
        if isinstance(body, Body):
            pieces = body.pieces() if length is not None else _chunks(body.pieces())
            try:
                for piece in pieces:
                    connection.send(piece)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                # Who refuses a body may say why before it has come in full, and hang up.
                if not _has_answer(connection):
                    raise
        return connection

    def _read(self, connection: http.client.HTTPConnection, most: int) -> WebAnswer:
        deadline = time.monotonic() + self._timeout if self._timeout else None
        response = connection.getresponse()
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > most:
                raise CodedError(codes.NETWORK_PROTOCOL, "The answer of the other server is too large")
            if deadline is not None and time.monotonic() > deadline + self._timeout:
                raise TimeoutError
            pieces.append(piece)
        if response.length:  # what was announced and has not come
            raise http.client.IncompleteRead(b"")
        response.close()  # `read1` leaves it open at its end, and then no other request could follow
        if response.will_close:
            self.close()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return WebAnswer(response.status, answered, b"".join(pieces))

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._url.hostname or "", self._url.port or _DEFAULT_PORTS[self._url.scheme]
            at, at_port = (
                (self._proxy.hostname or "", self._proxy.port or 80) if self._proxy else (host, port)
            )
            timeout = self._timeout or None
            if self._tls is not None:
                self._connection = http.client.HTTPSConnection(
                    at, at_port, timeout=timeout, context=self._tls
                )
                if self._proxy is not None:
                    self._connection.set_tunnel(host, port, _basic(self._proxy, "Proxy-Authorization"))
            else:
                self._connection = http.client.HTTPConnection(at, at_port, timeout=timeout)
            self._connection.connect()
            with suppress(OSError):
                self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._connection


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise CodedError(codes.BAD_FILE_FORMAT, "The address of a server is invalid")
    return parts


def _headers(peer: Peer, url: SplitResult) -> dict[str, str]:
    headers = {"Accept": "*/*", "User-Agent": f"Ithil/{__version__}"}
    if peer.username:
        credentials = f"{peer.username}:{peer.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
    else:
        headers |= _basic(url, "Authorization")
    return headers | peer.http_headers


def _has_answer(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has said something before it hung up."""
    sock: socket.socket | None = connection.sock
    if sock is None or not select.select([sock], [], [], _LAST_WORDS)[0]:
        return False
    try:
        return isinstance(sock, ssl.SSLSocket) or bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _merged(ours: Mapping[str, str], more: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Headers, where those of a request replace those of the server, however they are spelled."""
    replaced = {name.lower() for name in more}
    yield from ((name, value) for name, value in ours.items() if name.lower() not in replaced)
    yield from more.items()


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A body in chunks, with the one that ends it."""
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _basic(url: SplitResult, name: str) -> dict[str, str]:
    """The header with the credentials that an address holds."""
    if not url.username:
        return {}
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return {name: "Basic " + base64.b64encode(credentials).decode()}


def _proxy(option: str) -> SplitResult | None:
    if not option:
        return None
    return _split(option if "://" in option else f"http://{option}")


def _tls(peer: Peer, settings: Settings) -> ssl.SSLContext:
    if peer.pkcs11:
        raise CodedError(codes.NOT_IMPLEMENTED, "Keys in hardware (Pkcs11) are not supported")
    try:
        context = ssl.create_default_context(cafile=settings.https_ca_certificates or None)
        if not settings.https_verify_peers:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if peer.certificate_file:
            password = peer.certificate_key_password
            # Without a password callback OpenSSL would ask for it on the terminal.
            context.load_cert_chain(
                peer.certificate_file, peer.certificate_key_file or None, password=lambda: password
            )
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise CodedError(
            codes.SSL_INITIALIZATION, f"The certificates for a server cannot be used: {reason}"
        ) from error
    return context


def _unreachable(error: Exception) -> CodedError:
    """What is told of a server that does not answer; nothing of what it said is quoted."""
    if isinstance(error, TimeoutError):
        return CodedError(codes.NETWORK_PROTOCOL, "The other server did not answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        return CodedError(codes.NETWORK_PROTOCOL, "The certificate of the other server cannot be trusted")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return CodedError(codes.NETWORK_PROTOCOL, f"The other server cannot be reached: {reason}")
