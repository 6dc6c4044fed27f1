"""The tags of all instances of a patient, study or series: each instance's, or those that all share.

Both go through the instances one after the other. The answer with each instance's tags is sent while they are
read, so a patient with ten thousand images takes no more memory than one with ten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from ithil.archive import headers, resources
from ithil.archive.archive import Archive
from ithil.dicom import tags_format
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format
from ithil.error_codes import UNKNOWN_RESOURCE, CodedError
from ithil.http import answers
from ithil.http.answers import Answer, Stream
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.http.xml import to_xml
from ithil.rest.instance_tags import FORMATS, IGNORE_LENGTH, ignored_lengths
from ithil.rest.resource_json import tag_format

Handler = Callable[[Request], Answer]

PIECE_BYTES = 256 * 1024
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


def routes() -> list[Route]:
    """The routes of this module."""
    table = []
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        noun = level.singular.lower()
        table += [
            Route(
                "GET",
                f"/{level.plural}/{{id}}/shared-tags",
                sharer(level),
                f"The tags that have the same value in all instances of the {noun}",
                FORMATS,
                cacheable=True,
            ),
            Route(
                "GET",
                f"/{level.plural}/{{id}}/instances-tags",
                lister(level),
                f"The tags of all instances of the {noun}",
                (*FORMATS, IGNORE_LENGTH),
            ),
        ]
    return table


def lister(level: Level) -> Handler:
    """`GET /{level}/{id}/instances-tags`, streamed."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        form, shown = tag_format(request.query, Format.FULL), ignored_lengths(request)
        instances = sorted(_instances(archive, level, request.arguments["id"]))
        objects = (
            {instance_id: tags_format.format_dataset(parsed, form, ignore_length=shown)}
            for instance_id, parsed in headers.read_many(archive, instances)
        )
        if request.wants_xml:
            return Answer(Stream(_gathered(_as_xml(objects))), answers.XML)
        return Answer(Stream(_gathered(_as_json(objects))), answers.JSON)

    return handle


def _as_json(objects: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """The members of many objects as those of one."""
    opening = b"{\n"
    for each in objects:
        yield opening + orjson.dumps(each, option=_OPTIONS)[2:-2]
        opening = b",\n"
    yield b"\n}" if opening == b",\n" else b"{}"


def _as_xml(objects: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    head, _, tail = to_xml({"x": ""}).partition(b"  <x></x>\n")
    yield head
    for each in objects:
        yield to_xml(each)[len(head) : -len(tail)]
    yield tail


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces worth sending."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def sharer(level: Level) -> Handler:
    """`GET /{level}/{id}/shared-tags`."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        form = tag_format(request.query, Format.FULL)
        instances = _instances(archive, level, request.arguments["id"])
        return answers.json(request, _in_form(_shared(archive, instances), form))

    return handle


def _shared(archive: Archive, instances: list[str]) -> dict[str, Any]:
    """The tags in full form that have the same text in all instances."""
    shared: dict[str, Any] | None = None
    for _, parsed in headers.read_many(archive, instances):
        full = tags_format.full(parsed)
        if shared is None:
            shared = {tag: value for tag, value in full.items() if value["Type"] == "String"}
        else:
            shared = {tag: value for tag, value in shared.items() if full.get(tag) == value}
        if not shared:
            break
    return shared or {}


def _in_form(shared: dict[str, Any], form: Format) -> dict[str, Any]:
    if form is Format.FULL:
        return shared
    if form is Format.SHORT:
        return {tag: value["Value"] for tag, value in shared.items()}
    return {value["Name"]: value["Value"] for value in shared.values()}


def _instances(archive: Archive, level: Level, public_id: str) -> list[str]:
    found = resources.descendants(archive, level, public_id, Level.INSTANCE)
    if found is None:
        raise CodedError(UNKNOWN_RESOURCE)
    return found
