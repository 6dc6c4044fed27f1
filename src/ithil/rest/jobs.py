"""`/jobs`: what is being done in the background, and what became of it.

The list is read and written page by page while it is sent, so that a queue of ten thousand jobs takes no memory
here. Looks at unknown jobs are 404 as everywhere; what is to be done with one is 400, as in Orthanc.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.model import Attachment
from ithil.error_codes import MESSAGES, CodedError
from ithil.http import answers
from ithil.http.answers import JSON, Answer, FilePart, Stream
from ithil.http.ranges import range_header, requested_range
from ithil.http.request import Request, boolean
from ithil.http.routing import Parameter, Route
from ithil.jobs import queue
from ithil.jobs.model import Job, State

_SUCCESS = "Success"  # how `ErrorDescription` calls that there is no error
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
_PIECE_BYTES = 64 * 1024
_UNCOMPRESSED = 1  # `Attachment.compression`

Action = Callable[[Archive, str], bool]


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/jobs",
            list_jobs,
            "Jobs that wait, run or are paused, and those that ended last",
            (Parameter("expand", "Show the jobs, not only their ids"),),
        ),
        Route("GET", "/jobs/{id}", get_job, "State, progress and result of a job"),
        Route("DELETE", "/jobs/{id}", delete_job, "Forget a job that has ended, and its files", writes=True),
        Route("POST", "/jobs/{id}/cancel", acting(queue.cancel), "End a job as a failure", writes=True),
        Route("POST", "/jobs/{id}/pause", acting(queue.pause), "Hold a job", writes=True),
        Route("POST", "/jobs/{id}/resume", acting(queue.resume), "Let a paused job go on", writes=True),
        Route("POST", "/jobs/{id}/resubmit", acting(queue.resubmit), "Try a failed job again", writes=True),
        Route(
            "GET",
            "/jobs/{id}/{key}",
            get_output,
            "A file that a job has made, such as `archive`",
            (Parameter("filename", "The file name that the answer proposes"),),
        ),
        Route("DELETE", "/jobs/{id}/{key}", delete_output, "Remove a file that a job has made", writes=True),
    ]


def list_jobs(request: Request) -> Answer:
    """`GET /jobs`."""
    archive = request.context.archive
    listed: Iterator[Any] = queue.ids(archive)
    if boolean(request.query, "expand"):
        listed = (job_json(job) for job in queue.jobs(archive))
    if request.wants_xml:
        return answers.json(request, list(listed))
    return Answer(Stream(_array(listed)), JSON)


def _array(items: Iterator[Any]) -> Iterator[bytes]:
    """A JSON array as `answers.json` would write it, in pieces."""
    piece, start = bytearray(), b"[\n  "
    for item in items:
        piece += start + orjson.dumps(item, option=_OPTIONS).replace(b"\n", b"\n  ")
        start = b",\n  "
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece) + (b"\n]" if start[:1] == b"," else b"[]")


def get_job(request: Request) -> Answer:
    """`GET /jobs/{id}`."""
    job = queue.get(request.context.archive, request.arguments["id"])
    return answers.missing() if job is None else answers.json(request, job_json(job))


def job_json(job: Job) -> dict[str, Any]:
    """A job as Orthanc shows it. Times are UTC with microseconds, `EffectiveRuntime` is in seconds."""
    now, _ = clock.now()
    code = job.error_code
    shown: dict[str, Any] = {
        "Content": job.content,
        "CreationTime": _moment(job.created_at),
        "EffectiveRuntime": round(job.runtime, 3),
        "ErrorCode": code,
        "ErrorDescription": MESSAGES.get(code, MESSAGES[codes.INTERNAL_ERROR]) if code else _SUCCESS,
        "ErrorDetails": job.error_details,
        "ID": job.id,
        "Priority": job.priority,
        "Progress": int(job.progress * 100 + 1e-9),
        "State": job.state.value,
        "Timestamp": _moment(now),
        "Type": job.type,
    }
    if job.is_finished and job.completed_at is not None:
        shown["CompletionTime"] = _moment(job.completed_at)
    if job.state is State.RUNNING and job.progress > 0:
        left = job.runtime / job.progress * (1 - job.progress)
        shown["EstimatedTimeOfArrival"] = _moment(now + left)
    if job.error_payload is not None:
        shown["ErrorPayload"] = job.error_payload
    if job.user_data is not None:
        shown["UserData"] = job.user_data
    return shown


def _moment(seconds: float) -> str:
    """`YYYYMMDDTHHMMSS.ffffff` in UTC."""
    micros = round(seconds * 1_000_000)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(micros // 1_000_000))}.{micros % 1_000_000:06d}"


def delete_job(request: Request) -> Answer:
    """`DELETE /jobs/{id}`: 400 for one that has not ended yet."""
    found = queue.delete(request.context.archive, request.arguments["id"])
    return answers.empty() if found else answers.missing()


def acting(act: Action) -> Callable[[Request], Answer]:
    """`POST /jobs/{id}/{action}`: `{}`, or 400 for a job that is unknown or in another state."""

    def handle(request: Request) -> Answer:
        if act(request.context.archive, request.arguments["id"]):
            return answers.done()
        return Answer(status=400)

    return handle


def get_output(request: Request) -> Answer:
    """`GET /jobs/{id}/{key}`: a file that the job has made, or the part of it that `Range` asks for."""
    found = queue.output(request.context.archive, request.arguments["id"], request.arguments["key"])
    if found is None:
        raise _no_output()
    file = Attachment(0, found.uuid, _UNCOMPRESSED, found.size, "", found.size, "")
    headers = {
        **answers.disposition(request.query.get("filename") or found.filename),
        "Accept-Ranges": "bytes",
    }
    wanted = requested_range(range_header(request.headers, None), found.size)
    if wanted is None:
        return Answer(FilePart(file, 0, found.size), found.media_type, headers=headers)
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    return Answer(FilePart(file, start, end), found.media_type, 206, headers)


def delete_output(request: Request) -> Answer:
    """`DELETE /jobs/{id}/{key}`."""
    if not queue.delete_output(request.context.archive, request.arguments["id"], request.arguments["key"]):
        raise _no_output()
    return answers.empty()


def _no_output() -> CodedError:
    return CodedError(codes.INEXISTENT_ITEM, "No job with that id has made a file of that name")
