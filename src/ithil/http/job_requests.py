"""Requests whose work is a job: they answer where the job is, or wait until it has ended.

Waiting takes no thread. The engine of this process calls when it has ended the job; a job that another process
runs is looked at ever more rarely, up to once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.error_codes import CodedError
from ithil.http import answers, json_body
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.jobs import notices, queue
from ithil.jobs.model import Job, State

_FIRST_LOOK = 0.05  # seconds until the index is asked again whether the job has ended
_LAST_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class JobFields:
    """What the body of any request for a job may say about it."""

    synchronous: bool
    priority: int = 0
    permissive: bool = False
    user_data: Any = None


def parse_job_fields(body: dict[str, Any], *, synchronous: bool) -> JobFields:
    """The fields `Synchronous` or else `Asynchronous`, `Priority`, `Permissive` and `UserData`.

    `synchronous` is what the route does if neither of the first two is there. Raises CodedError (bad type).
    """
    if "Synchronous" in body:
        synchronous = json_body.boolean(body, "Synchronous", synchronous)
    elif "Asynchronous" in body:
        synchronous = not json_body.boolean(body, "Asynchronous", not synchronous)
    priority = json_body.integer(body, "Priority", 0)
    if not -(2**31) <= priority < 2**31:
        raise CodedError(codes.BAD_PARAMETER_TYPE, 'The field "Priority" must be a number of 32 bits')
    return JobFields(
        synchronous, priority, json_body.boolean(body, "Permissive", False), body.get("UserData")
    )


def run_job(
    request: Request,
    kind: str,
    arguments: dict[str, Any],
    fields: JobFields,
    *,
    content: dict[str, Any] | None = None,
    answer: Callable[[Job], Answer] | None = None,
) -> Answer | Awaitable[Answer]:
    """Submit a job and answer as the client wants it.

    Asynchronous: `{ID, Path}` at once. Synchronous: an awaitable of what `answer` makes of the job when it
    has succeeded, by default its public content. It raises the error of a job that has failed, and
    CodedError (canceled) when the job is cancelled. Blocking, so only to be called in a worker thread.
    """
    archive = request.context.archive
    job = queue.submit(
        archive, kind, arguments, priority=fields.priority, user_data=fields.user_data, content=content
    )
    if not fields.synchronous:
        return answers.json(request, {"ID": job, "Path": f"/jobs/{job}"})
    return _answer_when_done(request, job, answer)


async def _answer_when_done(request: Request, job: str, answer: Callable[[Job], Answer] | None) -> Answer:
    context = request.context

    def finish() -> Answer:
        ended = queue.get(context.archive, job)
        if ended is None:
            raise CodedError(codes.INEXISTENT_ITEM, "The job was deleted before its result could be read")
        if ended.state is not State.SUCCESS:
            raise CodedError(ended.error_code, ended.error_details, payload=ended.error_payload)
        return answers.json(request, ended.content) if answer is None else answer(ended)

    await wait_until_done(context.archive, job, context.in_thread)
    return await context.in_thread(finish)


async def wait_until_done(
    archive: Archive, job: str, in_thread: Callable[..., Awaitable[Job | None]]
) -> None:
    """Return when a job has ended, or is not there any more."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(told.set)
        except RuntimeError:
            pass  # the loop has been closed since, and with it whoever waited

    here = notices.of(archive)
    pause = _FIRST_LOOK
    here.wait_for(job, tell)
    try:
        while True:
            told.clear()
            found = await in_thread(queue.get, archive, job)
            if found is None or found.is_finished:
                return
            try:
                await asyncio.wait_for(told.wait(), pause)
                here.wait_for(job, tell)  # it has not ended for good yet: a lost job, for one
            except TimeoutError:
                pause = min(2 * pause, _LAST_LOOK)
    finally:
        here.wait_no_more(job, tell)
