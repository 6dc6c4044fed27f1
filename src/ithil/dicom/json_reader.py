"""Reading the DICOM JSON Model (PS3.18 annex F): from `application/dicom+json` to elements.

The way back of `json_model`. What a document says is checked against what its VRs can hold, since what is made
of it becomes a file that everybody else has to read: a document that does not fit is refused, and nothing of it
is repaired in silence. Text is written in UTF-8, whatever SpecificCharacterSet the document names, as JSON has
no other.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import orjson

from ithil.dicom import dictionary
from ithil.dicom.dataset import Element
from ithil.dicom.dictionary import format_tag
from ithil.dicom.encoding import DEFAULT_LIMITS, LONG_VRS, SHORT_VRS, ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.native_values import BINARY_VRS, CHARACTER_SET, is_group_length
from ithil.dicom.values import TEXT_VRS

Json = dict[str, Any]
BulkData = Callable[[str, int, str], "memoryview | None"]
"""Asked with a BulkDataURI, the tag and the VR of its element; gives the bytes, None if there are none."""

TRANSFER_SYNTAX_UID = 0x00020010

_ONE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
_ENCODED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # in the character set of the data set
_INTEGERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q"}
_FLOATS = {"FL": "f", "FD": "d"}
_VRS = frozenset(SHORT_VRS) | frozenset(LONG_VRS)
_SHORT = frozenset(SHORT_VRS)
_LONGEST_SHORT = 65_534
_LONGEST_DECIMAL = 16  # characters of a DS
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NOTHING = memoryview(b"")
_UNICODE = Element(CHARACTER_SET, "CS", memoryview(b"ISO_IR 192"))
_NO_GROUPS = frozenset({0x0000, 0x0002, 0xFFFE, 0xFFFF})  # of commands, files and delimiters
_NOT_FINITE = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


@dataclass(slots=True)
class JsonDataset:
    """The elements in the order of their tags, in explicit VR little endian.

    `transfer_syntax_uid` is what file meta information in the document says, "" if it says nothing; it is
    about pixel data only.
    """

    elements: list[Element] = field(default_factory=list)
    transfer_syntax_uid: str = ""


def load(document: bytes) -> list[Json]:
    """The data sets of a document: one object, or an array of them. Raises DicomError."""
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise DicomError("the document is not valid JSON in UTF-8") from None
    objects = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in objects):
        raise DicomError("the document is neither a DICOM JSON object nor an array of them")
    return objects


def read(
    document: Json, bulk_data: BulkData | None = None, limits: ScanLimits = DEFAULT_LIMITS
) -> JsonDataset:
    """The data set that one object of the DICOM JSON Model describes.

    Group lengths are left out. Raises DicomError, whose message names tags and never quotes a value.
    """
    reader = _Reader(bulk_data, limits)
    meta = document.get(f"{TRANSFER_SYNTAX_UID:08X}")
    elements = reader.data_set(document, 0)
    if reader.beyond_ascii and f"{CHARACTER_SET:08X}" not in document:
        elements.append(_UNICODE)
        elements.sort(key=lambda element: element.tag)
    values = meta.get("Value") if isinstance(meta, dict) else None
    syntax = values[0] if isinstance(values, list) and values else ""
    return JsonDataset(elements, syntax if isinstance(syntax, str) else "")


class _Reader:
    def __init__(self, bulk_data: BulkData | None, limits: ScanLimits) -> None:
        self.bulk_data = bulk_data
        self.limits = limits
        self.left = limits.maximum_elements
        self.beyond_ascii = False

    def data_set(self, document: Json, depth: int) -> list[Element]:
        """One data set or item."""
        if depth > self.limits.maximum_depth:
            raise DicomError("sequences are nested too deeply")
        elements: dict[int, Element] = {}
        for name, attribute in document.items():
            self.left -= 1
            if self.left < 0:
                raise DicomError("too many elements")
            tag = _tag(name)
            group = tag >> 16
            if is_group_length(tag) or (group == 2 and depth == 0):
                continue  # they make themselves
            if group in _NO_GROUPS:
                raise DicomError(f"{format_tag(tag)} has no place in a data set")
            if tag in elements:
                raise DicomError(f"{format_tag(tag)} is there twice")
            if not isinstance(attribute, dict):
                raise DicomError(f"{format_tag(tag)} is no JSON object")
            elements[tag] = _UNICODE if tag == CHARACTER_SET else self._element(tag, attribute, depth)
        return [elements[tag] for tag in sorted(elements)]

    def _element(self, tag: int, attribute: Json, depth: int) -> Element:
        vr = _vr(tag, attribute.get("vr"))
        given = [name for name in ("Value", "InlineBinary", "BulkDataURI") if attribute.get(name) is not None]
        if len(given) > 1:
            raise DicomError(f"{format_tag(tag)} has more than one kind of value")
        value = attribute[given[0]] if given else []
        if given == ["BulkDataURI"]:
            return Element(tag, vr, self._bulk(tag, vr, value))
        if given == ["InlineBinary"]:
            return Element(tag, vr, self._checked(tag, vr, _base64(tag, vr, value)))
        if not isinstance(value, list):
            raise DicomError(f"the value of {format_tag(tag)} is no array")
        if vr == "SQ":
            if not all(item is None or isinstance(item, dict) for item in value):
                raise DicomError(f"the sequence {format_tag(tag)} holds what is no item")
            return Element(tag, "SQ", _NOTHING, [self.data_set(item or {}, depth + 1) for item in value])
        try:
            raw = self._encoded(tag, vr, value)
        except (ValueError, OverflowError, struct.error) as error:
            if isinstance(error, DicomError):
                raise
            raise _misfit(tag, vr) from None
        return Element(tag, vr, self._checked(tag, vr, raw))

    def _bulk(self, tag: int, vr: str, uri: object) -> memoryview:
        if not isinstance(uri, str) or vr == "SQ":
            raise DicomError(f"the BulkDataURI of {format_tag(tag)} is no text")
        value = self.bulk_data(uri, tag, vr) if self.bulk_data is not None else None
        if value is None:
            raise DicomError(f"no part holds the bulk data of {format_tag(tag)}")
        if vr in _SHORT and len(value) > _LONGEST_SHORT:
            raise DicomError(f"the value of {format_tag(tag)} is too long for its VR")
        if vr in _ENCODED:
            self.beyond_ascii = True  # if it is not, nothing is lost
        return value

    def _checked(self, tag: int, vr: str, raw: bytes) -> memoryview:
        """The value with an even length."""
        if vr in _SHORT and len(raw) > _LONGEST_SHORT:
            raise DicomError(f"the value of {format_tag(tag)} is too long for its VR")
        padding = b" " if vr in TEXT_VRS and vr != "UI" else b"\0"
        return memoryview(raw + padding if len(raw) & 1 else raw)

    def _encoded(self, tag: int, vr: str, values: list[Any]) -> bytes:
        """The bytes of a `Value`. Raises ValueError, OverflowError or struct.error for what does not fit."""
        if vr in _INTEGERS:
            numbers = [_integer(value) for value in values]
            return struct.pack(f"<{len(numbers)}{_INTEGERS[vr]}", *numbers)
        if vr in _FLOATS:
            return struct.pack(f"<{len(values)}{_FLOATS[vr]}", *[_float(value) for value in values])
        if vr == "AT":
            return b"".join(_tag_bytes(value) for value in values)
        if vr in BINARY_VRS:
            if values:
                raise _misfit(tag, vr)
            return b""
        if vr == "PN":
            texts = [_person(value) for value in values]
        elif vr == "IS":
            texts = [_integer_text(value) for value in values]
        elif vr == "DS":
            texts = [_decimal_text(value) for value in values]
        else:
            texts = [_text(value) for value in values]
        if vr in _ONE_TEXT:
            if len(texts) > 1:
                raise _misfit(tag, vr)
        elif any("\\" in text for text in texts):
            raise _misfit(tag, vr)
        text = "\\".join(texts)
        if not text.isascii():
            if vr not in _ENCODED:
                raise _misfit(tag, vr)
            self.beyond_ascii = True
        if "\0" in text or "\x1b" in text:
            raise _misfit(tag, vr)
        return text.encode("utf-8")


def _misfit(tag: int, vr: str) -> DicomError:
    return DicomError(f"the value of {format_tag(tag)} does not fit its VR {vr}")


def _tag(name: str) -> int:
    if len(name) != 8 or not name.isascii() or not name.isalnum():
        raise DicomError("a tag is not written with eight hexadecimal digits")
    try:
        return int(name, 16)
    except ValueError:
        raise DicomError("a tag is not written with eight hexadecimal digits") from None


def _kind(vr: str) -> str:
    """What a VR is made of; a document may choose another VR of the same kind, and no other."""
    if vr in TEXT_VRS:
        return "text"
    return "sequence" if vr == "SQ" else "binary" if vr in BINARY_VRS else "number"


def _vr(tag: int, stated: object) -> str:
    """The VR of an element: as stated, if it can be, and the dictionary's if nothing is stated."""
    known = dictionary.tag_vr(tag)
    if stated is None or stated == "":
        return known
    if not isinstance(stated, str) or stated not in _VRS:
        raise DicomError(f"the VR of {format_tag(tag)} is unknown")
    if known == "UN" or stated == "UN" or dictionary.may_be_signed(tag):
        return stated
    if _kind(known) != _kind(stated):
        raise DicomError(f"the VR {stated} of {format_tag(tag)} is not the one of the standard, {known}")
    return stated


def _base64(tag: int, vr: str, text: object) -> bytes:
    if vr not in BINARY_VRS or not isinstance(text, str):
        raise _misfit(tag, vr)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DicomError(f"the InlineBinary of {format_tag(tag)} is no valid Base64") from None


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError
    return value


def _person(value: object) -> str:
    """A person's name (PS3.18 F.2.2); a plain text stands for its groups as DICOM writes them."""
    if not isinstance(value, dict):
        return _text(value)
    groups = [_text(value.get(name)) for name in _GROUPS]
    if any("=" in group for group in groups):
        raise ValueError
    return "=".join(groups).rstrip("=")


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    if isinstance(value, str):
        if len(value) > 24 or "_" in value:
            raise ValueError
        return int(value)
    if value != int(value):
        raise ValueError
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    if isinstance(value, str) and (len(value) > 64 or "_" in value):
        raise ValueError
    return float(_NOT_FINITE.get(value, value) if isinstance(value, str) else value)


def _integer_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and not value.strip():
        return value
    number = _integer(value)
    if not -(2**31) <= number < 2**31:
        raise ValueError
    return value if isinstance(value, str) else str(number)


def _decimal_text(value: object) -> str:
    """A number as a DS, which has 16 characters: the nearest one that it can write."""
    if value is None:
        return ""
    if isinstance(value, str) and not value.strip():
        return value
    number = _float(value)
    if not isfinite(number):
        raise ValueError
    if isinstance(value, str):
        return value
    text = repr(value)
    for digits in range(_LONGEST_DECIMAL, 0, -1):
        if len(text) <= _LONGEST_DECIMAL:
            break
        text = f"{number:.{digits}g}"
    return text


def _tag_bytes(value: object) -> bytes:
    if not isinstance(value, str) or len(value) != 8:
        raise ValueError
    tag = int(value, 16)
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)
