"""Workitems as they come in requests and go out in answers: JSON or XML, in one part or in several."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from ithil import error_codes as codes
from ithil.archive.workitems import LARGEST
from ithil.archive.workitems_model import LIMITS, Attributes, read_attributes
from ithil.dicom import json_reader, xml_reader
from ithil.dicom.errors import DicomError
from ithil.dicom.related_reader import (
    MalformedMultipart,
    PartHead,
    RelatedReader,
    parse_media_type,
)
from ithil.dicom.xml_from_json import object_to_xml
from ithil.dicomweb.multipart import Part, related
from ithil.error_codes import CodedError
from ithil.http.accept import accepted
from ithil.http.answers import Answer
from ithil.http.request import Request

DICOM_JSON, JSON = "application/dicom+json", "application/json"
DICOM_XML = "application/dicom+xml"
MULTIPART = "multipart/related"

LARGEST_BODY = 4 * LARGEST
"""Bytes of a body; XML is wordier than what is kept."""

_XML = (DICOM_XML, "application/xml", "text/xml")


def read_body(request: Request) -> Attributes:
    """The one data set in the body of a request; {} for no body.

    Raises CodedError: bad request, 413 for a body that is too large, 415 for one of another type.
    """
    content = _plain(request)
    if not content.strip():
        return {}
    stated = parse_media_type(request.headers.get("content-type", ""))
    media_type = stated.name or JSON
    if media_type == MULTIPART:
        media_type, content = _only_part(content, stated.parameters)
    if media_type not in (DICOM_JSON, JSON, *_XML):
        raise CodedError(
            codes.UNSUPPORTED_MEDIA_TYPE,
            f"A workitem is sent as {DICOM_JSON} or {DICOM_XML}, not as this type",
        )
    try:
        found = xml_reader.load(content, LIMITS) if media_type in _XML else json_reader.load(content)
    except DicomError as error:
        raise _refused(f"The body is no workitem: {error}") from None
    if len(found) != 1:
        raise _refused("The body must have one workitem")
    return read_attributes(found[0])


@dataclass(frozen=True, slots=True)
class Form:
    """What a client takes: how one workitem is written, and what the answer is called."""

    encode: Callable[[Attributes], bytes]
    media_type: str

    def answer(self, workitems: Sequence[bytes], headers: dict[str, str]) -> Answer:
        """The answer with workitems that `encode` has written."""
        if self.encode is _json:
            return Answer(b"".join((b"[", b",".join(workitems), b"]")), self.media_type, headers=headers)
        if self.media_type != MULTIPART and len(workitems) == 1:
            return Answer(workitems[0], DICOM_XML, headers=headers)
        found = related([Part(DICOM_XML, [each], len(each)) for each in workitems], DICOM_XML)
        found.headers.update(headers)
        return found


def form_of(request: Request) -> Form:
    """The form that the client takes. Raises CodedError (not acceptable)."""
    for one in accepted(request):
        wanted = (
            one.parameters.get("type", DICOM_XML).lower() if one.media_type == MULTIPART else one.media_type
        )
        if wanted == DICOM_XML or (one.media_type == MULTIPART and wanted in (*_XML, "*/*")):
            return Form(object_to_xml, MULTIPART if one.media_type == MULTIPART else DICOM_XML)
        if one.media_type != MULTIPART and (one.takes(DICOM_JSON) or one.takes(JSON)):
            return Form(_json, JSON if one.media_type == JSON else DICOM_JSON)
    raise CodedError(codes.NOT_ACCEPTABLE, f'There are {DICOM_JSON} and {MULTIPART}; type="{DICOM_XML}"')


def _json(attributes: Attributes) -> bytes:
    return orjson.dumps(attributes)


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


def _only_part(content: bytes, parameters: dict[str, str]) -> tuple[str, bytes]:
    """Media type and content of the part of a body that has one; `parameters` are those of the whole."""
    try:
        reader = RelatedReader(parameters.get("boundary", ""))
        found = list(reader.feed(content))
        reader.close()
    except MalformedMultipart as error:
        raise _refused(str(error)) from None
    heads = [event for event in found if isinstance(event, PartHead)]
    if len(heads) != 1:
        raise _refused("The body must have one part")
    stated = heads[0].media_type.name or parse_media_type(parameters.get("type", "")).name
    return stated or DICOM_XML, b"".join(event for event in found if isinstance(event, bytes))


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)
