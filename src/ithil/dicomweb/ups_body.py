"""Workitems as they come in requests and go out in answers: JSON or XML, in one part or in several."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import orjson

from ithil import error_codes as codes
from ithil.archive.workitems import LARGEST
from ithil.archive.workitems_model import Attributes, read_attributes
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.ups_xml import read_xml, write_xml
from ithil.error_codes import CodedError
from ithil.http.accept import accepted, parse_accept
from ithil.http.answers import Answer
from ithil.http.request import Request

DICOM_JSON, JSON = "application/dicom+json", "application/json"
DICOM_XML = "application/dicom+xml"
MULTIPART = "multipart/related"

LARGEST_BODY = 4 * LARGEST
"""Bytes of a body; XML is wordier than what is kept."""

_XML = (DICOM_XML, "application/xml", "text/xml")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}\Z")


def read_body(request: Request) -> Attributes:
    """The one data set in the body of a request; {} for no body.

    Raises CodedError: bad request, 413 for a body that is too large, 415 for one of another type.
    """
    content = _plain(request)
    if not content.strip():
        return {}
    header = request.headers.get("content-type", "")
    stated = next(iter(parse_accept(header)), None)  # written like an entry of an Accept
    media_type = stated.media_type if stated is not None else JSON
    if media_type == MULTIPART and stated is not None:
        boundary = stated.parameters.get("boundary", "")
        if not _BOUNDARY.match(boundary):
            raise _refused("The boundary of the parts is missing or has characters that it cannot have")
        media_type, content = _only_part(content, boundary.encode(), stated.parameters.get("type", ""))
    if media_type in (DICOM_JSON, JSON):
        try:
            value = orjson.loads(content)
        except ValueError:
            raise _refused("The body is not JSON") from None
        if isinstance(value, list):
            if len(value) != 1:
                raise _refused("The body must have one workitem")
            value = value[0]
        return read_attributes(value)
    if media_type in _XML:
        return read_attributes(read_xml(content))
    raise CodedError(
        codes.UNSUPPORTED_MEDIA_TYPE, f"A workitem is sent as {DICOM_JSON} or {DICOM_XML}, not as this type"
    )


def answer(request: Request, workitems: Sequence[Attributes], headers: dict[str, str]) -> Answer:
    """Workitems in the form that the client takes. Raises CodedError (not acceptable)."""
    for one in accepted(request):
        wanted = (
            one.parameters.get("type", DICOM_XML).lower() if one.media_type == MULTIPART else one.media_type
        )
        if wanted == DICOM_XML or (one.media_type == MULTIPART and wanted in (*_XML, "*/*")):
            documents = [write_xml(each) for each in workitems]
            if one.media_type != MULTIPART and len(documents) == 1:
                return Answer(documents[0], DICOM_XML, headers=headers)
            found = related([Part(DICOM_XML, [each], len(each)) for each in documents], DICOM_XML)
            found.headers.update(headers)
            return found
        if one.media_type != MULTIPART and (one.takes(DICOM_JSON) or one.takes(JSON)):
            media_type = JSON if one.media_type == JSON else DICOM_JSON
            return Answer(orjson.dumps(workitems), media_type, headers=headers)
    raise CodedError(codes.NOT_ACCEPTABLE, f'There are {DICOM_JSON} and {MULTIPART}; type="{DICOM_XML}"')


def _plain(request: Request) -> bytes:
    """The body without its content coding."""
    content = request.body
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("gzip", "x-gzip"):
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            content = inflater.decompress(content[:LARGEST_BODY], LARGEST_BODY + 1)
        except zlib.error:
            raise _refused("The body is not compressed by gzip") from None
    elif coding != "identity":
        raise CodedError(codes.UNSUPPORTED_MEDIA_TYPE, "The content coding of a body can be gzip")
    if len(content) > LARGEST_BODY:
        raise CodedError(codes.BAD_REQUEST, f"A workitem is limited to {LARGEST} bytes", status=413)
    return content


def _only_part(content: bytes, boundary: bytes, stated: str) -> tuple[str, bytes]:
    """Media type and content of the part of a body that has one."""
    pieces = (b"\r\n" + content).split(b"\r\n--" + boundary)
    if len(pieces) != 3 or not pieces[2].startswith(b"--"):
        raise _refused("The body must have one part between two boundaries")
    head, separator, body = pieces[1].partition(b"\r\n\r\n")
    if not separator:
        raise _refused("The part has no empty line after its headers")
    media_type = stated
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-type":
            media_type = value
    return media_type.partition(";")[0].strip().lower() or DICOM_XML, body


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)
