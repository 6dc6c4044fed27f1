"""uvicorn's HTTP protocol with a bound on what comes before a body.

The parser collects the request line and the headers in memory until they are complete, however long they are.
A stranger could fill the memory with one endless header, so a connection is refused when the head of a
request passes `LARGEST_HEAD`.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers; browsers and proxies stay below 16 KB."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """To be given to `uvicorn.Config` as `http`."""

    _head_size = 0
    _in_body = False

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that is not complete, then parse."""
        if not self._in_body:
            if self._head_size > LARGEST_HEAD:
                self.send_400_response("The headers of the request are too large")
                return
            self._head_size += len(data)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is complete; what follows is the body, which the application bounds."""
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next byte begins a new head."""
        self._in_body = False
        self._head_size = 0
        super().on_message_complete()
