"""Orthanc's compression of stored files: the size of the plain bytes (8 bytes, little endian), then zlib."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from ithil.archive.errors import FileCorrupted

NONE = 1
ZLIB = 2

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
    if not stored:
        return b""
    if len(stored) < _SIZE.size:
        raise FileCorrupted("A compressed file is too short")
    (size,) = _SIZE.unpack_from(stored)
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(memoryview(stored)[_SIZE.size :], size + 1)
    except (zlib.error, OverflowError, MemoryError):
        raise FileCorrupted("A compressed file cannot be inflated") from None
    if len(data) != size or not inflater.eof:  # without its end it lacks the checksum as well
        raise FileCorrupted("A compressed file does not have the size it announces")
    return data
