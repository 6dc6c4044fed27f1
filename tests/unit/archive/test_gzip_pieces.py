"""Texts that were compressed apart make one gzip stream, which readers of a single member read to its end."""

from __future__ import annotations

import random
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from ithil.archive import gzip_pieces
from ithil.archive.gzip_pieces import FreshPiece, Piece, combined, compress, inflate, literal, plain, stream


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


def test_a_damaged_large_piece_is_told_before_its_last_part() -> None:
    text = random.Random(4).randbytes(1_500_000)
    good = compress(text)
    middle = len(good.deflated) // 2
    for bad in (
        Piece(good.deflated[:middle], good.checksum, good.size),
        Piece(good.deflated[:middle] + b"\xff" * 9 + good.deflated[middle + 9 :], good.checksum, good.size),
        Piece(good.deflated, good.checksum ^ 1, good.size),
        Piece(good.deflated, good.checksum, good.size - 1),
        Piece(good.deflated, good.checksum, good.size + 1),
    ):
        got: list[bytes] = []
        with pytest.raises(ValueError, match="compressed piece"):
            got.extend(plain([bad]))
        assert sum(map(len, got)) < len(text)


def test_a_piece_inflates_to_no_more_than_it_says() -> None:
    bomb = compress(bytes(50_000_000))
    with pytest.raises(ValueError, match="compressed piece"):
        inflate(Piece(bomb.deflated, bomb.checksum, 1000))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 3_000_000])
def test_plain_parts_are_the_texts(size: int) -> None:
    for text in (b"a" * size, random.Random(5).randbytes(size)):
        for piece in (compress(text), FreshPiece(text)):
            assert b"".join(plain([literal(b"["), piece, literal(b","), piece, literal(b"]")])) == (
                b"[" + text + b"," + text + b"]"
            )
            assert inflate(piece) == text
            assert (piece.compressed(), piece.size) == (compress(text), size)
            assert read(b"".join(stream([piece, literal(b",")]))) == text + b","


def test_a_fresh_piece_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = FreshPiece(b"metadata" * 100_000)
    done: list[int] = []

    def counted(text: bytes) -> Piece:
        done.append(1)
        return compress(text)

    monkeypatch.setattr(gzip_pieces, "compress", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _number: piece.compressed(), range(8)))
    assert len(done) == 1
    assert all(one is found[0] for one in found)
    assert piece.text is None
    assert piece.held == piece.compressed_size == len(found[0].deflated)
    assert inflate(piece) == b"metadata" * 100_000
