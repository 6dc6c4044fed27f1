"""Routing rules: a stable study that matches is sent on, and a destination that is away gets it later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.conftest import StartIthil, StartOrthanc
from tests.data.real import content_of
from tests.servers.ithil import Ithil
from tests.servers.process import DicomServer

CT, MR = "pydicom/CT_small.dcm", "pydicom/MR_small.dcm"
DEADLINE = 40.0  # seconds


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def studies(server: DicomServer) -> list[str]:
    found: list[str] = server.get("/studies").json()
    return found


def queue(server: Ithil) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/ithil/routing/queue").json()
    return found


def quick(*, rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StableAge": 1, "Ithil": {"RoutingRules": rules, "StabilitySweepSeconds": 0.1}, **more}


def test_a_study_goes_to_the_modality_or_peer_of_each_rule_that_it_matches(
    start_ithil: StartIthil, start_orthanc: StartOrthanc
) -> None:
    orthanc, peer = start_orthanc(), start_ithil()
    server = start_ithil(
        quick(
            rules={
                "ct-to-modality": {"Query": {"ModalitiesInStudy": "CT"}, "Modality": "orthanc"},
                "all-to-peer": {"Peer": "ithil"},
                "off": {"Peer": "ithil", "Enabled": False},
                "nobody": {"Query": {"PatientID": "NOBODY"}, "Peer": "ithil"},
            },
            DicomModalities={"orthanc": ["ORTHANC", "127.0.0.1", orthanc.dicom_port]},
            OrthancPeers={"ithil": [f"http://127.0.0.1:{peer.http_port}/"]},
        )
    )
    ct = server.upload(content_of(CT)).json()["ParentStudy"]
    mr = server.upload(content_of(MR)).json()["ParentStudy"]
    until(lambda: set(studies(peer)) == {ct, mr} and studies(orthanc) == [ct])
    until(lambda: not queue(server)["Deliveries"])


def test_what_cannot_be_sent_waits_also_over_a_restart(start_ithil: StartIthil) -> None:
    server = start_ithil(quick(rules={}, OrthancPeers={"later": ["http://127.0.0.1:1/"]}))
    rule = {"Query": {"PatientName": "*"}, "Peer": "later", "FirstDelay": 1, "LongestDelay": 1}
    assert server.ask("PUT", "/ithil/routing/rules/patient", json.dumps(rule)).status == 200
    study = server.upload(content_of(CT)).json()["ParentStudy"]
    until(lambda: any(one["Attempts"] >= 2 for one in queue(server)["Deliveries"]))
    (delivery,) = queue(server)["Deliveries"]
    assert delivery["Rule"] == "patient"
    assert delivery["Study"] == study
    assert delivery["ErrorCode"] == 9
    server.kill()
    server.start()
    assert queue(server)["Counts"]["Waiting"] + queue(server)["Counts"]["Sending"] == 1
    later = start_ithil()
    place = json.dumps([f"http://127.0.0.1:{later.http_port}/"])
    assert server.ask("PUT", "/peers/later", place).status == 200
    until(lambda: studies(later) == [study])
    until(lambda: not queue(server)["Deliveries"])


def test_what_fails_too_often_is_given_up_and_can_be_tried_again(start_ithil: StartIthil) -> None:
    server = start_ithil(quick(rules={"nowhere": {"Modality": "nowhere", "Retries": 1, "FirstDelay": 1}}))
    server.upload(content_of(CT))
    until(lambda: queue(server)["Counts"]["Failed"] == 1)
    (delivery,) = queue(server)["Deliveries"]
    assert delivery["Attempts"] == 2
    path = f"/ithil/routing/queue/{delivery['ID']}"
    assert server.ask("POST", f"{path}/retry", "").status == 200
    until(lambda: queue(server)["Counts"]["Failed"] == 1)
    assert server.ask("DELETE", path).status == 200
    assert queue(server)["Deliveries"] == []
    assert server.get(path).status == 404


def test_each_study_is_sent_once_by_many_processes(start_ithil: StartIthil) -> None:
    peer = start_ithil()
    rules = {"all": {"Peer": "peer"}}
    server = start_ithil(
        {
            "StableAge": 1,
            "Ithil": {"RoutingRules": rules, "Workers": 3, "StabilitySweepSeconds": 0.05},
            "OrthancPeers": {"peer": [f"http://127.0.0.1:{peer.http_port}/"]},
            "JobsHistorySize": 100,
        }
    )
    for name in (CT, MR):
        assert server.upload(content_of(name)).status == 200
    until(lambda: len(studies(peer)) == 2 and not queue(server)["Deliveries"])
    assert len(server.get("/jobs").json()) == 2


def test_rules_of_the_configuration_cannot_be_changed_by_rest(start_ithil: StartIthil) -> None:
    server = start_ithil(quick(rules={"fixed": {"Peer": "a"}}))
    assert server.ask("PUT", "/ithil/routing/rules/fixed", '{"Peer": "b"}').status == 403
    assert server.ask("DELETE", "/ithil/routing/rules/fixed").status == 403
    for wrong in ("{}", "[]", "x", '{"Peer": "a", "Modality": "b"}', '{"Peer": "a", "Query": {"Nope": "1"}}'):
        assert server.ask("PUT", "/ithil/routing/rules/new", wrong).status == 400, wrong
    assert server.ask("PUT", "/ithil/routing/rules/new", '{"Peer": "b"}').status == 200
    assert server.get("/ithil/routing/rules").json() == ["fixed", "new"]
    assert server.get("/ithil/routing/rules/new").json()["Peer"] == "b"
    assert server.ask("DELETE", "/ithil/routing/rules/new").status == 200
    assert server.ask("DELETE", "/ithil/routing/rules/new").status == 404
