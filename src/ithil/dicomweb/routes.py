"""The table of DICOMweb's routes, below the path that the configuration names.

Each area lists its routes relative to `DicomWeb.Root`; those that belong elsewhere (WADO-URI) have a list of
their own.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from ithil.dicomweb import (
    bulk_data,
    capabilities,
    change_feed,
    delete,
    extended_query_tags,
    frames,
    metadata,
    qido,
    rendered,
    retrieve,
    servers,
    stow,
    thumbnails,
    ups,
    wado_uri,
)
from ithil.http.routing import Route
from ithil.settings import Settings

AREAS: tuple[ModuleType, ...] = (
    bulk_data,
    capabilities,
    change_feed,
    delete,
    extended_query_tags,
    frames,
    metadata,
    qido,
    rendered,
    retrieve,
    servers,
    stow,
    thumbnails,
    ups,
)
"""The modules whose `routes()` are below the root."""


def table(settings: Settings) -> list[Route]:
    """All routes of DICOMweb, none if it is not enabled."""
    options = settings.dicom_web
    if not options.enable:
        return []
    root = "/" + options.root.strip("/")
    routes = [replace(route, path=root + route.path) for area in AREAS for route in area.routes()]
    routes += capabilities.options(root, routes)
    if options.enable_wado:
        routes += wado_uri.routes("/" + options.wado_root.strip("/"))
    return routes
