"""`kill -9` in the middle of an anonymisation: another process ends it, and no instance is there twice."""

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

COUNT = 500


def upload_study(server: Ithil) -> str:
    """Two series of half of `COUNT` instances each."""
    for number in range(COUNT):
        assert server.upload(synthetic.instance(0, number % 2, number, size=8).content).status == 200
    (study,) = server.get("/studies").json()
    return str(study)


def job_of(server: Ithil, job: str) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/jobs/{job}").json()
    return found


def busiest(server: Ithil, before: dict[int, float]) -> int:
    """The process that has computed most since `before`: the one that runs the job."""
    spent = {pid: seconds - before.get(pid, 0.0) for pid, seconds in computed(server).items()}
    return max(spent, key=lambda pid: spent[pid])


def computed(server: Ithil) -> dict[int, float]:
    """Seconds of the processor that each worker has used."""
    workers = psutil.Process(server.pid).children()
    return {each.pid: sum(each.cpu_times()[:2]) for each in workers if each.status() != "zombie"}


def check_result(server: Ithil, study: str, content: dict[str, Any]) -> None:
    made = content["ID"]
    instances = server.get(f"/studies/{made}/instances").json()
    assert len(instances) == COUNT
    uids = {each["MainDicomTags"]["SOPInstanceUID"] for each in instances}
    assert len(uids) == COUNT
    numbers = [(each["ParentSeries"], each["MainDicomTags"]["InstanceNumber"]) for each in instances]
    assert len(set(numbers)) == COUNT
    sources = {each["AnonymizedFrom"] for each in instances}
    assert sources == set(server.get(f"/studies/{study}/instances?expand=false").json())
    counts = server.get("/statistics").json()
    assert (counts["CountPatients"], counts["CountStudies"], counts["CountSeries"]) == (2, 2, 4)
    assert counts["CountInstances"] == 2 * COUNT
    log = server.get("/changes?limit=10000").json()["Changes"]
    told = [each["ChangeType"] for each in log if each["ChangeType"].startswith("Anonymized")]
    assert sorted(told) == ["AnonymizedPatient", "AnonymizedSeries", "AnonymizedSeries", "AnonymizedStudy"]
    new = [each["ID"] for each in log if each["ChangeType"] == "NewInstance"]
    assert len(new) == len(set(new)) == 2 * COUNT


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_another_process_ends_the_job_of_one_that_was_killed(
    start_ithil: StartIthil, database: str, request: pytest.FixtureRequest
) -> None:
    configuration: dict[str, Any] = {"Ithil": {"Workers": 2}, "StableAge": 3600}
    if database == "postgresql":
        server_of_database: PostgreSql = request.getfixturevalue("postgresql")
        configuration["PostgreSQL"] = server_of_database.configuration
    server = start_ithil(configuration)
    study = upload_study(server)
    body = json.dumps({"Asynchronous": True})
    job = server.ask("POST", f"/studies/{study}/anonymize", body).json()["ID"]
    before = computed(server)
    eventually(lambda: server.get("/statistics").json()["CountInstances"] > COUNT + 100, "it is at work")
    assert job_of(server, job)["State"] == "Running"
    os.kill(busiest(server, before), signal.SIGKILL)
    eventually(lambda: job_of(server, job)["State"] in ("Success", "Failure"), "the job has ended")
    ended = job_of(server, job)
    assert ended["State"] == "Success", ended
    assert ended["Content"]["FailedInstancesCount"] == 0
    assert "process is gone" in server.log  # it was the one that ran the job
    check_result(server, study, ended["Content"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_job_goes_on_after_the_whole_server_was_killed(
    start_ithil: StartIthil, database: str, request: pytest.FixtureRequest
) -> None:
    configuration: dict[str, Any] = {"StableAge": 3600}
    if database == "postgresql":
        server_of_database: PostgreSql = request.getfixturevalue("postgresql")
        configuration["PostgreSQL"] = server_of_database.configuration
    server = start_ithil(configuration)
    study = upload_study(server)
    body = json.dumps({"Asynchronous": True})
    job = server.ask("POST", f"/studies/{study}/anonymize", body).json()["ID"]
    eventually(lambda: server.get("/statistics").json()["CountInstances"] > COUNT + 100, "it is at work")
    server.kill()
    server.start()
    eventually(lambda: job_of(server, job)["State"] in ("Success", "Failure"), "the job has ended")
    assert job_of(server, job)["State"] == "Success"
    check_result(server, study, job_of(server, job)["Content"])
