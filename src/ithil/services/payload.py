"""The data set of an instance in the transfer syntax that the receiver accepts, read ahead of the network.

A stored file is file meta information and a data set, and only the latter travels. While one instance is being
sent, the system reads the files of the next ones from the disk, and what has to be transcoded or inflated is so
on other threads, within a bound of memory. A large file is read piece by piece as it is sent, so that its size
does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from typing import Self

from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError, FileCorrupted
from ithil.archive.export.ahead import Work, in_order, shared_room, threads
from ithil.archive.outgoing import Outgoing
from ithil.archive.storage import compression
from ithil.archive.transcoding import transcoded
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import read_file_meta
from ithil.error_codes import CodedError
from ithil.network.pdu_items import Buffer
from ithil.pixels.errors import PixelError

WHOLE_BYTES = 8 << 20
"""Larger files are sent piece by piece."""

_WINDOW = 8  # instances
_CAPACITY = 16 << 20  # bytes that are ahead of one association
_ROOM = 128 << 20  # bytes that are ahead of all associations of this process
_THREADS = 4

READING_ERRORS = (ArchiveError, DicomError, PixelError, CodedError, MemoryError)
"""What reading or transcoding a stored file can end with."""


@dataclass(frozen=True, slots=True)
class Payload:
    """An instance that is ready to be sent in `transfer_syntax`, or what stands against it."""

    item: Outgoing
    transfer_syntax: str
    content: Buffer | None = None  # the data set, unless it is to be read while it is sent
    error: Exception | None = None

    def data_set(self, archive: Archive) -> Iterable[Buffer]:
        """The data set, in a tuple or piece by piece. Raises what is in `READING_ERRORS`."""
        if self.error is not None:
            raise self.error
        return _streamed(archive, self.item) if self.content is None else (self.content,)


class Payloads:
    """Iterates over items, each with its payload, in order; None if `syntax_for` knows no transfer syntax.

    A payload is valid until the next one is drawn: stored files are all read into the same memory, since the
    system takes longer to hand out new memory for each than to copy the file.
    """

    def __init__(
        self, archive: Archive, items: Iterator[Outgoing], syntax_for: Callable[[Outgoing], str | None]
    ) -> None:
        self._archive = archive
        self._payloads = self._prepared(_expected(archive, items, syntax_for))
        self._early: list[tuple[Outgoing, Payload | None]] = []
        self._error: Exception | None = None
        self._memory = memoryview(b"")

    def draw(self) -> None:
        """Prepare the next one now, which ends the one before it.

        For the time between a request and its response, so that the next request can go out as soon as that
        comes. What goes wrong is raised where the next one is taken.
        """
        if not self._early and self._error is None:
            try:
                self._early.extend(islice(self._payloads, 1))
            except Exception as error:
                self._error = error

    def close(self) -> None:
        """Prepare no more."""
        self._payloads.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Outgoing, Payload | None]:
        if self._error is not None:
            raise self._error
        return self._early.pop() if self._early else next(self._payloads)

    def _prepared(self, wanted: Iterator[_Wanted]) -> Generator[tuple[Outgoing, Payload | None], None, None]:
        # What has to be computed is computed on other threads. A stored file is read in this one, when it is
        # sent: to pass it from thread to thread would take longer than to copy it from the memory of the system.
        for computed, run in groupby(wanted, _is_computed):
            if computed:
                yield from in_order(
                    threads(_THREADS),
                    (
                        Work(partial(_computed, self._archive, *one), one[0].file.uncompressed_size)
                        for one in run
                    ),
                    window=_WINDOW,
                    capacity=_CAPACITY,
                    room=shared_room(_ROOM),
                )
            else:
                for item, syntax in run:
                    yield item, None if syntax is None else prepare(self._archive, item, syntax, self._room)

    def _room(self, size: int) -> memoryview:
        if len(self._memory) < size:
            self._memory = memoryview(bytearray(size))
        return self._memory[:size]


def _new_room(size: int) -> memoryview:
    return memoryview(bytearray(size))


def prepare(
    archive: Archive,
    item: Outgoing,
    transfer_syntax: str,
    room: Callable[[int], memoryview] = _new_room,
) -> Payload:
    """Read, and transcode if it must be, an instance; what goes wrong is in `error`.

    `room` gives the memory for a file that is read as it is stored.
    """
    try:
        if transfer_syntax != item.transfer_syntax:
            return Payload(item, transfer_syntax, _data_set(transcoded(archive, item.file, transfer_syntax)))
        if item.file.uncompressed_size > WHOLE_BYTES:
            return Payload(item, transfer_syntax)
        return Payload(item, transfer_syntax, _data_set(_whole(archive, item, room)))
    except READING_ERRORS as error:
        return Payload(item, transfer_syntax, error=error)


_Wanted = tuple[Outgoing, str | None]


def _expected(
    archive: Archive, items: Iterator[Outgoing], syntax_for: Callable[[Outgoing], str | None]
) -> Iterator[_Wanted]:
    """The items with their transfer syntaxes; the system reads the files of the next ones meanwhile."""
    waiting: deque[_Wanted] = deque()
    for item in items:
        archive.storage.expect(item.file.uuid)
        waiting.append((item, syntax_for(item)))
        if len(waiting) > _WINDOW:
            yield waiting.popleft()
    yield from waiting


def _is_computed(wanted: _Wanted) -> bool:
    item, syntax = wanted
    if syntax is None:
        return False
    inflated = item.file.compression != compression.NONE and item.file.uncompressed_size <= WHOLE_BYTES
    return inflated or syntax != item.transfer_syntax


def _computed(archive: Archive, item: Outgoing, syntax: str | None) -> tuple[Outgoing, Payload | None]:
    return item, None if syntax is None else prepare(archive, item, syntax)


def _whole(archive: Archive, item: Outgoing, room: Callable[[int], memoryview]) -> Buffer:
    """A file that is sent once is not worth a place in the cache, but may be there."""
    cached = archive.cache.get(item.file.uuid)
    if cached is not None:
        return cached
    if item.file.compression != compression.NONE:
        return b"".join(retrieve.pieces(archive, item.file))
    content = room(item.file.uncompressed_size)
    retrieve.read_into(archive, item.file, content)
    return content


def _data_set(content: Buffer) -> memoryview:
    return memoryview(content)[_start(content, len(content)) :]


def _streamed(archive: Archive, item: Outgoing) -> Iterator[Buffer]:
    pieces = retrieve.pieces(archive, item.file)
    first = next(pieces, b"")
    yield memoryview(first)[_start(first, item.file.uncompressed_size) :]
    yield from pieces


def _start(content: Buffer, total: int) -> int:
    """Where the data set begins."""
    meta = read_file_meta(content, total)
    if meta.truncated or meta.dataset_offset >= len(content):
        raise FileCorrupted("A stored file has no data set")
    return meta.dataset_offset
