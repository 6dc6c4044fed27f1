"""Metadata and labels of resources, as far as they are read."""

from __future__ import annotations

from collections.abc import Callable

from ithil import error_codes as codes
from ithil.archive import resources
from ithil.archive.model import Resource
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.rest import answers
from ithil.rest.answers import Answer
from ithil.rest.request import RestRequest, boolean
from ithil.rest.routing import Parameter, Route

Handler = Callable[[RestRequest], Answer]


def routes() -> list[Route]:
    """The routes of this module."""
    table = []
    for level in Level:
        one, noun = f"/{level.plural}/{{id}}", level.singular.lower()
        table += [
            Route(
                "GET",
                f"{one}/metadata",
                lister(level),
                f"Names of the metadata of the {noun}",
                (
                    Parameter("expand", "Whether to show the values as well"),
                    Parameter("numeric", "Numbers instead of names"),
                ),
                cacheable=True,
            ),
            Route(
                "GET",
                f"{one}/metadata/{{name}}",
                reader(level),
                f"A metadata of the {noun}",
                cacheable=True,
            ),
            Route("GET", f"{one}/labels", labels(level), f"Labels of the {noun}", cacheable=True),
            Route(
                "GET",
                f"{one}/labels/{{label}}",
                label(level),
                f"Whether the {noun} has a label",
                cacheable=True,
            ),
        ]
    return table


def resource_of(request: RestRequest, level: Level) -> Resource:
    """The resource that the path names. Raises CodedError (unknown resource)."""
    resource = resources.read(request.context.archive, level, request.arguments["id"])
    if resource is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return resource


def lister(level: Level) -> Handler:
    """`GET /{level}/{id}/metadata`: in the order of their numbers."""

    def handle(request: RestRequest) -> Answer:
        metadata = resource_of(request, level).metadata
        if boolean(request.query, "numeric"):
            names = {number: str(number) for number in metadata}
        else:
            names = {number: request.context.names.metadata.name(number) for number in metadata}
        if boolean(request.query, "expand"):
            return answers.json(request, {names[number]: entry.value for number, entry in metadata.items()})
        return answers.json(request, [names[number] for number in sorted(metadata)])

    return handle


def reader(level: Level) -> Handler:
    """`GET /{level}/{id}/metadata/{name}`: text with the entity tag of its revision."""

    def handle(request: RestRequest) -> Answer:
        number = request.context.names.metadata.number(request.arguments["name"])
        entry = resource_of(request, level).metadata.get(number)
        if entry is None:
            return answers.missing()
        tag = answers.text_etag(entry.revision, entry.value)
        answer = answers.not_modified(request, tag) or answers.text(entry.value)
        answer.headers["ETag"] = tag
        return answer

    return handle


def labels(level: Level) -> Handler:
    """`GET /{level}/{id}/labels`."""

    def handle(request: RestRequest) -> Answer:
        return answers.json(request, resource_of(request, level).labels)

    return handle


def label(level: Level) -> Handler:
    """`GET /{level}/{id}/labels/{label}`: empty if it has the label, else 404."""

    def handle(request: RestRequest) -> Answer:
        if request.arguments["label"] in resource_of(request, level).labels:
            return answers.empty()
        return answers.missing()

    return handle
