"""uvicorn's HTTP protocol with two additions: a bound on headers, and a short way for known answers.

The parser collects the request line and the headers in memory until they are complete, however long they are.
A stranger could fill the memory with one endless header, so a connection is refused when the head of a
request passes `LARGEST_HEAD`.

Most requests that a viewer repeats are GETs whose answer the application has kept. Such an answer is written
as soon as the headers are read, without a task, a scope and two messages, which costs more than half of the
time. An application offers that by a method `quick_answer`; for everything else, and while an earlier request
of the connection is being answered, uvicorn's own way is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers; browsers and proxies stay below 16 KB."""

QuickAnswer = Callable[[bytes, Mapping[bytes, bytes], "tuple[str, int] | None"], "tuple[bytes, bytes] | None"]


class FastHttpProtocol(HttpToolsProtocol):
    """To be given to `uvicorn.Config` as `http`."""

    _head_size = 0
    _in_body = False
    _answered = False

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, then parse."""
        if not self._in_body:
            if self._head_size > LARGEST_HEAD:
                self.send_400_response("The headers of the request are too large")
                return
            self._head_size += len(data)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is complete: answer at once if that is possible, else make an ASGI request."""
        self._in_body = True
        self._answered = self._answer_at_once()
        if not self._answered:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next byte begins a new head."""
        self._in_body = False
        self._head_size = 0
        if not self._answered:
            super().on_message_complete()

    def _answer_at_once(self) -> bool:
        quick: QuickAnswer | None = getattr(self.app, "quick_answer", None)
        if (
            quick is None
            or self.parser.get_method() != b"GET"
            or not self.parser.should_keep_alive()
            or self.parser.should_upgrade()
            or self.parser.get_http_version() != "1.1"
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.pipeline
            or self.flow.write_paused
            or self.transport.is_closing()
        ):
            return False
        headers = dict(self.headers)
        if b"content-length" in headers or b"transfer-encoding" in headers:
            return False
        answer = quick(self.url, headers, self.client)
        if answer is None:
            return False
        head, body = answer
        if self.server_state.default_headers:
            lines = [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
            head = head[:-2] + b"".join(lines) + b"\r\n"
        self.transport.writelines([head, body])
        self.on_response_complete()
        return True
