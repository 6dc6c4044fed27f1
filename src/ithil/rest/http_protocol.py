"""uvicorn's HTTP protocol with two additions: a bound on headers, and short ways for what is asked most.

The parser collects the request line and the headers in memory until they are complete, however long they are.
A stranger could fill the memory with one endless header, so a connection is refused when the head of a
request passes `LARGEST_HEAD`.

Most requests that a viewer repeats are GETs whose answer the application has kept. Such an answer is written
as soon as the headers are read, without a task, a scope and two messages, which costs more than half of the
time. Most of what a modality or a script sends are uploads of one file, which spare the same; see
`quick_upload`. An application offers these ways by the methods `quick_answer` and `quick_upload`; for
everything else, and while an earlier request of the connection is being answered, uvicorn's own way is taken.

While an upload is stored its connection is still read. The head of a next request is the most that comes of
it: uvicorn puts that request in its queue, stops reading, and goes on when the upload has its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ithil.rest.quick_upload import QuickUpload

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers; browsers and proxies stay below 16 KB."""

Client: TypeAlias = "tuple[str, int] | None"
QuickAnswer = Callable[[bytes, Mapping[bytes, bytes], Client], "tuple[bytes, bytes] | None"]
BeginUpload = Callable[[bytes, Mapping[bytes, bytes], Client], "QuickUpload | None"]


class FastHttpProtocol(HttpToolsProtocol):
    """To be given to `uvicorn.Config` as `http`."""

    _head_size = 0
    _in_body = False
    _answered = False
    _upload: QuickUpload | None = None  # the one whose body arrives now

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, then parse."""
        if not self._in_body:
            if self._head_size > LARGEST_HEAD:
                self.send_400_response("The headers of the request are too large")
                return
            self._head_size += len(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget an upload that ends in the middle; what is in a worker thread goes on without its client."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.release()
        super().connection_lost(exc)

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
        self._in_body = False
        self._head_size = 0
        if self._upload is not None:
            self._upload.start(self.loop, self._answer_upload)
            self._upload = None
        elif not self._answered:
            super().on_message_complete()

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
        head, body = answer
        if self.server_state.default_headers:
            head = head[:-2] + self._default_lines() + b"\r\n"
        self.transport.writelines([head, body])
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
