"""Bodies that stream: gathered into pieces that are worth a visit to a worker thread, and decompressed."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http.context import Context

PIECE = 1024 * 1024
"""Bytes that are gathered before a worker thread is asked to write them; smaller bodies stay in memory."""


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least `PIECE`, except the last."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            piece = b"".join(parts)
            parts.clear()  # before the piece is used, so that nothing is held twice
            size = 0
            yield piece
    if parts:
        yield parts[0] if len(parts) == 1 else b"".join(parts)


async def gunzip(
    context: Context, chunks: AsyncIterator[bytes], limit: int, too_large: CodedError
) -> AsyncIterator[bytes]:
    """The content of a gzip file of one or more members (RFC 1952 2.2).

    Raises CodedError (bad file format) for damaged or truncated data, and `too_large` beyond `limit` bytes
    (0 for none), however small the compressed body is.
    """
    decoder = zlib.decompressobj(31)
    total = 0
    async for chunk in chunks:
        pending = chunk
        while pending:
            if decoder.eof:
                decoder = zlib.decompressobj(31)
            try:
                content = await context.in_thread(decoder.decompress, pending, PIECE)
            except zlib.error as error:
                raise CodedError(codes.BAD_FILE_FORMAT, "The body is not valid gzip") from error
            total += len(content)
            if limit and total > limit:
                raise too_large
            if content:
                yield content
            pending = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if decoder.eof and not pending.strip(b"\0"):
                break  # padding after the last member
    if not decoder.eof:
        raise CodedError(codes.BAD_FILE_FORMAT, "The gzip data ends too early")
