"""`/jobs`, over a real engine with kinds made for tests."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.unit.application import Client, MakeClient
from tests.unit.jobs.kinds import Gated
from tests.unit.jobs.running import archive_of, gated, one_at_a_time, start

from ithil import error_codes as codes
from ithil.jobs import queue

__all__ = ["gated", "one_at_a_time", "start"]

_MOMENT = re.compile(r"\d{8}T\d{6}\.\d{6}")


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
