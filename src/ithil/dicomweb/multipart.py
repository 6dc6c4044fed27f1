"""Answers of several parts: `multipart/related` (RFC 2387) as DICOMweb sends it (PS3.18 8.6.1).

Part headers are spelled and written as the viewers in use look for them: `Content-Type` first, in exactly this
case, and no quotes around `transfer-syntax`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ithil.http.answers import Answer, Stream

Section = Callable[[int, int], Iterable[bytes]]
"""Gives the bytes of a part from one offset up to another, which is excluded."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `length` is the number of bytes that `pieces` will yield, None if it is not known yet.

    `location` is the address under which the part can be had alone. `section` spares `part_of` to draw what
    lies before the part of the answer that a client asks for.
    """

    content_type: str
    pieces: Iterable[bytes]
    length: int | None = None
    location: str = ""
    section: Section | None = None


def related(parts: Iterable[Part], media_type: str, *, boundary: str = "") -> Answer:
    """An answer whose parts are made while it is sent; `media_type` is that of the parts.

    If `parts` is a list whose lengths are all known, the answer has a length too. `boundary` must not be
    anywhere in the parts; without it one is drawn at random.
    """
    boundary = boundary or secrets.token_hex(16)
    length = None
    if isinstance(parts, list) and all(part.length is not None for part in parts):
        length = sum(part_length(part, boundary) for part in parts) + len(end(boundary))
    return Answer(Stream(_pieces(parts, boundary), length), content_type(media_type, boundary))


def content_type(media_type: str, boundary: str) -> str:
    """The header of an answer with parts of a media type."""
    return f'multipart/related; type="{media_type}"; boundary={boundary}'


def part_length(part: Part, boundary: str) -> int:
    """Bytes of a part of known length with all that frames it."""
    return len(head(part, boundary)) + (part.length or 0) + 2


def section_of(parts: list[Part], boundary: str) -> Callable[[int, int], Iterator[bytes]]:
    """What gives a part of the bytes of an answer, whose parts all have a length and a `section`."""

    def give(first: int, last: int) -> Iterator[bytes]:
        position = 0
        for part in parts:
            start = head(part, boundary)
            for size, bring in (
                (len(start), _slicer(start)),
                (part.length or 0, part.section or _slicer(b"")),
                (2, _slicer(b"\r\n")),
            ):
                if position < last and position + size > first:
                    yield from bring(max(first - position, 0), min(last - position, size))
                position += size
        closing = end(boundary)
        if position < last:
            yield closing[max(first - position, 0) : last - position]

    return give


def _slicer(content: bytes) -> Section:
    return lambda first, last: (content[first:last],)


def _pieces(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield head(part, boundary)
        yield from part.pieces
        yield b"\r\n"
    yield end(boundary)


def head(part: Part, boundary: str) -> bytes:
    """What stands before the content of a part."""
    lines = [f"--{boundary}", f"Content-Type: {part.content_type}"]
    if part.length is not None:
        lines.append(f"Content-Length: {part.length}")
    if part.location:
        lines.append(f"Content-Location: {part.location}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def end(boundary: str) -> bytes:
    """What stands behind the last part."""
    return f"--{boundary}--\r\n".encode()
