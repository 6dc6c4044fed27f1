"""Orthanc's error codes: what clients look at when something was refused, in HTTP answers and in jobs.

The HTTP status and the text of `Message` follow from the code alone, so whoever refuses only names the code.
This module imports nothing of Ithil, so that every part may refuse with a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INTERNAL_ERROR = -1
NOT_IMPLEMENTED = 2
PARAMETER_OUT_OF_RANGE = 3
NOT_ENOUGH_MEMORY = 4
BAD_PARAMETER_TYPE = 5
BAD_SEQUENCE_OF_CALLS = 6
INEXISTENT_ITEM = 7
BAD_REQUEST = 8
NETWORK_PROTOCOL = 9
BAD_URI = 12
INEXISTENT_FILE = 13
CANNOT_WRITE_FILE = 14
BAD_FILE_FORMAT = 15
TIMEOUT = 16
UNKNOWN_RESOURCE = 17
FULL_STORAGE = 19
CORRUPTED_FILE = 20
INEXISTENT_TAG = 21
READ_ONLY = 22
INCOMPATIBLE_IMAGE_FORMAT = 23
INCOMPATIBLE_IMAGE_SIZE = 24
UNKNOWN_DICOM_TAG = 27
BAD_JSON = 28
UNAUTHORIZED = 29
EMPTY_REQUEST = 33
NOT_ACCEPTABLE = 34
DATABASE_UNAVAILABLE = 36
CANCELED_JOB = 37
SSL_INITIALIZATION = 39
BAD_RANGE = 41
REVISION = 43
FORBIDDEN_ACCESS = 45
DUPLICATE_RESOURCE = 46
DIRECTORY_OVER_FILE = 2000
BAD_APPLICATION_ENTITY_TITLE = 2009
NO_SOP_CLASS_OR_INSTANCE = 2014
NO_PRESENTATION_CONTEXT = 2015
DICOM_FIND_UNAVAILABLE = 2016
DICOM_MOVE_UNAVAILABLE = 2017
CANNOT_STORE_INSTANCE = 2018
CREATE_DICOM_NOT_STRING = 2019
CREATE_DICOM_OVERRIDE_TAG = 2020
CREATE_DICOM_USE_CONTENT = 2021
CREATE_DICOM_NO_PAYLOAD = 2022
CREATE_DICOM_USE_DATA_URI_SCHEME = 2023
CREATE_DICOM_BAD_PARENT = 2024
CREATE_DICOM_PARENT_IS_INSTANCE = 2025
CREATE_DICOM_PARENT_ENCODING = 2026
UNKNOWN_MODALITY = 2027
CANNOT_EXECUTE_LUA = 2031
CANNOT_ORDER_SLICES = 2040
ALREADY_EXISTING_TAG = 2042
DICOM_GET_UNAVAILABLE = 2045
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
    BAD_SEQUENCE_OF_CALLS: "Bad sequence of calls",
    TIMEOUT: "Timeout",
    INCOMPATIBLE_IMAGE_FORMAT: "Incompatible format of the images",
    INCOMPATIBLE_IMAGE_SIZE: "Incompatible size of the images",
    EMPTY_REQUEST: "The request is empty",
    CANCELED_JOB: "This job was canceled",
    SSL_INITIALIZATION: "Cannot initialize SSL encryption, check out your certificates",
    CANNOT_STORE_INSTANCE: "Cannot store an instance",
    DIRECTORY_OVER_FILE: "The directory to be created is already occupied by a regular file",
    CREATE_DICOM_NOT_STRING: "Only string values are supported when creating DICOM instances",
    CREATE_DICOM_OVERRIDE_TAG: "Trying to override a value inherited from a parent module",
    CREATE_DICOM_USE_CONTENT: 'Use "Content" to inject an image into a new DICOM instance',
    CREATE_DICOM_NO_PAYLOAD: "No payload is present for one instance in the series",
    CREATE_DICOM_USE_DATA_URI_SCHEME: (
        "The payload of the DICOM instance must be specified according to Data URI scheme"
    ),
    CREATE_DICOM_BAD_PARENT: "Trying to attach a new DICOM instance to an inexistent resource",
    CREATE_DICOM_PARENT_IS_INSTANCE: (
        "Trying to attach a new DICOM instance to an instance (must be a series, study or patient)"
    ),
    CREATE_DICOM_PARENT_ENCODING: "Unable to get the encoding of the parent resource",
    UNKNOWN_MODALITY: "Unknown modality",
    BAD_APPLICATION_ENTITY_TITLE: "Invalid application entity title",
    NO_SOP_CLASS_OR_INSTANCE: "The SOP class or instance cannot be found in the DICOM instance",
    NO_PRESENTATION_CONTEXT: "No acceptable presentation context",
    DICOM_FIND_UNAVAILABLE: "DicomUserConnection: The C-FIND command is not supported by the remote SCP",
    DICOM_MOVE_UNAVAILABLE: "DicomUserConnection: The C-MOVE command is not supported by the remote SCP",
    DICOM_GET_UNAVAILABLE: "DicomUserConnection: The C-GET command is not supported by the remote SCP",
    CANNOT_EXECUTE_LUA: "Cannot execute a Lua command",
    CANNOT_ORDER_SLICES: "Unable to order the slices of the series",
    ALREADY_EXISTING_TAG: "Cannot override the value of a tag that already exists",
}
"""The text of each code that this server answers with, word for word as clients know it."""

STATUSES = {
    PARAMETER_OUT_OF_RANGE: 400,
    BAD_PARAMETER_TYPE: 400,
    BAD_REQUEST: 400,
    BAD_URI: 400,
    BAD_FILE_FORMAT: 400,
    BAD_JSON: 400,
    CREATE_DICOM_NOT_STRING: 400,
    CREATE_DICOM_OVERRIDE_TAG: 400,
    CREATE_DICOM_USE_CONTENT: 400,
    CREATE_DICOM_NO_PAYLOAD: 400,
    CREATE_DICOM_USE_DATA_URI_SCHEME: 400,
    CREATE_DICOM_BAD_PARENT: 400,
    CREATE_DICOM_PARENT_IS_INSTANCE: 400,
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


class CodedError(Exception):
    """A refusal with one of Orthanc's codes.

    Parameters:
        code: the code, from which the HTTP status follows.
        details: one sentence for people; never quotes stored values.
        status: an HTTP status other than the one of the code.
        payload: what else clients' programs are told (`ErrorPayload`), JSON; never quotes stored values.
        headers: what HTTP has a header for, such as `Content-Range` of a range that is not there.
    """

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        status: int | None = None,
        payload: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(details or MESSAGES.get(code, MESSAGES[INTERNAL_ERROR]))
        self.code = code
        self.details = details
        self.status = STATUSES.get(code, 500) if status is None else status
        self.payload = payload
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[object, ...]:
        return _remade, (self.code, self.details, self.status, self.payload, self.headers)


def _remade(
    code: int, details: str, status: int, payload: dict[str, Any] | None, headers: dict[str, str]
) -> CodedError:
    """A refusal as it comes out of another process."""
    return CodedError(code, details, status=status, payload=payload, headers=headers)


_LONGEST_NAME = 64


def unknown_tag(name: str) -> CodedError:
    """The refusal of what a client took for the name of a DICOM tag; told again if it is short and printable."""
    shown = f' "{name}"' if name and len(name) <= _LONGEST_NAME and name.isprintable() else ""
    return CodedError(UNKNOWN_DICOM_TAG, f"No DICOM tag has the name or number{shown or ' that is given'}")
