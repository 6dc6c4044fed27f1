"""Labels of resources."""

from __future__ import annotations

from collections.abc import Callable

from ithil.archive import labels
from ithil.dicom.level import Level
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.rest.metadata import resource_of

Handler = Callable[[Request], Answer]


def routes() -> list[Route]:
    """The routes of this module."""
    table = []
    for level in Level:
        all_labels, noun = f"/{level.plural}/{{id}}/labels", level.singular.lower()
        one = f"{all_labels}/{{label}}"
        table += [
            Route("GET", all_labels, lister(level), f"Labels of the {noun}", cacheable=True),
            Route("GET", one, reader(level), f"Whether the {noun} has a label", cacheable=True),
            Route("PUT", one, adder(level), f"Put a label on the {noun}", writes=True),
            Route("DELETE", one, remover(level), f"Take a label off the {noun}", writes=True),
        ]
    return table


def lister(level: Level) -> Handler:
    """`GET /{level}/{id}/labels`."""

    def handle(request: Request) -> Answer:
        return answers.json(request, resource_of(request, level).labels)

    return handle


def reader(level: Level) -> Handler:
    """`GET /{level}/{id}/labels/{label}`: empty if it has the label, else 404."""

    def handle(request: Request) -> Answer:
        if request.arguments["label"] in resource_of(request, level).labels:
            return answers.empty()
        return answers.missing()

    return handle


def adder(level: Level) -> Handler:
    """`PUT /{level}/{id}/labels/{label}`; one that is there already stays."""

    def handle(request: Request) -> Answer:
        archive, arguments = request.context.archive, request.arguments
        labels.add(archive, level, arguments["id"], arguments["label"])
        return answers.empty()

    return handle


def remover(level: Level) -> Handler:
    """`DELETE /{level}/{id}/labels/{label}`; one that is not there is no error."""

    def handle(request: Request) -> Answer:
        archive, arguments = request.context.archive, request.arguments
        labels.remove(archive, level, arguments["id"], arguments["label"])
        return answers.empty()

    return handle
