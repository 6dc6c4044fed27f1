"""GIF, as Pillow reads it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ithil.pixels import gif
from ithil.pixels.errors import PixelError

GREY = np.random.default_rng(2).integers(0, 256, (70, 91), np.uint8)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (70, 91)])
def test_grey_keeps_all_of_its_shades(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    assert np.array_equal(np.asarray(opened(gif.still(picture)).convert("L")), picture)


def test_colour_is_near_and_right_in_the_mean() -> None:
    smooth = np.zeros((64, 64, 3), np.uint8)
    smooth[:, :, 0] = np.linspace(0, 255, 64)
    smooth[:, :, 1] = np.linspace(0, 255, 64)[:, None]
    smooth[:, :, 2] = 128
    difference = np.asarray(opened(gif.still(smooth)).convert("RGB")).astype(int) - smooth
    assert np.abs(difference).max() <= 51
    assert np.abs(difference.mean(axis=(0, 1))).max() < 3


def test_black_and_white_stay_in_colour() -> None:
    edges = np.zeros((8, 8, 3), np.uint8)
    edges[:4] = 255
    assert np.array_equal(np.asarray(opened(gif.still(edges)).convert("RGB")), edges)


def test_an_animation_has_its_frames_and_their_time() -> None:
    frames = [GREY, GREY[::-1], GREY // 2]
    image = opened(b"".join(gif.animation(frames, 7)))
    assert (getattr(image, "n_frames", 0), image.info["duration"], image.info["loop"]) == (3, 70, 0)
    for number, frame in enumerate(frames):
        image.seek(number)
        assert np.array_equal(np.asarray(image.convert("L")), frame)


def test_an_animation_is_made_while_it_is_read() -> None:
    made = []

    def frames():  # type: ignore[no-untyped-def]
        for number in range(100):
            made.append(number)
            yield GREY

    pieces = gif.animation(frames(), 1)
    next(pieces)
    next(pieces)
    assert len(made) == 1


def test_a_picture_that_is_too_large() -> None:
    with pytest.raises(PixelError):
        gif.still(np.zeros((1, 65_536), np.uint8))
