"""What a process has accepted and the index may not have yet: an append-only file on the disk.

To append a record to a file that has its full size costs one wait for the disk, the shortest there is: neither a
new file nor a database is involved. So an instance is safe as soon as its record is, and all else can follow.

A process writes to one segment (`storage/segments.py`) at a time and takes another when it begins to move what is in
the first one to its final places. A segment whose records are all settled is written anew from its beginning, with a
greater generation than any before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ithil.archive.errors import ArchiveError, StorageFull, StorageUnavailable
from ithil.archive.group_commit import GroupCommit
from ithil.archive.storage.local import refusal
from ithil.archive.storage.segments import Segment, create, packed, remove

SEGMENT_SIZE = 16 * 1024 * 1024
"""Bytes that a segment of a server has from the beginning: to write beyond the end takes the disk twice as long."""

FIRST_SIZE = 1024 * 1024
"""The same for whoever has not prepared; it grows where that is not enough, and stays as long as it has become."""

TURN_SIZE = 8 * 1024 * 1024
"""Bytes after which another segment is begun although the one before is not free yet."""

LARGEST_SEGMENT = 64 * 1024 * 1024
"""Bytes of a segment that is written anew; a larger one is removed instead."""

_MOST_PIECES = 512  # in one call; the kernel allows 1024
_fdatasync = getattr(os, "fdatasync", os.fsync)


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
        self._writing = threading.Lock()  # held while descriptors are used, and while they are closed
        self._closed = False
        self._generation = 0  # of the segment that was begun last
        self._syncs: GroupCommit[Segment, ArchiveError | None] = GroupCommit(self._sync)

    def prepare(self) -> None:
        """Do what the first record would wait for. Raises StorageFull, StorageUnavailable."""
        made = [self._create(SEGMENT_SIZE) for _ in range(2)]
        with self._lock:
            if self._active is None and self._spare is None:
                self._begin(made.pop())
                self._spare = made.pop()
        for segment in made:
            remove(segment)

    def _create(self, size: int = FIRST_SIZE) -> Segment:
        return create(self.folder, size) if self._durable else create(self.folder, 0)

    def append(self, head: bytes, content: Sequence[bytes] = (), file: str = "") -> Place:
        """Add a record, which is unsettled from now on, and on the disk after `sync`.

        `file` is remembered with the segment. Raises StorageFull, StorageUnavailable.
        """
        with self._lock:
            segment = self._current()
            number = segment.count
            pieces = packed(segment.generation, number, head, content)
            segment.pending += pieces
            segment.size += sum(map(len, pieces))
            segment.count += 1
            segment.unsettled[number] = None
            if file:
                segment.files.append(file)
            return Place(segment, number)

    def sync(self, place: Place) -> None:
        """Return when a record is on the disk, with those of all who wait for that now.

        Raises StorageFull, StorageUnavailable.
        """
        failure = self._syncs.submit(place.segment)
        if failure is not None:
            raise type(failure)(*failure.args) from failure

    def _sync(self, segments: Sequence[Segment]) -> list[ArchiveError | None]:
        with self._writing:
            failures = {segment: self._sync_one(segment) for segment in dict.fromkeys(segments)}
        return [failures[segment] for segment in segments]

    def _sync_one(self, segment: Segment) -> ArchiveError | None:
        if segment.broken:
            return StorageUnavailable("The journal could not be written to the disk")
        try:
            self._write(segment)
            if self._durable:
                _fdatasync(segment.fd)
        except OSError as error:
            # The kernel takes the pages for written now, and the next call would succeed without them.
            segment.broken = True
            return refusal(error)
        except ArchiveError as error:
            return error
        return None

    def _write(self, segment: Segment) -> None:
        with self._lock:
            if self._closed:
                raise StorageUnavailable("The journal is closed")
            pieces, segment.pending = segment.pending, []
            offset, segment.written = segment.written, segment.size
        for start in range(0, len(pieces), _MOST_PIECES):
            some = pieces[start : start + _MOST_PIECES]
            wanted = sum(map(len, some))
            written = os.pwritev(segment.fd, some, offset)
            rest = b"".join(some)[written:] if written < wanted else b""
            while rest:  # a full disk: the next try says so
                rest = rest[os.pwrite(segment.fd, rest, offset + wanted - len(rest)) :]
            offset += wanted

    def settle(self, place: Place, *, refused: bool = False) -> None:
        """The record is not needed any more. If that is because it was `refused`, no transaction has said so yet."""
        with self._lock:
            place.segment.unsettled.pop(place.number, None)
            place.segment.has_refused |= refused

    def left_by(self, places: Collection[Place]) -> list[tuple[Segment, int, list[int]]]:
        """For the segments of the places: how many records they have, and which of them are unsettled even when
        those of the places are settled. The same for segments with refused records: what was refused may come
        again, be stored and deleted, and must not come back then.
        """
        numbers: dict[Segment, set[int]] = {}
        for place in places:
            numbers.setdefault(place.segment, set()).add(place.number)
        with self._lock:
            for segment in (*self._retired, self._active):
                if segment is not None and segment.has_refused:
                    numbers.setdefault(segment, set())
            return [(one, one.count, one.left_by(settling)) for one, settling in numbers.items()]

    def turn(self) -> list[Segment]:
        """Go on in another segment; gives those that are written no more and not free yet.

        If there are such, only when much is in the present one. Raises StorageUnavailable.
        """
        with self._lock:
            size = self._active.size if self._active is not None else 0
            turns = size > (TURN_SIZE if self._retired else 0)
            lacks = turns and self._spare is None
        made = None
        if lacks:
            with suppress(StorageFull):  # what is in the present one has to be moved all the more
                made = self._create()  # which takes its time, so nobody has to wait for it
        with self._lock:
            if made is not None:
                self._spare = made  # nobody else makes any now
            if turns and self._active is not None:
                self._retired.append(self._active)
                self._active = None
                if self._spare is not None:  # so that what is freed now can be the next
                    self._begin(self._spare)
            return list(self._retired)

    def distrust(self) -> None:
        """Files that were named with records may not be on the disk, though the system says so from now on."""
        with self._lock:
            for segment in (*self._retired, self._active):
                if segment is not None:
                    segment.distrusted = True

    def free(self, segment: Segment) -> None:
        """All records of a segment that `turn` gave are settled, and what was made of them is on the disk."""
        with self._lock:
            if segment not in self._retired:
                return  # another thread was faster
            self._retired.remove(segment)
            if self._spare is None and not segment.broken and segment.size <= LARGEST_SEGMENT:
                segment.count = segment.size = segment.written = 0
                segment.files = []
                segment.pending = []
                segment.has_refused = False
                segment.distrusted = False
                self._spare = segment
                return
        remove(segment)
        with self._lock:
            self._gone.append(segment.name)

    def gone(self) -> list[str]:
        """The names of segments that are no more and not forgotten."""
        with self._lock:
            return list(self._gone)

    def forget(self, names: Collection[str]) -> None:
        """Nobody else remembers these segments either."""
        with self._lock:
            self._gone = [name for name in self._gone if name not in names]

    def close(self) -> None:
        """End the journal. What has unsettled records stays for whoever opens the archive next.

        Raises StorageUnavailable.
        """
        with self._lock:
            self._closed = True
            segments = [one for one in (*self._retired, self._active, self._spare) if one is not None]
            self._active = self._spare = None
            self._retired = []
        with self._writing:
            for segment in segments:
                if segment.count:
                    os.close(segment.fd)
                else:
                    remove(segment)
                    with self._lock:
                        self._gone.append(segment.name)

    def _current(self) -> Segment:
        if self._closed:
            raise StorageUnavailable("The journal is closed")
        if self._active is not None and self._active.broken:
            self._retired.append(self._active)
            self._active = None
        if self._active is None:
            return self._begin(self._spare or self._create())
        return self._active

    def _begin(self, segment: Segment) -> Segment:
        # The time only serves to tell the segments of one process from those of the next.
        segment.generation = self._generation = max(self._generation + 1, int(time.time()))
        self._active, self._spare = segment, None
        return segment
