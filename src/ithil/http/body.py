"""Reading a request's body: in pieces for what streams, as a whole (bounded) for everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from ithil import error_codes as codes
from ithil.error_codes import CodedError

Receive = Callable[[], Awaitable[Any]]

LARGEST_WHOLE_BODY = 256 * 1024 * 1024
"""Bytes of a body that is held in memory: JSON and texts, never DICOM."""


class ClientGone(Exception):
    """The client closed the connection before its request was complete; nobody waits for an answer."""


class Body:
    """The body of one request.

    Parameters:
        receive: the ASGI channel.
        headers: names in lower case.
        limit: bytes above which the request is refused with 413; 0 for none (`MaximumRequestBodySizeMB`).
    """

    def __init__(self, receive: Receive, headers: Mapping[str, str], limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.length = declared_length(headers)
        if limit and self.length is not None and self.length > limit:
            raise too_large()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces as they arrive, none of them empty.

        Raises CodedError (413) beyond the limit, ClientGone when the client leaves before the end.
        """
        total = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            if chunk:
                total += len(chunk)
                if self._limit and total > self._limit:
                    raise too_large()
                yield chunk
            if not message.get("more_body", False):
                return


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    """All pieces as one. Raises CodedError (413) for more than is sensible to hold in memory, ClientGone."""
    parts = []
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > LARGEST_WHOLE_BODY:
            raise too_large()
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large() -> CodedError:
    """The refusal of a body beyond the limit."""
    return CodedError(codes.BAD_REQUEST, "The body of the request is too large", status=413)


def declared_length(headers: Mapping[str, str]) -> int | None:
    """`Content-Length` as a number, None without it. Raises CodedError (411) for anything else."""
    value = headers.get("content-length")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise CodedError(codes.BAD_REQUEST, "The length of the body is not a number", status=411)
    return int(value)
