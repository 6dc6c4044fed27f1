"""Peers: two Ithils, and a real Orthanc on either side, by `/peers` and by the transfers accelerator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import StartIthil, StartOrthanc
from tests.data.real import content_of
from tests.servers import certificates
from tests.servers.process import DicomServer
from tests.servers.strict import callers, strict_server

FILES = ("pydicom/CT_small.dcm", "pydicom/MR_small.dcm", "pydicom/SC_rgb_rle.dcm", "pydicom/rtplan.dcm")
DEADLINE = 30.0  # seconds


def fill(server: DicomServer, files: Sequence[str] = FILES) -> None:
    for name in files:
        assert server.upload(content_of(name)).status == 200


def post(server: DicomServer, path: str, body: Any) -> Any:
    answer = server.ask("POST", path, json.dumps(body))
    assert answer.status == 200, answer.body
    return answer.json()


def files_of(server: DicomServer) -> dict[str, bytes]:
    return {one: server.get(f"/instances/{one}/file").body for one in server.get("/instances").json()}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(server: DicomServer, job: str) -> dict[str, Any]:
    until(lambda: server.get(f"/jobs/{job}").json()["State"] in ("Success", "Failure"))
    found: dict[str, Any] = server.get(f"/jobs/{job}").json()
    return found


def url(server: DicomServer) -> list[str]:
    return [f"http://127.0.0.1:{server.http_port}"]


@pytest.mark.parametrize("compress", [False, True])
def test_everything_is_sent_to_a_real_orthanc_and_back(
    start_ithil: StartIthil, start_orthanc: StartOrthanc, compress: bool
) -> None:
    ithil, orthanc = start_ithil(), start_orthanc()
    fill(ithil)
    for one, two in ((ithil, orthanc), (orthanc, ithil)):
        assert one.ask("PUT", "/peers/other", json.dumps(url(two))).status == 200
    sent = files_of(ithil)
    asked = {"Resources": ithil.get("/patients").json(), "Compress": compress}
    done = post(ithil, "/peers/other/store", asked)
    assert done["InstancesCount"] == len(FILES)
    assert done["FailedInstancesCount"] == 0
    assert files_of(orthanc) == sent
    everything = json.dumps({"Resources": ithil.get("/patients").json()})
    assert ithil.ask("POST", "/tools/bulk-delete", everything).status == 200
    post(orthanc, "/peers/other/store", {**asked, "Resources": orthanc.get("/patients").json()})
    assert files_of(ithil) == sent
    assert ithil.get("/peers/other/system").json()["Version"] == orthanc.get("/system").json()["Version"]
    assert orthanc.get("/peers/other/system").json() == ithil.get("/system").json()


def test_what_is_sent_can_be_transcoded(start_ithil: StartIthil) -> None:
    two = start_ithil()
    one = start_ithil({"OrthancPeers": {"two": url(two)}})
    fill(one, FILES[:1])
    wish = {"Resources": one.get("/studies").json(), "Transcode": "1.2.840.10008.1.2.4.70"}
    assert post(one, "/peers/two/store", wish)["Transcode"] == wish["Transcode"]
    (instance,) = two.get("/instances").json()
    assert two.get(f"/instances/{instance}/metadata/TransferSyntax").body == b"1.2.840.10008.1.2.4.70"


def test_a_file_goes_straight_to_the_peer(start_ithil: StartIthil) -> None:
    two = start_ithil()
    one = start_ithil({"OrthancPeers": {"two": url(two)}})
    answer = one.ask("POST", "/peers/two/store-straight", content_of(FILES[0]))
    assert answer.json()["Status"] == "Success"
    assert two.get("/instances").json() == [answer.json()["ID"]]
    assert one.get("/instances").json() == []
    assert one.ask("POST", "/peers/two/store-straight", b"no DICOM").status == 500


def test_a_peer_may_want_a_certificate_and_a_password(start_ithil: StartIthil, tmp_path: Path) -> None:
    keys = certificates.make(tmp_path / "certificates")
    strict = strict_server(tmp_path / "strict", keys)
    peers = callers(strict, keys)
    server = start_ithil({"OrthancPeers": peers, "HttpsCACertificates": str(keys.authority)})
    distrustful = start_ithil({"OrthancPeers": peers})
    with strict:
        until(lambda: "HTTP on port" in strict.log)
        assert server.get("/peers/good/system").json()["Name"] == "Tested"
        for name in ("nobody", "stranger", "faceless"):
            assert server.get(f"/peers/{name}/system").status == 500, name
        assert "trusted" in distrustful.get("/peers/good/system").json()["Details"]
    shown = server.get("/peers?expand").body
    assert b"right" not in shown
    assert b"wrong" not in shown


@pytest.mark.parametrize("in_database", [False, True])
def test_peers_change_for_all_processes_and_last_if_they_are_in_the_database(
    start_ithil: StartIthil, in_database: bool
) -> None:
    server = start_ithil({"OrthancPeersInDatabase": in_database, "Ithil": {"Workers": 2}})
    assert server.ask("PUT", "/peers/new", '["http://127.0.0.1:1/"]').status == 200
    for _ in range(10):
        assert server.get("/peers").json() == ["new"]
    server.stop()
    server.start()
    assert server.get("/peers").json() == (["new"] if in_database else [])


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_transfer_pushes_many_small_files_and_a_large_one_in_buckets(
    start_ithil: StartIthil, compression: str
) -> None:
    two = start_ithil({"Ithil": {"Workers": 2}})
    one = start_ithil({"OrthancPeers": {"two": url(two)}, "Transfers": {"BucketSize": 16, "Threads": 3}})
    fill(one)
    asked = [{"Level": "Patient", "ID": each} for each in one.get("/patients").json()]
    job = post(one, "/transfers/send", {"Resources": asked, "Peer": "two", "Compression": compression})
    done = ended(one, job["ID"])
    assert done["State"] == "Success", done
    assert done["Type"] == "PushTransfer"
    assert done["Content"]["InstancesCount"] == len(FILES)
    assert files_of(two) == files_of(one)


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_transfer_is_pulled_by_a_peer_that_knows_us(start_ithil: StartIthil, compression: str) -> None:
    one, two = start_ithil(), start_ithil({"Transfers": {"BucketSize": 16}})
    known = {"Url": url(two)[0], "RemoteSelf": "one"}
    for server, name, peer in (
        (one, "two", known),
        (one, "dead", ["http://127.0.0.1:1/"]),
        (two, "one", url(one)),
    ):
        assert server.ask("PUT", f"/peers/{name}", json.dumps(peer)).status == 200
    fill(one)
    assert one.get("/transfers/peers").json() == {"two": "bidirectional", "dead": "disabled"}
    assert two.get("/transfers/peers").json() == {"one": "installed"}
    asked = [{"Level": "Study", "ID": each} for each in one.get("/studies").json()]
    answer = post(one, "/transfers/send", {"Resources": asked, "Peer": "two", "Compression": compression})
    assert answer["Peer"] == "two"
    done = ended(two, answer["RemoteJob"])
    assert done["State"] == "Success", done
    assert files_of(two) == files_of(one)


def test_a_push_goes_on_after_the_sender_was_killed(start_ithil: StartIthil) -> None:
    two = start_ithil()
    one = start_ithil({"OrthancPeers": {"two": url(two)}, "Transfers": {"BucketSize": 1, "Threads": 1}})
    fill(one)
    asked = [{"Level": "Patient", "ID": each} for each in one.get("/patients").json()]
    job = post(one, "/transfers/send", {"Resources": asked, "Peer": "two", "Compression": "none"})["ID"]
    until(lambda: one.get(f"/jobs/{job}").json()["State"] != "Pending")
    one.kill()
    one.start()
    assert ended(one, job)["State"] == "Success"
    assert files_of(two) == files_of(one)
