"""Pictures: the shades that Orthanc gives, and what it does not know of (lookup tables, functional groups)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import pytest
from tests.data.datasets import body, element, item, part10
from tests.data.images import Elements, Pixels, ds, header, native, text, us
from tests.data.real import content_of

from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.render import clamped, modality_values, preview, rendered


def image(values: list[int], extra: Elements | None = None, bits: int = 16, **head: int | str) -> Pixels:
    """One row of values."""
    signed = int(head.get("signed", 0))
    stored = np.array(values, f"<{'i' if signed else 'u'}{bits // 8}").tobytes()
    return Pixels(native(header(1, len(values), bits, **head), stored, extra))


def seen(pixels: Pixels, **window: float) -> list[int]:
    return rendered(pixels.description, pixels.frame(), **window)[0].tolist()


def previewed(pixels: Pixels) -> list[int]:
    return preview(pixels.description, pixels.frame())[0].tolist()


WINDOW = {0x00281050: ds(600, 40), 0x00281051: ds(1600, 80)}


def test_a_preview_goes_from_black_to_white_and_rounds() -> None:
    # As Orthanc shows MR_small: 1009 of 2018 is one half, which becomes 128.
    assert previewed(image([127, 277, 419, 595, 1136, 2145])) == [0, 19, 37, 59, 128, 255]


def test_a_preview_of_8_bits_stays_as_it_is() -> None:
    assert previewed(image([10, 20, 200], bits=8)) == [10, 20, 200]


def test_a_preview_of_negative_values() -> None:
    assert previewed(image([-1024, 0, 1024], signed=1)) == [0, 128, 255]


@pytest.mark.parametrize("value", [0, 7, 65_535])
def test_a_preview_of_one_value_is_black(value: int) -> None:
    assert previewed(image([value] * 3)) == [0, 0, 0]


def test_monochrome1_is_turned_round() -> None:
    pixels = image(
        [0, 128, 512, 896, 1023], {0x00281050: ds(550), 0x00281051: ds(1024)}, photometric="MONOCHROME1"
    )
    assert previewed(pixels) == [255, 223, 127, 32, 0]
    assert seen(pixels) == [255, 233, 137, 42, 10]


def test_the_first_window_of_the_header() -> None:
    assert seen(image([127, 277, 419, 595, 809, 1044, 1233, 1442], WINDOW)) == [
        52,
        76,
        98,
        126,
        160,
        198,
        228,
        255,
    ]


def test_a_window_in_the_request() -> None:
    pixels = image([0, 50, 100, 150, 200], WINDOW)
    assert seen(pixels, center=100, width=100) == [0, 0, 127, 255, 255]
    assert seen(pixels, width=100) == [0] * 5
    assert seen(pixels, center=0) == [127, 135, 143, 151, 159]


@pytest.mark.parametrize("width", [0, -50])
def test_a_width_that_is_none_counts_as_one(width: float) -> None:
    assert seen(image([699, 700, 701]), center=700, width=width) == [0, 127, 255]


def test_the_modality_s_slope_comes_before_the_window() -> None:
    extra = {0x00281053: ds("2"), 0x00281052: ds("-1000"), 0x00281050: ds(0), 0x00281051: ds(200)}
    assert seen(image([400, 450, 500, 525, 550, 600], extra)) == [0, 0, 127, 191, 255, 255]


def test_without_a_window_all_values_can_be_told_apart() -> None:
    extra = {0x00281052: ds("-1024")}
    assert seen(image([0, 1024, 2048, 4096], extra)) == [0, 63, 127, 255]


def test_a_sigmoid() -> None:
    extra = {**WINDOW, 0x00281056: text("CS", "SIGMOID")}
    shades = seen(image([0, 600, 1200], extra))
    assert shades == [46, 127, 208]


def lut(
    tag: int, first: int, entries: list[int], bits: int = 16, **more: tuple[str, bytes]
) -> dict[int, bytes]:
    content = element(0x00283002, "US", struct.pack("<HHH", len(entries), first, bits))
    content += element(0x00283006, "OW", struct.pack(f"<{len(entries)}H", *entries))
    return {tag: element(tag, "SQ", item(content))}


def test_a_voi_lut_if_there_is_no_window() -> None:
    table = lut(0x00283010, 10, [0, 4095, 2048], bits=12)
    assert seen(image([0, 10, 11, 12, 500], table)) == [0, 0, 255, 127, 127]
    assert seen(image([0, 600, 1400], {**table, **WINDOW})) == [31, 127, 255]


def test_a_modality_lut() -> None:
    table = lut(0x00283000, 0, [1000, 0, 500])
    pixels = image([0, 1, 2, 3], table)
    assert modality_values(pixels.description, pixels.frame()).tolist() == [[1000, 0, 500, 500]]
    assert seen(pixels) == [255, 0, 127, 127]
    assert seen(pixels, center=500, width=100) == [255, 0, 127, 127]


def functional_groups(tag: int, *frames: Mapping[str, float]) -> dict[int, bytes]:
    items = b""
    for frame in frames:
        transformation = element(0x00281052, *ds(frame["intercept"])) + element(
            0x00281053, *ds(frame["slope"])
        )
        window = element(0x00281050, *ds(frame["center"])) + element(0x00281051, *ds(frame["width"]))
        items += item(
            element(0x00289132, "SQ", item(window)) + element(0x00289145, "SQ", item(transformation))
        )
    return {tag: element(tag, "SQ", items)}


SHARED, OF_FRAMES = 0x52009229, 0x52009230


def test_functional_groups_of_all_frames() -> None:
    group = {"slope": 2, "intercept": -100, "center": 0, "width": 200}
    pixels = image([0, 50, 100], functional_groups(SHARED, group))
    assert seen(pixels) == [0, 127, 255]
    assert modality_values(pixels.description, pixels.frame()).tolist() == [[-100, 0, 100]]


def test_functional_groups_of_each_frame() -> None:
    groups = [
        {"slope": 1, "intercept": 0, "center": 50, "width": 100},
        {"slope": 1, "intercept": 0, "center": 100, "width": 200},
    ]
    stored = np.array([[0, 50, 100]] * 2, "<u2").tobytes()
    content = native(header(1, 3, 16, frames=2), stored, functional_groups(OF_FRAMES, *groups))
    pixels = Pixels(content)
    shown = [rendered(pixels.description, pixels.frame(n), n)[0].tolist() for n in range(2)]
    assert shown == [[0, 127, 255], [0, 63, 127]]


def test_functional_groups_of_a_real_enhanced_ct() -> None:
    values = Pixels(content_of("pydicom-data/eCT_Supplemental.dcm")).description.of(1)
    assert (values.slope, values.intercept) == (1, -1024)
    assert [(window.center, window.width) for window in values.windows] == [(49, 102)]


def test_cut_values() -> None:
    pixels = image([-40_000 & 0xFFFF, 5, 300], signed=0)
    assert clamped(pixels.description, pixels.frame(), np.uint8)[0].tolist() == [255, 5, 255]
    assert clamped(pixels.description, pixels.frame(), np.int16)[0].tolist() == [25_536, 5, 300]
    negative = image([-5, 300], signed=1)
    assert clamped(negative.description, negative.frame(), np.uint16)[0].tolist() == [0, 300]
    assert clamped(negative.description, negative.frame(), np.int16)[0].tolist() == [-5, 300]
    deep = image([0, 70_000, 2**32 - 1], bits=32)
    assert clamped(deep.description, deep.frame(), np.uint16)[0].tolist() == [0, 65_535, 65_535]
    assert clamped(deep.description, deep.frame(), np.int16)[0].tolist() == [0, 32_767, 32_767]


@pytest.mark.parametrize("shape", [(300, 200), (1, 40_000), (40_000, 1), (3, 16_384), (17, 16_383)])
@pytest.mark.parametrize("signed", [0, 1])
def test_each_pixel_of_a_large_image_has_the_shade_of_its_value(shape: tuple[int, int], signed: int) -> None:
    """All values of 16 bits, in frames of many shapes, by the arithmetic of a window and not by a table."""
    rng = np.random.default_rng(1)
    dtype = np.dtype("<i2" if signed else "<u2")
    values = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    pixels = Pixels(native(header(*shape, 16, signed=signed), values.tobytes()))
    low, width = -3_000.5, 40_000.0
    expected = np.clip((values.astype(np.float64) - low) * 255.0 / width, 0, 255).astype(np.uint8)
    shown = rendered(pixels.description, pixels.frame(), center=low + width / 2, width=width)
    np.testing.assert_array_equal(shown, expected)


def test_one_bit_is_black_and_white() -> None:
    pixels = Pixels(native(header(1, 8, 1), b"\x0f\0", vr="OB"))
    expected = [255] * 4 + [0] * 4
    assert previewed(pixels) == expected
    assert seen(pixels) == expected
    for dtype in (np.uint8, np.uint16, np.int16):
        assert clamped(pixels.description, pixels.frame(), dtype)[0].tolist() == expected


def test_values_of_32_bits() -> None:
    pixels = image([795_000, 1_000_000, 1_254_000], bits=32)
    assert previewed(pixels) == [0, 114, 255]
    assert seen(pixels) == [0, 113, 255]


def test_what_is_no_number_is_black_and_what_is_endless_is_cut() -> None:
    values = np.array([[np.nan, -np.inf, np.inf, 50, 100]], "<f4")
    head = header(1, 5, 32)
    for absent in (0x00280101, 0x00280102, 0x00280103):
        del head[absent]
    pixels = Pixels(part10(body({**head, 0x7FE00008: ("OF", values.tobytes())})))
    assert seen(pixels, center=50, width=100) == [0, 0, 255, 127, 255]


def test_colour_has_no_grey_values() -> None:
    pixels = Pixels(native(header(1, 1, samples=3), bytes([1, 2, 3])))
    with pytest.raises(UnsupportedPixels):
        clamped(pixels.description, pixels.frame(), np.uint8)


def test_colour_knows_no_window() -> None:
    pixels = Pixels(native(header(1, 1, samples=3), bytes([1, 2, 3]), WINDOW))
    assert rendered(pixels.description, pixels.frame(), center=1, width=1).tolist() == [[[1, 2, 3]]]


def test_colour_of_16_bits_is_shown_in_8() -> None:
    stored = np.array([256, 512, 65_535], "<u2").tobytes()
    pixels = Pixels(native(header(1, 1, 16, samples=3), stored))
    assert preview(pixels.description, pixels.frame()).tolist() == [[[1, 2, 255]]]


def test_a_palette_with_entries_of_16_bits_is_shown_in_8() -> None:
    pixels = Pixels(content_of("pydicom/examples_palette.dcm"))
    assert preview(pixels.description, pixels.frame())[0, 0].tolist() == [37, 62, 94]


def test_padding_is_a_value_like_others() -> None:
    assert previewed(image([0, 100, 200], {0x00280120: us(0)})) == [0, 128, 255]
