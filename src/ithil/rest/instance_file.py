"""`GET /instances/{id}/file`: the DICOM file as it is stored, transcoded, or as JSON or XML of its data set."""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import retrieve, transcoding
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.archive.names import DICOM
from ithil.dicom import dataset, json_model, xml_model
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.ranges import range_header, requested_range
from ithil.http.request import Request, unsigned
from ithil.http.routing import Parameter, Route
from ithil.pixels.errors import PixelError
from ithil.rest.attachments import data

DICOM_TYPE = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"

LARGEST_DOCUMENT = 256 << 20
"""Bytes of the largest file that is answered as JSON or XML, in which its pixels stand as text."""


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/instances/{id}/file",
            get_file,
            "The DICOM file; as DICOM JSON or XML if Accept asks for that",
            (
                Parameter("transcode", "UID of the transfer syntax to transcode it to"),
                Parameter("lossy-quality", "1 to 100, for transfer syntaxes with loss"),
                Parameter("filename", "The file name that the answer proposes"),
            ),
            cacheable=True,
        )
    ]


def get_file(request: Request) -> Answer:
    """The only route. 400 for a transfer syntax that is none, 500 for one the pixels cannot be put into."""
    archive = request.context.archive
    file = retrieve.attachment(archive, Level.INSTANCE, request.arguments["id"], DICOM)
    if file is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    wanted = request.headers.get("accept", "").split(",", 1)[0].split(";", 1)[0].strip().lower()
    syntax = request.query.get("transcode")
    if syntax is None:
        if wanted in (DICOM_JSON, DICOM_XML):
            return _document(archive, _whole(archive, file), wanted)
        return data(request, file)
    content = transcode_file(archive, file, syntax, quality_of(request.query))
    if wanted in (DICOM_JSON, DICOM_XML):
        return _document(archive, content, wanted)
    return _bytes(request, content, request.query.get("filename") or f"{file.uuid}.dcm")


def quality_of(query: dict[str, str]) -> int | None:
    """The argument `lossy-quality`. Raises CodedError (parameter out of range) unless it is 1 to 100."""
    if "lossy-quality" not in query:
        return None
    quality = unsigned(query, "lossy-quality", 0)
    if not 1 <= quality <= 100:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The argument "lossy-quality" must be 1 to 100')
    return quality


def transcode_file(archive: Archive, file: Attachment, syntax: str, quality: int | None) -> bytes:
    """A transcoded file. Raises CodedError: an internal error is Orthanc's answer where it is impossible."""
    try:
        return transcoding.transcoded(archive, file, syntax, quality)
    except PixelError as error:
        raise CodedError(codes.INTERNAL_ERROR, str(error)) from error


def _bytes(request: Request, content: bytes, filename: str) -> Answer:
    """Bytes that are in memory, or the part of them that `Range` asks for."""
    headers = answers.disposition(filename)
    wanted = requested_range(range_header(request.headers, None), len(content))
    if wanted is None:
        return Answer(content, DICOM_TYPE, headers=headers)
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Answer(content[start:end], DICOM_TYPE, 206, headers)


def _whole(archive: Archive, file: Attachment) -> bytes:
    if file.uncompressed_size > LARGEST_DOCUMENT:
        raise CodedError(codes.NOT_ENOUGH_MEMORY, "The file is too large to be shown as a document")
    return retrieve.read(archive, file)


def _document(archive: Archive, content: bytes, content_type: str) -> Answer:
    if len(content) > LARGEST_DOCUMENT:
        raise CodedError(codes.NOT_ENOUGH_MEMORY, "The file is too large to be shown as a document")
    settings = archive.settings
    parsed = dataset.parse(
        content,
        stop_at_pixel_data=False,
        limits=ScanLimits(
            maximum_depth=settings.ithil.maximum_sequence_depth,
            maximum_elements=settings.ithil.maximum_elements,
        ),
        default_encoding=archive.default_encoding,
    )
    if content_type == DICOM_JSON:
        return Answer(json_model.to_json(parsed), DICOM_JSON)
    return Answer(xml_model.to_xml(parsed), DICOM_XML)
