"""Orthanc's compression of stored files: the size of the plain bytes (8 bytes, little endian), then zlib."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterable, Iterator

from ithil.archive.errors import FileCorrupted

NONE = 1
ZLIB = 2

PIECE = 1024 * 1024
"""Bytes of the largest piece that comes out of inflating."""

_SIZE = struct.Struct("<Q")


def compressed_pieces(pieces: Iterable[bytes | bytearray | memoryview], size: int) -> Iterator[bytes]:
    """The stored form of `size` bytes that come in pieces; no bytes stay no bytes."""
    if not size:
        return
    yield _SIZE.pack(size)
    deflater = zlib.compressobj(6)
    for piece in pieces:
        if done := deflater.compress(piece):
            yield done
    yield deflater.flush()


def compress(data: bytes | bytearray | memoryview) -> bytes:
    """The stored form of bytes that are in memory."""
    return b"".join(compressed_pieces((data,), len(data)))


def uncompress(stored: bytes) -> bytes:
    """The plain bytes of a stored form. Never inflates to more than the stored size announces.

    Raises FileCorrupted.
    """
    try:
        return b"".join(uncompressed_pieces((stored,), sys.maxsize))
    except (OverflowError, MemoryError):
        raise FileCorrupted("A compressed file cannot be inflated") from None


def uncompressed_pieces(stored: Iterable[bytes], most: int = PIECE) -> Iterator[bytes]:
    """The plain bytes of a stored form that comes in pieces, in pieces of `most` bytes at most.

    Never gives more than the stored size announces. Raises FileCorrupted, at the end too if it is not there.
    """
    inflater = zlib.decompressobj()
    start = b""
    size = given = 0
    for piece in stored:
        pending = piece
        if len(start) < _SIZE.size:
            joined = start + piece
            start, pending = joined[: _SIZE.size], joined[_SIZE.size :]
            if len(start) < _SIZE.size:
                continue
            (size,) = _SIZE.unpack(start)
        full = True
        while not inflater.eof and (pending or full):
            # One byte more than is announced, so that it shows if there is more.
            limit = min(most, size - given + 1)
            try:
                plain = inflater.decompress(pending, limit)
            except zlib.error:
                raise FileCorrupted("A compressed file cannot be inflated") from None
            given += len(plain)
            if given > size:
                raise FileCorrupted("A compressed file holds more than it announces")
            if plain:
                yield plain
            pending, full = inflater.unconsumed_tail, len(plain) == limit
    if start and (len(start) < _SIZE.size or given != size or not inflater.eof):
        # Without its end it lacks the checksum as well.
        raise FileCorrupted("A compressed file does not have the size it announces")
