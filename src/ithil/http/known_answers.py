"""Answers to GETs that need no handler, since they were given before and nothing has changed.

What is kept is in `answer_cache`; here is what it depends on. An answer whose body is a part of a small stored
file is kept without the body, which the archive's cache of files has.
"""

from __future__ import annotations

from collections.abc import Mapping

from ithil.archive.archive import Archive
from ithil.archive.retrieve import LARGEST_WHOLE_READ
from ithil.http.answer_cache import AnswerCache, CachedAnswer
from ithil.http.answers import Answer, FilePart, Stream
from ithil.http.public_address import FORWARDING_HEADERS
from ithil.http.sending import headers_of

Buffer = bytes | memoryview

CACHE_BYTES = 24 * 1024 * 1024

_UNCACHED_HEADERS = frozenset({b"range", b"if-none-match", b"x-http-method-override"})
_KEY_HEADERS = (b"accept", b"accept-encoding", b"host", *FORWARDING_HEADERS)


class KnownAnswers:
    """What is known in this process. To be used from the event loop only."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._cache = AnswerCache(CACHE_BYTES)

    def __len__(self) -> int:
        return len(self._cache)

    def version(self) -> object | None:
        """What all answers that may be kept depend on, None if it cannot be known."""
        version = self._archive.index.version()
        return None if version is None else (version, self._archive.runtime.version)

    def find(self, key: bytes, version: object | None) -> tuple[CachedAnswer, list[Buffer]] | None:
        """A kept answer and its body, which is not copied."""
        cached = self._cache.get(key, version)
        if cached is None or cached.part is None:
            return None if cached is None else (cached, [cached.body])
        part = cached.part
        content = self._archive.cache.get(part.attachment.uuid)
        if content is None:
            return None
        return cached, [part.before, memoryview(content)[part.start : part.end], part.after]

    def keep(self, key: bytes, version: object | None, answer: Answer) -> None:
        """Keep an answer with status 200 that was made from the archive at `version` or later."""
        body = answer.body
        if isinstance(body, Stream) or not answer.keep:
            return
        if not isinstance(body, FilePart):
            self._cache.put(key, version, CachedAnswer(headers_of(answer), body))
            return
        # Other files are not kept as a whole if only a part of them is read.
        whole = body.end - body.start == body.attachment.uncompressed_size
        if not body.raw and (whole or body.attachment.uncompressed_size <= LARGEST_WHOLE_READ):
            self._cache.put(key, version, CachedAnswer(headers_of(answer), b"", body))


def key_of(url: bytes, headers: Mapping[bytes, bytes]) -> bytes | None:
    """What the answer to a GET depends on beside the archive, also where the client sees this server.

    `url` is the request target as it was sent. None if the answer depends on still more.
    """
    if not _UNCACHED_HEADERS.isdisjoint(headers):
        return None
    get = headers.get
    return b"\n".join([url, *[get(name, b"") for name in _KEY_HEADERS]])
