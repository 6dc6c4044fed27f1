"""The resources that the body of a request for a transfer names, and the instances below them.

The body may be a single id as text, an array of ids, or an object whose field `Resources` is that array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http.request import Request

MOST_RESOURCES = 100_000

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}\Z")


@dataclass(frozen=True, slots=True)
class Named:
    """What is named: the fields of the body, the resources with their levels, and all instances below."""

    body: dict[str, Any]
    resources: dict[str, Level]
    instances: list[str]


def named(request: Request) -> Named:
    """Read the body. Raises CodedError: bad file format, unknown resource."""
    return named_in(request.context.archive, _body(request))


def named_in(archive: Archive, body: dict[str, Any]) -> Named:
    """The same of a body that is an object. Raises CodedError: bad file format, unknown resource."""
    asked = body.get("Resources")
    if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "Resources" must be an array of strings')
    if len(asked) > MOST_RESOURCES:
        raise CodedError(codes.BAD_FILE_FORMAT, f"At most {MOST_RESOURCES} resources can be sent at once")
    if not all(_ID.match(one) for one in asked):
        raise CodedError(codes.BAD_FILE_FORMAT, "Not the id of a resource")
    levels = with_levels(archive, asked)
    return Named(body, levels, instances_below(archive, levels))


def with_levels(archive: Archive, public_ids: list[str]) -> dict[str, Level]:
    """Each resource once with its level, in the order given. Raises CodedError (unknown resource)."""
    levels = resources.levels_of(archive, public_ids)
    if any(one not in levels for one in public_ids):
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no resource with one of these ids")
    return {one: levels[one] for one in public_ids}


def instances_below(archive: Archive, levels: dict[str, Level]) -> list[str]:
    """The instances below the resources, each once."""
    found: dict[str, None] = {}
    for public_id, level in levels.items():
        below = resources.descendants(archive, level, public_id, Level.INSTANCE)
        found.update(dict.fromkeys(below or ()))
    return list(found)


def _body(request: Request) -> dict[str, Any]:
    text = request.body.decode("latin-1").strip()
    if _ID.match(text):
        return {"Resources": [text]}
    try:
        value = orjson.loads(request.body)
    except ValueError as error:
        raise CodedError(codes.BAD_FILE_FORMAT, "The body must be an id or JSON") from error
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        value = {"Resources": value}
    if not isinstance(value, dict):
        raise CodedError(codes.BAD_FILE_FORMAT, "The body must be an id, an array of ids, or a JSON object")
    return value
