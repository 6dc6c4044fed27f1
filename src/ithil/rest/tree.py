"""The resource tree: lists of patients, studies, series and instances, single ones, relatives, deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ithil import error_codes as codes
from ithil.archive import delete, resources
from ithil.archive.model import Statistics
from ithil.archive.query import Query
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean, boolean_body, page
from ithil.http.routing import Parameter, Route, Runs
from ithil.rest.listing import answer_ids, answer_resources
from ithil.rest.resource_json import reference, render, view

MEGABYTE = 1024 * 1024

VIEW_PARAMETERS = (
    Parameter("full", "Tags as gggg,eeee with name and type"),
    Parameter("short", "Tags as gggg,eeee"),
    Parameter("simplify", "Tags by name (the default)"),
    Parameter("requested-tags", "More tags to show, by name or number, between semicolons"),
    Parameter("response-content", "Parts to show instead of the usual ones, between semicolons"),
)
LIST_PARAMETERS = (
    Parameter("expand", "Whether to show resources instead of their identifiers"),
    Parameter("since", "How many resources to pass over; goes with limit"),
    Parameter("limit", "How many resources to show, 0 for all; goes with since"),
    *VIEW_PARAMETERS,
)


def routes() -> list[Route]:
    """The routes of this module."""
    table = [
        Route(
            "GET",
            "/patients/{id}/protected",
            get_protected,
            "Whether the patient is protected from recycling",
            cacheable=True,
            runs=Runs.IN_TURN,
        ),
        Route(
            "PUT",
            "/patients/{id}/protected",
            put_protected,
            "Protect the patient from recycling, or no more",
            writes=True,
        ),
    ]
    for level in Level:
        plural, one = level.plural, f"/{level.plural}/{{id}}"
        noun = level.singular.lower()
        table += [
            Route(
                "GET",
                f"/{plural}",
                lister(level),
                f"List the {plural}",
                LIST_PARAMETERS,
                cacheable=True,
                runs=Runs.IN_TURN,
            ),
            Route(
                "GET",
                one,
                reader(level),
                f"Show the {noun}",
                VIEW_PARAMETERS,
                cacheable=True,
                runs=Runs.IN_TURN,
            ),
            Route("DELETE", one, deleter(level), f"Delete the {noun} and all below it", writes=True),
            Route(
                "GET",
                f"{one}/statistics",
                counter(level),
                f"Counts and sizes of the {noun}",
                cacheable=True,
                runs=Runs.IN_TURN,
            ),
        ]
        table += [
            Route(
                "GET",
                f"{one}/{below.plural}",
                children(level, below),
                f"The {below.plural} of the {noun}",
                (LIST_PARAMETERS[0], *VIEW_PARAMETERS),
                cacheable=True,
                runs=Runs.IN_TURN,
            )
            for below in Level
            if below > level
        ]
        table += [
            Route(
                "GET",
                f"{one}/{above.singular.lower()}",
                parent(level, above),
                f"The {above.singular.lower()} of the {noun}",
                VIEW_PARAMETERS,
                cacheable=True,
                runs=Runs.IN_TURN,
            )
            for above in Level
            if above < level
        ]
    return table


Handler = Callable[[Request], Answer]


def lister(level: Level) -> Handler:
    """`GET /{level}`: identifiers, or resources with `expand` or `response-content`."""

    def handle(request: Request) -> Answer:
        since, limit = page(request.query)
        query = Query(level, since=since, limit=limit)
        if boolean(request.query, "expand", "response-content" in request.query):
            return answer_resources(request, query, view(request))
        return answer_ids(request, query)

    return handle


def reader(level: Level) -> Handler:
    """`GET /{level}/{id}`; 404 without a body for an unknown one."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        how = view(request)
        resource = resources.read(archive, level, request.arguments["id"])
        if resource is None:
            return answers.missing()
        return answers.json(request, render(archive, request.context.names, resource, how))

    return handle


def deleter(level: Level) -> Handler:
    """`DELETE /{level}/{id}`; tells the nearest ancestor that is still there."""

    def handle(request: Request) -> Answer:
        deleted = delete.delete(request.context.archive, level, request.arguments["id"])
        if deleted is None:
            return answers.missing()
        remaining = deleted.remaining_ancestor
        return answers.json(
            request, {"RemainingAncestor": None if remaining is None else reference(*remaining)}
        )

    return handle


def children(level: Level, below: Level) -> Handler:
    """`GET /{level}/{id}/{below}`: resources, or identifiers with `expand=false`."""

    def handle(request: Request) -> Answer:
        expand = boolean(request.query, "expand", True)
        parent_id = request.arguments["id"]
        how = view(request)
        if not resources.exists(request.context.archive, level, parent_id):
            raise CodedError(codes.UNKNOWN_RESOURCE)
        query = Query(below, parents=((level, parent_id),))
        return answer_resources(request, query, how) if expand else answer_ids(request, query)

    return handle


def parent(level: Level, above: Level) -> Handler:
    """`GET /{level}/{id}/{above}`: the resource that this one belongs to."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        how = view(request)
        found = resources.ancestor(archive, level, request.arguments["id"], above)
        resource = None if found is None else resources.read(archive, above, found)
        if resource is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        return answers.json(request, render(archive, request.context.names, resource, how))

    return handle


def counter(level: Level) -> Handler:
    """`GET /{level}/{id}/statistics`: sizes, and the counts of the levels below."""

    def handle(request: Request) -> Answer:
        counts = resources.statistics(request.context.archive, level, request.arguments["id"])
        if counts is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        body = {
            **_size("DiskSize", counts.disk_size),
            **_size("UncompressedSize", counts.uncompressed_size),
            **_size("DicomDiskSize", counts.dicom_disk_size),
            **_size("DicomUncompressedSize", counts.dicom_uncompressed_size),
        }
        for below, number in zip(Level, _counts(counts), strict=True):
            if below > level:
                body["Count" + below.plural.capitalize()] = number
        return answers.json(request, body)

    return handle


def total_statistics(request: Request) -> Answer:
    """`GET /statistics`."""
    counts = resources.statistics(request.context.archive)
    if counts is None:
        return answers.missing()
    body: dict[str, Any] = {
        **_size("TotalDiskSize", counts.disk_size),
        **_size("TotalUncompressedSize", counts.uncompressed_size),
    }
    for level, number in zip(Level, _counts(counts), strict=True):
        body["Count" + level.plural.capitalize()] = number
    return answers.json(request, body)


def get_protected(request: Request) -> Answer:
    """`GET /patients/{id}/protected`: 0 or 1."""
    patient = resources.read(request.context.archive, Level.PATIENT, request.arguments["id"])
    if patient is None:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE)
    return answers.text("1" if patient.is_protected else "0")


def put_protected(request: Request) -> Answer:
    """`PUT /patients/{id}/protected`."""
    protected = boolean_body(request.body)
    if not resources.set_protected(request.context.archive, request.arguments["id"], protected):
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE)
    return answers.empty()


def _counts(statistics: Statistics) -> tuple[int, int, int, int]:
    return statistics.patients, statistics.studies, statistics.series, statistics.instances


def _size(name: str, size: int) -> dict[str, Any]:
    """Bytes as text, since they may pass what a double holds, and whole megabytes as a number."""
    return {name: str(size), f"{name}MB": size // MEGABYTE}
