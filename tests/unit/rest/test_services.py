"""The conformance statement, C-ECHO to others, plugins, and writing to the server's own disk."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.application import CT_INSTANCE, Client, MakeClient

from ithil.archive.archive import Archive
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.services.association import ServiceAssociation
from ithil.services.presentation import Presentation
from ithil.settings import Settings


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[int]:
    """The port of a DICOM server that answers C-ECHO."""
    settings = Settings(storage_directory=tmp_path / "peer", dicom_check_called_aet=True, dicom_aet="PEER")
    archive = Archive.open(settings)
    presentation = Presentation(settings)
    acceptor = Acceptor(
        [listen("127.0.0.1", 0)], AcceptorConfig(), lambda: ServiceAssociation(archive, presentation)
    )
    acceptor.start()
    yield acceptor.addresses[0][1]
    acceptor.stop(5)
    archive.close()


def test_echo(client: Client, peer: int) -> None:
    for asked in (
        {"AET": "PEER", "Host": "127.0.0.1", "Port": peer},
        {"AET": "PEER", "Host": "localhost", "Port": str(peer), "Timeout": 5, "LocalAet": "ME"},
        ["PEER", "127.0.0.1", peer],
        ["PEER", "127.0.0.1", peer, "Generic"],
    ):
        answer = client.post("/tools/dicom-echo", json=asked)
        assert (answer.status_code, answer.content) == (200, b"{}"), answer.text


def test_echo_fails(client: Client, peer: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    for asked in (
        {"AET": "OTHER", "Host": "127.0.0.1", "Port": peer},  # it is not called that
        {"AET": "PEER", "Host": "127.0.0.1", "Port": nobody},
        {"AET": "PEER", "Host": "127.0.0.1", "Port": peer, "CheckFind": True},  # it has no C-FIND
        {"AET": "PEER", "Host": "no-such-host.invalid", "Port": peer},
    ):
        answer = client.post("/tools/dicom-echo", json=asked)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (500, 9), answer.text


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, 15),
        ([], 15),
        ("text", 15),
        (None, 15),
        ({"AET": "A", "Host": "h"}, 15),
        ({"AET": 1, "Host": "h", "Port": 1}, 15),
        ({"AET": "A", "Host": "h", "Port": True}, 15),
        ({"AET": "A", "Host": "h", "Port": "x"}, 15),
        ({"AET": "A", "Host": "h", "Port": 1, "Timeout": -1}, 15),
        ({"AET": "A", "Host": "h", "Port": 1, "Timeout": 1e99}, 15),
        ({"AET": "A", "Host": "h", "Port": 1, "CheckFind": "x"}, 15),
        ({"AET": "A", "Host": "h", "Port": 0}, 3),
        ({"AET": "A", "Host": "h", "Port": 65536}, 3),
        ({"AET": "", "Host": "h", "Port": 1}, 3),
        ({"AET": "A" * 17, "Host": "h", "Port": 1}, 3),
        ({"AET": "A\nB", "Host": "h", "Port": 1}, 3),
        ({"AET": "A", "Host": "", "Port": 1}, 3),
        ({"AET": "A", "Host": "h\nX: y", "Port": 1}, 3),
        ({"AET": "A", "Host": "h", "Port": 1, "LocalAet": "\\"}, 3),
    ],
)
def test_bad_requests_to_echo(client: Client, asked: object, code: int) -> None:
    answer = client.post("/tools/dicom-echo", content=json.dumps(asked))
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (400, code)


def test_the_conformance_statement_says_what_is_accepted(make_client: MakeClient) -> None:
    client = make_client(dicom_aet="HERE", accepted_sop_classes=["1.2.840.10008.5.1.4.1.1.2"])
    answer = client.get("/tools/dicom-conformance")
    assert answer.headers["content-type"] == "text/plain"
    assert "HERE" in answer.text
    assert "CT Image Storage | 1.2.840.10008.5.1.4.1.1.2\n" in answer.text
    assert "MR Image Storage" not in answer.text
    assert "JPEG 2000 Image Compression (Lossless Only)" in answer.text
    client.put("/tools/accepted-transfer-syntaxes", content="1.2.840.10008.1.2.1")
    assert "JPEG 2000" not in client.get("/tools/dicom-conformance").text


def test_plugins(client: Client) -> None:
    assert client.get("/plugins").json() == ["explorer.js"]
    script = client.get("/plugins/explorer.js")
    assert script.headers["content-type"] == "application/javascript"
    assert all(line.startswith("//") for line in script.text.splitlines())
    answer = client.get("/plugins/nope")
    assert (answer.status_code, answer.content) == (404, b"")


def test_export_is_off_by_default(client: Client, ct: bytes, tmp_path: Path) -> None:
    client.post("/instances", content=ct)
    target = tmp_path / "out.dcm"
    for instance in (CT_INSTANCE, "nope"):
        answer = client.post(f"/instances/{instance}/export", content=str(target))
        assert (answer.status_code, answer.content) == (403, b"")
    assert not target.exists()


@pytest.mark.parametrize("compressed", [False, True])
def test_export(make_client: MakeClient, ct: bytes, tmp_path: Path, compressed: bool) -> None:
    client = make_client(rest_api_write_to_file_system_enabled=True, storage_compression=compressed)
    client.post("/instances", content=ct)
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "image é.dcm"
    target.write_text("old")
    answer = client.post(f"/instances/{CT_INSTANCE}/export", content=str(target))
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert target.read_bytes() == ct
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask
    assert os.listdir(folder) == [target.name]


def test_export_fails_and_leaves_nothing(make_client: MakeClient, ct: bytes, tmp_path: Path) -> None:
    client = make_client(rest_api_write_to_file_system_enabled=True)
    client.post("/instances", content=ct)
    folder = tmp_path / "out"
    folder.mkdir()
    for target in (
        "",
        str(folder),
        str(folder / "none/x.dcm"),
        "/dev/null/x.dcm",
        f"{folder}/a\0b",
        str(folder / ("x" * 5000)),
    ):
        answer = client.post(f"/instances/{CT_INSTANCE}/export", content=target)
        assert (answer.status_code, answer.json()["OrthancStatus"]) == (500, 14), target
    assert os.listdir(folder) == []
    assert client.post("/instances/nope/export", content=str(folder / "x")).json()["OrthancStatus"] == 17


def test_the_server_has_a_name_of_its_own(make_client: MakeClient) -> None:
    system = make_client().get("/system").json()
    assert len(system["DatabaseServerIdentifier"]) == 40
    assert (
        make_client().get("/system").json()["DatabaseServerIdentifier"] == system["DatabaseServerIdentifier"]
    )
    other = make_client(http_port=8043).get("/system").json()
    assert other["DatabaseServerIdentifier"] != system["DatabaseServerIdentifier"]
    named = make_client(database_server_identifier="one").get("/system").json()
    assert named["DatabaseServerIdentifier"] == "one"
