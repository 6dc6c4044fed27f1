"""STOW-RS: `POST /studies` and `POST /studies/{study}` (PS3.18 10.5).

The body streams through here in pieces: a worker thread takes each apart and hands what it finds to the
archive. What is complete is prepared by a few threads while the next pieces arrive, and then many instances
are stored together, so that they share the waiting for the disk and the transaction of the index. No part is
held in memory, however large it is.

Each part has an outcome of its own. A body that breaks off, or makes no sense from some place on, counts up
to there: what came before is stored and told, and of the part in which it happens nothing stays.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.ingest import SPOOL_SIZE
from ithil.archive.model import Origin
from ithil.dicom.errors import DicomError
from ithil.dicom.related_reader import parse_media_type
from ithil.dicomweb import stow_outcome
from ithil.dicomweb.stow_outcome import Outcome
from ithil.dicomweb.stow_parts import DICOM, METADATA, ROOTS, Parts, Ready, settle
from ithil.error_codes import CodedError
from ithil.http.answers import Answer
from ithil.http.body import too_large
from ithil.http.context import Context
from ithil.http.pieces import PIECE, gathered, gunzip
from ithil.http.request import Request
from ithil.http.routing import Route

AT_ONCE = 4
"""Threads that store what has arrived of one request."""

TOGETHER = 64
"""Instances that are committed together, if as many come."""

TOGETHER_BYTES = 8 * 1024 * 1024
"""Bytes of instances that are enough to be committed together, so that the disk begins before the last comes."""

SMALLEST_SHARE = 8
"""Instances that are not worth the way to several threads."""

HELD_BYTES = 4 * PIECE + TOGETHER * SPOOL_SIZE
"""Bytes of a body that are in memory at the same time: on their way in, and of small instances."""

RELATED = "multipart/related"
_ANSWERS = (stow_outcome.JSON, stow_outcome.XML)
_FAILS = (409, 413, 415, 503)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            path,
            store,
            summary,
            streaming=True,
            held=HELD_BYTES,
            writes=True,
            body=RELATED,
            answers=_ANSWERS,
            fails=_FAILS,
        )
        for path, summary in (
            ("/studies", "Store instances: DICOM files, or metadata with bulk data"),
            ("/studies/{study}", "Store instances that belong to one study"),
        )
    ]


async def store(request: Request, chunks: AsyncIterator[bytes]) -> Answer:
    """The handler of both routes; `chunks` is the body as it arrives.

    Raises CodedError: unsupported media type (415), bad request (400) for a body of which nothing can be
    understood, 413 for one that is too large.
    """
    context = request.context
    parts = await context.in_thread(_parts, request)
    settling = _Settling(context)
    taking: asyncio.Future[list[Ready]] | None = None
    try:
        pieces = gathered(_decoded(request, chunks))
        piece = await anext(pieces, b"")
        is_last = False
        while not is_last:
            following = await anext(pieces, None)  # arrives while the one before is taken apart
            is_last = following is None
            if taking is not None:
                await settling.add(await taking)
                if parts.malformed is not None:
                    break
            taking = asyncio.ensure_future(context.in_thread(_take, context.archive, parts, piece, is_last))
            piece = following or b""
        else:
            if taking is not None:
                await settling.add(await taking)
        outcomes = await settling.outcomes()
    except Exception:
        await settling.end(taking, keep=True)  # what has come in full is good, whoever has left
        raise
    except BaseException:
        await settling.end(taking, keep=False)
        raise
    finally:
        await context.in_thread(parts.discard)
    if parts.malformed is not None:
        if not outcomes:
            raise CodedError(codes.BAD_REQUEST, str(parts.malformed))
        outcomes.append(stow_outcome.failed(DicomError(str(parts.malformed))))
    if not outcomes:
        raise CodedError(codes.BAD_REQUEST, "There is nothing to store in the body")
    return await context.in_thread(stow_outcome.answer, request, outcomes)


def _parts(request: Request) -> Parts:
    """How the body is to be read. Raises CodedError for a type that is not stored here."""
    media_type = parse_media_type(request.headers.get("content-type", ""))
    origin = Origin("RestApi", remote_ip=request.client, http_username=request.user)
    boundary: str | None = None
    root = media_type
    if media_type.name == RELATED:
        root = parse_media_type(media_type.parameters.get("type", ""))
        boundary = media_type.parameters.get("boundary", "")
    if root.name not in (ROOTS if boundary is None else (*ROOTS, "")):
        raise CodedError(
            codes.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be {RELATED} of type {DICOM}, {METADATA[0]} or {METADATA[1]}, or one of those alone; "
            "POST /instances takes ZIPs and forms",
        )
    archive = request.context.archive
    return Parts(archive, origin, root, boundary, request.arguments.get("study", ""))


def _decoded(request: Request, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body without its Content-Encoding. Raises CodedError (415) for one that is not known."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        limit = request.context.settings.maximum_request_body_size_mb * 1024 * 1024
        return gunzip(request.context, chunks, limit, too_large())
    if encoding not in ("identity", ""):
        raise CodedError(codes.UNSUPPORTED_MEDIA_TYPE, "The body may be encoded with gzip, or not at all")
    return chunks


def _take(archive: Archive, parts: Parts, piece: bytes, last: bool) -> list[Ready]:
    """Take a piece; an instance that comes alone is stored in the same visit to a thread."""
    ready = parts.feed(piece, last=last)
    if last and len(ready) == 1:
        _prepare(ready)
        settle(archive, ready)
    return ready


def _prepare(batch: list[Ready]) -> None:
    for each in batch:
        each.prepare()


def _end(archive: Archive, rest: list[Ready], keep: bool) -> None:
    try:
        if keep:
            settle(archive, list(dict.fromkeys(rest)))
    finally:
        for each in rest:
            if each.outcomes is None:
                each.discard()


class _Settling:
    """Stores what is ready in worker threads, `AT_ONCE` at a time, and remembers the outcomes in order."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ready: deque[Ready] = deque()
        self._outcomes: list[Outcome] = []
        self._running: set[asyncio.Future[None]] = set()
        self._prepared: list[Ready] = []

    async def add(self, ready: list[Ready]) -> None:
        """Begin to store these; waits until a thread may take the last of them."""
        self._ready += ready
        waiting = [each for each in ready if each.outcomes is None]
        share = max(-(-len(waiting) // AT_ONCE), SMALLEST_SHARE)
        for start in range(0, len(waiting), share):
            await self._begin(self._prepare, waiting[start : start + share])
        if len(self._prepared) >= TOGETHER or sum(each.size for each in self._prepared) >= TOGETHER_BYTES:
            await self._settle_prepared()
        while self._ready and self._ready[0].outcomes is not None:
            self._outcomes += self._ready.popleft().outcomes or ()

    async def outcomes(self) -> list[Outcome]:
        """What became of all instances, in the order in which they came."""
        await self._wait()
        await self._settle_prepared()
        await self._wait()
        for each in self._ready:
            self._outcomes += each.outcomes or ()
        return self._outcomes

    async def end(self, taking: asyncio.Future[list[Ready]] | None, *, keep: bool) -> None:
        """Wait for what has begun, then store the rest if it is to be kept, else forget it.

        `taking` gives more of it.
        """
        if self._running:
            await asyncio.wait(self._running)
        rest = list(self._ready)
        if taking is not None:
            await asyncio.wait([taking])
            if not taking.cancelled() and taking.exception() is None:
                rest += taking.result()
        await self._context.in_thread(_end, self._context.archive, rest, keep)

    async def _prepare(self, batch: list[Ready]) -> None:
        await self._context.in_thread(_prepare, batch)
        self._prepared += batch

    async def _settle_prepared(self) -> None:
        batch, self._prepared = self._prepared, []
        if batch:
            await self._begin(self._context.in_thread, settle, self._context.archive, batch)

    async def _begin(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        """Start something when there is a thread for it."""
        while len(self._running) >= AT_ONCE:
            await self._wait(asyncio.FIRST_COMPLETED)
        self._running.add(asyncio.ensure_future(work(*arguments)))

    async def _wait(self, until: str = asyncio.ALL_COMPLETED) -> None:
        if self._running:
            done, self._running = await asyncio.wait(self._running, return_when=until)
            for task in done:
                task.result()
