"""The log of changes."""

from __future__ import annotations

import pytest
from tests.unit.application import CT_INSTANCE, Client


@pytest.fixture
def filled(client: Client, ct: bytes) -> Client:
    assert client.post("/instances", content=ct).is_success
    return client


def test_a_new_instance_is_four_changes(filled: Client) -> None:
    body = filled.get("/changes").json()
    assert [change["ChangeType"] for change in body["Changes"]] == [
        "NewInstance",
        "NewSeries",
        "NewStudy",
        "NewPatient",
    ]
    assert (body["Done"], body["First"], body["Last"]) == (True, 1, 4)
    first = body["Changes"][0]
    assert first.pop("Date").startswith("20")
    assert first == {
        "ChangeType": "NewInstance",
        "ID": CT_INSTANCE,
        "Path": f"/instances/{CT_INSTANCE}",
        "ResourceType": "Instance",
        "Seq": 1,
    }


@pytest.mark.parametrize(
    ("query", "numbers", "done"),
    [
        ("limit=1", [1], False),
        ("since=1&limit=2", [2, 3], False),
        ("since=4", [], True),
        ("since=100", [], True),
        ("last", [4], True),
        ("limit=0", [], False),
        ("since=x&limit=y", [1, 2, 3, 4], True),
        ("since=-1&limit=", [1, 2, 3, 4], True),
        ("since=3&limit=y", [1, 2, 3, 4], True),
        ("since=x&limit=2", [1, 2, 3, 4], True),
        ("to=2&limit=1", [2], False),
        ("since=1&to=3", [2, 3], True),
        ("type=NewStudy;NewSeries", [2, 3], True),
        ("type=all", [1, 2, 3, 4], True),
        ("type=Nonsense", [], True),
    ],
)
def test_pages(filled: Client, query: str, numbers: list[int], done: bool) -> None:
    body = filled.get(f"/changes?{query}").json()
    assert ([change["Seq"] for change in body["Changes"]], body["Done"]) == (numbers, done)


def test_forgetting_changes_keeps_the_numbers(filled: Client) -> None:
    assert filled.delete("/changes").content == b""
    assert filled.get("/changes").json() == {"Changes": [], "Done": True, "Last": 4}


def test_exports_are_empty(client: Client) -> None:
    assert client.get("/exports").json() == {"Done": True, "Exports": [], "Last": 0}
    assert client.get("/exports?since=5&limit=1").json()["Last"] == 5
    assert client.delete("/exports").content == b""
