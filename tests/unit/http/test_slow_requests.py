"""Requests that do not arrive, and answers that break off: the connection ends and nothing is left behind."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.unit.application import Client, read
from tests.unit.http.connections import DEADLINE, LAST, Gate, get, post, replies, running, statuses, until
from tests.unit.rest.test_uploads import files, stored

from ithil.archive import retrieve
from ithil.archive.errors import FileMissing
from ithil.archive.storage.local import StoredFile
from ithil.dicom.errors import DicomError
from ithil.http import sending, server
from ithil.http.protocol import FastHttpProtocol, protocol_class

SOON = 0.05
HEAD = b"POST /instances%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"GE",
        b"\r\n",
        b"GET /system HTTP/1.1\r\nHost: x\r\n",
        HEAD % (b"", 1000),
        HEAD % (b"", 1000) + b"x" * 999,
        HEAD % (b"?", 1000) + b"x" * 999,
        HEAD % (b"", 30_000_000) + b"x" * 5_000_000,
        b"POST /instances HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
def test_a_request_that_stops_in_the_middle_is_cut_off(
    client: Client, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    async def ask() -> None:
        async with running(client, monkeypatch, http=protocol_class(SOON)) as here:
            assert await here.ask(request_) == b""
            await until(lambda: client.app._budget._taken == 0)
            await until(lambda: not here.server.server_state.tasks)

    asyncio.run(ask())
    assert files(client) == []
    assert stored(client) == 0


def test_half_a_request_behind_a_whole_one_is_cut_off(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    async def ask() -> bytes:
        async with running(client, monkeypatch, http=protocol_class(SOON), timeout_keep_alive=1000) as here:
            return await here.ask(post(ct) + get("/tools/now") + b"GET /to")

    assert statuses(asyncio.run(ask())) == [200, 200]


@pytest.mark.parametrize("path", ["/instances", "/instances?"])
@pytest.mark.parametrize("behind", [b"", b"\r\n", b"GET /to"])
def test_a_connection_that_waits_for_its_answer_is_not_cut_off(
    client: Client, monkeypatch: pytest.MonkeyPatch, ct: bytes, path: str, behind: bytes
) -> None:
    gate = Gate(monkeypatch)
    looks = 0

    class Watched(FastHttpProtocol):
        request_timeout = SOON

        def _look_at_the_time(self) -> None:
            nonlocal looks
            looks += 1
            super()._look_at_the_time()

    async def ask() -> bytes:
        async with running(client, monkeypatch, http=Watched) as here:
            asked = asyncio.create_task(here.ask(post(ct, path=path) + behind))
            await until(lambda: gate.reached == 1 and looks >= (3 if behind == b"GET /to" else 1))
            gate.opened.set()
            return await asked

    assert statuses(asyncio.run(ask())) == [200]


def test_an_idle_connection_is_left_to_the_server(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> list[int]:
        async with running(client, monkeypatch, http=protocol_class(SOON), timeout_keep_alive=1000) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(get("/tools/now"))
            await until(lambda: here.server.server_state.total_requests == 1)
            await until(lambda: here.connection._timer is None)  # it has fired and found nothing to do
            writer.write(LAST)
            received = await asyncio.wait_for(reader.read(), DEADLINE)
            writer.close()
            return statuses(received)

    assert asyncio.run(ask()) == [200, 404]


def test_without_a_limit_there_is_no_timer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        async with running(client, monkeypatch, http=protocol_class(0)) as here:
            _, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(HEAD % (b"", 1000))
            await until(lambda: client.app._budget._taken == 1000)
            assert here.connection._timer is None
            writer.close()

    asyncio.run(ask())


@pytest.mark.parametrize(
    "error", [RuntimeError("DOE^JOHN"), DicomError("DOE^JOHN"), FileMissing("DOE^JOHN"), MemoryError()]
)
def test_an_answer_that_breaks_off_is_one_line_of_the_log(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    instance = client.post("/instances", content=read("CT_small.dcm")).json()["ID"]
    monkeypatch.setattr(sending, "LARGEST_AT_ONCE", 1000)
    monkeypatch.setattr(retrieve, "PIECE", 1000)
    whole = StoredFile.read

    def fails_later(file: StoredFile, start: int, end: int) -> bytes:
        if start:
            raise error
        return whole(file, start, end)

    monkeypatch.setattr(StoredFile, "read", fails_later)

    async def ask() -> bytes:
        async with running(client, monkeypatch, log_level="info") as here:
            received = await here.ask(get(f"/instances/{instance}/file"))
            await until(lambda: not here.server.server_state.tasks)
            return received

    with caplog.at_level(logging.WARNING):
        received = asyncio.run(ask())
    head, _, body = received.partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], len(body)) == (b"HTTP/1.1 200 OK", 1000)
    (record,) = caplog.records
    assert record.name == "ithil.http.errors"
    assert type(error).__name__ in record.getMessage()
    assert "fails_later" in record.getMessage()
    assert "DOE" not in caplog.text


def test_what_fails_before_an_answer_is_one_line_of_the_log(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("DOE^JOHN")

    monkeypatch.setattr(server.HttpApp, "_serve", fail)

    async def ask() -> bytes:
        async with running(client, monkeypatch, log_level="info") as here:
            return await here.ask(get("/tools/now"))

    with caplog.at_level(logging.WARNING):
        (reply,) = replies(asyncio.run(ask()))
    assert reply.status == b"HTTP/1.1 500 Internal Server Error"
    (record,) = caplog.records
    assert "RuntimeError" in record.getMessage()
    assert "DOE" not in caplog.text
