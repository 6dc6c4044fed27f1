"""Orthanc's error codes, and how whatever goes wrong becomes one of them.

Clients look at `OrthancStatus` in the body and at the HTTP status. Both derive from the code alone, so a
handler only names the code; the text of `Message` belongs to the code as well. `Details` is free text for
people. Neither ever quotes what is stored.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive.coded import coded
from ithil.archive.errors import ArchiveError, MissingIdentifier
from ithil.dicom.errors import DicomError
from ithil.error_codes import CodedError

log = logging.getLogger(__name__)


def translate(error: BaseException) -> CodedError:
    """The refusal that stands for any exception out of a handler.

    What nobody foresaw becomes an internal error and one line in the log with the place where it happened;
    the exception's own message may quote a data set, so it is not logged.
    """
    if isinstance(error, CodedError):
        return error
    if isinstance(error, (DicomError, MissingIdentifier)):
        log.warning("An upload was refused: %s", error)
    elif isinstance(error, ArchiveError):
        log.warning("An answer failed: %s", error)
    refusal = coded(error)
    if refusal is not None:
        return refusal
    log.error("Unexpected %s at %s", type(error).__name__, _place(error))
    return CodedError(codes.INTERNAL_ERROR)


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


def describe(error: CodedError, method: str, uri: str) -> bytes:
    """The JSON body that tells a client about `error` (when `HttpDescribeErrors` is on)."""
    message = codes.MESSAGES.get(error.code, codes.MESSAGES[codes.INTERNAL_ERROR])
    body: dict[str, Any] = {
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
    if error.payload is not None:
        body["ErrorPayload"] = error.payload
    return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
