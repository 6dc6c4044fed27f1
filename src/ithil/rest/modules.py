"""The tags of a DICOM module, read from the newest instance below a resource."""

from __future__ import annotations

from collections.abc import Callable

from ithil.archive import headers, resources
from ithil.archive.archive import Archive
from ithil.dicom import modules, tags_format
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format
from ithil.error_codes import UNKNOWN_RESOURCE, CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.rest.instance_tags import FORMATS, IGNORE_LENGTH, ignored_lengths
from ithil.rest.resource_json import tag_format

Handler = Callable[[Request], Answer]


def routes() -> list[Route]:
    """The routes of this module."""
    parameters = (*FORMATS, IGNORE_LENGTH)
    table = [
        Route(
            "GET",
            f"/{level.plural}/{{id}}/module",
            reader(level, modules.OF_LEVEL[level]),
            f"The tags of the {level.singular.lower()}'s module",
            parameters,
            cacheable=True,
        )
        for level in Level
    ]
    patient = reader(Level.STUDY, modules.PATIENT)
    summary = "The tags of the patient's module, as this study has them"
    return [
        *table,
        Route("GET", "/studies/{id}/module-patient", patient, summary, parameters, cacheable=True),
    ]


def reader(level: Level, tags: frozenset[int]) -> Handler:
    """`GET /{level}/{id}/module`, and `module-patient`."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        shown = ignored_lengths(request)
        newest = _newest_instance(archive, level, request.arguments["id"])
        found = next(headers.read_many(archive, [newest]), None) if newest is not None else None
        if found is None:
            raise CodedError(UNKNOWN_RESOURCE)
        parsed = found[1]
        decode = parsed.decode
        parsed.elements = [element for element in parsed.elements if element.tag in tags]
        form = tag_format(request.query, Format.FULL)
        return answers.json(
            request, tags_format.format_dataset(parsed, form, ignore_length=shown, inherited=decode)
        )

    return handle


def _newest_instance(archive: Archive, level: Level, public_id: str) -> str | None:
    """The last instance of the last series of the last study; None if the resource is unknown."""
    if level == Level.INSTANCE:
        return public_id
    for at in Level:
        if at > level:
            below = resources.descendants(archive, Level(at - 1), public_id, at)
            if not below:
                return None
            public_id = below[-1]
    return public_id
