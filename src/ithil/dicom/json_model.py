"""The DICOM JSON Model (PS3.18 annex F): a data set as `application/dicom+json`.

Built straight from the element tree of our own parser, since DICOMweb asks for it for whole studies at a
time. Text is UTF-8, so SpecificCharacterSet says ISO_IR 192 wherever it is present.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any

import orjson

from ithil.dicom import charsets
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Dataset, Element, decoder_of
from ithil.dicom.native_values import (
    BINARY_VRS,
    BULK_DATA_SIZE,
    CHARACTER_SET,
    MOST_NESTED,
    PIXEL_DATA,
    PIXEL_DATA_TAGS,
    PIXEL_REPRESENTATION,
    BulkDataUri,
    fragments,
    hidden_items,
    is_group_length,
    is_number,
    little_endian,
    numbers,
    tags,
    texts,
    true_vr,
    words,
)
from ithil.dicom.uids import transfer_syntax

Json = dict[str, Any]

_EXACT = 2**53  # beyond it a JSON number loses digits in most readers (PS3.18 F.2.3.1)
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(dataset: Dataset, bulk_data_uri: BulkDataUri | None = None) -> bytes:
    """The data set as one JSON object.

    `bulk_data_uri` is asked for pixel data and for each value of more than `BULK_DATA_SIZE` bytes; without it
    all values stand in the document. Tags are in ascending order, without group lengths.
    """
    return orjson.dumps(to_object(dataset, bulk_data_uri))


def to_object(dataset: Dataset, bulk_data_uri: BulkDataUri | None = None) -> Json:
    """The same before it becomes text, for those who add to it or put several in an array."""
    writer = JsonWriter(dataset, bulk_data_uri)
    inherited = charsets.decoder(None, dataset.default_encoding)
    return writer.data_set(dataset.elements, inherited, (), False, 0)


class JsonWriter:
    """Makes JSON of the data sets, items and attributes of one instance."""

    def __init__(self, dataset: Dataset, bulk_data_uri: BulkDataUri | None, *, arrays: bool = False) -> None:
        """With `arrays`, binary values but those of UN and pixel data are lists of numbers."""
        self.arrays = arrays
        self.sign = dataset.sign
        self.encapsulated = transfer_syntax(dataset.transfer_syntax_uid).encapsulated
        self.default_encoding = dataset.default_encoding
        self.bulk_data_uri = bulk_data_uri

    def data_set(
        self, elements: list[Element], inherited: Decoder, path: tuple[int, ...], signed: bool, depth: int
    ) -> Json:
        """One data set or item. The parser has bounded how deep items lie in each other."""
        decode = decoder_of(elements, inherited, self.default_encoding)
        attribute = self.attribute
        result: Json = {}
        last, sorted_ = -1, True
        for element in elements:
            tag = element.tag
            if is_group_length(tag):
                continue
            if tag <= last:
                sorted_ = False
            last = tag
            result[name_of(tag)] = attribute(element, decode, path, signed, depth)
            if tag == PIXEL_REPRESENTATION:
                signed = any(element.value[:2])
        return result if sorted_ else dict(sorted(result.items()))

    def attribute(
        self, element: Element, decode: Decoder, path: tuple[int, ...], signed: bool, depth: int
    ) -> Json:
        """What stands under the name of one element.

        `path` leads to its data set, `signed` is what PixelRepresentation before it says.
        """
        tag, vr, value = element.tag, element.vr, element.value
        if vr in _UNDECIDED:
            vr = true_vr(element, signed)
        if element.items is not None:
            return self._sequence(tag, element.items, decode, path, signed, depth)
        if vr == "SQ":
            items = hidden_items(element, self.sign) if depth < MOST_NESTED else None
            if items is not None:
                return self._sequence(tag, items, decode, path, signed, depth + 1)
            vr = "UN"
        if self.bulk_data_uri is not None and (len(value) > BULK_DATA_SIZE or tag in PIXEL_DATA_TAGS):
            uri = self.bulk_data_uri((*path, tag), element)
            if uri is not None:
                return {"vr": vr, "BulkDataURI": uri}
        if not value:
            return {"vr": vr}
        raw = bytes(value)
        if vr in BINARY_VRS:
            if self.arrays and vr != "UN" and tag not in PIXEL_DATA_TAGS:
                return {"vr": vr, "Value": _finite(words(vr, raw, self.sign))}
            encapsulated = self.encapsulated and tag == PIXEL_DATA
            plain = fragments(raw) if encapsulated else little_endian(vr, raw, self.sign)
            return {"vr": vr, "InlineBinary": b64encode(plain).decode("ascii")}
        values = ["ISO_IR 192"] if tag == CHARACTER_SET else _values(vr, raw, decode, self.sign)
        return {"vr": vr, "Value": values} if values else {"vr": vr}

    def _sequence(
        self,
        tag: int,
        items: list[list[Element]],
        decode: Decoder,
        path: tuple[int, ...],
        signed: bool,
        depth: int,
    ) -> Json:
        if not items:
            return {"vr": "SQ"}
        return {
            "vr": "SQ",
            "Value": [
                self.data_set(item, decode, (*path, tag, number), signed, depth)
                for number, item in enumerate(items)
            ],
        }


_UNDECIDED = frozenset({"UN", "OW"})


@lru_cache(maxsize=16384)
def name_of(tag: int) -> str:
    """The eight digits that name an attribute."""
    return f"{tag:08X}"


def _values(vr: str, raw: bytes, decode: Decoder, sign: str) -> list[Any]:
    """What stands in `Value`; an empty value among several is null (PS3.18 F.2.5)."""
    if is_number(vr):
        found = numbers(vr, raw, sign)
        if vr == "FL" or vr == "FD":
            return _finite(found)
        if vr == "UV" or vr == "SV":
            return [number if -_EXACT < number < _EXACT else str(number) for number in found]
        return found
    if vr == "AT":
        return list(tags(raw, sign))
    found_texts = texts(vr, raw, decode)
    convert = FROM_TEXT.get(vr)
    if convert is not None:
        return [convert(text) if text else None for text in found_texts]
    if "" in found_texts:
        return [text or None for text in found_texts]
    return found_texts


def values_of_text(vr: str, text: str) -> list[Any]:
    """What stands in `Value` of an attribute whose value is known as text, as `values.value_text` writes it."""
    if not text:
        return []
    if vr in _ONE_TEXT:
        return [text]
    convert = FROM_TEXT.get(vr) or _NUMBERFROM_TEXT.get(vr)
    if convert is None:
        return [part.rstrip(" ") or None for part in text.split("\\")]
    return [convert(part) if part else None for part in (part.strip(" ") for part in text.split("\\"))]


def _finite(found: list[int] | list[float]) -> list[Any]:
    return [_finite_number(number) if isfinite(number) else _not_finite(number) for number in found]


def _finite_number(number: float) -> int | float:
    """The same number, a whole one without a point, which is shorter and what Orthanc writes."""
    return int(number) if -_EXACT < number < _EXACT and number == int(number) else number


def _not_finite(number: float) -> str:
    """JSON has no such numbers; the names are those that XML Schema and most parsers know."""
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _person(text: str) -> Json | None:
    """The component groups of a person's name that are not empty (PS3.18 F.2.2, PS3.5 6.2.1.2)."""
    if "=" not in text:
        return {"Alphabetic": text}
    groups = {name: part.rstrip(" ") for name, part in zip(_GROUPS, text.split("="), strict=False)}
    return {name: part for name, part in groups.items() if part} or None


def _integer(text: str) -> int | str:
    """A number, or the text as it stands if it is none that JSON can hold (PS3.18 F.2.3.1)."""
    try:
        number = int(text) if _may_be_number(text) else _EXACT
    except ValueError:
        return text
    return number if -_EXACT < number < _EXACT else text


def _decimal(text: str) -> float | str:
    try:
        number = float(text) if _may_be_number(text) else float("nan")
    except ValueError:
        return text
    return _finite_number(number) if isfinite(number) else text


def _may_be_number(text: str) -> bool:
    """Whether Python may be asked: it takes the digits of every script and underscores between them."""
    return len(text) <= _LONGEST_NUMBER and text.isascii() and "_" not in text


_LONGEST_NUMBER = 64  # characters; DS has 16, and reading numbers takes time that grows with their square
FROM_TEXT: dict[str, Callable[[str], Any]] = {"PN": _person, "IS": _integer, "DS": _decimal}
"""What a text that is not empty becomes in JSON, by VR; in others it is the text."""
_NUMBERFROM_TEXT: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), _integer),
    **dict.fromkeys(("FD", "FL"), _decimal),
    "AT": lambda text: text.replace(",", "").upper(),
}
_ONE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
