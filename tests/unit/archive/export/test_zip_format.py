"""The frame of a ZIP: what Python's `zipfile` and Info-ZIP's `unzip` make of it, large numbers included."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from ithil.archive.export.zip_format import COMMENT, DEFLATED, STORED, ZipWriter

MOMENT = time.struct_time((2026, 11, 22, 5, 3, 17, 6, 326, 0))
LARGE = 1025 * 4 * 1024 * 1024  # just over 32 bits


def deflated(plain: bytes) -> bytes:
    deflater = zlib.compressobj(1, zlib.DEFLATED, -15)
    return deflater.compress(plain) + deflater.flush()


def test_entries_are_read_back() -> None:
    plain = b"text " * 1000
    data = deflated(plain)
    writer = ZipWriter(MOMENT)
    out = writer.entry("a/one", len(data), len(plain), zlib.crc32(plain), DEFLATED) + data
    out += writer.entry("a/two", 3, 3, zlib.crc32(b"two"), STORED) + b"two"
    out += writer.begin("three", len(plain)) + data
    out += writer.end(len(data), len(plain), zlib.crc32(plain))
    out += b"".join(writer.finish())
    assert writer.offset == len(out)
    with zipfile.ZipFile(io.BytesIO(out)) as found:
        assert found.testzip() is None
        assert found.namelist() == ["a/one", "a/two", "three"]
        assert found.read("three") == plain
        assert found.comment == COMMENT
        assert found.infolist()[0].date_time == (2026, 11, 22, 5, 3, 16)  # even seconds only
        assert {one.extract_version for one in found.infolist()} == {20}


def test_no_entries() -> None:
    writer = ZipWriter(MOMENT)
    with zipfile.ZipFile(io.BytesIO(b"".join(writer.finish()))) as found:
        assert found.namelist() == []


def test_names_of_all_scripts_are_marked_as_utf8() -> None:
    writer = ZipWriter(MOMENT)
    out = writer.entry("山田/ü", 0, 0, 0, STORED) + b"".join(writer.finish())
    with zipfile.ZipFile(io.BytesIO(out)) as found:
        assert found.namelist() == ["山田/ü"]


def test_more_entries_than_16_bits_count(tmp_path: Path) -> None:
    count = 70_000
    path = tmp_path / "many.zip"
    writer = ZipWriter(MOMENT, str(tmp_path))
    with path.open("wb") as file:
        for number in range(count):
            file.write(writer.entry(f"{number}", 1, 1, zlib.crc32(b"x"), STORED) + b"x")
        file.writelines(writer.finish())
    writer.close()
    with zipfile.ZipFile(path) as found:
        assert len(found.namelist()) == count
        assert found.read(str(count - 1)) == b"x"
    assert_unzip_agrees(path)


def test_entries_and_offsets_beyond_32_bits(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    writer = ZipWriter(MOMENT)
    large = LARGE
    with path.open("wb") as file:
        # A hole of the file system is gigabytes of zeros that nobody writes.
        file.write(writer.entry("stored", large, large, 0, STORED))
        file.seek(large, io.SEEK_CUR)
        file.write(writer.begin("deflated", LARGE))
        piece, times, checksum = bytes(4 * 1024 * 1024), LARGE // (4 * 1024 * 1024), 0
        deflater = zlib.compressobj(1, zlib.DEFLATED, -15)
        data = deflater.compress(piece) + deflater.flush(zlib.Z_FULL_FLUSH)
        for _ in range(times):
            file.write(data)
            checksum = zlib.crc32(piece, checksum)
        end = deflated(b"")
        file.write(end)
        file.write(writer.end(times * len(data) + len(end), LARGE, checksum))
        file.write(writer.entry("last", 4, 4, zlib.crc32(b"last"), STORED) + b"last")
        file.writelines(writer.finish())
        assert writer.offset == file.tell()
    with zipfile.ZipFile(path) as found:
        assert [one.file_size for one in found.infolist()] == [large, LARGE, 4]
        assert found.read("last") == b"last"
        with found.open("deflated") as entry:
            assert entry.read(10) == bytes(10)
    if shutil.which("unzip"):
        listed = subprocess.run(["unzip", "-p", path, "last"], capture_output=True, timeout=60, check=True)
        assert listed.stdout == b"last"


def test_an_entry_that_outgrows_what_was_announced_is_refused() -> None:
    writer = ZipWriter(MOMENT)
    writer.begin("small", 10)
    with pytest.raises(OverflowError):
        writer.end(LARGE, LARGE, 0)


def assert_unzip_agrees(path: Path) -> None:
    if shutil.which("unzip"):
        done = subprocess.run(["unzip", "-tq", path], capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-300:]
