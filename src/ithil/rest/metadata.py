"""Metadata of resources: short texts under a name or a number.

Numbers below 1024 are the system's and can only be read; those from 1024 to 65535 belong to users, with names
from `UserMetadata`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ithil import error_codes as codes
from ithil.archive import metadata, resources
from ithil.archive.model import FIRST_OF_USERS, Resource
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean
from ithil.http.routing import Parameter, Route
from ithil.rest.revisions import expected_version, version_to_delete

Handler = Callable[[Request], Answer]

_NUMBER = re.compile(r"-?[0-9]{1,10}\Z")
_LAST = 65535


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
            Route(
                "PUT", f"{one}/metadata/{{name}}", writer(level), f"Set a metadata of the {noun}", writes=True
            ),
            Route(
                "DELETE",
                f"{one}/metadata/{{name}}",
                deleter(level),
                f"Delete a metadata of the {noun}",
                writes=True,
            ),
        ]
    return table


def resource_of(request: Request, level: Level) -> Resource:
    """The resource that the path names. Raises CodedError (unknown resource)."""
    resource = resources.read(request.context.archive, level, request.arguments["id"])
    if resource is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return resource


def lister(level: Level) -> Handler:
    """`GET /{level}/{id}/metadata`: in the order of their numbers."""

    def handle(request: Request) -> Answer:
        entries = resource_of(request, level).metadata
        if boolean(request.query, "numeric"):
            names = {number: str(number) for number in entries}
        else:
            names = {number: request.context.names.metadata.name(number) for number in entries}
        if boolean(request.query, "expand"):
            return answers.json(request, {names[number]: entry.value for number, entry in entries.items()})
        return answers.json(request, [names[number] for number in sorted(entries)])

    return handle


def reader(level: Level) -> Handler:
    """`GET /{level}/{id}/metadata/{name}`: text with the entity tag of its revision."""

    def handle(request: Request) -> Answer:
        number = request.context.names.metadata.number(request.arguments["name"])
        entry = resource_of(request, level).metadata.get(number)
        if entry is None:
            return answers.missing()
        tag = answers.text_etag(entry.revision, entry.value)
        answer = answers.not_modified(request, tag) or answers.text(entry.value)
        answer.headers["ETag"] = tag
        return answer

    return handle


def writer(level: Level) -> Handler:
    """`PUT /{level}/{id}/metadata/{name}`: the body becomes the value; the answer has its entity tag."""

    def handle(request: Request) -> Answer:
        number = user_number(request.context.names.metadata.number, request.arguments["name"])
        if number is None:
            return forbidden()
        entry = metadata.put(
            request.context.archive,
            level,
            request.arguments["id"],
            number,
            _text(request.body),
            expected_version(request),
        )
        answer = answers.empty()
        answer.headers["ETag"] = answers.text_etag(entry.revision, entry.value)
        return answer

    return handle


def deleter(level: Level) -> Handler:
    """`DELETE /{level}/{id}/metadata/{name}`."""

    def handle(request: Request) -> Answer:
        number = user_number(request.context.names.metadata.number, request.arguments["name"])
        if number is None:
            return forbidden()
        expected = version_to_delete(request)
        metadata.delete(request.context.archive, level, request.arguments["id"], number, expected)
        return answers.empty()

    return handle


def user_number(number: Callable[[str], int], name: str) -> int | None:
    """The number of a metadata or an attachment that belongs to users; None for one of the system's.

    `number` tells the number of a name. Raises CodedError (inexistent item) for an unknown name.
    """
    found = int(name) if _NUMBER.match(name) else number(name)
    return found if FIRST_OF_USERS <= found <= _LAST else None


def forbidden() -> Answer:
    """The answer to who would change what is the system's: 403 without a body."""
    return Answer(status=403)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise CodedError(codes.BAD_REQUEST, "A metadata must be text in UTF-8") from error
