"""What a handler gives back: status, headers and a body that is either bytes or a part of a stored file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from ithil.error_codes import CodedError
from ithil.http import errors
from ithil.http.ranges import content_range, range_header, requested_range
from ithil.http.request import Request
from ithil.http.xml import to_xml

if TYPE_CHECKING:
    from ithil.archive.model import Attachment

JSON = "application/json; charset=utf-8"
XML = "application/xml; charset=utf-8"
TEXT = "text/plain"
BINARY = "application/octet-stream"

_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
_UNSAFE_IN_FILENAME = re.compile(r'[\x00-\x1f\x7f"\\]')


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes `start` to `end` (exclusive) of a stored file, read when the answer is sent.

    `before` and `after` go around them, such as what makes them a part of a multipart answer.
    """

    attachment: Attachment
    start: int
    end: int
    raw: bool = False  # as on disk, maybe compressed
    before: bytes = b""
    after: bytes = b""

    @property
    def length(self) -> int:
        """Bytes of the whole."""
        return len(self.before) + self.end - self.start + len(self.after)

    def section(self, first: int, last: int) -> FilePart:
        """What lies between two offsets in the whole, the second excluded."""
        size, head = self.end - self.start, len(self.before)
        start, end = min(max(first - head, 0), size), min(max(last - head, 0), size)
        return replace(
            self,
            start=self.start + start,
            end=self.start + end,
            before=self.before[first:last],
            after=self.after[max(first - head - size, 0) : max(last - head - size, 0)],
        )

    def framed(self, content: bytes) -> bytes:
        """The whole, of which `content` has been read."""
        return b"".join((self.before, content, self.after)) if self.before or self.after else content


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is made while it is sent, piece by piece, in a worker thread.

    `length` is its number of bytes if that is known beforehand; otherwise the answer is chunked. `pieces` is
    closed at the end, also when the client leaves early, so a generator can clean up in `finally`. What it
    raises after its first piece cuts the answer off.
    """

    pieces: Iterator[bytes]
    length: int | None = None


@dataclass(slots=True)
class Answer:
    """One answer. `content_type` "" sends no such header.

    With `keep` off it is not given to others who ask the same, though its route is `cacheable`: it lacks what
    could not be read just now.
    """

    body: bytes | FilePart | Stream = b""
    content_type: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    keep: bool = True

    @property
    def length(self) -> int | None:
        """Bytes of the body, None if they are not known beforehand."""
        if isinstance(self.body, FilePart):
            return self.body.length
        if isinstance(self.body, Stream):
            return self.body.length
        return len(self.body)


def json(request: Request, value: Any) -> Answer:
    """`value` as sorted and indented JSON, or as XML if the client prefers that."""
    if request.wants_xml:
        return Answer(to_xml(value), XML)
    return Answer(orjson.dumps(value, option=_OPTIONS), JSON)


def text(value: str) -> Answer:
    """Plain text."""
    return Answer(value.encode(), TEXT)


def empty() -> Answer:
    """The answer of what has nothing to say but that it was done."""
    return Answer(b"", TEXT)


def done() -> Answer:
    """The answer of what was done and once may say more: an empty object."""
    return Answer(b"{}", "application/json")


def missing() -> Answer:
    """The answer for a resource that the handler does not find: 404 without a body."""
    return Answer(status=404)


def failure(error: CodedError, request_method: str, path: str, *, described: bool) -> Answer:
    """The answer that tells about `error`; without a body if errors are not to be described."""
    if not described:
        return Answer(status=error.status, headers=dict(error.headers))
    body = errors.describe(error, request_method, path)
    return Answer(body, JSON, error.status, dict(error.headers))


def disposition(filename: str) -> dict[str, str]:
    """The header that proposes a file name; what could end the header or the name is dropped."""
    safe = _UNSAFE_IN_FILENAME.sub("", filename).encode("ascii", "replace").decode()
    return {"Content-Disposition": f'filename="{safe}"'}


def etag(revision: int, digest: str) -> str:
    """The entity tag of a revision: the number and an MD5, as Orthanc's clients send it back."""
    return f'"{revision}-{digest}"'


def text_etag(revision: int, value: str) -> str:
    """The entity tag of a text."""
    return etag(revision, hashlib.md5(value.encode(), usedforsecurity=False).hexdigest())


def not_modified(request: Request, tag: str) -> Answer | None:
    """304 if the client has the version `tag` already, else None (RFC 9110 13.1.2)."""
    header = request.headers.get("if-none-match")
    if header is None:
        return None
    known = {candidate.strip().removeprefix("W/").strip('"') for candidate in header.split(",")}
    if "*" in known or tag.strip('"') in known:
        return Answer(status=304, headers={"ETag": tag})
    return None


def part_of(
    request: Request,
    answer: Answer,
    tag: str,
    section: Callable[[int, int], Iterable[bytes]] | None = None,
) -> Answer:
    """The part of `answer` that the client asks for (206), or all of it if it does not (RFC 9110 14).

    `tag` is the entity tag of the answer. `section` gives the bytes from one offset up to another of a body
    that is a stream; a stream without it, or of unknown length, is always sent whole. Raises CodedError (416).
    """
    size, body = answer.length, answer.body
    if size is None or (isinstance(body, Stream) and section is None):
        return answer
    answer.headers["Accept-Ranges"] = "bytes"
    span = requested_range(range_header(request.headers, tag), size)
    if span is None:
        return answer
    start, end = span
    if isinstance(body, FilePart):
        answer.body = body.section(start, end)
    elif isinstance(body, bytes):
        answer.body = body[start:end]
    elif section is not None:
        answer.body = Stream(iter(section(start, end)), end - start)
    answer.status = 206
    answer.headers["Content-Range"] = content_range(start, end, size)
    return answer
