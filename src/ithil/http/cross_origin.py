"""Pages of other sites (CORS, the Fetch standard): which may use this server, and how a browser is told.

A browser lets a page of another origin read an answer only if the answer says so, and asks beforehand
(a preflight) for anything out of the ordinary. The origins of `Ithil.AllowedOrigins` may do whatever the user
of the browser may, so their requests also pass the guard against pages that act behind his back. `*` lets
every page read and no page write: whoever is at the keyboard of a host inside a hospital visits many sites.

The headers are added on the way out, so answers that are kept for everybody stay the same for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

Headers = list[tuple[bytes, bytes]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

EVERYBODY = "*"
MAX_AGE = 7200
"""Seconds that a browser may remember the answer to a preflight; none remembers it longer."""

_EXPOSED = (
    b"Content-Disposition, Content-Encoding, Content-Length, Content-Location, Content-Range, Content-Type, "
    b"ETag, Location, Retry-After, Warning"
)
_READING = b"GET, HEAD, OPTIONS"
_ALL = b"GET, HEAD, POST, PUT, DELETE, OPTIONS"
_REQUEST_HEADERS = (
    b"Accept, Accept-Encoding, Accept-Language, Authorization, Cache-Control, Content-Type, If-Match, "
    b"If-Modified-Since, If-None-Match, If-Range, Pragma, Range, X-Requested-With"
)
_HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ ]?,[ ]?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*\Z")
_LONGEST_NAMES = 1024


class CrossOrigin:
    """The rules for other origins. False if there are none: then no answer says anything."""

    def __init__(self, origins: Iterable[str]) -> None:
        named = frozenset(origins)
        self._everybody = EVERYBODY in named
        self._trusted = frozenset(origin.encode() for origin in named if origin != EVERYBODY)
        self._vary: Headers = [(b"vary", b"Origin")] if self._trusted else []

    def __bool__(self) -> bool:
        return self._everybody or bool(self._trusted)

    def trusts(self, origin: bytes | None) -> bool:
        """Whether pages of an origin may do whatever their user may."""
        return origin in self._trusted

    def headers(self, origin: bytes | None) -> Headers:
        """What every answer to a request with this `Origin` says beside its own headers."""
        if not self:
            return []
        if origin is not None and origin in self._trusted:
            return [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED),
                *self._vary,
            ]
        if origin is not None and self._everybody:
            return [
                (b"access-control-allow-origin", b"*"),
                (b"access-control-expose-headers", _EXPOSED),
                *self._vary,
            ]
        return self._vary

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers | None:
        """The headers that answer a preflight; None for what is none, or not of an origin that may ask."""
        origin = headers.get(b"origin")
        if not self or origin is None or b"access-control-request-method" not in headers:
            return None
        trusted = self.trusts(origin)
        if not trusted and not self._everybody:
            return None
        asked = headers.get(b"access-control-request-headers", b"").strip()
        names = _REQUEST_HEADERS
        if trusted and len(asked) <= _LONGEST_NAMES and _HEADER_NAMES.match(asked):
            names = asked
        found = [
            *self.headers(origin),
            (b"access-control-allow-methods", _ALL if trusted else _READING),
            (b"access-control-allow-headers", names),
            (b"access-control-max-age", b"%d" % MAX_AGE),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        if trusted and headers.get(b"access-control-request-private-network") == b"true":
            found.append((b"access-control-allow-private-network", b"true"))
        return found

    def lines(self, origin: bytes | None) -> bytes:
        """`headers` as they stand in the head of an answer."""
        return b"".join(b"%s: %s\r\n" % header for header in self.headers(origin))

    def adding(self, send: Send, origin: bytes | None) -> Send:
        """`send` with the headers added to the start of the answer."""
        added = self.headers(origin)

        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return send_with_headers


def is_same_origin(origin: bytes, host: bytes | None, public_address: str) -> bool:
    """Whether a page of `origin` came from this server, under the address that its client sees.

    The scheme does not count where only `Host` tells the address: a proxy that ends TLS need not say so.
    """
    text = origin.decode("latin-1").lower()
    scheme, separator, authority = text.partition("://")
    if not separator or scheme not in ("http", "https"):
        return False
    if host is not None and authority == host.decode("latin-1").lower():
        return True
    return public_address.lower() == text or public_address.lower().startswith(text + "/")
