"""The numbers that the server gives of itself."""

from __future__ import annotations

import re
import time

from tests.unit.application import CT_INSTANCE, Client, MakeClient


def numbers(client: Client) -> dict[str, float]:
    """Read as Explorer 2 reads them: each line is three words."""
    found = {}
    for line in client.get("/tools/metrics-prometheus").text.splitlines():
        name, value, when = line.split(" ")
        assert re.fullmatch(r"orthanc_[a-z0-9_]+", name)
        assert abs(int(when) / 1000 - time.time()) < 60
        found[name] = float(value)
    return found


def test_numbers(client: Client, ct: bytes) -> None:
    before = numbers(client)
    client.post("/instances", content=ct)
    client.get(f"/instances/{CT_INSTANCE}/tags")
    after = numbers(client)
    assert after["orthanc_count_instances"] == 1
    assert after["orthanc_count_patients"] == 1
    assert after["orthanc_last_change"] > before["orthanc_last_change"]
    assert after["orthanc_storage_written_bytes"] - before["orthanc_storage_written_bytes"] == len(ct)
    assert after["orthanc_store_dicom_duration_ms"] > 0
    assert after["orthanc_rest_api_duration_ms"] > 0
    assert after["orthanc_rest_api_active_requests"] == 1
    assert after["orthanc_jobs_running"] == 0
    assert 0 < after["orthanc_disk_size_mb"] < 0.1
    assert after["orthanc_available_http_threads_count"] > 0


def test_the_media_type_is_that_of_prometheus(client: Client) -> None:
    assert client.get("/tools/metrics-prometheus").headers["content-type"] == "text/plain; version=0.0.4"


def test_nothing_is_shown_if_metrics_are_off(make_client: MakeClient) -> None:
    client = make_client(metrics_enabled=False)
    assert client.get("/tools/metrics-prometheus").content == b""
    client.put("/tools/metrics", content="1")
    assert numbers(client)


def test_no_number_names_a_patient(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    text = client.get("/tools/metrics-prometheus").text
    assert "CompressedSamples" not in text
    assert CT_INSTANCE not in text
