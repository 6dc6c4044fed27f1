"""Pixel data made to harm: every lie ends in a PixelError, and none makes the decoder allocate what it claims."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.datasets import body, part10
from tests.data.images import Pixels, ds, encapsulated, header, native, text, us

from ithil.dicom.errors import DicomError
from ithil.dicom.uids import RLE
from ithil.pixels.codestream import inspect
from ithil.pixels.colour import to_rgb
from ithil.pixels.errors import PixelError
from ithil.pixels.render import clamped, preview, rendered

SYNTAX = "1.2.840.10008.1.2.4."
GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def refused(content: bytes) -> None:
    """The file is refused in a few megabytes of memory."""
    tracemalloc.start()
    try:
        with pytest.raises((PixelError, DicomError)):
            Pixels(content).frame()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {0x00280010: us(0)},
        {0x00280011: us(0)},
        {0x00280010: ("UL", struct.pack("<I", 65_536))},
        {0x00280011: ("UL", struct.pack("<I", 4_000_000_000))},
        {0x00280010: ("SS", struct.pack("<h", -8))},
        {0x00280010: text("IS", "99999999999999999999")},
        {0x00280010: us(65_535), 0x00280011: us(65_535)},
        {0x00280002: us(0)},
        {0x00280002: us(2)},
        {0x00280002: us(255)},
        {0x00280100: us(0)},
        {0x00280100: us(12)},
        {0x00280100: us(65_535)},
        {0x00280101: us(9)},
        {0x00280101: us(65_535)},
    ],
    ids=str,
)
def test_headers_that_cannot_be_true(changes: dict[int, tuple[str, bytes]]) -> None:
    refused(native(header(8, 8), GREY.tobytes(), changes))


@pytest.mark.parametrize("frames", ["0", "-1", "abc", "1e3", ""])
def test_numbers_of_frames_that_are_none_count_as_one(frames: str) -> None:
    pixels = Pixels(native({**header(8, 8), 0x00280008: text("IS", frames)}, GREY.tobytes()))
    assert pixels.index.count == 1
    assert (pixels.frame() == GREY).all()


def test_more_frames_than_there_are_bytes() -> None:
    refused(native(header(8, 8, frames=2**31), GREY.tobytes()))


@pytest.mark.parametrize("high", [0, 3, 200, 65_535])
def test_an_absurd_high_bit_is_not_believed(high: int) -> None:
    assert (Pixels(native(header(8, 8, high=high), GREY.tobytes())).frame() == GREY).all()


def test_an_unknown_planar_configuration_is_by_pixel() -> None:
    content = native(header(4, 4, samples=3, planar=7), bytes(range(48)))
    assert Pixels(content).frame()[0, 0].tolist() == [0, 1, 2]


def test_less_pixel_data_than_the_header_says() -> None:
    refused(native(header(8, 8), GREY.tobytes()[:62]))


def test_more_pixel_data_than_the_header_says() -> None:
    assert (Pixels(native(header(8, 8), GREY.tobytes() + b"more")).frame() == GREY).all()


def test_an_unknown_photometric_interpretation() -> None:
    grey = Pixels(native(header(8, 8, photometric="NOPE"), GREY.tobytes()))
    assert preview(grey.description, grey.frame()).shape == (8, 8)
    colour = Pixels(native(header(4, 4, samples=3, photometric="NOPE"), bytes(48)))
    with pytest.raises(PixelError):
        to_rgb(colour.description, colour.frame())


# Palettes (CVE-2026-5443 and CVE-2026-5445 in Orthanc).


def palette(descriptor: tuple[int, int, int], data: bytes) -> dict[int, tuple[str, bytes]]:
    elements: dict[int, tuple[str, bytes]] = {}
    for channel in range(3):
        elements[0x00281101 + channel] = us(*descriptor)
        elements[0x00281201 + channel] = ("OW", data)
    return elements


def colours(extra: dict[int, tuple[str, bytes]], stored: np.ndarray = GREY) -> np.ndarray:
    pixels = Pixels(native(header(8, 8, photometric="PALETTE COLOR"), stored.tobytes(), extra))
    return to_rgb(pixels.description, pixels.frame())


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [((256, 0, 8), bytes(254)), ((0, 0, 16), bytes(512)), ((4, 0, 16), bytes(6)), ((4, 0, 9), bytes(8))]
    + [((4, 0, 0), bytes(8)), ((4, 0, 65_535), bytes(8)), ((256, 0, 16), b"")],
)
def test_palettes_with_too_little_data_or_impossible_entries(
    descriptor: tuple[int, int, int], data: bytes
) -> None:
    with pytest.raises(PixelError):
        colours(palette(descriptor, data))


def test_a_palette_without_descriptor() -> None:
    with pytest.raises(PixelError):
        colours({0x00281201: ("OW", bytes(512))})


def test_values_beyond_a_palette_take_its_ends() -> None:
    entries = np.array([10, 20, 30, 40], "<u2")
    shown = colours(palette((4, 2, 8), entries.tobytes()))[..., 0]
    assert shown.ravel()[:8].tolist() == [10, 10, 10, 20, 30, 40, 40, 40]


def test_a_palette_whose_first_value_is_negative() -> None:
    entries = np.arange(100, 228, dtype="<u2")
    extra = palette((128, 0x10000 - 64, 8), entries.tobytes())
    content = native(header(8, 8, signed=1, photometric="PALETTE COLOR"), GREY.tobytes(), extra)
    pixels = Pixels(content)
    assert to_rgb(pixels.description, pixels.frame())[0, 0].tolist() == [164, 164, 164]


def test_a_palette_of_65536_entries() -> None:
    entries = np.arange(65_536, dtype=np.uint32).astype("<u2")
    assert colours(palette((0, 0, 16), entries.tobytes()))[7, 7].tolist() == [0, 0, 0]


# RLE.


def rle_frame(offsets: list[int], segments: bytes, count: int | None = None) -> bytes:
    table = [len(offsets) if count is None else count, *offsets]
    return struct.pack("<16I", *(table + [0] * 16)[:16]) + segments


LITERAL = bytes([63, *GREY.tobytes()])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\1\0\0\0",
        rle_frame([64], LITERAL, count=0),
        rle_frame([64], LITERAL, count=2),
        rle_frame([64], LITERAL, count=15),
        rle_frame([64], LITERAL, count=0xFFFFFFFF),
        rle_frame([0], LITERAL),
        rle_frame([63], LITERAL),
        rle_frame([1000], LITERAL),
        rle_frame([0xFFFFFFFF], LITERAL),
        rle_frame([64], LITERAL[:40]),
        rle_frame([64], b"\x81"),
        rle_frame([64], b"\x7fabc"),
        rle_frame([64], b""),
        rle_frame([64], b"\x80" * 1000),
        rle_frame([64], b"\x81\0" * 100_000),
    ],
)
def test_rle_tables_and_segments_that_do_not_fit(frame: bytes) -> None:
    refused(encapsulated(header(8, 8), [frame], RLE))


@pytest.mark.parametrize("offsets", [[70, 64], [64, 64, 64], [64, 10_000]])
def test_rle_segments_out_of_order(offsets: list[int]) -> None:
    refused(encapsulated(header(8, 8, 16), [rle_frame(offsets, LITERAL * 2)], RLE))


# Codestreams that say something else than the header.

CODED = {
    "50": bytes(imagecodecs.jpeg8_encode(GREY)),
    "70": bytes(imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1)),
    "80": bytes(imagecodecs.jpegls_encode(GREY)),
    "90": bytes(imagecodecs.jpeg2k_encode(GREY, reversible=True, codecformat="j2k")),
    "201": bytes(imagecodecs.htj2k_encode(GREY, reversible=True)),
}
IDS = sorted(CODED)


@pytest.mark.parametrize("number", IDS)
@pytest.mark.parametrize(("rows", "columns", "samples"), [(8, 9, 1), (7, 8, 1), (8, 8, 3), (4000, 4000, 1)])
def test_dimensions_other_than_the_header_s(number: str, rows: int, columns: int, samples: int) -> None:
    refused(encapsulated(header(rows, columns, samples=samples), [CODED[number]], SYNTAX + number))


@pytest.mark.parametrize("number", IDS)
def test_codestreams_that_end_early(number: str) -> None:
    """A truncated one is refused or shown as far as it goes, as its decoder decides."""
    for size in range(0, len(CODED[number]) - 1, 3):
        try:
            samples = Pixels(encapsulated(header(8, 8), [CODED[number][:size]], SYNTAX + number)).frame()
        except (PixelError, DicomError):
            continue
        assert samples.shape == (8, 8)


@pytest.mark.parametrize("number", IDS)
@settings(max_examples=60, deadline=None)
@given(place=st.integers(2, 5000), value=st.integers(0, 255))
def test_codestreams_with_a_changed_byte(number: str, place: int, value: int) -> None:
    changed = bytearray(CODED[number])
    changed[2 + (place - 2) % (len(changed) - 2)] = value
    try:
        samples = Pixels(encapsulated(header(8, 8), [bytes(changed)], SYNTAX + number)).frame()
    except (PixelError, DicomError):
        return
    assert samples.shape == (8, 8)


def _resized_jpeg(frame: bytes, marker: int) -> bytes:
    place = frame.index(bytes([0xFF, marker]))
    return frame[: place + 5] + b"\xff\xff\xff\xff" + frame[place + 9 :]


def _resized_jpeg_2000(frame: bytes) -> bytes:
    place = frame.index(b"\xff\x51") + 6
    return frame[:place] + struct.pack(">II", 65_535, 65_535) + frame[place + 8 :]


@pytest.mark.parametrize(
    ("number", "resize"),
    [
        ("50", lambda frame: _resized_jpeg(frame, 0xC0)),
        ("70", lambda frame: _resized_jpeg(frame, 0xC3)),
        ("80", lambda frame: _resized_jpeg(frame, 0xF7)),
        ("90", _resized_jpeg_2000),
        ("201", _resized_jpeg_2000),
    ],
)
def test_codestreams_that_announce_four_billion_pixels(number: str, resize: Callable[[bytes], bytes]) -> None:
    """Neither a small header nor a large one makes a decoder believe it."""
    bomb = resize(CODED[number])
    refused(encapsulated(header(8, 8), [bomb], SYNTAX + number))
    refused(encapsulated(header(65_535, 65_535), [bomb], SYNTAX + number))


def test_a_second_frame_header_in_a_jpeg() -> None:
    frame = CODED["50"]
    place = frame.index(b"\xff\xc0")
    size = 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    second = _resized_jpeg(frame[place : place + size], 0xC0)
    with pytest.raises(PixelError):
        inspect(frame[: place + size] + second + frame[place + size :])


def test_a_progressive_jpeg_of_endless_scans() -> None:
    frame = CODED["50"].replace(b"\xff\xc0", b"\xff\xc2", 1)
    with pytest.raises(PixelError):
        inspect(frame[:-2] + b"\xff\xda\0\2" * 200 + frame[-2:])


def test_a_jpeg_of_endless_segments() -> None:
    with pytest.raises(PixelError):
        inspect(b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000)


@pytest.mark.parametrize("tile", [(0, 0), (1, 1)])
def test_jpeg_2000_tiles(tile: tuple[int, int]) -> None:
    frame = imagecodecs.jpeg2k_encode(np.zeros((600, 600), np.uint8), reversible=True, codecformat="j2k")
    place = frame.index(b"\xff\x51") + 22
    with pytest.raises(PixelError):
        inspect(frame[:place] + struct.pack(">II", *tile) + frame[place + 8 :])


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "]))
def test_any_bytes_as_a_codestream(data: bytes, start: bytes) -> None:
    try:
        found = inspect(start + data)
    except PixelError:
        return
    assert found.rows >= 0
    assert found.columns >= 0


@pytest.mark.parametrize("fragments", [[], [b""], [b"", b""]])
@pytest.mark.parametrize("number", IDS)
def test_fragments_without_bytes(fragments: list[bytes], number: str) -> None:
    with pytest.raises((PixelError, DicomError, IndexError)):
        Pixels(encapsulated(header(8, 8), fragments, SYNTAX + number)).frame()


# Values that arithmetic stumbles over.


@pytest.mark.parametrize("slope", ["0", "nan", "inf", "1e999", "-1", "abc", "", "1e-300", "1e300"])
@pytest.mark.parametrize("intercept", ["0", "nan", "-1e308"])
@pytest.mark.parametrize("width", ["0", "-5", "nan", "1e-320", "1e308", "inf", None])
def test_rescaling_and_windows_of_any_kind(slope: str, intercept: str, width: str | None) -> None:
    extra: dict[int, tuple[str, bytes]] = {0x00281053: ds(slope), 0x00281052: ds(intercept)}
    if width is not None:
        extra |= {0x00281050: ds("40"), 0x00281051: ds(width)}
    pixels = Pixels(native(header(8, 8), GREY.tobytes(), extra))
    assert rendered(pixels.description, pixels.frame()).shape == (8, 8)


def test_a_huge_list_of_windows() -> None:
    extra = {0x00281050: ds(*range(5000)), 0x00281051: ds(*range(1, 5001))}
    pixels = Pixels(native(header(8, 8), GREY.tobytes(), extra))
    assert 0 < len(pixels.description.values.windows) <= 256


def test_colour_of_floating_point() -> None:
    head = header(2, 2, 32, samples=3, photometric="YBR_FULL")
    refused(part10(body({**head, 0x7FE00008: ("OF", bytes(48))})))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_floating_point_that_is_no_number(dtype: type[np.integer]) -> None:
    values = np.full((8, 8), np.nan, np.float32)
    values[0, :4] = np.inf, -np.inf, 5, 1e30
    pixels = Pixels(part10(body({**header(8, 8, 32), 0x7FE00008: ("OF", values.tobytes())})))
    samples = pixels.frame()
    assert preview(pixels.description, samples).shape == (8, 8)
    assert rendered(pixels.description, samples).shape == (8, 8)
    assert clamped(pixels.description, samples, dtype)[0, 2] == 5
