"""The part of a picture that is asked for and the size to show it in (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ithil.pixels import resize
from ithil.pixels.errors import PixelError
from ithil.pixels.render import Picture

MOST_GROWN = 1 << 24
"""Pixels of the largest picture that is larger than the part of the image that it shows.

It is more than a screen has. What the image has may be shown beyond that; what is only made up in between
costs the server time and memory without an end, for the price of one line.
"""


@dataclass(frozen=True, slots=True)
class Viewport:
    """Where a picture is to fit, and the part of the image to show in it.

    Attributes:
        width, height: the room for the picture, in pixels; 0 does not limit a side.
        left, top: the corner of the part, in pixels of the image.
        region_width, region_height: the size of the part, 0 for all that remains. Negative ones turn the
            picture round: left becomes right, top becomes bottom.
        enlarge: whether a picture that is smaller than the room grows.
        relative: whether the part is told in fractions of the image, from 0 to 1, instead of pixels.
    """

    width: int = 0
    height: int = 0
    left: float = 0.0
    top: float = 0.0
    region_width: float = 0.0
    region_height: float = 0.0
    enlarge: bool = True
    relative: bool = False


class OutsideOfImage(PixelError):
    """The part that is asked for has no pixel of the image."""


def show(picture: Picture, viewport: Viewport) -> Picture:
    """The part of `picture`, as large as fits into the room without a change of its shape.

    A part that goes beyond the image ends where the image ends. Raises OutsideOfImage for one that has
    nothing of the image, TooLarge for a size beyond the bounds.
    """
    rows, columns = picture.shape[:2]
    top, bottom, left, right = _part(rows, columns, viewport)
    part = picture[top:bottom, left:right]
    if viewport.region_width < 0:
        part = part[:, ::-1]
    if viewport.region_height < 0:
        part = part[::-1]
    return resize.smooth(part, *size_of(rows, columns, viewport))


def size_of(rows: int, columns: int, viewport: Viewport) -> tuple[int, int]:
    """The rows and columns that `show` makes of a picture with so many; raises what it raises."""
    top, bottom, left, right = _part(rows, columns, viewport)
    shape = bottom - top, right - left
    height, width = viewport.height, viewport.width
    if not viewport.enlarge and shape[0] <= (height or shape[0]) and shape[1] <= (width or shape[1]):
        return shape
    size = resize.fitted_size(*shape, height, width)
    if size[0] * size[1] > max(MOST_GROWN, shape[0] * shape[1]):
        raise resize.TooLarge(f"A picture grows to {MOST_GROWN} pixels at most")
    return size


def most_pixels(pixels: int, viewport: Viewport) -> int:
    """What `show` makes of a picture with so many pixels, of whatever shape, has no more than this."""
    room = viewport.width * viewport.height or MOST_GROWN
    return max(pixels, min(room, MOST_GROWN) if viewport.enlarge else 0)


def _part(rows: int, columns: int, viewport: Viewport) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is to be shown."""
    across, down = (columns, rows) if viewport.relative else (1, 1)
    left, right = _extent(viewport.left * across, viewport.region_width * across, columns)
    top, bottom = _extent(viewport.top * down, viewport.region_height * down, rows)
    return top, bottom, left, right


def _extent(start: float, length: float, size: int) -> tuple[int, int]:
    """The first pixel and the one behind the last, of `size` pixels."""
    end = start + abs(length) if length else float(size)
    first, last = max(math.floor(start + 0.5), 0), min(math.floor(end + 0.5), size)
    if first == last and 0 <= start < size:
        first, last = int(start), int(start) + 1  # less than a pixel is one
    if first >= last:
        raise OutsideOfImage("The region is outside of the image")
    return first, last


def turned(picture: Picture, quarters: int, *, mirrored: bool) -> Picture:
    """A picture after `quarters` rotations by 90 degrees clockwise, then mirrored left to right."""
    picture = np.rot90(picture, -quarters)
    return picture[:, ::-1] if mirrored else picture
