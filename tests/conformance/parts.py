"""Answers of several parts, for comparing them part by part; the boundary is each server's own."""

from __future__ import annotations

import re
from typing import Any

_BOUNDARY = re.compile(r';\s*boundary="?([^";]+)"?')
_HOST = re.compile(r"^https?://[^/]+")
_COMPARED = ("content-type", "content-location")


def without_boundary(content_type: str) -> str:
    """The header `Content-Type` as far as two servers can agree on it."""
    return _BOUNDARY.sub("", content_type)


def parts(content_type: str, body: bytes) -> list[dict[str, Any]]:
    """The parts of a `multipart/related` body: some of their headers, and their `content`."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        return []
    delimiter = b"\r\n--" + match[1].encode()
    pieces = (b"\r\n" + body).split(delimiter)[1:-1]
    return [_part(piece) for piece in pieces]


def _part(piece: bytes) -> dict[str, Any]:
    head, _, content = piece.partition(b"\r\n\r\n")
    found: dict[str, Any] = {"content": content}
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() in _COMPARED:
            found[name.lower()] = _HOST.sub("", value.strip())
    return found
