"""Archives of a real server: clients that leave, many at once, and a `kill -9` in the middle of a job."""

from __future__ import annotations

import http.client
import io
import json
import random
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.servers.ithil import Ithil

COUNT = 150
PIXELS = 2 * synthetic.LARGE**2
FILES = [
    instance.content[:-PIXELS] + random.Random(number).randbytes(PIXELS)
    for number, instance in enumerate(synthetic.series(COUNT, size=synthetic.LARGE))
]
"""75 MB of noise: far more than sockets hold, and slow enough to compress to meet the server at work."""

DEADLINE = 60.0


@pytest.fixture
def filled(start_ithil: StartIthil) -> Ithil:
    """A server with one series of large images."""
    server = start_ithil({"StableAge": 1})
    for content in FILES:
        assert server.upload(content).status == 200
    return server


def series_of(server: Ithil) -> str:
    [public_id] = server.get("/series").json()
    return str(public_id)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(0.05)


def open_files(server: Ithil) -> set[str]:
    """Files of the storage and temporary files that the server has open.

    Those of the index, its journal among them, are as many as the index needs at the moment.
    """
    return {
        file.path
        for file in psutil.Process(server.pid).open_files()
        if "/index/" not in file.path and not file.path.endswith("log")
    }


def test_clients_that_leave(filled: Ithil) -> None:
    path = f"/series/{series_of(filled)}/media"
    process = psutil.Process(filled.pid)
    assert filled.get(path).status == 200
    memory = process.memory_info().rss
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", filled.http_port)) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(100)
    until(lambda: not open_files(filled), "all files are closed")
    until(lambda: not _connections(process), "all connections are closed")
    assert filled.get(path).status == 200
    assert process.memory_info().rss < memory + 100_000_000
    assert " ERROR " not in filled.log


def _connections(process: psutil.Process) -> list[object]:
    return [one for one in process.net_connections() if one.status == psutil.CONN_ESTABLISHED]


def test_a_slow_client_holds_no_one_up(filled: Ithil) -> None:
    path = f"/series/{series_of(filled)}/archive"
    slow = [http.client.HTTPConnection("127.0.0.1", filled.http_port, timeout=DEADLINE) for _ in range(20)]
    try:
        for connection in slow:  # more of them than the server has threads
            connection.request("GET", path)
        started = time.monotonic()
        assert filled.get("/statistics").json()["CountInstances"] == COUNT
        assert filled.get(path).status == 200
        assert time.monotonic() - started < DEADLINE
    finally:
        for connection in slow:
            connection.close()


def test_many_at_once_are_all_whole(filled: Ithil) -> None:
    path = f"/series/{series_of(filled)}/archive"
    with ThreadPoolExecutor(6) as pool:
        for answer in pool.map(filled.get, [path] * 6):
            with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
                assert found.testzip() is None
                assert [found.read(name) for name in found.namelist()] == FILES


def test_unzip_takes_it_from_the_disk(filled: Ithil, tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(filled.get(f"/series/{series_of(filled)}/archive").body)
    done = subprocess.run(["unzip", "-tq", path], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_a_killed_job_begins_anew_and_leaves_one_file(filled: Ithil) -> None:
    series = series_of(filled)
    body = json.dumps({"Asynchronous": True})
    path = _begun(filled, series, body)
    filled.kill()
    filled.start()
    until(lambda: filled.get(path).json()["State"] not in ("Pending", "Running"), "the job has ended")
    assert filled.get(path).json()["State"] == "Success"
    with zipfile.ZipFile(io.BytesIO(filled.get(f"{path}/archive").body)) as found:
        assert [found.read(name) for name in found.namelist()] == FILES
    until(lambda: _stored(filled) == COUNT + 1, "only the last archive is kept")
    filled.stop()
    done = subprocess.run(
        [sys.executable, "-m", "ithil", "check", str(filled.folder / "configuration.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _jobs(server: Ithil) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = server.get("/jobs?expand").json()
    return jobs


def _stored(server: Ithil) -> int:
    """The number of files in the storage."""
    storage = Path(server.configuration["StorageDirectory"])
    return sum(len(file.name) == 36 for file in storage.rglob("*"))


def _begun(server: Ithil, series: str, body: str) -> str:
    """The path of a job that has begun its file and is not done."""
    for _ in range(10):
        before = _stored(server)
        path = str(server.ask("POST", f"/series/{series}/archive", body).json()["Path"])
        while True:
            job = server.get(path).json()
            if job["State"] == "Running" and _stored(server) > before:
                return path
            if job["State"] == "Success":
                break  # faster than it was looked at
    raise AssertionError("no job was caught while it ran")


def test_a_cancelled_job_leaves_no_file(filled: Ithil) -> None:
    body = json.dumps({"Asynchronous": True})
    path = _begun(filled, series_of(filled), body)
    filled.ask("POST", f"{path}/cancel")
    until(lambda: filled.get(path).json()["State"] not in ("Pending", "Running"), "the job has ended")
    if filled.get(path).json()["State"] == "Failure":  # it may have been faster
        kept = sum("CompletionTime" in job and job["State"] == "Success" for job in _jobs(filled))
        until(lambda: _stored(filled) == COUNT + min(kept, 1), "no file of the cancelled job is left")
