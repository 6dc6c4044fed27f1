"""The archive's refusals as Orthanc's codes: one table for the REST API and for the failures of jobs."""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive.errors import (
    FileCorrupted,
    FileMissing,
    IndexUnavailable,
    MissingIdentifier,
    ReadOnly,
    StorageFull,
    StorageUnavailable,
)
from ithil.dicom.errors import DicomError
from ithil.error_codes import CodedError
from ithil.pixels.errors import PixelError

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (StorageFull, codes.FULL_STORAGE),
    (StorageUnavailable, codes.CANNOT_WRITE_FILE),
    (FileMissing, codes.INEXISTENT_FILE),
    (FileCorrupted, codes.CORRUPTED_FILE),
    (IndexUnavailable, codes.DATABASE_UNAVAILABLE),
    (ReadOnly, codes.READ_ONLY),
    (DicomError, codes.BAD_FILE_FORMAT),
    (PixelError, codes.BAD_FILE_FORMAT),
)


def coded(error: BaseException) -> CodedError | None:
    """The refusal that stands for an exception that was raised on purpose; None for what nobody foresaw."""
    if isinstance(error, CodedError):
        return error
    if isinstance(error, MissingIdentifier):
        return CodedError(codes.INEXISTENT_TAG)
    for kind, code in _CODES:
        if isinstance(error, kind):
            return CodedError(code, str(error))
    if isinstance(error, MemoryError):
        return CodedError(codes.NOT_ENOUGH_MEMORY)
    return None
