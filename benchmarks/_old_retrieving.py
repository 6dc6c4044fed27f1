"""How fast a study of 100 CT images (52 MB) leaves the server by C-GET, C-MOVE and C-STORE.

Who receives throws everything away: dcmtk's `storescp --ignore` for C-MOVE and C-STORE, Ithil's own requestor for
C-GET. C-GET and C-MOVE are asked for on an association that stays open, so that no tool's start is in the time;
`/modalities/{id}/store` is the time of its HTTP request. storescp and Orthanc run with `TCP_NODELAY=1`, unless the
figure says unmodified: with Nagle's algorithm Orthanc stalls at each instance.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import upload
from benchmarks.datasets import LARGE_PIXELS
from benchmarks.figures import Figure, Target
from benchmarks.servers import AE_TITLE, Server, ServerFailed, tool_environment
from benchmarks.storescu import SendFailed
from benchmarks.template import Address, Template
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network.association import PresentationContext
from ithil.network.errors import AssociationError
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import RoleSelection
from ithil.network.requestor import OpenStore, connect

INSTANCES = 100
_KIND = 6
_TIMES = 5  # of each; the figure is their median
_LIMIT = 120.0  # seconds
_HOST = "127.0.0.1"
_SINK = "STORESCP"
_MOVE, _GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
_CT = "1.2.840.10008.5.1.4.1.1.2"
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
    values = {}
    with _sink(nodelay) as port:
        _know(server, port)
        for name, timed in {"get-scp": _get, "move-scp": _move, "store-scu": _store}.items():
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


class _Nowhere:
    """Where the data sets of a C-GET go."""

    def open(self, _context: PresentationContext, _command: Command) -> _Nowhere:
        """Take the next one."""
        return self

    def write(self, views: list[memoryview]) -> None:
        """Look at nothing."""

    def finish(self) -> tuple[int, str]:
        """Say that it is stored."""
        return 0, ""

    def discard(self) -> None:
        """There is nothing to take away."""


def _get(server: Server) -> list[float]:
    command = Command(AffectedSOPClassUID=_GET, CommandField=CommandField.C_GET, Priority=0)
    return _retrieve(server, command, _Nowhere().open)


def _move(server: Server) -> list[float]:
    command = Command(AffectedSOPClassUID=_MOVE, CommandField=CommandField.C_MOVE, Priority=0)
    command["MoveDestination"] = _SINK
    return _retrieve(server, command, None)


def _retrieve(server: Server, command: Command, on_store: OpenStore | None) -> list[float]:
    """Seconds that each retrieval takes on an association that stays open."""
    service = command.sop_class_uid
    times = []
    try:
        with connect(
            _HOST,
            server.dicom_port,
            called=AE_TITLE,
            calling="BENCHMARK",
            contexts=[(service, [EXPLICIT_LITTLE]), (_CT, [EXPLICIT_LITTLE])],
            roles=[RoleSelection(_CT, scu=False, scp=True)],
            timeout=_LIMIT,
        ) as peer:
            for _ in range(_TIMES):
                started = time.perf_counter()
                *_, last = peer.request(
                    peer.context_for(service), command, [_identifier()], on_store=on_store
                )
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
