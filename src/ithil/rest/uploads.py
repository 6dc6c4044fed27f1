"""`POST /instances`: a DICOM file, the same compressed with gzip, or a ZIP of many.

What a body is shows in its first bytes, not in its `Content-Type`, which clients rarely set right. A body of
ordinary size is stored by one visit to a worker thread (`upload_whole`, which is also what the short way of
`quick_upload` leads to); a large one is handed to the archive in pieces while it arrives, so a multiframe of
gigabytes passes without being held in memory. If the client leaves before the end, or the archive refuses,
nothing stays behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from io import BytesIO
from typing import IO, Any

from ithil import error_codes as codes
from ithil.archive import ingest
from ithil.archive.model import Origin, StoreResult
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.context import Context
from ithil.http.pieces import PIECE, gathered, gunzip
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.rest.unzip import Bounds, is_zip, store_members

HELD_BYTES = 3 * PIECE
"""Bytes of a body that are in memory at the same time."""


def routes() -> list[Route]:
    """The route of uploads."""
    return [
        Route(
            "POST",
            "/instances",
            upload,
            "Store a DICOM file, a gzip of one, or the DICOM files of a ZIP",
            streaming=True,
            whole=upload_whole,
            held=HELD_BYTES,
            writes=True,
        )
    ]


async def upload(request: Request, chunks: AsyncIterator[bytes]) -> Answer:
    """The handler of `POST /instances`; `chunks` is the body as it arrives.

    Raises CodedError (bad file format, 400) for what is neither DICOM nor a container of it, DicomError and
    ArchiveError as ingest does.
    """
    context = request.context
    if request.headers.get("content-encoding", "").strip().lower() == "gzip":
        too_large = CodedError(
            codes.BAD_FILE_FORMAT, "The uncompressed body is above MaximumFileSizeInArchiveMB"
        )
        chunks = gunzip(context, chunks, _member_limit(context), too_large)
    pieces = gathered(chunks)
    first = await anext(pieces, b"")
    second = await anext(pieces, b"")
    if not second:
        return await context.in_thread(upload_whole, request, first)
    if is_zip(first):
        results = await _store_zip(request, first, second, pieces)
        return answers.json(request, [stored_json(result) for result in results])
    return answers.json(request, stored_json(await _store_stream(request, first, second, pieces)))


def upload_whole(request: Request, content: bytes) -> Answer:
    """The answer to an upload whose body is in memory. Blocking; raises what `upload` raises."""
    archive, origin = request.context.archive, _origin(request)
    if not content:
        raise CodedError(codes.BAD_FILE_FORMAT, "The uploaded file is empty")
    if is_zip(content):
        results = store_members(archive, BytesIO(content), origin, _bounds(request.context))
        return answers.json(request, [stored_json(result) for result in results])
    return answers.json(request, stored_json(ingest.store(archive, content, origin)))


def stored_json(result: StoreResult) -> dict[str, Any]:
    """What a client learns about one uploaded instance."""
    return {
        "ID": result.instance,
        "ParentPatient": result.patient,
        "ParentSeries": result.series,
        "ParentStudy": result.study,
        "Path": f"/instances/{result.instance}",
        "Status": str(result.status),
    }


async def _store_stream(
    request: Request, first: bytes, second: bytes, rest: AsyncIterator[bytes]
) -> StoreResult:
    context = request.context
    incoming = await context.in_thread(ingest.Incoming, context.archive, _origin(request))
    try:
        await context.in_thread(incoming.write, first)
        await context.in_thread(incoming.write, second)
        async for piece in rest:
            await context.in_thread(incoming.write, piece)
        return await context.in_thread(incoming.commit)
    except BaseException:
        await context.in_thread(incoming.discard)
        raise


async def _store_zip(
    request: Request, first: bytes, second: bytes, rest: AsyncIterator[bytes]
) -> list[StoreResult]:
    context = request.context
    spool: IO[bytes] = await context.in_thread(_temporary_file, context)
    try:
        await context.in_thread(spool.write, first)
        await context.in_thread(spool.write, second)
        async for piece in rest:
            await context.in_thread(spool.write, piece)
        return await context.in_thread(
            store_members, context.archive, spool, _origin(request), _bounds(context)
        )
    finally:
        await context.in_thread(spool.close)


def _origin(request: Request) -> Origin:
    return Origin("RestApi", remote_ip=request.client, http_username=request.user)


def _member_limit(context: Context) -> int:
    """Bytes of one uncompressed member of an archive; 0 for none."""
    return context.settings.maximum_file_size_in_archive_mb * 1024 * 1024


def _bounds(context: Context) -> Bounds:
    total = context.settings.maximum_request_body_size_mb * 1024 * 1024
    return Bounds(_member_limit(context), total, context.closing)


def _temporary_file(context: Context) -> IO[bytes]:
    directory = context.settings.temporary_directory
    return tempfile.TemporaryFile(prefix="ithil-upload-", dir=directory)
