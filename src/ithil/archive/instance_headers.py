"""The headers of instances for DICOM JSON and XML: everything but the pixel data, of files of any size.

The index remembers where the pixel data begins, so only what comes before is read. A file without pixel data,
such as a document, may hold a value of gigabytes in its midst: large ones are mapped and not read, and only
the pages that are looked at come into memory.
"""

from __future__ import annotations

import mmap
import tempfile

from ithil.archive import headers, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted
from ithil.archive.model import Attachment
from ithil.archive.storage import compression
from ithil.archive.storage.local import refusal
from ithil.dicom.dataset import Dataset
from ithil.dicom.encoding import Buffer
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of
from ithil.dicom.series_json import pixel_data_element

LARGEST_READ = retrieve.PIECE
"""Bytes of the largest file without pixel data that is read and not mapped."""

_ELEMENT_HEADER = 16  # bytes, enough for the header of the pixel data in every syntax


def start_of_file(archive: Archive, file: Attachment, pixel_data_offset: int | None) -> Buffer:
    """The file as far as the header of its pixel data, all of it if it has none.

    Raises FileMissing, FileCorrupted, StorageUnavailable.
    """
    if pixel_data_offset is not None:
        return retrieve.read(archive, file, 0, pixel_data_offset + _ELEMENT_HEADER)
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
    """The elements as far as the pixel data, whose value is left empty.

    Raises DicomError, and what `start_of_file` raises.
    """
    content = start_of_file(archive, file, pixel_data_offset)
    if pixel_data_offset is None:
        return headers.parse(archive, content)
    parsed = headers.parse(archive, memoryview(content)[:pixel_data_offset])
    meta = read_file_meta(content, len(content))
    syntax = syntax_of(content, meta.dataset_offset, meta.transfer_syntax_uid)
    implicit = is_implicit(content, meta.dataset_offset, syntax)
    parsed.elements.append(pixel_data_element(content, pixel_data_offset, syntax, implicit))
    return parsed
