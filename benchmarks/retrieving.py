"""How fast a study of 100 CT images (52 MB) leaves the server by C-GET, C-MOVE and C-STORE.

Who receives throws everything away: dcmtk's `storescp --ignore` for C-MOVE and C-STORE, its `getscu --ignore` for
C-GET. A client in Python would take as much of the processor as the server, and so hide what the server takes.
getscu repeats the retrieval on one association, often enough that its start (some 40 ms) weighs little. C-MOVE is
asked for on an association that stays open; `/modalities/{id}/store` is the time of its HTTP request. The tools
and Orthanc run with `TCP_NODELAY=1`, unless the figure says unmodified: with Nagle's algorithm Orthanc stalls at
each instance.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import upload
from benchmarks.datasets import LARGE_PIXELS
from benchmarks.figures import Figure, Target
from benchmarks.servers import AE_TITLE, Server, ServerFailed, tool_environment
from benchmarks.storescu import SendFailed
from benchmarks.template import Address, Template
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network.errors import AssociationError
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import connect

INSTANCES = 100
_KIND = 6
_TIMES = 5  # of each; the figure is their median
_REPEATED = (
    20  # retrievals in a row by one getscu, or fewer if they would take longer than this many seconds:
)
_REPEATED_SECONDS = 3.0
_LIMIT = 120.0  # seconds
_HOST = "127.0.0.1"
_SINK = "STORESCP"
_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_SERIES = 2

_FIRST = Address(_KIND, 0, 0, 0)


def figures(*, nodelay: bool) -> tuple[Figure, ...]:
    """The figures, for servers and tools with and without `TCP_NODELAY=1`."""
    how = "TCP_NODELAY=1" if nodelay else "unmodified"
    suffix = "" if nodelay else "-nagle"
    return (
        Figure(f"get-scp{suffix}", f"C-GET of 100 large instances, {how}", "/s", Target(2)),
        Figure(f"move-scp{suffix}", f"C-MOVE of 100 large instances to storescp, {how}", "/s", Target(1.5)),
        Figure(
            f"store-scu{suffix}",
            f"POST /modalities/.../store of 100 large instances to storescp, {how}",
            "/s",
            Target(1.5),
        ),
    )


def measure(server: Server, scratch: Path, wanted: frozenset[str], *, nodelay: bool) -> dict[str, float]:
    """Instances a second of each figure. Raises ServerFailed, SendFailed."""
    upload.upload_folder(server.http_port, _written(scratch / "retrieved"), limit=_LIMIT)
    suffix = "" if nodelay else "-nagle"
    timings: dict[str, Callable[[Server], list[float]]] = {
        "get-scp": partial(_get, nodelay=nodelay),
        "move-scp": _move,
        "store-scu": _store,
    }
    values = {}
    with _sink(nodelay) as port:
        _know(server, port)
        for name, timed in timings.items():
            if name + suffix in wanted:
                values[name + suffix] = INSTANCES / median(timed(server))
    return values


def _written(folder: Path) -> Path:
    """The folder with the files of the study."""
    if not folder.exists():
        template = Template(*LARGE_PIXELS)
        folder.mkdir(parents=True)
        for number in range(INSTANCES):
            series, instance = divmod(number, INSTANCES // _SERIES)
            content = template.render(Address(_KIND, 0, series, instance))
            (folder / f"{number:03d}.dcm").write_bytes(content)
    return folder


@contextmanager
def _sink(nodelay: bool) -> Iterator[int]:
    """A storescp that forgets what it receives; its port."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(
        ["storescp", "--ignore", "-aet", _SINK, str(port)],
        env=tool_environment(nodelay),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((_HOST, port), timeout=5).close()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise SendFailed("storescp does not listen") from error
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _know(server: Server, port: int) -> None:
    body = json.dumps({"AET": _SINK, "Host": _HOST, "Port": port})
    status, _ = _ask(server, "PUT", "/modalities/sink", body)
    if status != 200:
        raise ServerFailed(f"{server.kind.title} does not take a modality ({status})")


def _ask(server: Server, method: str, path: str, body: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(_HOST, server.http_port, timeout=_LIMIT)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _get(server: Server, *, nodelay: bool) -> list[float]:
    """Seconds of one retrieval, on average over the repetitions of each run."""
    once = _getscu(server, nodelay=nodelay, repeat=1)
    repeat = max(1, min(_REPEATED, int(_REPEATED_SECONDS / once)))
    return [_getscu(server, nodelay=nodelay, repeat=repeat) / repeat for _ in range(_TIMES)]


def _getscu(server: Server, *, nodelay: bool, repeat: int) -> float:
    """Seconds that getscu takes to retrieve the study `repeat` times. Raises SendFailed."""
    command = ["getscu", "--study", "--ignore", "--repeat", str(repeat), "--call", AE_TITLE]
    command += ["--key", "0008,0052=STUDY", "--key", f"0020,000D={_FIRST.study_uid}"]
    # getscu ends with 0 whatever happened. What it says costs time, so only the run that is not timed says it.
    checked = repeat == 1
    command += ["--verbose"] if checked else []
    command += [_HOST, str(server.dicom_port)]
    try:
        started = time.perf_counter()
        done = subprocess.run(
            command,
            env=tool_environment(nodelay),
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        taken = time.perf_counter() - started
    except subprocess.TimeoutExpired as error:
        raise SendFailed(f"getscu took more than {_LIMIT:.0f} s") from error
    said = done.stdout + done.stderr
    if done.returncode or "E: " in said or "F: " in said:
        raise SendFailed(f"getscu: {said.strip()[-300:]}")
    if checked and f"Completed Suboperations : {INSTANCES}\n" not in said:
        raise SendFailed(f"getscu did not get {INSTANCES} instances: {said.strip()[-300:]}")
    return taken


def _move(server: Server) -> list[float]:
    """Seconds that each retrieval takes on an association that stays open."""
    command = Command(AffectedSOPClassUID=_MOVE, CommandField=CommandField.C_MOVE, Priority=0)
    command["MoveDestination"] = _SINK
    service = command.sop_class_uid
    times = []
    try:
        with connect(
            _HOST,
            server.dicom_port,
            called=AE_TITLE,
            calling="BENCHMARK",
            contexts=[(service, [EXPLICIT_LITTLE])],
            timeout=_LIMIT,
        ) as peer:
            for _ in range(_TIMES):
                started = time.perf_counter()
                *_, last = peer.request(peer.context_for(service), command, [_identifier()])
                times.append(time.perf_counter() - started)
                completed = last.command.number("NumberOfCompletedSuboperations")
                if last.command.status or completed != INSTANCES:
                    raise SendFailed(
                        f"a retrieval ended with status {last.command.status:04X}H after {completed} instances"
                    )
    except AssociationError as error:
        raise SendFailed(f"the retrieval broke off: {error}") from error
    return times


def _identifier() -> bytes:
    keys = ((0x0008, 0x0052, b"CS", b"STUDY "), (0x0020, 0x000D, b"UI", _FIRST.study_uid.encode()))
    parts = []
    for group, element, vr, value in keys:
        value += b"\0" * (len(value) & 1)
        parts.append(struct.pack("<HH2sH", group, element, vr, len(value)) + value)
    return b"".join(parts)


def _store(server: Server) -> list[float]:
    times = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        status, body = _ask(server, "POST", "/modalities/sink/store", _FIRST.study_id)
        times.append(time.perf_counter() - started)
        if status != 200 or json.loads(body)["InstancesCount"] != INSTANCES:
            raise SendFailed(f"/modalities/sink/store answered {status}")
    return times
