"""Where each frame lies in a file, so that serving one is reading a few byte ranges.

Native frames are arithmetic. Encapsulated ones (PS3.5 A.4) are found by, in this order: the Extended Offset
Table, one fragment a frame when the numbers agree, the Basic Offset Table, and the marker that each coded
image starts with. When even these do not agree with Number of Frames, the last frame takes all that is left,
and a file with fewer fragments than frames has as many frames as fragments.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ithil.dicom.encoding import ITEM, LITTLE, SEQUENCE_END, UNDEFINED, Buffer
from ithil.dicom.errors import DicomError
from ithil.dicom.scan import Scan

Range = tuple[int, int]
"""Offset in the file and length, in bytes."""

MAXIMUM_FRAGMENTS = 10_000_000
_DELIMITER_SIZE = 8
_ITEM, _SEQUENCE_END = LITTLE.key(ITEM), LITTLE.key(SEQUENCE_END)
# JPEG and JPEG-LS, JPEG 2000 and HTJ2K codestreams and files, JPEG XL codestreams and files.
_START_MARKERS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a", b"\0\0\0\x0cJXL ")


@dataclass(slots=True)
class FrameIndex:
    """The byte ranges of all frames.

    Native frames follow each other from `start`, `size` bytes each, `count` of them; `fragments` is then
    None. Encapsulated ones are lists of ranges, to be put together in order.
    With one bit a pixel native frames may begin inside a byte; `bits` is then the length of one in bits, and
    a range covers all bytes that hold a part of the frame.
    """

    count: int
    start: int = 0
    size: int = 0
    bits: int = 0
    fragments: list[list[Range]] | None = field(default=None)

    @property
    def end(self) -> int | None:
        """The offset behind encapsulated pixel data and its delimiter; None for native ones."""
        if self.fragments is None:
            return None
        ends = [offset + length for frame in self.fragments for offset, length in frame]
        return max(ends) + _DELIMITER_SIZE if ends else None

    def ranges(self, frame: int) -> list[Range]:
        """The ranges of one frame, counted from 0; IndexError if there is none."""
        if not 0 <= frame < self.count:
            raise IndexError("no such frame")
        if self.fragments is not None:
            return self.fragments[frame]
        if self.bits:
            first, end = self.bits * frame // 8, (self.bits * (frame + 1) + 7) // 8
            return [(self.start + first, end - first)]
        return [(self.start + self.size * frame, self.size)]

    def to_bytes(self) -> bytes:
        """A compact form for storing: variable-length integers, about three bytes an encapsulated frame."""
        if self.fragments is None:
            return b"N" + _pack([self.count, self.start, self.size, self.bits])
        numbers = [self.count]
        position = 0
        for frame in self.fragments:
            numbers.append(len(frame))
            for offset, length in frame:
                # Fragments mostly ascend with eight bytes of header between them; a sign bit allows the rest.
                gap = offset - position
                numbers += (gap << 1 if gap >= 0 else -gap << 1 | 1, length)
                position = offset + length
        return b"E" + _pack(numbers)

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameIndex:
        """Reads what `to_bytes` wrote; raises `DicomError` for anything else."""
        numbers = _unpack(data[1:])
        try:
            if data[:1] == b"N":
                return cls(next(numbers), next(numbers), next(numbers), next(numbers))
            if data[:1] != b"E":
                raise DicomError("not a frame index")
            frames: list[list[Range]] = []
            position = 0
            for _ in range(next(numbers)):
                frame: list[Range] = []
                for _ in range(next(numbers)):
                    gap, length = next(numbers), next(numbers)
                    offset = position + (-(gap >> 1) if gap & 1 else gap >> 1)
                    frame.append((offset, length))
                    position = offset + length
                frames.append(frame)
            return cls(len(frames), fragments=frames)
        except StopIteration:
            raise DicomError("the frame index is cut off") from None


def _pack(numbers: list[int]) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    result = bytearray()
    for number in numbers:
        while number > 0x7F:
            result.append(number & 0x7F | 0x80)
            number >>= 7
        result.append(number)
    return bytes(result)


def _unpack(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            yield number
            number = shift = 0


def frame_index(buffer: Buffer, scan: Scan) -> FrameIndex:
    """Finds the frames of a scanned file, of which `buffer` must hold all (an `mmap` will do).

    The offsets count from the start of `buffer`. Without pixel data there are no frames, and none either in
    a deflated data set, whose frames have no place in the file. Raises `DicomError` if the fragments are
    damaged or the pixel data is not there in full.
    """
    value, length = scan.pixel_value_offset, scan.pixel_value_length
    if value is None:
        return FrameIndex(0)
    count = max(scan.number_of_frames or 1, 1)
    if length is not None:
        if value + length > len(buffer):
            raise DicomError("the pixel data passes the end of the file")
        return _native(scan, value, length, count)
    index = _by_extended_table(buffer, scan, value, count)
    return index if index is not None else _by_fragments(buffer, value, count)


def _native(scan: Scan, value: int, length: int, count: int) -> FrameIndex:
    if count > max(length, 1) * 8:
        raise DicomError("more frames than pixel data")
    bits = (scan.rows or 0) * (scan.columns or 0) * (scan.samples_per_pixel or 1) * (scan.bits_allocated or 0)
    if bits and bits % 8 and (bits * count + 7) // 8 <= length:
        return FrameIndex(count, value, bits // 8, bits)
    size = bits // 8
    if not size or size * count > length:
        # The value tells better: subsampled colour takes less than the number of samples says.
        size = length // count
    return FrameIndex(count, value, size)


def walk_fragments(buffer: Buffer, value: int) -> Iterator[Range]:
    """The value ranges of the items of an encapsulated element, the first of them the Basic Offset Table.

    Raises `DicomError` at an item that passes the end of the buffer, or if the last delimiter is missing.
    """
    header = LITTLE.implicit
    position, size = value, len(buffer)
    try:
        for _ in range(MAXIMUM_FRAGMENTS):
            key, length = header(buffer, position)
            position += 8
            if key == _SEQUENCE_END:
                return
            if key != _ITEM or length == UNDEFINED or position + length > size:
                raise DicomError(f"a damaged fragment at offset {position - 8}")
            yield position, length
            position += length
    except struct.error:
        raise DicomError(f"the fragments have no end (offset {position})") from None
    raise DicomError("too many fragments")


def _by_extended_table(buffer: Buffer, scan: Scan, value: int, count: int) -> FrameIndex | None:
    """PS3.3 C.7.6.3.1.8: one fragment a frame, its offset and length in two tables before the pixel data."""
    tables = scan.offset_tables
    if 0x7FE00001 not in tables or 0x7FE00002 not in tables:
        return None
    (offsets_at, offsets_size), (lengths_at, lengths_size) = tables[0x7FE00001], tables[0x7FE00002]
    if offsets_size != 8 * count or lengths_size != 8 * count:
        return None
    offsets = struct.unpack_from(f"<{count}Q", buffer, offsets_at)
    lengths = struct.unpack_from(f"<{count}Q", buffer, lengths_at)
    try:
        key, table_length = LITTLE.implicit(buffer, value)
        first = value + 8 + table_length
        frames: list[list[Range]] = []
        for offset, length in zip(offsets, lengths, strict=True):
            item_key, item_length = LITTLE.implicit(buffer, first + offset)
            start = first + offset + 8
            padded = length + (length & 1)
            if item_key != _ITEM or item_length not in (length, padded) or start + length > len(buffer):
                return None
            frames.append([(start, length)])
    except (struct.error, OverflowError):
        return None
    return FrameIndex(count, fragments=frames) if key == _ITEM else None


def _by_fragments(buffer: Buffer, value: int, count: int) -> FrameIndex:
    items = list(walk_fragments(buffer, value))
    if not items:
        return FrameIndex(0, fragments=[])
    table, fragments = items[0], items[1:]
    if not fragments:
        return FrameIndex(0, fragments=[])
    if count == 1:
        frames = [fragments]
    elif len(fragments) <= count:
        frames = [[fragment] for fragment in fragments]
    else:
        frames = (
            _by_basic_table(buffer, table, fragments, count)
            or _by_markers(buffer, fragments, count)
            or [[f] for f in fragments[: count - 1]] + [fragments[count - 1 :]]
        )
    return FrameIndex(len(frames), fragments=frames)


def _by_basic_table(
    buffer: Buffer, table: Range, fragments: list[Range], count: int
) -> list[list[Range]] | None:
    if table[1] != 4 * count:
        return None
    origin = fragments[0][0] - 8
    starts = struct.unpack_from(f"<{count}I", buffer, table[0])
    return _split(fragments, {origin + start + 8 for start in starts}, count)


def _by_markers(buffer: Buffer, fragments: list[Range], count: int) -> list[list[Range]] | None:
    starts = {
        offset
        for offset, length in fragments
        if bytes(buffer[offset : offset + min(length, 12)]).startswith(_START_MARKERS)
    }
    return _split(fragments, starts, count)


def _split(fragments: list[Range], starts: set[int], count: int) -> list[list[Range]] | None:
    """The fragments in groups that begin at `starts`; None unless these are `count` of the fragments."""
    frames: list[list[Range]] = []
    for fragment in fragments:
        if fragment[0] in starts:
            frames.append([])
        if not frames:
            return None
        frames[-1].append(fragment)
    return frames if len(frames) == count == len(starts) else None
