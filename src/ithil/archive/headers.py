"""The headers of instances as element trees: of one, or of many, one after the other.

The index remembers where the pixel data begins, so only what comes before is read from the storage. Of many
instances the index is asked for some hundred at a time, so that neither their number nor their size is felt
in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ithil.archive import retrieve
from ithil.archive.archive import Archive
from ithil.archive.index import read as index
from ithil.archive.model import Attachment
from ithil.dicom import dataset
from ithil.dicom.dataset import Dataset
from ithil.dicom.encoding import Buffer, ScanLimits
from ithil.dicom.errors import DicomError

BATCH = 200
_ELEMENT_HEADER = 16  # bytes, enough for the header of the pixel data in every syntax


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


def start_of_file(archive: Archive, file: Attachment, pixel_data_offset: int | None) -> bytes:
    """The file up to and including the header of the pixel data; all of it if that has no known place."""
    if pixel_data_offset is None:
        return retrieve.read(archive, file)
    return retrieve.read(archive, file, 0, pixel_data_offset + _ELEMENT_HEADER)


def read(archive: Archive, file: Attachment, pixel_data_offset: int | None) -> Dataset:
    """The elements up to the pixel data, whose value is left empty. Raises DicomError."""
    start = start_of_file(archive, file, pixel_data_offset)
    try:
        return parse(archive, start)
    except DicomError:
        # Pixel data of floating point numbers is an element like any other to the parser.
        if len(start) == file.uncompressed_size:
            raise
        return parse(archive, retrieve.read(archive, file))


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
