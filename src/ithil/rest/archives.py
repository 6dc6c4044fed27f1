"""ZIP archives and DICOMDIR media of patients, studies, series, and of any set of resources.

The answer is the ZIP itself, written while it is sent, or with `Asynchronous` a job that writes it into the
storage area, from where `/jobs/{id}/archive` gives it, in parts if a client asks so.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import IO, Any

from ithil import error_codes as codes
from ithil.archive import transcoding
from ithil.archive.export.selection import Selection, select
from ithil.archive.export.stream import OUT_BYTES, Export, Wish
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers, json_body
from ithil.http.answers import Answer, Stream
from ithil.http.context import Context
from ithil.http.job_requests import parse_job_fields, run_job
from ithil.http.request import Request, boolean
from ithil.http.routing import Parameter, Route
from ithil.jobs.kinds import archive as kinds

Result = Answer | Awaitable[Answer]
Handler = Callable[[Request], Result]

DEFAULT_FILENAME = "Archive.zip"

_PARAMETERS = (
    Parameter("filename", "What the ZIP is called, instead of its default"),
    Parameter("transcode", "UID of the transfer syntax that the files are to have"),
    Parameter("lossy-quality", "Quality of lossy transfer syntaxes, 1 to 100"),
)
_EXTENDED = Parameter("extended", "Add attributes of type 3 to the DICOMDIR")
_RESOURCES = Parameter("resources", "The identifiers of the resources, between commas")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a route makes, by the end of its path."""

    path: str
    noun: str
    wish: Wish
    parameters: tuple[Parameter, ...] = _PARAMETERS


_ARCHIVE = _Kind("archive", "ZIP archive", Wish())
_MEDIA = _Kind("media", "ZIP with a DICOMDIR", Wish(media=True), (*_PARAMETERS, _EXTENDED))
_MEDIA_EXTENDED = _Kind(
    "media-extended", "ZIP with a DICOMDIR that has attributes of type 3", Wish(media=True, extended=True)
)


def routes() -> list[Route]:
    """The routes of this module."""
    table = []
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        noun = level.singular.lower()
        for kind in (_ARCHIVE, _MEDIA):
            path = f"/{level.plural}/{{id}}/{kind.path}"
            table += [
                Route("GET", path, get_one(level, kind), f"A {kind.noun} of the {noun}", kind.parameters),
                Route("POST", path, post_one(level, kind), f"A {kind.noun} of the {noun}, or a job for it"),
            ]
    for kind in (_ARCHIVE, _MEDIA, _MEDIA_EXTENDED):
        path = f"/tools/create-{kind.path}"
        parameters = (_RESOURCES, *kind.parameters)
        table += [
            Route("GET", path, get_many(kind), f"A {kind.noun} of resources", parameters),
            Route("POST", path, post_many(kind), f"A {kind.noun} of resources, or a job for it"),
        ]
    return table


def get_one(level: Level, kind: _Kind) -> Handler:
    """`GET /{level}/{id}/archive` and `/media`."""

    def handle(request: Request) -> Result:
        public_id = request.arguments["id"]
        wish = _wish_of_query(request, kind)
        selection = select(request.context.archive, [public_id], level=level)
        return _zip(request, selection, wish, request.query.get("filename") or f"{public_id}.zip")

    return handle


def post_one(level: Level, kind: _Kind) -> Handler:
    """`POST /{level}/{id}/archive` and `/media`; the body may be empty."""

    def handle(request: Request) -> Result:
        public_id = request.arguments["id"]
        body = json_body.parse(request.body, codes.BAD_FILE_FORMAT) if request.body.strip() else {}
        # As in Orthanc, a body that is no object has no fields, since the resource is in the path anyway.
        fields = body if isinstance(body, dict) else {}
        return _answer(request, kind, fields, [public_id], level, f"{public_id}.zip")

    return handle


def get_many(kind: _Kind) -> Handler:
    """`GET /tools/create-archive?resources=...` and its relatives."""

    def handle(request: Request) -> Result:
        named = request.query.get("resources")
        if named is None:
            raise CodedError(codes.BAD_REQUEST, 'The argument "resources" is missing')
        wish = _wish_of_query(request, kind)
        resources = [each.strip() for each in named.split(",") if each.strip()]
        selection = select(request.context.archive, resources)
        return _zip(request, selection, wish, request.query.get("filename") or DEFAULT_FILENAME)

    return handle


def post_many(kind: _Kind) -> Handler:
    """`POST /tools/create-archive` and its relatives; the body is an array of identifiers or an object."""

    def handle(request: Request) -> Result:
        body = json_body.parse(request.body, codes.BAD_FILE_FORMAT)
        fields: dict[str, Any] = body if isinstance(body, dict) else {"Resources": body}
        resources = fields.get("Resources")
        if not isinstance(resources, list) or not all(isinstance(each, str) for each in resources):
            raise CodedError(
                codes.BAD_FILE_FORMAT,
                'The body must be an array of identifiers, or an object with one as "Resources"',
            )
        return _answer(request, kind, fields, resources, None, DEFAULT_FILENAME)

    return handle


def _answer(
    request: Request,
    kind: _Kind,
    fields: dict[str, Any],
    resources: list[str],
    level: Level | None,
    filename: str,
) -> Result:
    """The ZIP, or the job that makes it if the client does not want to wait."""
    archive = request.context.archive
    wish = _wish_of_fields(request, kind, fields)
    wanted = json_body.text(fields, "Filename", "")
    job = parse_job_fields(fields, synchronous=True)
    selection = select(archive, resources, level=level)
    if job.synchronous:
        return _zip(request, selection, wish, wanted or filename)
    if archive.settings.read_only:
        raise CodedError(codes.READ_ONLY, "The archive is read-only, so there is no place for a job's file")
    return run_job(
        request,
        kinds.MEDIA if wish.media else kinds.ARCHIVE,
        kinds.arguments(resources, wish, wanted),
        job,
        content=kinds.content(archive, selection, wish),
    )


# -- what the client wants -----------------------------------------------------------------------------------


def _wish_of_query(request: Request, kind: _Kind) -> Wish:
    query = request.query
    quality = query.get("lossy-quality")
    if quality is not None and not (quality.isascii() and quality.isdigit() and len(quality) <= 3):
        raise CodedError(codes.BAD_PARAMETER_TYPE, 'The argument "lossy-quality" must be a number')
    return replace(
        kind.wish,
        extended=kind.wish.extended or (kind.wish.media and boolean(query, "extended")),
        transcode=_transfer_syntax(query.get("transcode")),
        quality=_checked_quality(int(quality)) if quality is not None else None,
        utf8=request.context.settings.zip_use_utf8,
    )


def _wish_of_fields(request: Request, kind: _Kind, fields: dict[str, Any]) -> Wish:
    transcode = json_body.text(fields, "Transcode", "") if "Transcode" in fields else None
    quality = json_body.integer(fields, "LossyQuality", 0) if "LossyQuality" in fields else None
    extended = json_body.boolean(fields, "Extended", kind.wish.extended)
    return replace(
        kind.wish,
        extended=extended if kind.wish.media else False,
        transcode=_transfer_syntax(transcode),
        quality=_checked_quality(quality) if quality is not None else None,
        utf8=json_body.boolean(fields, "Utf8", request.context.settings.zip_use_utf8),
    )


def _transfer_syntax(uid: str | None) -> str | None:
    if uid is not None:
        transcoding.check(uid)
    return uid


def _checked_quality(quality: int) -> int:
    if not 1 <= quality <= 100:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The quality must be between 1 and 100")
    return quality


# -- the ZIP as an answer ------------------------------------------------------------------------------------


def _zip(request: Request, selection: Selection, wish: Wish, filename: str) -> Result:
    context = request.context
    export = Export(context.archive, selection, wish)
    headers = answers.disposition(filename)
    if context.settings.synchronous_zip_stream:
        return Answer(Stream(export.pieces()), kinds.MEDIA_TYPE, headers=headers)
    return _written_first(context, export, headers)


async def _written_first(context: Context, export: Export, headers: dict[str, str]) -> Answer:
    """The ZIP from a temporary file, so that its length is known and an error is an error answer.

    Writing takes a thread of its own: those of the handlers are for what is short.
    """
    stream = await asyncio.to_thread(_spool, context, export)
    return Answer(stream, kinds.MEDIA_TYPE, headers=headers)


def _spool(context: Context, export: Export) -> Stream:
    file = tempfile.TemporaryFile(dir=context.settings.temporary_directory)  # noqa: SIM115 (closed by _drained)
    try:
        with closing(export.pieces()) as pieces:
            for piece in pieces:
                if context.closing.is_set():
                    raise CodedError(codes.CANCELED_JOB, "The server stops")
                file.write(piece)
        length = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Stream(_drained(file), length)


def _drained(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(OUT_BYTES):
            yield piece
