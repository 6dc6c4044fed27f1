"""GETs on the short way get the same answers as on the ordinary way, in order, and never one that is out of date."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.unit.application import CT_INSTANCE, CT_STUDY, Client, MakeClient
from tests.unit.http.connections import DEADLINE, LAST, Reply, get, post, replies, running, statuses, until

from ithil.archive.errors import IndexUnavailable
from ithil.http import lookups, sending
from ithil.http.answers import Answer
from ithil.http.context import Context
from ithil.http.lookups import Made, Told
from ithil.http.sending import small_body
from ithil.settings.ithil_options import IthilSettings

PATHS = [
    "/instances",
    f"/instances/{CT_INSTANCE}",
    f"/instances/{CT_INSTANCE}/tags",
    f"/instances/{CT_INSTANCE}/simplified-tags?x=1",
    f"/instances/{CT_INSTANCE}/file",
    f"/instances/{CT_INSTANCE}/frames/0/raw",
    f"/studies/{CT_STUDY}?requestedTags=PatientName",
    "/studies?expand",
    "/studies?since=a",
    "/studies/nothing",
    "/nothing",
    "/instances/%00",
    "/dicom-web/studies",
    "/dicom-web/studies?PatientID=1CT1&includefield=all",
    "/dicom-web/studies?limit=x",
    "/dicom-web/studies/1.3.6.1.4.1.5962.1.2.1.20040119072730.12322/metadata",
    "/changes?limit=1",
    "/statistics",
]


class Watch:
    """Counts the look-ups of an application, and which of them the ordinary way had to send."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.told = self.made = 0
        begin = client.app.quick_lookup

        def watched(scope: Any, loop: asyncio.AbstractEventLoop, tell: Callable[[Told], None]) -> bool:
            def counted(told: Told) -> None:
                self.told += 1
                self.made += isinstance(told, Made)
                tell(told)

            takes = begin(scope, loop, counted)
            self.begun += takes
            return takes

        monkeypatch.setattr(client.app, "quick_lookup", watched)


@pytest.mark.parametrize(
    ("headers", "settings"),
    [
        ((), {}),
        (("Accept: application/xml",), {}),
        (("Accept-Encoding: gzip",), {"http_describe_errors": False}),
        (
            ("Origin: https://viewer.example",),
            {"ithil": IthilSettings(allowed_origins=["https://viewer.example"])},
        ),
        (("Authorization: Basic YTpi",), {"authentication_enabled": True, "registered_users": {"a": "b"}}),
    ],
)
def test_both_ways_answer_the_same(
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    ct: bytes,
    headers: tuple[str, ...],
    settings: dict[str, Any],
) -> None:
    client = make_client(**settings)
    watch = Watch(client, monkeypatch)
    monkeypatch.setattr(sending, "LARGEST_AT_ONCE", 35_000)

    async def ask() -> tuple[list[Reply], list[Reply]]:
        async with running(client, monkeypatch) as here:
            await here.ask(post(ct, *headers) + LAST)
            short = [await here.ask(get(path, *headers) + LAST) for path in PATHS]
            assert watch.begun == watch.told >= 10
            assert watch.made == 1  # the file, which is large enough to be read while it is sent
            ordinary = [await here.ask(get(path, *headers, 'If-None-Match: "?"') + LAST) for path in PATHS]
            assert watch.begun == watch.told
            return [replies(one)[0] for one in short], [replies(one)[0] for one in ordinary]

    short, ordinary = asyncio.run(ask())
    for path, one, other in zip(PATHS, short, ordinary, strict=True):
        assert one == other, path


class Held:
    """Holds look-ups, when their handler is done, until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = 0
        self.opened = threading.Event()

        def slow(context: Context, answer: Answer) -> bytes | None:
            self.reached += 1
            assert self.opened.wait(DEADLINE)
            return small_body(context, answer)

        monkeypatch.setattr(lookups, "small_body", slow)


def test_answers_come_in_the_order_of_the_requests(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes, mr: bytes
) -> None:
    held = Held(monkeypatch)

    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            requests = get("/instances") + post(ct) + get("/series") + get("/studies?expand") + post(mr)
            asked = asyncio.create_task(here.ask(requests + get("/patients") + LAST))
            await until(lambda: held.reached == 1)
            assert here.server.server_state.total_requests == 0
            held.opened.set()
            return replies(await asked)

    found = asyncio.run(ask())
    assert [int(reply.status.split()[1]) for reply in found] == [200] * 6 + [404]
    assert [len(orjson.loads(found[place].body)) for place in (0, 2, 3, 5)] == [0, 1, 1, 2]
    assert held.reached == 4


def test_an_answer_that_is_out_of_date_is_not_kept(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    held = Held(monkeypatch)

    async def ask() -> list[list[Reply]]:
        async with running(client, monkeypatch) as here:
            early = asyncio.create_task(here.ask(get("/instances") + LAST))
            await until(lambda: held.reached == 1)
            assert statuses(await here.ask(post(ct) + LAST)) == [200, 404]
            held.opened.set()
            first = replies(await early)
            return [first, *[replies(await here.ask(get("/instances") + LAST)) for _ in range(2)]]

    lists = [orjson.loads(answers[0].body) for answers in asyncio.run(ask())]
    assert lists == [[], [CT_INSTANCE], [CT_INSTANCE]]


def test_a_client_that_leaves_before_its_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held(monkeypatch)
    watch = Watch(client, monkeypatch)
    failures: list[Any] = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with running(client, monkeypatch) as here:
            for path in ("/instances", "/studies?expand"):
                _, writer = await asyncio.open_connection("127.0.0.1", here.port)
                writer.write(get(path))
                await until(lambda: held.reached == watch.begun == watch.told + 1)
                writer.transport.abort()
                await until(lambda: not here.server.server_state.connections)
                held.opened.set()
                await until(lambda: watch.told == watch.begun)
                held.opened.clear()
            held.opened.set()
            assert statuses(await here.ask(get("/series") + LAST)) == [200, 404]

    asyncio.run(ask())
    assert failures == []
    assert not caplog.records


def test_a_look_up_that_runs_is_answered_before_the_server_stops(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)

    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            asked = asyncio.create_task(here.ask(get("/instances")))
            await until(lambda: held.reached == 1)
            here.server.should_exit = True
            await until(lambda: not here.connection.cycle.keep_alive)
            held.opened.set()
            return replies(await asked)

    (reply,) = asyncio.run(ask())
    assert reply.status == b"HTTP/1.1 200 OK"
    assert b"connection: close" in reply.headers


@pytest.mark.parametrize(
    ("error", "status"), [(IndexUnavailable("gone"), 503), (RuntimeError("DOE^JOHN"), 500)]
)
def test_what_goes_wrong_is_an_error_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    tries = 0

    def failing(context: Context, answer: Answer) -> bytes | None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise error
        return small_body(context, answer)

    monkeypatch.setattr(lookups, "small_body", failing)

    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            return replies(await here.ask(get("/instances") + get("/instances") + LAST))

    first, second, _ = asyncio.run(ask())
    assert int(first.status.split()[1]) == status
    assert b"DOE" not in first.body
    assert (second.status, second.body) == (b"HTTP/1.1 200 OK", b"[]")


@pytest.mark.parametrize("request_bytes", [get("/instances", "Authorization: Basic YTp4"), None])
def test_who_is_turned_away_is_told_of_once(
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ct: bytes,
    request_bytes: bytes | None,
) -> None:
    """Whatever short ways were asked before: one request is one line in the log."""
    client = make_client(authentication_enabled=True, registered_users={"a": "b"})

    async def ask() -> list[int]:
        async with running(client, monkeypatch) as here:
            return statuses(await here.ask(request_bytes or post(ct, "Authorization: Basic YTp4")))

    assert asyncio.run(ask()) == [401]
    assert [record.getMessage().partition(" ")[2] for record in caplog.records] == [
        "turned away: wrong user or password"
    ]
