"""WADO-RS metadata: all attributes of studies, series and instances but their bulk data (PS3.18 10.4.1.1.2).

JSON comes from the documents that the archive keeps of each series, compressed as they lie wherever the client
takes gzip; that of a study is what those of its series give one after the other. XML is rarely asked for and
made part by part. It is always the full metadata: the reduced kinds of Orthanc (`MainDicomTags`,
`Extrapolate`) break viewers, and here they would save nothing.

An instance whose file cannot be read makes neither its series nor its study unreadable: it is left out, and the
header `Warning` says so (RFC 7234 5.5). Such an answer has no entity tag and is kept nowhere, since the next
one may be whole. If no instance can be read the request fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ithil import error_codes as codes
from ithil.archive import headers, series_documents, uids
from ithil.archive.archive import Archive
from ithil.archive.bulk_data import bulk_data_uris, instance_path
from ithil.archive.gzip_pieces import AnyPiece, compress, literal, plain, stream
from ithil.archive.index.series_documents import InstanceRow, SeriesRow
from ithil.archive.series_documents import SeriesDocument
from ithil.dicom import xml_model
from ithil.dicom.level import Level
from ithil.dicom.series_json import SeriesJson
from ithil.dicomweb.links import service_root
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.negotiation import not_acceptable
from ithil.dicomweb.readable_parts import readable_parts, tell_missing
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.accept import MediaRange, accepted, takes_gzip, unwrapped
from ithil.http.answers import Answer, Stream
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route

DICOM_JSON, JSON, DICOM_XML = "application/dicom+json", "application/json", "application/dicom+xml"
MULTIPART_XML = f'multipart/related; type="{DICOM_XML}"'

LARGEST_AT_ONCE = 4 * 1024 * 1024
"""Bytes of the largest answer that is made before it is sent; such answers are kept for the next client."""

LARGEST_HELD = 16 * 1024 * 1024
"""Bytes of compressed documents that a study's answer has in memory; beyond that they are read again.

What is not compressed yet counts elsewhere (`series_documents.LARGEST_FRESH`)."""

_FAST = 1  # level of compression of what is used once


def routes() -> list[Route]:
    """The routes of this module."""
    accept = (Parameter("accept", "The media type, instead of the header Accept"),)
    return [
        Route(
            "GET",
            f"{path}/metadata",
            handler,
            f"All attributes of the instances of {what} but their bulk data",
            parameters=accept,
            cacheable=True,
            answers=(DICOM_JSON, MULTIPART_XML),
            fails=(404, 406),
        )
        for path, handler, what in (
            ("/studies/{study}", study_metadata, "a study"),
            ("/studies/{study}/series/{series}", series_metadata, "a series"),
            ("/studies/{study}/series/{series}/instances/{instance}", instance_metadata, "an instance"),
        )
    ]


def study_metadata(request: Request) -> Answer:
    """`GET /studies/{study}/metadata`. Raises CodedError (unknown, not acceptable)."""
    found = uids.public_ids(request.context.archive, request.arguments["study"])
    return _of_series(request, Level.STUDY, found)


def series_metadata(request: Request) -> Answer:
    """`GET /studies/{study}/series/{series}/metadata`. Raises CodedError (unknown, not acceptable)."""
    found = uids.public_ids(request.context.archive, request.arguments["study"], request.arguments["series"])
    return _of_series(request, Level.SERIES, found)


def instance_metadata(request: Request) -> Answer:
    """`GET .../instances/{instance}/metadata`. Raises CodedError (unknown, not acceptable), and what reading does."""
    archive = request.context.archive
    media_type = wanted(request)
    study, series, instance = (request.arguments[name] for name in ("study", "series", "instance"))
    found = uids.locate(archive, study, series, instance)
    if found is None:
        raise unknown("instance")
    root = service_root(request)
    tag = _etag([found.file.uuid], root, media_type)
    unchanged = _unchanged(request, tag)
    if unchanged is not None:
        return unchanged
    offset, mode = found.pixel_data_offset, archive.settings.dicom_web.other_binary_mode
    uris = bulk_data_uris(root + instance_path(study, series, instance), mode)
    if media_type == DICOM_XML:
        text = xml_model.to_xml(headers.read(archive, found.file, offset), uris)
        return _finished(related([_part(text)], DICOM_XML), tag)
    writer = SeriesJson(headers.limits(archive), archive.default_encoding, arrays=mode == "ArrayOfValues")
    content = headers.start_of_file(archive, found.file, offset)
    made = b"[" + writer.write(content, offset, uris) + b"]"
    answer = Answer(made, media_type)
    if takes_gzip(request):
        answer.body = b"".join(stream([compress(made, _FAST)]))
        answer.headers["Content-Encoding"] = "gzip"
    return _finished(answer, tag)


def _of_series(request: Request, level: Level, public_ids: list[str]) -> Answer:
    """The metadata of all series of the resources with these public ids."""
    archive, media_type = request.context.archive, wanted(request)
    series = [
        one for public_id in public_ids for one in series_documents.series_of(archive, level, public_id)
    ]
    if not series:
        raise unknown(level.singular.lower())
    root = service_root(request)
    tag = _etag([series_documents.version_of(archive, one) for one in series], root, media_type)
    unchanged = _unchanged(request, tag)
    if unchanged is not None:
        return unchanged
    if media_type == DICOM_XML:
        answer, unreadable = _xml(archive, series, root)
    else:
        documents = _Documents(archive, series, root)
        answer, unreadable = _json(documents, takes_gzip(request)), documents.unreadable
        answer.content_type = media_type
    tell_missing(answer, unreadable)
    return _finished(answer, "" if unreadable else tag)


class _Documents:
    """The documents of several series; those that are too large to be held are got again when they are sent.

    Raises CodedError (unknown) if all the series have gone meanwhile; FileMissing, FileCorrupted or DicomError
    if not one instance can be read.
    """

    def __init__(self, archive: Archive, series: list[SeriesRow], root: str) -> None:
        self._archive = archive
        self._series = series
        self._root = root
        self._held: dict[int, SeriesDocument] = {}
        self._lacks: dict[int, int] = {}
        self.is_held = True
        held = missing = readable = 0
        fresh: list[SeriesDocument] = []  # they grow when they are compressed
        failure: Exception | None = None
        for number, one in enumerate(series):
            document = series_documents.get(archive, one, root)
            if document is None:
                missing += 1
                continue
            if document.unreadable:
                self._lacks[number] = document.unreadable
                failure = document.failure
            readable += len(document.pieces)
            if document.is_compressed:
                held += document.compressed_size
            else:
                fresh.append(document)
            if held + sum(each.compressed_size for each in fresh) <= LARGEST_HELD or len(series) == 1:
                self._held[number] = document
            else:
                self.is_held = False
        if missing == len(series):
            raise unknown("resource")
        if failure is not None and not readable:
            raise failure

    @property
    def unreadable(self) -> int:
        """How many instances are missing."""
        return sum(self._lacks.values())

    def pieces(self) -> Iterator[AnyPiece]:
        """One JSON array, piece by piece. Raises what reading a file raises if it went after it was counted."""
        before = _OPEN
        for number, one in enumerate(self._series):
            document = self._held.get(number)
            if document is None and not self.is_held:
                document = series_documents.get(self._archive, one, self._root)
                if document is not None and document.unreadable > self._lacks.get(number, 0):
                    assert document.failure is not None
                    raise document.failure
            for piece in document.pieces if document is not None else ():
                yield before
                yield piece
                before = _COMMA
        yield _CLOSE


_OPEN, _COMMA, _CLOSE = literal(b"["), literal(b","), literal(b"]")


def _json(documents: _Documents, compressed: bool) -> Answer:
    """The array as gzip or plain: at once if it is small, else while it is sent."""
    answer = Answer()
    if documents.is_held:
        pieces = list(documents.pieces())
        parts = stream(pieces) if compressed else plain(pieces)
        size = sum(len(piece.compressed().deflated) + 32 if compressed else piece.size for piece in pieces)
        if size <= LARGEST_AT_ONCE:
            answer.body = b"".join(parts)
        else:
            answer.body = Stream(iter(parts), None if compressed else size)
    else:
        each = documents.pieces()
        answer.body = Stream(stream(each) if compressed else plain(each))
    if compressed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def _xml(archive: Archive, series: list[SeriesRow], root: str) -> tuple[Answer, int]:
    """One part an instance, and how many instances are missing."""
    mode = archive.settings.dicom_web.other_binary_mode

    def make(one: SeriesRow, instance: InstanceRow) -> list[Part]:
        path = instance_path(one.study_uid, one.series_uid, instance.sop_instance_uid)
        parsed = headers.read(archive, instance.file, instance.pixel_data_offset)
        return [_part(xml_model.to_xml(parsed, bulk_data_uris(root + path, mode)))]

    found = readable_parts(archive, series, make, LARGEST_AT_ONCE)
    return related(found.parts, DICOM_XML), found.unreadable


def _part(text: bytes) -> Part:
    return Part(DICOM_XML, [text], len(text))


def _finished(answer: Answer, tag: str) -> Answer:
    """With its headers; no `tag`, no ETag."""
    if tag:
        answer.headers["ETag"] = tag
    answer.headers["Vary"] = "Accept, Accept-Encoding"
    return answer


def _unchanged(request: Request, tag: str) -> Answer | None:
    """304 if the client has the version `tag` already, else None."""
    answer = answers.not_modified(request, tag.removeprefix("W/"))
    return None if answer is None else _finished(answer, tag)


def _etag(versions: list[str], root: str, media_type: str) -> str:
    """A weak tag: with and without compression the content is the same (RFC 9110 8.8.1)."""
    digest = hashlib.md5(usedforsecurity=False)
    for text in (*versions, root, media_type):
        digest.update(text.encode())
    return f'W/"{digest.hexdigest()}"'


def unknown(what: str) -> CodedError:
    """The refusal (404) of what the archive does not hold."""
    return CodedError(codes.INEXISTENT_ITEM, f"There is no such {what}")


# -- what the client takes -----------------------------------------------------------------------------------


def wanted(request: Request) -> str:
    """The media type of the answer: `DICOM_JSON`, `JSON` or `DICOM_XML`. Raises CodedError (406)."""
    for one in accepted(request):
        media_type = _given(one)
        if media_type is not None:
            return media_type
    raise not_acceptable([DICOM_JSON, JSON, DICOM_XML])


def _given(one: MediaRange) -> str | None:
    """What an entry of `Accept` gets, None if it is nothing that there is."""
    in_parts, wanted = unwrapped(one)
    offers = (DICOM_XML, DICOM_JSON) if in_parts else (DICOM_JSON, JSON, DICOM_XML)
    return next((offer for offer in offers if wanted.takes(offer)), None)
