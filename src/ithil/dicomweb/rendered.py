"""`/rendered`: instances as people see them (PS3.18 10.4.1.1.3).

An image becomes a picture, an animation where several frames are asked for as GIF; a video and a document are
what they are, taken out of the DICOM file. A study or a series is shown by one instance unless the client asks
for several parts; then each of its pictures is one. A presentation state shows the image that it is for.

An instance may be deleted or stored anew under the same address, and so may the image of a presentation state. So
a client may keep an answer, but asks each time whether it is still right; its tag names all files that went into
it, which takes no look at any pixel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from ithil import error_codes as codes
from ithil.archive import documents, rendering, resources, stored_frames, uids
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.rendering import GIF, PICTURES, Kind, Subject, TooMuch, View
from ithil.archive.representative import representative
from ithil.dicom.errors import DicomError
from ithil.dicom.level import Level
from ithil.dicomweb.frame_list import frame_numbers
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.rendering_arguments import (
    PARAMETERS,
    bad,
    view_of,
    warning_header,
    warnings_of,
)
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.accept import MediaRange, accepted, preferred, unwrapped
from ithil.http.answers import Answer, FilePart, Stream
from ithil.http.request import Request
from ithil.http.routing import Route, Runs
from ithil.pixels.errors import PixelError
from ithil.pixels.resize import TooLarge
from ithil.pixels.viewport import OutsideOfImage

MPEG, MP4 = "video/mpeg", "video/mp4"
_MPEG_2 = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("100", "100.1", "101", "101.1"))

PATHS = (
    ("/studies/{study}", "a study"),
    ("/studies/{study}/series/{series}", "a series"),
    ("/studies/{study}/series/{series}/instances/{instance}", "an instance"),
    ("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", "frames"),
)
"""What can be shown, and how the documentation calls it."""

ANSWERS = (*PICTURES, MP4, MPEG, "application/pdf", "text/xml", "model/stl", "multipart/related")

ASK_EACH_TIME = "private, no-cache"
"""`Cache-Control` of what may be kept, and is asked about each time."""


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            f"{path}/rendered",
            get_rendered,
            f"A picture of {noun}; a video or a document as it is",
            PARAMETERS,
            cacheable=True,
            runs=Runs.BY_CORE,
            answers=ANSWERS,
            fails=(404, 406, 413),
            ranges=True,
        )
        for path, noun in PATHS
    ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The media type of an answer, and whether it is to come in parts."""

    media_type: str
    in_parts: bool = False


def get_rendered(request: Request) -> Answer:
    """All routes of this module. Raises CodedError 400, 404, 406 or 413."""
    archive = request.context.archive
    level, public_id = target(request)
    if level != Level.INSTANCE and unwrapped(accepted(request)[0])[0]:
        return _all_of(request, level, public_id)
    subject = subject_for(archive, level, public_id)
    if subject.kind in (Kind.VIDEO, Kind.DOCUMENT) and "frames" not in request.arguments:
        return file_inside(request, subject, negotiated(request, (inner_type(subject),)))
    wanted = negotiated(request, PICTURES if subject.kind in (Kind.PICTURE, Kind.PRESENTATION) else ())
    view = view_of(request, wanted.media_type)
    with refusals():
        numbers = _frames(request, archive, subject, wanted)
        shown, numbers, view = rendering.presented(archive, subject, numbers, view)
        return pictures(request, shown, numbers, view, wanted)


def target(request: Request) -> tuple[Level, str]:
    """The level and the public id of what a path names. Raises CodedError (404)."""
    arguments = request.arguments
    study, series, instance = (arguments.get(name, "") for name in ("study", "series", "instance"))
    found = uids.public_ids(request.context.archive, study, series, instance)
    if not found:
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such study, series or instance")
    level = Level.INSTANCE if instance else Level.SERIES if series else Level.STUDY
    return level, found[0]


def subject_for(archive: Archive, level: Level, public_id: str) -> Subject:
    """The instance that is shown for a resource. Raises CodedError (404) if it is deleted meanwhile."""
    instance = representative(archive, level, public_id)
    subject = None if instance is None else rendering.subject_of(archive, instance)
    if subject is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return subject


def negotiated(request: Request, offered: Sequence[str]) -> Wanted:
    """What of the offered media types the client likes best. Raises CodedError (406) that names them."""
    for wish in accepted(request):
        in_parts, inside = unwrapped(wish)
        if in_parts and inside.media_type == answers.BINARY:
            inside = MediaRange("*/*", {})  # viewers ask for parts of any kind like this
        found = preferred([inside], offered)
        if found is not None:
            return Wanted(found, in_parts)
    if not offered:
        raise CodedError(codes.NOT_ACCEPTABLE, "There is no picture of this instance")
    raise CodedError(codes.NOT_ACCEPTABLE, f"This can be had as {', '.join(offered)}")


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what cannot be shown into the statuses of PS3.18 10.4.3."""
    try:
        yield
    except (OutsideOfImage, TooLarge) as error:
        raise bad(str(error)) from error
    except TooMuch as error:
        raise CodedError(codes.NOT_ENOUGH_MEMORY, str(error), status=413) from error
    except (PixelError, DicomError) as error:
        raise CodedError(codes.NOT_ACCEPTABLE, f"It cannot be shown: {error}") from error


def _frames(request: Request, archive: Archive, subject: Subject, wanted: Wanted) -> list[int]:
    """The frames to show, counted from 0."""
    listed = request.arguments.get("frames")
    if listed is not None:
        numbers = [number - 1 for number in frame_numbers(listed)]
        check_frames(archive, subject, numbers)
        return numbers
    if subject.kind is Kind.PICTURE and (wanted.in_parts or wanted.media_type == GIF):
        return list(range(rendering.frame_count(archive, subject)))
    return [0]


def check_frames(archive: Archive, subject: Subject, numbers: Sequence[int]) -> None:
    """Raises CodedError (bad request) that tells how many frames there are if one of them is not."""
    if subject.kind is not Kind.PICTURE or not any(numbers):
        return  # there is always a first one
    count = rendering.frame_count(archive, subject)
    if max(numbers) >= count:
        raise bad(f"The frames of this instance are numbered from 1 to {count}")


def pictures(request: Request, subject: Subject, numbers: list[int], view: View, wanted: Wanted) -> Answer:
    """One frame of an image as a picture; several, counted from 0, as an animation or as parts.

    Raises PixelError.
    """
    archive = request.context.archive
    headers = picture_headers(request, subject, numbers, view)
    if len(numbers) > 1 and wanted.media_type == GIF and not wanted.in_parts:
        known = answers.not_modified(request, headers["ETag"])
        if known is not None:
            known.headers |= headers
            return known
        return Answer(Stream(rendering.animation(archive, subject, numbers, view)), GIF, headers=headers)
    if len(numbers) > 1 or wanted.in_parts:
        del headers["ETag"]
        parts = (_part(rendering.picture(archive, subject, number, view), view) for number in numbers)
        answer = _related(parts, view.media_type)
        answer.headers |= headers
        return answer
    return once(
        request, headers, view.media_type, lambda: rendering.picture(archive, subject, numbers[0], view)
    )


def once(request: Request, headers: dict[str, str], media_type: str, make: Callable[[], bytes]) -> Answer:
    """The answer with one picture, or 304 without making it if the client has it."""
    known = answers.not_modified(request, headers["ETag"])
    if known is not None:
        known.headers |= headers
        return known
    return Answer(make(), media_type, headers=headers)


def picture_headers(
    request: Request, subject: Subject, frames: list[int] | None, view: View
) -> dict[str, str]:
    """Headers of an answer with pictures: how to ask whether it has changed, warnings.

    `subject` is what is drawn and `view` has the presentation state, as `rendering.presented` gives them.
    """
    key = (subject.file.uuid, frames, view, rendering.VERSION)
    warnings = warnings_of(request)
    if view.state is not None and rendering.has_graphics(request.context.archive, view.state):
        warnings.append("The graphic annotations of the presentation state are not drawn")
    return {
        "ETag": f'"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"',
        "Cache-Control": ASK_EACH_TIME,
        "Vary": "Accept",
        **warning_header(warnings),
    }


def _part(content: bytes, view: View) -> Part:
    return Part(view.media_type, [content], len(content))


def _related(parts: Iterator[Part], media_type: str) -> Answer:
    """An answer of parts, of which the first is made at once, so that what cannot be shown is a refusal."""
    first = next(parts, None)
    if first is None:
        raise CodedError(codes.NOT_ACCEPTABLE, "There is no picture here")
    return related(chain([first], parts), media_type)


def _all_of(request: Request, level: Level, public_id: str) -> Answer:
    """Each picture of a study or a series as a part; what is none is left out."""
    archive = request.context.archive
    wanted = negotiated(request, PICTURES)
    view = view_of(request, wanted.media_type)
    instances = resources.descendants(archive, level, public_id, Level.INSTANCE) or []

    def parts() -> Iterator[Part]:
        for instance in instances:
            subject = rendering.subject_of(archive, instance)
            if subject is None or subject.kind is not Kind.PICTURE:
                continue
            try:
                yield _part(rendering.picture(archive, subject, 0, view), view)
            except (PixelError, FileMissing, FileCorrupted):
                continue

    answer = _related(parts(), view.media_type)
    answer.keep = False  # what cannot be read now may be read the next time
    answer.headers |= warning_header(warnings_of(request))
    return answer


def inner_type(subject: Subject) -> str:
    """The media type of a video or a document."""
    if subject.kind is Kind.VIDEO:
        return MPEG if subject.transfer_syntax in _MPEG_2 else MP4
    return documents.media_type(subject.sop_class) or answers.BINARY


def file_inside(request: Request, subject: Subject, wanted: Wanted) -> Answer:
    """A video or a document as it is, or the part of it that `Range` asks for. Raises CodedError."""
    archive = request.context.archive
    tag = f'"{subject.file.uuid}"'
    headers = {"ETag": tag, "Cache-Control": ASK_EACH_TIME, "Vary": "Accept"}
    known = answers.not_modified(request, tag)
    if known is not None:
        known.headers |= headers
        return known
    with refusals():
        body, section = (
            _video(archive, subject) if subject.kind is Kind.VIDEO else _document(archive, subject)
        )
    if wanted.media_type == "text/xml":
        headers["Content-Security-Policy"] = "sandbox"  # scripts of a stranger's document must not run here
    if wanted.in_parts:
        size = body.end - body.start if isinstance(body, FilePart) else body.length or 0
        return related([Part(wanted.media_type, section(0, size), size)], wanted.media_type)
    return answers.part_of(request, Answer(body, wanted.media_type, headers=headers), tag, section)


Section = Callable[[int, int], Iterator[bytes]]


def _document(archive: Archive, subject: Subject) -> tuple[FilePart | Stream, Section]:
    found = documents.document_of(archive, subject.file, subject.sop_class)

    def section(start: int, end: int) -> Iterator[bytes]:
        return documents.pieces(archive, found, start, end)

    if found.inline is not None:
        return Stream(section(0, found.size), found.size), section
    return FilePart(found.file, found.start, found.end), section


def _video(archive: Archive, subject: Subject) -> tuple[FilePart | Stream, Section]:
    """The stream of a video: the fragments of its one frame, one after the other (PS3.5 8.2.5)."""
    located = uids.Located(subject.id, subject.transfer_syntax, subject.pixel_data_offset, subject.file)
    stored = stored_frames.stored_frames(archive, located)

    def section(start: int, end: int) -> Iterator[bytes]:
        return stored_frames.pieces(archive, stored, 0, start, end)

    ranges = stored.index.ranges(0)
    if len(ranges) == 1:
        start, length = ranges[0]
        return FilePart(subject.file, start, start + length), section
    return Stream(section(0, stored.size(0)), stored.size(0)), section
