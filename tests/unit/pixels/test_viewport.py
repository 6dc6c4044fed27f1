"""The part of a picture that is shown, and its size (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

import numpy as np
import pytest

from ithil.pixels.errors import PixelError
from ithil.pixels.viewport import OutsideOfImage, Viewport, most_pixels, show, size_of, turned

PICTURE = np.arange(8 * 12, dtype=np.uint8).reshape(8, 12)


def test_a_picture_fits_without_changing_its_shape() -> None:
    assert show(PICTURE, Viewport(6, 6)).shape == (4, 6)
    assert show(PICTURE, Viewport(100, 4)).shape == (4, 6)
    assert show(PICTURE, Viewport(24, 24)).shape == (16, 24)


def test_a_thumbnail_does_not_grow() -> None:
    assert show(PICTURE, Viewport(128, 128, enlarge=False)) is not None
    assert show(PICTURE, Viewport(128, 128, enlarge=False)).shape == (8, 12)
    assert show(PICTURE, Viewport(6, 6, enlarge=False)).shape == (4, 6)


def test_a_region() -> None:
    assert show(PICTURE, Viewport(4, 2, 3, 1, 4, 2)).tolist() == PICTURE[1:3, 3:7].tolist()
    assert show(PICTURE, Viewport(9, 7, 3, 1)).tolist() == PICTURE[1:, 3:].tolist()


def test_a_region_in_fractions() -> None:
    half = Viewport(0, 0, 0.5, 0.0, 0.5, 0.5, relative=True)
    assert show(PICTURE, half).tolist() == PICTURE[:4, 6:].tolist()


def test_negative_sizes_mirror() -> None:
    assert show(PICTURE, Viewport(12, 8, 0, 0, -12, 8)).tolist() == PICTURE[:, ::-1].tolist()
    assert show(PICTURE, Viewport(12, 8, 0, 0, 12, -8)).tolist() == PICTURE[::-1].tolist()


def test_a_region_ends_where_the_image_ends() -> None:
    assert show(PICTURE, Viewport(2, 2, 10, 6, 100, 100)).tolist() == PICTURE[6:, 10:].tolist()


def test_a_region_of_less_than_a_pixel_is_one() -> None:
    assert show(PICTURE, Viewport(1, 1, 3.2, 2.1, 0.1, 0.1)).tolist() == [[PICTURE[2, 3]]]


@pytest.mark.parametrize("corner", [(12, 0), (0, 8), (500, 500)])
def test_a_region_outside_of_the_image(corner: tuple[int, int]) -> None:
    with pytest.raises(OutsideOfImage):
        show(PICTURE, Viewport(4, 4, *corner, 4, 4))


def test_a_size_beyond_the_bounds() -> None:
    with pytest.raises(PixelError):
        show(PICTURE, Viewport(1_000_000, 1_000_000))


def test_colour() -> None:
    colour = np.stack([PICTURE, PICTURE, PICTURE], axis=-1)
    assert show(colour, Viewport(6, 6)).shape == (4, 6, 3)


def test_rotations_are_clockwise_and_come_before_mirrors() -> None:
    small = np.array([[1, 2], [3, 4]], np.uint8)
    assert turned(small, 1, mirrored=False).tolist() == [[3, 1], [4, 2]]
    assert turned(small, 1, mirrored=True).tolist() == [[1, 3], [2, 4]]


def test_what_is_only_made_up_is_bounded() -> None:
    large = np.zeros((5000, 5000), np.uint8)
    assert show(large, Viewport()).shape == large.shape
    assert size_of(5000, 5000, Viewport(4999, 4999)) == (4999, 4999)
    assert size_of(8, 8, Viewport(4096, 4096)) == (4096, 4096)
    for rows, columns in ((8, 8), (4096, 4096), (5000, 5000)):
        with pytest.raises(PixelError, match="pixels"):
            size_of(rows, columns, Viewport(5001, 5001))


@pytest.mark.parametrize(
    "viewport", [Viewport(4096, 4096), Viewport(0, 2048), Viewport(100, 0), Viewport(5, 5, enlarge=False)]
)
@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (1, 1), (300, 200)])
def test_the_most_that_it_can_be(viewport: Viewport, shape: tuple[int, int]) -> None:
    rows, columns = size_of(*shape, viewport)
    assert rows * columns <= most_pixels(shape[0] * shape[1], viewport)
