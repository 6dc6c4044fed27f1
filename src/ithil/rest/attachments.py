"""Stored files of resources: what there is, their sizes and checksums, and their bytes."""

from __future__ import annotations

from collections.abc import Callable

from ithil import error_codes as codes
from ithil.archive import retrieve
from ithil.archive.model import Attachment
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.rest import answers
from ithil.rest.answers import Answer, FilePart
from ithil.rest.metadata import resource_of
from ithil.rest.names import DICOM
from ithil.rest.ranges import requested_range
from ithil.rest.request import RestRequest, boolean
from ithil.rest.resource_json import attachment_json
from ithil.rest.routing import Parameter, Route

Handler = Callable[[RestRequest], Answer]
Reader = Callable[[RestRequest, Attachment], Answer]

_COMPRESSED = 2
_FILENAME = Parameter("filename", "The file name that the answer proposes")


def routes() -> list[Route]:
    """The routes of this module."""
    table = [Route("GET", "/instances/{id}/file", get_file, "The DICOM file", (_FILENAME,), cacheable=True)]
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


def get_file(request: RestRequest) -> Answer:
    """`GET /instances/{id}/file`."""
    file = retrieve.attachment(request.context.archive, Level.INSTANCE, request.arguments["id"], DICOM)
    if file is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return data(request, file)


def lister(level: Level) -> Handler:
    """`GET /{level}/{id}/attachments`."""

    def handle(request: RestRequest) -> Answer:
        numbers = sorted(resource_of(request, level).attachments)
        name = request.context.names.attachments.name
        if boolean(request.query, "full"):
            return answers.json(request, {name(number): number for number in numbers})
        return answers.json(request, [name(number) for number in numbers])

    return handle


def attached(level: Level, read: Reader) -> Handler:
    """A handler below `/{level}/{id}/attachments/{name}`: entity tag, 304, 404 and then `read`."""

    def handle(request: RestRequest) -> Answer:
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

    def handle(request: RestRequest) -> Answer:
        number = request.context.names.attachments.number(request.arguments["name"])
        file = resource_of(request, level).attachments.get(number)
        if file is None or not retrieve.verify(request.context.archive, file):
            return Answer(status=400)
        return answers.done()

    return handle


def operations(request: RestRequest, _file: Attachment) -> Answer:
    """The names that can follow the attachment's in a path."""
    found = request.context.router.match(["instances", "-", "attachments", "-"])
    return answers.json(request, found.node.child_names if found is not None else [])


def data(request: RestRequest, file: Attachment) -> Answer:
    """The plain bytes, or the part that `Range` asks for (RFC 9110 14)."""
    content_type = request.context.names.mime_types.get(file.content_type, answers.BINARY)
    name = request.query.get("filename") or (f"{file.uuid}.dcm" if file.content_type == DICOM else "")
    headers = answers.disposition(name) if name else {}
    return _part(request, file, file.uncompressed_size, content_type, headers, raw=False)


def compressed_data(request: RestRequest, file: Attachment) -> Answer:
    """The bytes as they are stored."""
    name = request.query.get("filename")
    headers = answers.disposition(name) if name else {}
    return _part(request, file, file.compressed_size, answers.BINARY, headers, raw=True)


def _part(
    request: RestRequest,
    file: Attachment,
    size: int,
    content_type: str,
    headers: dict[str, str],
    *,
    raw: bool,
) -> Answer:
    wanted = requested_range(request.headers.get("range"), size)
    if wanted is None:
        return Answer(FilePart(file, 0, size, raw), content_type, headers=headers)
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Answer(FilePart(file, start, end, raw), content_type, 206, headers)


def _find(request: RestRequest, level: Level) -> Attachment | None:
    number = request.context.names.attachments.number(request.arguments["name"])
    return retrieve.attachment(request.context.archive, level, request.arguments["id"], number)


def _text(value: Callable[[Attachment], object]) -> Reader:
    def read(_request: RestRequest, file: Attachment) -> Answer:
        return answers.text(str(value(file)))

    return read


def _checksum(value: Callable[[Attachment], str]) -> Reader:
    """A checksum; 404 if the archive does not compute them (`StoreMD5ForAttachments`)."""

    def read(_request: RestRequest, file: Attachment) -> Answer:
        return answers.text(value(file)) if value(file) else answers.missing()

    return read


def _info(request: RestRequest, file: Attachment) -> Answer:
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
