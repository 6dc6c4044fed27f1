"""A real server of an application on a port of its own, and what comes back over a bare connection."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from tests.unit.application import Client

from ithil.archive import ingest
from ithil.http.protocol import FastHttpProtocol
from ithil.http.quick_upload import QuickUpload

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
    """Holds every upload in the thread that stores it until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = 0
        self.opened = threading.Event()
        write = ingest.Incoming.write

        def slow(incoming: ingest.Incoming, data: bytes) -> None:
            self.reached += 1
            assert self.opened.wait(DEADLINE)
            write(incoming, data)

        monkeypatch.setattr(ingest.Incoming, "write", slow)
