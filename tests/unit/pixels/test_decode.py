"""Layouts and codecs that no real file here has: what is stored comes out again."""

from __future__ import annotations

import zlib

import imagecodecs
import numpy as np
import pytest
from tests.data.datasets import body, part10
from tests.data.images import Pixels, big_endian, encapsulated, header, native

from ithil.dicom.uids import RLE
from ithil.pixels.colour import to_rgb
from ithil.pixels.decode import DEFLATED_FRAMES, ENCAPSULATED_NATIVE, photometric_of_decoded
from ithil.pixels.errors import PixelError, UnsupportedPixels

SHAPE = (7, 5)
SYNTAX = "1.2.840.10008.1.2.4."


def grey(dtype: str, largest: int, smallest: int = 0) -> np.ndarray:
    return np.random.default_rng(1).integers(smallest, largest, SHAPE, endpoint=True).astype(dtype)


def colour(dtype: str = "u1", largest: int = 255) -> np.ndarray:
    return np.random.default_rng(2).integers(0, largest, (*SHAPE, 3), endpoint=True).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "stored", "high", "signed"),
    [("u1", 8, 7, 0), ("i1", 8, 7, 1), ("u2", 12, 11, 0), ("i2", 12, 11, 1), ("u2", 10, 13, 0)]
    + [("i2", 10, 13, 1), ("u4", 32, 31, 0), ("i4", 24, 23, 1), ("u4", 20, 25, 0), ("u8", 64, 63, 0)],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_stored_bits_and_signs(dtype: str, stored: int, high: int, signed: int, order: str) -> None:
    largest = (1 << stored - signed) - 1
    values = np.random.default_rng(3).integers(
        -largest - 1 if signed else 0, largest, SHAPE, np.int64 if signed else np.uint64, endpoint=True
    )
    bits = 8 * int(dtype[1:])
    in_file = np.uint64 if bits == 64 else np.int64
    raised = values.astype(in_file) << in_file(high + 1 - stored)
    noise = in_file(((1 << bits) - 1) & ~(((1 << stored) - 1) << high + 1 - stored)) if stored < bits else 0
    raw = ((raised & ~in_file(noise)) | in_file(noise) if noise else raised).astype(f"{order}u{bits // 8}")
    head = header(*SHAPE, bits, stored=stored, high=high, signed=signed)
    content = raw.tobytes()
    if order == ">" and bits == 8:
        content = np.frombuffer(content + b"\0", ">u2").astype("<u2").tobytes()
    pixels = Pixels(native(head, content) if order == "<" else big_endian(head, content))
    decoded = pixels.frame()
    assert decoded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(decoded, values.astype(dtype))


@pytest.mark.parametrize(
    ("signed", "words", "expected"),
    [
        (0, [0, 0x0FFF], [0, 4095]),
        (0, [0, 0x1000], [0, 0]),
        (0, [0xF001, 0xFFFF], [1, 4095]),
        (1, [0xF800, 0x07FF], [-2048, 2047]),
        (1, [0, 0x0800], [0, -2048]),
        (1, [0xF7FF, 0], [2047, 0]),
        (1, [0x0FFF, 0xFFFF], [-1, -1]),
    ],
)
def test_what_lies_beside_the_stored_bits(signed: int, words: list[int], expected: list[int]) -> None:
    """Nothing, the sign once more, or something that is no part of the number."""
    head = header(1, 2, 16, stored=12, high=11, signed=signed)
    decoded = Pixels(native(head, np.array(words, "<u2").tobytes())).frame()
    assert decoded.dtype == np.dtype("i2" if signed else "u2")
    assert decoded.tolist() == [expected]


def test_frames_of_one_bit_that_begin_inside_a_byte() -> None:
    bits = np.random.default_rng(4).integers(0, 2, (3, *SHAPE), np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    pixels = Pixels(native(header(*SHAPE, 1, frames=3), packed, vr="OB"))
    for number in range(3):
        np.testing.assert_array_equal(pixels.frame(number), bits[number])


def test_planes_of_colour() -> None:
    expected = colour()
    planes = np.ascontiguousarray(expected.transpose(2, 0, 1))
    pixels = Pixels(native(header(*SHAPE, samples=3, planar=1), planes.tobytes()))
    np.testing.assert_array_equal(pixels.frame(), expected)


@pytest.mark.parametrize(("photometric", "black"), [("YBR_FULL_422", 0), ("YBR_PARTIAL_422", 16)])
def test_subsampled_colour(photometric: str, black: int) -> None:
    """Two grey pixels, black and white, whose chrominance is shared."""
    white = 235 if black else 255
    pixels = Pixels(
        native(header(1, 2, samples=3, photometric=photometric), bytes([black, white, 128, 128]), vr="OB")
    )
    samples = pixels.frame()
    assert samples.tolist() == [[[black, 128, 128], [white, 128, 128]]]
    assert to_rgb(pixels.description, samples).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(("tag", "vr", "dtype"), [(0x7FE00008, "OF", "f4"), (0x7FE00009, "OD", "f8")])
def test_floating_point(tag: int, vr: str, dtype: str) -> None:
    values = np.linspace(-1, 1, SHAPE[0] * SHAPE[1]).astype(dtype).reshape(SHAPE)
    head = header(*SHAPE, 8 * values.itemsize)
    for absent in (0x00280101, 0x00280102, 0x00280103):
        del head[absent]
    pixels = Pixels(part10(body({**head, tag: (vr, values.tobytes())})))
    decoded = pixels.frame()
    assert decoded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(decoded, values)


@pytest.mark.parametrize("number", ["57", "70"])
@pytest.mark.parametrize("signed", [0, 1])
def test_jpeg_lossless(number: str, signed: int) -> None:
    values = grey("i2" if signed else "u2", 2047, -2048 if signed else 0)
    coded = imagecodecs.jpeg8_encode(values.view("u2") & 0xFFF, lossless=True, predictor=1, bitspersample=12)
    head = header(*SHAPE, 16, stored=12, signed=signed)
    np.testing.assert_array_equal(Pixels(encapsulated(head, [coded], SYNTAX + number)).frame(), values)


@pytest.mark.parametrize("number", ["80", "81"])
def test_jpeg_ls(number: str) -> None:
    values = grey("i2", 32767, -32768)
    coded = imagecodecs.jpegls_encode(values.view("u2"))
    head = header(*SHAPE, 16, signed=1)
    np.testing.assert_array_equal(Pixels(encapsulated(head, [coded], SYNTAX + number)).frame(), values)


@pytest.mark.parametrize("number", ["201", "202", "203"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_htj2k(number: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = grey(dtype, limits.max, limits.min)
    coded = imagecodecs.htj2k_encode(values, reversible=True)
    head = header(*SHAPE, limits.bits, signed=int(dtype[0] == "i"))
    np.testing.assert_array_equal(Pixels(encapsulated(head, [coded], SYNTAX + number)).frame(), values)


def test_htj2k_in_colour() -> None:
    values = colour()
    coded = imagecodecs.htj2k_encode(values, reversible=True, rgb=True)
    head = header(*SHAPE, samples=3, photometric="YBR_RCT")
    pixels = Pixels(encapsulated(head, [coded], SYNTAX + "201"))
    np.testing.assert_array_equal(pixels.frame(), values)
    assert photometric_of_decoded(pixels.description) == "RGB"


@pytest.mark.parametrize(
    ("photometric", "decoded"), [("YBR_FULL", "YBR_FULL"), ("RGB", "RGB"), ("YBR_FULL_422", "YBR_FULL_422")]
)
def test_lossless_colour_is_not_transformed(photometric: str, decoded: str) -> None:
    values = colour()
    coded = imagecodecs.jpegls_encode(np.ascontiguousarray(values))
    pixels = Pixels(encapsulated(header(*SHAPE, samples=3, photometric=photometric), [coded], SYNTAX + "80"))
    np.testing.assert_array_equal(pixels.frame(), values)
    assert photometric_of_decoded(pixels.description) == decoded


def test_frames_deflated_one_by_one() -> None:
    frames = [grey("u2", 65535) + 1, grey("u2", 255)]
    deflated = []
    for frame in frames:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        deflated.append(deflater.compress(frame.tobytes()) + deflater.flush())
    pixels = Pixels(encapsulated(header(*SHAPE, 16, frames=2), deflated, DEFLATED_FRAMES))
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(pixels.frame(number), frame)


def test_native_frames_in_fragments() -> None:
    values = grey("u2", 65535)
    pixels = Pixels(encapsulated(header(*SHAPE, 16), [values.tobytes()], ENCAPSULATED_NATIVE))
    np.testing.assert_array_equal(pixels.frame(), values)


@pytest.mark.parametrize("uid", [SYNTAX + "100", SYNTAX + "102", SYNTAX + "107", SYNTAX + "112", "1.2.3"])
def test_videos_and_the_unknown_are_not_decoded(uid: str) -> None:
    content = encapsulated(header(*SHAPE), [b"\0\0\1\xb3" * 8], uid)
    with pytest.raises(PixelError) as refusal:
        Pixels(content).frame()
    assert uid == "1.2.3" or refusal.type is UnsupportedPixels


def test_a_frame_of_several_fragments() -> None:
    values = grey("u1", 255)
    coded = imagecodecs.jpegls_encode(values)
    parts = [coded[:20], coded[20:40], coded[40:]]
    np.testing.assert_array_equal(Pixels(encapsulated(header(*SHAPE), parts, SYNTAX + "80")).frame(), values)


def test_rle_with_runs_beyond_the_plane_and_padding() -> None:
    """Writers let the last run go on, and pad a segment with zeros."""
    run = bytes([0x81, 7])  # 128 times 7, of which 35 are needed
    segment = run + b"\0"
    frame = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + segment
    assert (Pixels(encapsulated(header(*SHAPE), [frame], RLE)).frame() == 7).all()
