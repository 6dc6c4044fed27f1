"""The data set of an instance in the transfer syntax that the receiver accepts, read ahead of the network.

A stored file is file meta information and a data set, and only the latter travels. While one instance is being
sent, the system reads the files of the next ones from the disk, and what has to be transcoded or inflated is so
on other threads, within a bound of memory. A large file is read piece by piece as it is sent, so that its size
does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

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
    content: bytes | None = None  # the whole file, unless it is to be read while it is sent
    error: Exception | None = None

    def data_set(self, archive: Archive) -> Iterator[Buffer]:
        """The data set, piece by piece. Raises what is in `READING_ERRORS`."""
        if self.error is not None:
            raise self.error
        if self.content is not None:
            return iter((memoryview(self.content)[_start(self.content, len(self.content)) :],))
        return _streamed(archive, self.item)


def prepare(archive: Archive, item: Outgoing, transfer_syntax: str) -> Payload:
    """Read, and transcode if it must be, an instance; what goes wrong is in `error`."""
    try:
        if transfer_syntax != item.transfer_syntax:
            return Payload(item, transfer_syntax, transcoded(archive, item.file, transfer_syntax))
        if item.file.uncompressed_size > WHOLE_BYTES:
            return Payload(item, transfer_syntax)
        return Payload(item, transfer_syntax, _whole(archive, item))
    except READING_ERRORS as error:
        return Payload(item, transfer_syntax, error=error)


def ahead(
    archive: Archive, items: Iterator[Outgoing], syntax_for: Callable[[Outgoing], str | None]
) -> Generator[tuple[Outgoing, Payload | None], None, None]:
    """Each item with its payload, in order; None if `syntax_for` knows no transfer syntax for it."""
    # What has to be computed is computed on other threads. A stored file is read in this one, when it is sent:
    # to pass it from thread to thread would take longer than to copy it from the memory of the system.
    for computed, run in groupby(_expected(archive, items, syntax_for), _is_computed):
        if computed:
            yield from in_order(
                threads(_THREADS),
                (Work(partial(_prepared, archive, *one), one[0].file.uncompressed_size) for one in run),
                window=_WINDOW,
                capacity=_CAPACITY,
                room=shared_room(_ROOM),
            )
        else:
            for one in run:
                yield _prepared(archive, *one)


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


def _prepared(archive: Archive, item: Outgoing, syntax: str | None) -> tuple[Outgoing, Payload | None]:
    return item, None if syntax is None else prepare(archive, item, syntax)


def _whole(archive: Archive, item: Outgoing) -> bytes:
    """A file that is sent once is not worth a place in the cache, but may be there."""
    cached = archive.cache.get(item.file.uuid)
    return cached if cached is not None else b"".join(retrieve.pieces(archive, item.file))


def _streamed(archive: Archive, item: Outgoing) -> Iterator[Buffer]:
    pieces = retrieve.pieces(archive, item.file)
    first = next(pieces, b"")
    yield memoryview(first)[_start(first, item.file.uncompressed_size) :]
    yield from pieces


def _start(content: bytes, total: int) -> int:
    """Where the data set begins."""
    meta = read_file_meta(content, total)
    if meta.truncated or meta.dataset_offset >= len(content):
        raise FileCorrupted("A stored file has no data set")
    return meta.dataset_offset
