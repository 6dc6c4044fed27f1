"""Stored files of resources: what there is, their sizes and checksums, their bytes; and storing more of them.

Numbers below 1024 are the system's; those from 1024 to 65535 belong to users, with names from
`UserContentType`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from ithil import error_codes as codes
from ithil.archive import attachments, retrieve
from ithil.archive.model import Attachment
from ithil.archive.names import DICOM
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer, FilePart
from ithil.http.pieces import gathered
from ithil.http.ranges import range_header, requested_range
from ithil.http.request import Request, boolean
from ithil.http.routing import Parameter, Route
from ithil.rest.metadata import forbidden, resource_of, user_number
from ithil.rest.resource_json import attachment_json
from ithil.rest.revisions import expected_version, version_to_delete

Handler = Callable[[Request], Answer]
Uploader = Callable[[Request, AsyncIterator[bytes]], Awaitable[Answer]]
Reader = Callable[[Request, Attachment], Answer]

_COMPRESSED = 2
_DICOM_AS_JSON = 2
_DICOM_AS_JSON_NAMES = ("2", "dicom-as-json")
_FILENAME = Parameter("filename", "The file name that the answer proposes")


def routes() -> list[Route]:
    """The routes of this module."""
    table: list[Route] = []
    for level in Level:
        one = f"/{level.plural}/{{id}}/attachments"
        noun = level.singular.lower()
        table += [
            Route(
                "GET",
                one,
                lister(level),
                f"Names of the attachments of the {noun}",
                (Parameter("full", "Show their numbers as well"),),
                cacheable=True,
            ),
            Route(
                "GET",
                f"{one}/{{name}}",
                attached(level, operations),
                f"What can be asked of an attachment of the {noun}",
                cacheable=True,
            ),
            Route(
                "PUT",
                f"{one}/{{name}}",
                uploader(level),
                f"Store an attachment of the {noun}",
                streaming=True,
                writes=True,
            ),
            Route(
                "DELETE",
                f"{one}/{{name}}",
                deleter(level),
                f"Delete an attachment of the {noun}",
                writes=True,
            ),
            Route(
                "POST",
                f"{one}/{{name}}/compress",
                recompressor(level, compressed=True),
                f"Compress the stored file of an attachment of the {noun}",
                writes=True,
            ),
            Route(
                "POST",
                f"{one}/{{name}}/uncompress",
                recompressor(level, compressed=False),
                f"Store an attachment of the {noun} without compression",
                writes=True,
            ),
            Route(
                "POST",
                f"{one}/{{name}}/verify-md5",
                verifier(level),
                f"Compare an attachment of the {noun} with the checksum it had when it was stored",
            ),
        ]
        table += [
            Route(
                "GET",
                f"{one}/{{name}}/{what}",
                attached(level, read),
                f"{summary} of an attachment of the {noun}",
                parameters,
                cacheable=True,
            )
            for what, (read, summary, parameters) in _READERS.items()
        ]
    return table


def lister(level: Level) -> Handler:
    """`GET /{level}/{id}/attachments`."""

    def handle(request: Request) -> Answer:
        numbers = sorted(resource_of(request, level).attachments)
        name = request.context.names.attachments.name
        if boolean(request.query, "full"):
            return answers.json(request, {name(number): number for number in numbers})
        return answers.json(request, [name(number) for number in numbers])

    return handle


def attached(level: Level, read: Reader) -> Handler:
    """A handler below `/{level}/{id}/attachments/{name}`: entity tag, 304, 404 and then `read`."""

    def handle(request: Request) -> Answer:
        file = _find(request, level)
        if file is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        tag = answers.etag(file.revision, file.uncompressed_md5)
        answer = answers.not_modified(request, tag) or read(request, file)
        answer.headers["ETag"] = tag
        return answer

    return handle


def verifier(level: Level) -> Handler:
    """`POST /{level}/{id}/attachments/{name}/verify-md5`: `{}` if the file is sound, else 400."""

    def handle(request: Request) -> Answer:
        number = request.context.names.attachments.number(request.arguments["name"])
        file = resource_of(request, level).attachments.get(number)
        if file is None or not retrieve.verify(request.context.archive, file):
            return Answer(status=400)
        return answers.done()

    return handle


def uploader(level: Level) -> Uploader:
    """`PUT /{level}/{id}/attachments/{name}`: `{}`, with the entity tag of what is stored now.

    The body goes to the disk as it arrives. What can be refused is refused before that.
    """

    async def handle(request: Request, chunks: AsyncIterator[bytes]) -> Answer:
        number = user_number(request.context.names.attachments.number, request.arguments["name"])
        if number is None:
            return forbidden()
        context, public_id = request.context, request.arguments["id"]
        wanted = (level, public_id, number, expected_version(request))
        await context.in_thread(attachments.check, context.archive, *wanted)
        incoming = await context.in_thread(attachments.Upload, context.archive)
        try:
            async for piece in gathered(chunks):
                await context.in_thread(incoming.write, piece)
            file = await context.in_thread(incoming.commit, *wanted)
        except BaseException:
            await context.in_thread(incoming.discard)
            raise
        answer = answers.done()
        answer.headers["ETag"] = answers.etag(file.revision, file.uncompressed_md5)
        return answer

    return handle


def deleter(level: Level) -> Handler:
    """`DELETE /{level}/{id}/attachments/{name}`: those of users, and Orthanc's old copy of the tags."""

    def handle(request: Request) -> Answer:
        name = request.arguments["name"]
        kind = user_number(request.context.names.attachments.number, name)
        if kind is None and name in _DICOM_AS_JSON_NAMES:
            kind = _DICOM_AS_JSON
        if kind is None:
            return forbidden()
        expected = version_to_delete(request)
        attachments.delete(request.context.archive, level, request.arguments["id"], kind, expected)
        return answers.empty()

    return handle


def recompressor(level: Level, *, compressed: bool) -> Handler:
    """`POST .../compress` and `.../uncompress`: `{}`, also if it is stored like that already."""

    def handle(request: Request) -> Answer:
        number = request.context.names.attachments.number(request.arguments["name"])
        attachments.recompress(
            request.context.archive, level, request.arguments["id"], number, compressed=compressed
        )
        return answers.done()

    return handle


def operations(request: Request, _file: Attachment) -> Answer:
    """The names that can follow the attachment's in a path."""
    found = request.context.router.match(["instances", "-", "attachments", "-"])
    return answers.json(request, found.node.child_names if found is not None else [])


def data(request: Request, file: Attachment) -> Answer:
    """The plain bytes, or the part that `Range` asks for (RFC 9110 14)."""
    content_type = request.context.names.mime_types.get(file.content_type, answers.BINARY)
    name = request.query.get("filename") or (f"{file.uuid}.dcm" if file.content_type == DICOM else file.uuid)
    headers = answers.disposition(name)
    return _part(request, file, file.uncompressed_size, content_type, headers, raw=False)


def compressed_data(request: Request, file: Attachment) -> Answer:
    """The bytes as they are stored."""
    name = request.query.get("filename")
    headers = answers.disposition(name) if name else {}
    return _part(request, file, file.compressed_size, answers.BINARY, headers, raw=True)


def _part(
    request: Request,
    file: Attachment,
    size: int,
    content_type: str,
    headers: dict[str, str],
    *,
    raw: bool,
) -> Answer:
    tag = answers.etag(file.revision, file.uncompressed_md5)
    wanted = requested_range(range_header(request.headers, tag), size)
    if wanted is None:
        return Answer(FilePart(file, 0, size, raw), content_type, headers=headers)
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Answer(FilePart(file, start, end, raw), content_type, 206, headers)


def _find(request: Request, level: Level) -> Attachment | None:
    number = request.context.names.attachments.number(request.arguments["name"])
    return retrieve.attachment(request.context.archive, level, request.arguments["id"], number)


def _text(value: Callable[[Attachment], object]) -> Reader:
    def read(_request: Request, file: Attachment) -> Answer:
        return answers.text(str(value(file)))

    return read


def _checksum(value: Callable[[Attachment], str]) -> Reader:
    """A checksum; 404 if the archive does not compute them (`StoreMD5ForAttachments`)."""

    def read(_request: Request, file: Attachment) -> Answer:
        return answers.text(value(file)) if value(file) else answers.missing()

    return read


def _info(request: Request, file: Attachment) -> Answer:
    return answers.json(request, attachment_json(file))


_READERS: dict[str, tuple[Reader, str, tuple[Parameter, ...]]] = {
    "data": (data, "The plain bytes", (_FILENAME,)),
    "compressed-data": (compressed_data, "The stored bytes", (_FILENAME,)),
    "size": (_text(lambda file: file.uncompressed_size), "The plain size in bytes", ()),
    "compressed-size": (_text(lambda file: file.compressed_size), "The stored size in bytes", ()),
    "md5": (_checksum(lambda file: file.uncompressed_md5), "MD5 of the plain bytes", ()),
    "compressed-md5": (_checksum(lambda file: file.compressed_md5), "MD5 of the stored bytes", ()),
    "is-compressed": (_text(lambda file: int(file.compression == _COMPRESSED)), "Compression (0 or 1)", ()),
    "info": (_info, "All that is known", ()),
}
