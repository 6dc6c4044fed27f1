"""The arguments that say how a picture is to be made (PS3.18 8.3.5), read from a query.

What does not make sense is refused with what is allowed; nothing of it is guessed.
"""

from __future__ import annotations

import math
import re

from ithil import error_codes as codes
from ithil.archive.rendering import View
from ithil.error_codes import CodedError
from ithil.http.request import Request
from ithil.http.routing import Parameter
from ithil.pixels.image_formats import DEFAULT_QUALITY
from ithil.pixels.resize import MAXIMUM_SIDE
from ithil.pixels.viewport import Viewport

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?\Z")
_INTEGER = re.compile(r"[0-9]{1,9}\Z")
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_PROFILES = ("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3")
_LARGEST_EXTENT = 1_000_000.0

PARAMETERS = (
    Parameter("viewport", "Width and height that the picture is to fit into, then maybe x, y, width and height "
              "of the part of the image to show; a negative width or height of the part mirrors it"),
    Parameter("window", "Centre, width and linear, linear-exact or sigmoid"),
    Parameter("quality", "Quality of JPEG, from 1 to 100; 90 without it"),
    Parameter("annotation", "patient or technique; accepted, but nothing is written into pictures"),
    Parameter("iccprofile", "no, yes or a colour space; pictures are sRGB and carry no profile"),
    Parameter("accept", "Media type, in place of the header Accept"),
)  # fmt: skip
"""For the documentation of routes."""


def bad(details: str) -> CodedError:
    """The refusal of an argument."""
    return CodedError(codes.BAD_REQUEST, details)


def view_of(request: Request, media_type: str) -> View:
    """How the picture is to be made. Raises CodedError (bad request)."""
    query = request.query
    center, width, function = _window(query.get("window"))
    if query.get("iccprofile", "no").lower() not in _PROFILES:
        raise bad(f'The argument "iccprofile" must be one of {", ".join(_PROFILES)}')
    return View(
        media_type=media_type,
        quality=whole_number(query, "quality", 1, 100) or DEFAULT_QUALITY,
        viewport=_viewport(query.get("viewport")),
        center=center,
        width=width,
        function=function,
    )


def warnings_of(request: Request) -> list[str]:
    """What is asked for and not done (PS3.18 8.3.5.1.1)."""
    wanted = request.query.get("annotation", "")[:256]
    values = [word for word in ("patient", "technique") if word in wanted.lower().split(",")]
    return [f"The following annotation values are not supported: {','.join(values)}"] if values else []


def warning_header(texts: list[str]) -> dict[str, str]:
    """The header `Warning` (PS3.18 8.4.4) for these texts, none if there are none."""
    return {"Warning": ", ".join(f'299 ithil "{text}"' for text in texts)} if texts else {}


def whole_number(query: dict[str, str], name: str, smallest: int, largest: int) -> int | None:
    """An argument that is a whole number, None if it is absent. Raises CodedError (bad request)."""
    text = query.get(name)
    if text is None:
        return None
    if not _INTEGER.match(text) or not smallest <= int(text) <= largest:
        raise bad(f'The argument "{name}" must be a number from {smallest} to {largest}')
    return int(text)


def decimal(text: str) -> float | None:
    """A finite decimal number, None for anything else."""
    text = text.strip()
    value = float(text) if len(text) <= 40 and _NUMBER.match(text) else math.nan
    return value if math.isfinite(value) else None


def _viewport(text: str | None) -> Viewport | None:
    if text is None:
        return None
    parts = text.split(",", 6)
    if len(parts) not in (2, 6):
        raise bad('The argument "viewport" must have 2 or 6 numbers, separated by commas')
    for part in parts[:2]:
        if not _INTEGER.match(part) or not 0 < int(part) <= MAXIMUM_SIDE:
            raise bad(f'Width and height of the argument "viewport" must be from 1 to {MAXIMUM_SIDE}')
    width, height = int(parts[0]), int(parts[1])
    numbers = [decimal(part) if part.strip() else 0.0 for part in parts[2:]]
    if any(number is None or abs(number) > _LARGEST_EXTENT for number in numbers):
        raise bad('The region of the argument "viewport" must be x, y, width and height in pixels')
    left, top, across, down = [number or 0.0 for number in numbers] or [0.0] * 4
    if left < 0 or top < 0:
        raise bad('The corner of the region of the argument "viewport" cannot be negative')
    return Viewport(width, height, left, top, across, down)


def _window(text: str | None) -> tuple[float | None, float | None, str | None]:
    if text is None:
        return None, None, None
    parts = text.split(",", 3)
    if len(parts) != 3:
        raise bad('The argument "window" must be a centre, a width and a function, separated by commas')
    center, width = decimal(parts[0]), decimal(parts[1])
    if center is None or width is None:
        raise bad('The centre and the width of the argument "window" must be numbers')
    if width <= 0:
        raise bad('The width of the argument "window" must be greater than 0')
    function = _FUNCTIONS.get(parts[2].strip().lower())
    if function is None:
        raise bad(f'The function of the argument "window" must be one of {", ".join(_FUNCTIONS)}')
    return center, width, function
