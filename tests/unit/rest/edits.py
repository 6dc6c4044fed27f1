"""Edits asked for over HTTP, and what is there afterwards."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pydicom
from pydicom.dataset import Dataset
from tests.data import synthetic
from tests.unit.application import Client

LEVELS = ("patients", "studies", "series")
KEEP_ALL = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


def upload(client: Client, content: bytes) -> dict[str, str]:
    answer = client.post("/instances", content=content)
    assert answer.status_code == 200
    found: dict[str, str] = answer.json()
    return found


def study_of(client: Client, series: int = 2, instances: int = 3, *, patient: int = 0, size: int = 8) -> str:
    """A study with that many series of that many instances each."""
    for number in range(series):
        for instance in range(instances):
            made = upload(client, synthetic.instance(patient, number, instance, size=size).content)
    return made["ParentStudy"]


def post(client: Client, path: str, **body: Any) -> httpx.Response:
    return client.post(path, json=body)


def done(client: Client, path: str, **body: Any) -> dict[str, Any]:
    """The content of a synchronous job that succeeds."""
    answer = post(client, path, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: Client, path: str, status: int, code: int, **body: Any) -> None:
    answer = post(client, path, **body)
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (status, code), answer.text


def dataset(answer: httpx.Response) -> Dataset:
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(io.BytesIO(answer.content))


def files(client: Client, study: str) -> list[Dataset]:
    instances = client.get(f"/studies/{study}/instances?expand=false").json()
    return [dataset(client.get(f"/instances/{each}/file")) for each in instances]


def counts(client: Client) -> tuple[int, int, int, int]:
    found = client.get("/statistics").json()
    return tuple(found[f"Count{name}"] for name in ("Patients", "Studies", "Series", "Instances"))


def changes(client: Client) -> list[tuple[str, str]]:
    return [(each["ChangeType"], each["ID"]) for each in client.get("/changes?limit=1000").json()["Changes"]]
