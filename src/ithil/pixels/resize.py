"""Pictures in another size, as Orthanc makes them: the nearest pixel, after a blur if wanted and smaller."""

from __future__ import annotations

import numpy as np

from ithil.pixels.errors import PixelError
from ithil.pixels.render import Picture

MAXIMUM_SIDE = 16_384
"""The largest width or height that a picture is made in."""

MAXIMUM_PIXELS = 1 << 26
_KERNEL = (1, 4, 6, 4, 1)


def fitted_size(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the largest picture of the same shape that fits; 0 does not limit a side.

    Raises PixelError if it would be larger than `MAXIMUM_SIDE` or `MAXIMUM_PIXELS`.
    """
    ratios = [wanted / has for wanted, has in ((height, rows), (width, columns)) if wanted]
    if not ratios:
        return rows, columns
    ratio = min(ratios)
    new = max(1, int(rows * ratio + 0.5)), max(1, int(columns * ratio + 0.5))
    if max(new) > MAXIMUM_SIDE or new[0] * new[1] > MAXIMUM_PIXELS:
        raise PixelError("The picture would be too large")
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
