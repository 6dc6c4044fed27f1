"""Bodies of type `multipart/form-data`, as forms of web pages send them (RFC 7578).

Orthanc takes them on every path: each part counts as a POST of its content to that path. Parts are handed on
while they arrive; their names and file names mean nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ithil import error_codes as codes
from ithil.error_codes import CodedError

_BEGIN, _END = object(), object()


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a `multipart/form-data` body; None for every other type or without a boundary."""
    if not content_type.lstrip().lower().startswith("multipart/form-data"):
        return None
    _, options = parse_options_header(content_type)
    return options.get(b"boundary") or None


class MultipartReader:
    """Takes the parts out of a body, one after the other.

    Raises CodedError (bad request) from any of its iterators when the body is not what its type says.
    """

    def __init__(self, chunks: AsyncIterator[bytes], boundary: bytes) -> None:
        self._chunks = chunks
        self._events: deque[object] = deque()
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": lambda: self._events.append(_BEGIN),
                    "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                    "on_part_end": lambda: self._events.append(_END),
                    "on_end": self._finish,
                },
            )
        except FormParserError as error:
            raise _malformed() from error

    async def parts(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Each part as an iterator over its content; what is left of one is dropped before the next."""
        while (event := await self._next_event()) is not None:
            if event is _BEGIN:
                part = self._content()
                yield part
                async for _ in part:
                    pass

    async def _content(self) -> AsyncIterator[bytes]:
        while (event := await self._next_event()) is not _END:
            if event is None:
                raise _malformed()
            if isinstance(event, bytes) and event:
                yield event

    async def _next_event(self) -> object | None:
        """The next event of the parser; None at the end of the body."""
        while not self._events:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                if not self._ended:
                    raise _malformed()
                return None
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _malformed() from error
        return self._events.popleft()

    def _finish(self) -> None:
        self._ended = True


def _malformed() -> CodedError:
    return CodedError(codes.BAD_REQUEST, "The multipart body is malformed")
