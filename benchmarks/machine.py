"""What a reader must know of the machine and the programs to read a table of rates; nothing that names it."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.servers import orthanc_program


def filesystem(place: Path) -> str:
    """The type of the file system that ``place`` is on, such as ``ext4`` or ``tmpfs``."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found = line.split()[:3]
        mount = mount.replace("\\040", " ")
        if place.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def describe(place: Path) -> list[str]:
    """Lines about the machine and the versions; ``place`` is where the servers store."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    busy = os.getloadavg()[0]
    return [
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"Machine: {len(os.sched_getaffinity(0))} cores ({platform.machine()}), {memory:.0f} GB of memory, "
        f"storage on {filesystem(place)}, load average {busy:.1f} before the first run",
        f"Orthanc {_orthanc_version()}; Ithil {_ithil_version()}; Python {platform.python_version()}; "
        f"SQLite {sqlite3.sqlite_version}; {_first_line('storescu', '--version').strip('$ ')}; "
        f"{' '.join(_first_line('wrk', '--version').split()[:2])}",
    ]


def _orthanc_version() -> str:
    return _first_line(orthanc_program(), "--version").split()[-1]


def _ithil_version() -> str:
    try:
        return version("ithil")
    except PackageNotFoundError:
        return "not installed"


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0] if lines else "unknown"
