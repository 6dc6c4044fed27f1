"""The course of a soak: callers all at once for a time, and then the accounts.

What must hold in the end: every acknowledged instance is there and readable, no association and no file
descriptor is left over, no file without an instance stays in the storage area, and memory did not grow once
everything had been seen once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from tests.integration.sending import eventually, stored_files
from tests.servers.ithil import Ithil
from tests.soak.callers import Caller, Notes

CALLERS = 16
_PLACES = 100  # associations at a time
_SAMPLE = 0.5  # seconds between two looks at the memory
_GROWTH = 1.10  # of the last fifth over the second one
_SLACK = 16 << 20  # bytes that do not count
_DESCRIPTORS = 80  # that idle connections to the index may take, of which there can be 32


@dataclass(slots=True)
class Report:
    """What came of it."""

    seconds: float
    notes: Notes
    memory: list[int] = field(default_factory=list)  # bytes, one sample after the other
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        done = ", ".join(f"{count} x {name}" for name, count in sorted(self.notes.done.items()))
        early, late = self.stretches()
        lines = [
            f"{self.seconds:.0f} s: {done}; {len(self.notes.acknowledged)} instances acknowledged; "
            f"memory {early >> 20} MB, then {late >> 20} MB",
            *(f"fault: {fault}" for fault in self.faults),
        ]
        return "\n".join(lines)

    def stretches(self) -> tuple[int, int]:
        """The usual memory in the second and in the last fifth of the time."""
        fifth = max(1, len(self.memory) // 5)
        return int(median(self.memory[fifth : 2 * fifth] or [0])), int(median(self.memory[-fifth:] or [0]))


def run(folder: Path, seconds: float, seed: int = 1) -> Report:
    """Start a server in `folder`, let the callers loose on it for some seconds, and look at what is left."""
    server = Ithil(folder, {f"DicomAlwaysAllow{what}": True for what in ("Find", "Move")})
    server.configuration["DicomModalities"] = {
        "itself": {"AET": "ORTHANC", "Host": "127.0.0.1", "Port": server.dicom_port}
    }
    server.configuration["Ithil"] = {"MaximumAssociations": _PLACES, "MaximumAssociationsPerHost": _PLACES}
    with server:
        notes = Notes()
        report = Report(seconds, notes)
        process = psutil.Process(server.pid)
        before = process.num_fds()
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=Caller(server, number, seed, notes).run, args=(until,))
            for number in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            report.memory.append(process.memory_info().rss)
            time.sleep(_SAMPLE)
        for thread in threads:
            thread.join(120)
        _settle_accounts(server, process, before, report)
    return report


def _settle_accounts(server: Ithil, process: psutil.Process, before: int, report: Report) -> None:
    notes, faults = report.notes, report.faults
    faults += sorted(set(notes.wrong))[:20]
    _expect(lambda: _associations(server) == 0, "associations are left over", faults)
    # Outgoing associations, kept for the next C-MOVE, are released first.
    _expect(lambda: not _connections(server, process), "connections are left over", faults)
    _expect(lambda: process.num_fds() <= before + _DESCRIPTORS, "file descriptors are left over", faults)
    there = set(server.get("/instances").json())
    if not notes.acknowledged <= there:
        faults.append(f"{len(notes.acknowledged - there)} acknowledged instances are not there")
    for one in sorted(notes.acknowledged)[::50]:
        if server.get(f"/instances/{one}/file").status != 200:
            faults.append("an acknowledged instance cannot be read")
    _expect(
        lambda: len(stored_files(server)) == len(there), "files without an instance are left over", faults
    )
    early, late = report.stretches()
    if len(report.memory) >= 200 and late > early * _GROWTH + _SLACK:
        faults.append(f"memory grew from {early >> 20} MB to {late >> 20} MB")


def _expect(holds: Callable[[], bool], what: str, faults: list[str]) -> None:
    try:
        eventually(holds, what)
    except AssertionError:
        faults.append(what)


def _connections(server: Ithil, process: psutil.Process) -> int:
    """How many connections there are from or to the DICOM port."""
    ports = [{end.port for end in (one.laddr, one.raddr) if end} for one in process.net_connections("tcp")]
    return sum(server.dicom_port in pair and len(pair) == 2 for pair in ports)


def _associations(server: Ithil) -> int:
    """How many associations the server serves, from the places that it says are free."""
    text = server.get("/tools/metrics-prometheus").body.decode()
    line = next(one for one in text.splitlines() if one.startswith("orthanc_available_dicom_threads "))
    return _PLACES - int(float(line.split()[1]))
