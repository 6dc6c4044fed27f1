"""Reading the header of a stored instance: everything before the value of its pixel data.

Only that part of the file is read, since the index remembers where the pixel data begins.
"""

from __future__ import annotations

from ithil.archive import resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.model import Resource
from ithil.dicom import dataset
from ithil.dicom.dataset import Dataset
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.level import Level
from ithil.rest import errors
from ithil.rest.errors import RestError
from ithil.rest.names import DICOM

_PIXEL_DATA_OFFSET = 14  # metadata
_ELEMENT_HEADER = 16  # bytes, enough for the header of the pixel data in every syntax


def find_instance(archive: Archive, instance_id: str) -> Resource:
    """The instance. Raises RestError (unknown resource)."""
    instance = resources.read(archive, Level.INSTANCE, instance_id)
    if instance is None:
        raise RestError(errors.UNKNOWN_RESOURCE)
    return instance


def file_until_pixel_data(archive: Archive, instance: Resource) -> bytes:
    """The file up to and including the header of the pixel data; all of it if there is none."""
    file = instance.attachments.get(DICOM)
    if file is None:
        raise RestError(errors.INEXISTENT_FILE)
    offset = instance.metadata.get(_PIXEL_DATA_OFFSET)
    if offset is None or not offset.value.isdigit():
        return retrieve.read(archive, file)
    return retrieve.read(archive, file, 0, int(offset.value) + _ELEMENT_HEADER)


def whole_file(archive: Archive, instance: Resource) -> bytes:
    """The whole file."""
    file = instance.attachments.get(DICOM)
    if file is None:
        raise RestError(errors.INEXISTENT_FILE)
    return retrieve.read(archive, file)


def parse(archive: Archive, content: bytes, *, whole: bool = False) -> Dataset:
    """The data set in `content`, with the limits and the encoding of the settings.

    With `whole`, what comes after the pixel data is there as well. Raises DicomError.
    """
    settings = archive.settings
    return dataset.parse(
        content,
        stop_at_pixel_data=not whole,
        limits=ScanLimits(
            maximum_depth=settings.ithil.maximum_sequence_depth,
            maximum_elements=settings.ithil.maximum_elements,
        ),
        default_encoding=settings.default_encoding,
    )
