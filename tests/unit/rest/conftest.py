"""The application over a real archive that these tests ask."""

from __future__ import annotations

from tests.unit.application import client, ct, make_client, mr, plan

__all__ = ["client", "ct", "make_client", "mr", "plan"]
