"""The files of a journal (`storage/journal.py`) and their format: records one after the other, from the beginning.

A segment is written anew when its records are of no more use, so old ones may follow the new ones: a record counts
only if it is whole and of the same `generation` as the first one of its file. Each segment is locked by the process
that writes it, so that others see whose process has died (`abandoned`).
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import uuid
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ithil.archive.storage.local import refusal

_MAGIC = b"IthilJ1\n"
_HEAD = struct.Struct(
    "<8sQIIII"
)  # magic, generation, number, bytes of head and of content, CRC-32 of all that
_CRC = struct.Struct("<I")
_CRC_PIECE = 5 * 1024
_UNFINISHED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it is read again: what it is about, and the bytes that go with it, if any."""

    generation: int
    number: int
    head: bytes
    content: bytes


@dataclass(slots=True, eq=False)
class Segment:
    """One file of a journal. `unsettled` are the numbers of records that are not where they belong yet."""

    path: Path
    fd: int
    generation: int = 0
    count: int = 0
    size: int = 0  # bytes, with those of `pending`
    written: int = 0
    pending: list[bytes] = field(default_factory=list)  # to be written before the next wait for the disk
    broken: bool = False  # after a failed write of the disk, what is in the file cannot be relied on
    has_refused: bool = False  # whether records were refused of which no transaction has told
    distrusted: bool = False  # whether its files have to be written again
    unsettled: dict[int, None] = field(default_factory=dict)  # in their order
    files: list[str] = field(default_factory=list)  # that the caller has named with the records

    @property
    def name(self) -> str:
        """What the segment is called in the index."""
        return self.path.name

    def left_by(self, settling: Collection[int]) -> list[int]:
        """The numbers of the records that are unsettled even when those are settled as well."""
        return [number for number in self.unsettled if number not in settling]


def packed(generation: int, number: int, head: bytes, content: Sequence[bytes]) -> list[bytes]:
    """A record as it is written."""
    start = _HEAD.pack(_MAGIC, generation, number, len(head), sum(map(len, content)), 0)[: -_CRC.size]
    checksum = zlib.crc32(start)
    for piece in (head, *content):
        checksum = _crc32(piece, checksum)
    return [start, _CRC.pack(checksum), head, *content]


def _crc32(data: bytes, start: int) -> int:
    """The same as `zlib.crc32`, which lets other threads compute meanwhile if it gets more than 5 KiB: for so short
    a time that is not worth the change.
    """
    for offset in range(0, len(data), _CRC_PIECE):
        start = zlib.crc32(data[offset : offset + _CRC_PIECE], start)
    return start


def create(folder: Path, size: int) -> Segment:
    """A new segment, locked, with `size` bytes on the disk already; if that is 0, it need not get there itself.

    Raises StorageFull, StorageUnavailable.
    """
    name = uuid.uuid4().hex
    path, unfinished = folder / name, folder / f"{name}.new"
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
        fd = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            piece = bytes(1 << 20)
            for start in range(0, size, len(piece)):
                os.pwrite(fd, piece, start)
            if size:
                os.fsync(fd)
            os.rename(unfinished, path)  # only now, locked, may others see it
            for directory in (folder, folder.parent) if size else ():
                _sync_folder(directory)
        except BaseException:
            for made in (unfinished, path):
                with suppress(OSError):
                    os.unlink(made)
            os.close(fd)
            raise
    except OSError as error:
        raise refusal(error) from error
    return Segment(path, fd)


def remove(segment: Segment) -> None:
    """Take a segment away, for good and at once. Raises StorageUnavailable; it has no records then either."""
    try:
        os.ftruncate(segment.fd, 0)
        os.fsync(segment.fd)
        os.unlink(segment.path)
    except OSError as error:
        raise refusal(error) from error
    finally:
        os.close(segment.fd)


def abandoned(folder: Path) -> Iterator[Segment]:
    """The segments in a folder that no process writes to, each locked until the caller removes or closes it.

    They come in any order; of those of one process, the one with the smaller `generation` is the older.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise refusal(error) from error
    for name in names:
        path = folder / name
        if name.endswith(".new"):
            _sweep_out(path)
        if len(name) != 32:
            continue
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        if not path.exists():  # gone before it was locked here
            os.close(fd)
            continue
        first = next(records(fd), None)
        yield Segment(path, fd, generation=0 if first is None else first.generation)


def _sweep_out(unfinished: Path) -> None:
    """Remove a segment whose maker died, which takes no time to speak of between its first and last step."""
    with suppress(OSError):
        if time.time() - unfinished.stat().st_mtime > _UNFINISHED_SECONDS:
            unfinished.unlink()


def all_records(folder: Path) -> Iterator[tuple[str, Record]]:
    """The name of the segment and the record, for all in a folder, also for those that are being written."""
    for path in sorted(folder.glob("[0-9a-f]" * 32)):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile
        try:
            for record in records(fd):
                yield path.name, record
        finally:
            os.close(fd)


def records(fd: int) -> Iterator[Record]:
    """The records of a segment, up to the first that is not whole or of an older generation."""
    offset = expected = 0
    generation: int | None = None
    size = os.fstat(fd).st_size
    while offset + _HEAD.size <= size:
        start = os.pread(fd, _HEAD.size, offset)
        magic, found, number, head_length, length, checksum = _HEAD.unpack(start)
        end = offset + _HEAD.size + head_length + length
        if magic != _MAGIC or generation not in (None, found) or number != expected or end > size:
            return
        body = os.pread(fd, head_length + length, offset + _HEAD.size)
        if zlib.crc32(body, zlib.crc32(start[: -_CRC.size])) != checksum:
            return
        generation = found
        yield Record(found, number, body[:head_length], body[head_length:])
        offset = end
        expected += 1


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
