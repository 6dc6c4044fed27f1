"""What the tests of the listener share."""

from __future__ import annotations

import pytest
from tests.unit.network import serving


@pytest.fixture(params=["threads of their own", "one thread"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test once with a thread for each association, and once with a thread that small stores share."""
    monkeypatch.setattr(serving, "shares", request.param == "one thread")
