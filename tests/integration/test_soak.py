"""The soak of `make soak`, for a short time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.soak.course import run


@pytest.mark.timeout(180)
def test_sixteen_callers_leave_nothing_behind_and_lose_nothing(tmp_path: Path) -> None:
    report = run(tmp_path / "server", seconds=20)
    assert not report.faults, str(report)
    for what in ("store", "find", "move", "abort", "vanish", "stammer"):
        assert report.notes.done[what] > 0, str(report)
