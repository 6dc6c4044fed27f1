"""The short way of uploads gives the same answers as the ordinary way, and is only taken where it may be."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from tests.data.synthetic import series
from tests.unit.application import Client, MakeClient, read
from tests.unit.http.connections import (
    LAST,
    Gate,
    Reply,
    post,
    replies,
    running,
    statuses,
    until,
)
from tests.unit.rest.test_uploads import bomb, zipped

from ithil.archive import ingest
from ithil.archive.errors import IndexUnavailable, StorageFull
from ithil.archive.intake import Prepared
from ithil.http import upload_answers
from ithil.http.admission import Budget
from ithil.http.quick_upload import LARGEST, expected_size
from ithil.http.request import Request
from ithil.rest import uploads


async def both_ways(
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    bodies: list[bytes],
    *headers: str,
    **settings: Any,
) -> tuple[list[Reply], list[Reply], int]:
    """The answers to the same uploads on the short and on the ordinary way; how many took the short one."""
    answers = []
    short = 0
    for path in ("/instances", "/instances?"):
        async with running(make_client(**settings), monkeypatch) as here:
            received = [await here.ask(post(body, *headers, path=path) + LAST) for body in bodies]
            answers.append([replies(one)[0] for one in received])
            short += len(here.quick)
    return answers[0], answers[1], short


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ((), {}),
        (("Accept: application/xml",), {}),
        ((), {"http_describe_errors": False}),
        (("Authorization: Basic YTpi",), {"authentication_enabled": True, "registered_users": {"a": "b"}}),
        ((), {"overwrite_instances": "Always", "maximum_file_size_in_archive_mb": 1}),
    ],
)
def test_both_ways_answer_the_same(
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    ct: bytes,
    mr: bytes,
    headers: tuple[str, ...],
    settings: dict[str, Any],
) -> None:
    bodies = [
        ct,
        ct,
        mr,
        b"hello",
        b"PK",
        b"PK\x03\x04",
        b"\0" * 128 + b"DICM",
        ct[: len(ct) // 2],
        read("nested_priv_SQ.dcm"),
        zipped(("a", ct), ("b", read("rtplan.dcm"))),
        zipped(),
        zipped(("a", b"text")),
        zipped(("a", ct))[:-30],
        zipped(("bomb", bomb(2 * 1024 * 1024))),
        gzip.compress(ct),
    ]
    short, ordinary, count = asyncio.run(both_ways(make_client, monkeypatch, bodies, *headers, **settings))
    assert short == ordinary
    assert count == len(bodies)
    assert {reply.status.split()[1] for reply in short} == {b"200", b"400", b"404"}


@pytest.mark.parametrize(
    "error", [StorageFull("full"), IndexUnavailable("gone"), MemoryError(), RuntimeError("DOE^JOHN")]
)
def test_both_ways_fail_the_same(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, ct: bytes, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ingest.Incoming, "write", fail)
    short, ordinary, count = asyncio.run(both_ways(make_client, monkeypatch, [ct]))
    assert (short, count) == (ordinary, 1)
    assert int(short[0].status.split()[1]) >= 500
    assert b"DOE" not in short[0].body


@pytest.mark.parametrize(
    ("headers", "settings", "status"),
    [
        ((), {"read_only": True}, b"405"),
        ((), {"authentication_enabled": True, "registered_users": {"a": "b"}}, b"401"),
        (("X-HTTP-Method-Override: DELETE",), {}, b"405"),
        (("Content-Type: multipart/form-data; boundary=x",), {}, b"400"),
        (("Content-Encoding: gzip",), {}, b"400"),
    ],
)
def test_the_rest_takes_the_ordinary_way(
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    ct: bytes,
    headers: tuple[str, ...],
    settings: dict[str, Any],
    status: bytes,
) -> None:
    short, ordinary, count = asyncio.run(both_ways(make_client, monkeypatch, [ct], *headers, **settings))
    assert (short, count) == (ordinary, 0)
    assert short[0].status.split()[1] == status


def test_what_is_too_much_takes_the_ordinary_way(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    client = make_client(maximum_request_body_size_mb=1)
    budget = Budget(10)

    async def ask() -> None:
        async with running(client, monkeypatch) as here:
            assert statuses(await here.ask(post(bytes(1024 * 1024 + 1)) + LAST)) == [413, 404]
            client.app._budget = budget
            with budget.share(10):
                assert statuses(await here.ask(post(ct) + LAST)) == [503, 404]
            assert here.quick == []
            assert statuses(await here.ask(post(ct) + LAST)) == [200, 404]
            assert len(here.quick) == 1

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({b"content-length": b"10"}, 10),
        ({b"content-length": b"10", b"content-type": b"application/dicom"}, 10),
        ({b"content-length": str(LARGEST).encode()}, LARGEST),
        ({b"content-length": str(LARGEST + 1).encode()}, None),
        ({b"content-length": b"9" * 100}, None),
        ({b"content-length": b"0"}, None),
        ({b"content-length": b""}, None),
        ({b"content-length": b"-1"}, None),
        ({}, None),
        ({b"content-length": b"10", b"content-type": b" Multipart/Form-Data"}, None),
        ({b"content-length": b"10", b"expect": b"100-continue"}, None),
        ({b"content-length": b"10", b"content-encoding": b"gzip"}, None),
        ({b"content-length": b"10", b"transfer-encoding": b"chunked"}, None),
        ({b"content-length": b"10", b"x-http-method-override": b"PUT"}, None),
    ],
)
def test_which_uploads_may_take_the_short_way(headers: dict[bytes, bytes], size: int | None) -> None:
    assert expected_size(headers) == size


@pytest.mark.parametrize("url", [b"/instances/", b"/instances?_method=PUT", b"/tools/lookup"])
def test_only_the_path_of_uploads_has_a_short_way(client: Client, url: bytes) -> None:
    headers = {b"content-length": b"10"}
    assert client.app.quick_upload(url, headers, ("127.0.0.1", 1)) is None
    taken = client.app.quick_upload(b"/instances", headers, ("127.0.0.1", 1))
    assert taken is not None
    taken.release()


def test_small_uploads_that_wait_are_stored_together(
    client: Client, monkeypatch: pytest.MonkeyPatch, mr: bytes
) -> None:
    """Among them a broken one, one that came before, and an archive: each gets its own answer."""
    gate = Gate(monkeypatch)
    slices = [one.content for one in series(5)]
    bodies = [*slices, b"no DICOM", slices[0], zipped(("a", mr))]
    context = client.app.context
    commits: list[int] = []
    accept_all = context.archive.intake.accept_all

    def watched(prepared: Sequence[Prepared]) -> list[bool | BaseException]:
        commits.append(len(prepared))
        return accept_all(prepared)

    monkeypatch.setattr(context.archive.intake, "accept_all", watched)

    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            asked = [asyncio.create_task(here.ask(post(bodies[0]) + LAST))]
            await until(lambda: gate.reached == 1)
            asked += [asyncio.create_task(here.ask(post(body) + LAST)) for body in bodies[1:]]
            await until(lambda: len(client.app._upload_answers._small) == len(bodies) - 1)
            gate.opened.set()
            return [replies(await each)[0] for each in asked]

    answers = asyncio.run(ask())
    assert [int(reply.status.split()[1]) for reply in answers] == [200] * 5 + [400, 200, 200]
    known = [orjson.loads(reply.body)["Status"] for reply in (*answers[:5], answers[6])]
    assert known == ["Success"] * 5 + ["AlreadyStored"]
    assert [member["Status"] for member in orjson.loads(answers[7].body)] == ["Success"]
    assert sorted(commits) == [1, 1, 5]  # the first, what is in the archive, and those that waited
    assert len(client.get("/instances").json()) == 6


def test_uploads_go_apart_for_a_while_when_the_storage_is_slow(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = [one.content for one in series(4)]
    together = 0
    clock = 1000.0
    commit_all = uploads.commit_all

    def slow(*arguments: Any) -> Any:
        nonlocal together, clock
        together += 1
        clock += 1.0
        return commit_all(*arguments)

    monkeypatch.setattr(uploads, "commit_all", slow)
    monkeypatch.setattr(upload_answers, "monotonic", lambda: clock)

    async def ask() -> list[int]:
        nonlocal clock
        async with running(client, monkeypatch) as here:
            found = statuses(await here.ask(post(slices[0]) + post(slices[1]) + LAST))
            clock += upload_answers.APART_SECONDS
            return found + statuses(await here.ask(post(slices[2]) + LAST))

    assert asyncio.run(ask()) == [200, 200, 404, 200, 404]
    assert together == 2  # the first and the third


def test_an_answer_that_cannot_be_told_takes_no_other_along(
    client: Client, ct: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[bytes] = []
    route = client.app._uploads[b"/instances"]
    request = Request(client.app.context, "POST", "/instances")

    def failing(_head: bytes, _body: bytes) -> None:
        raise MemoryError

    begin = client.app._upload_answers.begin
    begin(route, request, ct, failing)
    begin(route, request, ct, lambda head, _: told.append(head))
    asyncio.run(until(lambda: len(told) == 1))
    assert told[0].startswith(b"HTTP/1.1 200")
    assert "MemoryError" in caplog.text
