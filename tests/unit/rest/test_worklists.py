"""`/worklists`: items in the index and in a folder, and requests that cannot be served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from tests.unit.application import Client, MakeClient

from ithil.settings.plugin_options import Worklists

STEP = {"Modality": "CT", "ScheduledProcedureStepStartDate": "20261122", "ScheduledProcedureStepID": "S1"}
TAGS = {"PatientID": "P1", "PatientName": "M\u00fcller", "ScheduledProcedureStepSequence": [STEP]}


@pytest.fixture(params=["index", "folder"])
def client(request: pytest.FixtureRequest, make_client: MakeClient, tmp_path: Path) -> Client:
    """A client of a server whose worklist is in the index, or in a folder."""
    return make_client(worklists=options(request.param, tmp_path))


def options(kind: str, folder: Path) -> Worklists:
    if kind == "index":
        return Worklists(enable=True, save_in_orthanc_database=True)
    (folder / "items").mkdir(exist_ok=True)
    return Worklists(enable=True, directory=folder / "items")


def create(client: Client, tags: Any = TAGS, **more: Any) -> str:
    answer = client.post("/worklists/create", json={"Tags": tags, **more})
    assert answer.status_code == 200, answer.text
    assert answer.json()["Path"] == f"/worklists/{answer.json()['ID']}"
    return str(answer.json()["ID"])


def test_items_are_made_changed_and_removed(client: Client) -> None:
    key = create(client)
    found = client.get(f"/worklists/{key}").json()
    assert found["ID"] == key
    assert found["Tags"]["PatientName"] == "M\u00fcller"
    assert found["Tags"]["StudyInstanceUID"].startswith("2.25.")
    assert found["Tags"]["ScheduledProcedureStepSequence"] == [STEP]
    assert found["States"] == ["SCHEDULED"]
    changed = {**TAGS, "PatientID": "P2", "StudyInstanceUID": "1.2.3"}
    assert client.put(f"/worklists/{key}", json={"Tags": changed}).json()["ID"] == key
    (found,) = client.get("/worklists").json()
    assert found["Tags"]["PatientID"] == "P2"
    assert client.delete(f"/worklists/{key}").json() == {}
    assert client.delete(f"/worklists/{key}").status_code == 404
    assert client.get("/worklists").json() == []


def test_formats(client: Client) -> None:
    key = create(client)
    for form, name in (("Simplify", "PatientID"), ("Short", "0010,0020"), ("Full", "0010,0020")):
        for found in (
            client.get(f"/worklists/{key}?format={form}").json(),
            client.get(f"/worklists?format={form}").json()[0],
        ):
            value = found["Tags"][name]
            assert (value["Value"] if form == "Full" else value) == "P1"
    assert client.get("/worklists?format=nope").status_code == 400


def test_text_that_latin_letters_cannot_hold(client: Client) -> None:
    tags = {**TAGS, "PatientName": "\u5f35^\u4e09", "0009,0010": "ITHIL TEST", "0009,1001": "\u5f35"}
    key = create(client, tags)
    found = client.get(f"/worklists/{key}").json()["Tags"]
    assert (found["PatientName"], found["SpecificCharacterSet"]) == ("\u5f35^\u4e09", "ISO_IR 192")


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "{}",
        '{"Tags": []}',
        '{"Tags": {"PatientID": "P1"}}',
        '{"Tags": {"ScheduledProcedureStepSequence": [{"Modality": "CT"}]}}',
        '{"Tags": {"ScheduledProcedureStepSequence": "CT"}, "Force": true}',
        '{"Tags": {"NoSuchTag": "x"}, "Force": true}',
        '{"Tags": {}, "Force": "x"}',
        '{"Tags": {"PatientID": 1}, "Force": true}',
        '{"Tags": {"PatientComments": "%s"}, "Force": true}' % ("x" * 70_000),
    ],
)
def test_what_is_no_item_is_refused(client: Client, body: str) -> None:
    assert client.post("/worklists/create", content=body).status_code in (400, 404)
    assert client.get("/worklists").json() == []


def test_force_takes_what_has_no_step(client: Client) -> None:
    key = create(client, {"PatientID": "P1"}, Force=True)
    assert client.get(f"/worklists/{key}").json()["States"] == []


@pytest.mark.parametrize(
    "key", ["nope", "%2e%2e", "%2e%2e%2fconfiguration", "a%00b", "%ff", ".hidden", "x" * 300]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_ids_that_nobody_has(client: Client, method: str, key: str) -> None:
    answer = client.request(method, f"/worklists/{key}", json={"Tags": TAGS})
    assert answer.status_code in (400, 404, 405)


def test_a_file_of_another_program_is_an_item_and_stays_where_it_is(
    make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(worklists=options("folder", tmp_path))
    folder = tmp_path / "items"
    key = create(client)
    made = dcmread(folder / f"{key}.wl")
    assert made.PatientID == "P1"
    made.save_as(folder / "of the clinic.wl")
    (folder / "of another kind.txt").write_text("x")
    (folder / "broken.wl").write_bytes(b"x" * 40)
    (folder / "a folder.wl").mkdir()
    assert sorted(item["ID"] for item in client.get("/worklists").json()) == sorted([key, "of the clinic"])
    assert client.get("/worklists/of the clinic").json()["Tags"]["PatientID"] == "P1"


def test_without_a_worklist_there_is_nothing(make_client: MakeClient) -> None:
    client = make_client()
    assert client.get("/worklists").status_code == 404
    assert client.post("/worklists/create", json={"Tags": TAGS}).status_code == 404


def test_a_read_only_server_shows_items_only(make_client: MakeClient, tmp_path: Path) -> None:
    create(make_client(worklists=options("folder", tmp_path)))
    client = make_client(worklists=options("folder", tmp_path), read_only=True)
    assert len(client.get("/worklists").json()) == 1
    assert client.post("/worklists/create", json={"Tags": TAGS}).status_code != 200
