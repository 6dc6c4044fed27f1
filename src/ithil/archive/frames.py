"""The frames of stored instances: where they are, their bytes, and their decoded samples.

The index knows where pixel data begins and, if it is encapsulated, where each frame lies, so of a file with
thousands of frames only the header and the one that is wanted are read. What was found out about an instance and
the frames that were decoded are kept in memory (`DicomParserCacheSize`), one copy for all requests; frames that
are being decoded share a budget (`DicomParserMemoryCapacity`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.headers import PIXEL_DATA_HEADER, limits
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.shared_cache import MemoryGate, SharedCache
from ithil.dicom import dataset
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import FrameIndex, frame_index
from ithil.dicom.scan import PIXEL_DATA_TAGS, scan
from ithil.dicom.uids import transfer_syntax
from ithil.pixels.decode import Samples, decode_frame
from ithil.pixels.description import PixelDescription, describe
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.frame_bytes import little_endian, read_frame

T = TypeVar("T")

MEGABYTE = 1024 * 1024
DECODING_PATIENCE = 60.0  # seconds
_COPIES = 4  # of a frame, in memory while it is decoded and shown
_LARGEST_INDEX_READ = 256 * MEGABYTE
_REMEMBERED = 500  # bytes that it takes to remember a question

_INSTANCE = Statement(
    sa.select(
        t.instances.c.pixel_data_offset,
        t.instances.c.frame_index,
        t.instances.c.transfer_syntax_uid,
        *DICOM_FILE_COLUMNS,
    ).where(t.instances.c.public_id == sa.bindparam("public_id"))
)

# One for the process: the keys are UUIDs of files, which are unique among all archives.
_cache = SharedCache()
_gate = MemoryGate(DECODING_PATIENCE)


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """What is known of an instance's pixel data.

    `inline` is the pixel data of a deflated data set, which has no place in the file; the offsets of `index`
    then count from its beginning.
    """

    file: Attachment
    description: PixelDescription
    index: FrameIndex
    inline: bytes | None = None

    @property
    def count(self) -> int:
        """The number of frames that are there."""
        return self.index.count

    @property
    def in_big_endian(self) -> bool:
        """Whether the bytes of the frames lie in another order than little endian."""
        return self.description.syntax.big_endian and (
            self.description.bits_allocated > 8 or self.description.words
        )


def pixels_of(archive: Archive, instance_id: str) -> StoredPixels | None:
    """The pixel data of an instance; None if the instance is unknown.

    Raises UnsupportedPixels if it has none, PixelError if its header cannot be true, and what reading a file
    raises.
    """
    with archive.index.read() as session:
        row = session.one(_INSTANCE, {"public_id": instance_id})
    if row is None:
        return None
    offset, index, syntax_uid = row[:3]
    file = Attachment(DICOM_FILE, *row[3:])

    def make() -> tuple[StoredPixels, int]:
        try:
            return _weighed(_look(archive, file, offset, index, syntax_uid))
        except DicomError as error:
            raise PixelError(str(error)) from error

    return _cache.get(file.uuid, _capacity(archive), make)


def frame_ranges(pixels: StoredPixels, frame: int) -> list[tuple[int, int]]:
    """The parts of the file, as offset and length, that are the frame as it is stored.

    Raises PixelError if there is no such frame.
    """
    if not 0 <= frame < pixels.count:
        raise PixelError("There is no such frame")
    return pixels.index.ranges(frame)


def raw_pieces(
    archive: Archive, pixels: StoredPixels, frame: int, first: int = 0, last: int | None = None
) -> Iterator[bytes]:
    """The bytes of a frame as they are stored, piece by piece, but native ones always in little endian.

    With `first` and `last` (excluded; None: the end), offsets in the frame, only those between them. Raises
    PixelError if there is no such frame.
    """
    before = 0  # bytes of the frame that lie before a range
    for start, length in frame_ranges(pixels, frame):
        begin = start + max(first - before, 0)
        stop = start + (length if last is None else min(last - before, length))
        before += length
        for position in range(begin, stop, retrieve.PIECE):
            end = min(position + retrieve.PIECE, stop)
            if pixels.in_big_endian:
                yield little_endian(
                    pixels.description,
                    pixels.index.start,
                    (position, end),
                    lambda low, high: read_part(archive, pixels, low, high),
                )
            else:
                yield read_part(archive, pixels, position, end)


def decoded(archive: Archive, pixels: StoredPixels, frame: int) -> Samples:
    """The samples of a frame, counted from 0; the array is shared, so it must not be changed.

    Raises PixelError if there is no such frame or it cannot be decoded, and what reading a file raises.
    """
    frame_ranges(pixels, frame)

    def make() -> tuple[Samples, int]:
        description = pixels.description
        with room_for(archive, bytes_to_code(pixels)):
            content = read_frame(
                description, pixels.index, frame, lambda start, end: read_part(archive, pixels, start, end)
            )
            samples = decode_frame(description, content)
        samples.flags.writeable = False
        return samples, max(samples.nbytes, len(content))

    key = (pixels.file.uuid, frame)
    # Coded samples cost milliseconds. Native ones are all but copied from the file, and a series that is looked
    # through once would only drive others out. Who comes back for a frame tries windows on it.
    keep = pixels.description.syntax.encapsulated or (
        lambda: _asked_before(archive, key) and archive.cache.get(pixels.file.uuid) is None
    )
    return _cache.get(key, _capacity(archive), make, keep=keep)


def _asked_before(archive: Archive, key: Hashable) -> bool:
    """Whether this was asked for the same key not long ago."""
    before = True

    def remember() -> tuple[None, int]:
        nonlocal before
        before = False
        return None, _REMEMBERED

    _cache.get(("asked", key), _capacity(archive), remember)
    return before


def shared(archive: Archive, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
    """What `make` makes of frames, kept in the same memory as they are; `key` names what never changes.

    `make` gives the result and the bytes that it takes. Raises what it raises.
    """
    return _cache.get(key, _capacity(archive), make)


@contextmanager
def room_for(archive: Archive, size: int) -> Iterator[None]:
    """Waits until there are `size` bytes of memory for what is made of frames.

    Who holds some must not ask for more, lest two wait for each other. Raises CodedError (not enough memory,
    503) if there is none in time.
    """
    with _gate.share(size, archive.settings.dicom_parser_memory_capacity * MEGABYTE):
        yield


def bytes_to_code(pixels: StoredPixels) -> int:
    """Memory that it takes to decode a frame or to code it anew."""
    description = pixels.description
    return description.pixels * description.samples * max(description.bits_allocated // 8, 1) * _COPIES


def bytes_to_show(pixels: StoredPixels) -> int:
    """Memory that it takes to make a picture of a decoded frame in its own size."""
    description = pixels.description
    return description.pixels * max(description.samples, 2) * _COPIES // 2


def _capacity(archive: Archive) -> int:
    return archive.settings.dicom_parser_cache_size * MEGABYTE


def read_part(archive: Archive, pixels: StoredPixels, start: int, end: int) -> bytes:
    """The bytes from one offset of the file (or of the inline pixel data) up to another, excluded."""
    if pixels.inline is not None:
        return pixels.inline[start:end]
    # Only the part: a whole file would take room in the cache for the sake of one picture.
    return retrieve.read(archive, pixels.file, start, end)


def _weighed(pixels: StoredPixels) -> tuple[StoredPixels, int]:
    """What was found, and about how many bytes it takes."""
    index, description = pixels.index.fragments or [], pixels.description
    tables = [*description.voi_luts, *(description.palettes or ())]
    weight = 4000 + 200 * (len(index) + sum(map(len, index))) + 100 * len(description.per_frame)
    weight += sum(table.values.nbytes for table in tables)
    return pixels, weight + len(pixels.inline or b"")


def _look(
    archive: Archive, file: Attachment, offset: int | None, index: bytes | None, syntax_uid: str
) -> StoredPixels:
    """Read the header of a file and find its frames."""
    if offset is None:
        return _look_inside(archive, file, syntax_uid)
    end = min(offset + PIXEL_DATA_HEADER, file.uncompressed_size)
    start = retrieve.read(archive, file, 0, end)
    found = scan(start, frozenset(), limits=limits(archive), total_size=file.uncompressed_size)
    if found.pixel_data_offset != offset or found.pixel_data_tag is None or found.pixel_value_offset is None:
        raise PixelError("The pixel data is not where the index says")
    parsed = dataset.parse(start[:offset], limits=limits(archive))
    description = describe(parsed, pixel_tag=found.pixel_data_tag, pixel_vr=found.pixel_data_vr)
    if found.pixel_value_length is not None:
        frames = _native(description, found.pixel_value_offset, found.pixel_value_length)
    elif index is not None:
        frames = FrameIndex.from_bytes(index)
    elif file.uncompressed_size <= _LARGEST_INDEX_READ:
        content = retrieve.read(archive, file)
        frames = frame_index(content, scan(content, frozenset(), limits=limits(archive)))
    else:
        raise PixelError("The index does not know the frames of this file")
    return StoredPixels(file, description, frames)


def _look_inside(archive: Archive, file: Attachment, syntax_uid: str) -> StoredPixels:
    """The pixel data of a deflated data set, which only inflating the whole of it gives."""
    if not transfer_syntax(syntax_uid).deflated:
        raise UnsupportedPixels("The instance has no pixel data")
    bounds = limits(archive)
    if file.uncompressed_size > bounds.maximum_inflated:
        raise PixelError("The deflated data set is too large")
    with room_for(archive, bounds.maximum_inflated):
        parsed = dataset.parse(retrieve.read(archive, file), stop_at_pixel_data=False, limits=bounds)
    element = next((e for e in parsed.elements if e.tag in PIXEL_DATA_TAGS), None)
    if element is None:
        raise UnsupportedPixels("The instance has no pixel data")
    description = describe(parsed, pixel_tag=element.tag, pixel_vr=element.vr)
    value = bytes(element.value)
    return StoredPixels(file, description, _native(description, 0, len(value)), value)


def _native(description: PixelDescription, start: int, length: int) -> FrameIndex:
    """Where native frames lie (PS3.5 8.1.1); those that are not there in full are not there."""
    bits = description.bits_per_frame
    # A single frame that is too short is kept, so that it can be had raw.
    count = min(description.frames, max(length * 8 // bits, 1))
    if bits % 8:
        return FrameIndex(count, start, bits // 8, bits)
    return FrameIndex(count, start, min(bits // 8, length))
