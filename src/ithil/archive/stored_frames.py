"""Frames for those who want bytes and not pictures: as they are stored, or coded anew one by one.

A stored frame needs no more than its place in the file. For compressed pixel data the index has it; for native
one it is arithmetic on a handful of numbers that one short walk over the header gives. Neither parses a data
set, and what was found stays in memory for the next frame. Only what is rare takes the long way of
`archive.frames`: deflated data sets, big endian, frames that begin inside a byte, files cut off.

A video is one frame here, whatever its header counts: it cannot be cut where a picture ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from ithil.archive import frames, retrieve
from ithil.archive.archive import Archive
from ithil.archive.frames import StoredPixels
from ithil.archive.headers import PIXEL_DATA_HEADER, limits
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.model import Attachment
from ithil.archive.uids import Located
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import FrameIndex
from ithil.dicom.scan import Scan, scan
from ithil.dicom.uids import EXPLICIT_LITTLE, transfer_syntax
from ithil.pixels.decode import GE_BIG_ENDIAN_PIXELS
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.frame_bytes import read_frame
from ithil.pixels.syntaxes import is_video

_FRAME_INDEX = Statement(
    sa.select(t.instances.c.frame_index).where(t.instances.c.public_id == sa.bindparam("public_id"))
)


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """Where the frames of an instance are.

    `transfer_syntax` is that of their bytes: `EXPLICIT_LITTLE` for all native ones. `pixels` is what the long
    way found, for frames that are not simply parts of the file.
    """

    instance: str
    file: Attachment
    transfer_syntax: str
    index: FrameIndex
    pixels: StoredPixels | None = None

    @property
    def count(self) -> int:
        """The number of frames."""
        return self.index.count

    def size(self, frame: int) -> int:
        """Bytes of a frame as it is stored, counted from 0."""
        if self.pixels is not None and self.index.bits:
            return (self.index.bits + 7) // 8
        return sum(length for _, length in self.index.ranges(frame))


def stored_frames(archive: Archive, found: Located) -> StoredFrames:
    """The frames of an instance.

    Raises UnsupportedPixels if it has none, PixelError if its header cannot be true, and what reading a file
    raises.
    """

    def make() -> tuple[StoredFrames, int]:
        try:
            made = _look(archive, found)
        except DicomError as error:
            raise PixelError(str(error)) from error
        fragments = made.index.fragments or []
        return made, 1000 + 200 * (len(fragments) + sum(map(len, fragments)))

    return frames.shared(archive, ("stored", found.file.uuid), make)


def content(archive: Archive, stored: StoredFrames, frame: int) -> bytes:
    """The bytes of a frame as it is stored, native ones in little endian. Raises what reading raises."""
    if stored.pixels is not None and stored.index.bits:
        return _read_frame(archive, stored.pixels, frame)
    return b"".join(pieces(archive, stored, frame, 0, stored.size(frame)))


def pieces(archive: Archive, stored: StoredFrames, frame: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes `start` to `end` (excluded) of a frame as it is stored, in pieces of bounded size."""
    if stored.pixels is not None:
        if stored.index.bits:
            yield _read_frame(archive, stored.pixels, frame)[start:end]
        else:
            yield from frames.raw_pieces(archive, stored.pixels, frame, start, end)
        return
    for first, length in stored.index.ranges(frame):
        position, stop = first + max(start, 0), first + min(end, length)
        while position < stop:
            piece_end = min(position + retrieve.PIECE, stop)
            yield _read(archive, stored.file, position, piece_end)
            position = piece_end
        start, end = start - length, end - length


def can_be_coded(archive: Archive, stored: StoredFrames, syntax: str, quality: int) -> bool:
    """Whether the frames can be had in a transfer syntax other than the stored one, as far as headers tell."""
    from ithil.pixels import frame_transcode  # with the codecs, which take memory

    try:
        frame_transcode.check(_pixels(archive, stored).description, syntax, quality)
    except UnsupportedPixels:
        return False
    return True


def coded(archive: Archive, stored: StoredFrames, frame: int, syntax: str, quality: int) -> bytes:
    """A frame in another transfer syntax; requests for the same one share the work and its result.

    Raises PixelError, and what reading a file raises.
    """

    def make() -> tuple[bytes, int]:
        from ithil.pixels.frame_transcode import transcode_frame

        pixels = _pixels(archive, stored)
        with frames.room_for(archive, frames.bytes_to_code(pixels)):
            content = _read_frame(archive, pixels, frame)
            made = transcode_frame(pixels.description, content, syntax, quality=quality)
        return made, len(made) + 200

    return frames.shared(archive, ("coded", stored.file.uuid, frame, syntax, quality), make)


def _pixels(archive: Archive, stored: StoredFrames) -> StoredPixels:
    if stored.pixels is not None:
        return stored.pixels
    pixels = frames.pixels_of(archive, stored.instance)
    if pixels is None or pixels.file.uuid != stored.file.uuid:
        raise PixelError("The instance was deleted or replaced meanwhile")
    return pixels


def _read_frame(archive: Archive, pixels: StoredPixels, frame: int) -> bytes:
    return read_frame(
        pixels.description,
        pixels.index,
        frame,
        lambda start, end: frames.read_part(archive, pixels, start, end),
    )


def _read(archive: Archive, file: Attachment, start: int, end: int) -> bytes:
    """A part of a file; a small file is read, and kept, as a whole, since one read costs less than two."""
    if file.uncompressed_size <= retrieve.LARGEST_WHOLE_READ:
        return retrieve.read(archive, file)[start:end]
    return retrieve.read(archive, file, start, end)


def _look(archive: Archive, found: Located) -> StoredFrames:
    syntax = transfer_syntax(found.transfer_syntax)
    if found.pixel_data_offset is not None and syntax.encapsulated:
        with archive.index.read() as session:
            row = session.one(_FRAME_INDEX, {"public_id": found.id})
        if row is not None and row[0] is not None:
            index = FrameIndex.from_bytes(row[0])
            return StoredFrames(found.id, found.file, syntax.uid, _one_of_video(index, syntax.uid))
    elif found.pixel_data_offset is not None:
        quick = _native(archive, found, found.pixel_data_offset)
        if quick is not None:
            return StoredFrames(found.id, found.file, EXPLICIT_LITTLE, quick)
    pixels = frames.pixels_of(archive, found.id)
    if pixels is None:
        raise PixelError("The instance was deleted meanwhile")
    if pixels.index.fragments is not None:
        return StoredFrames(found.id, pixels.file, syntax.uid, _one_of_video(pixels.index, syntax.uid))
    coded_as = EXPLICIT_LITTLE if syntax.uid != GE_BIG_ENDIAN_PIXELS else syntax.uid
    return StoredFrames(found.id, pixels.file, coded_as, pixels.index, pixels)


def _one_of_video(index: FrameIndex, syntax: str) -> FrameIndex:
    if not is_video(syntax) or index.fragments is None or index.count < 2:
        return index
    return FrameIndex(1, fragments=[[part for frame in index.fragments for part in frame]])


def _native(archive: Archive, found: Located, offset: int) -> FrameIndex | None:
    """Native frames that are parts of the file as they are; None where that takes a closer look."""
    end = min(offset + PIXEL_DATA_HEADER, found.file.uncompressed_size)
    walked = scan(
        _read(archive, found.file, 0, end),
        frozenset(),
        limits=limits(archive),
        total_size=found.file.uncompressed_size,
    )
    if walked.pixel_data_offset != offset:
        raise PixelError("The pixel data is not where the index says")
    if walked.big_endian or found.transfer_syntax == GE_BIG_ENDIAN_PIXELS:
        return None
    return _by_arithmetic(walked)


def _by_arithmetic(walked: Scan) -> FrameIndex | None:
    """PS3.5 8.1.1, where the numbers of the header agree with the length of the pixel data."""
    value, length = walked.pixel_value_offset, walked.pixel_value_length
    samples, count = walked.samples_per_pixel or 1, max(walked.number_of_frames or 1, 1)
    bits = (walked.rows or 0) * (walked.columns or 0) * samples * (walked.bits_allocated or 0)
    if value is None or length is None or not bits or bits % 8:
        return None
    size = bits // 8
    # A byte of padding is all that may be left; else it is subsampled, cut off, or more than it says.
    if size * count + (size * count & 1) != length:
        return None
    return FrameIndex(count, value, size)
