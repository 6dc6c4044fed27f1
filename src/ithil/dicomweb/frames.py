"""Frames of an instance (PS3.18 10.4, resource Frames): one or some, alone or in parts, as stored or coded anew.

What a viewer asks most: a stored frame, by its number. That is one question to the index, and one read; all
else about the instance is remembered. An answer of ordinary size is made in one piece, so that it can be kept
and sent again; a larger one is read while it is sent.

The boundary between parts follows from what is sent. So the same request gets the same bytes each time, and a
client can fetch them range by range, as cornerstone does to show a coarse image early.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ithil import error_codes as codes
from ithil.archive import stored_frames as frames
from ithil.archive.archive import Archive
from ithil.archive.export.ahead import Work, in_order, shared_room, threads
from ithil.archive.retrieve import LARGEST_WHOLE_READ
from ithil.archive.stored_frames import StoredFrames
from ithil.archive.uids import locate
from ithil.dicomweb import multipart
from ithil.dicomweb.frame_list import frame_numbers
from ithil.dicomweb.links import instance_link, service_root
from ithil.dicomweb.multipart import Part
from ithil.dicomweb.negotiation import Form, form_of_frames, wishes
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer, FilePart, Stream
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route
from ithil.pixels.errors import PixelError, UnsupportedPixels

LARGEST_AT_ONCE = 4 * 1024 * 1024
"""Bytes of the largest answer that is made in one piece."""

_MEGABYTE = 1024 * 1024
_THREADS = 2  # that code frames ahead of a client
_AHEAD = 4  # frames

ACCEPT = Parameter("accept", "What to answer with, in place of the header of that name")
_MEDIA_TYPES = ("multipart/related", "application/octet-stream", "image/*", "video/*")


def routes() -> list[Route]:
    """The routes of this module."""
    path = "/studies/{study}/series/{series}/instances/{instance}/frames"
    return [
        Route(
            "GET",
            one,
            get_frames,
            summary,
            (ACCEPT,),
            cacheable=True,
            answers=_MEDIA_TYPES,
            fails=(400, 406, 416),
            ranges=True,
        )
        for one, summary in (
            (path, "All frames of an instance"),
            (f"{path}/{{frames}}", "Frames of an instance by their numbers, from 1, between commas"),
        )
    ]


def get_frames(request: Request) -> Answer:
    """`GET .../frames` and `GET .../frames/{frames}`."""
    archive, names = request.context.archive, request.arguments
    numbers = frame_numbers(names["frames"]) if "frames" in names else None
    found = locate(archive, names["study"], names["series"], names["instance"])
    if found is None:
        raise CodedError(codes.INEXISTENT_ITEM, "There is no such instance")
    try:
        stored = frames.stored_frames(archive, found)
    except UnsupportedPixels as error:
        raise CodedError(codes.INEXISTENT_ITEM, str(error)) from error
    if numbers is None:
        numbers = list(range(1, stored.count + 1))
    if not numbers or max(numbers) > stored.count:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, f"The frames are numbered from 1 to {stored.count}")
    quality = archive.settings.dicom_lossy_transcoding_quality
    form = form_of_frames(
        wishes(request),
        stored.transfer_syntax,
        lambda syntax: frames.can_be_coded(archive, stored, syntax, quality),
    )
    return _answer(request, stored, numbers, form, quality)


def _answer(request: Request, stored: StoredFrames, numbers: list[int], form: Form, quality: int) -> Answer:
    root = service_root(request)
    alone = len(numbers) == 1 and not form.multipart
    digest = hashlib.md5(
        f"{stored.file.uuid} {numbers} {form} {alone} {quality} {root}".encode(), usedforsecurity=False
    ).hexdigest()
    tag = f'"{digest}"'
    known = answers.not_modified(request, tag)
    if known is not None:
        known.headers["Vary"] = "Accept"
        return known
    headers = {"ETag": tag, "Vary": "Accept"}
    names = request.arguments
    location = instance_link(root, names["study"], names["series"], names["instance"])
    section: multipart.Section | None
    if alone:
        answer = _alone(request.context.archive, stored, numbers[0], form, quality)
        headers["Content-Location"] = f"{location}/frames/{numbers[0]}"
        section = partial(frames.pieces, request.context.archive, stored, numbers[0] - 1)
    else:
        answer, section = _together(
            request.context.archive, stored, numbers, form, quality, f"{location}/frames/", digest
        )
    answer.headers = headers
    return answers.part_of(request, answer, tag, section)


def _alone(archive: Archive, stored: StoredFrames, number: int, form: Form, quality: int) -> Answer:
    """One frame and nothing else."""
    frame = number - 1
    if form.transfer_syntax != stored.transfer_syntax:
        return Answer(_coded(archive, stored, frame, form, quality), form.content_type)
    part = _part_of_file(stored, frame)
    if part is not None:
        return Answer(part, form.content_type)
    size = stored.size(frame)
    if size <= LARGEST_AT_ONCE:
        return Answer(frames.content(archive, stored, frame), form.content_type)
    return Answer(Stream(frames.pieces(archive, stored, frame, 0, size), size), form.content_type)


def _together(
    archive: Archive,
    stored: StoredFrames,
    numbers: list[int],
    form: Form,
    quality: int,
    location: str,
    boundary: str,
) -> tuple[Answer, multipart.Section | None]:
    """Frames in parts, and what gives a range of the bytes of the answer."""
    if form.transfer_syntax != stored.transfer_syntax:
        if len(numbers) > 1:
            coded = _coded_parts(archive, stored, numbers, form, quality, location)
            return multipart.related(coded, form.media_type, boundary=boundary), None
        content = _coded(archive, stored, numbers[0] - 1, form, quality)
        return _in_one_piece([content], [numbers[0]], form, location, boundary), None
    file_part = _part_of_file(stored, numbers[0] - 1) if len(numbers) == 1 else None
    if file_part is not None:
        part = Part(form.content_type, (), file_part.length, f"{location}{numbers[0]}")
        before, after = multipart.head(part, boundary), b"\r\n" + multipart.end(boundary)
        body = replace(file_part, before=before, after=after)
        return Answer(body, multipart.content_type(form.media_type, boundary)), None
    sizes = [stored.size(number - 1) for number in numbers]
    if sum(sizes) <= LARGEST_AT_ONCE:
        contents = [frames.content(archive, stored, number - 1) for number in numbers]
        return _in_one_piece(contents, numbers, form, location, boundary), None
    parts = []
    for number, size in zip(numbers, sizes, strict=True):
        section = partial(frames.pieces, archive, stored, number - 1)
        parts.append(Part(form.content_type, section(0, size), size, f"{location}{number}", section))
    return multipart.related(parts, form.media_type, boundary=boundary), multipart.section_of(parts, boundary)


def _part_of_file(stored: StoredFrames, frame: int) -> FilePart | None:
    """A frame that is best sent as a part of its file; None if it is better read now, or put together.

    Small files are kept in memory as a whole, so answers need not keep a copy of theirs; a large frame is read
    while it is sent. Of a large file with small frames, answers keep what was read.
    """
    ranges = stored.index.ranges(frame)
    if stored.pixels is not None or len(ranges) != 1:
        return None
    start, length = ranges[0]
    if length <= LARGEST_AT_ONCE and stored.file.uncompressed_size > LARGEST_WHOLE_READ:
        return None
    return FilePart(stored.file, start, start + length)


def _in_one_piece(
    contents: list[bytes], numbers: list[int], form: Form, location: str, boundary: str
) -> Answer:
    pieces = []
    for number, content in zip(numbers, contents, strict=True):
        part = Part(form.content_type, (), len(content), f"{location}{number}")
        pieces += [multipart.head(part, boundary), content, b"\r\n"]
    pieces.append(multipart.end(boundary))
    return Answer(b"".join(pieces), multipart.content_type(form.media_type, boundary))


def _coded_parts(
    archive: Archive, stored: StoredFrames, numbers: list[int], form: Form, quality: int, location: str
) -> Iterator[Part]:
    """Frames that are coded anew, some ahead of the one that is being sent."""
    settings = archive.settings
    works = (
        Work(partial(_coded, archive, stored, number - 1, form, quality), _MEGABYTE) for number in numbers
    )
    contents = in_order(
        threads(_THREADS),
        works,
        window=_AHEAD,
        capacity=settings.storage_memory_capacity * _MEGABYTE,
        room=shared_room(settings.storage_memory_capacity * _MEGABYTE),
    )
    try:
        for number, content in zip(numbers, contents, strict=True):
            yield Part(form.content_type, (content,), len(content), f"{location}{number}")
    finally:
        contents.close()


def _coded(archive: Archive, stored: StoredFrames, frame: int, form: Form, quality: int) -> bytes:
    try:
        return frames.coded(archive, stored, frame, form.transfer_syntax, quality)
    except PixelError as error:
        raise CodedError(codes.BAD_FILE_FORMAT, str(error), status=500) from error
