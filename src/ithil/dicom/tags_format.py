"""Data sets as Orthanc's JSON: full, short and simplified.

Full is `{"gggg,eeee": {Name, Type, Value[, PrivateCreator]}}`, short `{"gggg,eeee": value}`, simplified
`{Name: value}`. A value is text, null where there is none or it is too long, or an array of the same for a
sequence. Two tags with one name share one entry of the simplified form, and the last one wins.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from enum import Enum
from typing import Any

from ithil.dicom import charsets, dictionary
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Dataset, Element, decoder_of
from ithil.dicom.values import TEXT_VRS, clean_text, unknown_text, value_text

MAXIMUM_LENGTH = 256
"""Longer values, counted in bytes of UTF-8, are shown as null unless asked for with `ignore-length`."""

Json = dict[str, Any]


class Format(Enum):
    """The three shapes; the values are what request bodies and Orthanc's documentation call them."""

    FULL = "Full"
    SHORT = "Short"
    SIMPLIFIED = "Simplify"


def format_dataset(
    dataset: Dataset,
    form: Format,
    *,
    ignore_length: Collection[int] = frozenset(),
    maximum_length: int | None = MAXIMUM_LENGTH,
    inherited: Decoder | None = None,
) -> Json:
    """The elements of a data set in one of the three shapes.

    `ignore_length` are the tags whose values are shown whatever their length, in sequences too;
    `maximum_length` None shows all. `inherited` decodes elements without SpecificCharacterSet among them, if
    they were picked from a data set that has it.
    """
    context = _Context(dataset.sign, form, frozenset(ignore_length), maximum_length, dataset.default_encoding)
    decode = inherited or charsets.decoder(None, dataset.default_encoding)
    return context.convert(dataset.elements, decode)


def format_elements(elements: list[Element], form: Format, decode: Decoder, *, sign: str = "<") -> Json:
    """The same for elements without a data set around them, such as an item of a sequence."""
    return _Context(sign, form, frozenset(), MAXIMUM_LENGTH, charsets.DEFAULT_ENCODING).convert(
        elements, decode
    )


def full(dataset: Dataset, ignore_length: Collection[int] = frozenset()) -> Json:
    """`{"gggg,eeee": {Name, Type, Value[, PrivateCreator]}}`."""
    return format_dataset(dataset, Format.FULL, ignore_length=ignore_length)


def short(dataset: Dataset, ignore_length: Collection[int] = frozenset()) -> Json:
    """`{"gggg,eeee": value}`."""
    return format_dataset(dataset, Format.SHORT, ignore_length=ignore_length)


def simplified(dataset: Dataset, ignore_length: Collection[int] = frozenset()) -> Json:
    """`{Name: value}`."""
    return format_dataset(dataset, Format.SIMPLIFIED, ignore_length=ignore_length)


def header(meta: Dataset, form: Format) -> Json:
    """The file meta information that `dataset.parse_meta` read; its binary elements are not shown."""
    shown = Dataset([e for e in meta.elements if e.vr not in _BINARY], meta.transfer_syntax_uid)
    return format_dataset(shown, form)


def format_values(values: dict[int, str], form: Format) -> Json:
    """Plain tags and texts, such as the main tags of a resource, in one of the three shapes."""
    if form is Format.SIMPLIFIED:
        return {dictionary.tag_name(tag): text for tag, text in values.items()}
    if form is Format.SHORT:
        return {dictionary.format_tag(tag): text for tag, text in values.items()}
    return {
        dictionary.format_tag(tag): {"Name": dictionary.tag_name(tag), "Type": "String", "Value": text}
        for tag, text in values.items()
    }


class _Context:
    def __init__(
        self,
        sign: str,
        form: Format,
        ignore_length: frozenset[int],
        maximum_length: int | None,
        default_encoding: str,
    ) -> None:
        self.sign = sign
        self.form = form
        self.ignore_length = ignore_length
        self.maximum_length = maximum_length
        self.default_encoding = default_encoding

    def convert(self, elements: list[Element], inherited: Decoder) -> Json:
        """Recurses into sequences, whose depth the parser has bounded."""
        decode = decoder_of(elements, inherited, self.default_encoding)
        form, sign, labels = self.form, self.sign, dictionary.labels
        # Below this length no text can be too long, however many bytes its characters take.
        surely_short = self.maximum_length // 4 if self.maximum_length is not None else sys.maxsize
        result: Json = {}
        for element in elements:
            tag = element.tag
            creator = element.private_creator
            label, name = labels(tag, creator)
            value: Any
            if element.items is not None:
                value = [self.convert(item, decode) for item in element.items]
                kind = "Sequence"
            else:
                vr = element.vr
                if vr in TEXT_VRS:
                    value = clean_text(bytes(element.value), decode)
                elif vr == "UN":
                    value = _unknown(element, decode)
                elif vr in _BINARY:
                    value = None
                else:
                    value = value_text(vr, bytes(element.value), decode, sign)
                if value is None:
                    kind = "Null"
                elif len(value) > surely_short and self._too_long(value, tag):
                    value, kind = None, "TooLong"
                else:
                    kind = "String"
            if form is Format.SIMPLIFIED:
                result[name] = value
            elif form is Format.SHORT:
                result[label] = value
            elif creator and element.items is None:
                result[label] = {
                    "Name": name,
                    "PrivateCreator": creator,
                    "Type": kind,
                    "Value": value,
                }
            else:
                result[label] = {"Name": name, "Type": kind, "Value": value}
        return result

    def _too_long(self, text: str, tag: int) -> bool:
        maximum = self.maximum_length
        if maximum is None or tag in self.ignore_length:
            return False
        return len(text) > maximum or len(text.encode("utf-8", "surrogatepass")) > maximum


def _unknown(element: Element, decode: Decoder) -> str | None:
    if element.tag & 0x10000 and not dictionary.is_private_creator(element.tag):
        return None
    return unknown_text(dictionary.tag_vr(element.tag), bytes(element.value), decode)


_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SV", "UV"})
