"""The Native DICOM Model (PS3.19 A.1): a data set as `application/dicom+xml`.

Written as text, element by element, without an XML library: the document is flat and regular, and the only
danger in it, what a stranger wrote into a value, goes through one function. Text is UTF-8, so
SpecificCharacterSet says ISO_IR 192 wherever it is present.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache

from ithil.dicom import charsets, dictionary
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
)
from ithil.dicom.uids import transfer_syntax

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
)
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def to_xml(dataset: Dataset, bulk_data_uri: BulkDataUri | None = None) -> bytes:
    """The data set as one XML document.

    `bulk_data_uri` is asked for pixel data and for each value of more than `BULK_DATA_SIZE` bytes; without it
    all values stand in the document. Tags are in ascending order, without group lengths.
    """
    writer = _Writer(dataset, bulk_data_uri)
    writer.data_set(dataset.elements, charsets.decoder(None, dataset.default_encoding), (), False, 0)
    return (HEAD + "".join(writer.pieces) + "</NativeDicomModel>\n").encode("utf-8", "replace")


class _Writer:
    def __init__(self, dataset: Dataset, bulk_data_uri: BulkDataUri | None) -> None:
        self.sign = dataset.sign
        self.encapsulated = transfer_syntax(dataset.transfer_syntax_uid).encapsulated
        self.default_encoding = dataset.default_encoding
        self.bulk_data_uri = bulk_data_uri
        self.pieces: list[str] = []

    def data_set(
        self, elements: list[Element], inherited: Decoder, path: tuple[int, ...], signed: bool, depth: int
    ) -> None:
        """One data set or item. The parser has bounded how deep items lie in each other."""
        decode = decoder_of(elements, inherited, self.default_encoding)
        # Of elements with the same tag the last one counts, as in the JSON model.
        for tag, element in sorted({element.tag: element for element in elements}.items()):
            if is_group_length(tag):
                continue
            vr = true_vr(element, signed)
            items = element.items
            if items is None and vr == "SQ":
                items = hidden_items(element, self.sign) if depth < MOST_NESTED else None
                if items is None:
                    vr = "UN"
            creator = element.private_creator
            private = f' privateCreator="{escaped(creator)}"' if creator else ""
            name = keyword_of(tag)
            keyword = f' keyword="{escaped(name)}"' if name else ""
            self.pieces.append(f'<DicomAttribute tag="{tag:08X}" vr="{vr}"{keyword}{private}>')
            if items is not None:
                for number, item in enumerate(items):
                    self.pieces.append(f'<Item number="{number + 1}">')
                    self.data_set(item, decode, (*path, tag, number), signed, depth + 1)
                    self.pieces.append("</Item>")
            else:
                if tag == PIXEL_REPRESENTATION:
                    signed = any(element.value[:2])
                self._value(element, vr, decode, path)
            self.pieces.append("</DicomAttribute>")

    def _value(self, element: Element, vr: str, decode: Decoder, path: tuple[int, ...]) -> None:
        tag, value = element.tag, element.value
        if self.bulk_data_uri is not None and (len(value) > BULK_DATA_SIZE or tag in PIXEL_DATA_TAGS):
            uri = self.bulk_data_uri((*path, tag), element)
            if uri is not None:
                self.pieces.append(f'<BulkData uri="{escaped(uri)}"/>')
                return
        if not value:
            return
        raw = bytes(value)
        if vr in BINARY_VRS:
            encapsulated = self.encapsulated and tag == PIXEL_DATA
            plain = fragments(raw) if encapsulated else little_endian(vr, raw, self.sign)
            self.pieces.append(f"<InlineBinary>{b64encode(plain).decode('ascii')}</InlineBinary>")
        elif vr == "PN":
            for number, text in enumerate(texts(vr, raw, decode), 1):
                self._person(number, text)
        else:
            found = ["ISO_IR 192"] if tag == CHARACTER_SET else _values(vr, raw, decode, self.sign)
            self.pieces += [
                f'<Value number="{number}">{escaped(text)}</Value>' for number, text in enumerate(found, 1)
            ]

    def _person(self, number: int, text: str) -> None:
        self.pieces.append(f'<PersonName number="{number}">{person_groups(text)}</PersonName>')


def person_groups(text: str) -> str:
    """A person's name in its groups and parts, those that are not empty (PS3.5 6.2.1.1)."""
    pieces = []
    for group, name in zip(GROUPS, text.split("="), strict=False):
        if not name.strip(" ^"):
            continue
        pieces.append(f"<{group}>")
        for label, part in zip(_PARTS, name.split("^"), strict=False):
            if part.strip(" "):
                pieces.append(f"<{label}>{escaped(part.strip(' '))}</{label}>")
        pieces.append(f"</{group}>")
    return "".join(pieces)


def _values(vr: str, raw: bytes, decode: Decoder, sign: str) -> list[str]:
    if is_number(vr):
        return [str(number) for number in numbers(vr, raw, sign)]
    return tags(raw, sign) if vr == "AT" else texts(vr, raw, decode)


@lru_cache(maxsize=16384)
def keyword_of(tag: int) -> str:
    """The keyword of a public tag of the standard, "" for others (PS3.19 A.1.5)."""
    if dictionary.is_private(tag):
        return ""
    name = dictionary.tag_name(tag).removeprefix("RETIRED_")
    return "" if name == dictionary.UNKNOWN_NAME else name


_ILLEGAL = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_PLAIN = re.compile("[ !#-%'-;=?-~\\xa0-\\ud7ff]*\\Z")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


def escaped(text: str) -> str:
    """Text for a value or an attribute; characters that XML 1.0 cannot hold become U+FFFD."""
    return text if _PLAIN.match(text) else _ILLEGAL.sub("\ufffd", text).translate(_ENTITIES)
