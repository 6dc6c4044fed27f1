"""From metadata and bulk data to the pieces of one DICOM file (PS3.18 8.7.3, PS3.10 7).

The file is in explicit VR little endian, or in the transfer syntax of the compressed frames that came as bulk
data. One part is one frame, in the order of the parts; a video is one part. What the frames say of themselves
counts: attributes of the Image Pixel module that the metadata lacks are filled in from them, as PS3.18 asks
for, and such as contradict them are put right, which the answer then tells.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ithil.dicom import json_reader
from ithil.dicom.dataset import Element
from ithil.dicom.dictionary import format_tag
from ithil.dicom.encoding import ITEM, LONG_VRS, SEQUENCE_END, UNDEFINED, ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.json_reader import Json
from ithil.dicom.main_tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from ithil.dicom.part10 import file_meta
from ithil.dicom.uids import EXPLICIT_LITTLE, TRANSFER_SYNTAXES
from ithil.dicomweb.stow_frames import described, syntax_of_frame
from ithil.pixels.elements import EXPLICIT_LITTLE as EXPLICIT
from ithil.pixels.elements import encoded

LARGEST_NESTED = 64 * 1024 * 1024
"""Bytes of bulk data inside the sequences of one instance, which are put together in memory."""

_PIXEL_DATA = 0x7FE00010
_PIXEL_KEY = f"{_PIXEL_DATA:08X}"
_OCTETS = "application/octet-stream"
_ITEM = struct.pack("<HH", ITEM >> 16, ITEM & 0xFFFF)
_SEQUENCE_END = struct.pack("<HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
_LONG = frozenset(LONG_VRS)
_LARGE = 64 * 1024
_LONGEST = 0xFFFFFFFE


@dataclass(slots=True)
class BulkPart:
    """A part with bulk data: its media type, the `transfer-syntax` it names, and where its bytes are kept."""

    media_type: str
    transfer_syntax: str
    start: int
    length: int

    def view(self, spool: memoryview) -> memoryview:
        """Its bytes."""
        return spool[self.start : self.start + self.length]


Bulk = Mapping[str, Sequence[BulkPart]]
"""The parts by their Content-Location."""


@dataclass(frozen=True, slots=True)
class PixelData:
    """Native pixel data in `frames[0]`, or in the transfer syntax `syntax` one codestream a frame.

    With `fragments` the only frame is the whole value of encapsulated pixel data, without its last delimiter.
    """

    vr: str
    frames: list[memoryview]
    syntax: str = EXPLICIT_LITTLE
    fragments: bool = False


@dataclass(slots=True)
class Composed:
    """A file to be; `changed` are the tags whose values in the metadata were not what the frames say."""

    elements: list[Element]
    pixel_data: PixelData | None
    meta: bytes
    changed: tuple[int, ...] = field(default=())

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The bytes of the file in order; large values are views of where they are kept."""
        yield self.meta
        waiting = self.pixel_data
        for element in self.elements:
            if waiting is not None and element.tag > _PIXEL_DATA:
                yield from _pixel_pieces(waiting)
                waiting = None
            if element.vr in _LONG and len(element.value) > _LARGE:
                yield from _header_and_value(element.tag, element.vr, element.value)
            else:
                yield encoded(element, EXPLICIT)
        if waiting is not None:
            yield from _pixel_pieces(waiting)


def compose(document: Json, bulk: Bulk, spool: memoryview, limits: ScanLimits) -> Composed:
    """The file that one data set of the metadata describes. Raises DicomError."""

    def bulk_data(uri: str, tag: int, vr: str) -> memoryview | None:
        parts = bulk.get(uri.strip(), ())
        if len(parts) > 1:
            raise DicomError(f"several parts hold the bulk data of {format_tag(tag)}")
        return parts[0].view(spool) if parts else None

    pixel_attribute = document.get(_PIXEL_KEY)
    uri = pixel_attribute.get("BulkDataURI") if isinstance(pixel_attribute, dict) else None
    rest = {key: value for key, value in document.items() if key != _PIXEL_KEY} if uri else document
    dataset = json_reader.read(rest, bulk_data, limits)
    elements = dataset.elements
    syntax = TRANSFER_SYNTAXES.get(dataset.transfer_syntax_uid)
    stated = syntax.uid if syntax is not None and syntax.encapsulated else ""
    pixel_data: PixelData | None = None
    if uri:
        assert isinstance(pixel_attribute, dict)
        parts = bulk.get(uri.strip(), ()) if isinstance(uri, str) else ()
        if not parts or len(pixel_attribute.keys() & {"Value", "InlineBinary"}):
            raise DicomError("no part holds the bulk data of the pixel data")
        pixel_data = _of_parts(parts, spool, stated, pixel_attribute.get("vr"))
    elif stated:
        pixel_data = _of_inline(elements, stated)
        elements = [element for element in elements if element.tag != _PIXEL_DATA]
    nested = sum(_nested_size(element) for element in elements)
    if nested > LARGEST_NESTED:
        raise DicomError("the bulk data inside of sequences is too large")
    changed: tuple[int, ...] = ()
    if pixel_data is not None:
        if pixel_data.syntax == EXPLICIT_LITTLE:
            _check_native(elements, len(pixel_data.frames[0]))
        elif not pixel_data.fragments:
            elements, changed = described(elements, pixel_data.frames, pixel_data.syntax)
    sop_class, sop_instance = _text(elements, SOP_CLASS_UID), _text(elements, SOP_INSTANCE_UID)
    if not sop_class or not sop_instance:
        raise DicomError("the metadata lacks its SOP Class or SOP Instance UID")
    final = pixel_data.syntax if pixel_data is not None else EXPLICIT_LITTLE
    return Composed(elements, pixel_data, file_meta(sop_class, sop_instance, final), changed)


def _of_parts(parts: Sequence[BulkPart], spool: memoryview, stated: str, vr: object) -> PixelData:
    """The pixel data in parts of their own."""
    frames = [part.view(spool) for part in parts]
    if not all(frames):
        raise DicomError("a part of the pixel data is empty")
    first = parts[0]
    if any(
        (part.media_type, part.transfer_syntax) != (first.media_type, first.transfer_syntax) for part in parts
    ):
        raise DicomError("the parts of the pixel data are of different media types")
    named = TRANSFER_SYNTAXES.get(first.transfer_syntax)
    if first.transfer_syntax and named is None:
        raise DicomError("the transfer syntax of a part is unknown")
    if first.media_type == _OCTETS and not (named.encapsulated if named is not None else stated):
        if named is not None and (named.big_endian or named.deflated):
            raise DicomError("uncompressed bulk data must be in little endian")
        if len(frames) > 1:
            raise DicomError("several parts hold uncompressed pixel data")
        return PixelData("OB" if vr == "OB" else "OW", frames)
    chosen = named.uid if named is not None and named.encapsulated else ""
    if not chosen and first.media_type == _OCTETS:
        chosen = stated
    return PixelData("OB", frames, chosen or syntax_of_frame(first.media_type, frames[0]))


def _of_inline(elements: list[Element], syntax: str) -> PixelData | None:
    """Compressed pixel data that stands in the metadata itself: all its fragments, or one frame."""
    found = next((element for element in elements if element.tag == _PIXEL_DATA), None)
    if found is None or not found.value:
        return None
    return PixelData("OB", [found.value], syntax, fragments=bytes(found.value[:4]) == _ITEM)


def _nested_size(element: Element) -> int:
    """Bytes of all values inside a sequence."""
    total, stack = 0, list(element.items or ())
    while stack:
        for inner in stack.pop():
            total += len(inner.value)
            stack.extend(inner.items or ())
    return total


def _text(elements: Sequence[Element], tag: int) -> str:
    found = next((element for element in elements if element.tag == tag), None)
    return "" if found is None else str(bytes(found.value), "ascii", "replace").strip("\0 ")


def _check_native(elements: Sequence[Element], size: int) -> None:
    """Refuse uncompressed pixel data that is shorter than its description says."""
    numbers = {
        e.tag: struct.unpack("<H", e.value)[0] for e in elements if e.tag in _FACTORS and len(e.value) == 2
    }
    if numbers.keys() != _FACTORS:
        return
    frames = _text(elements, 0x00280008) or "1"
    if not frames.isascii() or not frames.isdigit():
        raise DicomError(f"{format_tag(0x00280008)} is no number")
    bits = int(frames[:10])
    for number in numbers.values():
        bits *= number
    if _text(elements, 0x00280004) == "YBR_FULL_422":
        bits = bits * 2 // 3
    if size < bits // 8:
        raise DicomError("the pixel data is shorter than its description says")


_FACTORS = {0x00280002, 0x00280010, 0x00280011, 0x00280100}  # samples, rows, columns, bits


def _pixel_pieces(pixel_data: PixelData) -> Iterator[bytes | memoryview]:
    frames = pixel_data.frames
    if pixel_data.syntax == EXPLICIT_LITTLE:
        yield from _header_and_value(_PIXEL_DATA, pixel_data.vr, frames[0])
        return
    yield _header(_PIXEL_DATA, pixel_data.vr, UNDEFINED)
    if pixel_data.fragments:
        yield frames[0]
    else:
        offsets, position = [], 0
        for frame in frames:
            offsets.append(position)
            position += 8 + len(frame) + (len(frame) & 1)
        # Offsets of more than 32 bits do not fit into the table, which may be empty (PS3.5 A.4).
        table = struct.pack(f"<{len(offsets)}I", *offsets) if offsets[-1] <= _LONGEST else b""
        yield _ITEM + struct.pack("<I", len(table)) + table
        for frame in frames:
            padding = len(frame) & 1
            if len(frame) + padding > _LONGEST:
                raise DicomError("a frame is too long")
            yield _ITEM + struct.pack("<I", len(frame) + padding)
            yield frame
            yield b"\0" * padding
    yield _SEQUENCE_END


def _header(tag: int, vr: str, length: int) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, length)


def _header_and_value(tag: int, vr: str, value: memoryview) -> Iterator[bytes | memoryview]:
    padding = len(value) & 1
    if len(value) + padding > _LONGEST:
        raise DicomError(f"the value of {format_tag(tag)} is too long")
    yield _header(tag, vr, len(value) + padding)
    yield value
    yield (b" " if vr in ("UC", "UR", "UT") else b"\0") * padding
