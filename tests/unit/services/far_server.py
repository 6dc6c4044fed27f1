"""A server that does what a test says: one function answers its requests, in a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. Without a length it ends with the connection."""

    body: bytes = b""
    content_type: str = "application/dicom+json"
    status: int = 200
    length: int | None = None  # to lie about
    headers: tuple[tuple[str, str], ...] = ()


Answering = Callable[[Asked], Said]


@dataclass(frozen=True, slots=True)
class FarServer:
    """Its address, and what it was asked so far."""

    url: str
    asked: list[Asked]


@contextmanager
def far_server(answering: Answering) -> Iterator[FarServer]:
    """Run one while the context is open."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(self.command, self.path, headers, self._body(headers))
            asked.append(request)
            said = answering(request)
            self.send_response(said.status)
            if said.content_type:
                self.send_header("Content-Type", said.content_type)
            for name, value in said.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body) if said.length is None else said.length))
            self.end_headers()
            self.wfile.write(said.body)
            self.close_connection = said.length is not None

        do_GET = do_POST = do_DELETE = answer

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, address: object) -> None:
            pass  # a client that hangs up

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield FarServer(f"http://127.0.0.1:{server.server_port}/dicom-web/", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def related(*parts: bytes, kind: str = "application/dicom", end: bytes = b"\r\n--b--") -> Said:
    """A multipart answer."""
    head = f"\r\n--b\r\nContent-Type: {kind}\r\n\r\n".encode()
    content = b"".join(head + part for part in parts) + end
    return Said(content, 'multipart/related; type="application/dicom"; boundary=b')


def stored(*uids: str, failed: dict[str, int] | None = None, status: int = 200) -> Said:
    """The answer to a store request."""
    told: dict[str, object] = {
        "00081199": {
            "vr": "SQ",
            "Value": [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids],
        }
    }
    if failed:
        told["00081198"] = {
            "vr": "SQ",
            "Value": [
                {
                    "00081155": {"vr": "UI", "Value": [uid]},
                    "00081197": {"vr": "US", "Value": [reason]},
                }
                for uid, reason in failed.items()
            ],
        }
    return Said(orjson.dumps(told), status=status)
