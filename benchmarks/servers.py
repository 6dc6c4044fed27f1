"""Start Orthanc or Ithil on a fresh directory, ask it, weigh it, and end it for certain.

Both read the same configuration file, written here: no authentication, no plugins but DICOMweb where it is
measured (Ithil has it built in), ``StableAge`` so long that no stability event falls into a measurement, and
``SyncStorageArea`` left at its default, which is to fsync.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

START_LIMIT = 60.0  # seconds
STOP_LIMIT = 30.0  # seconds
AE_TITLE = "ORTHANC"
_HOST = "127.0.0.1"
_DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")  # where Debian puts it


class ServerFailed(RuntimeError):
    """The server did not start, stopped, or did not hold what it had acknowledged."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A server program: its name in options, its name in tables, and its command line."""

    name: str
    title: str
    command: Callable[[Path], list[str]]


ORTHANC = Kind("orthanc", "Orthanc", lambda config: [orthanc_program(), str(config)])


def ithil(options: tuple[str, ...] = ()) -> Kind:
    """Ithil, with further ``options`` for its ``serve`` command."""
    return Kind(
        "ithil", "Ithil", lambda config: [sys.executable, "-m", "ithil", "serve", *options, str(config)]
    )


def orthanc_program() -> str:
    """The path of Orthanc's program; Debian puts it in /usr/sbin, which is not on everyone's path."""
    found = shutil.which("Orthanc", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if found is None:
        raise ServerFailed("Orthanc is not installed: apt-get install orthanc")
    return found


def _dicomweb_plugin() -> Path:
    if not _DICOMWEB_PLUGIN.exists():
        raise ServerFailed("Orthanc's DICOMweb plugin is not installed: apt-get install orthanc-dicomweb")
    return _DICOMWEB_PLUGIN


@dataclass(frozen=True, slots=True)
class Memory:
    """What a server and its children hold, in bytes. ``pss`` counts a shared page once, ``rss`` in each."""

    rss: int
    pss: int


@dataclass(slots=True)
class Server:
    """A running server."""

    kind: Kind
    http_port: int
    dicom_port: int
    process: subprocess.Popen[bytes]
    start_seconds: float = 0.0  # from the start of the process to the first answer of /system
    # Workloads call this when what comes next is what they measure; benchmarks.profile forgets the filling then.
    measuring: Callable[[], None] = field(default=lambda: None)

    def get(self, path: str) -> Any:
        """The JSON answer to ``GET path``.

        Raises:
            ServerFailed: the answer is not 200.
        """
        connection = http.client.HTTPConnection(_HOST, self.http_port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ServerFailed(f"GET {path} of {self.kind.title} answered {answer.status}")
        return json.loads(body)

    def instances(self) -> int:
        """How many instances the server says it holds."""
        return int(self.get("/statistics")["CountInstances"])

    def url(self, path: str) -> str:
        """The absolute URL of ``path``."""
        return f"http://{_HOST}:{self.http_port}{path}"

    def memory(self) -> Memory:
        """What the process and all its descendants hold now."""
        root = psutil.Process(self.process.pid)
        rss = pss = 0
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                held = process.memory_full_info()
                rss += held.rss
                pss += held.pss
        return Memory(rss, pss)


class Ports:
    """Hands out free TCP ports from ``first`` to ``first + 99``, each in turn."""

    def __init__(self, first: int) -> None:
        self._candidates = itertools.cycle(range(first, first + 100))

    def take(self) -> int:
        """A port that nobody listens on.

        Raises:
            ServerFailed: all are taken.
        """
        for port in itertools.islice(self._candidates, 100):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    probe.bind((_HOST, port))
                    return port
        raise ServerFailed("no free port; choose others with --ports")


@contextlib.contextmanager
def running(
    kind: Kind,
    directory: Path,
    ports: Ports,
    *,
    nodelay: bool,
    politely: bool = False,
    dicomweb: bool = False,
) -> Iterator[Server]:
    """A server of ``kind`` on the new folder ``directory``, until the block ends.

    Args:
        nodelay: put ``TCP_NODELAY=1`` into the server's environment. Orthanc's DICOM layer is dcmtk's and
            leaves Nagle's algorithm on without it, which holds back each answer of a C-STORE.
        dicomweb: load Orthanc's DICOMweb plugin.
        politely: end it by SIGTERM and wait; else it is killed, since nothing of it is needed any more.

    Raises:
        ServerFailed: it did not start.
    """
    directory.mkdir(parents=True)
    http_port, dicom_port = ports.take(), ports.take()
    config = directory / "config.json"
    config.write_text(json.dumps(_configuration(directory, http_port, dicom_port, dicomweb), indent=2))
    os.sync()  # what earlier runs left to write must not be written during this one
    log = directory / "server.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            kind.command(config),
            env=tool_environment(nodelay),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    server = Server(kind, http_port, dicom_port, process)
    try:
        _await_system(server, log)
        server.start_seconds = time.perf_counter() - started
        _await_dicom(server, log)
        yield server
    finally:
        _stop(process, politely)


def _configuration(directory: Path, http_port: int, dicom_port: int, dicomweb: bool) -> dict[str, object]:
    storage = directory / "storage"
    return {
        "Name": "Benchmark",
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "Plugins": [str(_dicomweb_plugin())] if dicomweb else [],
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": AE_TITLE,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "StableAge": 86400,
    }


def _await_system(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            server.get("/system")
            return
        except (OSError, http.client.HTTPException):
            _check_alive(server, log, deadline)
        time.sleep(0.005)


def _await_dicom(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            socket.create_connection((_HOST, server.dicom_port), timeout=5).close()
            return
        except OSError:
            _check_alive(server, log, deadline)
        time.sleep(0.005)


def _check_alive(server: Server, log: Path, deadline: float) -> None:
    status = server.process.poll()
    if status is None and time.monotonic() < deadline:
        return
    why = (
        f"ended with status {status}" if status is not None else f"did not answer within {START_LIMIT:.0f} s"
    )
    last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise ServerFailed(f"{server.kind.title} {why}; its last words:\n{last}")


def end_on_sigterm() -> None:
    """Make SIGTERM unwind this process as Ctrl-C does, so that no server and no data outlive it."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit("ended by SIGTERM"))


def tool_environment(nodelay: bool) -> dict[str, str]:
    """This process's environment with dcmtk's ``TCP_NODELAY`` set to 1 or taken away.

    Programs of pynetdicom have the names of dcmtk's, and lie where an activated virtual environment looks first.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    own = os.path.join(sys.prefix, "bin")
    environment["PATH"] = os.pathsep.join(folder for folder in os.get_exec_path() if folder != own)
    if nodelay:
        environment["TCP_NODELAY"] = "1"
    return environment


def _stop(process: subprocess.Popen[bytes], politely: bool) -> None:
    if politely and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
    # The group that start_new_session made for it holds its workers too.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_LIMIT)
