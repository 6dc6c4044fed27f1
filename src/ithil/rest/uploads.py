"""`POST /instances`: a DICOM file, the same compressed with gzip, or a ZIP of many.

What a body is shows in its first bytes, not in its `Content-Type`, which clients rarely set right. A body of
ordinary size is stored by one visit to a worker thread (`upload_whole`, which is also where the short way of
`quick_upload` leads, unless the body is small enough to be stored together with others); a large one is handed
to the archive in pieces while it arrives, so a multiframe of gigabytes passes without being held in memory. If
the client leaves before the end, or the archive refuses, nothing stays behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import IO, Any

from ithil import error_codes as codes
from ithil.archive import ingest
from ithil.archive.archive import Archive
from ithil.archive.ingest import Incoming
from ithil.archive.ingest_batch import commit_all
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
            together=upload_together,
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


def upload_together(uploads: Sequence[tuple[Request, bytes]]) -> list[Answer | BaseException | None]:
    """The answers to small uploads, stored in one transaction, or what they are refused with. Blocking.

    None for what is no plain file, and where more is to be waited for than the transaction.
    """
    archive = uploads[0][0].context.archive
    begun = [
        None if is_zip(content) or not _is_quick(archive, content) else _begun(request, content)
        for request, content in uploads
    ]
    outcomes = iter(commit_all(archive, [each for each in begun if isinstance(each, Incoming)]))
    made: list[Answer | BaseException | None] = []
    for (request, _), each in zip(uploads, begun, strict=True):
        outcome = next(outcomes) if isinstance(each, Incoming) else each
        if isinstance(outcome, StoreResult):
            made.append(answers.json(request, stored_json(outcome)))
        else:
            made.append(outcome)
    return made


def _is_quick(archive: Archive, content: bytes) -> bool:
    return not archive.settings.ingest_transcoding and not archive.intake.waits_for(len(content))


def _begun(request: Request, content: bytes) -> Incoming | Exception:
    """An instance that waits for its commit, or why it cannot be stored."""
    try:
        incoming = Incoming(request.context.archive, _origin(request))
        incoming.write(content)
        return incoming
    except Exception as error:
        return error


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
    incoming = await context.in_thread(Incoming, context.archive, _origin(request))
    try:
        await context.in_thread(incoming.write, first)
        await context.in_thread(incoming.write, second)
        async for piece in rest:
            await context.in_thread(incoming.write, piece)
        return await context.in_thread(incoming.accept)
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
