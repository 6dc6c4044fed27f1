"""Addresses of this server's DICOMweb resources as its clients see them."""

from __future__ import annotations

from ithil.http.public_address import public_address
from ithil.http.request import Request


def service_root(request: Request) -> str:
    """The address of the DICOMweb service, without a slash at the end.

    `DicomWeb.PublicRoot` replaces the path of `DicomWeb.Root`, for proxies that map one to the other without
    saying so; `DicomWeb.Host` and `DicomWeb.Ssl` do the same for the rest, where no proxy tells better.
    """
    options = request.context.settings.dicom_web
    path = (options.public_root if options.public_root is not None else options.root).strip("/")
    address = public_address(request, host=options.host, https=options.ssl)
    return f"{address}/{path}" if path else address


def study_link(root: str, study: str) -> str:
    """The address of a study."""
    return f"{root}/studies/{study}"


def series_link(root: str, study: str, series: str) -> str:
    """The address of a series."""
    return f"{root}/studies/{study}/series/{series}"


def instance_link(root: str, study: str, series: str, instance: str) -> str:
    """The address of an instance."""
    return f"{root}/studies/{study}/series/{series}/instances/{instance}"
