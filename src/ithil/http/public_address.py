"""Under which address a client sees this server, behind any number of proxies.

A proxy says so in `Forwarded` (RFC 7239) or in the older `X-Forwarded-Proto`, `-Host`, `-Port` and `-Prefix`;
without one it is the `Host` of the request. The first item of each header counts, since the proxy next to
the client wrote it. A value that is no host name is passed over: it would be sent back in links.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ithil.http.request import Request

FORWARDING_HEADERS = (
    b"forwarded",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
)
"""Headers on which the address depends, beside `Host`."""

_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_LONGEST = 1024  # characters of a header that are looked at
_PORTS = {"http": "80", "https": "443"}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~%@-]+)+\Z")


def public_address(request: Request) -> str:
    """Scheme, host, port and prefix without a slash at the end, like `https://pacs.example.org/archive`.

    `DicomWeb.Host` and `DicomWeb.Ssl` are what the operator says of a proxy that does not tell.
    """
    headers, options = request.headers, request.context.settings.dicom_web
    forwarded = _forwarded(headers.get("forwarded", ""))
    scheme = _scheme(forwarded.get("proto") or _first(headers, "x-forwarded-proto"))
    if scheme is None:
        scheme = "https" if options.ssl or request.context.settings.ssl_enabled else "http"
    authority = _authority(forwarded.get("host", ""))
    if authority is None:
        authority = _authority(_first(headers, "x-forwarded-host"))
        port = _first(headers, "x-forwarded-port")
        bare = authority is not None and ":" not in authority.rpartition("]")[2]
        if bare and port.isdigit() and port != _PORTS[scheme]:
            authority = _authority(f"{authority}:{port}")
    if authority is None:
        authority = _authority(options.host) or _authority(headers.get("host", "")) or "localhost"
    prefix = _first(headers, "x-forwarded-prefix").rstrip("/")
    return f"{scheme}://{authority}{prefix if _PREFIX.match(prefix) else ''}"


def _forwarded(header: str) -> dict[str, str]:
    """The pairs of the first element of `Forwarded`, names in lower case."""
    pairs = {}
    for pair in header[:_LONGEST].split(",", 1)[0].split(";"):
        name, _, value = pair.partition("=")
        pairs[name.strip().lower()] = value.strip().strip('"')
    return pairs


def _first(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "")[:_LONGEST].split(",", 1)[0].strip()


def _scheme(value: str) -> str | None:
    return value.lower() if value.lower() in ("http", "https") else None


def _authority(value: str) -> str | None:
    return value if _AUTHORITY.match(value) else None
