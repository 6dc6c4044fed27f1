"""The application that serves the viewer."""

from __future__ import annotations

from tests.unit.application import ct, make_client

__all__ = ["ct", "make_client"]
