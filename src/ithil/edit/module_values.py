"""The values of some elements of a data set as the JSON that a recipe takes, to copy them into other ones."""

from __future__ import annotations

import base64
from typing import Any

from ithil.dicom import charsets
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Dataset, Element, decoder_of
from ithil.dicom.dictionary import format_tag, is_private
from ithil.dicom.values import TEXT_VRS, clean_text, value_text


def module_values(dataset: Dataset, tags: frozenset[int]) -> dict[int, Any]:
    """What the elements with these tags hold, by tag; those that are absent are left out."""
    decode = decoder_of(
        dataset.elements, charsets.decoder(None, dataset.default_encoding), dataset.default_encoding
    )
    found = [element for element in dataset.elements if element.tag in tags]
    return {element.tag: _json(element, decode, dataset) for element in found}


def _json(element: Element, decode: Decoder, dataset: Dataset) -> Any:
    if element.items is not None:
        return [_item(item, decode, dataset) for item in element.items]
    raw = bytes(element.value)
    if element.vr in TEXT_VRS:
        return clean_text(raw, decode)
    text = value_text(element.vr, raw, decode, dataset.sign)
    if text is not None and element.vr != "AT":
        return text
    return f"data:application/octet-stream;base64,{base64.b64encode(raw).decode('ascii')}" if raw else ""


def _item(item: list[Element], inherited: Decoder, dataset: Dataset) -> dict[str, Any]:
    decode = decoder_of(item, inherited, dataset.default_encoding)
    return {
        format_tag(element.tag): _json(element, decode, dataset)
        for element in item
        if not is_private(element.tag) and element.tag & 0xFFFF and element.tag != 0x00080005
    }
