"""`/thumbnail`: a small picture of a study, a series, an instance or a frame (PS3.18 10.4.1.1.4).

It is a true thumbnail: scaled down smoothly, of the instance in the middle of the first series of images, and of
the frame in the middle of a cine loop. What has no picture has an icon, and so has what cannot be read now, so
that a list of studies never has a hole; only what does not exist is not found.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from ithil.archive import rendering
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.rendering import PICTURES, Kind, Subject, View
from ithil.dicomweb.frame_list import frame_numbers
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.rendered import (
    PATHS,
    Wanted,
    check_frames,
    negotiated,
    once,
    picture_headers,
    refusals,
    subject_for,
    target,
)
from ithil.dicomweb.rendering_arguments import PARAMETERS, bad, view_of
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route, Runs
from ithil.pixels.errors import PixelError
from ithil.pixels.viewport import Viewport

SIDE = 128
"""Pixels of the longer side of a thumbnail, unless a viewport is asked for."""

_FRESH = 60
"""Seconds for which a client need not ask again: a list of studies is drawn anew at every step of its reader,
and a small picture decides nothing."""


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            f"{path}/thumbnail",
            get_thumbnail,
            f"A small picture of {noun}",
            PARAMETERS,
            cacheable=True,
            runs=Runs.BY_CORE,
            answers=PICTURES,
            fails=(404, 406),
        )
        for path, noun in PATHS
    ]


def get_thumbnail(request: Request) -> Answer:
    """All routes of this module. Raises CodedError 400, 404 or 406."""
    archive = request.context.archive
    level, public_id = target(request)
    wanted = negotiated(request, PICTURES)
    view = view_of(request, wanted.media_type)
    if view.viewport is None:
        view = replace(view, viewport=Viewport(SIDE, SIDE, enlarge=False))
    subject = subject_for(archive, level, public_id)
    listed = request.arguments.get("frames")
    number = None if listed is None else _only(frame_numbers(listed))
    with refusals():
        try:
            return _of_pixels(request, subject, number, view, wanted)
        except (FileMissing, FileCorrupted):
            # The file may be there again the next time, so nobody is to keep the icon, or take it for the picture.
            answer = _answer(wanted, rendering.icon(archive, subject, view))
            answer.headers = {"Cache-Control": "no-store", "Vary": "Accept"}
            answer.keep = False
            return answer


def _of_pixels(request: Request, subject: Subject, number: int | None, view: View, wanted: Wanted) -> Answer:
    """The picture, or the icon of what has none. Raises what reading a file raises, PixelError for a viewport."""
    archive = request.context.archive
    if number is not None:
        check_frames(archive, subject, [number])
    shown = subject
    if subject.kind is Kind.PRESENTATION:
        with suppress(PixelError):
            shown, (number,), view = rendering.presented(archive, subject, [number or 0], view)
    headers = picture_headers(request, shown, None if number is None else [number], view)
    headers["Cache-Control"] = f"private, max-age={_FRESH}"

    def make() -> bytes:
        return rendering.thumbnail(archive, shown, number, view)

    if wanted.in_parts:
        return _answer(wanted, make())
    return once(request, headers, wanted.media_type, make)


def _answer(wanted: Wanted, content: bytes) -> Answer:
    if wanted.in_parts:
        return related([Part(wanted.media_type, [content], len(content))], wanted.media_type)
    return Answer(content, wanted.media_type)


def _only(numbers: list[int]) -> int:
    if len(numbers) != 1:
        raise bad("A thumbnail shows one frame")
    return numbers[0] - 1
