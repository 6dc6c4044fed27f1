"""Jobs of real servers: what was accepted is done, whatever becomes of the processes meanwhile."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import psutil
import pytest
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.integration.sending import eventually
from tests.servers.ithil import Ithil
from tests.servers.postgresql import PostgreSql

JOBS = 40
SETTINGS = {"JobsHistorySize": 2 * JOBS, "MediaArchiveSize": 2 * JOBS}


def submit_all(server: Ithil) -> list[str]:
    """Asynchronous archives of a small series, as many as `JOBS`."""
    for number in range(20):
        assert server.upload(synthetic.instance(0, 0, number, size=64).content).status == 200
    (study,) = server.get("/studies").json()
    return [
        server.ask("POST", f"/studies/{study}/archive", json.dumps({"Asynchronous": True})).json()["ID"]
        for _ in range(JOBS)
    ]


def states(server: Ithil) -> dict[str, str]:
    return {job["ID"]: job["State"] for job in server.get("/jobs?expand").json()}


def all_succeed(server: Ithil, jobs: list[str]) -> None:
    eventually(lambda: set(states(server).values()) == {"Success"}, "all jobs have ended well")
    assert sorted(states(server)) == sorted(jobs)
    for job in jobs[::10]:
        answer = server.get(f"/jobs/{job}/archive")
        assert answer.status == 200
        assert answer.body[:2] == b"PK"


@pytest.mark.parametrize("end", ["kill", "stop"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_jobs_go_on_after_a_restart(
    start_ithil: StartIthil, database: str, end: str, request: pytest.FixtureRequest
) -> None:
    configuration: dict[str, Any] = dict(SETTINGS)
    if database == "postgresql":
        server_of_database: PostgreSql = request.getfixturevalue("postgresql")
        configuration["PostgreSQL"] = server_of_database.configuration
    server = start_ithil(configuration)
    jobs = submit_all(server)
    eventually(lambda: "Success" in states(server).values(), "the first job has ended")
    server.kill() if end == "kill" else server.stop()
    server.start()
    all_succeed(server, jobs)


def test_another_worker_takes_over(start_ithil: StartIthil) -> None:
    server = start_ithil({**SETTINGS, "Ithil": {"Workers": 2}})
    jobs = submit_all(server)
    victim = next(child for child in psutil.Process(server.pid).children() if child.status() != "zombie")
    os.kill(victim.pid, signal.SIGKILL)
    all_succeed(server, jobs)


def test_a_synchronous_job_of_another_worker_is_answered(start_ithil: StartIthil) -> None:
    """Each request may reach any worker, and its job may be run by any."""
    server = start_ithil({**SETTINGS, "SynchronousZipStream": False, "Ithil": {"Workers": 2}})
    submit_all(server)
    (study,) = server.get("/studies").json()
    for _ in range(5):
        answer = server.ask("POST", f"/studies/{study}/archive", "{}")
        assert (answer.status, answer.body[:2]) == (200, b"PK")
