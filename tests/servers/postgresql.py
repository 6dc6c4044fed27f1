"""A PostgreSQL cluster of its own: initdb, start on a free port, one database, stop.

PostgreSQL refuses to run as root, so as root everything runs as the user `postgres`, in a folder that user
may enter. `fsync` is off: nothing here has to survive the machine, and `kill` ends the processes only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.ports import free_ports
from tests.servers.process import ServerFailed

HOW_TO_INSTALL = (
    "PostgreSQL is not installed: run `make test`, which installs it, or `apt-get install postgresql`"
)
DATABASE = "ithil"


def _program(name: str) -> str:
    """The newest `name` of Debian's versioned folders, or the one on the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise ServerFailed(HOW_TO_INSTALL)
    return found


class PostgreSql:
    """A cluster with an empty database `ithil`, reachable on 127.0.0.1 as `postgres` without password."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        (self.port,) = free_ports(1)
        self.settings = {"fsync": "off", **(settings or {})}
        self.folder: Path | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """The section `PostgreSQL` of a configuration file that uses this cluster for the index."""
        return {
            "EnableIndex": True,
            "EnableStorage": False,
            "Host": "127.0.0.1",
            "Port": self.port,
            "Database": DATABASE,
            "Username": "postgres",
            "Password": "",
            "Lock": False,
        }

    @property
    def url(self) -> str:
        """The connection string for psycopg."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{DATABASE}"

    def _run(self, *command: str) -> None:
        assert self.folder is not None
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*prefix, *command], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            log = self.folder / "log"
            more = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise ServerFailed(f"{Path(command[0]).name} failed: {done.stderr[-2000:]}\n{more}")

    def _control(self, *arguments: str) -> None:
        self._run(_program("pg_ctl"), "-D", str(self._data), "-w", *arguments)

    @property
    def _data(self) -> Path:
        assert self.folder is not None
        return self.folder / "data"

    def start(self) -> Self:
        """Make the cluster and start it; raises ServerFailed."""
        _program("initdb")
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run(
            _program("initdb"),
            *("-D", str(self._data), "-U", "postgres", "-A", "trust"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )
        self.restart()
        self._run(_program("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", DATABASE)
        return self

    def restart(self) -> None:
        """Start the cluster on what is there, after `halt`."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            **self.settings,
        }
        arguments = " ".join(f"-c {name}={value}" for name, value in options.items())
        self._control("-l", f"{self.folder}/log", "-o", f"-p {self.port} {arguments}", "start")

    def halt(self, mode: str = "fast") -> None:
        """Stop the cluster, keeping its data; `immediate` is a crash."""
        self._control("stop", "-m", mode)

    def stop(self) -> None:
        """Stop the cluster and remove it."""
        if self.folder is None:
            return
        try:
            if (self._data / "postmaster.pid").exists():
                self.halt("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
