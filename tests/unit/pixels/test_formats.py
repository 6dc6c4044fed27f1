"""Pictures and arrays as files, read by the programs that people use."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from ithil.pixels.array_formats import matlab_pieces, numpy_pieces, zipped
from ithil.pixels.errors import PixelError
from ithil.pixels.image_formats import JPEG, PAM, PNG, encode

RANDOM = np.random.default_rng(1)
PICTURES = {
    "grey": RANDOM.integers(0, 256, (17, 9), np.uint8),
    "colour": RANDOM.integers(0, 256, (17, 9, 3), np.uint8),
    "deep": RANDOM.integers(0, 65_536, (17, 9), np.uint16),
    "one": np.array([[7]], np.uint8),
}


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_png(name: str) -> None:
    with Image.open(io.BytesIO(encode(PICTURES[name], PNG))) as read:
        np.testing.assert_array_equal(np.array(read), PICTURES[name])


def test_png_of_signed_values_holds_their_bits() -> None:
    with Image.open(io.BytesIO(encode(np.array([[-1, 1]], np.int16), PNG))) as read:
        assert np.array(read).tolist() == [[65_535, 1]]


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_jpeg(name: str) -> None:
    smooth = np.full_like(PICTURES[name], 90)
    with Image.open(io.BytesIO(encode(smooth, JPEG))) as read:
        assert read.format == "JPEG"
        assert abs(np.array(read).astype(int) - smooth).max() < 4
    assert len(encode(PICTURES[name], JPEG, 10)) < len(encode(PICTURES[name], JPEG, 100))


@pytest.mark.parametrize("shape", [(1, 1), (7, 5, 3), (64, 64), (512, 512), (300, 300, 3)])
@pytest.mark.parametrize("quality", [10, 90, 100])
def test_a_jpeg_may_be_larger_than_its_picture(shape: tuple[int, ...], quality: int) -> None:
    """Noise at the best quality is, and so is anything small; it is what the encoder makes of itself."""
    noise = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert encode(noise, JPEG, quality) == imagecodecs.jpeg8_encode(noise, quality)


def test_jpeg_holds_8_bits() -> None:
    with pytest.raises(PixelError):
        encode(PICTURES["deep"], JPEG)


def test_pam() -> None:
    assert encode(PICTURES["one"], PAM) == (
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\x07"
    )
    header, _, content = encode(PICTURES["deep"], PAM).partition(b"ENDHDR\n")
    assert b"MAXVAL 65535" in header
    assert content == PICTURES["deep"].astype(">u2").tobytes()
    assert b"DEPTH 3\nMAXVAL 255\nTUPLTYPE RGB" in encode(PICTURES["colour"], PAM)


def test_other_types_are_no_pictures() -> None:
    with pytest.raises(PixelError):
        encode(np.zeros((2, 2), np.float32), PNG)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4"])
@pytest.mark.parametrize("count", [1, 3])
def test_numpy(dtype: str, count: int) -> None:
    frames = [RANDOM.integers(0, 100, (5, 4)).astype(dtype) for _ in range(count)]
    shape = (count, 5, 4, 1)
    content = b"".join(numpy_pieces(np.dtype(dtype), shape, iter(frames)))
    read = np.load(io.BytesIO(content))
    assert read.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(read[..., 0], np.stack(frames))
    packed = b"".join(zipped(numpy_pieces(np.dtype(dtype), shape, iter(frames))))
    np.testing.assert_array_equal(np.load(io.BytesIO(packed))["arr_0"], read)


def test_an_array_comes_frame_by_frame() -> None:
    made = []

    def frames() -> object:
        for number in range(3):
            made.append(number)
            yield np.full((2, 2), number, np.uint8)

    pieces = numpy_pieces(np.dtype("u1"), (3, 2, 2, 1), frames())  # type: ignore[arg-type]
    assert next(pieces).endswith(bytes(4))
    assert made == [0]


def test_matlab() -> None:
    assert b"".join(matlab_pieces(np.array([[1, -2], [3, 4]]))) == b"double([ 1 -2 ; 3 4 ])"
    # Three samples a pixel, 2 columns, 1 row: reshaped from the innermost on, then turned round.
    colour = np.array([[[1, 2, 3], [4, 5, 6]]])
    expected = b"double(permute(reshape([ 1 2 3 4 5 6 ], [ 3 2 1 ]), [ 3 2 1 ]))"
    assert b"".join(matlab_pieces(colour)) == expected
