"""Data URIs (RFC 2397) as requests carry files in them: a MIME type and Base64."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.error_codes import CodedError

_LONGEST_TYPE = 128


@dataclass(frozen=True, slots=True)
class Payload:
    """A file and its MIME type, which is in lower case and has no parameters."""

    mime_type: str
    content: bytes


def parse_payload(text: object) -> Payload:
    """The file in a data URI.

    Raises CodedError: use data URI scheme for what is no text, bad file format for what is no data URI.
    """
    if not isinstance(text, str):
        raise CodedError(codes.CREATE_DICOM_USE_DATA_URI_SCHEME)
    head, comma, data = text.partition(",") if text[:5].lower() == "data:" else ("", "", "")
    mime_type, _, encoding = head[5:].rpartition(";")
    if not comma or not mime_type or encoding.lower() != "base64" or len(mime_type) > _LONGEST_TYPE:
        raise CodedError(codes.BAD_FILE_FORMAT, "The content must be a data URI with a MIME type and Base64")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise CodedError(codes.BAD_FILE_FORMAT, "The data URI is no valid Base64") from None
    return Payload(mime_type.strip().lower(), content)
