"""`/thumbnail`: a small picture of a study, a series, an instance or a frame (PS3.18 10.4.1.1.4).

It is a true thumbnail: scaled down smoothly, of the instance in the middle of the first series of images, and of
the frame in the middle of a cine loop. What has no picture has an icon, so that a list of studies never has a
hole; only what does not exist is not found.
"""

from __future__ import annotations

from dataclasses import replace

from ithil.archive import rendering
from ithil.archive.rendering import PICTURES
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.rendered import (
    PATHS,
    check_frames,
    negotiated,
    once,
    picture_headers,
    refusals,
    subject_for,
    target,
)
from ithil.dicomweb.rendering_arguments import PARAMETERS, bad, frame_numbers, view_of
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.pixels.viewport import Viewport

SIDE = 128
"""Pixels of the longer side of a thumbnail, unless a viewport is asked for."""


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
    with refusals():
        frame = _frame(request, subject)
        headers = picture_headers(request, level, subject, None if frame is None else [frame], view)

        def make() -> bytes:
            return rendering.thumbnail(archive, subject, frame, view)

        if wanted.in_parts:
            content = make()
            return related([Part(wanted.media_type, [content], len(content))], wanted.media_type)
        return once(request, headers, wanted.media_type, make)


def _frame(request: Request, subject: rendering.Subject) -> int | None:
    listed = request.arguments.get("frames")
    if listed is None:
        return None
    numbers = frame_numbers(listed)
    if len(numbers) != 1:
        raise bad("A thumbnail shows one frame")
    check_frames(request.context.archive, subject, numbers)
    return numbers[0]
