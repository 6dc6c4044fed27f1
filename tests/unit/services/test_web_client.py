"""Requests to other servers: connections that are used again, and servers that behave badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.services.web_client import Body, WebClient
from ithil.settings import Settings
from ithil.settings.remotes import Peer

Talk = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def hear(sock: socket.socket) -> bytes:
    """One request, its body included; b"" at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(*talks: Talk) -> Iterator[Peer]:
    """A server that has one conversation on each connection, in their order."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for talk in talks:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(10)
                try:
                    talk(sock)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Peer(
            f"http://127.0.0.1:{listener.getsockname()[1]}/root/", "user", "secret", http_headers={"X-A": "b"}
        )
    finally:
        listener.close()
        thread.join(10)


def answer(*answers: bytes) -> Talk:
    def talk(sock: socket.socket) -> None:
        for each in answers:
            if not hear(sock):
                return
            sock.sendall(each)

    return talk


def test_one_connection_serves_many_requests() -> None:
    with serving(answer(OK, OK, OK)) as peer, WebClient(peer, Settings()) as client:
        for _ in range(3):
            assert client.request("GET", "system").body == b"ok"


def test_a_request_has_the_path_credentials_headers_and_body() -> None:
    heard: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        heard.append(hear(sock))
        sock.sendall(OK)

    with serving(talk) as peer, WebClient(peer, Settings()) as client:
        body = Body(6, lambda: iter([b"abc", b"def"]))
        assert client.request("POST", "instances", body, headers={"Content-Type": "x/y"}).succeeded
    head, _, content = heard[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /root/instances HTTP/1.1"
    for line in (
        b"Authorization: Basic dXNlcjpzZWNyZXQ=",
        b"X-A: b",
        b"Content-Type: x/y",
        b"Content-Length: 6",
    ):
        assert line in lines
    assert content == b"abcdef"


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    with serving(answer(OK), answer(OK)) as peer, WebClient(peer, Settings()) as client:
        for _ in range(2):
            body = Body(3, lambda: iter([b"abc"]))
            assert client.request("POST", "instances", body).body == b"ok"


def test_an_answer_in_chunks_is_read_whole() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with serving(answer(chunked, OK)) as peer, WebClient(peer, Settings()) as client:
        assert client.request("GET", "system").body == b"abc"
        assert client.request("GET", "system").body == b"ok"


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(100),  # more than the caller wants
    ],
)
def test_a_server_that_talks_nonsense_is_a_network_error(bad: bytes) -> None:
    with serving(answer(bad)) as peer, WebClient(peer, Settings()) as client:
        with pytest.raises(CodedError) as caught:
            client.request("GET", "system", most=50)
        assert caught.value.code == codes.NETWORK_PROTOCOL


def test_a_server_that_says_nothing_is_left() -> None:
    done = threading.Event()
    with serving(lambda sock: done.wait(10) and None) as peer:
        with WebClient(peer, Settings(), timeout=0.2) as client, pytest.raises(CodedError, match="in time"):
            client.request("GET", "system")
        done.set()


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    with WebClient(Peer("http://127.0.0.1:1/"), Settings()) as client, pytest.raises(CodedError) as caught:
        client.request("GET", "system")
    assert caught.value.code == codes.NETWORK_PROTOCOL


@pytest.mark.parametrize(
    "url", ["http://", "http://a:99999/", "http://a:b/", "http://a b/", "http://a\r\nX: y/", "ftp://a/"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(CodedError) as caught:
        WebClient(Peer(url), Settings())
    assert caught.value.code == codes.BAD_FILE_FORMAT


def test_headers_cannot_smuggle_others_in() -> None:
    with serving(answer(OK)) as peer:
        peer.http_headers["X-B"] = "c\r\nX-C: d"
        with WebClient(peer, Settings()) as client, pytest.raises(CodedError) as caught:
            client.request("GET", "system")
        assert caught.value.code == codes.BAD_FILE_FORMAT
        socket.create_connection(("127.0.0.1", int(peer.url.split(":")[2].split("/")[0]))).close()


def test_a_proxy_gets_the_whole_address() -> None:
    heard: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        heard.append(hear(sock))
        sock.sendall(OK)

    with serving(talk) as proxy:
        settings = Settings(http_proxy=proxy.url)
        with WebClient(Peer("http://pacs.example:8042/"), settings) as client:
            assert client.request("GET", "system").body == b"ok"
    assert heard[0].startswith(b"GET http://pacs.example:8042/system HTTP/1.1\r\n")


def test_a_body_of_unknown_length_is_sent_in_chunks() -> None:
    heard: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(65536)
        heard.append(data)
        sock.sendall(OK)

    with serving(talk) as peer, WebClient(peer, Settings()) as client:
        body = Body(None, lambda: iter([b"abc", b"", b"defghijklmnop"]))
        assert client.request("POST", "studies", body, headers={"x-a": "c"}).body == b"ok"
    head, _, content = heard[0].partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert b"x-a: c" in head
    assert b"X-A: b" not in head, "a header of the request replaces that of the server, however it is spelled"
    assert content == b"3\r\nabc\r\nd\r\ndefghijklmnop\r\n0\r\n\r\n"


def test_who_refuses_a_body_before_its_end_is_heard() -> None:
    told = threading.Event()

    def talk(sock: socket.socket) -> None:
        while not sock.recv(65536).endswith(b"x\r\n"):
            pass
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.close()
        told.set()

    def pieces() -> Iterator[bytes]:
        yield b"x"
        told.wait(10)
        for _ in range(200):
            yield bytes(1 << 20)

    with serving(talk) as peer, WebClient(peer, Settings()) as client:
        assert client.request("POST", "studies", Body(None, pieces)).status == 413


def test_an_answer_is_read_piece_by_piece() -> None:
    content = bytes(range(256)) * 8192
    head = b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nContent-Length: %d\r\n\r\n" % len(content)
    with serving(answer(head + content, OK)) as peer, WebClient(peer, Settings()) as client:
        with client.open("GET", "studies") as stream:
            assert (stream.status, stream.succeeded, stream.length) == (200, True, len(content))
            assert stream.headers["content-type"] == "x/y"
            assert b"".join(stream.pieces()) == content
        assert client.request("GET", "system").body == b"ok", "on the same connection"


def test_an_answer_that_is_not_read_to_its_end_costs_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"
    with serving(answer(head + bytes(2_000_000)), answer(OK)) as peer, WebClient(peer, Settings()) as client:
        with client.open("GET", "studies") as stream:
            assert next(stream.pieces())
        assert client.request("GET", "system").body == b"ok"


@pytest.mark.parametrize(
    "bad",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_a_network_error(bad: bytes) -> None:
    with serving(answer(bad)) as peer, WebClient(peer, Settings()) as client:
        with client.open("GET", "studies") as stream, pytest.raises(CodedError) as caught:
            list(stream.pieces())
        assert caught.value.code == codes.NETWORK_PROTOCOL
