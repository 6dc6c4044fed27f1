"""REST upload: ``POST /instances`` over a few keep-alive connections, from a process of its own.

Raw sockets and one thread a connection: the client must not be what is measured. ``benchmarks.sink`` measures
the client alone, and every report carries that figure. As a command (which ``benchmarks.upload.run`` starts)
it prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets import SMALL_PIXELS, bulk_address
from benchmarks.storescu import SendFailed
from benchmarks.study_list import StudyTemplate
from benchmarks.template import Template

CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Uploaded:
    """How many instances were acknowledged, in how many seconds."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def upload_folder(port: int, folder: Path, *, limit: float) -> Uploaded:
    """Upload every file below ``folder``; they are read into memory before the clock starts.

    Raises:
        SendFailed: an upload was refused, or all together took longer than ``limit`` seconds.
    """
    return _run(port, ["--folder", str(folder)], limit)


def upload_bulk(port: int, first: int, count: int, *, seconds: float) -> Uploaded:
    """Upload bulk instances ``first`` to ``first + count``, and stop early after ``seconds``.

    Raises:
        SendFailed: an upload was refused.
    """
    return _run(port, ["--bulk", str(first), str(count), "--seconds", str(seconds)], seconds + 60)


def upload_studies(port: int, first: int, count: int, *, seconds: float) -> Uploaded:
    """Upload studies ``first`` to ``first + count`` of ``benchmarks.study_list``, and stop after ``seconds``.

    Raises:
        SendFailed: an upload was refused.
    """
    return _run(port, ["--studies", str(first), str(count), "--seconds", str(seconds)], seconds + 60)


def _run(port: int, options: list[str], limit: float) -> Uploaded:
    command = [sys.executable, "-m", "benchmarks.upload", str(port), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise SendFailed(f"the upload took more than {limit:.0f} s") from error
    if done.returncode != 0:
        raise SendFailed(f"the upload failed: {done.stderr.strip()[-500:]}")
    answer = json.loads(done.stdout)
    return Uploaded(answer["count"], answer["seconds"])


class _Connection:
    """One keep-alive connection that posts and waits for the answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, body: bytes) -> None:
        head = (
            b"POST /instances HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/dicom\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        # One write, so that no server waits for the second half of a small request.
        sent = self._socket.sendmsg([head, body])
        if sent < len(head):
            raise SendFailed("the connection took less than a request head")
        if sent < len(head) + len(body):
            self._socket.sendall(memoryview(body)[sent - len(head) :])
        status = self._read_answer()
        if status != 200:
            raise SendFailed(f"POST /instances answered {status}")

    def _read_answer(self) -> int:
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:end].lower()
        field = head.find(b"\r\ncontent-length:")
        if field < 0:
            raise SendFailed(
                "the answer has no Content-Length, which this client needs to keep the connection"
            )
        length = int(head[field + 17 :].split(b"\r\n", 1)[0])
        missing = length - (len(received) - end - 4)
        while missing > 0:
            missing -= len(self._receive())
        return int(head[9:12])

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise SendFailed("the server closed a keep-alive connection")
        return received


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upload", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--bulk", type=int, nargs=2, metavar=("FIRST", "COUNT"))
    parser.add_argument("--studies", type=int, nargs=2, metavar=("FIRST", "COUNT"))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no upload after this time")
    options = parser.parse_args()
    shares: list[Iterator[bytes]]
    if options.folder is not None:
        files = [path.read_bytes() for path in sorted(options.folder.rglob("*.dcm"))]
        shares = [iter(files[offset::CONNECTIONS]) for offset in range(CONNECTIONS)]
    elif options.studies is not None:
        first, count = options.studies
        studies = StudyTemplate()
        shares = [
            (studies.render(number) for number in range(start, first + count, CONNECTIONS))
            for start in range(first, first + CONNECTIONS)
        ]
    else:
        first, count = options.bulk
        template = Template(*SMALL_PIXELS)
        shares = [
            (template.render(bulk_address(number)) for number in range(start, first + count, CONNECTIONS))
            for start in range(first, first + CONNECTIONS)
        ]
    counts = [0] * CONNECTIONS
    errors: list[Exception] = []
    connections = [_Connection(options.port) for _ in range(CONNECTIONS)]
    started = time.perf_counter()

    def work(index: int) -> None:
        try:
            for body in shares[index]:
                if errors or time.perf_counter() - started > options.seconds:
                    return
                connections[index].post(body)
                counts[index] += 1
        except (OSError, SendFailed, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - started
    if errors:
        sys.exit(str(errors[0]) or repr(errors[0]))
    print(json.dumps({"count": sum(counts), "seconds": taken}))


if __name__ == "__main__":
    _main()
