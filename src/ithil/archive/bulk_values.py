"""The values that DICOM JSON and XML leave out: finding one by the path of its address, and its bytes.

Nothing of a value is read before it is asked for: pixel data is a part of the file or its frames, any other
value a view of the file, which is mapped if it is large. Values are in little endian, those of encapsulated
pixel data come frame by frame, and a document comes without the byte that made its length even.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ithil.archive import headers, retrieve, stored_frames
from ithil.archive.archive import Archive
from ithil.archive.bulk_data import bulk_data_uris
from ithil.archive.errors import FileCorrupted
from ithil.archive.headers import start_of_file
from ithil.archive.model import Attachment
from ithil.archive.uids import Located
from ithil.dicom import charsets
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.json_model import JsonWriter
from ithil.dicom.native_values import PIXEL_DATA_TAGS, hidden_items, little_endian, true_vr
from ithil.dicom.scan import scan
from ithil.dicom.uids import transfer_syntax
from ithil.dicom.values import clean_text

OCTET_STREAM = "application/octet-stream"

_DOCUMENT, _MEDIA_TYPE, _DOCUMENT_LENGTH = 0x00420011, 0x00420012, 0x00420015
_DOCUMENT_TYPES = frozenset({"application/pdf", "text/xml", "model/stl", "model/obj", "model/mtl"})
"""Media types of documents (PS3.3 A.45) that are told to clients; a stranger may have written any other."""

_SWAPPED = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8}

Section = Callable[[int, int], Iterator[bytes]]
"""Gives the bytes from one offset up to another, which is excluded, in pieces of bounded size."""


@dataclass(frozen=True, slots=True)
class BulkPart:
    """Bytes that belong together: a value, or one frame of it."""

    size: int
    section: Section


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value: its parts, and the transfer syntax of its frames or else the media type of a document."""

    path: tuple[int, ...]
    parts: tuple[BulkPart, ...]
    transfer_syntax: str = ""
    media_type: str = OCTET_STREAM


def find(archive: Archive, located: Located, path: tuple[int, ...]) -> BulkValue | None:
    """The value at a path of tag, number of an item from 0, tag ...; None if there is none.

    Raises DicomError and PixelError for a file that is damaged, and what reading a file raises.
    """
    if len(path) == 1 and path[0] in PIXEL_DATA_TAGS and located.pixel_data_offset is not None:
        pixels = _pixel_data(archive, located, located.pixel_data_offset)
        return pixels if pixels.path == path else None
    parsed = _parse(archive, located)
    element = _element(parsed, path)
    return None if element is None else _value(parsed, path, element)


def find_all(archive: Archive, located: Located) -> Iterator[BulkValue]:
    """All values that DICOM JSON leaves out, those of pixel data last. Raises what `find` raises.

    That a file has been lost or cut off is told before the first value, which may be read from memory.
    """
    _expect_whole(archive, located.file)
    parsed = _parse(archive, located)
    decide = bulk_data_uris("", archive.settings.dicom_web.other_binary_mode)
    left_out: list[tuple[tuple[int, ...], Element]] = []

    def note(path: tuple[int, ...], element: Element) -> str | None:
        uri = decide(path, element)
        if uri is not None:
            left_out.append((path, element))
        return uri

    inherited = charsets.decoder(None, parsed.default_encoding)
    JsonWriter(parsed, note).data_set(parsed.elements, inherited, (), False, 0)
    for path, element in left_out:
        yield _value(parsed, path, element)
    if located.pixel_data_offset is not None:
        yield _pixel_data(archive, located, located.pixel_data_offset)


def _expect_whole(archive: Archive, file: Attachment) -> None:
    with archive.storage.open(file.uuid) as stored:
        if stored.size != file.compressed_size:
            raise FileCorrupted("A stored file does not have the size that the index remembers")


def _parse(archive: Archive, located: Located) -> Dataset:
    offset = located.pixel_data_offset
    content = start_of_file(archive, located.file, offset)
    return headers.parse(archive, memoryview(content)[:offset], whole=True)


def _element(parsed: Dataset, path: tuple[int, ...]) -> Element | None:
    """The element at a path that is no sequence; also inside of sequences that were sent as UN."""
    elements: list[Element] = parsed.elements
    for place in range(0, len(path), 2):
        found = next((one for one in elements if one.tag == path[place]), None)
        if found is None:
            return None
        items = found.items
        if items is None and true_vr(found, False) == "SQ":
            items = hidden_items(found, parsed.sign)
        if place == len(path) - 1:
            return found if items is None else None
        if items is None or path[place + 1] >= len(items):
            return None
        elements = items[path[place + 1]]
    return None


def _value(parsed: Dataset, path: tuple[int, ...], element: Element) -> BulkValue:
    view = element.value
    if parsed.big_endian:
        view = memoryview(_in_little_endian(element, parsed))
    media_type = OCTET_STREAM
    if path == (_DOCUMENT,):
        media_type, size = _document(parsed, len(view))
        view = view[:size]
    return BulkValue(path, (BulkPart(len(view), _viewed(view)),), media_type=media_type)


def _in_little_endian(element: Element, parsed: Dataset) -> bytes:
    raw = bytes(element.value)
    size = _SWAPPED.get(element.vr)
    if size is None or len(raw) % size:
        return little_endian(element.vr, raw, parsed.sign)
    return little_endian({2: "OW", 4: "OL", 8: "OV"}[size], raw, parsed.sign)


def _document(parsed: Dataset, size: int) -> tuple[str, int]:
    """The media type of an encapsulated document and its number of bytes (PS3.3 C.24.2)."""
    found = parsed.find(_MEDIA_TYPE)
    text = clean_text(bytes(found.value[:64]), parsed.decode).strip().lower() if found is not None else ""
    length = parsed.find(_DOCUMENT_LENGTH)
    if length is not None and len(length.value) == 4:
        announced = int.from_bytes(length.value, "big" if parsed.big_endian else "little")
        size = announced if announced == size - 1 else size
    return text if text in _DOCUMENT_TYPES else OCTET_STREAM, size


def _viewed(view: memoryview) -> Section:
    def give(start: int, end: int) -> Iterator[bytes]:
        for position in range(start, end, retrieve.PIECE):
            yield bytes(view[position : min(position + retrieve.PIECE, end)])

    return give


def _pixel_data(archive: Archive, located: Located, offset: int) -> BulkValue:
    """Pixel data of any kind that has a place in the file."""
    file = located.file
    start = start_of_file(archive, file, offset)
    walked = scan(start, frozenset(), limits=headers.limits(archive), total_size=file.uncompressed_size)
    tag, value, length = walked.pixel_data_tag, walked.pixel_value_offset, walked.pixel_value_length
    if walked.pixel_data_offset != offset or tag is None or value is None:
        raise FileCorrupted("The pixel data is not where the index says")
    if length is not None and not walked.big_endian:

        def section(first: int, last: int) -> Iterator[bytes]:
            return retrieve.pieces(archive, file, value + first, value + last)

        return BulkValue((tag,), (BulkPart(length, section),))
    stored = stored_frames.stored_frames(archive, located)
    parts = tuple(_frame(archive, stored, number) for number in range(stored.count))
    if not transfer_syntax(located.transfer_syntax).encapsulated:
        return BulkValue((tag,), (_joined(parts),))
    return BulkValue((tag,), parts, stored.transfer_syntax)


def _frame(archive: Archive, stored: stored_frames.StoredFrames, number: int) -> BulkPart:
    def section(start: int, end: int) -> Iterator[bytes]:
        return stored_frames.pieces(archive, stored, number, start, end)

    return BulkPart(stored.size(number), section)


def _joined(parts: tuple[BulkPart, ...]) -> BulkPart:
    """Native frames as the one value that they are."""

    def section(start: int, end: int) -> Iterator[bytes]:
        position = 0
        for part in parts:
            first, last = max(start - position, 0), min(end - position, part.size)
            if first < last:
                yield from part.section(first, last)
            position += part.size

    return BulkPart(sum(part.size for part in parts), section)
