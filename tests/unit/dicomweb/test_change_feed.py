"""`/dicom-web/changefeed`: what a program that follows the archive sees of arrivals, replacements and deletions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.application import CT_INSTANCE, CT_STUDY, Client, MakeClient

from ithil.archive import change_feed, retrieve
from ithil.archive.errors import ArchiveError, FileCorrupted, FileMissing, StorageUnavailable
from ithil.archive.model import Attachment

FEED = "/dicom-web/changefeed"
CT_UIDS = (
    "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
)


def store(client: Client, content: bytes) -> None:
    assert client.post("/instances", content=content).status_code == 200


def entries(client: Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(FEED, params={"includeMetadata": "false", **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def told(client: Client, **query: Any) -> list[tuple[str, str]]:
    return [(entry["action"], entry["state"]) for entry in entries(client, **query)]


def test_an_empty_archive_has_nothing_to_tell(client: Client) -> None:
    assert entries(client) == []
    assert client.get(f"{FEED}/latest").status_code == 204


def test_an_arrival_is_told_with_its_uids_and_metadata(client: Client, ct: bytes) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    store(client, ct)
    (entry,) = client.get(FEED).json()
    assert (entry["studyInstanceUid"], entry["seriesInstanceUid"], entry["sopInstanceUid"]) == CT_UIDS
    assert (entry["action"], entry["state"]) == ("create", "current")
    assert before < datetime.fromisoformat(entry["timestamp"]) < before + timedelta(minutes=1)
    assert entry["metadata"]["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert CT_UIDS[2] in entry["metadata"]["7FE00010"]["BulkDataURI"]
    assert client.get(f"{FEED}/latest").json() == entry


def test_metadata_is_left_out_if_not_wanted(client: Client, ct: bytes) -> None:
    store(client, ct)
    for spelling in ("includeMetadata", "includemetadata"):
        assert "metadata" not in client.get(f"{FEED}?{spelling}=false").json()[0]
        assert "metadata" not in client.get(f"{FEED}/latest?{spelling}=false").json()


def test_a_storage_that_is_away_is_no_missing_metadata(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who got 200 would go on, and never learn what he has missed."""
    store(client, ct)

    def away(*_: Any) -> Any:
        raise StorageUnavailable("The storage is away")

    with monkeypatch.context() as patched:
        patched.setattr("ithil.archive.retrieve.read", away)
        for url in (FEED, f"{FEED}/latest"):
            assert client.get(url).status_code >= 500
        assert client.get(f"{FEED}?includeMetadata=false").status_code == 200
    assert "metadata" in client.get(FEED).json()[0]


@pytest.mark.parametrize("error", [FileMissing("It is gone"), FileCorrupted("It is damaged")])
def test_a_lost_file_does_not_hold_up_the_feed(
    client: Client, ct: bytes, mr: bytes, monkeypatch: pytest.MonkeyPatch, error: ArchiveError
) -> None:
    store(client, ct)
    store(client, mr)
    read = retrieve.read

    def one_is_lost(archive: Any, file: Attachment, *arguments: Any) -> bytes:
        if file.uncompressed_size == len(ct):
            raise error
        return read(archive, file, *arguments)

    monkeypatch.setattr(retrieve, "read", one_is_lost)
    assert ["metadata" in entry for entry in client.get(FEED).json()] == [False, True]


def test_who_polls_gets_a_kept_answer_until_something_happens(
    client: Client, ct: bytes, mr: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(client, ct)
    assert len(entries(client)) == 1  # the first who looks has it added
    asked: list[int] = []
    page = change_feed.page

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(1)
        return page(*arguments, **options)

    monkeypatch.setattr(change_feed, "page", counted)
    for _ in range(3):
        assert len(entries(client)) == 1
    assert len(asked) == 1
    store(client, mr)
    assert len(entries(client)) == 2


def test_a_deletion_is_told_with_the_uids_of_what_is_gone(client: Client, ct: bytes, mr: bytes) -> None:
    store(client, ct)
    store(client, mr)
    client.delete(f"/studies/{CT_STUDY}")
    assert told(client) == [("create", "deleted"), ("create", "current"), ("delete", "deleted")]
    first, _, last = client.get(FEED).json()
    for entry in (first, last):
        assert (entry["studyInstanceUid"], entry["seriesInstanceUid"], entry["sopInstanceUid"]) == CT_UIDS
        assert "metadata" not in entry


def test_what_comes_again_after_a_deletion_is_current(client: Client, ct: bytes) -> None:
    store(client, ct)
    client.delete(f"/instances/{CT_INSTANCE}")
    store(client, ct)
    assert told(client) == [("create", "replaced"), ("delete", "replaced"), ("create", "current")]


def test_a_replaced_instance_is_an_update(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(overwrite_instances="Always")
    for count in (1, 2, 3):
        store(client, ct)
        assert len(told(client)) == count
    assert told(client) == [("create", "replaced"), ("update", "replaced"), ("update", "current")]
    client.delete(f"/instances/{CT_INSTANCE}")
    assert told(client) == [
        ("create", "deleted"),
        ("update", "deleted"),
        ("update", "deleted"),
        ("delete", "deleted"),
    ]


def test_orthancs_log_tells_nothing_of_what_is_gone(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(overwrite_instances="Always")
    store(client, ct)
    store(client, ct)
    kinds = [change["ChangeType"] for change in client.get("/changes").json()["Changes"]]
    assert sorted(kinds) == ["NewInstance", "NewPatient", "NewSeries", "NewStudy"]
    client.delete(f"/studies/{CT_STUDY}")
    assert client.get("/changes").json()["Changes"] == []


def test_clearing_orthancs_log_leaves_the_feed(client: Client, ct: bytes, mr: bytes) -> None:
    store(client, ct)
    client.delete(f"/studies/{CT_STUDY}")
    client.delete("/changes")
    store(client, mr)
    assert told(client) == [("create", "deleted"), ("delete", "deleted"), ("create", "current")]
    assert client.get("/changes?limit=1").json()["Changes"][0]["ChangeType"] == "NewInstance"
    assert len(client.get("/changes").json()["Changes"]) == 4


def test_a_reader_goes_on_behind_what_it_has_seen(client: Client, ct: bytes, mr: bytes) -> None:
    store(client, ct)
    store(client, mr)
    client.delete(f"/studies/{CT_STUDY}")
    seen: list[int] = []
    while found := entries(client, since=seen[-1] if seen else 0, limit=1):
        seen.append(found[0]["sequence"])
    assert seen == sorted(seen)
    assert len(seen) == 3


def test_a_full_page_links_to_the_next(client: Client, ct: bytes, mr: bytes) -> None:
    store(client, ct)
    store(client, mr)
    url, seen = f"{FEED}?limit=1&includeMetadata=false&type=create", []
    while True:
        answer = client.get(url)
        seen += [entry["sequence"] for entry in answer.json()]
        if "next" not in answer.links:
            break
        url = answer.links["next"]["url"]
    assert len(seen) == 2


def test_offset_and_limit_count_entries(client: Client, ct: bytes, mr: bytes) -> None:
    store(client, ct)
    store(client, mr)
    everything = entries(client)
    assert entries(client, limit=1) == everything[:1]
    assert entries(client, offset=1) == everything[1:]
    assert entries(client, offset=2) == []


def test_entries_are_chosen_by_type(client: Client, ct: bytes, mr: bytes) -> None:
    store(client, ct)
    store(client, mr)
    client.delete(f"/studies/{CT_STUDY}")
    assert told(client, type="delete") == [("delete", "deleted")]
    assert len(told(client, type="create,delete")) == 3
    assert client.get(f"{FEED}/latest?type=create").json()["state"] == "current"


def test_entries_are_chosen_by_time(client: Client, ct: bytes) -> None:
    store(client, ct)
    moment = datetime.fromisoformat(entries(client)[0]["timestamp"])
    second, hour = timedelta(seconds=1), timedelta(hours=1)
    assert len(entries(client, startTime=moment.isoformat(), endTime=(moment + second).isoformat())) == 1
    assert entries(client, startTime=(moment + second).isoformat()) == []
    assert entries(client, endTime=moment.isoformat()) == []
    assert entries(client, startTime=(moment + hour).isoformat()) == []
    assert entries(client, endTime=(moment - hour).isoformat()) == []
    assert len(entries(client, startTime="0001-01-01", endTime="9999-12-31T23:59:59.9")) == 1
    zoned = moment.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+02:00").tzinfo)
    unescaped = zoned.isoformat()
    assert len(client.get(f"{FEED}?includeMetadata=false&startTime={unescaped}").json()) == 1


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=many", "offset=-1", "since=x", "startTime=yesterday", "type=explode"]
    + ["includeMetadata=perhaps", "includeMetadata=false&limit=10001", "startTime=0001-01-01T00:00:00%2B1"],
)
def test_what_cannot_be_asked_is_refused(client: Client, query: str) -> None:
    answer = client.get(f"{FEED}?{query}")
    assert answer.status_code == 400
    assert "argument" in answer.json()["Details"]
