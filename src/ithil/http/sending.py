"""Answers on their way out: the headers, and bodies that are read or made while they are sent.

Bytes go as they are. Parts of stored files are read in pieces, streams are drawn piece by piece, both in
worker threads; a client that is slow holds one piece in memory, not the whole. The first piece is there before
the status is sent, so that what goes wrong at the start is an error answer and not a broken one. A file is
opened once for its whole answer, which thus reaches its end even if the file is deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ithil.archive import retrieve
from ithil.archive.retrieve import LARGEST_WHOLE_READ
from ithil.http.answers import Answer, FilePart, Stream
from ithil.http.body import Receive
from ithil.http.context import Context

Send = Callable[[dict[str, Any]], Awaitable[None]]

LARGEST_AT_ONCE = 4 * 1024 * 1024
"""A file of more bytes is read and sent in pieces."""

UNCOMPRESSED = 1  # `Attachment.compression`

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NOSNIFF = (b"x-content-type-options", b"nosniff")


def headers_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """The headers of an answer; one of unknown length has no Content-Length and is sent in chunks."""
    headers = [_NOSNIFF]
    if answer.content_type:
        headers.append((b"content-type", _safe(answer.content_type)))
    if answer.status != 304 and answer.length is not None:
        headers.append((b"content-length", str(answer.length).encode()))
    headers += [(name.lower().encode(), _safe(value)) for name, value in answer.headers.items()]
    return headers


def head_of(answer: Answer) -> bytes:
    """Status line and headers as they go over the wire, without the empty line at their end."""
    return b"".join([STATUS_LINE[answer.status], *(b"%s: %s\r\n" % header for header in headers_of(answer))])


def _safe(value: str) -> bytes:
    """The value of a header, in which nothing that was stored can begin another header (RFC 9110 5.5)."""
    return _CONTROLS.sub(b"?", value.encode("latin-1", "replace"))


async def first_piece(context: Context, answer: Answer) -> bytes:
    """The start of the body, b"" if it is empty. Raises what reading or making it raises.

    The part of a file that is too large to be read at once is made a stream, which `answer` has then.
    """
    body = answer.body
    if isinstance(body, FilePart):
        if _is_small(body):
            known = None if body.raw else context.archive.cache.get(body.attachment.uuid)
            if known is not None:  # then it is not worth a thread
                return body.framed(known[body.start : body.end])
            return await context.in_thread(_read, context, body)
        body = answer.body = _stream_of(context, body)
    if isinstance(body, Stream):
        try:
            return await context.in_stream_thread(_next, body)
        except BaseException:
            await context.in_stream_thread(_close, body)
            raise
    return body


def small_body(context: Context, answer: Answer) -> bytes | None:
    """A body that is to be had at once; None for a stream and for the part of a large file. Blocking.

    Raises what reading it raises.
    """
    body = answer.body
    if isinstance(body, FilePart):
        return _read(context, body) if _is_small(body) else None
    return None if isinstance(body, Stream) else body


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
        elif isinstance(body, Stream):
            await _send_stream(context, receive, send, body, first)
        else:
            await send({"type": "http.response.body", "body": first})
    finally:
        if isinstance(body, Stream):
            await context.in_stream_thread(_close, body)


async def _send_stream(context: Context, receive: Receive, send: Send, stream: Stream, piece: bytes) -> None:
    # The server drops what is sent to a client that has gone, so only this tells that nobody reads any more.
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        while piece and not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await context.in_stream_thread(_next, stream)
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


def _is_small(part: FilePart) -> bool:
    """Whether a part can be had with one read; a part of a compressed file takes the whole."""
    file = part.attachment
    whole = not part.raw and file.compression != UNCOMPRESSED
    return (file.uncompressed_size if whole else part.end - part.start) <= LARGEST_AT_ONCE


def _stream_of(context: Context, part: FilePart) -> Stream:
    return Stream(_pieces_of(context, part), part.length)


def _pieces_of(context: Context, part: FilePart) -> Iterator[bytes]:
    yield part.before
    yield from retrieve.pieces(context.archive, part.attachment, part.start, part.end, raw=part.raw)
    yield part.after


def _read(context: Context, part: FilePart) -> bytes:
    """The bytes of a small part."""
    archive, file = context.archive, part.attachment
    if part.raw:
        return part.framed(archive.storage.read(file.uuid, part.start, part.end))
    if file.uncompressed_size <= LARGEST_WHOLE_READ:  # to be kept, since one read costs less than two
        return part.framed(retrieve.read(archive, file)[part.start : part.end])
    return part.framed(retrieve.read(archive, file, part.start, part.end))
