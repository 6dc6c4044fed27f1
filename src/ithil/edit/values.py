"""New values for elements: from the JSON of a request to the bytes that an element of a VR holds (PS3.5 6.2).

A value is a text (numbers and several values as DICOM's own text, with backslashes), an array of objects for
the items of a sequence, or a data URI for bytes. It is checked once, when the request comes, so that a job
does not find out at its thousandth instance that a value is no number.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

from ithil import error_codes as codes
from ithil.dicom import dictionary, pydicom_tables
from ithil.dicom.dataset import Element
from ithil.dicom.dictionary import format_tag, is_private
from ithil.dicom.encoding import SHORT_VRS
from ithil.dicom.values import TEXT_VRS
from ithil.edit.tag_path import parse_path
from ithil.error_codes import CodedError

Value = str | bytes | list[dict[int, "Value"]]
"""Text, bytes, or the items of a sequence."""

Encoder = Callable[[str], bytes]
"""Turns text into the character set of a data set."""

DEEPEST = 32
MOST_ELEMENTS = 10_000  # in the items of one new sequence
LONGEST_SHORT = 65534  # bytes of a value whose VR has a 16-bit length in explicit VR

CHARACTER_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose text is in the character set of the data set; the others are ASCII."""

_BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_DATA_URI = re.compile(r"data:[^,]{0,256};base64,", re.IGNORECASE)
_NOTHING = memoryview(b"")


def parse_value(tag: int, json: Any, creator: str = "") -> Value:
    """The value that the JSON of a request gives to `tag`.

    `creator` is the private creator whose dictionary tells the VR of private tags. Raises CodedError: bad
    type for JSON of the wrong kind, bad file format for a text that does not fit the VR, and unknown tag for
    a name in a sequence that no dictionary has.
    """
    value = _parsed(tag, json, creator, [MOST_ELEMENTS], 0)
    element_of(tag, value, ascii_or_utf8, "<", creator)
    return value


def ascii_or_utf8(text: str) -> bytes:
    """UTF-8, for when the character set does not matter yet."""
    return text.encode("utf-8", "surrogatepass")


def _parsed(tag: int, json: Any, creator: str, left: list[int], depth: int) -> Value:
    left[0] -= 1
    if left[0] < 0 or depth > DEEPEST:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "A new sequence has too many elements or levels")
    is_sequence = dictionary.tag_vr(tag, creator if is_private(tag) else "") == "SQ"
    if json is None:
        return [] if is_sequence else ""
    if is_sequence:
        if json == "":
            return []
        items = [json] if isinstance(json, dict) else json
        if isinstance(items, str):
            raise CodedError(codes.BAD_FILE_FORMAT, f"The tag {format_tag(tag)} is a sequence")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _bad_type(tag)
        return [_item(item, creator, left, depth + 1) for item in items]
    if not isinstance(json, str):
        raise _bad_type(tag)
    if "\0" in json:
        raise CodedError(codes.BAD_FILE_FORMAT, f"The value for {format_tag(tag)} holds a NUL")
    if dictionary.tag_vr(tag, creator if is_private(tag) else "") in _BINARY_VRS:
        return _bytes(tag, json)
    return json


def _item(item: dict[str, Any], creator: str, left: list[int], depth: int) -> dict[int, Value]:
    elements: dict[int, Value] = {}
    for name, json in item.items():
        path = parse_path(name)
        if not path.is_plain:
            raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The items of a new sequence take plain tags only")
        elements[path.tag] = _parsed(path.tag, json, creator, left, depth)
    return elements


def _bytes(tag: int, text: str) -> Value:
    """The bytes of a data URI; other text stays text."""
    start = _DATA_URI.match(text)
    if start is None:
        return text
    try:
        return base64.b64decode(text[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise CodedError(
            codes.BAD_FILE_FORMAT, f"The data URI for {format_tag(tag)} is no valid Base64"
        ) from None


def _bad_type(tag: int) -> CodedError:
    return CodedError(codes.BAD_PARAMETER_TYPE, f"The value for {format_tag(tag)} has the wrong JSON type")


def element_of(
    tag: int, value: Value, encode: Encoder, sign: str, creator: str = "", present: str = ""
) -> Element:
    """The element with that value; `sign` is the byte order as in `struct`.

    `present` is the VR of the element that it replaces, "" if there is none. Raises CodedError (bad file
    format) for a value that the VR cannot hold.
    """
    vr = _vr(tag, value, creator, present)
    if isinstance(value, list):
        items = [
            [element_of(inner, item[inner], encode, sign, creator) for inner in sorted(item)]
            for item in value
        ]
        return Element(tag, "SQ", _NOTHING, items, creator if is_private(tag) else "")
    raw = _encoded(tag, vr, value, encode, sign)
    if vr in SHORT_VRS and len(raw) > LONGEST_SHORT:
        raise CodedError(codes.BAD_FILE_FORMAT, f"The value for {format_tag(tag)} is too long")
    return Element(tag, vr, memoryview(raw), None, creator if is_private(tag) else "")


def _vr(tag: int, value: Value, creator: str, present: str) -> str:
    if isinstance(value, list):
        return "SQ"
    if present and present not in ("UN", "SQ"):
        return present
    vr = dictionary.tag_vr(tag, creator if is_private(tag) else "")
    if vr == "US" and dictionary.may_be_signed(tag) and isinstance(value, str) and "-" in value:
        return "SS"
    return "UN" if vr == "SQ" else vr


def _encoded(tag: int, vr: str, value: str | bytes, encode: Encoder, sign: str) -> bytes:
    if isinstance(value, bytes):
        raw, padding = value, b"\0"
    elif vr in CHARACTER_VRS:
        raw, padding = encode(value), b" "
    elif vr in TEXT_VRS:
        raw, padding = ascii_or_utf8(value), b"\0" if vr == "UI" else b" "
    elif vr in _NUMBERS:
        return _numbers(tag, vr, value, sign)
    elif vr == "AT":
        return _tags(tag, value, sign)
    else:
        raw, padding = ascii_or_utf8(value), b"\0"
    return raw + padding if len(raw) & 1 else raw


def _numbers(tag: int, vr: str, text: str, sign: str) -> bytes:
    words = [word.strip() for word in text.split("\\")] if text.strip() else []
    entry = pydicom_tables.elements().get(tag)
    wanted = entry[1] if entry is not None else ""
    if words and wanted.isdigit() and len(words) != int(wanted):
        raise _does_not_fit(tag)
    number: Callable[[str], float] = float if vr in ("FL", "FD") else int
    try:
        return b"".join(struct.pack(sign + _NUMBERS[vr], number(word)) for word in words)
    except (ValueError, struct.error, OverflowError):
        raise _does_not_fit(tag) from None


def _tags(tag: int, text: str, sign: str) -> bytes:
    raw = b""
    for word in text.split("\\") if text.strip() else ():
        path = parse_path(word)
        if not path.is_plain:
            raise _does_not_fit(tag)
        raw += struct.pack(sign + "HH", path.tag >> 16, path.tag & 0xFFFF)
    return raw


def _does_not_fit(tag: int) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, f"The value for {format_tag(tag)} does not fit its type")


def texts_of(value: Value) -> Iterator[str]:
    """All texts in a value that are not plain ASCII."""
    if isinstance(value, str):
        if not value.isascii():
            yield value
    elif isinstance(value, list):
        for item in value:
            for inner in item.values():
                yield from texts_of(inner)
