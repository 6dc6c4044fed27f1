"""Pictures in another size: the shape is kept, and Orthanc's pixels come out."""

from __future__ import annotations

import numpy as np
import pytest

from ithil.pixels.errors import PixelError
from ithil.pixels.resize import fit, fitted_size


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (0, 0, (240, 320)),
        (0, 100, (75, 100)),
        (0, 101, (76, 101)),
        (0, 7, (5, 7)),
        (77, 0, (77, 103)),
        (151, 200, (150, 200)),
        (250, 0, (250, 333)),
        (1, 1, (1, 1)),
        (0, 3, (2, 3)),
        (480, 9999, (480, 640)),
    ],
)
def test_sizes_that_fit(height: int, width: int, expected: tuple[int, int]) -> None:
    assert fitted_size(240, 320, height, width) == expected


@pytest.mark.parametrize(("height", "width"), [(0, 10**9), (10**9, 0), (10**18, 10**18), (16_000, 16_000)])
def test_sizes_without_reason(height: int, width: int) -> None:
    with pytest.raises(PixelError):
        fitted_size(512, 512, height, width)


def test_a_thin_picture_keeps_a_pixel() -> None:
    assert fitted_size(1, 65_535, 0, 100) == (1, 100)


def test_the_nearest_pixel() -> None:
    picture = np.arange(8, dtype=np.uint8)[None].repeat(8, axis=0)
    assert fit(picture, 4, 4, smooth=False)[0].tolist() == [1, 3, 5, 7]
    assert fit(picture, 16, 16, smooth=False)[0].tolist() == [i // 2 for i in range(16)]
    assert fit(picture, 0, 0, smooth=True) is picture


def test_a_blur_before_getting_smaller() -> None:
    picture = np.zeros((9, 9), np.uint8)
    picture[4, 4] = 255
    smaller = fit(picture, 3, 3, smooth=True)
    assert smaller.tolist() == [[0, 0, 0], [0, 255 * 36 // 256, 0], [0, 0, 0]]
    assert fit(picture, 3, 3, smooth=False)[1, 1] == 255
    assert fit(picture, 18, 18, smooth=True).max() == 255


def test_white_stays_white() -> None:
    white = np.full((50, 40, 3), 255, np.uint8)
    assert (fit(white, 20, 0, smooth=True) == 255).all()
