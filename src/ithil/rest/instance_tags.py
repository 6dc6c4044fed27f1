"""The tags of one instance, read from its file: `tags`, `simplified-tags`, `header`."""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import headers
from ithil.dicom import dataset, tags_format
from ithil.dicom.tags_format import Format
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean
from ithil.http.routing import Parameter, Route
from ithil.rest.header import find_instance, read_whole, start_of_file
from ithil.rest.requested_tags import known_tag
from ithil.rest.resource_json import tag_format

IGNORE_LENGTH = Parameter("ignore-length", "Tags to show however long they are, between commas")
_WHOLE = Parameter("whole", "Show what comes after the pixel data as well")
FORMATS = (
    Parameter("short", "Tags as gggg,eeee without their names"),
    Parameter("simplify", "Tags by name"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/instances/{id}/tags",
            get_tags,
            "All tags of the instance",
            (*FORMATS, IGNORE_LENGTH, _WHOLE),
            cacheable=True,
        ),
        Route(
            "GET",
            "/instances/{id}/simplified-tags",
            get_simplified_tags,
            "All tags of the instance by name",
            (IGNORE_LENGTH, _WHOLE),
            cacheable=True,
        ),
        Route(
            "GET",
            "/instances/{id}/header",
            get_header,
            "The file meta information of the instance",
            FORMATS,
            cacheable=True,
        ),
    ]


def get_tags(request: Request) -> Answer:
    """`GET /instances/{id}/tags`."""
    return _tags(request, tag_format(request.query, Format.FULL))


def get_simplified_tags(request: Request) -> Answer:
    """`GET /instances/{id}/simplified-tags`."""
    return _tags(request, Format.SIMPLIFIED)


def get_header(request: Request) -> Answer:
    """`GET /instances/{id}/header`: group 0002 (PS3.10 7.1) without what is binary."""
    archive = request.context.archive
    instance = find_instance(archive, request.arguments["id"])
    meta = dataset.parse_meta(start_of_file(archive, instance))
    meta.elements = [element for element in meta.elements if element.vr != "OB"]
    return answers.json(request, tags_format.format_dataset(meta, tag_format(request.query, Format.FULL)))


def _tags(request: Request, form: Format) -> Answer:
    archive = request.context.archive
    shown = ignored_lengths(request)
    instance_id = request.arguments["id"]
    if boolean(request.query, "whole"):
        parsed = read_whole(archive, find_instance(archive, instance_id))[0]
    else:
        found = next(headers.read_many(archive, [instance_id]), None)
        if found is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        parsed = found[1]
    return answers.json(request, tags_format.format_dataset(parsed, form, ignore_length=shown))


def ignored_lengths(request: Request) -> list[int]:
    """The tags of the argument `ignore-length`. Raises CodedError (unknown DICOM tag)."""
    return tag_list(request.query.get("ignore-length", ""), ",")


def tag_list(text: str, separator: str) -> list[int]:
    """Tags by name or number. Raises CodedError (unknown DICOM tag)."""
    return [known_tag(item.strip()) for item in text.split(separator) if item.strip()]
