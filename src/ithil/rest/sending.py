"""Answers on their way out: the headers, and bodies that are read or made while they are sent.

Bytes go as they are. Parts of stored files are read in pieces, streams are drawn piece by piece, both in
worker threads; a client that is slow holds one piece in memory, not the whole. The first piece is there before
the status is sent, so that what goes wrong at the start is an error answer and not a broken one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ithil.archive import retrieve
from ithil.rest.answers import Answer, FilePart, Stream
from ithil.rest.body import Receive
from ithil.rest.context import Context

Send = Callable[[dict[str, Any]], Awaitable[None]]

PIECE_BYTES = 4 * 1024 * 1024
"""A larger part of a file is read and sent in pieces of this size."""

UNCOMPRESSED = 1  # `Attachment.compression`

_NOSNIFF = (b"x-content-type-options", b"nosniff")


def headers_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """The headers of an answer; one of unknown length has no Content-Length and is sent in chunks."""
    headers = [_NOSNIFF]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    if answer.status != 304 and answer.length is not None:
        headers.append((b"content-length", str(answer.length).encode()))
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    return headers


async def first_piece(context: Context, answer: Answer) -> bytes:
    """The start of the body, b"" if it is empty. Raises what reading or making it raises."""
    body = answer.body
    if isinstance(body, FilePart):
        return await context.in_thread(_read, context, body, body.start)
    if isinstance(body, Stream):
        try:
            return await context.in_thread(_next, body)
        except BaseException:
            await context.in_thread(_close, body)
            raise
    return body


async def send_answer(
    context: Context,
    receive: Receive,
    send: Send,
    answer: Answer,
    first: bytes,
    *,
    head_only: bool = False,
) -> None:
    """Send `answer`, of whose body `first` has been read already."""
    body = answer.body
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers_of(answer)})
        if head_only:
            await send({"type": "http.response.body", "body": b""})
        elif isinstance(body, FilePart):
            await _send_file(context, send, body, first)
        elif isinstance(body, Stream):
            await _send_stream(context, receive, send, body, first)
        else:
            await send({"type": "http.response.body", "body": body})
    finally:
        if isinstance(body, Stream):
            await context.in_thread(_close, body)


async def _send_file(context: Context, send: Send, part: FilePart, piece: bytes) -> None:
    position = part.start
    while True:
        position += len(piece)
        more = position < part.end and bool(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": more})
        if not more:
            return
        piece = await context.in_thread(_read, context, part, position)


async def _send_stream(context: Context, receive: Receive, send: Send, stream: Stream, piece: bytes) -> None:
    # The server drops what is sent to a client that has gone, so only this tells that nobody reads any more.
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        while piece and not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await context.in_thread(_next, stream)
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _next(stream: Stream) -> bytes:
    """The next piece that is not empty, b"" at the end."""
    return next((piece for piece in stream.pieces if piece), b"")


def _close(stream: Stream) -> None:
    close = getattr(stream.pieces, "close", None)
    if close is not None:
        close()


def _read(context: Context, part: FilePart, start: int) -> bytes:
    """The piece of a part of a file that begins at `start`."""
    archive, file = context.archive, part.attachment
    if part.raw:
        return archive.storage.read(file.uuid, start, min(start + PIECE_BYTES, part.end))
    if file.compression != UNCOMPRESSED:
        # Only the whole can be uncompressed, so it is not done again for each piece.
        return retrieve.read(archive, file, start, part.end)
    if start == 0 and part.end == file.uncompressed_size <= PIECE_BYTES:
        return retrieve.read(archive, file)
    return retrieve.read(archive, file, start, min(start + PIECE_BYTES, part.end))
