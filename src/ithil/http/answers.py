"""What a handler gives back: status, headers and a body that is either bytes or a part of a stored file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ithil.error_codes import CodedError
from ithil.http import errors
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
    """Bytes `start` to `end` (exclusive) of a stored file, read when the answer is sent."""

    attachment: Attachment
    start: int
    end: int
    raw: bool = False  # as on disk, maybe compressed


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
    """One answer. `content_type` "" sends no such header."""

    body: bytes | FilePart | Stream = b""
    content_type: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int | None:
        """Bytes of the body, None if they are not known beforehand."""
        if isinstance(self.body, FilePart):
            return self.body.end - self.body.start
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
        return Answer(status=error.status)
    return Answer(errors.describe(error, request_method, path), JSON, error.status)


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
