"""Answers of several parts: `multipart/related` (RFC 2387) as DICOMweb sends it (PS3.18 8.6.1).

Part headers are spelled and written as the viewers in use look for them: `Content-Type` first, in exactly this
case, and no quotes around `transfer-syntax`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ithil.http.answers import Answer, Stream


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `length` is the number of bytes that `pieces` will yield, None if it is not known yet.

    `location` is the address under which the part can be had alone.
    """

    content_type: str
    pieces: Iterable[bytes]
    length: int | None = None
    location: str = ""


def related(parts: Iterable[Part], media_type: str) -> Answer:
    """An answer whose parts are made while it is sent; `media_type` is that of the parts.

    If `parts` is a list whose lengths are all known, the answer has a length too.
    """
    boundary = secrets.token_hex(16)
    length = None
    if isinstance(parts, list) and all(part.length is not None for part in parts):
        heads = sum(len(_head(part, boundary)) for part in parts)
        length = heads + sum(part.length + 2 for part in parts) + len(_end(boundary))
    content_type = f'multipart/related; type="{media_type}"; boundary={boundary}'
    return Answer(Stream(_pieces(parts, boundary), length), content_type)


def _pieces(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield _head(part, boundary)
        yield from part.pieces
        yield b"\r\n"
    yield _end(boundary)


def _head(part: Part, boundary: str) -> bytes:
    lines = [f"--{boundary}", f"Content-Type: {part.content_type}"]
    if part.length is not None:
        lines.append(f"Content-Length: {part.length}")
    if part.location:
        lines.append(f"Content-Location: {part.location}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()
