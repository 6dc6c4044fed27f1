"""What can be changed while the server runs, and its own life."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data.datasets import body, part10
from tests.unit.application import Client, MakeClient

from ithil import logs
from ithil.app import every_route
from ithil.archive.archive import Archive
from ithil.http.context import ServerControl
from ithil.http.server import create_app
from ithil.settings import Settings


@pytest.fixture
def _levels() -> Iterator[None]:
    """Leave the levels of the test run as they were."""
    before = {
        name: logging.getLogger(name).level for category in logs.CATEGORIES.values() for name in category
    }
    yield
    for name, level in before.items():
        logging.getLogger(name or None).setLevel(level)


@pytest.mark.parametrize(
    ("asked", "name"), [("Utf8", "Utf8"), ("cyrillic", "Cyrillic"), ("LATIN2", "Latin2")]
)
def test_the_default_encoding(client: Client, asked: str, name: str) -> None:
    assert client.get("/tools/default-encoding").text == "Latin1"
    answer = client.put("/tools/default-encoding", content=asked)
    assert (answer.text, answer.headers["content-type"]) == (name, "text/plain")
    assert client.get("/tools/default-encoding").text == name


@pytest.mark.parametrize("asked", ["", "nope", "Utf8 ", "\xff"])
def test_no_encoding(client: Client, asked: str) -> None:
    answer = client.put("/tools/default-encoding", content=asked)
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, 3)
    assert client.get("/tools/default-encoding").text == "Latin1"


def test_the_encoding_counts_for_what_is_stored_and_for_what_is_read(client: Client) -> None:
    file = part10(body({0x00100010: ("PN", "Ärger".encode())}))
    instance = client.post("/instances", content=file).json()["ID"]
    assert client.get(f"/instances/{instance}/simplified-tags").json()["PatientName"] != "Ärger"
    client.put("/tools/default-encoding", content="Utf8")
    # What was answered before is not answered again from memory.
    assert client.get(f"/instances/{instance}/simplified-tags").json()["PatientName"] == "Ärger"
    client.delete(f"/instances/{instance}")
    patient = client.post("/instances", content=file).json()["ParentPatient"]
    assert client.get(f"/patients/{patient}").json()["MainDicomTags"]["PatientName"] == "Ärger"


def test_transfer_syntaxes(client: Client) -> None:
    everything = client.get("/tools/accepted-transfer-syntaxes").json()
    assert everything == sorted(everything)
    assert "1.2.840.10008.1.2.4.90" in everything

    def put(content: str) -> Any:
        chosen = client.put("/tools/accepted-transfer-syntaxes", content=content).json()
        assert client.get("/tools/accepted-transfer-syntaxes").json() == chosen
        return chosen

    assert put("1.2.840.10008.1.2.1") == ["1.2.840.10008.1.2.1"]
    assert put('["1.2.840.10008.1.2", "1.2.840.10008.1.2.4.9?"]') == [
        "1.2.840.10008.1.2",
        *(f"1.2.840.10008.1.2.4.{number}" for number in range(90, 96)),
    ]
    assert put('"1.2.840.10008.1.2.5"') == ["1.2.840.10008.1.2.5"]
    for nothing in ("", "[]", "nope", '["1.2.3"]'):
        assert put(nothing) == []
    assert set(everything) <= set(put("*"))


@pytest.mark.parametrize(
    "content",
    ["{}", "[1]", "null", "12", "[[]]", "*" * 100_000, '["1.2.*"' + ', "*1*1*1*1*2"' * 10_000 + "]"],
)
def test_no_transfer_syntaxes(client: Client, content: str) -> None:
    before = client.get("/tools/accepted-transfer-syntaxes").json()
    answer = client.put("/tools/accepted-transfer-syntaxes", content=content)
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, 15)
    assert client.get("/tools/accepted-transfer-syntaxes").json() == before


@pytest.mark.parametrize("path", ["unknown-sop-class-accepted", "metrics"])
def test_switches(client: Client, path: str) -> None:
    for content, shown in (("1", "1"), ("false", "0"), ("true", "1"), ("0", "0")):
        answer = client.put(f"/tools/{path}", content=content)
        assert (answer.status_code, answer.content) == (200, b"")
        assert client.get(f"/tools/{path}").text == shown
    for content in ("", "yes", "2"):
        answer = client.put(f"/tools/{path}", content=content)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, 15)
    assert client.get(f"/tools/{path}").text == "0"


def test_switches_begin_as_configured(make_client: MakeClient) -> None:
    client = make_client(unknown_sop_class_accepted=True, metrics_enabled=False)
    assert client.get("/tools/unknown-sop-class-accepted").text == "1"
    assert client.get("/tools/metrics").text == "0"


def test_accepted_sop_classes(make_client: MakeClient) -> None:
    assert "1.2.840.10008.5.1.4.1.1.2" in make_client().get("/tools/accepted-sop-classes").json()
    chosen = make_client(accepted_sop_classes=["1.2.840.10008.5.1.4.1.1.4*"])
    found = chosen.get("/tools/accepted-sop-classes").json()
    assert "1.2.840.10008.5.1.4.1.1.4.1" in found
    assert "1.2.840.10008.5.1.4.1.1.2" not in found


@pytest.mark.usefixtures("_levels")
def test_log_levels(client: Client) -> None:
    client.put("/tools/log-level", content="default")
    assert client.get("/tools/log-level").text == "default"
    for category in ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua"):
        assert client.get(f"/tools/log-level-{category}").text == "default"
    answer = client.put("/tools/log-level-http", content="trace")
    assert (answer.status_code, answer.content) == (200, b"")
    assert logging.getLogger("ithil.http.server").isEnabledFor(logging.DEBUG)
    assert client.get("/tools/log-level-http").text == "trace"
    assert client.get("/tools/log-level-dicom").text == "default"
    assert client.get("/tools/log-level").text == "trace"
    client.put("/tools/log-level", content="verbose")
    assert client.get("/tools/log-level-http").text == "verbose"
    for content in ("", "Default", " default", "debug"):
        answer = client.put("/tools/log-level", content=content)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, 3)
    assert client.get("/tools/log-level-nope").status_code == 404


def test_the_server_is_asked_to_start_anew_and_to_stop(tmp_path: Path) -> None:
    settings = Settings(storage_directory=tmp_path)
    asked: list[str] = []
    control = ServerControl(reset=lambda: asked.append("reset"), shutdown=lambda: asked.append("shutdown"))
    archive = Archive.open(settings)
    app = create_app(archive, settings, every_route(settings), control)
    try:
        client = Client(app, "127.0.0.1")
        for path in ("reset", "shutdown"):
            answer = client.post(f"/tools/{path}")
            assert (answer.status_code, answer.content) == (200, b"{}")
            assert client.get(f"/tools/{path}").status_code == 405
    finally:
        app.close()
        archive.close()
    assert asked == ["reset", "shutdown"]


def test_without_a_server_nothing_is_stopped(client: Client) -> None:
    assert client.post("/tools/shutdown").json()["OrthancStatus"] == 2
