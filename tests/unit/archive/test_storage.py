"""The folder of files, the compression and the cache, each by itself."""

from __future__ import annotations

import re
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ithil.archive.errors import FileCorrupted, FileMissing, StorageUnavailable
from ithil.archive.storage import compression
from ithil.archive.storage.cache import FileCache
from ithil.archive.storage.local import FILES_PER_FOLDER_RUN, FileNames, LocalStorage

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    made = LocalStorage(tmp_path / "storage", durable=False)
    made.prepare()
    return made


def write(storage: LocalStorage, *pieces: bytes) -> str:
    writer = storage.writer()
    for piece in pieces:
        writer.write(piece)
    writer.finish()
    return writer.uuid


def test_names_are_uuids_of_version_4_that_stay_in_a_folder_for_a_while() -> None:
    names = FileNames()
    drawn = [names.draw() for _ in range(FILES_PER_FOLDER_RUN * 3)]
    assert all(UUID.fullmatch(name) for name in drawn)
    assert len(set(drawn)) == len(drawn)
    assert len({name[:4] for name in drawn}) <= 3


def test_a_file_lies_where_orthanc_would_put_it(storage: LocalStorage) -> None:
    uuid = write(storage, b"abc", b"", b"def")
    assert (storage.root / uuid[:2] / uuid[2:4] / uuid).read_bytes() == b"abcdef"
    assert storage.read(uuid) == b"abcdef"
    assert storage.read(uuid, 1, 3) == b"bc"
    assert storage.read(uuid, 4) == b"ef"
    assert storage.read(uuid, 2, 100) == b"cdef"
    assert storage.read(uuid, 9) == b""
    assert storage.size(uuid) == 6


def test_more_buffers_than_a_system_call_takes(storage: LocalStorage) -> None:
    writer = storage.writer()
    writer.write_all([b"%d," % number for number in range(3000)])
    writer.finish()
    assert storage.read(writer.uuid) == b"".join(b"%d," % number for number in range(3000))
    assert writer.size == storage.size(writer.uuid)


def test_a_missing_file(storage: LocalStorage) -> None:
    uuid = FileNames().draw()
    with pytest.raises(FileMissing):
        storage.read(uuid)
    assert storage.size(uuid) is None
    storage.remove(uuid)


def test_removing_leaves_no_empty_folders(storage: LocalStorage) -> None:
    first, second = write(storage, b"1"), write(storage, b"2")
    storage.remove(first)
    assert storage.read(second) == b"2"
    storage.remove(second)
    storage.remove(second)
    assert list(storage.root.iterdir()) == []


def test_a_discarded_file_is_gone(storage: LocalStorage) -> None:
    writer = storage.writer()
    writer.write(b"abc")
    with writer.view() as view:
        assert bytes(view) == b"abc"
    writer.discard()
    writer.discard()
    assert list(storage.all_files()) == []


def test_a_file_in_the_way_is_an_error_of_the_storage(storage: LocalStorage) -> None:
    uuid = write(storage, b"1")
    storage.remove(uuid)
    (storage.root / uuid[:2]).write_text("in the way")
    with pytest.raises(StorageUnavailable):
        storage.create(storage.path(uuid))


def test_folders_that_go_while_files_come(storage: LocalStorage) -> None:
    """A sweep removes the folder that it has emptied while another thread is about to write there."""
    stop = threading.Event()
    prefix = "abcd"
    storage._names.draw = lambda: prefix + FileNames().draw()[4:]  # type: ignore[method-assign]

    def come_and_go() -> int:
        count = 0
        while not stop.is_set():
            storage.remove(write(storage, b"x"))
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(come_and_go) for _ in range(4)]
        try:
            for _ in range(400):
                uuid = write(storage, b"y")
                assert storage.read(uuid) == b"y"
                storage.remove(uuid)
        finally:
            stop.set()
        assert all(future.result(30) for future in futures)
    assert list(storage.all_files()) == []


@pytest.mark.parametrize("content", [b"", b"x", bytes(100_000), bytes(range(256)) * 999])
def test_compression_is_orthancs(content: bytes) -> None:
    stored = compression.compress(content)
    assert compression.uncompress(stored) == content
    if content:
        assert struct.unpack_from("<Q", stored) == (len(content),)
        assert zlib.decompress(stored[8:]) == content


@pytest.mark.parametrize(
    "stored",
    [
        b"\0",
        b"\0" * 8,
        struct.pack("<Q", 5) + b"no zlib",
        struct.pack("<Q", 5) + zlib.compress(b"123456"),
        struct.pack("<Q", 7) + zlib.compress(b"123456"),
        struct.pack("<Q", 6) + zlib.compress(b"123456")[:-4],
        struct.pack("<Q", 2**63) + zlib.compress(b"123456"),
        struct.pack("<Q", 2**64 - 1) + zlib.compress(b"123456"),
        struct.pack("<Q", 10) + zlib.compress(bytes(10_000_000)),
    ],
)
def test_damaged_compressed_files(stored: bytes) -> None:
    with pytest.raises(FileCorrupted):
        compression.uncompress(stored)


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache = FileCache(100)
    for name in "abcd":
        cache.put(name, name.encode() * 25)
    assert cache.get("a") == b"a" * 25
    cache.put("e", b"e" * 20)
    assert cache.get("b") is None
    assert cache.get("a") == b"a" * 25
    cache.put("a", b"A" * 10)
    assert cache.get("a") == b"A" * 10
    cache.drop("a")
    cache.drop("a")
    assert cache.get("a") is None
    cache.put("large", b"x" * 26)
    assert cache.get("large") is None
    for name in "cde":
        cache.drop(name)
    assert cache._size == 0


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = FileCache(0)
    cache.put("a", b"1")
    assert cache.get("a") is None
