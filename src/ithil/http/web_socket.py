"""WebSockets (RFC 6455): one as the handler of a route sees it, and uvicorn's protocol with its gaps closed.

Only routes that have a `channel` take them; a request for one on any other path is answered as if it had not
asked (`protocol`). Nothing that a client sends means anything here, so it may send little.
"""

from __future__ import annotations

from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ithil.http.answers import Answer
from ithil.http.body import ClientGone, Receive
from ithil.http.sending import Send, headers_of

LARGEST_MESSAGE = 16 * 1024
"""Bytes of a message of a client; a longer one ends the connection."""

GOING_AWAY, POLICY, INTERNAL_ERROR, TRY_LATER = 1001, 1008, 1011, 1013
NORMAL = 1000


class WebSocket:
    """One connection. `accept` comes first, or `refuse`."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.accepted = False

    async def accept(self) -> None:
        """Open the connection. Raises ClientGone if there is nobody any more."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            raise ClientGone
        await self._sent({"type": "websocket.accept"})
        self.accepted = True

    async def refuse(self, answer: Answer) -> None:
        """Answer the request for a connection as one for a resource."""
        body = answer.body if isinstance(answer.body, bytes) else b""
        headers = headers_of(answer)
        await self._sent(
            {"type": "websocket.http.response.start", "status": answer.status, "headers": headers}
        )
        await self._sent({"type": "websocket.http.response.body", "body": body})

    async def send_text(self, text: str) -> None:
        """Send one message; returns when the connection can take another. Raises ClientGone."""
        await self._sent({"type": "websocket.send", "text": text})

    async def close(self, code: int = NORMAL) -> None:
        """End the connection."""
        await self._sent({"type": "websocket.close", "code": code})

    async def closed(self) -> int:
        """Wait until the connection has ended and give its code; what the client sends is dropped."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or NORMAL)

    async def _sent(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except OSError:
            raise ClientGone from None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which forgets about two kinds of clients."""

    def data_received(self, data: bytes) -> None:
        """Parse; a handshake that the library does not take would leave the connection open for ever."""
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """Take a message of the application; a refusal that is complete is no failure of the handshake."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        """End a connection whose client is silent; one that reads nothing either would hold up `close`."""
        super().keepalive_timeout()
        self.transport.abort()
