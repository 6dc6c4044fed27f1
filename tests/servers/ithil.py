"""Ithil as a user starts it: `python -m ithil serve configuration.json`, with the tests' own interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.process import DicomServer


class Ithil(DicomServer):
    """An Ithil of its own."""

    name = "Ithil"

    def command(self, configuration: Path) -> list[str]:
        return [sys.executable, "-m", "ithil", "serve", str(configuration)]
