"""Orthanc's error codes, and how whatever goes wrong becomes one of them.

Clients look at `OrthancStatus` in the body and at the HTTP status. Both derive from the code alone, so a
handler only names the code; the text of `Message` belongs to the code as well. `Details` is free text for
people. Neither ever quotes what is stored.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

import orjson

from ithil.archive.errors import (
    ArchiveError,
    FileCorrupted,
    FileMissing,
    IndexUnavailable,
    MissingIdentifier,
    ReadOnly,
    StorageFull,
    StorageUnavailable,
)
from ithil.dicom.errors import DicomError

log = logging.getLogger(__name__)

INTERNAL_ERROR = -1
NOT_IMPLEMENTED = 2
PARAMETER_OUT_OF_RANGE = 3
NOT_ENOUGH_MEMORY = 4
BAD_PARAMETER_TYPE = 5
INEXISTENT_ITEM = 7
BAD_REQUEST = 8
NETWORK_PROTOCOL = 9
BAD_URI = 12
INEXISTENT_FILE = 13
CANNOT_WRITE_FILE = 14
BAD_FILE_FORMAT = 15
UNKNOWN_RESOURCE = 17
FULL_STORAGE = 19
CORRUPTED_FILE = 20
INEXISTENT_TAG = 21
READ_ONLY = 22
UNKNOWN_DICOM_TAG = 27
BAD_JSON = 28
UNAUTHORIZED = 29
NOT_ACCEPTABLE = 34
DATABASE_UNAVAILABLE = 36
BAD_RANGE = 41
REVISION = 43
FORBIDDEN_ACCESS = 45
DUPLICATE_RESOURCE = 46
UNSUPPORTED_MEDIA_TYPE = 3000

MESSAGES = {
    INTERNAL_ERROR: "Internal error",
    NOT_IMPLEMENTED: "Not implemented yet",
    PARAMETER_OUT_OF_RANGE: "Parameter out of range",
    NOT_ENOUGH_MEMORY: "The server hosting Orthanc is running out of memory",
    BAD_PARAMETER_TYPE: "Bad type for a parameter",
    INEXISTENT_ITEM: "Accessing an inexistent item",
    BAD_REQUEST: "Bad request",
    NETWORK_PROTOCOL: "Error in the network protocol",
    BAD_URI: "Badly formatted URI",
    INEXISTENT_FILE: "Inexistent file",
    CANNOT_WRITE_FILE: "Cannot write to file",
    BAD_FILE_FORMAT: "Bad file format",
    UNKNOWN_RESOURCE: "Unknown resource",
    FULL_STORAGE: "The file storage is full",
    CORRUPTED_FILE: "Corrupted file (e.g. inconsistent MD5 hash)",
    INEXISTENT_TAG: "Inexistent tag",
    READ_ONLY: "Cannot modify a read-only data structure",
    UNKNOWN_DICOM_TAG: "Unknown DICOM tag",
    BAD_JSON: "Cannot parse a JSON document",
    UNAUTHORIZED: "Bad credentials were provided to an HTTP request",
    NOT_ACCEPTABLE: "Cannot send a response which is acceptable according to the Accept HTTP header",
    DATABASE_UNAVAILABLE: "The database is currently not available (probably a transient situation)",
    BAD_RANGE: "Incorrect range request",
    REVISION: ("A bad revision number was provided, which might indicate conflict between multiple writers"),
    FORBIDDEN_ACCESS: "Forbidden access",
    DUPLICATE_RESOURCE: "Duplicate resource",
    UNSUPPORTED_MEDIA_TYPE: "Unsupported media type",
}
"""The text of each code that this server answers with, word for word as clients know it."""

STATUSES = {
    PARAMETER_OUT_OF_RANGE: 400,
    BAD_PARAMETER_TYPE: 400,
    BAD_REQUEST: 400,
    BAD_URI: 400,
    BAD_FILE_FORMAT: 400,
    BAD_JSON: 400,
    UNAUTHORIZED: 401,
    FORBIDDEN_ACCESS: 403,
    INEXISTENT_ITEM: 404,
    INEXISTENT_FILE: 404,
    UNKNOWN_RESOURCE: 404,
    INEXISTENT_TAG: 404,
    NOT_ACCEPTABLE: 406,
    REVISION: 409,
    DUPLICATE_RESOURCE: 409,
    UNSUPPORTED_MEDIA_TYPE: 415,
    BAD_RANGE: 416,
    DATABASE_UNAVAILABLE: 503,
    FULL_STORAGE: 507,
}
"""The HTTP status of each code; every other code is 500."""


class RestError(Exception):
    """A refusal that a handler makes on purpose.

    Parameters:
        code: one of Orthanc's error codes, from which the HTTP status follows.
        details: one sentence for people; never quotes stored values.
        status: an HTTP status other than the one of the code.
    """

    def __init__(self, code: int, details: str = "", *, status: int | None = None) -> None:
        super().__init__(details or MESSAGES[code])
        self.code = code
        self.details = details
        self.status = STATUSES.get(code, 500) if status is None else status


_ARCHIVE_CODES: tuple[tuple[type[ArchiveError], int], ...] = (
    (StorageFull, FULL_STORAGE),
    (StorageUnavailable, CANNOT_WRITE_FILE),
    (FileMissing, INEXISTENT_FILE),
    (FileCorrupted, CORRUPTED_FILE),
    (IndexUnavailable, DATABASE_UNAVAILABLE),
    (ReadOnly, READ_ONLY),
)


def translate(error: BaseException) -> RestError:
    """The refusal that stands for any exception out of a handler.

    What nobody foresaw becomes an internal error and one line in the log with the place where it happened;
    the exception's own message may quote a data set, so it is not logged.
    """
    if isinstance(error, RestError):
        return error
    if isinstance(error, (DicomError, MissingIdentifier)):
        log.warning("An upload was refused: %s", error)
    if isinstance(error, DicomError):
        return RestError(BAD_FILE_FORMAT, str(error))
    if isinstance(error, MissingIdentifier):
        return RestError(INEXISTENT_TAG)
    if isinstance(error, ArchiveError):
        for kind, code in _ARCHIVE_CODES:
            if isinstance(error, kind):
                log.warning("An answer failed: %s", error)
                return RestError(code, str(error))
    if isinstance(error, MemoryError):
        return RestError(NOT_ENOUGH_MEMORY)
    log.error("Unexpected %s at %s", type(error).__name__, _place(error))
    return RestError(INTERNAL_ERROR)


def report_cut(error: BaseException) -> None:
    """The line in the log about an answer that broke off: it has begun, so no refusal can be sent."""
    log.error("An answer was cut off by %s at %s", type(error).__name__, _place(error))


def _place(error: BaseException) -> str:
    """File, line and function of the innermost three frames, innermost last."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " < ".join(places[-3:]) or "an unknown place"


def reason_phrase(status: int) -> str:
    """The standard reason phrase of an HTTP status, "" for one that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def describe(error: RestError, method: str, uri: str) -> bytes:
    """The JSON body that tells a client about `error` (when `HttpDescribeErrors` is on)."""
    message = MESSAGES.get(error.code, MESSAGES[INTERNAL_ERROR])
    body = {
        "HttpError": reason_phrase(error.status),
        "HttpStatus": error.status,
        "Message": message,
        "Method": method,
        "OrthancError": message,
        "OrthancStatus": error.code,
        "Uri": uri,
    }
    if error.details:
        body["Details"] = error.details
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
