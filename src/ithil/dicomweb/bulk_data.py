"""WADO-RS bulk data: the values that metadata leaves out, each under its `BulkDataURI` (PS3.18 10.4.1.1.5).

A value is given as `application/octet-stream`, a document or video also as what it is. The client chooses
between one part and several: who asks for `multipart/related` gets that, everybody else the plain bytes, of
which a range can be asked for. Encapsulated pixel data of several frames has several parts.

Of all values of a study or series, those of instances that cannot be read are left out, as in metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from ithil import error_codes as codes
from ithil.archive import bulk_values, uids
from ithil.archive.bulk_data import instance_path, path_of, text_of
from ithil.archive.bulk_values import OCTET_STREAM, BulkPart, BulkValue
from ithil.archive.index.series_documents import InstanceRow, SeriesRow
from ithil.archive.series_documents import series_of
from ithil.archive.uids import Located
from ithil.dicom.level import Level
from ithil.dicomweb.links import service_root
from ithil.dicomweb.metadata import unknown
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.negotiation import media_type_of, not_acceptable
from ithil.dicomweb.readable_parts import readable_parts, tell_missing
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.accept import accepted, unwrapped
from ithil.http.answers import Answer, Stream
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route

_SANDBOX = {"Content-Security-Policy": "sandbox"}
"""For documents that a browser might run as pages of this server."""


def routes() -> list[Route]:
    """The routes of this module."""
    accept = (Parameter("accept", "The media type, instead of the header Accept"),)
    instance = "/studies/{study}/series/{series}/instances/{instance}"
    given = (OCTET_STREAM, f'multipart/related; type="{OCTET_STREAM}"')
    table = [
        Route(
            "GET",
            f"{instance}/bulk/{{path:path}}",
            get_value,
            "The value of one element, as a BulkDataURI in metadata names it",
            parameters=accept,
            answers=given,
            fails=(400, 404, 406, 416),
            ranges=True,
        )
    ]
    table += [
        Route(
            "GET",
            f"{path}/bulkdata",
            get_all,
            f"All values that the metadata of {what} leaves out",
            parameters=accept,
            answers=given[1],
            fails=(404, 406),
        )
        for path, what in (
            ("/studies/{study}", "a study"),
            ("/studies/{study}/series/{series}", "a series"),
            (instance, "an instance"),
        )
    ]
    return table


def get_value(request: Request) -> Answer:
    """`GET .../instances/{instance}/bulk/{path}`; the path is tags in hex and numbers of items from 1 in turn.

    Raises CodedError: bad request for another path, unknown, not acceptable, bad range.
    """
    archive, names = request.context.archive, request.arguments
    path = path_of(names["path"])
    if path is None:
        raise CodedError(
            codes.BAD_REQUEST,
            "The path of bulk data is a tag in eight hexadecimal digits; for values inside of sequences "
            "/number of the item from 1/tag follow",
        )
    found = uids.locate(archive, names["study"], names["series"], names["instance"])
    if found is None:
        raise unknown("instance")
    value = bulk_values.find(archive, found, path)
    if value is None:
        raise unknown("value in this instance")
    multipart, content_type = _form(request, value)
    location = _address(request, names["study"], names["series"], names["instance"], path)
    text = f"{found.file.uuid} {text_of(path)} {multipart} {content_type} {location}"
    tag = f'"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"'
    unchanged = answers.not_modified(request, tag)
    if unchanged is not None:
        return unchanged
    headers = {"ETag": tag, "Vary": "Accept"}
    if multipart:
        parts = [_part(part, content_type, location) for part in value.parts]
        answer = related(parts, content_type.partition(";")[0])
        answer.headers |= headers
        return answer
    part = value.parts[0] if value.parts else BulkPart(0, lambda _start, _end: iter(()))
    if not content_type.startswith(("application/", "image/", "video/")):
        headers |= _SANDBOX
    answer = Answer(Stream(iter(part.section(0, part.size)), part.size), content_type, headers=headers)
    return answers.part_of(request, answer, tag, part.section)


def _form(request: Request, value: BulkValue) -> tuple[bool, str]:
    """Whether the client gets several parts, and the content type of each. Raises CodedError (406)."""
    syntax = f"; transfer-syntax={value.transfer_syntax}" if value.transfer_syntax else ""
    own = media_type_of(value.transfer_syntax) if value.transfer_syntax else value.media_type
    single = len(value.parts) < 2
    for one in accepted(request):
        in_parts, wanted = unwrapped(one)
        if in_parts:
            offers = (OCTET_STREAM, own) if wanted.media_type == "*/*" else (own, OCTET_STREAM)
            taken = next((offer for offer in offers if wanted.takes(offer)), None)
            if taken is not None:
                return True, taken + syntax
            continue
        taken = next((offer for offer in (own, OCTET_STREAM) if one.takes(offer)), None)
        if taken is not None and (single or one.media_type == "*/*"):
            return not single, taken + syntax
    there = list(dict.fromkeys((own, OCTET_STREAM)))
    multipart = [f'multipart/related; type="{offer}"' for offer in there]
    raise not_acceptable([*there, *multipart] if single else multipart)


def get_all(request: Request) -> Answer:
    """`GET .../bulkdata` of a study, series or instance. Raises CodedError (unknown, not acceptable)."""
    wishes = [(one.media_type, *unwrapped(one)) for one in accepted(request)]
    if not any(kind == "*/*" or (in_parts and one.takes(OCTET_STREAM)) for kind, in_parts, one in wishes):
        raise not_acceptable([f'multipart/related; type="{OCTET_STREAM}"'])
    archive, names = request.context.archive, request.arguments
    uid_names = [names[name] for name in ("study", "series", "instance") if name in names]
    level = Level(len(uid_names))
    if level == Level.INSTANCE:
        located = uids.locate(archive, *uid_names)
        if located is None:
            raise unknown("instance")
        parts = list(_all_parts(request, uid_names, located))
        return related(parts, OCTET_STREAM) if parts else Answer(status=204)
    series = [
        one
        for public_id in uids.public_ids(archive, *uid_names)
        for one in series_of(archive, level, public_id)
    ]
    if not series:
        raise unknown(level.singular.lower())

    def make(one: SeriesRow, instance: InstanceRow) -> Iterator[Part]:
        names = [one.study_uid, one.series_uid, instance.sop_instance_uid]
        located = uids.locate(archive, *names)
        if located is not None:
            yield from _all_parts(request, names, located)

    found = readable_parts(archive, series, make, 0)
    answer = Answer(status=204) if found.is_empty else related(found.parts, OCTET_STREAM)
    tell_missing(answer, found.unreadable)
    return answer


def _all_parts(request: Request, uid_names: list[str], located: Located) -> Iterator[Part]:
    """The parts of one instance, given by its UIDs and its file."""
    study, series, instance = uid_names
    for value in bulk_values.find_all(request.context.archive, located):
        location = _address(request, study, series, instance, value.path)
        syntax = f"; transfer-syntax={value.transfer_syntax}" if value.transfer_syntax else ""
        for part in value.parts:
            yield _part(part, OCTET_STREAM + syntax, location)


def _part(part: BulkPart, content_type: str, location: str) -> Part:
    return Part(content_type, part.section(0, part.size), part.size, location, part.section)


def _address(request: Request, study: str, series: str, instance: str, path: tuple[int, ...]) -> str:
    return f"{service_root(request)}{instance_path(study, series, instance)}/bulk/{text_of(path)}"
