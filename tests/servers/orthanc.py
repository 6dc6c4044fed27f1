"""Debian's Orthanc, the peer that Ithil's answers are compared with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers.process import DicomServer, ServerFailed

HOW_TO_INSTALL = "Orthanc is not installed: run `make test`, which installs it, or `apt-get install orthanc`"


def executable() -> str:
    """The path of Orthanc; raises ServerFailed saying how to install it if there is none."""
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServerFailed(HOW_TO_INSTALL)
    return found


class Orthanc(DicomServer):
    """An Orthanc of its own, without plugins unless the configuration names some."""

    name = "Orthanc"

    def command(self, configuration: Path) -> list[str]:
        return [executable(), str(configuration)]
