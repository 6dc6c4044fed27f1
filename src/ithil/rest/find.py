"""Searches: `/tools/find`, `/tools/count-resources`, `/tools/bulk-content`, `/tools/labels`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ithil import error_codes as codes
from ithil.archive import find, resources
from ithil.archive.archive import Archive
from ithil.archive.query import BadQuery, Query
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.json_body import json_object
from ithil.http.request import Request
from ithil.http.routing import Route, Runs
from ithil.rest.find_body import level_of, query_of, texts
from ithil.rest.listing import answer_ids, answer_resources, listed
from ithil.rest.requested_tags import RequestedTags
from ithil.rest.resource_json import View, contents, render_many

_FORMATS = (("Simplify", Format.SIMPLIFIED), ("Short", Format.SHORT), ("Full", Format.FULL))
_BATCH = 500  # resources


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            "/tools/find",
            post_find,
            "Search for patients, studies, series or instances",
            runs=Runs.IN_TURN,
        ),
        Route(
            "POST",
            "/tools/count-resources",
            post_count,
            "How many resources a search would find",
            runs=Runs.IN_TURN,
        ),
        Route("POST", "/tools/bulk-content", post_bulk_content, "Show many resources at once"),
        Route("GET", "/tools/labels", get_labels, "All labels that some resource has", cacheable=True),
    ]


def post_find(request: Request) -> Answer:
    """`POST /tools/find`: identifiers, or resources with `Expand` or `ResponseContent`."""
    body = json_object(request)
    archive = request.context.archive
    query = find.limited(archive, _query(request, body))
    view = _view(request, body)
    if view.content is not None or body.get("Expand"):
        return answer_resources(request, query, view)
    return answer_ids(request, query)


def post_count(request: Request) -> Answer:
    """`POST /tools/count-resources`: the number of all that match, whatever the limits of answers are."""
    query = replace(_query(request, json_object(request)), order=())
    try:
        count = find.count(request.context.archive, query, request.context.closing)
    except BadQuery as error:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, str(error)) from error
    return answers.json(request, {"Count": count})


def get_labels(request: Request) -> Answer:
    """`GET /tools/labels`: sorted."""
    return answers.json(request, resources.labels(request.context.archive))


def _query(request: Request, body: dict[str, Any]) -> Query:
    open_files = request.context.settings.storage_access_on_find == "Always"
    return query_of(body, request.context.names, open_files=open_files)


def _view(request: Request, body: dict[str, Any]) -> View:
    names = texts(body, "RequestedTags")
    open_files = request.context.settings.storage_access_on_find != "Never"
    return View(
        body_format(body),
        contents(texts(body, "ResponseContent")) if "ResponseContent" in body else None,
        RequestedTags.parse(names, request.context.archive, open_files=open_files),
    )


def body_format(body: dict[str, Any], default: Format = Format.SIMPLIFIED) -> Format:
    """The format that the fields `Simplify`, `Short` and `Full` ask for; the first of them that is true wins.

    Raises CodedError (bad file format) for what is not a Boolean, as Orthanc does.
    """
    found = default
    for name, form in reversed(_FORMATS):
        if _flag(body, name, default=False):
            found = form
    return found


def _flag(body: dict[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise CodedError(codes.BAD_FILE_FORMAT, f"Boolean value expected in field: {name}")
    return value


# -- bulk-content --------------------------------------------------------------------------------------------


def post_bulk_content(request: Request) -> Answer:
    """`POST /tools/bulk-content`: the resources with these identifiers, or with `Level` their relatives there.

    Unknown ones are passed over. Without `Level` they come as they were asked for, repetitions too; with it each
    comes once, sorted by identifier.
    """
    body = json_object(request)
    wanted = body.get("Resources")
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise CodedError(codes.BAD_FILE_FORMAT, "List of strings expected in field: Resources")
    if "Level" in body and not isinstance(body["Level"], str):
        raise CodedError(codes.BAD_FILE_FORMAT, "String value expected in field: Level")
    level = level_of(body) if "Level" in body else None
    how = View(
        body_format(body),
        None,
        RequestedTags((), request.context.archive),
        with_metadata=_flag(body, "Metadata", default=True),
    )
    wanted = [one.replace("\0", "") for one in wanted]
    known = resources.levels_of(request.context.archive, wanted)
    if level is None:
        shown = _in_turn(request, [(known[one], one) for one in wanted if one in known], how)
    else:
        moved = _moved(request.context.archive, known, level)
        shown = _in_turn(request, [(level, one) for one in moved], how)
    return listed(request, shown)


def _moved(archive: Archive, known: dict[str, Level], to: Level) -> list[str]:
    """The resources at level `to` above, below or among those that are known, sorted."""
    found: set[str] = set()
    for public_id, level in known.items():
        if level == to:
            found.add(public_id)
        elif level > to:
            above = resources.ancestor(archive, level, public_id, to)
            found |= {above} if above is not None else set()
        else:
            found.update(resources.descendants(archive, level, public_id, to) or ())
    return sorted(found)


def _in_turn(request: Request, wanted: list[tuple[Level, str]], how: View) -> Iterator[list[dict[str, Any]]]:
    """The resources in batches, each of which is read level by level."""
    archive, names = request.context.archive, request.context.names
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        bodies: dict[tuple[Level, str], dict[str, Any]] = {}
        for level in Level:
            ids = [public_id for at, public_id in batch if at == level]
            if ids:
                found = resources.read_many(archive, level, list(dict.fromkeys(ids)), how.parts(level))
                for body in render_many(archive, names, level, found, how):
                    bodies[level, body["ID"]] = body
        yield [bodies[one] for one in batch if one in bodies]
