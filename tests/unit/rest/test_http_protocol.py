"""The short way of uploads: the same answers as the ordinary way, in order, and nothing left behind."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from ithil.archive import ingest
from ithil.archive.errors import IndexUnavailable, StorageFull
from ithil.rest.admission import Budget
from ithil.rest.http_protocol import FastHttpProtocol
from ithil.rest.quick_upload import LARGEST, QuickUpload, expected_size

from .conftest import CT_INSTANCE, Client, MakeClient, read
from .test_uploads import bomb, files, stored, zipped

DEADLINE = 30.0  # seconds until a test gives up


@dataclass
class Running:
    """A server on a port of its own, and the uploads that took the short way."""

    server: uvicorn.Server
    quick: list[QuickUpload] = field(default_factory=list)

    @property
    def port(self) -> int:
        port: int = self.server.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def connection(self) -> FastHttpProtocol:
        """The only connection there is."""
        (connection,) = self.server.server_state.connections
        assert isinstance(connection, FastHttpProtocol)
        return connection

    async def ask(self, *pieces: bytes) -> bytes:
        """All that comes back for these bytes until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await asyncio.wait_for(reader.read(), DEADLINE)
        finally:
            writer.close()


@asynccontextmanager
async def running(client: Client, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[Running]:
    """A real server of the client's application; `options` are those of `uvicorn.Config`."""
    config = uvicorn.Config(
        client.app,
        **{
            "host": "127.0.0.1",
            "port": 0,
            "http": FastHttpProtocol,
            "lifespan": "off",
            "log_level": "critical",
            "server_header": False,
            "date_header": False,
            "proxy_headers": False,  # else another application stands before this one
            "timeout_keep_alive": 1,
            **options,
        },
    )
    here = Running(uvicorn.Server(config))
    begin = client.app.quick_upload

    def watched(*arguments: Any) -> QuickUpload | None:
        upload = begin(*arguments)
        if upload is not None:
            here.quick.append(upload)
        return upload

    monkeypatch.setattr(client.app, "quick_upload", watched)
    task = asyncio.create_task(here.server.serve())
    await until(lambda: here.server.started)
    try:
        yield here
    finally:
        here.server.should_exit = True
        await asyncio.wait_for(task, DEADLINE)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread or connection brings about."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def post(body: bytes, *headers: str, path: str = "/instances", version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


LAST = get("/nope", "Connection: close")
"""The request after which a server closes; its answer is a 404."""


@dataclass(frozen=True)
class Reply:
    status: bytes
    headers: tuple[bytes, ...]
    body: bytes


def replies(received: bytes) -> list[Reply]:
    """The answers of a connection, each with a Content-Length."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        length = length_of(head)
        found.append(Reply(status, tuple(sorted(headers)), received[:length]))
        received = received[length:]
    return found


def length_of(head: bytes) -> int:
    return next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))


def statuses(received: bytes) -> list[int]:
    return [int(reply.status.split()[1]) for reply in replies(received)]


class Gate:
    """Holds every upload in its worker thread until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = 0
        self.opened = threading.Event()
        store = ingest.store

        def slow(*arguments: Any) -> Any:
            self.reached += 1
            assert self.opened.wait(DEADLINE)
            return store(*arguments)

        monkeypatch.setattr(ingest, "store", slow)


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

    monkeypatch.setattr(ingest, "store", fail)
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
    ("url", "headers", "size"),
    [
        (b"/instances", {b"content-length": b"10"}, 10),
        (b"/instances", {b"content-length": b"10", b"content-type": b"application/dicom"}, 10),
        (b"/instances", {b"content-length": str(LARGEST).encode()}, LARGEST),
        (b"/instances", {b"content-length": str(LARGEST + 1).encode()}, None),
        (b"/instances", {b"content-length": b"9" * 100}, None),
        (b"/instances", {b"content-length": b"0"}, None),
        (b"/instances", {b"content-length": b""}, None),
        (b"/instances", {b"content-length": b"-1"}, None),
        (b"/instances", {}, None),
        (b"/instances/", {b"content-length": b"10"}, None),
        (b"/instances?_method=PUT", {b"content-length": b"10"}, None),
        (b"/tools/lookup", {b"content-length": b"10"}, None),
        (b"/instances", {b"content-length": b"10", b"content-type": b" Multipart/Form-Data"}, None),
        (b"/instances", {b"content-length": b"10", b"expect": b"100-continue"}, None),
        (b"/instances", {b"content-length": b"10", b"content-encoding": b"gzip"}, None),
        (b"/instances", {b"content-length": b"10", b"transfer-encoding": b"chunked"}, None),
        (b"/instances", {b"content-length": b"10", b"x-http-method-override": b"PUT"}, None),
    ],
)
def test_which_uploads_may_take_the_short_way(
    url: bytes, headers: dict[bytes, bytes], size: int | None
) -> None:
    assert expected_size(url, headers) == size


@pytest.mark.parametrize("step", [1, 7, 5000])
def test_a_body_in_any_pieces(client: Client, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    body = read("CT_small.dcm")

    async def ask() -> list[int]:
        async with running(client, monkeypatch) as here:
            whole = post(body)
            chunks = [whole[start : start + step] for start in range(0, 700 * step, step)]
            chunks += [whole[700 * step :], LAST]
            received = await here.ask(*[chunk for chunk in chunks if chunk])
            assert len(here.quick) == 1
            return statuses(received)

    assert asyncio.run(ask()) == [200, 404]
    assert client.get(f"/instances/{CT_INSTANCE}/file").content == body


def test_answers_come_in_the_order_of_the_requests(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes, mr: bytes
) -> None:
    gate = Gate(monkeypatch)

    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            requests = post(ct) + get("/tools/now") + post(mr) + get("/statistics") + post(b"bad") + LAST
            asked = asyncio.create_task(here.ask(requests))
            await until(lambda: gate.reached == 1)
            gate.opened.set()
            found = replies(await asked)
            assert here.server.server_state.total_requests == 6
            return found

    found = asyncio.run(ask())
    assert [reply.status.split()[1] for reply in found] == [b"200", b"200", b"200", b"200", b"400", b"404"]
    assert CT_INSTANCE.encode() in found[0].body
    assert b"/instances/" in found[2].body
    assert b'"CountInstances": 2' in found[3].body.replace(b'" :', b'":')


def test_uploads_one_after_the_other(client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes) -> None:
    async def ask() -> None:
        async with running(client, monkeypatch) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            for number in range(1, 4):
                writer.write(post(ct))
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE)
                await reader.readexactly(length_of(head))
                assert head.startswith(b"HTTP/1.1 200")
                assert here.server.server_state.total_requests == len(here.quick) == number
                assert client.app._budget._taken == 0
            writer.close()

    asyncio.run(ask())


def test_a_client_that_leaves_in_the_middle(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    async def ask() -> None:
        async with running(client, monkeypatch) as here:
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(post(ct)[:-1])
            await until(lambda: client.app._budget._taken == len(ct))
            writer.close()
            await until(lambda: client.app._budget._taken == 0)
            assert len(here.quick) == 1

    asyncio.run(ask())
    assert files(client) == []
    assert stored(client) == 0


def test_a_client_that_leaves_before_its_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ct: bytes
) -> None:
    gate = Gate(monkeypatch)
    failures: list[Any] = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with running(client, monkeypatch) as here:
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(post(ct))
            await until(lambda: gate.reached == 1)
            writer.transport.abort()
            await until(lambda: not here.server.server_state.connections)
            gate.opened.set()
            await until(lambda: client.app._budget._taken == 0)
            assert statuses(await here.ask(post(ct) + LAST)) == [200, 404]

    asyncio.run(ask())
    assert failures == []
    assert not caplog.records
    assert stored(client) == 1


def test_an_upload_that_runs_is_answered_before_the_server_stops(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    gate = Gate(monkeypatch)

    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            asked = asyncio.create_task(here.ask(post(ct)))
            await until(lambda: gate.reached == 1)
            here.server.should_exit = True
            await until(lambda: not here.connection.cycle.keep_alive)
            gate.opened.set()
            return replies(await asked)

    (reply,) = asyncio.run(ask())
    assert reply.status == b"HTTP/1.1 200 OK"
    assert b"connection: close" in reply.headers
    assert stored(client) == 1


def test_no_clock_runs_during_an_upload(client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes) -> None:
    gate = Gate(monkeypatch)
    client.get("/tools")

    async def ask() -> None:
        async with running(client, monkeypatch) as here:
            asked = asyncio.create_task(here.ask(get("/tools", "Accept: */*") + post(ct)))
            await until(lambda: gate.reached == 1)
            assert here.server.server_state.total_requests == len(here.quick) == 1
            assert here.connection.timeout_keep_alive_task is None
            gate.opened.set()
            await until(lambda: here.server.server_state.total_requests == 2)
            assert here.connection.timeout_keep_alive_task is not None
            assert statuses(await asked) == [200, 200]  # the clock of the idle connection closes it

    asyncio.run(ask())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_that_is_to_be_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes, version: str
) -> None:
    async def ask() -> list[Reply]:
        async with running(client, monkeypatch) as here:
            return replies(await here.ask(post(ct, "Connection: close", version=version)))

    (reply,) = asyncio.run(ask())
    assert reply.status == b"HTTP/1.1 200 OK"
    assert b"connection: close" in reply.headers


def test_more_than_was_announced_is_no_upload(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    async def ask() -> bytes:
        async with running(client, monkeypatch) as here:
            received = await here.ask(post(ct) + b"GARBAGE\r\n\r\n")
            await until(lambda: client.app._budget._taken == 0)
            return received

    assert asyncio.run(ask()).count(b"HTTP/1.1 400") == 1


def test_headers_of_the_server_are_on_every_way(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    async def ask() -> list[Reply]:
        async with running(client, monkeypatch, headers=[("X-Served-By", "here")]) as here:
            await until(lambda: bool(here.server.server_state.default_headers))
            return replies(await here.ask(post(ct) + post(ct) + LAST))

    assert all(b"x-served-by: here" in reply.headers for reply in asyncio.run(ask()))
