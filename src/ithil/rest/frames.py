"""The frames of an instance as they are stored: their list, their bytes, and the PDF that one may hold instead."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from ithil import error_codes as codes
from ithil.archive import frames, retrieve
from ithil.archive.frames import StoredPixels
from ithil.dicom import dataset
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer, FilePart, Stream
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.pixels.errors import PixelError, UnsupportedPixels

GZIP = "application/gzip"
PDF = "application/pdf"

_JPEG, _JPEG_2000, _MPEG, _MP4 = "image/jpeg", "image/jp2", "video/mpeg", "video/mp4"
_FIRST = "1.2.840.10008.1.2.4."
_MEDIA_TYPES = {
    "50": _JPEG,
    **dict.fromkeys(("90", "91", "92", "93"), _JPEG_2000),
    **dict.fromkeys(("100", "100.1", "101", "101.1"), _MPEG),
    **dict.fromkeys(("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1"), _MP4),
    **dict.fromkeys(("107", "108"), _MP4),
}
_FRAME_NUMBER = re.compile(r"[+-]?[0-9]{1,10}\Z")
_MOST_FRAMES = 1 << 32
_ENCAPSULATED_DOCUMENT, _MEDIA_TYPE_OF_DOCUMENT = 0x00420011, 0x00420012
_DOCUMENT_LENGTH = 0x00420015  # without the byte that makes the length of the element even


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/instances/{id}/frames/{frame}"
    return [
        Route(
            "GET", "/instances/{id}/frames", get_frames, "The numbers of the frames, from 0", cacheable=True
        ),
        Route(
            "GET",
            f"{one}/raw",
            get_raw,
            "The stored bytes of a frame",
            cacheable=True,
            answers=(answers.BINARY, _JPEG, _JPEG_2000, _MPEG, _MP4),
            fails=(500,),
        ),
        Route(
            "GET",
            f"{one}/raw.gz",
            get_raw_gzip,
            "The stored bytes of a frame, in gzip",
            answers=GZIP,
            fails=(500,),
        ),
        Route(
            "GET",
            "/instances/{id}/pdf",
            get_pdf,
            "The PDF that the instance encapsulates",
            cacheable=True,
            answers=PDF,
        ),
    ]


def find_pixels(request: Request) -> StoredPixels:
    """The pixels of the instance of a request. Raises CodedError (unknown resource), PixelError."""
    pixels = frames.pixels_of(request.context.archive, request.arguments["id"])
    if pixels is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return pixels


def frame_number(request: Request) -> int | None:
    """The frame in the path of a request, 0 if the path has none, None if it is no number."""
    text = request.arguments.get("frame", "0")
    number = int(text) if _FRAME_NUMBER.match(text) else _MOST_FRAMES
    return number if -_MOST_FRAMES < number < _MOST_FRAMES else None


def check_frame(pixels: StoredPixels, frame: int) -> None:
    """Raises CodedError (out of range) if there is no such frame."""
    if not 0 <= frame < pixels.count:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE)


def not_decodable(error: PixelError) -> CodedError:
    """What programs are told about pixel data that cannot be decoded; people get a 415."""
    return CodedError(codes.NOT_IMPLEMENTED, str(error))


def get_frames(request: Request) -> Answer:
    """`GET /instances/{id}/frames`; an instance without pixel data counts as one frame."""
    try:
        count = find_pixels(request).count
    except PixelError:
        count = 1
    return answers.json(request, list(range(count)))


def get_raw(request: Request) -> Answer:
    """`GET /instances/{id}/frames/{frame}/raw`: one part of the file, or all its fragments together."""
    found = _stored_frame(request)
    if found is None:
        return answers.missing()
    pixels, frame = found
    media_type = _MEDIA_TYPES.get(pixels.description.syntax.uid.removeprefix(_FIRST), answers.BINARY)
    ranges = frames.frame_ranges(pixels, frame)
    if len(ranges) == 1 and pixels.inline is None and not pixels.in_big_endian:
        start, length = ranges[0]
        return Answer(FilePart(pixels.file, start, start + length), media_type)
    length = sum(size for _, size in ranges)
    pieces = frames.raw_pieces(request.context.archive, pixels, frame)
    return Answer(Stream(pieces, length) if length else b"", media_type)


def get_raw_gzip(request: Request) -> Answer:
    """`GET /instances/{id}/frames/{frame}/raw.gz`."""
    found = _stored_frame(request)
    if found is None:
        return answers.missing()
    pixels, frame = found
    return Answer(Stream(_gzipped(frames.raw_pieces(request.context.archive, pixels, frame))), GZIP)


def get_pdf(request: Request) -> Answer:
    """`GET /instances/{id}/pdf`: Encapsulated Document (PS3.3 C.24.2); 404 if it is none, or no PDF."""
    archive = request.context.archive
    header = retrieve.header(archive, request.arguments["id"])
    if header is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    parsed = dataset.parse(header)
    document, kind = parsed.find(_ENCAPSULATED_DOCUMENT), parsed.find(_MEDIA_TYPE_OF_DOCUMENT)
    if document is None or kind is None or bytes(kind.value).strip(b" \0") != PDF.encode():
        return answers.missing()
    length = parsed.find(_DOCUMENT_LENGTH)
    content = bytes(document.value)
    if length is not None and len(length.value) == 4:
        announced = int.from_bytes(length.value, "big" if parsed.big_endian else "little")
        if announced == len(content) - 1:
            content = content[:announced]
    return Answer(content, PDF)


def _stored_frame(request: Request) -> tuple[StoredPixels, int] | None:
    """The frame that a request for raw bytes names; None if its number is none. Raises CodedError."""
    try:
        pixels = find_pixels(request)
    except UnsupportedPixels as error:
        raise not_decodable(error) from error
    frame = frame_number(request)
    if frame is None:
        return None
    check_frame(pixels, frame)
    return pixels, frame


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    deflater = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for piece in pieces:
        yield deflater.compress(piece)
    yield deflater.flush()
