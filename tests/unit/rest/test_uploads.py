"""`POST /instances`: every form of upload, and what becomes of bad ones."""

from __future__ import annotations

import asyncio
import gzip
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.application import CT_INSTANCE, CT_PATIENT, CT_SERIES, CT_STUDY, Client, MakeClient

from ithil.archive import ingest
from ithil.archive.errors import IndexUnavailable, StorageFull
from ithil.http.pieces import PIECE


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as container:
        for name, content in members:
            container.writestr(name, content)
    return file.getvalue()


def error_code(answer: Any) -> int:
    code: int = answer.json()["OrthancStatus"]
    return code


def stored(client: Client) -> int:
    count: int = client.get("/statistics").json()["CountInstances"]
    return count


def files(client: Client) -> list[Path]:
    folder = client.app.context.settings.storage_directory
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("ithil.db")]


def test_a_file_is_stored_once(client: Client, ct: bytes) -> None:
    first = client.post("/instances", content=ct)
    assert first.status_code == 200
    assert first.json() == {
        "ID": CT_INSTANCE,
        "ParentPatient": CT_PATIENT,
        "ParentSeries": CT_SERIES,
        "ParentStudy": CT_STUDY,
        "Path": f"/instances/{CT_INSTANCE}",
        "Status": "Success",
    }
    second = client.post("/instances", content=ct)
    assert (second.status_code, second.json()["Status"]) == (200, "AlreadyStored")
    assert client.get(f"/instances/{CT_INSTANCE}/file").content == ct


def test_the_type_of_the_body_does_not_matter(client: Client, ct: bytes) -> None:
    answer = client.post("/instances", content=ct, headers={"Content-Type": "text/html"})
    assert answer.json()["Status"] == "Success"


def test_a_large_file_streams(client: Client, ct: bytes) -> None:
    large = ct + b"\xfc\xff\xfc\xff" + b"OB\0\0" + (3 * PIECE).to_bytes(4, "little")
    large += bytes(3 * PIECE)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    answer = client.post("/instances", content=pieces())
    assert answer.json()["Status"] == "Success"
    assert client.get(f"/instances/{CT_INSTANCE}/file").content == large


@pytest.mark.parametrize("members", [1, 2])
def test_gzip(client: Client, ct: bytes, members: int) -> None:
    half = len(ct) // members
    body = b"".join(gzip.compress(ct[start : start + half]) for start in range(0, len(ct), half))
    answer = client.post("/instances", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json()["Status"] == "Success"
    assert client.get(f"/instances/{CT_INSTANCE}/file").content == ct


def test_gzip_with_padding_behind_it(client: Client, ct: bytes) -> None:
    body = gzip.compress(ct) + bytes(512)
    answer = client.post("/instances", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json()["Status"] == "Success"


def test_an_unknown_encoding_is_passed_over(client: Client, ct: bytes) -> None:
    answer = client.post("/instances", content=ct, headers={"Content-Encoding": "br"})
    assert answer.json()["Status"] == "Success"


def test_a_gzipped_zip(client: Client, ct: bytes) -> None:
    body = gzip.compress(zipped(("a", ct)))
    answer = client.post("/instances", content=body, headers={"Content-Encoding": "gzip"})
    assert [one["ID"] for one in answer.json()] == [CT_INSTANCE]


@pytest.mark.parametrize("spoiled", ["truncated", "garbage", "damaged"])
def test_bad_gzip_is_refused(client: Client, ct: bytes, spoiled: str) -> None:
    body = gzip.compress(ct)
    body = {
        "truncated": body[:-20],
        "garbage": b"not gzip at all",
        "damaged": body[:500] + b"\xff" * 500 + body[1000:],
    }[spoiled]
    answer = client.post("/instances", content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert stored(client) == 0


def test_a_gzip_bomb_is_refused(make_client: MakeClient) -> None:
    client = make_client(maximum_file_size_in_archive_mb=1)
    body = gzip.compress(bytes(50 * 1024 * 1024))
    answer = client.post("/instances", content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert files(client) == []


def test_a_zip_of_many(client: Client, ct: bytes, mr: bytes, plan: bytes) -> None:
    inner = zipped(("inner", mr))
    body = zipped(
        ("readme.txt", b"hello"),
        ("folder/", b""),
        ("../../etc/passwd", ct),
        ("inner.zip", inner),
        ("empty", b""),
        ("C:\\plan", plan),
        ("again", ct),
    )
    answer = client.post("/instances", content=body)
    assert answer.status_code == 200
    assert [one["Status"] for one in answer.json()] == ["Success", "Success", "AlreadyStored"]
    assert stored(client) == 2


def test_a_zip_with_a_dicomdir_and_a_file_without_uids(client: Client, ct: bytes) -> None:
    without = ct[: ct.index(b"\x20\0\x0d\0UI")]
    answer = client.post("/instances", content=zipped(("DICOMDIR", without), ("a", ct)))
    assert len(answer.json()) == 1


def test_a_zip_without_dicom(client: Client) -> None:
    answer = client.post("/instances", content=zipped(("a.txt", b"text")))
    assert (answer.status_code, answer.json()) == (200, [])


def test_a_large_zip_is_spooled(client: Client, ct: bytes, mr: bytes) -> None:
    body = zipped(("a", ct), ("b", bytes(3 * PIECE)), ("c", mr), compression=zipfile.ZIP_STORED)
    answer = client.post("/instances", content=body)
    assert [one["Status"] for one in answer.json()] == ["Success", "Success"]


def forged_size(body: bytes, size: int = 1000) -> bytes:
    """The directory lies about the size of the member."""
    at = body.rindex(b"PK\x01\x02")
    return body[: at + 24] + size.to_bytes(4, "little") + body[at + 28 :]


def encrypted(body: bytes) -> bytes:
    at = body.rindex(b"PK\x01\x02")
    return body[: at + 8] + b"\x01" + body[at + 9 :]


def unknown_method(body: bytes) -> bytes:
    at = body.rindex(b"PK\x01\x02")
    return body[: at + 10] + b"\x63" + body[at + 11 :]


def damaged(body: bytes) -> bytes:
    return body[:60] + b"\xff" * 200 + body[260:]


def endless_directory(body: bytes) -> bytes:
    at = body.rindex(b"PK\x05\x06")
    return body[: at + 12] + b"\xff\xff\xff\x7f" + body[at + 16 :]


@pytest.mark.parametrize(
    "spoil",
    [
        forged_size,
        encrypted,
        unknown_method,
        damaged,
        endless_directory,
        lambda body: body[: len(body) // 2],
        lambda body: body[:4],
    ],
)
def test_bad_zips_are_refused(client: Client, ct: bytes, spoil: Callable[[bytes], bytes]) -> None:
    answer = client.post("/instances", content=spoil(zipped(("a", ct))))
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert stored(client) == 0
    assert files(client) == []


def test_a_zip_that_claims_too_much_gives_what_there_is(client: Client, ct: bytes) -> None:
    answer = client.post("/instances", content=forged_size(zipped(("a", ct)), 2**31 - 1))
    assert [one["Status"] for one in answer.json()] == ["Success"]
    assert client.get(f"/instances/{CT_INSTANCE}/file").content == ct


def test_an_empty_zip_is_refused(client: Client) -> None:
    answer = client.post("/instances", content=zipped())
    assert (answer.status_code, error_code(answer)) == (400, 15)


def bomb(size: int) -> bytes:
    """What looks like DICOM and goes on with zeros."""
    return bytes(128) + b"DICM" + bytes(size - 132)


def test_a_zip_bomb_is_refused(make_client: MakeClient) -> None:
    client = make_client(maximum_file_size_in_archive_mb=1)
    answer = client.post("/instances", content=zipped(("bomb", bomb(64 * 1024 * 1024))))
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert files(client) == []


def test_a_zip_of_many_bombs_is_refused(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(maximum_request_body_size_mb=2)
    members = [("ct", ct)] + [(str(number), bomb(900_000)) for number in range(3)]
    answer = client.post("/instances", content=zipped(*members))
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert "MaximumRequestBodySizeMB" in answer.json()["Details"]
    assert stored(client) == 1  # what came before stays


def test_members_that_are_no_dicom_are_not_unpacked(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(maximum_request_body_size_mb=1, maximum_file_size_in_archive_mb=1)
    members = [(str(number), bytes(2 * 1024 * 1024)) for number in range(4)]
    answer = client.post("/instances", content=zipped(*members, ("ct", ct)))
    assert [one["ID"] for one in answer.json()] == [CT_INSTANCE]


@pytest.mark.parametrize("start", [132, 132 + 2 * PIECE])
def test_members_without_preamble_are_stored(client: Client, ct: bytes, start: int) -> None:
    padding = b"\xfc\xff\xfc\xffOB\0\0" + (2 * PIECE).to_bytes(4, "little") + bytes(2 * PIECE)
    bare = ct[132:] + (padding if start > 132 else b"")
    answer = client.post("/instances", content=zipped(("bare", bare)))
    assert [one["ID"] for one in answer.json()] == [CT_INSTANCE]


def test_a_stop_ends_the_unpacking(make_client: MakeClient, ct: bytes, mr: bytes) -> None:
    client = make_client()
    context = client.app.context
    store = ingest.store

    def stop_after(*arguments: Any) -> Any:
        context.closing.set()
        return store(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "store", stop_after)
        answer = client.post("/instances", content=zipped(("a", ct), ("b", mr)))
    assert answer.status_code == 503
    assert stored(client) == 1


@pytest.mark.parametrize(
    "body", [b"hello", b"\0" * 128 + b"DICM", b"{}", b"<html>", bytes(range(256)) * 10, b"PK"]
)
def test_what_is_no_dicom_is_refused(client: Client, body: bytes) -> None:
    answer = client.post("/instances", content=body)
    assert (answer.status_code, error_code(answer)) in ((400, 15), (404, 21))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert files(client) == []


def test_an_empty_body_is_refused(client: Client) -> None:
    answer = client.post("/instances")
    assert (answer.status_code, error_code(answer)) == (400, 15)


def test_a_truncated_file_is_refused(client: Client, ct: bytes) -> None:
    answer = client.post("/instances", content=ct[: len(ct) // 2])
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert stored(client) == 0
    assert files(client) == []


def test_a_file_without_identifiers_has_error_21(client: Client) -> None:
    from tests.unit.application import read

    answer = client.post("/instances", content=read("nested_priv_SQ.dcm"))
    assert (answer.status_code, error_code(answer)) == (404, 21)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=2000), prefix=st.sampled_from([b"", b"PK\x03\x04", b"\0" * 128 + b"DICM"]))
def test_random_bodies_never_break_the_server(client: Client, body: bytes, prefix: bytes) -> None:
    answer = client.post("/instances", content=prefix + body)
    assert answer.status_code in (400, 404)


def test_a_form_of_several_files(client: Client, ct: bytes, mr: bytes) -> None:
    parts = [("a", ("1.dcm", ct)), ("b", ("2.dcm", mr))]
    answer = client.post("/instances", files=parts)
    assert (answer.status_code, answer.content) == (200, b"")
    assert stored(client) == 2
    assert client.get(f"/instances/{CT_INSTANCE}/file").content == ct


def test_a_form_goes_to_any_path(client: Client) -> None:
    assert client.post("/tools/lookup", files={"a": b"x"}).status_code == 200
    assert client.post("/nope", files={"a": b"x"}).status_code == 404


def test_a_form_ends_at_the_first_bad_part(client: Client, ct: bytes, mr: bytes) -> None:
    parts = [("a", ("1", ct)), ("b", ("2", b"hello")), ("c", ("3", mr))]
    answer = client.post("/instances", files=parts)
    assert (answer.status_code, error_code(answer)) == (400, 15)
    assert stored(client) == 1


FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"--edge",
        b"--edge\r\nContent-Disposition: form-data; name=a\r\n\r\nunfinished",
        b"--edge\r\nno header\r\n\r\n",
        b"--edge\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx\r\n--edge--\r\n",
        b"",
    ],
)
def test_malformed_forms_are_refused(client: Client, body: bytes) -> None:
    answer = client.post("/instances", content=body, headers=FORM)
    assert answer.status_code == 400
    assert stored(client) == 0


def test_a_form_with_a_boundary_too_long(client: Client) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=" + "x" * 1000}
    assert client.post("/instances", content=b"x", headers=headers).status_code == 400


def test_a_form_without_boundary_is_an_ordinary_body(client: Client, ct: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    assert client.post("/instances", content=ct, headers=headers).json()["Status"] == "Success"


def test_a_body_above_the_limit_is_refused(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(maximum_request_body_size_mb=1)
    large = ct + bytes(2 * 1024 * 1024)
    assert client.post("/instances", content=large).status_code == 413

    async def unannounced() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    assert client.post("/instances", content=unannounced()).status_code == 413
    assert files(client) == []


@pytest.mark.parametrize("length", ["-5", "abc", "1e3", ""])
def test_a_length_that_is_no_number_is_refused(client: Client, length: str) -> None:
    answer = client.post("/instances", content=b"x", headers={"Content-Length": length})
    assert answer.status_code == 411


def ask(client: Client, messages: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """One `POST /instances` with exactly these ASGI messages; what the application sent."""
    sent: list[Any] = []
    queue = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(queue)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/instances",
        "raw_path": b"/instances",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(client.app(scope, receive, send))
    return sent


@pytest.mark.parametrize("size", [1000, 3 * PIECE])
def test_a_client_that_leaves_leaves_nothing_behind(client: Client, ct: bytes, size: int) -> None:
    body = (ct + bytes(size))[:size]
    messages = [
        {"type": "http.request", "body": body, "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert ask(client, messages, []) == []
    assert files(client) == []
    assert stored(client) == 0


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StorageFull("full"), 507, 19), (IndexUnavailable("gone"), 503, 36), (MemoryError(), 500, 4)],
)
def test_an_archive_that_cannot_store_says_so(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("ithil.archive.ingest.store", fail)
    answer = client.post("/instances", content=ct)
    assert (answer.status_code, error_code(answer)) == (status, code)


def test_what_went_wrong_unexpectedly_is_not_told(
    client: Client, ct: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("DOE^JOHN")

    monkeypatch.setattr("ithil.archive.ingest.store", fail)
    answer = client.post("/instances", content=ct)
    assert (answer.status_code, error_code(answer)) == (500, -1)
    assert "DOE" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
