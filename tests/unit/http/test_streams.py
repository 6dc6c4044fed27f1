"""Answers whose body is made while it is sent, and answers that are waited for on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from tests.unit.application import Client

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http.answers import BINARY, Answer, Stream
from ithil.http.protocol import FastHttpProtocol
from ithil.http.request import Request
from ithil.http.routing import Route, Router
from ithil.http.server import HttpApp

Handler = Callable[[Request], Any]


@pytest.fixture
def client_of(client: Client) -> Callable[[Handler], Client]:
    """A function that makes a client of an application with one route, `GET /stream`."""

    def make(handler: Handler) -> Client:
        router = Router([Route("GET", "/stream", handler, "A stream", cacheable=True)])
        app = HttpApp(replace(client.app.context, router=router), client.app._access)
        return Client(app, "127.0.0.1")

    return make


def test_a_stream_arrives_whole_and_in_order(client_of: Callable[[Handler], Client]) -> None:
    pieces = [b"a" * 1000, b"", b"b" * 500_000, b"c"]
    answer = client_of(lambda request: Answer(Stream(iter(pieces)), BINARY)).get("/stream")
    assert answer.content == b"".join(pieces)
    assert "content-length" not in answer.headers


def test_a_stream_of_known_length_says_so(client_of: Callable[[Handler], Client]) -> None:
    answer = client_of(lambda request: Answer(Stream(iter([b"ab", b"c"]), 3), BINARY)).get("/stream")
    assert (answer.content, answer.headers["content-length"]) == (b"abc", "3")


def test_what_fails_before_the_first_piece_is_an_error_answer(
    client_of: Callable[[Handler], Client],
) -> None:
    def pieces() -> Iterator[bytes]:
        raise CodedError(codes.UNKNOWN_RESOURCE)
        yield b""

    answer = client_of(lambda request: Answer(Stream(pieces()), BINARY)).get("/stream")
    assert answer.status_code == 404
    assert answer.json()["OrthancStatus"] == codes.UNKNOWN_RESOURCE


def test_a_client_that_leaves_ends_the_stream(client_of: Callable[[Handler], Client]) -> None:
    closed = threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            closed.set()

    client = client_of(lambda request: Answer(Stream(pieces()), BINARY))

    async def read_a_little() -> None:
        config = uvicorn.Config(
            client.app,  # type: ignore[arg-type]
            host="127.0.0.1",
            port=0,
            http=FastHttpProtocol,
            lifespan="off",
            log_level="critical",
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname()[:2])
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readexactly(200_000)
        writer.close()
        assert await asyncio.to_thread(closed.wait, 30)
        server.should_exit = True
        await task

    asyncio.run(read_a_little())


def test_an_answer_may_be_waited_for_without_a_thread(client_of: Callable[[Handler], Client]) -> None:
    def handler(request: Request) -> Any:
        async def later() -> Answer:
            await asyncio.sleep(0)
            return Answer(threading.current_thread().name.encode(), BINARY)

        return later()

    assert client_of(handler).get("/stream").content == threading.current_thread().name.encode()


def test_head_of_a_stream_makes_none_of_it_beyond_the_start(client_of: Callable[[Handler], Client]) -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x"

    answer = client_of(lambda request: Answer(Stream(pieces()), BINARY)).request("HEAD", "/stream")
    assert (answer.status_code, answer.content, len(made)) == (200, b"", 1)
