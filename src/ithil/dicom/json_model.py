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
    writer = _Writer(dataset, bulk_data_uri)
    inherited = charsets.decoder(None, dataset.default_encoding)
    return writer.data_set(dataset.elements, inherited, (), False, 0)


class _Writer:
    def __init__(self, dataset: Dataset, bulk_data_uri: BulkDataUri | None) -> None:
        self.sign = dataset.sign
        self.encapsulated = transfer_syntax(dataset.transfer_syntax_uid).encapsulated
        self.default_encoding = dataset.default_encoding
        self.bulk_data_uri = bulk_data_uri

    def data_set(
        self, elements: list[Element], inherited: Decoder, path: tuple[int, ...], signed: bool, depth: int
    ) -> Json:
        """One data set or item. The parser has bounded how deep items lie in each other."""
        decode = decoder_of(elements, inherited, self.default_encoding)
        sign, bulk_data_uri = self.sign, self.bulk_data_uri
        result: Json = {}
        last, sorted_ = -1, True
        for element in elements:
            tag, vr = element.tag, element.vr
            if is_group_length(tag):
                continue
            if tag <= last:
                sorted_ = False
            last = tag
            if vr in _UNDECIDED:
                vr = true_vr(element, signed)
            if element.items is not None:
                result[_name(tag)] = self._sequence(tag, element.items, decode, path, signed, depth)
                continue
            value = element.value
            if vr == "SQ":
                items = hidden_items(element, sign) if depth < MOST_NESTED else None
                if items is not None:
                    result[_name(tag)] = self._sequence(tag, items, decode, path, signed, depth + 1)
                    continue
                vr = "UN"
            if bulk_data_uri is not None and (len(value) > BULK_DATA_SIZE or tag == PIXEL_DATA):
                uri = bulk_data_uri((*path, tag), element)
                if uri is not None:
                    result[_name(tag)] = {"vr": vr, "BulkDataURI": uri}
                    continue
            if not value:
                result[_name(tag)] = {"vr": vr}
                continue
            raw = bytes(value)
            if vr in BINARY_VRS:
                encapsulated = self.encapsulated and tag == PIXEL_DATA
                plain = fragments(raw) if encapsulated else little_endian(vr, raw, sign)
                inline = b64encode(plain).decode("ascii")
                result[_name(tag)] = {"vr": vr, "InlineBinary": inline}
                continue
            if tag == PIXEL_REPRESENTATION:
                signed = any(raw[:2])
            values = ["ISO_IR 192"] if tag == CHARACTER_SET else _values(vr, raw, decode, sign)
            result[_name(tag)] = {"vr": vr, "Value": values} if values else {"vr": vr}
        return result if sorted_ else dict(sorted(result.items()))

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
def _name(tag: int) -> str:
    return f"{tag:08X}"


def _values(vr: str, raw: bytes, decode: Decoder, sign: str) -> list[Any]:
    """What stands in `Value`; an empty value among several is null (PS3.18 F.2.5)."""
    if is_number(vr):
        found = numbers(vr, raw, sign)
        if vr == "FL" or vr == "FD":
            return [number if isfinite(number) else _not_finite(number) for number in found]
        if vr == "UV" or vr == "SV":
            return [number if -_EXACT < number < _EXACT else str(number) for number in found]
        return found
    if vr == "AT":
        return list(tags(raw, sign))
    found_texts = texts(vr, raw, decode)
    convert = _FROM_TEXT.get(vr)
    if convert is not None:
        return [convert(text) if text else None for text in found_texts]
    if "" in found_texts:
        return [text or None for text in found_texts]
    return found_texts


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
        number = int(text) if len(text) <= _LONGEST_NUMBER else _EXACT
    except ValueError:
        return text
    return number if -_EXACT < number < _EXACT else text


def _decimal(text: str) -> float | str:
    try:
        number = float(text) if "_" not in text and len(text) <= _LONGEST_NUMBER else float("nan")
    except ValueError:
        return text
    return number if isfinite(number) else text


_LONGEST_NUMBER = 64  # characters; DS has 16, and reading numbers takes time that grows with their square
_FROM_TEXT: dict[str, Callable[[str], Any]] = {"PN": _person, "IS": _integer, "DS": _decimal}
