"""Addresses of this server's DICOMweb resources as its clients see them."""

from __future__ import annotations

from ithil.dicom.resource_paths import instance_path, series_path, study_path
from ithil.http.public_address import public_address
from ithil.http.request import Request


def service_root(request: Request) -> str:
    """The address of the DICOMweb service, without a slash at the end.

    `DicomWeb.PublicRoot` replaces the path of `DicomWeb.Root`, for proxies that map one to the other without
    saying so; `public_address` knows the rest.
    """
    options = request.context.settings.dicom_web
    path = (options.public_root if options.public_root is not None else options.root).strip("/")
    address = public_address(request)
    return f"{address}/{path}" if path else address


def study_link(root: str, study: str) -> str:
    """The address of a study."""
    return root + study_path(study)


def series_link(root: str, study: str, series: str) -> str:
    """The address of a series."""
    return root + series_path(study, series)


def instance_link(root: str, study: str, series: str, instance: str) -> str:
    """The address of an instance."""
    return root + instance_path(study, series, instance)
