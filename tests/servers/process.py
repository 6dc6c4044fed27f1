"""A DICOM server as a child process: one configuration file, one folder, two ports, a log file.

Orthanc and Ithil take the same configuration, so one class runs both; only the command line differs. The
folder outlives a stop, so a test can kill a server and start it again on what it left.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.ports import free_ports
from tests.servers.web import Answer, ask, basic_authorization

START_DEADLINE = 60.0  # seconds until a server must answer
STOP_DEADLINE = 30.0  # seconds that a server has after SIGTERM


class ServerFailed(RuntimeError):
    """The server did not start, or ended by itself; the message has the end of its log."""


class DicomServer(ABC):
    """A server that runs `command` with its configuration file as last argument.

    Use it as a context manager, or call `start` and `stop`. `configuration` is Orthanc's, without the
    folders and ports, which are set here.
    """

    name = "server"

    def __init__(
        self,
        folder: Path,
        configuration: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.http_port, self.dicom_port = free_ports(2)
        self.configuration: dict[str, Any] = {
            "Name": "Tested",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "Plugins": [],
            **(configuration or {}),
        }
        self.environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self, configuration: Path) -> list[str]:
        """The command line that runs this server in the foreground."""

    @property
    def log(self) -> str:
        """All that the server wrote to its standard output and error so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self.process is None:
            raise ServerFailed(f"{self.name} is not running")
        return self.process.pid

    def start(self) -> Self:
        """Start the process and return when it answers HTTP; raises ServerFailed with its log otherwise."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for key in ("StorageDirectory", "IndexDirectory"):
            Path(self.configuration[key]).mkdir(parents=True, exist_ok=True)
        path = self.folder / "configuration.json"
        path.write_text(json.dumps(self.configuration, indent=1))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while True:
            if self.process is None or self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended while starting:\n{self.log[-4000:]}")
            try:
                ask(self.http_port, "GET", "/system", timeout=5)
                return
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise ServerFailed(f"{self.name} does not answer:\n{self.log[-4000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Ask the process to end (SIGTERM) and wait; kill it if it does not."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self) -> None:
        """End the process and its children at once (SIGKILL), as a crash would."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        user: tuple[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """Send one HTTP request, with Basic authentication if `user` (name, password) is given."""
        credentials = basic_authorization(*user) if user else {}
        return ask(self.http_port, method, path, body, {**credentials, **(headers or {})}, timeout=timeout)

    def get(self, path: str) -> Answer:
        """GET `path`."""
        return self.ask("GET", path)

    def upload(self, content: bytes) -> Answer:
        """POST one DICOM file to `/instances`."""
        return self.ask("POST", "/instances", content)
