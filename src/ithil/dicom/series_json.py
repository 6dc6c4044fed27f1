"""DICOM JSON (PS3.18 F) of many headers that are much alike, such as those of one series.

The headers of two slices of a scan differ in a dozen elements out of a hundred. So each header is compared
with the one before, element by element and byte by byte; what is equal is not parsed and converted again, its
JSON is taken over. That costs a tenth of the parser and the writer, whose answer it always is.

An element means the same only while what it depends on is the same: the transfer syntax, SpecificCharacterSet,
PixelRepresentation and the private creators. From the first of these that differs on, nothing is taken over.
Whatever is unusual (big endian, deflated, elements out of order, damage) goes to the ordinary parser.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ithil.dicom import charsets, dataset, dictionary
from ithil.dicom.dataset import Dataset, Element, parse_span
from ithil.dicom.encoding import LITTLE, UNDEFINED, Buffer, ScanLimits, element_header, skip_undefined
from ithil.dicom.errors import DicomError
from ithil.dicom.json_model import FROM_TEXT, JsonWriter
from ithil.dicom.native_values import (
    BULK_DATA_SIZE,
    CHARACTER_SET,
    PIXEL_REPRESENTATION,
    BulkDataUri,
    is_group_length,
)
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of
from ithil.dicom.uids import TransferSyntax

_PALETTE_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103})
_FIRST_DELIMITER = 0xFFFEE000
_SOP_INSTANCE_UID = LITTLE.key(0x00020003)
_NO_VALUE = memoryview(b"")

_Note = tuple[int, bytes]
"""The tag and value of an element on which others depend."""


class _Known(NamedTuple):
    """An element of the headers before, or a run of elements that follow each other and have not changed."""

    raw: bytes  # none if the JSON is not to be taken over
    tag: int  # of a run, that of the last
    json: bytes
    notes: tuple[_Note, ...] = ()
    elements: tuple[_Known, ...] = ()  # of a run


class _Beginning(NamedTuple):
    """What the file meta information says. It is the same in all files that begin alike but for their UID."""

    before: bytes  # up to the value of MediaStorageSOPInstanceUID, whose length it ends with
    place: int  # behind that value; 0 if this is not to be taken over
    after: bytes  # what stands there, the header of the first element of the data set included
    start: int  # of the data set
    syntax: TransferSyntax
    implicit: bool


class _Unusual(Exception):
    """The header is left to the ordinary parser."""


class _Links:
    """Passes questions for bulk data URIs on, and remembers whether one was given."""

    def __init__(self, bulk_data_uri: BulkDataUri) -> None:
        self._bulk_data_uri = bulk_data_uri
        self.given = False

    def __call__(self, path: tuple[int, ...], element: Element) -> str | None:
        uri = self._bulk_data_uri(path, element)
        if uri is not None:
            self.given = True
        return uri


class SeriesJson:
    """Writes header after header; not for several threads."""

    def __init__(self, limits: ScanLimits, default_encoding: str, *, arrays: bool = False) -> None:
        """For `arrays` see `JsonWriter`."""
        self._arrays = arrays
        self._limits = limits
        self._default_encoding = default_encoding
        self._known: list[_Known] = []
        self._changing: set[int] = set()
        self._steady = -1  # how many elements and runs there are when no more can be joined
        self._syntax: tuple[TransferSyntax, bool] | None = None
        self._beginning: _Beginning | None = None
        self._pixels: tuple[bytes, Element] | None = None  # tag and VR of the pixel data, and its element

    def write(self, content: Buffer, pixel_data_offset: int | None, bulk_data_uri: BulkDataUri) -> bytes:
        """The JSON object of one instance.

        `content` is its file, at least as far as the header of its pixel data, which is a bulk data URI if
        `bulk_data_uri` gives one and has no value else. Raises DicomError.
        """
        begin = self._beginning
        if (
            begin is None
            or not begin.place
            or not isinstance(content, bytes)
            or not content.startswith(begin.before)
            or not content.startswith(begin.after, begin.place)
        ):
            begin = self._beginning = _beginning(content)
            self._pixels = None
        start, syntax, implicit = begin.start, begin.syntax, begin.implicit
        end = len(content) if pixel_data_offset is None else pixel_data_offset
        attributes = None
        if isinstance(content, bytes) and not syntax.deflated and not syntax.big_endian:
            if self._syntax != (syntax, implicit):
                self._syntax, self._known, self._steady = (syntax, implicit), [], -1
            try:
                attributes = self._walk(content, start, end, bulk_data_uri)
            except (_Unusual, struct.error, DicomError):  # the ordinary parser has the last word
                self._known, self._steady = [], -1
        if attributes is None:
            attributes = self._parse(content, pixel_data_offset, bulk_data_uri)
        if pixel_data_offset is not None:
            head = bytes(content[pixel_data_offset : pixel_data_offset + 6])
            if self._pixels is None or self._pixels[0] != head:
                self._pixels = head, pixel_data_element(content, pixel_data_offset, syntax, implicit)
            attributes.append(_pixel_data(self._pixels[1], bulk_data_uri))
        return b"{" + b",".join(attributes) + b"}"

    def _parse(self, content: Buffer, offset: int | None, bulk_data_uri: BulkDataUri) -> list[bytes]:
        """The ordinary way. With the `offset` of the pixel data, all before it."""
        parsed = dataset.parse(
            content if offset is None else memoryview(content)[:offset],
            limits=self._limits,
            default_encoding=self._default_encoding,
        )
        writer = JsonWriter(parsed, bulk_data_uri, arrays=self._arrays)
        inherited = charsets.decoder(None, self._default_encoding)
        found = writer.data_set(parsed.elements, inherited, (), False, 0)
        return [orjson.dumps({name: value})[1:-1] for name, value in found.items()]

    def _walk(self, content: bytes, position: int, end: int, bulk_data_uri: BulkDataUri) -> list[bytes]:
        """The attributes between two offsets, those without pixel data."""
        assert self._syntax is not None
        syntax, implicit = self._syntax
        links = _Links(bulk_data_uri)
        empty = Dataset([], syntax.uid, False, self._default_encoding)
        writer = JsonWriter(empty, links, arrays=self._arrays)
        converter = _Converter(content, end, implicit, self._limits, writer, links)
        known, place, last = list(self._known), 0, -1
        met: list[_Known] = []
        taken: set[int] = set()  # places in `met`
        starts_with = content.startswith
        while position < end:
            if place < len(known):
                raw, tag, _, notes, elements = before = known[place]
                if raw and starts_with(raw, position):
                    position += len(raw)
                    place += 1
                    taken.add(len(met))
                    met.append(before)
                    last = tag
                    for note in notes:
                        converter.note(note)
                    continue
                if elements:
                    known[place : place + 1] = elements
                    self._steady = -1
                    continue
            key = LITTLE.implicit(content, position)[0]
            tag = (key & 0xFFFF) << 16 | key >> 16
            if tag <= last or tag >= _FIRST_DELIMITER:
                raise _Unusual
            expected = known[place] if place < len(known) else None
            if expected is not None and expected.tag < tag:
                # It is not there any more; if others depend on it, they may mean something else now.
                known, place = ([], 0) if expected.notes else (known, place + 1)
                continue
            made, position = converter.convert(tag, position)
            if made.notes:
                known, place = [], 0
            elif expected is not None and expected.tag == tag:
                self._changing.add(tag)
                place += 1
            met.append(made)
            last = tag
        if position > end:
            raise _Unusual
        if len(met) == self._steady:
            self._known = met
        else:
            self._known = _joined(met, taken, self._changing)
            joined_all = len(met) == len(self._known) and all(
                place in taken or one.tag in self._changing for place, one in enumerate(met)
            )
            self._steady = len(met) if joined_all else -1
        return [one.json for one in met if one.json]


def _joined(met: list[_Known], taken: set[int], changing: set[int]) -> list[_Known]:
    """The elements of a header with those that stay the same in runs.

    `taken` are the places of those that were as before, `changing` the tags of elements that often are not.
    """
    result: list[_Known] = []
    run: list[_Known] = []
    for place, one in enumerate(met):
        if place in taken and (one.elements or one.tag not in changing):
            run.append(one)
            continue
        if run:
            result.append(_run(run))
            run = []
        result.append(one)
    if run:
        result.append(_run(run))
    return result


def _run(parts: list[_Known]) -> _Known:
    if len(parts) == 1:
        return parts[0]
    return _Known(
        b"".join([part.raw for part in parts]),
        parts[-1].tag,
        b",".join([part.json for part in parts if part.json]),
        tuple(note for part in parts for note in part.notes),
        tuple(element for part in parts for element in part.elements or (part,)),
    )


class _Converter:
    """Reads and converts single elements of one header, and knows what those so far say about the others."""

    def __init__(
        self,
        content: bytes,
        end: int,
        implicit: bool,
        limits: ScanLimits,
        writer: JsonWriter,
        links: _Links,
    ) -> None:
        self._content = content
        self._view = memoryview(content)
        self._end = end
        self._implicit = implicit
        self._limits = limits
        self._default_encoding = writer.default_encoding
        self._links = links
        self._attribute = writer.attribute
        self._decode = _decoder(None, writer.default_encoding)
        self._signed = False
        self._choice = "OW"  # what US or SS is in implicit VR
        self._creators: dict[int, str] = {}

    def convert(self, tag: int, position: int) -> tuple[_Known, int]:
        """What is known of the element at `position` from now on, and the offset behind it.

        Raises _Unusual, struct.error or DicomError for what the ordinary parser is to look at.
        """
        if not self._implicit:
            plain = self._plain_text(tag, position)
            if plain is not None:
                return plain
        element, following = self._element(tag, position)
        if is_group_length(tag):
            return _Known(self._content[position:following], tag, b""), following
        self._links.given = False
        found = self._attribute(element, self._decode, (), self._signed, 0)
        text = b'"%b":%b' % (_digits(tag), orjson.dumps(found))
        raw = b"" if self._links.given else self._content[position:following]
        if tag not in (CHARACTER_SET, PIXEL_REPRESENTATION) and not _is_creator(element):
            return _Known(raw, tag, text), following
        note = (tag, bytes(element.value))
        self.note(note)
        return _Known(raw, tag, text, (note,)), following

    def _plain_text(self, tag: int, position: int) -> tuple[_Known, int] | None:
        """The same for short values of ASCII text, by far the most, without an element and a dictionary."""
        content = self._content
        _, code, length = LITTLE.header(content, position)
        form = _TEXT_FORMS.get(code)
        following = position + 8 + length
        if form is None or length & 1 or length > BULK_DATA_SIZE or following > self._end:
            return None
        raw = content[position + 8 : following].rstrip(b"\0 ")
        if not raw or not raw.isascii() or 0 in raw or 0x1B in raw:
            return None
        if tag == CHARACTER_SET or dictionary.is_private_creator(tag):
            return None
        template, of_text = form
        text = str(raw, "ascii")
        if "\\" in text:
            texts = [part.rstrip(" ") for part in text.split("\\")]
            values: list[Any] = [(of_text(part) if of_text else part) if part else None for part in texts]
        else:
            values = [of_text(text) if of_text else text]
        json = template % (_digits(tag), orjson.dumps(values))
        return _Known(content[position:following], tag, json), following

    def note(self, note: _Note) -> None:
        """Remember what an element says about those that follow."""
        tag, value = note
        if tag == CHARACTER_SET:
            self._decode = _decoder(value, self._default_encoding)
        elif tag == PIXEL_REPRESENTATION:
            self._signed = any(value[:2])
            self._choice = "SS" if self._signed else "US"
        else:
            self._creators[tag] = value.rstrip(b"\0 ").decode("latin_1")

    def _element(self, tag: int, position: int) -> tuple[Element, int]:
        content = self._content
        creator = ""
        if tag & 0x10000 and tag & 0xFFFF > 0xFF:
            creator = self._creators.get((tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8, "")
        if self._implicit:
            length = LITTLE.implicit(content, position)[1]
            start = position + 8
            vr = dictionary.tag_vr(tag, creator)
            if dictionary.may_be_signed(tag):
                vr = "OW" if tag in _PALETTE_DESCRIPTORS else self._choice
        else:
            _, code, length = LITTLE.header(content, position)
            start = position + 8
            if code in LITTLE.long:
                length = LITTLE.u32(content, start)[0]
                start += 4
            elif code not in LITTLE.short:
                raise _Unusual
            vr = LITTLE.vr_names[code]
        if length == UNDEFINED:
            implicit = self._implicit or vr == "UN"
            following = skip_undefined(content, start, self._end, implicit, LITTLE, self._limits)
            return self._nested(position, following), following
        following = start + length
        if following > self._end:
            raise _Unusual
        if vr == "SQ":
            return self._nested(position, following), following
        return Element(tag, vr, self._view[start:following], None, creator), following

    def _nested(self, position: int, following: int) -> Element:
        """A sequence with its items. Raises DicomError."""
        found = parse_span(
            self._content,
            position,
            following,
            implicit=self._implicit,
            big_endian=False,
            limits=self._limits,
            choice=self._choice,
            creators=self._creators,
        )
        if len(found) != 1:
            raise _Unusual
        return found[0]


_TEXT_FORMS: dict[int, tuple[bytes, Callable[[str], Any] | None]] = {
    LITTLE.vr(vr): (b'"%%b":{"vr":"%b","Value":%%b}' % vr.encode(), FROM_TEXT.get(vr))
    for vr in ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI")
}
"""VRs of text of which there can be several values: how the attribute looks, and what a value becomes."""


@lru_cache(maxsize=16384)
def _digits(tag: int) -> bytes:
    return b"%08X" % tag


def _beginning(content: Buffer) -> _Beginning:
    """What the file meta information of a file says. Raises DicomError."""
    meta = read_file_meta(content, len(content))
    start = meta.dataset_offset
    syntax = syntax_of(content, start, meta.transfer_syntax_uid)
    implicit = is_implicit(content, start, syntax)
    position, uid, behind = meta.meta_offset, 0, 0
    while meta.has_meta and not meta.truncated and position < start <= len(content) - 8:
        key, vr, value, length = element_header(content, position, len(content), False, LITTLE)
        if vr not in LITTLE.vr_names:  # how long it is depends on the size of the file
            return _Beginning(b"", 0, b"", start, syntax, implicit)
        position = value + length
        if key == _SOP_INSTANCE_UID:
            uid, behind = value, position
    before, after = bytes(content[:uid]), bytes(content[behind : start + 8])
    return _Beginning(before, behind, after, start, syntax, implicit)


def _is_creator(element: Element) -> bool:
    return dictionary.is_private_creator(element.tag) and element.vr != "UN"


_decoder = lru_cache(maxsize=256)(charsets.decoder)


def pixel_data_element(content: Buffer, offset: int, syntax: TransferSyntax, implicit: bool) -> Element:
    """The element of pixel data whose header is at `offset`, without its value. Raises DicomError."""
    try:
        group, number = struct.unpack_from(">HH" if syntax.big_endian else "<HH", content, offset)
    except struct.error:
        raise DicomError("the data set is cut off before its pixel data") from None
    tag = group << 16 | number
    vr = dictionary.tag_vr(tag)
    if not implicit:
        vr = bytes(content[offset + 4 : offset + 6]).decode("latin_1")
    return Element(tag, vr, _NO_VALUE)


def _pixel_data(element: Element, bulk_data_uri: BulkDataUri) -> bytes:
    uri = bulk_data_uri((element.tag,), element)
    value = {"vr": element.vr} if uri is None else {"vr": element.vr, "BulkDataURI": uri}
    return b'"%b":%b' % (_digits(element.tag), orjson.dumps(value))
