"""Frames as pictures: preview, rendered, and the stored values in 8 and 16 bits, as PNG, JPEG or PAM.

People and web pages ask these, so refusals are plain statuses without a body, as Orthanc's are: 404 for what is
not there, 415 for what cannot be decoded (or the way to a picture that says so), 406 for a format that is
not offered.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ithil import error_codes as codes
from ithil.archive import frames
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean, unsigned
from ithil.http.routing import Parameter, Route, Runs
from ithil.pixels import image_formats, render, resize
from ithil.pixels.decode import Samples
from ithil.pixels.description import PixelDescription
from ithil.pixels.errors import PixelError
from ithil.pixels.image_formats import JPEG, PAM, PNG
from ithil.rest.frames import frame_number

Show = Callable[[Request, PixelDescription, Samples, int], NDArray[Any]]
Handler = Callable[[Request], Answer]

UNSUPPORTED_IMAGE = "app/images/unsupported.png"
_TEMPORARILY = 307
_MOST_RANGES = 64  # of an Accept header
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")

_COMMON = (
    Parameter("quality", "Quality of JPEG, from 1 to 100; 90 without it"),
    Parameter("returnUnsupportedImage", "Redirect to a picture that says so if the frame cannot be shown"),
)
_RENDERED = (
    Parameter("window-center", "Centre of the window instead of the header's"),
    Parameter("window-width", "Width of the window instead of the header's"),
    Parameter("width", "Largest width of the picture, whose shape is kept"),
    Parameter("height", "Largest height of the picture, whose shape is kept"),
    Parameter("smooth", "Blur before making the picture smaller (0 or 1)"),
    *_COMMON,
)


def routes() -> list[Route]:
    """The routes of this module."""
    table = [
        Route(
            "GET",
            f"/{UNSUPPORTED_IMAGE}",
            get_unsupported_image,
            "The picture that stands for one that cannot be shown",
            cacheable=True,
            answers=PNG,
        )
    ]
    for name, (show, summary, parameters) in _PICTURES.items():
        for path, which in (
            ("/instances/{id}", "the first frame"),
            ("/instances/{id}/frames/{frame}", "a frame"),
        ):
            table.append(
                Route(
                    "GET",
                    f"{path}/{name}",
                    picture(show),
                    summary.format(which),
                    parameters,
                    cacheable=True,
                    runs=Runs.BY_CORE,
                    answers=image_formats.FORMATS,
                    fails=(307, 404, 406, 415),
                )
            )
    return table


def picture(show: Show) -> Handler:
    """The handler that answers with what `show` makes of a frame."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        try:
            pixels = frames.pixels_of(archive, request.arguments["id"])
            frame = frame_number(request)
            if pixels is None or frame is None or not 0 <= frame < pixels.count:
                return answers.missing()
            description = pixels.description
            samples = frames.decoded(archive, pixels, frame)
            shown = show(request, description, samples, frame)
        except PixelError:
            return _unsupported(request)
        media_type = _acceptable(request.headers.get("accept"), shown.dtype)
        if media_type is None:
            return Answer(status=codes.STATUSES[codes.NOT_ACCEPTABLE])
        return Answer(image_formats.encode(shown, media_type, _quality(request)), media_type)

    return handle


def get_unsupported_image(_request: Request) -> Answer:
    """`GET /app/images/unsupported.png`."""
    return Answer(unsupported_image(), PNG)


@cache
def unsupported_image() -> bytes:
    """A grey square that is crossed out."""
    side = 256
    rows, columns = np.ogrid[:side, :side]
    on_cross = (abs(rows - columns) < 6) | (abs(rows + columns - side + 1) < 6)
    inside = (rows >= 48) & (rows < side - 48) & (columns >= 48) & (columns < side - 48)
    return image_formats.encode(np.where(on_cross & inside, 192, 64).astype(np.uint8), PNG)


def _preview(_request: Request, description: PixelDescription, samples: Samples, _frame: int) -> Samples:
    return render.preview(description, samples)


def _rendered(request: Request, description: PixelDescription, samples: Samples, frame: int) -> Samples:
    height, width = unsigned(request.query, "height", 0), unsigned(request.query, "width", 0)
    smooth = boolean(request.query, "smooth")
    try:
        resize.fitted_size(description.rows, description.columns, height, width)
    except PixelError as error:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, str(error)) from error
    shown = render.rendered(
        description,
        samples,
        frame,
        center=_number(request, "window-center"),
        width=_number(request, "window-width"),
    )
    return resize.fit(shown, height, width, smooth=smooth)


def _clamped(dtype: type[np.integer]) -> Show:
    def show(_request: Request, description: PixelDescription, samples: Samples, _frame: int) -> Samples:
        return render.clamped(description, samples, dtype)

    return show


_PICTURES: dict[str, tuple[Show, str, tuple[Parameter, ...]]] = {
    "preview": (_preview, "A picture of {}, its values stretched to 8 bits", _COMMON),
    "rendered": (_rendered, "A picture of {} through a window", _RENDERED),
    "image-uint8": (_clamped(np.uint8), "The grey values of {} cut to 8 bits", _COMMON),
    "image-uint16": (_clamped(np.uint16), "The grey values of {} in 16 bits", _COMMON),
    "image-int16": (_clamped(np.int16), "The grey values of {} in 16 bits with a sign", _COMMON),
}


def _unsupported(request: Request) -> Answer:
    if "returnUnsupportedImage" not in request.query:
        return Answer(status=codes.STATUSES[codes.UNSUPPORTED_MEDIA_TYPE])
    up = "../" * (len(request.path.strip("/").split("/")) - 1)
    return Answer(status=_TEMPORARILY, headers={"Location": up + UNSUPPORTED_IMAGE})


def _number(request: Request, name: str) -> float | None:
    """A decimal argument, None if it is not there. Raises CodedError (bad type)."""
    text = request.query.get(name)
    if text is None:
        return None
    value = float(text) if len(text) <= 64 and _FLOAT.match(text) else math.nan
    if not math.isfinite(value):
        raise CodedError(codes.BAD_PARAMETER_TYPE, f'The argument "{name}" must be a number')
    return value


def _quality(request: Request) -> int:
    quality = unsigned(request.query, "quality", image_formats.DEFAULT_QUALITY)
    if not 1 <= quality <= 100:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The argument "quality" must be from 1 to 100')
    return quality


def _acceptable(header: str | None, dtype: np.dtype[Any]) -> str | None:
    """The media type that a client likes best among those that can hold the picture (RFC 9110 12.5.1)."""
    offered = [media_type for media_type in (PNG, JPEG, PAM) if image_formats.can_hold(media_type, dtype)]
    if header is None or not header.strip():
        return PNG
    best, best_weight = None, 0.0
    for item in header.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        wanted, *parameters = (part.strip().lower() for part in item.split(";"))
        matching = [name for name in offered if wanted in (name, "*/*", "image/*")]
        weight = _weight(parameters)
        if matching and weight > best_weight:
            best, best_weight = matching[0], weight
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            return float(parameter[2:]) if re.fullmatch(r"[01](\.[0-9]{0,3})?", parameter[2:]) else 0.0
    return 1.0
