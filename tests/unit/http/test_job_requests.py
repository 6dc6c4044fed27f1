"""Requests whose work is a job, over a real engine with kinds made for tests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.application import Client, MakeClient
from tests.unit.jobs.kinds import Gated
from tests.unit.jobs.running import archive_of, gated, one_at_a_time, start

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.job_requests import JobFields, parse_job_fields, run_job
from ithil.http.request import Request
from ithil.jobs import queue
from ithil.jobs.model import Job

__all__ = ["gated", "one_at_a_time", "start"]


@pytest.mark.parametrize(
    ("body", "default", "fields"),
    [
        ({}, True, JobFields(True)),
        ({}, False, JobFields(False)),
        ({"Synchronous": False}, True, JobFields(False)),
        ({"Asynchronous": True}, True, JobFields(False)),
        ({"Synchronous": True, "Asynchronous": True}, False, JobFields(True)),
        (
            {"Priority": -3, "Permissive": True, "UserData": {"a": [1]}},
            True,
            JobFields(True, -3, True, {"a": [1]}),
        ),
    ],
)
def test_the_fields_of_a_body(body: dict[str, Any], default: bool, fields: JobFields) -> None:
    assert parse_job_fields(body, synchronous=default) == fields


@pytest.mark.parametrize(
    "body",
    [{"Synchronous": "yes"}, {"Asynchronous": 3}, {"Priority": "1"}, {"Priority": 2**31}, {"Permissive": []}],
)
def test_fields_of_wrong_types(body: dict[str, Any]) -> None:
    with pytest.raises(CodedError) as refused:
        parse_job_fields(body, synchronous=True)
    assert refused.value.status == 400


def ask(
    client: Client,
    kind: str,
    arguments: dict[str, Any],
    fields: JobFields,
    answer: Callable[[Job], Answer] | None = None,
) -> Answer:
    """What a route answers that runs a job."""
    context = client.app.context
    request = Request(context, "POST", "/tools/test")

    async def run() -> Answer:
        came = await context.in_thread(
            lambda: run_job(request, kind, arguments, fields, content={"A": 1}, answer=answer)
        )
        return await came if isawaitable(came) else came  # type: ignore[return-value]

    return asyncio.run(run())


def test_asynchronous_says_where_the_job_is(one_at_a_time: Client, gated: Gated) -> None:
    told = ask(one_at_a_time, "Gated", {}, JobFields(False, 5, user_data="u"))
    assert gated.started.acquire(timeout=30)
    (job,) = one_at_a_time.get("/jobs").json()
    assert told == answers.json(
        Request(one_at_a_time.app.context, "GET", "/"), {"ID": job, "Path": f"/jobs/{job}"}
    )
    shown = one_at_a_time.get(f"/jobs/{job}").json()
    assert (shown["Priority"], shown["UserData"], shown["Content"]) == (5, "u", {"A": 1})


def test_synchronous_answers_the_content_or_what_the_route_makes_of_it(
    one_at_a_time: Client, tmp_path: Path
) -> None:
    arguments = {"count": 2, "folder": str(tmp_path)}
    answer = ask(one_at_a_time, "Steps", arguments, JobFields(True))
    assert b'"A": 1' in bytes(answer.body)  # type: ignore[arg-type]
    assert b'"Done": 2' in bytes(answer.body)  # type: ignore[arg-type]
    own = ask(
        one_at_a_time, "Steps", arguments, JobFields(True), lambda job: answers.text(f"{job.content['Done']}")
    )
    assert own.body == b"2"


def test_the_failure_of_a_synchronous_job_is_the_answer(one_at_a_time: Client) -> None:
    with pytest.raises(CodedError) as refused:
        ask(one_at_a_time, "Failing", {"how": "coded"}, JobFields(True))
    assert (refused.value.status, refused.value.details) == (404, "The study is not there")


def test_waiting_takes_no_thread(
    make_client: MakeClient, start: Callable[[Client], None], gated: Gated
) -> None:
    """More synchronous jobs than the server has threads, and other requests are still answered."""
    client = make_client(http_threads_count=2, concurrent_jobs=1)
    start(client)
    context = client.app.context

    async def run() -> tuple[list[Answer], float]:
        async def one() -> Answer:
            request = Request(context, "POST", "/tools/test")
            return await (await context.in_thread(run_job, request, "Gated", {}, JobFields(True)))  # type: ignore[misc]

        waiting = [asyncio.ensure_future(one()) for _ in range(8)]
        await asyncio.to_thread(gated.started.acquire, True, 30)
        began = time.monotonic()
        await context.in_thread(time.time)
        took = time.monotonic() - began
        for _ in waiting:
            gated.gate.release()
        return list(await asyncio.gather(*waiting)), took

    done, took = asyncio.run(run())
    assert [answer.status for answer in done] == [200] * 8
    assert took < 5


def test_a_cancelled_synchronous_job_is_answered(one_at_a_time: Client, gated: Gated) -> None:
    def cancel() -> None:
        assert gated.started.acquire(timeout=30)
        (job,) = queue.ids(archive_of(one_at_a_time))
        assert queue.cancel(archive_of(one_at_a_time), job)
        gated.gate.release()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    with pytest.raises(CodedError) as refused:
        ask(one_at_a_time, "Gated", {}, JobFields(True))
    cancelling.join(30)
    assert refused.value.code == codes.CANCELED_JOB


def test_synchronous_without_any_history(make_client: MakeClient, start: Callable[[Client], None]) -> None:
    client = make_client(jobs_history_size=0)
    start(client)
    answer = ask(client, "Leaving", {"files": []}, JobFields(True))
    assert answer.status == 200
    assert client.get("/jobs").json() == []
