"""Connections with uploads on the short way: answers in order, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.application import CT_INSTANCE, Client, read
from tests.unit.http.connections import (
    DEADLINE,
    LAST,
    Gate,
    Reply,
    get,
    length_of,
    post,
    replies,
    running,
    statuses,
    until,
)
from tests.unit.rest.test_uploads import files, stored


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
    # Asked as the server below is, so that the answer is kept for it.
    client.get("/tools", headers={"Host": "x", "Accept-Encoding": "gzip"})

    async def ask() -> None:
        async with running(client, monkeypatch) as here:
            asked = asyncio.create_task(
                here.ask(get("/tools", "Accept: */*", "Accept-Encoding: gzip") + post(ct))
            )
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
