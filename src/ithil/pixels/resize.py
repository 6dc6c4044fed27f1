"""Pictures in another size.

`fit` does as Orthanc's REST API does: the nearest pixel, after a blur if wanted and smaller. `smooth` is for
viewers and thumbnails, where pixels that are left out would show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ithil.pixels.errors import PixelError
from ithil.pixels.render import Picture

MAXIMUM_SIDE = 16_384
"""The largest width or height that a picture is made in."""

MAXIMUM_PIXELS = 1 << 26
_KERNEL = (1, 4, 6, 4, 1)


class TooLarge(PixelError):
    """A picture beyond `MAXIMUM_SIDE` or `MAXIMUM_PIXELS`."""


def fitted_size(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the largest picture of the same shape that fits; 0 does not limit a side.

    Raises TooLarge if it would be larger than `MAXIMUM_SIDE` or `MAXIMUM_PIXELS`.
    """
    ratios = [wanted / has for wanted, has in ((height, rows), (width, columns)) if wanted]
    if not ratios:
        return rows, columns
    ratio = min(ratios)
    new = max(1, int(rows * ratio + 0.5)), max(1, int(columns * ratio + 0.5))
    if max(new) > MAXIMUM_SIDE or new[0] * new[1] > MAXIMUM_PIXELS:
        raise TooLarge(f"A picture has at most {MAXIMUM_PIXELS} pixels, and {MAXIMUM_SIDE} a side")
    return new


def fit(picture: Picture, height: int, width: int, *, smooth: bool) -> Picture:
    """`picture` made as large as fits into `height` and `width`; 0 does not limit a side.

    With `smooth`, what gets smaller is blurred before, which takes out what would flicker. Raises PixelError.
    """
    rows, columns = picture.shape[:2]
    new = fitted_size(rows, columns, height, width)
    if new == (rows, columns):
        return picture
    if smooth and new[0] < rows and new[1] < columns:
        picture = _blurred(picture)
    return picture[_nearest(rows, new[0])][:, _nearest(columns, new[1])]


def _nearest(has: int, wanted: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """For each new pixel, the old one that its centre lies in."""
    return np.minimum((np.arange(wanted) + 0.5) * has / wanted, has - 1).astype(np.intp)


def _blurred(picture: Picture) -> Picture:
    """A Gaussian of 5 by 5; 16 bits hold its sums, since the weights of both passes together are 256."""
    padded = np.pad(picture, ((2, 2), (2, 2), *((0, 0) for _ in picture.shape[2:])), mode="edge")
    height, width = picture.shape[:2]
    across = np.zeros((height + 4, *picture.shape[1:]), np.uint16)
    for offset, weight in enumerate(_KERNEL):
        across += padded[:, offset : offset + width] * np.uint16(weight)
    down = np.zeros(picture.shape, np.uint16)
    for offset, weight in enumerate(_KERNEL):
        down += across[offset : offset + height] * np.uint16(weight)
    return (down >> 8).astype(np.uint8)


def smooth(picture: Picture, rows: int, columns: int) -> Picture:
    """`picture` in exactly that size without jagged edges: averages where it shrinks, in between where it grows.

    A shrunk pixel is the mean of the area that it stands for, whatever the ratio. Works on a few rows at a
    time, so that the numbers in between take little memory. Raises TooLarge for a size beyond the bounds.
    """
    if not (0 < rows <= MAXIMUM_SIDE and 0 < columns <= MAXIMUM_SIDE and rows * columns <= MAXIMUM_PIXELS):
        raise TooLarge(f"A picture has at most {MAXIMUM_PIXELS} pixels, and {MAXIMUM_SIDE} a side")
    has = picture.shape[:2]
    if has == (rows, columns):
        return picture
    channels = picture.shape[2] if picture.ndim == 3 else 1
    lines = np.ascontiguousarray(picture).reshape(has[0], -1)
    made = np.empty((rows, columns * channels), np.uint8)
    grows = rows >= has[0] and columns >= has[1]
    for first in range(0, rows, _BAND):
        last = min(first + _BAND, rows)
        if grows:
            part = _between(
                _between(lines, has[0], rows, first, last, 1), has[1], columns, 0, columns, channels
            )
        else:
            part = _mean_columns(_mean_rows(lines, rows, first, last), has[1], columns, channels)
        made[first:last] = (part + np.float32(0.5)).astype(np.uint8)
    return made.reshape((rows, columns, channels)[: picture.ndim])


_BAND = 32
"""New rows that are made at once."""


def _mean_rows(lines: Picture, rows: int, first: int, last: int) -> NDArray[np.float32]:
    """New rows `first` to `last`: means of the old rows, or parts of rows, that each covers."""
    ratio = len(lines) / rows
    made = np.empty((last - first, lines.shape[1]), np.float32)
    for row in range(first, last):
        start, end = row * ratio, min((row + 1) * ratio, len(lines))
        top, bottom = int(start), max(min(int(np.ceil(end)), len(lines)), int(start) + 1)
        if bottom - top == 1:
            made[row - first] = lines[top]
            continue
        weights = np.ones(bottom - top, np.float32)
        weights[0] -= start - top
        weights[-1] -= bottom - end
        np.dot(weights / weights.sum(), lines[top:bottom].astype(np.float32), out=made[row - first])
    return made


def _mean_columns(lines: NDArray[np.float32], has: int, columns: int, channels: int) -> NDArray[np.float32]:
    """The same across, by differences of running sums."""
    sums = np.zeros((len(lines), has + 1, channels), np.float64)
    np.cumsum(lines.reshape(len(lines), has, channels), axis=1, out=sums[:, 1:])
    edges = np.linspace(0, has, columns + 1)
    left = np.minimum(edges.astype(np.intp), has - 1)
    share = (edges - left)[None, :, None]
    at = sums[:, left] * (1 - share) + sums[:, left + 1] * share
    means = np.diff(at, axis=1) * (columns / has)
    return np.clip(means, 0, 255).astype(np.float32).reshape(len(lines), -1)


def _between(lines: Any, has: int, wanted: int, first: int, last: int, channels: int) -> NDArray[np.float32]:
    """New rows (`channels` is 1) or columns `first` to `last`, each between the two nearest old ones.

    Columns have `channels` numbers each; rows are taken as a whole, so for them the axis is the first one.
    """
    position = np.clip((np.arange(first, last) + 0.5) * has / wanted - 0.5, 0, has - 1)
    low = position.astype(np.intp)
    high = np.minimum(low + 1, has - 1)
    share = (position - low).astype(np.float32)
    if lines.dtype == np.uint8:
        weights = share[:, None]
        return np.asarray(lines[low] * (1 - weights) + lines[high] * weights, np.float32)
    across = lines.reshape(len(lines), has, channels)
    weights = share[None, :, None]
    return np.asarray(across[:, low] * (1 - weights) + across[:, high] * weights, np.float32).reshape(
        len(lines), -1
    )
