"""The headers of instances: everything but the pixel data, of one, or of many, one after the other.

The index remembers where the pixel data begins, so only what comes before is read from the storage. A file
without pixel data, such as a document, may hold a value of gigabytes in its midst: large ones are mapped and
not read, and only the pages that are looked at come into memory. Of many instances the index is asked for some
hundred at a time. So neither their number nor their size is felt in memory.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Sequence

from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.index import read as index
from ithil.archive.model import Attachment
from ithil.archive.storage import compression
from ithil.archive.storage.local import refusal
from ithil.dicom import dataset
from ithil.dicom.dataset import Dataset
from ithil.dicom.encoding import Buffer, ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of
from ithil.dicom.series_json import pixel_data_element

BATCH = 200

LARGEST_READ = retrieve.PIECE
"""Bytes of the largest file without pixel data that is read and not mapped."""

UNREADABLE = (FileMissing, FileCorrupted, DicomError)
"""What is raised for the file of one instance, which says nothing about the next one."""

PIXEL_DATA_HEADER = 16  # bytes, enough for the header of the pixel data in every syntax


def limits(archive: Archive) -> ScanLimits:
    """The bounds of parsing that the settings give."""
    settings = archive.settings.ithil
    return ScanLimits(
        maximum_depth=settings.maximum_sequence_depth, maximum_elements=settings.maximum_elements
    )


def parse(archive: Archive, content: Buffer, *, whole: bool = False) -> Dataset:
    """The elements of a file up to the pixel data, or with `whole` all of them. Raises DicomError."""
    return dataset.parse(
        content,
        stop_at_pixel_data=not whole,
        limits=limits(archive),
        default_encoding=archive.default_encoding,
    )


def start_of_file(archive: Archive, file: Attachment, pixel_data_offset: int | None) -> Buffer:
    """The file up to and including the header of the pixel data; all of it if that has no known place.

    Raises FileMissing, FileCorrupted, StorageUnavailable.
    """
    if pixel_data_offset is not None:
        return retrieve.read(archive, file, 0, pixel_data_offset + PIXEL_DATA_HEADER)
    if file.uncompressed_size <= LARGEST_READ:
        return retrieve.read(archive, file)
    return mapped(archive, file)


def mapped(archive: Archive, file: Attachment) -> mmap.mmap:
    """A file mapped for reading. It may be removed meanwhile. Raises what `start_of_file` raises."""
    if file.compression == compression.NONE:
        with archive.storage.open(file.uuid) as stored:
            if stored.size != file.compressed_size or not stored.size:
                raise FileCorrupted("A stored file does not have the size that the index remembers")
            return stored.view()
    try:
        with tempfile.TemporaryFile(dir=archive.settings.temporary_directory) as plain:
            for piece in retrieve.pieces(archive, file):
                plain.write(piece)
            plain.flush()
            return mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise refusal(error if isinstance(error, OSError) else OSError()) from error


def read(archive: Archive, file: Attachment, pixel_data_offset: int | None) -> Dataset:
    """The elements up to the pixel data of any kind, whose value is left empty.

    Raises DicomError, and what `start_of_file` raises.
    """
    content = start_of_file(archive, file, pixel_data_offset)
    if pixel_data_offset is None:
        return parse(archive, content)
    # Pixel data of floating point numbers is an element like any other to the parser, so it ends before it.
    parsed = parse(archive, memoryview(content)[:pixel_data_offset])
    meta = read_file_meta(content, len(content))
    syntax = syntax_of(content, meta.dataset_offset, meta.transfer_syntax_uid)
    implicit = is_implicit(content, meta.dataset_offset, syntax)
    parsed.elements.append(pixel_data_element(content, pixel_data_offset, syntax, implicit))
    return parsed


def read_many(archive: Archive, instance_ids: Sequence[str]) -> Iterator[tuple[str, Dataset]]:
    """The same for many instances, in their order, without those that are deleted meanwhile.

    Raises DicomError, FileMissing, FileCorrupted or StorageUnavailable at an instance that cannot be read.
    """
    for first in range(0, len(instance_ids), BATCH):
        chunk = instance_ids[first : first + BATCH]
        with archive.index.read() as session:
            files = index.dicom_files(session, chunk)
        for instance_id in chunk:
            found = files.get(instance_id)
            if found is not None:
                yield instance_id, read(archive, found[1], found[0])
