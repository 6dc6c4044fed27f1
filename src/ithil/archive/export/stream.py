"""A whole archive or medium as a stream of bytes.

`Export` is made of a selection; its `pieces` write the ZIP while they are drawn. Files are prepared ahead of
whoever draws, a few at a time. An instance whose file is gone (deleted meanwhile, or lost) is left out, its
number stays free, and the log says so, as in Orthanc.
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from ithil.archive.archive import Archive
from ithil.archive.export import ahead
from ithil.archive.export.dicomdir import DicomDir
from ithil.archive.export.members import PIECE_BYTES, Form, Packed, Piece, Prepared, works
from ithil.archive.export.selection import Selection
from ithil.archive.export.walk import Member, archive_members, media_members
from ithil.archive.export.zip_format import ZipWriter
from ithil.settings import Settings

log = logging.getLogger(__name__)

OUT_BYTES = 1024 * 1024
"""Pieces of about this size come out, since each costs its consumer a change of threads."""

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants to have: `media` a medium with DICOMDIR, `extended` with its keys of type 3.

    `transcode` is a transfer syntax (None: as stored), `quality` that of lossy ones from 1 to 100 (None: the
    configured one), `utf8` keeps the letters of all scripts in the names.
    """

    media: bool = False
    extended: bool = False
    transcode: str | None = None
    quality: int | None = None
    utf8: bool = False


class Export:
    """One archive that is being made. `pieces` can be drawn once; the counts are right at any time."""

    def __init__(self, archive: Archive, selection: Selection, wish: Wish) -> None:
        self._archive = archive
        self._selection = selection
        self._wish = wish
        self._directory: DicomDir | None = None
        self.done = 0
        """Instances that are in the archive by now, or were left out."""
        self.left_out = 0
        """Instances whose file was gone."""
        self.size = 0
        """Bytes of the archive so far."""

    def pieces(self) -> Generator[bytes, None, None]:
        """The bytes of the ZIP. Close it if it is not drawn to its end.

        Raises StorageUnavailable, StorageFull (of the temporary folder), IndexUnavailable, and FileMissing or
        FileCorrupted if that happens to a large file of which a part is out already.
        """
        waiting: list[bytes] = []
        size = 0
        with closing(self._written()) as written:
            for data in written:
                waiting.append(data)
                size += len(data)
                if size >= OUT_BYTES:
                    yield b"".join(waiting)
                    waiting, size = [], 0
        if waiting:
            yield b"".join(waiting)

    def _written(self) -> Generator[bytes, None, None]:
        wish, settings = self._wish, self._archive.settings
        folder = str(settings.temporary_directory) if settings.temporary_directory else None
        form = Form(wish.transcode, wish.quality, directory=wish.media, extended=wish.extended)
        window, capacity, room = _bounds(settings)
        prepared = ahead.in_order(
            ahead.threads(_thread_count(settings)),
            works(self._archive, self._members(), form),
            window=window,
            capacity=capacity,
            room=room,
        )
        with closing(ZipWriter(time.localtime(), folder)) as zip_file, closing(prepared):
            if not wish.media:
                yield from self._entries(zip_file, prepared)
            else:
                with closing(DicomDir(folder)) as self._directory:
                    yield from self._entries(zip_file, prepared)
                    yield from _directory_entry(zip_file, self._directory)
            yield from zip_file.finish()
            self.size = zip_file.offset

    def _members(self) -> Iterator[Member]:
        if self._wish.media:
            return media_members(self._archive, self._selection)
        return archive_members(self._archive, self._selection, utf8=self._wish.utf8)

    def _entries(self, zip_file: ZipWriter, prepared: Iterator[Prepared]) -> Iterator[bytes]:
        large = _Large(zip_file)
        for one in prepared:
            if isinstance(one, Piece):
                yield from self._piece(large, one)
            else:
                for packed in one:
                    yield from self._whole(zip_file, packed)
            self.size = zip_file.offset

    def _whole(self, zip_file: ZipWriter, packed: Packed) -> Iterator[bytes]:
        if packed.data is None:
            self._leave_out(packed.member)
            return
        self._enter(packed)
        yield zip_file.entry(
            packed.member.name, len(packed.data), packed.size, packed.checksum, packed.method
        )
        yield packed.data
        self.done += 1

    def _piece(self, large: _Large, piece: Piece) -> Iterator[bytes]:
        if piece.first:
            large.skipping = piece.error is not None
            if large.skipping:
                self._leave_out(piece.member)
            else:
                self._enter(piece)
                yield large.begin(piece.member)
        if large.skipping:
            return
        if piece.error is not None:
            raise piece.error
        yield large.take(piece.data, piece.plain)
        if piece.last:
            yield large.end()
            self.done += 1

    def _enter(self, entry: Packed | Piece) -> None:
        if self._directory is not None and entry.records is not None:
            self._directory.add(entry.member.name, entry.member.parents, entry.records)

    def _leave_out(self, member: Member) -> None:
        log.warning("Instance %s is left out of an archive: its file is gone", member.instance)
        self.done += 1
        self.left_out += 1


class _Large:
    """The large entry that is being written piece by piece."""

    def __init__(self, zip_file: ZipWriter) -> None:
        self._zip = zip_file
        self._data_size = self._size = self._checksum = 0
        self.skipping = False

    def begin(self, member: Member) -> bytes:
        self._data_size = self._size = self._checksum = 0
        return self._zip.begin(member.name, member.file.uncompressed_size)

    def take(self, data: bytes, plain: bytes) -> bytes:
        self._data_size += len(data)
        self._size += len(plain)
        self._checksum = zlib.crc32(plain, self._checksum)
        return data

    def end(self) -> bytes:
        return self._zip.end(self._data_size, self._size, self._checksum)


def _directory_entry(zip_file: ZipWriter, directory: DicomDir) -> Iterator[bytes]:
    """The DICOMDIR, which comes last since it tells what became of all others."""
    yield zip_file.begin("DICOMDIR", directory.size)
    deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    data_size = size = checksum = 0
    for plain in directory.pieces(PIECE_BYTES):
        size += len(plain)
        checksum = zlib.crc32(plain, checksum)
        data = deflater.compress(plain)
        data_size += len(data)
        yield data
    data = deflater.flush()
    data_size += len(data)
    yield data
    yield zip_file.end(data_size, size, checksum)


def _thread_count(settings: Settings) -> int:
    """As many threads as are configured, but not more than there are cores: they compute more than they wait."""
    wanted = (
        settings.sequential_dicom_reader_threads_count
        or settings.zip_loader_threads
        or settings.loader_threads
        or settings.storage_loader_threads_count
    )
    return max(1, min(wanted, os.cpu_count() or 1))


def _bounds(settings: Settings) -> tuple[int, int, ahead.Room]:
    """How many works, and bytes, may be ahead in one archive, and the room that all share."""
    room = ahead.shared_room(settings.storage_memory_capacity * MEGABYTE)
    return (
        settings.sequential_dicom_reader_window_size,
        settings.sequential_dicom_reader_window_capacity * MEGABYTE,
        room,
    )
