"""Stored files on their way out: in pieces, in part, with bounded memory, and to their end."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.descriptors import open_below
from tests.unit.archive.places import Place, image, put
from tests.unit.archive.test_attachments import KIND, attach, found, ids_of

from ithil.archive import attachments, retrieve, sweeps
from ithil.archive.archive import Archive
from ithil.archive.attachments import Upload
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.model import Attachment
from ithil.archive.storage import compression
from ithil.archive.storage.compression import compress, uncompress, uncompressed_pieces
from ithil.dicom.level import Level

MEGABYTE = 1024 * 1024


def large(archive: Archive, size: int = 12 * MEGABYTE) -> tuple[bytes, Attachment]:
    """Content that is partly random and partly not, and the attachment that it is."""
    put(archive, image())
    content = random.Random(3).randbytes(size // 2) + bytes(size - size // 2)
    return content, attach(archive, Level.STUDY, ids_of(archive)[Level.STUDY], content)


@pytest.mark.parametrize("compressed", [False, True])
def test_pieces_make_the_whole_and_every_part(sqlite: Place, compressed: bool) -> None:
    archive = sqlite.open(storage_compression=compressed)
    content, file = large(archive)
    assert b"".join(retrieve.pieces(archive, file)) == content
    raw = b"".join(retrieve.pieces(archive, file, raw=True))
    assert raw == retrieve.read_raw(archive, file)
    for start, end in ((0, 1), (5, 9 * MEGABYTE), (7 * MEGABYTE, None), (len(content) - 1, len(content))):
        assert b"".join(retrieve.pieces(archive, file, start, end)) == content[start:end]
        assert retrieve.read(archive, file, start, end) == content[start:end]
    assert retrieve.verify(archive, file)


@pytest.mark.parametrize("compressed", [False, True])
def test_who_has_begun_to_read_a_file_reads_it_to_its_end(sqlite: Place, compressed: bool) -> None:
    archive = sqlite.open(storage_compression=compressed)
    content, file = large(archive)
    pieces = retrieve.pieces(archive, file)
    first = next(pieces)
    attachments.delete(archive, Level.STUDY, ids_of(archive)[Level.STUDY], KIND)
    sweeps.remove_files(archive, "test", delay=-1.0)
    assert archive.storage.size(file.uuid) is None
    assert first + b"".join(pieces) == content
    with pytest.raises(FileMissing):
        next(retrieve.pieces(archive, file))


def test_a_reader_who_leaves_closes_the_file(sqlite: Place) -> None:
    archive = sqlite.open()
    _, file = large(archive)
    before = open_below(sqlite.folder)
    pieces = retrieve.pieces(archive, file)
    next(pieces)
    assert open_below(sqlite.folder) == before + 1
    pieces.close()  # type: ignore[attr-defined]
    assert open_below(sqlite.folder) == before


def test_a_part_of_a_compressed_file_takes_little_memory(sqlite: Place) -> None:
    archive = sqlite.open(storage_compression=True)
    put(archive, image())
    upload = Upload(archive)
    for _ in range(64):
        upload.write(bytes(MEGABYTE))
    upload.commit(Level.STUDY, ids_of(archive)[Level.STUDY], KIND)
    file = found(archive, Level.STUDY, ids_of(archive)[Level.STUDY])
    tracemalloc.start()
    try:
        assert retrieve.read(archive, file, 60 * MEGABYTE, 61 * MEGABYTE) == bytes(MEGABYTE)
        assert sum(map(len, retrieve.pieces(archive, file))) == 64 * MEGABYTE
        assert retrieve.verify(archive, file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * MEGABYTE


def test_a_file_that_is_not_what_the_index_remembers(sqlite: Place) -> None:
    archive = sqlite.open(storage_compression=True)
    _, file = large(archive)
    path = archive.storage.path(file.uuid)
    with open(path, "r+b") as stored:
        stored.write(struct.pack("<Q", 5))  # another size than it has
    with pytest.raises(FileCorrupted):
        b"".join(retrieve.pieces(archive, file))
    assert not retrieve.verify(archive, file)
    os.truncate(path, 1000)
    with pytest.raises(FileCorrupted):
        next(retrieve.pieces(archive, file, raw=True))
    assert not retrieve.verify(archive, file)
    os.unlink(path)
    with pytest.raises(FileMissing):
        retrieve.verify(archive, file)


def cut(content: bytes, lengths: list[int]) -> Iterator[bytes]:
    """The content in pieces of these lengths and a rest."""
    for length in lengths:
        yield content[:length]
        content = content[length:]
    yield content


@given(st.binary(max_size=3000), st.lists(st.integers(0, 40)), st.integers(1, 50))
def test_inflating_does_not_depend_on_the_pieces(content: bytes, lengths: list[int], most: int) -> None:
    found_pieces = list(uncompressed_pieces(cut(compress(content), lengths), most))
    assert b"".join(found_pieces) == content
    assert all(0 < len(piece) <= most for piece in found_pieces)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_damage_shows_in_any_pieces(content: bytes, data: st.DataObject) -> None:
    stored = compress(content)
    position = data.draw(st.integers(0, len(stored) - 1))
    damaged = bytearray(stored)
    damaged[position] ^= data.draw(st.integers(1, 255))
    lengths = data.draw(st.lists(st.integers(0, 40), max_size=5))
    for broken in (bytes(damaged), stored[:position] if position else stored[:1]):
        try:
            # A bit that does not matter to zlib may still give the right content.
            assert b"".join(uncompressed_pieces(cut(broken, lengths))) == content
        except FileCorrupted:
            pass


def test_a_bomb_is_cut_short() -> None:
    bomb = struct.pack("<Q", 1000) + zlib.compress(bytes(50 * MEGABYTE))
    tracemalloc.start()
    try:
        with pytest.raises(FileCorrupted):
            uncompress(bomb)
        with pytest.raises(FileCorrupted):
            list(uncompressed_pieces([bomb]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTE
    assert compression.uncompress(b"") == b""
