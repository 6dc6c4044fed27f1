"""The log of changes and the log of exported resources."""

from __future__ import annotations

from typing import Any

from ithil.archive import changes, exports
from ithil.archive.model import Change, Export
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, number, words
from ithil.http.routing import Parameter, Route, Runs

DEFAULT_LIMIT = 100


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/changes",
            get_changes,
            "What happened to resources, in order",
            (
                Parameter("since", "The number of the last change that is known already"),
                Parameter("limit", "How many changes to show, 100 by default"),
                Parameter("last", "Show the newest change only"),
                Parameter("to", "The number of the last change wanted; alone, the log is read backwards"),
                Parameter("type", "Kinds of changes, between semicolons; all by default"),
            ),
            cacheable=True,
            runs=Runs.IN_TURN,
        ),
        Route("DELETE", "/changes", delete_changes, "Forget the log of changes", writes=True),
        Route(
            "GET",
            "/exports",
            get_exports,
            "What was sent to other servers",
            (
                Parameter("since", "The number of the last export that is known already"),
                Parameter("limit", "How many exports to show"),
                Parameter("last", "Show the newest export only"),
            ),
            cacheable=True,
            runs=Runs.IN_TURN,
        ),
        Route("DELETE", "/exports", delete_exports, "Forget the log of exports", writes=True),
    ]


def get_changes(request: Request) -> Answer:
    """`GET /changes`. If `since` or `limit` is no number, both count as if they were not there."""
    query = request.query
    kinds = words(query, "type")
    since, limit = _since_and_limit(query)
    found = changes.page(
        request.context.archive,
        since=since,
        limit=limit,
        last="last" in query,
        to=number(query, "to", 0) if "to" in query else None,
        kinds=kinds if kinds and "all" not in map(str.lower, kinds) else None,
    )
    body: dict[str, Any] = {
        "Changes": [_change(change) for change in found.changes],
        "Done": found.done,
        "Last": found.last,
    }
    if found.changes and found.first is not None:
        body["First"] = found.first
    return answers.json(request, body)


def _since_and_limit(query: dict[str, str]) -> tuple[int, int]:
    since, limit = number(query, "since", 0), number(query, "limit", DEFAULT_LIMIT)
    if since is None or limit is None:
        return 0, DEFAULT_LIMIT
    return since, limit


def _change(change: Change) -> dict[str, Any]:
    return {
        "ChangeType": change.kind,
        "Date": change.date,
        "ID": change.id,
        "Path": f"/{change.level.plural}/{change.id}",
        "ResourceType": change.level.singular,
        "Seq": change.seq,
    }


def delete_changes(request: Request) -> Answer:
    """`DELETE /changes`."""
    changes.clear(request.context.archive)
    return answers.empty()


def get_exports(request: Request) -> Answer:
    """`GET /exports`. Numbers are read as in `GET /changes`."""
    since, limit = _since_and_limit(request.query)
    found = exports.page(request.context.archive, since=since, limit=limit, last="last" in request.query)
    body = {
        "Done": found.done,
        "Exports": [_export(export) for export in found.exports],
        "Last": found.last,
    }
    return answers.json(request, body)


def _export(export: Export) -> dict[str, Any]:
    """An entry, with the DICOM identifiers down to the level of its resource."""
    identifiers = (
        ("PatientID", export.patient_id),
        ("StudyInstanceUID", export.study_instance_uid),
        ("SeriesInstanceUID", export.series_instance_uid),
        ("SOPInstanceUID", export.sop_instance_uid),
    )
    return {
        "Date": export.date,
        "ID": export.id,
        "Path": f"/{export.level.plural}/{export.id}",
        "RemoteModality": export.remote_modality,
        "ResourceType": export.level.singular,
        "Seq": export.seq,
        **dict(identifiers[: export.level + 1]),
    }


def delete_exports(request: Request) -> Answer:
    """`DELETE /exports`."""
    exports.clear(request.context.archive)
    return answers.empty()
