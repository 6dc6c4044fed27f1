"""What the DICOM JSON Model (PS3.18 F) and the Native DICOM Model (PS3.19 A.1) have in common.

Both list single values where DICOM has one run of bytes, both want to know what an element of VR UN really
is, and both show binary values in little endian whatever the file has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ithil.dicom import dictionary
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Element, parse_span
from ithil.dicom.errors import DicomError
from ithil.dicom.values import clean_text

BulkDataUri = Callable[[tuple[int, ...], Element], str | None]
"""Asked with the path (tag, item counted from 0, tag ...) of a value that may be left out of the document;
gives the URI where it can be had, or None if the value is to stand in the document itself."""

BULK_DATA_SIZE = 1024
"""Values of more bytes than this are offered to a `BulkDataUri`."""

BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs whose values are shown as base64."""

_NUMBERS = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("I", 4),
    "SL": ("i", 4),
    "UV": ("Q", 8),
    "SV": ("q", 8),
    "FL": ("f", 4),
    "FD": ("d", 8),
}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

_PALETTE_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103})
PIXEL_DATA = 0x7FE00010
PIXEL_DATA_TAGS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
"""Pixel data of floating point numbers, of either size, and of integers; offered to a `BulkDataUri` always."""
PIXEL_REPRESENTATION = 0x00280103
CHARACTER_SET = 0x00080005
MOST_NESTED = 64
"""Sequences inside sequences of VR UN, which are only found when they are shown."""


def is_group_length(tag: int) -> bool:
    """Whether the element is a group length, which neither model has (PS3.18 F.2.2, PS3.19 A.1.1)."""
    return not tag & 0xFFFF


def true_vr(element: Element, signed: bool) -> str:
    """The VR that the element is shown with.

    A value that was sent as UN has the dictionary's VR if there is one (PS3.5 6.2.2); palette descriptors,
    which implicit VR leaves open, are numbers of the sign that PixelRepresentation tells.
    """
    vr, tag = element.vr, element.tag
    if vr == "OW" and tag in _PALETTE_DESCRIPTORS:
        return "SS" if signed else "US"
    if vr != "UN":
        return vr
    if tag & 0x10000 and not element.private_creator and not dictionary.is_private_creator(tag):
        return vr
    return dictionary.tag_vr(tag, element.private_creator)


def hidden_items(element: Element, sign: str) -> list[list[Element]] | None:
    """The items of a sequence that was sent as UN with a length; None if the value is no sequence.

    Such a value is encoded in implicit VR little endian (PS3.5 6.2.2 note 4).
    """
    if sign != "<":
        return None
    value = bytes(element.value)
    # The parser knows the VR by the tag, and a private one may be in no dictionary. So another stands in.
    header = struct.pack("<HHI", _SEQUENCE >> 16, _SEQUENCE & 0xFFFF, len(value))
    try:
        found = parse_span(header + value, 0, 8 + len(value), implicit=True, big_endian=False)
    except DicomError:
        return None
    return found[0].items if len(found) == 1 else None


_SEQUENCE = 0x00081140  # ReferencedImageSequence, as good as any


def texts(vr: str, raw: bytes, decode: Decoder) -> list[str]:
    """The single values of a text element, without padding; several only where the VR can have several.

    Blanks in front count only where PS3.5 6.2 says so; as most software does, they are kept everywhere but
    in numbers.
    """
    if vr in ("LT", "ST", "UR", "UT"):
        text = clean_text(raw, decode)
        return [text] if text else []
    text = clean_text(raw, decode)
    if "\\" not in text:
        text = text.rstrip(" ")
        return [text] if text else []
    return [part.rstrip(" ") for part in text.split("\\")]


def numbers(vr: str, raw: bytes, sign: str) -> list[int] | list[float]:
    """The numbers of a binary element; bytes that do not make a whole one are dropped."""
    code, size = _NUMBERS[vr]
    count = len(raw) // size
    return list(struct.unpack_from(f"{sign}{count}{code}", raw))


def words(vr: str, raw: bytes, sign: str) -> list[int] | list[float]:
    """The numbers that a binary value but one of UN consists of; bytes that do not make a whole one are dropped."""
    code, size = _WORD_CODES[vr]
    return list(struct.unpack_from(f"{sign}{len(raw) // size}{code}", raw))


_WORD_CODES = {
    "OB": ("B", 1),
    "OD": ("d", 8),
    "OF": ("f", 4),
    "OL": ("I", 4),
    "OV": ("Q", 8),
    "OW": ("H", 2),
}


def tags(raw: bytes, sign: str) -> list[str]:
    """The values of an AT element: eight hexadecimal digits each."""
    pairs = struct.unpack_from(f"{sign}{len(raw) // 4 * 2}H", raw)
    return [f"{group:04X}{element:04X}" for group, element in zip(pairs[::2], pairs[1::2], strict=True)]


def is_number(vr: str) -> bool:
    """Whether `numbers` reads this VR."""
    return vr in _NUMBERS


def fragments(raw: bytes) -> bytes:
    """The items of encapsulated pixel data without the delimiter after the last one (PS3.5 A.4)."""
    return raw.removesuffix(_SEQUENCE_END)


_SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def little_endian(vr: str, raw: bytes, sign: str) -> bytes:
    """The bytes of a binary value in little endian (PS3.18 F.2.7, PS3.19 A.1.5)."""
    size = _WORDS.get(vr)
    if sign == "<" or size is None or len(raw) % size:
        return raw
    swapped = bytearray(len(raw))
    for place in range(size):
        swapped[place::size] = raw[size - 1 - place :: size]
    return bytes(swapped)
