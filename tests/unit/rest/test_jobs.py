"""`/jobs` and the requests whose work is a job, over a real engine with kinds made for tests."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.application import Client, MakeClient
from tests.unit.jobs.kinds import Gated, kinds

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.job_requests import JobFields, parse_job_fields, run_job
from ithil.http.request import Request
from ithil.jobs import queue
from ithil.jobs.engine import Engine
from ithil.jobs.model import Job

_MOMENT = re.compile(r"\d{8}T\d{6}\.\d{6}")


@pytest.fixture
def gated() -> Gated:
    return Gated()


@pytest.fixture
def start(gated: Gated) -> Iterator[Callable[[Client], None]]:
    """A function that runs the tests' kinds of jobs for a client's application, one job at a time."""
    engines: list[Engine] = []

    def run(client: Client) -> None:
        known = {name: kind for name, kind in kinds(gated).items() if name != "Archive"}
        engine = Engine(archive_of(client), known)
        engine.start()
        engines.append(engine)

    yield run
    for _ in range(100):
        gated.gate.release()
    for engine in engines:
        engine.stop(10)


@pytest.fixture
def one_at_a_time(make_client: MakeClient, start: Callable[[Client], None]) -> Client:
    """A client of an application that runs one job of the tests' kinds at a time."""
    client = make_client(concurrent_jobs=1)
    start(client)
    return client


def archive_of(client: Client) -> Archive:
    return client.app.context.archive


def submit(client: Client, kind: str, arguments: dict[str, Any] | None = None, **options: Any) -> str:
    return queue.submit(archive_of(client), kind, arguments or {}, **options)


def state_of(client: Client, job: str) -> str:
    return str(client.get(f"/jobs/{job}").json()["State"])


def wait_for(client: Client, job: str, state: str) -> dict[str, Any]:
    """The job as the API shows it when it has come to that state."""
    deadline = time.monotonic() + 30
    while (shown := client.get(f"/jobs/{job}").json())["State"] != state:
        assert time.monotonic() < deadline, shown
        time.sleep(0.01)
    return dict(shown)


def test_no_jobs(client: Client) -> None:
    for url in ("/jobs", "/jobs?expand", "/jobs?expand=true"):
        answer = client.get(url)
        assert (answer.status_code, answer.text) == (200, "[]")
        assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_unknown_jobs(client: Client) -> None:
    assert (client.get("/jobs/nope").status_code, client.get("/jobs/nope").content) == (404, b"")
    assert client.delete("/jobs/nope").status_code == 404
    for action in ("cancel", "pause", "resume", "resubmit"):
        answer = client.post(f"/jobs/nope/{action}")
        assert (answer.status_code, answer.content) == (400, b"")
    for answer in (client.get("/jobs/nope/archive"), client.delete("/jobs/nope/archive")):
        assert answer.status_code == 404
        assert answer.json()["OrthancStatus"] == codes.INEXISTENT_ITEM


def test_a_job_in_full(one_at_a_time: Client, gated: Gated) -> None:
    client = one_at_a_time
    job = submit(client, "Gated", {"count": 4}, priority=3, user_data=["mine"], content={"Description": "x"})
    assert gated.started.acquire(timeout=30)
    shown = wait_for(client, job, "Running")
    assert {name: value for name, value in shown.items() if not name.endswith(("Time", "stamp", "time"))} == {
        "Content": {"Description": "x"},
        "ErrorCode": 0,
        "ErrorDescription": "Success",
        "ErrorDetails": "",
        "ID": job,
        "Priority": 3,
        "Progress": 0,
        "State": "Running",
        "Type": "Gated",
        "UserData": ["mine"],
    }
    assert _MOMENT.fullmatch(shown["CreationTime"])
    assert shown["CreationTime"] <= shown["Timestamp"]
    assert isinstance(shown["EffectiveRuntime"], float)
    assert "CompletionTime" not in shown
    gated.gate.release()
    deadline = time.monotonic() + 30
    while (shown := client.get(f"/jobs/{job}").json())["Progress"] != 25:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert shown["EstimatedTimeOfArrival"] >= shown["Timestamp"]
    for _ in range(3):
        gated.gate.release()
    ended = wait_for(client, job, "Success")
    assert (ended["Progress"], ended["Content"]) == (100, {"Description": "x", "Done": 4})
    assert shown["CreationTime"] <= ended["CompletionTime"] <= ended["Timestamp"]
    assert "EstimatedTimeOfArrival" not in ended
    assert client.get("/jobs").json() == [job]
    (listed,) = client.get("/jobs?expand").json()
    assert {**listed, "Timestamp": ""} == {**ended, "Timestamp": ""}
    assert client.get("/jobs?expand=false").json() == [job]


def test_a_failure_in_full(one_at_a_time: Client) -> None:
    job = submit(one_at_a_time, "Failing", {"how": "coded"})
    shown = wait_for(one_at_a_time, job, "Failure")
    assert shown["ErrorCode"] == codes.INEXISTENT_ITEM
    assert shown["ErrorDescription"] == "Accessing an inexistent item"
    assert shown["ErrorDetails"] == "The study is not there"
    assert "UserData" not in shown


def test_what_can_be_done_with_a_job_in_each_state(one_at_a_time: Client, gated: Gated) -> None:
    """As Debian's Orthanc 1.10 answers; the conformance harness compares the same."""
    client = one_at_a_time
    running = submit(client, "Gated")
    assert gated.started.acquire(timeout=30)
    job = submit(client, "Gated")

    def act(action: str, status: int, state: str, which: str = job) -> None:
        answer = client.post(f"/jobs/{which}/{action}")
        assert answer.status_code == status, (action, state)
        assert answer.content == (b"{}" if status == 200 else b"")
        assert state_of(client, which) == state

    act("resume", 400, "Pending")
    act("resubmit", 400, "Pending")
    assert client.delete(f"/jobs/{job}").status_code == 400
    act("pause", 200, "Paused")
    act("pause", 200, "Paused")
    act("resubmit", 400, "Paused")
    assert client.delete(f"/jobs/{job}").status_code == 400
    act("resume", 200, "Pending")
    act("cancel", 200, "Failure")
    shown = client.get(f"/jobs/{job}").json()
    assert (shown["ErrorCode"], shown["ErrorDescription"]) == (37, "This job was canceled")
    assert shown["CompletionTime"]
    act("cancel", 200, "Failure")
    act("pause", 200, "Failure")
    act("resume", 400, "Failure")
    act("resubmit", 200, "Pending")
    assert client.get(f"/jobs/{job}").json()["ErrorCode"] == 37  # until it runs again
    act("pause", 200, "Paused")
    act("cancel", 200, "Failure")
    act("resume", 400, "Running", running)
    act("resubmit", 400, "Running", running)
    assert client.delete(f"/jobs/{running}").status_code == 400
    gated.gate.release()
    wait_for(client, running, "Success")
    for action, status in (("cancel", 200), ("pause", 200), ("resume", 400), ("resubmit", 400)):
        act(action, status, "Success", running)
    assert client.delete(f"/jobs/{running}").status_code == 200
    assert client.get(f"/jobs/{running}").status_code == 404
    assert client.get("/jobs").json() == [job]


def test_files_of_jobs(one_at_a_time: Client) -> None:
    client = one_at_a_time
    text = "0123456789" * 1000
    job = submit(client, "Leaving", {"files": [["archive", text], ['a"\r\nX: y', "z"]]})
    wait_for(client, job, "Success")
    url = f"/jobs/{job}/archive"
    answer = client.get(url)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'filename="archive.zip"'
    part = client.get(url, headers={"Range": "bytes=9990-"})
    assert (part.status_code, part.text) == (206, "0123456789")
    assert part.headers["content-range"] == "bytes 9990-9999/10000"
    assert client.get(url, headers={"Range": "bytes=10000-"}).status_code == 416
    other = client.get(f"{url}?filename=b%0D%0AX:%20y%22.zip").headers
    assert other["content-disposition"] == 'filename="bX: y.zip"'
    assert "x" not in other
    assert client.get(f"/jobs/{job}/nope").status_code == 404
    assert client.delete(url).status_code == 200
    assert client.get(url).status_code == 404
    assert client.delete(url).status_code == 404
    assert client.delete(f"/jobs/{job}").status_code == 200


def test_a_long_queue_is_listed_page_by_page(client: Client) -> None:
    jobs = {submit(client, "FromTheFuture", {}, user_data=number) for number in range(250)}
    assert client.get("/jobs").json() == sorted(jobs)
    shown = client.get("/jobs?expand").json()
    assert [job["ID"] for job in shown] == sorted(jobs)
    assert {job["UserData"] for job in shown} == set(range(250))
    xml = client.get("/jobs", headers={"Accept": "application/xml"})
    assert xml.headers["content-type"].startswith("application/xml")


def test_a_read_only_server_has_no_actions(make_client: MakeClient) -> None:
    client = make_client(read_only=True)
    assert client.get("/jobs").json() == []
    assert client.post("/jobs/nope/cancel").status_code in (404, 405)


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
