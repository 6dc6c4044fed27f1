"""Event channels over real WebSockets: who is let in, and what he gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.data.workitems import element, workitem
from tests.unit.application import Client, MakeClient
from tests.unit.http.connections import DEADLINE, Running, running, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ithil.archive import workitems
from ithil.archive import workitems_events as events
from ithil.archive import workitems_subscribers as subscribers
from ithil.archive.archive import Archive
from ithil.archive.errors import IndexUnavailable
from ithil.archive.workitems_model import read_attributes
from ithil.archive.workitems_rules import IN_PROGRESS
from ithil.archive.workitems_subscribers import Worklist
from ithil.dicomweb import ups_channel
from ithil.http.web_socket import LARGEST_MESSAGE, WebSocketProtocol
from ithil.settings.ithil_options import IthilSettings

MakeServer = Callable[[Client], Any]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MakeServer:
    """A function that runs a real server of a client's application."""

    @asynccontextmanager
    async def make(client: Client) -> AsyncIterator[Running]:
        options = {"ws": WebSocketProtocol, "ws_max_size": LARGEST_MESSAGE, "ws_per_message_deflate": False}
        async with running(client, monkeypatch, **options) as here:
            yield here

    return make


def channel(here: Running, title: str = "A", **options: Any) -> connect:
    return connect(f"ws://127.0.0.1:{here.port}/dicom-web/subscribers/{title}", proxy=None, **options)


async def received(socket: ClientConnection, count: int) -> list[str]:
    """The UIDs of workitems in the next events."""
    found = []
    for _ in range(count):
        message = await asyncio.wait_for(socket.recv(), DEADLINE)
        found.append(json.loads(message)["00001000"]["Value"][0])
    return found


async def create(client: Client, uid: str) -> None:
    archive = client.app.context.archive
    await asyncio.to_thread(workitems.create, archive, uid, read_attributes(workitem()))


def subscribe(client: Client, title: str = "A") -> None:
    subscribers.subscribe_to_worklist(
        client.app.context.archive, Worklist.EVERYTHING, title, [], locked=False
    )


def test_events_come_as_they_happen(client: Client, server: MakeServer) -> None:
    subscribe(client)

    async def run() -> None:
        async with (
            server(client) as here,
            channel(here) as first,
            channel(here) as second,
            channel(here, "OTHER") as other,
        ):
            await create(client, "1.1")
            assert await received(first, 1) == await received(second, 1) == ["1.1"]
            archive = client.app.context.archive
            await asyncio.to_thread(workitems.change_state, archive, "1.1", IN_PROGRESS, "1.9.1")
            message = json.loads(await asyncio.wait_for(first.recv(), DEADLINE))
            assert message["00001002"] == element("US", 1)
            assert message["00741000"] == element("CS", "IN PROGRESS")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(other.recv(), 0.3)

    asyncio.run(run())


def test_what_came_meanwhile_comes_first(client: Client, server: MakeServer) -> None:
    subscribe(client)
    archive = client.app.context.archive

    async def run() -> None:
        async with server(client) as here:
            await create(client, "1.1")
            async with channel(here) as socket:
                assert await received(socket, 1) == ["1.1"]
                await create(client, "1.2")
                assert await received(socket, 1) == ["1.2"]
            # Who leaves in good order has got all.
            await until(lambda: events.read_until(archive, "A") == events.newest(archive))
            await create(client, "1.3")
            async with channel(here) as socket:
                assert await received(socket, 1) == ["1.3"]
                socket.transport.abort()
            async with channel(here) as socket:
                assert await received(socket, 1) == ["1.3"]  # nobody knows whether it had arrived
                await until(lambda: events.read_until(archive, "A") == events.newest(archive))

    asyncio.run(run())


def test_many_events_at_once(client: Client, server: MakeServer) -> None:
    uids = [f"1.2.{number}" for number in range(250)]
    archive = client.app.context.archive
    for uid in uids:
        workitems.create(archive, uid, read_attributes(workitem()))
    subscribers.subscribe_to_worklist(archive, Worklist.EVERYTHING, "A", [], locked=True)

    async def run() -> None:
        async with server(client) as here, channel(here) as socket:
            assert set(await received(socket, 250)) == set(uids)

    asyncio.run(run())


@pytest.mark.parametrize("trouble", [RuntimeError, IndexUnavailable, KeyError])
def test_channels_outlive_trouble(
    client: Client, server: MakeServer, monkeypatch: pytest.MonkeyPatch, trouble: type[Exception]
) -> None:
    subscribe(client)
    failures = 0
    newest = events.newest

    def fail(archive: Archive) -> int:
        nonlocal failures
        if failures < 2:
            failures += 1
            raise trouble("for a moment")
        return newest(archive)

    async def run() -> None:
        async with server(client) as here, channel(here) as socket:
            await until(lambda: events.read_until(client.app.context.archive, "A") == 0)
            monkeypatch.setattr(events, "newest", fail)
            await until(lambda: failures == 2)
            await create(client, "1.1")
            assert await received(socket, 1) == ["1.1"]

    asyncio.run(run())


def status_of(refused: pytest.ExceptionInfo[InvalidStatus]) -> int:
    return refused.value.response.status_code


def test_who_is_not_let_in(make_client: MakeClient, server: MakeServer) -> None:
    users = {"authentication_enabled": True, "registered_users": {"alice": "secret"}}
    client = make_client(ithil=IthilSettings(allowed_origins=["https://friend.example"]), **users)

    async def run() -> None:
        async with server(client) as here:
            own = f"http://127.0.0.1:{here.port}"
            authorization = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
            for options, status in (
                ({}, 401),
                ({"additional_headers": {"Authorization": "Basic YWxpY2U6d3Jvbmc="}}, 401),
                ({"additional_headers": authorization, "origin": "https://evil.example"}, 403),
                ({"additional_headers": authorization, "origin": "null"}, 403),
            ):
                with pytest.raises(InvalidStatus) as refused:
                    async with channel(here, **options):
                        pass
                assert status_of(refused) == status
            for origin in (None, own, "https://friend.example"):
                async with channel(here, additional_headers=authorization, origin=origin):
                    pass

    asyncio.run(run())


def test_remote_clients_need_remote_access(make_client: MakeClient, server: MakeServer) -> None:
    client = make_client(remote_access_allowed=False, ithil=IthilSettings(trusted_proxies=["127.0.0.1"]))

    async def run() -> None:
        async with server(client) as here:
            with pytest.raises(InvalidStatus) as refused:
                async with channel(here, additional_headers={"X-Forwarded-For": "192.0.2.1"}):
                    pass
            assert status_of(refused) == 401

    asyncio.run(run())


def test_titles_and_paths_that_there_are_not(client: Client, server: MakeServer) -> None:
    async def run() -> None:
        async with server(client) as here:
            with pytest.raises(InvalidStatus) as refused:
                async with channel(here, "X" * 17):
                    pass
            assert status_of(refused) == 400
            # Elsewhere a request for a WebSocket is a request like any other.
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws://127.0.0.1:{here.port}/system", proxy=None):
                    pass
            assert status_of(refused) == 200

    asyncio.run(run())


def test_there_is_a_limit(client: Client, server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ups_channel, "MOST_CHANNELS", 1)

    async def run() -> None:
        async with server(client) as here:
            async with channel(here):
                with pytest.raises(InvalidStatus) as refused:
                    async with channel(here, "B"):
                        pass
                assert status_of(refused) == 503
            await until(lambda: not ups_channel._pulses)
            async with channel(here):
                pass

    asyncio.run(run())


def test_what_a_client_sends_means_nothing(client: Client, server: MakeServer) -> None:
    subscribe(client)

    async def run() -> None:
        async with server(client) as here, channel(here) as socket:
            await socket.send("hello")
            await socket.send(b"hello")
            await create(client, "1.1")
            assert await received(socket, 1) == ["1.1"]
            await socket.send("x" * (LARGEST_MESSAGE + 1))
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), DEADLINE)

    asyncio.run(run())


@pytest.mark.parametrize(
    "lines",
    [
        ["Sec-WebSocket-Version: 13"],
        ["Sec-WebSocket-Version: 7", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
        ["Sec-WebSocket-Key: short", "Sec-WebSocket-Version: 13"],
        [f"X-{number}: x" for number in range(200)],
        ["X-Long: " + "x" * 20_000],
    ],
)
def test_handshakes_that_are_none(client: Client, server: MakeServer, lines: list[str]) -> None:
    head = ["GET /dicom-web/subscribers/A HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"]
    request = "\r\n".join([*head, *lines, "", ""]).encode()

    async def run() -> bytes:
        async with server(client) as here:
            answer: bytes = await here.ask(request)  # until the server closes
            return answer

    assert asyncio.run(run()).split()[1] in (b"400", b"426")


def test_without_a_web_socket(client: Client) -> None:
    answer = client.get("/dicom-web/subscribers/A")
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"


def test_a_server_that_stops_lets_its_subscribers_go(client: Client, server: MakeServer) -> None:
    async def run() -> int:
        async with server(client) as here:
            socket = await channel(here)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), DEADLINE)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code

    assert asyncio.run(run()) == 1012  # service restart
