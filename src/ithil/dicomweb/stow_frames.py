"""Compressed frames that come as bulk data: their transfer syntax, and what they say of the image."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ithil.dicom.dataset import Element
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import RLE
from ithil.pixels import codestream
from ithil.pixels.codestream import Codestream
from ithil.pixels.errors import PixelError
from ithil.pixels.syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_NEAR,
    is_video,
)

_DEFAULTS = {
    "image/dicom-rle": RLE,
    "image/x-dicom-rle": RLE,
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jxl": "1.2.840.10008.1.2.4.112",
    "video/mpeg": "1.2.840.10008.1.2.4.100",
    "video/mpeg2": "1.2.840.10008.1.2.4.100",
    "video/mp4": "1.2.840.10008.1.2.4.102",
}
"""Where the media type alone tells the transfer syntax, or nothing tells it better (PS3.18 tables 8.7.3)."""

_INSPECTED = frozenset({"image/jpeg", "image/jll", "image/jls", "image/x-jls", "image/jp2", "image/jphc"})
_LOOKED_AT = 1024 * 1024  # bytes of a frame

_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_CERTAIN = (_SAMPLES, _ROWS, _COLUMNS)
"""Which attributes a codestream knows better than the metadata."""


def syntax_of_frame(media_type: str, frame: memoryview) -> str:
    """The transfer syntax of a part that names none. Raises DicomError if none has frames of its media type."""
    if media_type in _INSPECTED:
        start = bytes(frame[:_LOOKED_AT])
        return _syntax(_inspected(start), start)
    try:
        return _DEFAULTS[media_type]
    except KeyError:
        raise DicomError("no transfer syntax has pixel data of this media type") from None


def described(
    elements: list[Element], frames: Sequence[memoryview], syntax: str
) -> tuple[list[Element], tuple[int, ...]]:
    """The elements with the Image Pixel module that the frames need, and which of its values were changed.

    Videos are left as they are. Raises DicomError for frames that cannot be what the metadata says.
    """
    if is_video(syntax):
        return elements, ()
    made = {element.tag: element for element in elements}
    stated = made.get(_FRAMES)
    count = str(bytes(stated.value), "ascii", "replace").strip(" \0") if stated is not None else ""
    if count and count != str(len(frames)):
        raise DicomError("there are not as many parts of pixel data as NumberOfFrames says")
    values: dict[int, int] = {}
    try:
        found = codestream.inspect(bytes(frames[0][:_LOOKED_AT]))
    except PixelError:
        found = None  # RLE and others, which say nothing of themselves, or nothing that is understood here
    if found is not None:
        values = _numbers(found)
    changed = []
    for tag, number in values.items():
        value = struct.pack("<H", number)
        present = made.get(tag)
        if present is None or not present.value:
            made[tag] = Element(tag, "US", memoryview(value))
        elif tag in _CERTAIN and present.value != value:
            made[tag] = Element(tag, "US", memoryview(value))
            changed.append(tag)
    if found is not None and (_PHOTOMETRIC not in made or not made[_PHOTOMETRIC].value):
        made[_PHOTOMETRIC] = _text(_PHOTOMETRIC, "CS", _photometric(found, syntax))
    if len(frames) > 1 and not count:
        made[_FRAMES] = _text(_FRAMES, "IS", str(len(frames)))
    return [made[tag] for tag in sorted(made)], tuple(changed)


def _inspected(start: bytes) -> Codestream:
    try:
        return codestream.inspect(start)
    except PixelError:
        raise DicomError("a frame is not of the media type of its part") from None


def _syntax(found: Codestream, start: bytes) -> str:
    if found.kind == codestream.JPEG:
        return JPEG_BASELINE if found.precision == 8 else JPEG_EXTENDED
    if found.kind == codestream.JPEG_LOSSLESS:
        return JPEG_LOSSLESS_SV1
    if found.kind == codestream.JPEG_LS:
        scan = start.find(b"\xff\xda")  # ITU-T T.87 C.2.3: its third last byte tells how much may be lost
        near = start[scan + 5 + 2 * found.samples : scan + 6 + 2 * found.samples]
        return JPEG_LS if near in (b"", b"\0") else JPEG_LS_NEAR
    coding = start.find(b"\xff\x52")  # ITU-T T.800 A.6.1: its last fixed byte tells the wavelet
    reversible = start[coding + 13 : coding + 14] == b"\1"
    if found.kind == codestream.HTJ2K:
        return HTJ2K_LOSSLESS if reversible else HTJ2K
    return JPEG_2000_LOSSLESS if reversible else JPEG_2000


def _numbers(found: Codestream) -> dict[int, int]:
    allocated = 8 if found.precision <= 8 else 16 if found.precision <= 16 else 32
    numbers = {
        _SAMPLES: found.samples,
        _ROWS: found.rows,
        _COLUMNS: found.columns,
        _ALLOCATED: allocated,
        _STORED: found.precision,
        _HIGH: found.precision - 1,
        _SIGNED: int(found.signed),
    }
    if found.samples > 1:
        numbers[_PLANAR] = 0
    if max(numbers.values()) > 0xFFFF:
        raise DicomError("a frame is too large for a DICOM image")
    return numbers


def _photometric(found: Codestream, syntax: str) -> str:
    """What is most likely, where nobody states it (PS3.5 8.2)."""
    if found.samples == 1:
        return "MONOCHROME2"
    if found.kind == codestream.JPEG:
        return "RGB" if found.adobe_transform == 0 else "YBR_FULL_422"
    if syntax in (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS):
        return "YBR_RCT"
    return "YBR_ICT" if syntax in (JPEG_2000, HTJ2K) else "RGB"


def _text(tag: int, vr: str, text: str) -> Element:
    return Element(tag, vr, memoryview((text + " " * (len(text) & 1)).encode("ascii")))
