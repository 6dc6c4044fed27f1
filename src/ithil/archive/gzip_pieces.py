"""One gzip stream (RFC 1952) out of pieces that were compressed before.

Several gzip members in a row are one stream too, but Chromium, Safari and httpx stop at the end of the first.
So what is kept are pieces of a deflate stream (RFC 1951) that end at a byte and refer to nothing before them;
header, end and checksum are put around any number of them. Only the checksum needs thought: that of two texts
follows from those of each and the length of the second, by arithmetic of polynomials over GF(2).

A `FreshPiece` has not been compressed yet: who wants the plain text need not wait for that. Its text is let go
of as soon as it has been.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_LEVEL = 6
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LAST_BLOCK = b"\x03\0"  # empty
_POLYNOMIAL = 0xEDB88320  # of CRC-32, the bits in reverse
_SHORT = 4096  # bytes
_AT_ONCE = (
    512 * 1024
)  # bytes that `plain` inflates; larger buffers come from the system each time, and are cold


@dataclass(frozen=True, slots=True)
class Piece:
    """A compressed text, and the checksum (CRC-32) and size in bytes of the plain one."""

    deflated: bytes
    checksum: int
    size: int

    @property
    def held(self) -> int:
        """Bytes that it takes in memory."""
        return len(self.deflated)

    @property
    def compressed_size(self) -> int:
        """Bytes of the compressed text."""
        return len(self.deflated)

    def compressed(self) -> Piece:
        """The piece itself."""
        return self


class FreshPiece:
    """A text that is compressed when that is first asked for, once for all threads, and held till then.

    `size` is how many bytes it has.
    """

    __slots__ = ("__weakref__", "_lock", "_piece", "_text", "size")

    def __init__(self, text: bytes) -> None:
        self.size = len(text)
        self._text: bytes | None = text
        self._piece: Piece | None = None
        self._lock = threading.Lock()

    @property
    def text(self) -> bytes | None:
        """The plain text, None as soon as it has been compressed."""
        return self._text

    @property
    def held(self) -> int:
        """Bytes that it takes in memory."""
        piece = self._piece
        return self.size if piece is None else piece.held

    @property
    def compressed_size(self) -> int:
        """Bytes of the compressed text, 0 as long as there is none."""
        piece = self._piece
        return 0 if piece is None else piece.held

    def compressed(self) -> Piece:
        """The text as a piece."""
        with self._lock:
            if self._text is not None:
                self._piece = compress(self._text)
                self._text = None
            assert self._piece is not None
            return self._piece


AnyPiece = Piece | FreshPiece


def compress(text: bytes, level: int = _LEVEL) -> Piece:
    """A text as a piece; `level` from 1 (fast) to 9 (small)."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Piece(deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH), zlib.crc32(text), len(text))


def literal(text: bytes) -> Piece:
    """A short text (less than 64 KB) as a piece that is not compressed."""
    header = struct.pack("<BHH", 0, len(text), len(text) ^ 0xFFFF)
    return Piece(header + text, zlib.crc32(text), len(text))


def inflate(piece: AnyPiece) -> bytes:
    """The plain text of a piece that `compress` made. Raises ValueError if it is damaged."""
    return b"".join(_parts(piece))


def plain(pieces: Iterable[AnyPiece]) -> Iterator[bytes]:
    """The texts of the pieces, one after the other, in parts that are neither tiny nor large.

    Raises ValueError if a piece is damaged, before its last part.
    """
    before = b""  # short texts, which are not worth a part
    for piece in pieces:
        for part in _parts(piece):
            if len(part) < _SHORT:
                before += part
            else:
                yield before + part if before else part
                before = b""
    if before:
        yield before


def _parts(piece: AnyPiece) -> Iterator[bytes]:
    if isinstance(piece, FreshPiece):
        text = piece.text
        if text is not None:
            yield text
            return
        piece = piece.compressed()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, left, checksum = piece.deflated + _LAST_BLOCK, piece.size, 0
    try:
        while left > _AT_ONCE:
            part = inflater.decompress(rest, _AT_ONCE)
            if len(part) < _AT_ONCE:
                raise ValueError("a compressed piece ends early")
            rest, left, checksum = inflater.unconsumed_tail, left - len(part), zlib.crc32(part, checksum)
            yield part
        last = inflater.decompress(rest, left + 1)
    except zlib.error:
        raise ValueError("a compressed piece cannot be inflated") from None
    if len(last) != left or zlib.crc32(last, checksum) != piece.checksum:
        raise ValueError("a compressed piece does not hold what it should")
    yield last


def stream(pieces: Iterable[AnyPiece]) -> Iterator[bytes]:
    """The gzip stream of the texts of the pieces, one after the other."""
    yield _HEADER
    checksum = size = 0
    for each in pieces:
        piece = each.compressed()
        yield piece.deflated
        checksum = combined(checksum, piece.checksum, piece.size)
        size += piece.size
    yield _LAST_BLOCK + struct.pack("<II", checksum, size & 0xFFFFFFFF)


def combined(first: int, second: int, size: int) -> int:
    """The CRC-32 of two texts in a row, from that of each and the size of the second in bytes."""
    return _product(_shift(size), first) ^ second


@lru_cache(maxsize=1024)
def _shift(size: int) -> int:
    """What `size` zero bytes do to a checksum: x to the power of 8 * size, modulo the polynomial."""
    result, square = 1 << 31, _product(1 << 30, 1 << 30)  # 1, and x^2
    square = _product(square, square)
    square = _product(square, square)  # x^8
    while size:
        if size & 1:
            result = _product(square, result)
        square = _product(square, square)
        size >>= 1
    return result


def _product(one: int, other: int) -> int:
    """The product of two polynomials modulo that of CRC-32; the highest bit is the lowest power."""
    result = 0
    bit = 1 << 31
    while True:
        if one & bit:
            result ^= other
            if not one & (bit - 1):
                return result
        bit >>= 1
        if not bit:
            return result
        other = other >> 1 ^ _POLYNOMIAL if other & 1 else other >> 1
