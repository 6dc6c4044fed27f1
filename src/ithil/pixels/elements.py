"""Writing elements: top-level elements as the bytes they are, or encoded anew for another transfer syntax.

Transcoding must not touch what it need not, private elements least of all. So where byte order and VR stay as
they are, an element is copied byte for byte; only where they change is its tree taken apart and written again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from ithil.dicom import dictionary
from ithil.dicom.dataset import Element, parse_span
from ithil.dicom.encoding import (
    BIG,
    DEFAULT_LIMITS,
    ITEM,
    LITTLE,
    LONG_VRS,
    UNDEFINED,
    Buffer,
    element_header,
    skip_undefined,
)
from ithil.dicom.errors import DicomError

PIXEL_REPRESENTATION = 0x00280103
_LONG = frozenset(LONG_VRS)
_WORD_SIZES = {"US": 2, "SS": 2, "AT": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4} | {
    "FD": 8,
    "OD": 8,
    "SV": 8,
    "UV": 8,
    "OV": 8,
}
_LONGEST_SHORT = 0xFFFE
_DEEPEST = 140


@dataclass(frozen=True, slots=True)
class Encoding:
    """VR and byte order of a data set."""

    implicit: bool = False
    big_endian: bool = False


EXPLICIT_LITTLE = Encoding()

Piece = tuple[int, bytes]
"""A top-level element: its tag and all of its bytes."""


def spans(buffer: Buffer, position: int, end: int, encoding: Encoding) -> list[tuple[int, int, int]]:
    """(tag, start, end) of each top-level element between two offsets. Raises DicomError."""
    order = BIG if encoding.big_endian else LITTLE
    found: list[tuple[int, int, int]] = []
    try:
        while position < end:
            if len(found) >= DEFAULT_LIMITS.maximum_elements:
                raise DicomError("too many elements")
            start = position
            key, vr, value, length = element_header(buffer, position, end, encoding.implicit, order)
            if length == UNDEFINED:
                implicit = encoding.implicit or vr == order.un
                position = skip_undefined(buffer, value, end, implicit, order, DEFAULT_LIMITS)
            else:
                position = value + length
            if position > end:
                raise DicomError(f"an element passes the end of the data at offset {start}")
            found.append((order.key(key), start, position))
    except struct.error:
        raise DicomError(f"the data set is cut off at offset {position}") from None
    return found


def pieces(buffer: Buffer, position: int, end: int, source: Encoding, target: Encoding) -> list[Piece]:
    """The elements between two offsets in the encoding `target`: as they are, if that is `source` as well.

    Group lengths (gggg,0000) are left out if anything is encoded anew, for they would be wrong.
    Raises DicomError.
    """
    if source == target:
        return [(tag, bytes(buffer[start:stop])) for tag, start, stop in spans(buffer, position, end, source)]
    elements = parse_span(buffer, position, end, implicit=source.implicit, big_endian=source.big_endian)
    choice = "SS" if is_signed(elements) else "US"
    return [
        (element.tag, encoded(element, target, swapped=source.big_endian != target.big_endian, choice=choice))
        for element in elements
        if element.tag & 0xFFFF
    ]


def is_signed(elements: Iterable[Element]) -> bool:
    """Whether Pixel Representation, on which the VR of several elements depends (PS3.5 A.1), is 1."""
    return any(element.tag == PIXEL_REPRESENTATION and any(element.value[:2]) for element in elements)


def encoded(
    element: Element,
    target: Encoding,
    *,
    swapped: bool = False,
    choice: str = "US",
    depth: int = 0,
) -> bytes:
    """All bytes of an element, sequences with explicit lengths (PS3.5 7.1, 7.5).

    `swapped` turns the byte order of its numbers round; `choice` is the VR of what is US or SS by its Pixel
    Representation. Raises DicomError for a tree that is too deep or too long.
    """
    if depth > _DEEPEST:
        raise DicomError("sequences are nested too deeply")
    sign = ">" if target.big_endian else "<"
    if element.items is not None:
        items = []
        for item in element.items:
            inner = "SS" if is_signed(item) else choice
            content = b"".join(
                encoded(e, target, swapped=swapped, choice=inner, depth=depth + 1)
                for e in item
                if e.tag & 0xFFFF
            )
            items.append(_header(ITEM, "", len(content), sign, implicit=True) + content)
        value = b"".join(items)
        return _header(element.tag, "SQ", len(value), sign, implicit=target.implicit) + value
    value = bytes(element.value)
    vr = element.vr
    if vr == "OW" and dictionary.may_be_signed(element.tag):
        vr = choice
    if swapped:
        value = swap(value, vr)
    if len(value) & 1:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    return _header(element.tag, vr, len(value), sign, implicit=target.implicit) + value


def element_bytes(tag: int, vr: str, value: bytes, target: Encoding) -> bytes:
    """An element with a value that is in the byte order of `target` already."""
    return encoded(Element(tag, vr, memoryview(value)), target)


def swap(value: bytes, vr: str) -> bytes:
    """A value of any number of numbers, with their bytes in the other order."""
    size = _WORD_SIZES.get(vr)
    whole = len(value) - len(value) % size if size else 0
    if size is None or not whole:
        return value
    turned = bytearray(value)
    for place in range(size):
        turned[place:whole:size] = value[size - 1 - place : whole : size]
    return bytes(turned)


def with_changes(header: list[Piece], changes: dict[int, bytes | None]) -> list[Piece]:
    """The elements with some replaced, added in the order of tags, or (None) removed.

    Group lengths of the groups that change are left out.
    """
    touched = {tag >> 16 for tag in changes}
    result: list[Piece] = []
    pending = sorted((tag, new) for tag, new in changes.items() if new is not None)
    for tag, old in header:
        while pending and pending[0][0] < tag:
            result.append(pending.pop(0))
        if tag in changes:
            if pending and pending[0][0] == tag:
                result.append(pending.pop(0))
        elif tag & 0xFFFF or tag >> 16 not in touched:
            result.append((tag, old))
    return result + pending


def _header(tag: int, vr: str, length: int, sign: str, *, implicit: bool) -> bytes:
    if length >= UNDEFINED:
        raise DicomError("an element is too long")
    group, number = tag >> 16, tag & 0xFFFF
    if implicit:
        return struct.pack(sign + "HHI", group, number, length)
    if vr not in _LONG and length > _LONGEST_SHORT:
        vr = "UN"  # PS3.5 6.2.2: too long for its VR's 16-bit length
    code = vr.encode("ascii")
    if vr in _LONG:
        return struct.pack(sign + "HH2sHI", group, number, code, 0, length)
    return struct.pack(sign + "HH2sH", group, number, code, length)
