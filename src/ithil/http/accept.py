"""What a client would like to get: the header `Accept`, or the argument `accept` in its place (PS3.18 8.3.3).

Clients write it in every way: parameters in any order, quoted or not, with or without blanks, several types in
one header. Everything is read leniently; what cannot be read is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ithil.http.request import Request

LONGEST = 8192
"""Characters of an `Accept` that are looked at."""

_PIECE = re.compile(r'"[^"]*"?|[,;]|[^",;]+')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an `Accept`: its media type in lower case, and its parameters without quotes.

    The names of parameters are in lower case. `*/*` and `image/*` are types as well.
    """

    media_type: str
    parameters: dict[str, str]
    quality: float = 1.0

    def takes(self, media_type: str) -> bool:
        """Whether content of this type is welcome."""
        if self.media_type in (media_type, "*/*", "*"):
            return True
        return self.media_type.endswith("/*") and media_type.startswith(self.media_type[:-1])


def accepted(request: Request) -> list[MediaRange]:
    """What the client takes, the best first; `*/*` if it does not say."""
    header = request.query.get("accept") or request.headers.get("accept", "")
    return parse_accept(header) or [MediaRange("*/*", {})]


def parse_accept(header: str) -> list[MediaRange]:
    """The entries of a header in the order of their quality, those of equal quality as written."""
    ranges = []
    for entry in _split(header[:LONGEST], ","):
        media_type, *rest = _split(entry, ";")
        # In the query of a URL a "+" that was not encoded has become a blank.
        media_type = media_type.strip().lower().replace(" ", "+")
        parameters = {}
        for item in rest:
            name, _, value = item.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"').strip()
        quality = _quality(parameters.pop("q", "1"))
        if media_type and quality > 0:
            ranges.append(MediaRange(media_type, parameters, quality))
    return sorted(ranges, key=lambda one: -one.quality)


def unwrapped(one: MediaRange) -> tuple[bool, MediaRange]:
    """Whether an entry wants an answer in parts (PS3.18 8.6.1), and what it wants the parts, or the whole, to be.

    `multipart/related; type="X"` wants parts of X, without a type parts of anything. Some write the parameters
    of the parts into the quotes of the type, as Orthanc's answers have them; those outside come first.
    """
    if one.media_type not in ("multipart/related", "multipart/*"):
        return False, one
    inside = next(iter(parse_accept(one.parameters.get("type", ""))), MediaRange("*/*", {}))
    outside = {name: value for name, value in one.parameters.items() if name != "type" and value}
    return True, MediaRange(inside.media_type, {**inside.parameters, **outside}, one.quality)


def takes_gzip(request: Request) -> bool:
    """Whether the client takes answers with Content-Encoding gzip (RFC 9110 12.5.3)."""
    codings = parse_accept(request.headers.get("accept-encoding", ""))
    return any(one.media_type in ("gzip", "x-gzip") for one in codings)


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside of quotes."""
    parts = [""]
    for piece in _PIECE.findall(text):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def preferred(ranges: Iterable[MediaRange], offered: Iterable[str]) -> str | None:
    """The offered media type that the client likes best, the first offer among equals; None if it takes none."""
    offers = list(offered)
    for one in ranges:
        for media_type in offers:
            if one.takes(media_type):
                return media_type
    return None


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0
