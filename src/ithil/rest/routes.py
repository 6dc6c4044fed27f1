"""The whole table of routes: every area's lines, in one list."""

from __future__ import annotations

from ithil.rest import attachments, changes, content, home, instance_tags, metadata, system, tools, tree
from ithil.rest.routing import Route
from ithil.rest.uploads import upload


def table(*, read_only: bool = False) -> list[Route]:
    """All routes; without those that write if the archive is read-only."""
    upload_route = Route(
        "POST",
        "/instances",
        upload,
        "Store a DICOM file, a gzip of one, or the DICOM files of a ZIP",
        streaming=True,
        writes=True,
    )
    areas = (home, system, tools, tree, instance_tags, content, attachments, metadata, changes)
    lines = [route for area in areas for route in area.routes()]
    return [route for route in [*lines, upload_route] if not (read_only and route.writes)]
