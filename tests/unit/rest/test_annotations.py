"""Metadata, labels, attachments, reconstruction and deletion in bulk, as clients see them."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient

RESOURCES = (
    f"/patients/{CT_PATIENT}",
    f"/studies/{CT_STUDY}",
    f"/series/{CT_SERIES}",
    f"/instances/{CT_INSTANCE}",
)
STUDY, INSTANCE = RESOURCES[1], RESOURCES[3]


@pytest.fixture
def filled(make_client: MakeClient, ct: bytes) -> Client:
    client = make_client(user_metadata={"mine": 1024})
    assert client.post("/instances", content=ct).status_code == 200
    return client


def files(client: Client) -> int:
    """How many files the storage has."""
    root: Path = client.app.context.settings.storage_directory
    return sum(len(path.name) == 36 for path in root.rglob("*") if path.is_file())


def told(answer: httpx.Response) -> tuple[int, int]:
    """Status and Orthanc's code of a refusal."""
    return answer.status_code, answer.json()["OrthancStatus"]


@pytest.mark.parametrize("one", RESOURCES)
def test_metadata(filled: Client, one: str) -> None:
    answer = filled.put(f"{one}/metadata/mine", content="größer")
    tag = answer.headers["etag"]
    assert (answer.status_code, answer.content) == (200, b"")
    assert tag == f'"0-{hashlib.md5("größer".encode()).hexdigest()}"'
    read = filled.get(f"{one}/metadata/1024")
    assert (read.text, read.headers["etag"]) == ("größer", tag)
    assert filled.get(f"{one}/metadata?expand").json()["mine"] == "größer"
    assert filled.get(f"{one}/metadata/mine", headers={"If-None-Match": tag}).status_code == 304
    again = filled.put(f"{one}/metadata/mine", content="x", headers={"If-Match": tag})
    assert again.headers["etag"].startswith('"1-')
    stale = filled.put(f"{one}/metadata/mine", content="y", headers={"If-Match": tag})
    assert told(stale) == (409, 43)
    assert filled.get(f"{one}/metadata/mine").text == "x"
    assert told(filled.delete(f"{one}/metadata/mine", headers={"If-Match": tag})) == (409, 43)
    assert filled.delete(f"{one}/metadata/mine").status_code == 200
    assert filled.get(f"{one}/metadata/mine").status_code == 404
    kinds = [change["ChangeType"] for change in filled.get("/changes?since=4").json()["Changes"]]
    assert kinds == ["UpdatedMetadata"] * 3


@pytest.mark.parametrize("what", ["metadata", "attachments"])
def test_what_is_the_systems_stays(filled: Client, what: str) -> None:
    for name in ("1", "1023", "65536", "-1", "0", "LastUpdate" if what == "metadata" else "dicom"):
        for answer in (
            filled.put(f"{INSTANCE}/{what}/{name}", content=b"x"),
            filled.delete(f"{INSTANCE}/{what}/{name}"),
        ):
            assert (answer.status_code, answer.content) == (403, b"")
    for name in ("nonsense", "1024x", "+1024", "9" * 30, "%0d%0aX-Evil: 1"):
        assert told(filled.put(f"{INSTANCE}/{what}/{name}", content=b"x")) == (404, 7)
    assert files(filled) == 1


@pytest.mark.parametrize("tag", ["garbage", "*", "", '"-1-x"', 'W/"0-x"', '"0-x", "1-y"x', "9" * 40 + "-x"])
@pytest.mark.parametrize("what", ["metadata", "attachments"])
def test_what_is_no_version(filled: Client, what: str, tag: str) -> None:
    url, headers = f"{STUDY}/{what}/1024", {"If-Match": tag}
    assert told(filled.put(url, content=b"x", headers=headers)) == (400, 3)
    assert told(filled.delete(url, headers=headers)) == (400, 3)
    assert filled.get(STUDY + "/" + what).json() in (["LastUpdate"], [])


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b"])
def test_metadata_are_text(filled: Client, content: bytes) -> None:
    assert told(filled.put(f"{STUDY}/metadata/mine", content=content)) == (400, 8)


@pytest.mark.parametrize("one", RESOURCES)
def test_labels(filled: Client, one: str) -> None:
    for label in ("urgent", "to-do_2", "urgent"):
        answer = filled.put(f"{one}/labels/{label}")
        assert (answer.status_code, answer.content) == (200, b"")
    assert filled.get(f"{one}/labels").json() == ["to-do_2", "urgent"]
    assert filled.get(one).json()["Labels"] == ["to-do_2", "urgent"]
    assert filled.get(f"{one}/labels/urgent").status_code == 200
    assert filled.get(f"{one}/labels/nope").status_code == 404
    for label in ("urgent", "urgent", "nope"):
        assert filled.delete(f"{one}/labels/{label}").status_code == 200
    assert filled.get(f"{one}/labels").json() == ["to-do_2"]
    for label in ("a b", "%2e%2e", "x" * 65, "é", "a%0d%0ab"):
        assert told(filled.put(f"{one}/labels/{label}")) == (400, 3)
    level = one.split("/")[1]
    for answer in (filled.put(f"/{level}/nope/labels/x"), filled.delete(f"/{level}/nope/labels/x")):
        assert told(answer) == (404, 17)


@pytest.mark.parametrize("one", RESOURCES)
@pytest.mark.parametrize("compressed", [False, True])
def test_attachments(make_client: MakeClient, ct: bytes, one: str, compressed: bool) -> None:
    from ithil.settings.tags import ContentType

    client = make_client(
        storage_compression=compressed,
        user_content_type={"report": ContentType(1024, "application/pdf")},
    )
    client.post("/instances", content=ct)
    content = b"%PDF " * 1000
    url = f"{one}/attachments/report"
    stored = client.put(url, content=content)
    assert (stored.status_code, stored.json()) == (200, {})
    tag = f'"0-{hashlib.md5(content).hexdigest()}"'
    assert stored.headers["etag"] == tag
    data = client.get(f"{url}/data")
    assert (data.content, data.headers["content-type"]) == (content, "application/pdf")
    assert data.headers["etag"] == tag
    assert client.get(f"{url}/is-compressed").text == str(int(compressed))
    assert client.get(f"{url}/data", headers={"Range": "bytes=5-8"}).content == content[5:9]
    assert client.get(f"{url}/data", headers={"If-None-Match": tag}).status_code == 304
    assert "report" in client.get(f"{one}/attachments").json()
    for action, state in (("compress", "1"), ("compress", "1"), ("uncompress", "0"), ("uncompress", "0")):
        assert client.post(f"{url}/{action}").json() == {}
        assert client.get(f"{url}/is-compressed").text == state
        assert client.get(f"{url}/data").content == content
        assert client.post(f"{url}/verify-md5").json() == {}
        assert client.get(f"{url}/data").headers["etag"] == tag
    assert told(client.put(url, content=b"x", headers={"If-Match": '"1-x"'})) == (409, 43)
    assert client.put(url, content=b"", headers={"If-Match": tag}).headers["etag"].startswith('"1-')
    assert client.get(f"{url}/size").text == "0"
    assert client.delete(url).status_code == 200
    assert told(client.delete(url)) == (404, 17)
    assert told(client.get(f"{url}/data")) == (404, 17)


def test_a_refused_attachment_is_not_received(filled: Client) -> None:
    received = 0

    async def body() -> Any:
        nonlocal received
        for _ in range(10):
            received += 1
            yield bytes(1024 * 1024)

    for url, status in (
        ("/studies/nope/attachments/1024", 404),
        (f"/series/{CT_STUDY}/attachments/1024", 404),
        (f"{STUDY}/attachments/1023", 403),
    ):
        assert filled.put(url, content=body()).status_code == status
    filled.put(f"{STUDY}/attachments/1024", content=b"x")
    stale = filled.put(f"{STUDY}/attachments/1024", content=body(), headers={"If-Match": '"9-x"'})
    assert told(stale) == (409, 43)
    assert files(filled) == 2
    assert received == 0


def test_an_attachment_that_is_too_large_leaves_nothing(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(maximum_request_body_size_mb=2)
    client.post("/instances", content=ct)

    async def body() -> Any:
        for _ in range(5):
            yield bytes(1024 * 1024)

    assert client.put(f"{STUDY}/attachments/1024", content=body()).status_code == 413
    assert files(client) == 1
    assert client.get(f"{STUDY}/attachments").json() == []


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_attachment(make_client: MakeClient, ct: bytes, compressed: bool) -> None:
    client = make_client(storage_compression=compressed)
    client.post("/instances", content=ct)
    content = random.Random(2).randbytes(6 * 1024 * 1024) + bytes(6 * 1024 * 1024)
    url = f"{STUDY}/attachments/1024"
    assert client.put(url, content=content).status_code == 200
    assert client.get(f"{url}/data").content == content
    for first, last in ((0, 0), (1, 5_000_000), (5_000_000, 7_000_000), (12_582_911, 12_582_911)):
        part = client.get(f"{url}/data", headers={"Range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, content[first : last + 1])
    head = client.request("HEAD", f"{url}/data")
    assert (head.headers["content-length"], head.content) == (str(len(content)), b"")


def test_versions_may_be_asked_for(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(check_revisions=True)
    client.post("/instances", content=ct)
    for what in ("metadata", "attachments"):
        url = f"{STUDY}/{what}/1024"
        tag = client.put(url, content=b"x").headers["etag"]
        assert told(client.put(url, content=b"y")) == (409, 43)
        assert told(client.delete(url)) == (409, 43)
        assert told(client.delete(f"/studies/nope/{what}/1024")) == (409, 43)
        tag = client.put(url, content=b"y", headers={"If-Match": tag}).headers["etag"]
        assert client.delete(url, headers={"If-Match": tag}).status_code == 200


def test_reconstruction(filled: Client) -> None:
    filled.put(f"{STUDY}/metadata/mine", content="kept")
    before = [filled.get(one).json() for one in RESOURCES]
    for one in RESOURCES:
        for body in (b"", b"{}", b'{"ReconstructFiles": true, "LimitToThisLevelMainDicomTags": false}'):
            answer = filled.post(f"{one}/reconstruct", content=body)
            assert (answer.status_code, answer.content) == (200, b"")
        assert told(filled.post(f"{one}/reconstruct", content=b'{"ReconstructFiles": "x"}')) == (400, 5)
        assert told(filled.post(f"{one}/reconstruct", content=b"garbage")) == (400, 8)
        assert told(filled.post(f"/{one.split('/')[1]}/nope/reconstruct")) == (404, 17)
    assert filled.post("/tools/reconstruct").status_code == 200
    assert filled.post("/tools/invalidate-tags").status_code == 200
    assert [filled.get(one).json() for one in RESOURCES] == before
    assert filled.get(f"{STUDY}/metadata/mine").text == "kept"


def test_reconstruction_of_a_lost_file(filled: Client) -> None:
    root: Path = filled.app.context.settings.storage_directory
    (file,) = root.rglob(filled.get(INSTANCE).json()["FileUuid"])
    file.unlink()
    assert told(filled.post(f"{STUDY}/reconstruct")) == (404, 13)
    assert filled.get(STUDY).status_code == 200


def test_deletion_in_bulk(filled: Client, mr: bytes, plan: bytes) -> None:
    other = filled.post("/instances", content=mr).json()
    third = filled.post("/instances", content=plan).json()
    for body in (b"", b"[]", b"{}", b'{"Resources": "x"}', b'{"Resources": [1]}', b'{"Resources": [{}]}'):
        assert filled.post("/tools/bulk-delete", content=body).status_code == 400
    mixed = b'{"Resources": ["%s", 1]}' % other["ID"].encode()
    assert told(filled.post("/tools/bulk-delete", content=mixed)) == (400, 15)
    assert len(filled.get("/instances").json()) == 3
    resources: list[Any] = ["nope", CT_STUDY, CT_INSTANCE, {"Level": "Series", "ID": other["ParentSeries"]}]
    answer = filled.post("/tools/bulk-delete", json={"Resources": resources})
    assert (answer.status_code, answer.content) == (200, b"")
    assert filled.get("/instances").json() == [third["ID"]]


def test_a_read_only_archive_has_none_of_these_routes(make_client: MakeClient, ct: bytes) -> None:
    make_client().post("/instances", content=ct)
    client = make_client(
        storage_directory=make_client().app.context.settings.storage_directory, read_only=True
    )
    for method, url in (
        ("PUT", f"{STUDY}/metadata/1024"),
        ("DELETE", f"{STUDY}/attachments/1024"),
        ("PUT", f"{STUDY}/labels/x"),
    ):
        assert client.request(method, url).status_code == 405
    for url in ("/tools/bulk-delete", "/tools/reconstruct"):
        assert client.post(url).status_code == 404


def test_a_range_of_another_version_is_answered_with_the_whole(client: Client, ct: bytes) -> None:
    path = client.post("/instances", content=ct).json()["Path"] + "/attachments/dicom/data"
    tag = client.get(path).headers["ETag"]
    part = client.get(path, headers={"Range": "bytes=0-3", "If-Range": tag})
    assert (part.status_code, part.content) == (206, ct[:4])
    whole = client.get(path, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (whole.status_code, whole.content) == (200, ct)


def test_unknown_names_of_metadata_and_attachments_are_explained(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    for path, option in (("metadata", "UserMetadata"), ("attachments", "UserContentType")):
        answer = client.put(f"/instances/{CT_INSTANCE}/{path}/unheard", content=b"x")
        assert option in answer.json()["Details"]
