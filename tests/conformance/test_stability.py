"""Resources become stable after StableAge, with the same entries in the change log as Orthanc's."""

from __future__ import annotations

import time
from pathlib import Path

from tests.conformance.pair import running_pair
from tests.servers.process import DicomServer

FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/dicomdirtests/77654033/CT2/17106",
    "pydicom/dicomdirtests/77654033/CT2/17136",
    "pydicom/dicomdirtests/98892003/MR1/15820",
)
DEADLINE = 60.0


def changes(server: DicomServer) -> list[tuple[str, str]]:
    """The change log without its order, which is free among what becomes stable together."""
    page = server.get("/changes?since=0&limit=1000").json()
    return sorted((each["ChangeType"], each["ID"]) for each in page["Changes"])


def unstable(server: DicomServer) -> list[str]:
    """The ids of what is not yet stable."""
    return [
        each["ID"]
        for level in ("patients", "studies", "series")
        for each in server.get(f"/{level}?expand").json()
        if not each["IsStable"]
    ]


def test_all_becomes_stable_once(tmp_path: Path) -> None:
    with running_pair(tmp_path, {"StableAge": 1}) as pair:
        pair.upload(FILES)
        deadline = time.monotonic() + DEADLINE
        while unstable(pair.peer) or unstable(pair.subject) or changes(pair.peer) != changes(pair.subject):
            assert time.monotonic() < deadline, f"{changes(pair.peer)}\n{changes(pair.subject)}"
            time.sleep(0.2)
        stable = [kind for kind, _ in changes(pair.subject) if kind.startswith("Stable")]
        assert sorted(stable) == sorted(["StablePatient"] * 3 + ["StableStudy"] * 3 + ["StableSeries"] * 3)
