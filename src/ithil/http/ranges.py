"""The header `Range` (RFC 9110 14.2), as far as one range of bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ithil import error_codes as codes
from ithil.error_codes import CodedError

_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*\Z")


def range_header(headers: Mapping[str, str], tag: str | None) -> str | None:
    """The header `Range`, or None if it holds for another version than `tag` (`If-Range`, RFC 9110 13.1.5)."""
    condition = headers.get("if-range")
    if condition is not None and condition.strip() != tag:
        return None
    return headers.get("range")


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last, for content of `size` bytes; None for the whole content.

    A header that is not understood (another unit, several ranges) is passed over, as the standard allows.
    Raises CodedError (416, with the size in `Content-Range`) for a range that begins behind the end.
    """
    match = _ONE_RANGE.match(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None  # not a valid range at all
    if start >= end:
        raise CodedError(codes.BAD_RANGE, headers={"Content-Range": f"bytes */{size}"})
    return start, end


def content_range(start: int, end: int, size: int) -> str:
    """The value of `Content-Range` for the bytes `start` to `end` (excluded) of `size`."""
    return f"bytes {start}-{end - 1}/{size}"
