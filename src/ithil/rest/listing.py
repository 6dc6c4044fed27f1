"""Lists of any length as answers: short ones as a whole, long ones while they are found.

A list is drawn in batches. If it ends soon, it is an ordinary answer with a length, which may be cached; if not,
what was drawn is sent and the rest follows batch by batch, so that no list is held in memory as a whole. Both
are the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ithil import error_codes as codes
from ithil.archive import find
from ithil.archive.query import BadQuery, Query
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import JSON, XML, Answer, Stream
from ithil.http.request import Request
from ithil.rest.resource_json import View, render_many

SHORT_IDS = 20_000
SHORT_RESOURCES = 2_000
"""What is answered as a whole: one to three megabytes."""

PIECE_BYTES = 4 * 1024 * 1024
"""What is sent at once of a longer list; each piece costs a change of threads."""


def answer_ids(request: Request, query: Query) -> Answer:
    """The public ids of what matches. Raises CodedError (parameter out of range) for an impossible query."""
    return listed(request, find.ids(request.context.archive, query, request.context.closing), SHORT_IDS)


def answer_resources(request: Request, query: Query, view: View) -> Answer:
    """The resources that match, as `view` shows them. Raises as `answer_ids`."""
    return listed(request, _rendered(request, query, view), SHORT_RESOURCES)


def _rendered(request: Request, query: Query, view: View) -> Iterator[list[dict[str, Any]]]:
    context, level = request.context, query.level
    tag_names = view.tag_names()
    named = tag_names is not None
    for batch in find.resources(context.archive, query, view.parts(level), context.closing, tag_names):
        yield render_many(context.archive, context.names, level, batch, view, named=named)


def listed(request: Request, batches: Iterator[list[Any]], short: int = SHORT_RESOURCES) -> Answer:
    """All items of all batches in one list; more than `short` of them are sent while they are drawn."""
    held: list[Any] = []
    try:
        for batch in batches:
            held += batch
            if len(held) > short:
                break
        else:
            return answers.json(request, held)
    except BadQuery as error:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, str(error)) from error
    if request.wants_xml:
        return Answer(Stream(_pieces(request, held, batches, _XML_ENDS)), XML)
    return Answer(Stream(_pieces(request, held, batches, _JSON_ENDS)), JSON)


# What a list begins and ends with, and what stands between two items, in the forms of `answers.json`.
_JSON_ENDS = (b"[", b"\n]", b",")
_XML_ENDS = (b'<?xml version="1.0" encoding="utf-8"?>\n<root>\n', b"</root>\n", b"")


def _pieces(
    request: Request, held: list[Any], batches: Iterator[list[Any]], ends: tuple[bytes, bytes, bytes]
) -> Iterator[bytes]:
    begin, end, between = ends
    lead = begin
    waiting: list[bytes] = []
    size = 0
    batch: list[Any] | None = held
    held = []
    try:
        while batch is not None:
            if batch:
                whole = answers.json(request, batch).body
                assert isinstance(whole, bytes)
                waiting += [lead, whole[len(begin) : -len(end)]]
                size += len(whole)
                lead = between
            if size >= PIECE_BYTES:
                yield b"".join(waiting)
                waiting.clear()
                size = 0
            batch = next(batches, None)
        yield b"".join([*waiting, end])
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
