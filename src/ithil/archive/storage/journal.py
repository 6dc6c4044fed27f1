"""What a process has accepted and the index may not have yet: an append-only file on the disk.

To append a record to a file that has its full size costs one wait for the disk, the shortest there is: neither a
new file nor a database is involved. So an instance is safe as soon as its record is, and all else can follow.

A process writes to one segment at a time and takes another when it begins to move what is in the first one to its
final places. A segment whose records are all settled is written anew from its beginning, with the next
`generation`: a record counts only if it is whole and of the same generation as the first one of its file. Each
segment is locked by the process that writes it, so that others see whose process has died (`abandoned`).
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ithil.archive.errors import StorageUnavailable
from ithil.archive.group_commit import GroupCommit
from ithil.archive.storage.local import refusal

SEGMENT_SIZE = 16 * 1024 * 1024
"""Bytes that a segment has from the beginning; it grows where that is not enough."""

LARGEST_SEGMENT = 64 * 1024 * 1024
"""Bytes of a segment that is written anew; a larger one is removed instead."""

_MAGIC = b"IthilJ1\n"
_HEAD = struct.Struct(
    "<8sQIIII"
)  # magic, generation, number, bytes of head and of content, CRC-32 of all that
_CRC = struct.Struct("<I")
_UNFINISHED_SECONDS = 300.0
_fdatasync = getattr(os, "fdatasync", os.fsync)


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
    generation: int = 1
    count: int = 0
    size: int = 0
    broken: bool = False  # after a failed write of the disk, what is in the file cannot be relied on
    unsettled: dict[int, None] = field(default_factory=dict)  # in their order
    files: list[str] = field(default_factory=list)  # that the caller has named with the records

    @property
    def name(self) -> str:
        """What the segment is called in the index."""
        return self.path.name

    def settled_before(self, settling: Collection[int]) -> int:
        """The number of the first record that is unsettled even when those are settled as well."""
        return next((number for number in self.unsettled if number not in settling), self.count)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a record is."""

    segment: Segment
    number: int


class Journal:
    """The segments of one process, in `folder`. Safe to be used by many threads."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        """Without `durable`, `sync` waits for nothing, and the records survive the process but not the system."""
        self.folder = folder
        self._durable = durable
        self._lock = threading.Lock()
        self._active: Segment | None = None
        self._spare: Segment | None = None
        self._retired: list[Segment] = []  # not written to any more, and not free yet
        self._gone: list[str] = []  # segments that were removed
        self._syncs: GroupCommit[Segment, None] = GroupCommit(self._sync)

    def prepare(self) -> None:
        """Do what the first record would wait for. Raises StorageFull, StorageUnavailable."""
        with self._lock:
            self._current()

    def append(self, head: bytes, content: Sequence[bytes] = (), file: str = "") -> Place:
        """Write a record, which is unsettled from now on and on the disk after `sync`.

        `file` is remembered with the segment. Raises StorageFull, StorageUnavailable.
        """
        length = sum(map(len, content))
        with self._lock:
            segment = self._current()
            number = segment.count
            start = _HEAD.pack(_MAGIC, segment.generation, number, len(head), length, 0)[: -_CRC.size]
            checksum = zlib.crc32(start)
            for piece in (head, *content):
                checksum = zlib.crc32(piece, checksum)
            pieces = [start, _CRC.pack(checksum), head, *content]
            wanted = _HEAD.size + len(head) + length
            try:
                if os.pwritev(segment.fd, pieces, segment.size) != wanted:
                    raise StorageUnavailable("The journal takes only part of a record")
            except OSError as error:
                raise refusal(error) from error
            segment.size += wanted
            segment.count += 1
            segment.unsettled[number] = None
            if file:
                segment.files.append(file)
            return Place(segment, number)

    def sync(self, place: Place) -> None:
        """Return when a record is on the disk, with those of all who wait for that now.

        Raises StorageFull, StorageUnavailable.
        """
        if self._durable:
            self._syncs.submit(place.segment)

    def _sync(self, segments: Sequence[Segment]) -> list[None]:
        for segment in dict.fromkeys(segments):
            if segment.broken:
                raise StorageUnavailable("The journal could not be written to the disk")
            try:
                _fdatasync(segment.fd)
            except OSError as error:
                # The kernel takes the pages for written now, and the next call would succeed without them.
                segment.broken = True
                raise refusal(error) from error
        return [None] * len(segments)

    def settle(self, place: Place) -> None:
        """The record is not needed any more, as far as it goes."""
        with self._lock:
            place.segment.unsettled.pop(place.number, None)

    def settled_before(self, places: Collection[Place]) -> list[tuple[str, int, int]]:
        """(name, generation, number) of the segments of the places: all records before that number are settled
        when those of the places are.
        """
        numbers: dict[Segment, set[int]] = {}
        for place in places:
            numbers.setdefault(place.segment, set()).add(place.number)
        with self._lock:
            return [
                (one.name, one.generation, one.settled_before(settling)) for one, settling in numbers.items()
            ]

    def turn(self) -> list[Segment]:
        """Go on in another segment; gives those that are written no more and not free yet."""
        with self._lock:
            if not self._retired and self._active is not None and self._active.count:
                self._retired.append(self._active)
                self._active, self._spare = self._spare, None
            return list(self._retired)

    def free(self, segment: Segment) -> None:
        """All records of a segment that `turn` gave are settled, and what was made of them is on the disk."""
        with self._lock:
            self._retired.remove(segment)
            if self._spare is None and not segment.broken and segment.size <= LARGEST_SEGMENT:
                segment.generation += 1
                segment.count = segment.size = 0
                segment.files = []
                self._spare = segment
                return
            self._gone.append(segment.name)
        remove(segment)

    def close(self) -> list[str]:
        """End the journal; gives the names of all its segments that are no more.

        What has unsettled records stays for whoever opens the archive next. Raises StorageUnavailable.
        """
        with self._lock:
            segments = [one for one in (*self._retired, self._active, self._spare) if one is not None]
            self._active = self._spare = None
            self._retired = []
        for segment in segments:
            if segment.count:
                os.close(segment.fd)
            else:
                remove(segment)
                self._gone.append(segment.name)
        if self._gone:
            sync_folder(
                self.folder
            )  # one that came back later would be taken for one that nobody has indexed
        return self._gone

    def _current(self) -> Segment:
        if self._active is not None and self._active.broken:
            self._retired.append(self._active)
            self._active = None
        if self._active is None:
            self._active = self._spare or create(self.folder)
            self._spare = None
        return self._active


def create(folder: Path) -> Segment:
    """A new segment, locked, with its full size on the disk. Raises StorageFull, StorageUnavailable."""
    name = uuid.uuid4().hex
    path, unfinished = folder / name, folder / f"{name}.new"
    try:
        folder.mkdir(mode=0o750, exist_ok=True)
        fd = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            piece = bytes(1 << 20)
            for start in range(0, SEGMENT_SIZE, len(piece)):
                os.pwrite(fd, piece, start)
            os.fsync(fd)
            os.rename(unfinished, path)  # only now, locked, may others see it
            for directory in (folder, folder.parent):
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
    """Take a segment away; what cannot be removed is found empty by the next `abandoned`."""
    with suppress(OSError):
        os.unlink(segment.path)
    os.close(segment.fd)


def abandoned(folder: Path) -> Iterator[Segment]:
    """The segments in a folder that no process writes to, each locked until the caller removes or closes it."""
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
        yield Segment(path, fd)


def _sweep_out(unfinished: Path) -> None:
    """Remove a segment whose maker died, which takes no time to speak of between its first and last step."""
    with suppress(OSError):
        if time.time() - unfinished.stat().st_mtime > _UNFINISHED_SECONDS:
            unfinished.unlink()


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


def sync_folder(folder: Path) -> None:
    """Make durable what was made in a folder and removed from it. Raises StorageUnavailable."""
    try:
        _sync_folder(folder)
    except OSError as error:
        raise refusal(error) from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
