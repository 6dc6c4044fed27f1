"""The identifiers of C-FIND responses (PS3.4 C.4.1.1.3.2): values of resources as bytes of a data set.

An answer has every attribute that was asked for, empty where the resource has none, and the level and where to
retrieve from. Values come from the index, a batch at a time; what it does not hold is read from the file of
one instance. Its text is in the server's default character set, or in UTF-8 if that cannot carry it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from ithil.archive import headers, tag_values
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError
from ithil.archive.index import find_rows
from ithil.archive.index.read import keys_for
from ithil.archive.model import Attachment, Resource
from ithil.dicom import uids
from ithil.dicom.charsets import Decoder, defined_term
from ithil.dicom.dataset import Dataset, Element, decoder_of
from ithil.dicom.dictionary import is_private, is_private_creator
from ithil.dicom.encoding import SHORT_VRS
from ithil.dicom.errors import DicomError
from ithil.dicom.values import TEXT_VRS, clean_text
from ithil.edit.text import encoded
from ithil.services.find_identifier import (
    CHARACTER_SET,
    QUERY_RETRIEVE_LEVEL,
    RETRIEVE_AE_TITLE,
    Identifier,
    Key,
)

LARGEST_VALUE = 1 << 20
"""Bytes of a value read from a file beyond which it is answered as empty; pixel data is no answer."""

FILE_BATCH = 20  # resources whose files are looked up together

_LONGEST_SHORT = 65534
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8, "AT": 2}
_UNICODE = b"ISO_IR 192"

Value = str | bytes | list[list[tuple[int, str, "Value"]]]
"""Text, the bytes of a binary value in the byte order of the answer, or the items of a sequence."""


class Answers:
    """Makes the data sets of the responses to one request."""

    def __init__(self, archive: Archive, identifier: Identifier, transfer_syntax: str) -> None:
        self._archive = archive
        self._level = identifier.query.level
        self._open_files = archive.settings.storage_access_on_find != "Never"
        self._keys = identifier.keys
        self._fixed: dict[int, tuple[str, Value]] = {
            CHARACTER_SET: ("CS", ""),
            QUERY_RETRIEVE_LEVEL: ("CS", identifier.level_text),
            RETRIEVE_AE_TITLE: ("AE", archive.settings.dicom_aet),
        }
        self._fixed.update(
            (key.tag, (key.vr, key.text))
            for key in identifier.keys
            if is_private_creator(key.tag) and key.text.strip()
        )
        self._asked = tuple(key.tag for key in identifier.keys if key.tag not in self._fixed)
        self._from_files = tuple(
            key
            for key in identifier.keys
            if key.tag not in self._fixed and tag_values.may_be_in_file(archive, self._level, key.tag)
        )
        self._order = sorted({*self._fixed, *self._asked})
        self._vrs = {key.tag: key.vr for key in identifier.keys}
        self._writer = _Writer(transfer_syntax, archive.default_encoding)

    def of(self, resources: Sequence[Resource]) -> Iterator[bytes]:
        """The data set of each resource, in their order."""
        size = FILE_BATCH if self._from_files else max(1, len(resources))
        for start in range(0, len(resources), size):
            batch = resources[start : start + size]
            texts = tag_values.from_index(self._archive, self._level, batch, self._asked)
            files = self._files(batch, texts)
            for resource, found in zip(batch, texts, strict=True):
                yield self._data_set(found, files.get(resource.id))

    def _files(
        self, resources: Sequence[Resource], texts: Sequence[Mapping[int, str]]
    ) -> dict[str, tuple[str, int | None, Attachment]]:
        """The files of those resources of which the index does not know all that is asked."""
        if not self._from_files or not self._open_files:
            return {}
        wanted = [
            resource.id
            for resource, found in zip(resources, texts, strict=True)
            if any(key.tag not in found for key in self._from_files)
        ]
        with self._archive.index.read() as session:
            keys = keys_for(session, wanted)
            return find_rows.first_instances(session, self._level, keys, by_public_id=True)

    def _data_set(self, texts: Mapping[int, str], file: tuple[str, int | None, Attachment] | None) -> bytes:
        values: dict[int, tuple[str, Value]] = dict(self._fixed)
        if file is not None:
            header = self._header(file[2], file[1])
            if header is not None:
                for key in self._from_files:
                    if key.tag not in texts:
                        value = self._writer.value_in(header, key)
                        if value is not None:
                            values[key.tag] = value
        for tag, text in texts.items():
            values[tag] = (self._vrs[tag], text)
        return self._writer.data_set(
            [(tag, *values.get(tag, (self._vrs.get(tag, "UN"), ""))) for tag in self._order]
        )

    def _header(self, file: Attachment, pixel_data_offset: int | None) -> Dataset | None:
        """The header of a file; None if it cannot be read, which is no reason to leave out the resource."""
        try:
            return headers.read(self._archive, file, pixel_data_offset)
        except (ArchiveError, DicomError):
            return None


class _Writer:
    """Writes data sets in one transfer syntax (PS3.5 7.1)."""

    def __init__(self, transfer_syntax: str, default_encoding: str) -> None:
        self._implicit = transfer_syntax == uids.IMPLICIT_LITTLE
        self._sign = ">" if transfer_syntax == uids.EXPLICIT_BIG else "<"
        self._tag = struct.Struct(self._sign + "HH")
        self._tag_and_length = struct.Struct(self._sign + "HHL")
        self._short = struct.Struct(self._sign + "HH2sH")
        self._long = struct.Struct(self._sign + "HH2sxxL")
        self._default_encoding = default_encoding
        self._character_set = (defined_term(default_encoding, extensions=True) or "ISO_IR 6").encode()

    def data_set(self, elements: Sequence[tuple[int, str, Value]]) -> bytes:
        """The bytes of a data set whose first element is SpecificCharacterSet."""
        for character_set in (self._character_set, _UNICODE):
            parts = [self._element(CHARACTER_SET, "CS", character_set)]
            try:
                for tag, vr, value in elements[1:]:
                    parts.append(self._element(tag, vr, self._bytes(vr, value, character_set)))
            except UnicodeEncodeError:
                continue
            return b"".join(parts)
        raise AssertionError("UTF-8 holds every text")

    def value_in(self, header: Dataset, key: Key) -> tuple[str, Value] | None:
        """The value of a key in the header of a file, in a block of the same private creator if it is private."""
        for element in header.elements:
            if _is(element, key):
                copied = self._copied(element, header, header.decode)
                return None if copied is None else (copied[1], copied[2])
        return None

    def _copied(self, element: Element, header: Dataset, decode: Decoder) -> tuple[int, str, Value] | None:
        """An element of a file as a value to write; None for what is too large for an answer."""
        vr, tag = element.vr, element.tag
        if element.items is not None:
            items: list[list[tuple[int, str, Value]]] = []
            for item in element.items:
                inner = decoder_of(item, decode, header.default_encoding)
                copies = (
                    self._copied(each, header, inner)
                    for each in item
                    if each.tag & 0xFFFF and each.tag != CHARACTER_SET
                )
                items.append([copy for copy in copies if copy is not None])
            return tag, "SQ", items
        if len(element.value) > LARGEST_VALUE:
            return None
        raw = bytes(element.value)
        if vr in TEXT_VRS:
            return tag, vr, clean_text(raw, decode)
        if header.sign != self._sign:
            size = struct.calcsize(_NUMBERS[vr]) if vr in _NUMBERS else _WORDS.get(vr, 1)
            raw = _swapped(raw, size)
        return tag, vr, raw

    def _bytes(self, vr: str, value: Value, character_set: bytes) -> bytes:
        """The bytes of a value. Raises UnicodeEncodeError if the character set has no place for it."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, list):
            return b"".join(self._item(item, character_set) for item in value)
        if vr in _NUMBERS:
            return self._numbers(vr, value)
        if vr not in TEXT_VRS and vr != "UN":
            return b""
        if value.isascii():
            return value.encode("ascii")
        raw = encoded(value, character_set, self._default_encoding)
        if raw is not None:
            return raw
        if character_set == _UNICODE:
            return value.encode("utf-8", "replace")
        raise UnicodeEncodeError("character set", value, 0, 1, "no place")

    def _numbers(self, vr: str, text: str) -> bytes:
        convert = float if vr in ("FL", "FD") else int
        try:
            values = [convert(part) for part in text.split("\\") if part.strip()]
            return struct.pack(f"{self._sign}{len(values)}{_NUMBERS[vr]}", *values)
        except (ValueError, OverflowError, struct.error):
            return b""

    def _item(self, elements: Sequence[tuple[int, str, Value]], character_set: bytes) -> bytes:
        body = b"".join(
            self._element(tag, vr, self._bytes(vr, value, character_set)) for tag, vr, value in elements
        )
        return self._tag_and_length.pack(0xFFFE, 0xE000, len(body)) + body

    def _element(self, tag: int, vr: str, raw: bytes) -> bytes:
        if len(raw) & 1:
            raw += b"\0" if vr in ("UI", "OB", "UN") else b" "
        group, element = tag >> 16, tag & 0xFFFF
        if self._implicit:
            return self._tag_and_length.pack(group, element, len(raw)) + raw
        if vr in SHORT_VRS:
            if len(raw) > _LONGEST_SHORT:
                raw = b""
            return self._short.pack(group, element, vr.encode("ascii"), len(raw)) + raw
        return self._long.pack(group, element, vr.encode("ascii"), len(raw)) + raw


def _is(element: Element, key: Key) -> bool:
    if is_private(key.tag) and key.creator:
        same_place = element.tag & 0xFFFF00FF == key.tag & 0xFFFF00FF
        return same_place and element.private_creator == key.creator
    return element.tag == key.tag


def _swapped(raw: bytes, size: int) -> bytes:
    """Each word of `size` bytes with its bytes in the other order; what is left over stays."""
    whole = len(raw) - len(raw) % size
    swapped = bytearray(raw)
    for offset in range(size):
        swapped[offset:whole:size] = raw[size - 1 - offset : whole : size]
    return bytes(swapped)
