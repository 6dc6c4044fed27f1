"""A DICOM file in another transfer syntax (PS3.5 section 10 and annex A): whole Part 10 files in and out.

Three things can change, and each only if it must: the encoding of the elements, the coding of the pixels, and
what the header says of the pixels. All else is copied byte for byte. A coding with loss makes a new instance,
with a SOP Instance UID that follows from the old one, so that doing it twice makes the same instance.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ithil.dicom import dataset, uids
from ithil.dicom.dataset import Dataset
from ithil.dicom.encoding import DEFAULT_LIMITS, Buffer
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import FrameIndex, frame_index
from ithil.dicom.inflate import Inflater
from ithil.dicom.part10 import read_file_meta
from ithil.dicom.scan import Scan, scan
from ithil.dicom.uids import TransferSyntax
from ithil.pixels import lossy
from ithil.pixels.decode import GE_BIG_ENDIAN_PIXELS, Samples, decode_frame
from ithil.pixels.description import PixelDescription, describe
from ithil.pixels.elements import (
    Encoding,
    Piece,
    element_bytes,
    pieces,
    swap,
    with_changes,
)
from ithil.pixels.encapsulate import encapsulate
from ithil.pixels.encode import Pixels, Plan, encode, plan
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.file_meta import with_syntax
from ithil.pixels.frame_bytes import read_frame
from ithil.pixels.syntaxes import (
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    TARGETS,
)

PIXEL_DATA, ICON_IMAGE_SEQUENCE = 0x7FE00010, 0x00880200
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_IDENTITY = frozenset({0x00080016, 0x00080018})  # SOP Class and Instance UID
_FRAGMENT = b"\xfe\xff\x00\xe0"  # the tag of an item

MAXIMUM_OUTPUT = 2 << 30
"""Bytes of pixel data that are put together in memory."""

# What is in the first is valid in the second as well, so that only the name has to change.
SAME_CODING = {
    (JPEG_LOSSLESS_SV1, JPEG_LOSSLESS),
    (JPEG_BASELINE, JPEG_EXTENDED),
    (HTJ2K_RPCL, HTJ2K_LOSSLESS),
}


def transcode(content: bytes, transfer_syntax: str, *, quality: int = 90) -> bytes:
    """The DICOM file `content` in the transfer syntax with this UID.

    `quality` (1 to 100) holds for codings with loss. A file that is in the transfer syntax already comes back
    as it is, and so does one without pixel data if the target is a compressed one (PS3.5 A.4). Raises
    UnsupportedPixels for what cannot be done (videos, an unknown target, too many bits), PixelError for
    damaged files.
    """
    if transfer_syntax not in TARGETS:
        raise UnsupportedPixels("Nothing here writes this transfer syntax")
    target = uids.TRANSFER_SYNTAXES[transfer_syntax]
    try:
        source = _open(content)
        if source.syntax.uid == target.uid or (target.encapsulated and source.found.pixel_data_tag is None):
            return content
        return _transcoded(source, target, min(max(quality, 1), 100))
    except DicomError as error:
        raise PixelError("The file is damaged") from error


@dataclass(slots=True)
class _Source:
    """A file, taken apart as far as needed. Offsets of `found` count in `body`, which is inflated."""

    content: bytes
    meta_end: int
    body: Buffer
    start: int
    syntax: TransferSyntax
    found: Scan

    @property
    def encoding(self) -> Encoding:
        return Encoding(self.found.implicit, self.found.big_endian)

    @property
    def header_end(self) -> int:
        return len(self.body) if self.found.pixel_data_offset is None else self.found.pixel_data_offset


def _open(content: bytes) -> _Source:
    meta = read_file_meta(content, len(content))
    found = scan(content, _IDENTITY)
    if found.truncated:
        raise DicomError("the file ends in the middle of an element")
    syntax = uids.transfer_syntax(found.transfer_syntax_uid)
    if not syntax.deflated:
        return _Source(content, meta.dataset_offset, content, meta.dataset_offset, syntax, found)
    inflater = Inflater(content, meta.dataset_offset, DEFAULT_LIMITS.maximum_inflated)
    while not (inflater.complete or inflater.starved):
        inflater.grow()
    body = bytes(inflater.data)
    inner = scan(body, frozenset(), transfer_syntax=uids.EXPLICIT_LITTLE)
    if inner.truncated or inflater.starved:
        raise DicomError("the deflated data set is cut off")
    return _Source(content, meta.dataset_offset, body, 0, syntax, inner)


def _transcoded(source: _Source, target: TransferSyntax, quality: int) -> bytes:
    encoding = Encoding(target.implicit, target.big_endian)
    if source.found.pixel_data_tag is None:
        body = [
            piece
            for _, piece in pieces(source.body, source.start, len(source.body), source.encoding, encoding)
        ]
        return _file(source, target, body)
    if (source.syntax.uid, target.uid) in SAME_CODING:
        return _file(source, target, [bytes(source.body[source.start :])])
    index = frame_index(source.body, source.found)
    header = pieces(source.body, source.start, source.header_end, source.encoding, encoding)
    if not (source.syntax.encapsulated or target.encapsulated):
        pixel_data = [_native_element(source, encoding)]
        return _file(source, target, _joined(source, index, header, pixel_data, encoding))
    parsed = _parsed_header(source)
    description = replace(
        describe(parsed, pixel_tag=source.found.pixel_data_tag, pixel_vr=source.found.pixel_data_vr),
        syntax=source.syntax,
    )
    if description.kind != "integer":
        raise UnsupportedPixels("Pixels of floating point numbers cannot be compressed")
    return _recoded(source, target, parsed, description, index, header, quality)


def _recoded(
    source: _Source,
    target: TransferSyntax,
    parsed: Dataset,
    description: PixelDescription,
    index: FrameIndex,
    header: list[Piece],
    quality: int,
) -> bytes:
    """Pixels that are decoded, encoded, or both."""
    if index.count < description.frames:
        raise PixelError("There are fewer frames than the header says")
    before = decoded_pixels(description)
    encoding = Encoding(target.implicit, target.big_endian)
    if not target.encapsulated:
        if source.syntax.uid != uids.RLE:
            before = replace(before, planar=False)
        changes = _described(description, before, encoding)
        changes |= lossy.once_lossy(parsed, source.syntax.uid, encoding)
        changes |= _without_coded_icon(parsed)
        value = _native_value(source, description, index, before, big_endian=target.big_endian)
        vr = "OW" if description.bits_allocated > 8 or target.implicit or target.big_endian else "OB"
        if target.big_endian and description.bits_allocated <= 8:
            value = swap(value, "OW")
        changes |= {_EXTENDED_OFFSETS: None, _EXTENDED_LENGTHS: None}
        element = element_bytes(PIXEL_DATA, vr, value, encoding)
        parts = _joined(source, index, with_changes(header, changes), [element], encoding)
        return _file(source, target, parts)
    made = plan(before, target.uid, quality)
    frames = list(_coded(source, description, index, made))
    changes = _described(description, made.pixels, encoding)
    changes |= lossy.once_lossy(parsed, source.syntax.uid, encoding)
    sop_instance_uid = ""
    if made.lossy:
        native = description.bits_per_frame // 8 * len(frames)
        sop_instance_uid = lossy.derived_uid(parsed, made)
        changes |= lossy.changes(parsed, made, native / max(sum(map(len, frames)), 1), sop_instance_uid)
    wrapped = encapsulate(frames)
    changes |= {_EXTENDED_OFFSETS: None, _EXTENDED_LENGTHS: None}
    if wrapped.offsets:
        changes[_EXTENDED_OFFSETS] = element_bytes(_EXTENDED_OFFSETS, "OV", wrapped.offsets, encoding)
        changes[_EXTENDED_LENGTHS] = element_bytes(_EXTENDED_LENGTHS, "OV", wrapped.lengths, encoding)
    element = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff"
    parts = _joined(source, index, with_changes(header, changes), [element, wrapped.value], encoding)
    return _file(source, target, parts, sop_instance_uid)


def _parsed_header(source: _Source) -> Dataset:
    encoding = source.encoding
    elements = dataset.parse_span(
        source.body,
        source.start,
        source.header_end,
        implicit=encoding.implicit,
        big_endian=encoding.big_endian,
    )
    return Dataset(elements, source.syntax.uid, encoding.big_endian)


def decoded_pixels(description: PixelDescription) -> Pixels:
    """What decoding gives, in the terms of the header."""
    photometric = description.photometric
    uid = description.syntax.uid
    if description.samples == 3:
        if photometric in ("YBR_RCT", "YBR_ICT"):
            photometric = "RGB"
        elif uid in _DCT and description.syntax.encapsulated:
            photometric = "RGB"  # the decoder turns JPEG's YCbCr into it
        elif photometric == "YBR_FULL_422":
            photometric = "YBR_FULL"  # each pixel has its own colour now
        elif photometric == "YBR_PARTIAL_422":
            raise UnsupportedPixels("Partial YBR cannot be transcoded")
    return Pixels(
        description.rows,
        description.columns,
        description.samples,
        description.bits_allocated,
        description.bits_stored,
        description.high_bit,
        description.signed,
        photometric,
        description.planar,
    )


_DCT = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 57))


def _frames(source: _Source, description: PixelDescription, index: FrameIndex) -> Iterator[Samples]:
    for number in range(description.frames):
        data = read_frame(description, index, number, lambda start, end: bytes(source.body[start:end]))
        yield decode_frame(description, data)


def whole_cells(description: PixelDescription) -> PixelDescription:
    """The same pixels, with what lies beside the stored bits: nothing of a pixel cell is lost."""
    return replace(
        description, bits_stored=description.bits_allocated, high_bit=description.bits_allocated - 1
    )


def _coded(source: _Source, description: PixelDescription, index: FrameIndex, made: Plan) -> Iterator[bytes]:
    decoded = description if made.lossy else whole_cells(description)
    total = 0
    for samples in _frames(source, decoded, index):
        frame = encode(samples, made)
        total += len(frame)
        if total > MAXIMUM_OUTPUT:
            raise PixelError("The pixel data is too large")
        yield frame


def _native_value(
    source: _Source, description: PixelDescription, index: FrameIndex, after: Pixels, *, big_endian: bool
) -> bytes:
    """Decoded frames as native pixel data (PS3.5 8.1.1)."""
    size = description.pixels * description.samples * max(description.bits_allocated // 8, 1)
    if size * description.frames > MAXIMUM_OUTPUT:
        raise PixelError("The pixel data is too large")
    parts = []
    for samples in _frames(source, whole_cells(description), index):
        if description.bits_allocated == 1:
            parts.append(samples.astype(np.uint8).tobytes())
            continue
        arranged = samples.transpose(2, 0, 1) if after.planar and samples.ndim == 3 else samples
        parts.append(arranged.astype(samples.dtype.newbyteorder(">" if big_endian else "<")).tobytes())
    value = b"".join(parts)
    if description.bits_allocated == 1:
        value = np.packbits(np.frombuffer(value, np.uint8), bitorder="little").tobytes()
    return value + b"\0" * (len(value) & 1)


def _native_element(source: _Source, encoding: Encoding) -> bytes:
    """Native pixel data, as it is but for byte order and VR."""
    found = source.found
    assert found.pixel_value_offset is not None
    assert found.end_of_pixel_data is not None
    assert found.pixel_data_tag is not None
    value = bytes(source.body[found.pixel_value_offset : found.end_of_pixel_data])
    vr = found.pixel_data_vr if found.pixel_data_vr in ("OB", "OW", "OF", "OD") else "OW"
    was_big = found.big_endian or source.syntax.uid == GE_BIG_ENDIAN_PIXELS
    if was_big != encoding.big_endian:
        # Pixels of 32 and 64 bits are numbers of that size, in words or not (PS3.5 7.3).
        value = swap(value, {32: "OL", 64: "OV"}.get(found.bits_allocated or 0, vr))
    return element_bytes(found.pixel_data_tag, vr, value + b"\0" * (len(value) & 1), encoding)


def _joined(
    source: _Source, index: FrameIndex, header: list[Piece], pixel_data: list[bytes], encoding: Encoding
) -> list[bytes]:
    """Header, pixel data, and what followed the pixel data."""
    end = index.end if source.found.is_encapsulated else source.found.end_of_pixel_data
    if end is None:
        raise PixelError("The pixel data has no frames")
    behind = pieces(source.body, end, len(source.body), source.encoding, encoding)
    return [
        *(piece for tag, piece in header if tag != 0x7FE00000),
        *pixel_data,
        *(piece for _, piece in behind),
    ]


def _file(source: _Source, target: TransferSyntax, body: list[bytes], sop_instance_uid: str = "") -> bytes:
    start = with_syntax(source.content[: source.meta_end], target.uid, source.found, sop_instance_uid)
    if not target.deflated:
        return b"".join((start, *body))
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = b"".join((*(deflater.compress(part) for part in body), deflater.flush()))
    return b"".join((start, deflated, b"\0" * (len(deflated) & 1)))


def _described(before: PixelDescription, after: Pixels, encoding: Encoding) -> dict[int, bytes | None]:
    """The elements of the Image Pixel module that have another value now (PS3.3 C.7.6.3)."""
    numbers = [
        (0x00280100, before.bits_allocated, after.bits_allocated),
        (0x00280101, before.bits_stored, after.bits_stored),
        (0x00280102, before.high_bit, after.high_bit),
    ]
    if after.samples == 3:
        numbers.append((0x00280006, int(before.planar), int(after.planar)))
    changes: dict[int, bytes | None] = {}
    for tag, old, new in numbers:
        if old != new:
            value = new.to_bytes(2, "big" if encoding.big_endian else "little")
            changes[tag] = element_bytes(tag, "US", value, encoding)
    if before.photometric != after.photometric:
        changes[0x00280004] = element_bytes(0x00280004, "CS", after.photometric.encode(), encoding)
    return changes


def _without_coded_icon(parsed: Dataset) -> dict[int, bytes | None]:
    """Icons may be coded in an encapsulated file alone (PS3.5 A.4)."""
    icon = parsed.find(ICON_IMAGE_SEQUENCE, 0, PIXEL_DATA)
    if icon is not None and bytes(icon.value[:4]) == _FRAGMENT:
        return {ICON_IMAGE_SEQUENCE: None}
    return {}
