"""uvicorn's HTTP protocol with bounds on requests, and short ways for what is asked most.

The parser collects the request line and the headers in memory until they are complete, however long they are.
A stranger could fill the memory with one endless header, so a connection is refused when the head of a
request passes `LARGEST_HEAD`. Neither may it keep a request open for ever: when a head or a body is not
complete and nothing comes for `request_timeout` seconds, the connection ends, and what was taken for it is
given back. One timer per connection is enough, since it looks at the time of the last byte when it fires. A
connection that waits for its answer is not touched, and one that is idle between requests is uvicorn's.

Most requests that a viewer repeats are GETs whose answer the application has kept. Such an answer is written
as soon as the headers are read, without a task, a scope and two messages, which costs more than half of the
time. Most of what a modality or a script sends are uploads of one file, which spare the same; see
`quick_upload`. A GET that has to be looked up is made a request as uvicorn does, but answered by `lookups`. An
application offers these ways by the methods `quick_answer`, `quick_upload` and `quick_lookup`; for everything
else, and, but for the last, while an earlier request of the connection is being answered, uvicorn's own way is
taken.

While an upload is stored its connection is still read. The head of a next request is the most that comes of
it: uvicorn puts that request in its queue, stops reading, and goes on when the upload has its answer.

A request for a WebSocket is one only on a path that has any (`takes_channel` of the application); elsewhere,
and from a client that does not know how to ask, it is an ordinary request.

What escapes from the application is told in one line of the log. uvicorn would write the traceback with the
exception's messages, which may quote a data set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ithil.http import errors
from ithil.http.lookups import MADE, Made, Told
from ithil.http.quick_upload import QuickUpload

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers; browsers and proxies stay below 16 KB."""

Client: TypeAlias = "tuple[str, int] | None"
QuickAnswer = Callable[
    [bytes, Mapping[bytes, bytes], Client], "tuple[bytes, list[bytes | memoryview]] | None"
]
TakesChannel = Callable[[bytes], bool]
LookUp = Callable[[Mapping[str, Any], asyncio.AbstractEventLoop, Callable[[Told], None]], bool]
BeginUpload = Callable[[bytes, Mapping[bytes, bytes], Client], "QuickUpload | None"]


class FastHttpProtocol(HttpToolsProtocol):
    """To be given to `uvicorn.Config` as `http`; `protocol_class` makes one with a time limit."""

    request_timeout: float = 0
    """Seconds without a byte after which a connection with an incomplete request ends; 0 for no limit."""

    _head_size = 0
    _in_body = False
    _answered = False
    _upload: QuickUpload | None = None  # the one whose body arrives now
    _arriving = True  # a request is not complete, or there was none yet
    _last_byte = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is due from now on."""
        super().connection_made(transport)
        self._await_bytes()

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, then parse."""
        if not self._in_body:
            if self._head_size > LARGEST_HEAD:
                self.send_400_response("The headers of the request are too large")
                return
            self._head_size += len(data)
        self._arriving = True
        super().data_received(data)
        if self._arriving:
            self._await_bytes()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget an upload that ends in the middle; what is in a worker thread goes on without its client."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.release()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins, maybe in the packet that ended the one before."""
        self._arriving = True
        super().on_message_begin()

    def handle_websocket_upgrade(self) -> None:
        """Give the connection away; it is not this protocol's to end any more."""
        self._arriving = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().handle_websocket_upgrade()

    def _should_upgrade(self) -> bool:
        takes: TakesChannel | None = getattr(self.app, "takes_channel", None)
        if takes is None or self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False  # an earlier answer would be written in between
        return bool(super()._should_upgrade()) and takes(self.url)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing in the log: any stranger may ask for any protocol, and gets the answer without it."""

    def on_headers_complete(self) -> None:
        """The head is complete: answer at once or begin an upload, if possible, else make an ASGI request."""
        self._in_body = True
        # An answer to an earlier request of the same packet has set the clock for an idle connection.
        self._unset_keepalive_if_required()
        self._answered = False
        if self._short_ways_are_open():
            method = self.parser.get_method()
            if method == b"GET":
                self._answered = self._answer_at_once()
            elif method == b"POST":
                self._upload = self._begin_upload()
        if not self._answered and self._upload is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        if self._upload is not None:
            self._upload.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The next byte begins a new head."""
        self._arriving = False
        self._in_body = False
        self._head_size = 0
        if self._upload is not None:
            self._upload.start(self.loop, self._answer_upload)
            self._upload = None
        elif not self._answered:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not self._looks_up(cycle, app):
            self._start_guarded_task(cycle, app)

    def _looks_up(self, cycle: RequestResponseCycle, app: Any) -> bool:
        """Have a GET answered on the short way, if it may take that."""
        look_up: LookUp | None = getattr(app, "quick_lookup", None)
        if (
            look_up is None
            or cycle.scope["method"] != "GET"
            or not cycle.keep_alive
            or cycle.waiting_for_100_continue
            or self.flow.write_paused
        ):
            return False

        def answer(told: Told) -> None:
            if isinstance(told, Made):
                cycle.scope[MADE] = told  # type: ignore[literal-required]
                self._start_guarded_task(cycle, app)
            else:
                self._answer_lookup(cycle, *told)

        return look_up(cycle.scope, self.loop, answer)

    def _answer_lookup(self, cycle: RequestResponseCycle, head: bytes, body: bytes) -> None:
        """Write the answer to a look-up, unless the client has left."""
        cycle.response_started = cycle.response_complete = True
        if self.transport.is_closing():
            return
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        self.transport.writelines([head, self._default_lines(), close, b"\r\n", body])
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _start_guarded_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except (Exception, asyncio.CancelledError) as error:
                errors.report_cut(error)
                if not cycle.response_started:
                    await cycle.send_500_response()
                else:
                    cycle.disconnected = True  # else uvicorn adds a line of its own
                    cycle.transport.close()

        super()._start_asgi_task(cycle, guarded)

    def _await_bytes(self) -> None:
        """Count the time from now; the timer that runs already will see it."""
        if self.request_timeout:
            self._last_byte = self.loop.time()
            if self._timer is None:
                self._timer = self.loop.call_later(self.request_timeout, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        """End the connection if its client owes bytes for too long."""
        self._timer = None
        if not self._arriving or self.transport.is_closing():
            return
        if not self._is_the_clients_turn():
            self._await_bytes()
            return
        left = self._last_byte + self.request_timeout - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look_at_the_time)
        else:
            self.transport.abort()  # a client that reads nothing either would hold up `close`

    def _is_the_clients_turn(self) -> bool:
        """Whether nothing but bytes of the client can bring this connection on."""
        if self.flow.read_paused or self.pipeline:
            return False
        cycle = self.cycle
        if self._upload is not None or cycle is None or cycle.response_complete:
            return True
        return self._in_body and not cycle.response_started and not cycle.waiting_for_100_continue

    def _short_ways_are_open(self) -> bool:
        return not (
            not self.parser.should_keep_alive()
            or self.parser.should_upgrade()
            or self.parser.get_http_version() != "1.1"
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.pipeline
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    def _answer_at_once(self) -> bool:
        quick: QuickAnswer | None = getattr(self.app, "quick_answer", None)
        headers = dict(self.headers)
        if quick is None or b"content-length" in headers or b"transfer-encoding" in headers:
            return False
        answer = quick(self.url, headers, self.client)
        if answer is None:
            return False
        head, buffers = answer
        if self.server_state.default_headers:
            head = head[:-2] + self._default_lines() + b"\r\n"
        self.transport.writelines([head, *buffers])
        self.on_response_complete()
        return True

    def _begin_upload(self) -> QuickUpload | None:
        begin: BeginUpload | None = getattr(self.app, "quick_upload", None)
        upload = begin(self.url, dict(self.headers), self.client) if begin is not None else None
        if upload is not None:
            self.cycle = upload  # type: ignore[assignment]  # it has what is asked of a cycle
        return upload

    def _answer_upload(self, upload: QuickUpload, head: bytes, body: bytes) -> None:
        """Write the answer to an upload, unless the client has left."""
        upload.release()
        upload.response_complete = True
        if self.transport.is_closing():
            return
        close = b"" if upload.keep_alive else b"connection: close\r\n"
        self.transport.write(b"".join([head, self._default_lines(), close, b"\r\n", body]))
        if not upload.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _default_lines(self) -> bytes:
        return b"".join([b"%s: %s\r\n" % header for header in self.server_state.default_headers])


def protocol_class(request_timeout: float) -> type[FastHttpProtocol]:
    """The protocol with a time limit in seconds (`HttpRequestTimeout`), 0 for none."""

    class TimedHttpProtocol(FastHttpProtocol):
        pass

    TimedHttpProtocol.request_timeout = request_timeout
    return TimedHttpProtocol
