"""Reading the data set of a stored instance without the value of its pixel data.

The index remembers where the pixel data begins, so only what comes before (and, if asked for, behind) it is
read from the storage, however large the file is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.archive import headers, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment, Resource
from ithil.archive.names import DICOM
from ithil.dicom import dataset
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.encoding import Buffer
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.dicom.scan import Scan, scan
from ithil.error_codes import CodedError

_PIXEL_DATA_OFFSET = 14  # metadata
_ITEM = 0xFFFEE000
_SEQUENCE_END = 0xFFFEE0DD
_MOST_FRAGMENTS = 1_000_000

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PixelData:
    """Where the pixel data of a file is.

    `fragments` are first byte and the one after the last of each item; native pixel data has one. `end` is
    where the data set goes on.
    """

    tag: int
    vr: str
    fragments: list[Range]
    end: int


def find_instance(archive: Archive, instance_id: str) -> Resource:
    """The instance. Raises CodedError (unknown resource)."""
    instance = resources.read(archive, Level.INSTANCE, instance_id)
    if instance is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return instance


def dicom_file(instance: Resource) -> Attachment:
    """The DICOM file of an instance. Raises CodedError (inexistent file)."""
    file = instance.attachments.get(DICOM)
    if file is None:
        raise CodedError(codes.INEXISTENT_FILE)
    return file


def start_of_file(archive: Archive, instance: Resource) -> Buffer:
    """The file up to and including the header of the pixel data; all of it if there is none."""
    return headers.start_of_file(archive, dicom_file(instance), _offset(instance))


def read_header(archive: Archive, instance: Resource) -> Dataset:
    """The elements up to the pixel data, whose value is left empty. Raises DicomError."""
    return headers.read(archive, dicom_file(instance), _offset(instance))


def _offset(instance: Resource) -> int | None:
    offset = instance.metadata.get(_PIXEL_DATA_OFFSET)
    return int(offset.value) if offset is not None and offset.value.isdigit() else None


def read_whole(archive: Archive, instance: Resource) -> tuple[Dataset, PixelData | None]:
    """All elements, those after the pixel data too, and where the pixel data is.

    None if there is no pixel data with a place of its own in the file; if it is there nevertheless (in a
    deflated data set), its element has its value. Raises DicomError.
    """
    file = dicom_file(instance)
    start = start_of_file(archive, instance)
    if len(start) >= file.uncompressed_size:
        return headers.parse(archive, start, whole=True), None
    found = scan(start, frozenset(), limits=headers.limits(archive), total_size=file.uncompressed_size)
    pixels = _locate(archive, file, found)
    parsed = read_header(archive, instance)
    if pixels.end < file.uncompressed_size:
        parsed.elements += _behind(archive, file, found, pixels.end)
    return parsed, pixels


def _locate(archive: Archive, file: Attachment, found: Scan) -> PixelData:
    position = found.pixel_value_offset
    if position is None or found.pixel_data_tag is None:
        raise DicomError("The pixel data is not where the index says")
    if found.pixel_value_length is not None:
        end = position + found.pixel_value_length
        return PixelData(found.pixel_data_tag, found.pixel_data_vr, [(position, end)], end)
    fragments: list[Range] = []
    while len(fragments) < _MOST_FRAGMENTS:
        item = retrieve.read(archive, file, position, position + 8)
        if len(item) < 8:
            raise DicomError("The fragments of the pixel data have no end")
        group, element, length = struct.unpack("<HHL", item)
        position += 8
        if group << 16 | element == _SEQUENCE_END:
            return PixelData(found.pixel_data_tag, found.pixel_data_vr, fragments, position)
        if group << 16 | element != _ITEM or position + length > file.uncompressed_size:
            raise DicomError("A fragment of the pixel data is damaged")
        fragments.append((position, position + length))
        position += length
    raise DicomError("The pixel data has too many fragments")


def _behind(archive: Archive, file: Attachment, found: Scan, end: int) -> list[Element]:
    """The elements after the pixel data."""
    tail = retrieve.read(archive, file, end, file.uncompressed_size)
    return dataset.parse_span(tail, 0, len(tail), implicit=found.implicit, big_endian=found.big_endian)
