"""Texts that were compressed apart make one gzip stream, which readers of a single member read to its end."""

from __future__ import annotations

import random
import zlib

import pytest

from ithil.archive.gzip_pieces import Piece, combined, compress, inflate, literal, stream


def read(content: bytes) -> bytes:
    """The plain text, by a reader that stops at the end of the first member, as Chromium does."""
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    text = inflater.decompress(content)
    assert inflater.eof
    assert inflater.unused_data == b""
    return text


def test_pieces_make_one_member() -> None:
    source = random.Random(1)
    texts = [b"", b"x", b"abc" * 70_000, source.randbytes(1000), b"abc" * 5]
    pieces = [literal(b"["), *map(compress, texts), literal(b"]")]
    assert read(b"".join(stream(pieces))) == b"[" + b"".join(texts) + b"]"
    assert [inflate(compress(text)) for text in texts] == texts


def test_nothing_is_a_stream_too() -> None:
    assert read(b"".join(stream([]))) == b""


def test_checksums_of_texts_in_a_row() -> None:
    source = random.Random(2)
    for _ in range(50):
        first, second = (source.randbytes(source.randrange(5000)) for _ in range(2))
        assert combined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


def test_a_damaged_piece_is_told() -> None:
    good = compress(b"metadata" * 100)
    for bad in (
        Piece(good.deflated[:10], good.checksum, good.size),
        Piece(b"\xff" * 20, good.checksum, good.size),
        Piece(good.deflated, good.checksum ^ 1, good.size),
        Piece(good.deflated, good.checksum, 5),
    ):
        with pytest.raises(ValueError, match="compressed piece"):
            inflate(bad)
