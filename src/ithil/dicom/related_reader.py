"""Reading bodies of type `multipart/related` (RFC 2387, RFC 2046 5.1) part by part, as PS3.18 8.6.1 sends them.

Bytes in, events out: nothing here waits, holds a socket or keeps a part. What is held between two calls is the
head of a part that is not complete, or the few bytes that may be the start of a delimiter. Clients write these
bodies in many ways, so much is read leniently: anything may stand before the first delimiter and after the last
one, the first may follow a line break, the last need not be followed by one, and the `Content-Length` of a part
means nothing. What the delimiters say is all that counts.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

LARGEST_HEAD = 16 * 1024
"""Bytes of the headers of one part."""

LARGEST_PREAMBLE = 64 * 1024
"""Bytes before the first delimiter; who sends more has another boundary than the one that he names."""

LONGEST_BOUNDARY = 200
"""Characters; RFC 2046 allows 70."""

_LONGEST_PADDING = 128  # blanks between a delimiter and the end of its line
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)')


class MalformedMultipart(ValueError):
    """The body is not what its `Content-Type` says, or it ends too early."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in lower case and its parameters, their names in lower case and their values unquoted."""

    name: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part begins. `headers` have names in lower case, of repeated ones the last."""

    headers: dict[str, str]

    @property
    def media_type(self) -> MediaType:
        """The `Content-Type` of the part, with the name "" if it has none."""
        return parse_media_type(self.headers.get("content-type", ""))

    @property
    def location(self) -> str:
        """The `Content-Location` of the part, "" if it has none."""
        return self.headers.get("content-location", "").strip()


class PartEnd:
    """The part that began last is complete."""


PART_END = PartEnd()

Event = PartHead | bytes | PartEnd
"""What is found: the head of a part, a piece of its content (never empty), its end."""


def parse_media_type(header: str) -> MediaType:
    """A `Content-Type` header; what cannot be read of it is left out."""
    header = header[:LARGEST_HEAD]
    name, separator, rest = header.partition(";")
    parameters: dict[str, str] = {}
    for key, value in _PARAMETER.findall(separator + rest):
        text = value.strip()
        if len(text) >= 2 and text[0] == '"':
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        parameters.setdefault(key.lower(), text)
    return MediaType(name.strip().lower(), parameters)


class _State(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class RelatedReader:
    """Takes the parts out of one body. `feed` its bytes in pieces of any size, then call `close`."""

    def __init__(self, boundary: str) -> None:
        """Raises MalformedMultipart for a boundary that is empty, too long or not printable ASCII."""
        if not boundary or len(boundary) > LONGEST_BOUNDARY:
            raise MalformedMultipart("The boundary of the multipart body is missing or too long")
        if not (boundary.isascii() and boundary.isprintable()):
            raise MalformedMultipart("The boundary of the multipart body is not printable ASCII")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._state = _State.PREAMBLE
        self._passed = 0
        # A delimiter begins with the line break before it, which at the start of a body may be missing.
        self._rest = b"\r\n"
        self._held_back = 2  # bytes at the start of the rest that are no content

    @property
    def is_complete(self) -> bool:
        """Whether the closing delimiter has come."""
        return self._state is _State.EPILOGUE

    def close(self) -> None:
        """The body has ended. Raises MalformedMultipart if it ended too early."""
        if not self.is_complete:
            raise MalformedMultipart(
                "The multipart body ends without its closing delimiter, or has another boundary than announced"
            )

    def feed(self, data: bytes) -> Iterator[Event]:
        """What the next bytes bring, in order; to be drawn to its end before the next call.

        Raises MalformedMultipart.
        """
        data = self._rest + data if self._rest else data
        self._rest = b""
        position: int | None = 0
        while position is not None:
            if self._state is _State.CONTENT:
                position = yield from self._content(data, position)
            elif self._state is _State.HEAD:
                head, position = self._head(data, position)
                if head is not None:
                    yield head
            elif self._state is _State.PREAMBLE:
                position = self._preamble(data, position)
            else:
                return

    def _preamble(self, data: bytes, position: int) -> int | None:
        start, end, closes = self._delimiter_in(data, position)
        self._passed += start - position
        if self._passed > LARGEST_PREAMBLE:
            raise MalformedMultipart("The multipart body does not begin with its boundary")
        if end is None:
            self._rest = data[start:]
            return None
        self._state = _State.EPILOGUE if closes else _State.HEAD
        return end

    def _head(self, data: bytes, position: int) -> tuple[PartHead | None, int | None]:
        """The head of a part that begins at `position`, if all of it is there."""
        if data.startswith(b"\r\n", position):
            end, stop = position, position + 2
        else:
            end = data.find(b"\r\n\r\n", position, position + LARGEST_HEAD + 4)
            stop = end + 4
        if end < 0:
            if len(data) - position > LARGEST_HEAD:
                raise MalformedMultipart("The headers of a part are too large")
            self._rest = data[position:]
            return None, None
        self._state = _State.CONTENT
        self._held_back = 2
        # The line break that ends the head may also begin the next delimiter, if the part is empty.
        return PartHead(_headers(data[position:end])), stop - 2

    def _content(self, data: bytes, position: int) -> Generator[Event, None, int | None]:
        """A piece of content, and the end of its part if it is there; gives where to go on, as the others."""
        start, end, closes = self._delimiter_in(data, position)
        first = position + self._held_back
        if start > first:
            yield data[first:start]  # no copy if that is all of it
        self._held_back = max(first - start, 0)
        if end is None:
            self._rest = data[start:]
            return None
        yield PART_END
        self._state = _State.EPILOGUE if closes else _State.HEAD
        return end

    def _delimiter_in(self, data: bytes, position: int) -> tuple[int, int | None, bool]:
        """The next delimiter: where it begins, where what follows begins, and whether it closes the body.

        The second is None if there is none yet; the first then tells where it could begin at the earliest.
        """
        delimiter = self._delimiter
        search = position
        while (start := data.find(delimiter, search)) >= 0:
            after = start + len(delimiter)
            if data.startswith(b"--", after):
                return start, after + 2, True
            line_end = data.find(b"\r\n", after, after + _LONGEST_PADDING + 2)
            padding = data[after : line_end if line_end >= 0 else after + _LONGEST_PADDING + 2]
            if not padding.strip(b" \t"):
                if line_end >= 0:
                    return start, line_end + 2, False
                if len(padding) <= _LONGEST_PADDING:
                    return start, None, False
            elif line_end < 0 and after + len(padding) == len(data) and _may_become_end(padding):
                return start, None, False
            search = start + 2  # content that only looks like it
        return self._possible_start(data, position), None, False

    def _possible_start(self, data: bytes, position: int) -> int:
        """Where the end of `data` may be the start of a delimiter, its length if nowhere."""
        start = max(position, len(data) - len(self._delimiter) + 1)
        while (start := data.find(b"\r", start)) >= 0:
            if self._delimiter.startswith(data[start:]):
                return start
            start += 1
        return len(data)


def _may_become_end(padding: bytes) -> bool:
    """Whether one more byte can make it what follows a delimiter: two hyphens, or a line break."""
    return padding == b"-" or (padding.endswith(b"\r") and not padding[:-1].strip(b" \t"))


def _headers(block: bytes) -> dict[str, str]:
    """The headers in a block of lines; folded lines are joined (RFC 5322 2.2.3)."""
    headers: dict[str, str] = {}
    name = ""
    for line in block.decode("latin-1").split("\r\n"):
        if line[:1] in (" ", "\t") and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if line and (not colon or not name):
            raise MalformedMultipart("A header of a part is malformed")
        if line:
            headers[name] = value.strip()
    return headers
