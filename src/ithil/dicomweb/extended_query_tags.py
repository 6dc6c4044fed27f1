"""`/extendedquerytags` and `/operations`, as Microsoft's DICOM service has them: tags that become searchable.

There is no PATCH, and nothing to be patched: `queryStatus` is always `Enabled`. Instances whose value is unfit are
told by `errors`, and do not take the tag out of use for all others.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import query_tags
from ithil.archive.index.query_tags import ADDING
from ithil.archive.query_tags import Shown
from ithil.dicomweb.links import service_root
from ithil.error_codes import CodedError
from ithil.http.answers import JSON, Answer
from ithil.http.json_body import parse, text
from ithil.http.request import Request, unsigned
from ithil.http.routing import Parameter, Route
from ithil.jobs import queue
from ithil.jobs.kinds import query_tags as jobs
from ithil.jobs.model import Job, State

DEFAULT_LIMIT = 100
MOST_ENTRIES = 200

_PAGE = (
    Parameter("limit", "How many to show, 100 by default and 200 at most"),
    Parameter("offset", "How many to leave out"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("GET", "/extendedquerytags", list_tags, "The declared query tags", _PAGE, cacheable=True),
        Route(
            "POST",
            "/extendedquerytags",
            add_tags,
            "Declare tags, which are searchable when what is stored has been looked at",
            writes=True,
            body="application/json",
            fails=(409,),
        ),
        Route("GET", "/extendedquerytags/{tag}", get_tag, "One declared query tag", cacheable=True),
        Route(
            "DELETE",
            "/extendedquerytags/{tag}",
            delete_tag,
            "Take the declaration of a tag back",
            writes=True,
        ),
        Route(
            "GET",
            "/extendedquerytags/{tag}/errors",
            get_errors,
            "Instances that the tag does not find, since their value is unfit",
            _PAGE,
            cacheable=True,
        ),
        Route("GET", "/operations/{id}", get_operation, "How far the work on declared tags is"),
    ]


def list_tags(request: Request) -> Answer:
    """`GET /extendedquerytags`."""
    offset, limit = _page(request)
    root = service_root(request)
    shown = query_tags.all_tags(request.context.archive)[offset : offset + limit]
    return _json([_tag(root, one) for one in shown])


def get_tag(request: Request) -> Answer:
    """`GET /extendedquerytags/{tag}`; the tag is a path, in digits or keywords."""
    shown = query_tags.find(request.context.archive, request.arguments["tag"])
    return _json(_tag(service_root(request), shown))


def add_tags(request: Request) -> Answer:
    """`POST /extendedquerytags`: an array of {path, level[, vr][, privateCreator]}, of which all or none are added.

    Raises CodedError: bad request; duplicate (409) for a tag that is declared, or searchable without.
    """
    body = parse(request.body)
    if isinstance(body, dict):
        body = [body]
    if not isinstance(body, list) or not body or not all(isinstance(one, dict) for one in body):
        raise CodedError(codes.BAD_REQUEST, "The body must be an array of query tags")
    if len(body) > query_tags.MOST_TAGS:
        raise CodedError(codes.BAD_REQUEST, f"An archive can have {query_tags.MOST_TAGS} query tags")
    archive = request.context.archive
    tags = []
    for one in body:
        fields = {name.lower(): value for name, value in one.items() if value is not None}
        unknown = fields.keys() - {"path", "vr", "level", "privatecreator"}
        if unknown or "path" not in fields or "level" not in fields:
            raise CodedError(
                codes.BAD_REQUEST,
                "A query tag has a path and a level, and may have a vr and a privateCreator",
            )
        path, level = text(fields, "path", ""), text(fields, "level", "").capitalize()
        vr, creator = text(fields, "vr", "").upper(), text(fields, "privatecreator", "")
        tags.append(query_tags.declaration(archive, path, vr, level, creator))
    job = jobs.declare(archive, tags)
    reference = _operation_reference(service_root(request), job)
    return Answer(orjson.dumps(reference), JSON, 202, {"Location": reference["href"]})


def delete_tag(request: Request) -> Answer:
    """`DELETE /extendedquerytags/{tag}`."""
    archive = request.context.archive
    jobs.take_back(archive, query_tags.find(archive, request.arguments["tag"]).tag)
    return Answer(status=204)


def get_errors(request: Request) -> Answer:
    """`GET /extendedquerytags/{tag}/errors`."""
    offset, limit = _page(request)
    archive = request.context.archive
    tag = query_tags.find(archive, request.arguments["tag"]).tag
    return _json(
        [
            {
                "studyInstanceUid": study,
                "seriesInstanceUid": series,
                "sopInstanceUid": instance,
                "createdTime": _time(seconds),
                "errorMessage": reason,
            }
            for study, series, instance, reason, seconds in query_tags.errors(archive, tag, offset, limit)
        ]
    )


_STATUSES = {
    State.PENDING: "notStarted",
    State.RUNNING: "running",
    State.PAUSED: "notStarted",
    State.RETRY: "notStarted",
    State.SUCCESS: "succeeded",
    State.FAILURE: "failed",
}


def get_operation(request: Request) -> Answer:
    """`GET /operations/{id}`: 202 while it runs, 200 when it has ended."""
    job = queue.get(request.context.archive, request.arguments["id"])
    if job is None or job.type != jobs.INDEX:
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such operation; jobs are at /jobs")
    shown = _operation(service_root(request), job)
    return Answer(orjson.dumps(shown), JSON, 200 if job.is_finished else 202)


def _operation(root: str, job: Job) -> dict[str, Any]:
    return {
        "operationId": job.id,
        "type": "reindex",
        "createdTime": _time(job.created_at),
        "lastUpdatedTime": _time(job.changed_at),
        "status": "canceled" if job.error_code == codes.CANCELED_JOB else _STATUSES[job.state],
        "percentComplete": round(100 * job.progress),
        "resources": [f"{root}/extendedquerytags/{name}" for name in job.content.get("Tags", [])],
    }


def _operation_reference(root: str, job: str) -> dict[str, str]:
    return {"id": job, "href": f"{root}/operations/{job}"}


def _tag(root: str, shown: Shown) -> dict[str, Any]:
    tag = shown.tag
    found: dict[str, Any] = {
        "path": tag.name,
        "vr": tag.vr,
        "level": tag.level.singular,
        "status": tag.status,
        "queryStatus": "Enabled",
    }
    if tag.private_creator:
        found["privateCreator"] = tag.private_creator
    if shown.errors:
        found["errors"] = {
            "count": shown.errors,
            "href": f"{root}/extendedquerytags/{tag.name}/errors",
        }
    if tag.status == ADDING:
        found["operation"] = _operation_reference(root, tag.operation)
    return found


def _page(request: Request) -> tuple[int, int]:
    limit = unsigned(request.query, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MOST_ENTRIES:
        raise CodedError(codes.BAD_REQUEST, f'The argument "limit" must be between 1 and {MOST_ENTRIES}')
    return min(unsigned(request.query, "offset", 0), 2**62), limit


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> Answer:
    return Answer(orjson.dumps(value), JSON)
