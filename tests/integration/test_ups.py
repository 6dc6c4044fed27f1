"""Workitems on real servers: several processes, a restart, a kill, and subscribers connected to any of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from tests.conftest import StartIthil
from tests.data.workitems import element, performed, workitem
from tests.integration.sending import eventually
from tests.servers.ithil import Ithil
from tests.servers.postgresql import PostgreSql
from tests.servers.web import Answer
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

DEADLINE = 30.0
WORKITEMS = "/dicom-web/workitems"
EVERYTHING = f"{WORKITEMS}/1.2.840.10008.5.1.4.34.5/subscribers"
JSON = {"Content-Type": "application/dicom+json"}


def send(server: Ithil, method: str, path: str, *body: Mapping[str, Any]) -> Answer:
    return server.ask(method, path, json.dumps(body), JSON)


def create(server: Ithil, uid: str) -> None:
    assert send(server, "POST", f"{WORKITEMS}?{uid}", workitem()).status == 201


def move(server: Ithil, uid: str, state: str, transaction: str) -> int:
    change = {"00741000": element("CS", state), "00081195": element("UI", transaction)}
    return send(server, "PUT", f"{WORKITEMS}/{uid}/state", change).status


@contextmanager
def channel(server: Ithil, title: str, **options: Any) -> Iterator[ClientConnection]:
    address = f"ws://127.0.0.1:{server.http_port}/dicom-web/subscribers/{title}"
    with connect(address, proxy=None, open_timeout=DEADLINE, **options) as socket:
        yield socket


def received(socket: ClientConnection, count: int) -> list[tuple[str, str]]:
    """The UIDs and states of the next events."""
    found = []
    for _ in range(count):
        event = json.loads(socket.recv(timeout=DEADLINE))
        state = event.get("00741000", {"Value": [""]})["Value"][0]
        found.append((event["00001000"]["Value"][0], state))
    return found


def test_all_processes_tell_all_subscribers(start_ithil: StartIthil) -> None:
    server = start_ithil({"Ithil": {"Workers": 3}})
    titles = [f"WATCHER{number}" for number in range(6)]
    for title in titles:
        assert server.ask("POST", f"{EVERYTHING}/{title}").status == 201
    uids = [f"1.2.{number}" for number in range(12)]
    with ExitStack() as stack:
        sockets = [stack.enter_context(channel(server, title)) for title in titles]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda uid: create(server, uid), uids))
        for socket in sockets:
            assert {uid for uid, _ in received(socket, len(uids))} == set(uids)


def test_one_performer_gets_a_workitem(start_ithil: StartIthil) -> None:
    server = start_ithil({"Ithil": {"Workers": 3}})
    create(server, "1.2.3")
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda n: move(server, "1.2.3", "IN PROGRESS", f"1.9.{n}"), range(16)))
    assert claims.count(200) == 1
    mine = f"1.9.{claims.index(200)}"
    assert send(server, "POST", f"{WORKITEMS}/1.2.3?{mine}", performed()).status == 200
    assert move(server, "1.2.3", "COMPLETED", mine) == 200


@pytest.mark.parametrize("orderly", [True, False])
def test_a_server_that_comes_back_goes_on(start_ithil: StartIthil, orderly: bool) -> None:
    server = start_ithil()
    assert server.ask("POST", f"{EVERYTHING}/A?deletionlock=true").status == 201
    with channel(server, "A") as socket:
        create(server, "1.1")
        assert received(socket, 1) == [("1.1", "SCHEDULED")]
        time.sleep(2.0)  # until it counts as arrived
        if orderly:
            server.stop()
        else:
            server.kill()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=DEADLINE)
    server.start()
    assert move(server, "1.1", "IN PROGRESS", "1.9.1") == 200
    create(server, "1.2")
    with channel(server, "A") as socket:
        assert received(socket, 2) == [("1.1", "IN PROGRESS"), ("1.2", "SCHEDULED")]
    assert [one["00080018"]["Value"][0] for one in server.get(WORKITEMS).json()] == ["1.1", "1.2"]


def test_two_servers_on_postgresql(start_ithil: StartIthil, postgresql: PostgreSql) -> None:
    url = {"PostgreSQL": {"EnableIndex": True, "EnableStorage": False, "ConnectionUri": postgresql.url}}
    first, second = start_ithil(url), start_ithil(url)
    assert first.ask("POST", f"{EVERYTHING}/A").status == 201
    with channel(second, "A") as socket:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda n: create((first, second)[n % 2], f"1.2.{n}"), range(20)))
        found = received(socket, 20)
    assert {uid for uid, _ in found} == {f"1.2.{number}" for number in range(20)}


def test_an_idle_channel_stays_open_longer_than_a_request_may(start_ithil: StartIthil) -> None:
    server = start_ithil({"HttpRequestTimeout": 1, "KeepAliveTimeout": 1})
    server.ask("POST", f"{EVERYTHING}/A")
    with channel(server, "A") as socket:
        with pytest.raises(TimeoutError):
            socket.recv(timeout=3.0)
        create(server, "1.1")
        assert received(socket, 1) == [("1.1", "SCHEDULED")]


def test_access_to_channels(start_ithil: StartIthil) -> None:
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}}
    server = start_ithil({**users, "RemoteAccessAllowed": False, "Ithil": {"TrustedProxies": ["127.0.0.1"]}})
    authorization = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
    for headers in ({}, {**authorization, "X-Forwarded-For": "192.0.2.1"}):
        with pytest.raises(InvalidStatus) as refused, channel(server, "A", additional_headers=headers):
            pass
        assert refused.value.response.status_code == 401
    with channel(server, "A", additional_headers=authorization):
        pass
    evil = {"additional_headers": authorization, "origin": "https://evil.example"}
    with pytest.raises(InvalidStatus) as refused, channel(server, "A", **evil):
        pass
    assert refused.value.response.status_code == 403
    eventually(lambda: "ERROR" not in server.log, "nothing of it is an error of the server")
