"""Pictures made smaller and larger without jagged edges, against Pillow and against arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ithil.pixels.errors import PixelError
from ithil.pixels.resize import smooth


def picture(rows: int, columns: int, *, colour: bool = False) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).integers(0, 60, (rows, columns, 3))
    made = (noise + np.linspace(0, 190, columns)[None, :, None]).astype(np.uint8)
    return made if colour else made[:, :, 0]


def pillows(shown: NDArray[np.uint8], rows: int, columns: int, how: Image.Resampling) -> NDArray[np.int64]:
    return np.asarray(Image.fromarray(shown).resize((columns, rows), how)).astype(np.int64)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("size", [(10, 13), (7, 9), (19, 3), (1, 1), (20, 25), (3, 26)])
def test_shrunk_pixels_are_means(size: tuple[int, int], colour: bool) -> None:
    shown = picture(20, 26, colour=colour)
    rows, columns = size
    # Each pixel as so many small ones that the new ones are made of whole ones.
    small = shown.repeat(rows, axis=0).repeat(columns, axis=1).astype(float)
    expected = small.reshape(rows, 20, columns, 26, -1).mean(axis=(1, 3)).reshape(smooth(shown, *size).shape)
    assert np.abs(smooth(shown, *size) - expected).max() <= 0.5001


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("size", [(200, 260), (101, 131), (100, 300)])
def test_grown_pixels_lie_between(size: tuple[int, int], colour: bool) -> None:
    shown = picture(100, 130, colour=colour)
    expected = pillows(shown, *size, Image.Resampling.BILINEAR)
    assert np.abs(smooth(shown, *size).astype(int) - expected).max() <= 1


def test_a_checkerboard_becomes_grey() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert set(smooth(board, 16, 16).ravel().tolist()) == {128}


def test_one_size_is_the_same_picture() -> None:
    shown = picture(10, 10)
    assert smooth(shown, 10, 10) is shown


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (16_385, 1), (16_384, 16_384)])
def test_sizes_beyond_the_bounds(size: tuple[int, int]) -> None:
    with pytest.raises(PixelError):
        smooth(picture(4, 4), *size)
