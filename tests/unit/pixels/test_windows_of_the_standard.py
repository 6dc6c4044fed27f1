"""Windows as PS3.3 C.11.2.1.2 and .3 have them: what DICOMweb shows."""

from __future__ import annotations

import numpy as np
import pytest
from tests.data.images import Pixels, ds, header, native, text

from ithil.pixels.render import rendered

VALUES = [0, 90, 95, 99, 100, 101, 105, 110, 200]


def seen(values: list[int], extra: dict[int, tuple[str, bytes]] | None = None, **window: object) -> list[int]:
    content = native(header(1, len(values), 16), np.array(values, "<u2").tobytes(), extra)
    pixels = Pixels(content)
    shown = rendered(pixels.description, pixels.frame(), standard=True, **window)  # type: ignore[arg-type]
    return [int(shade) for shade in shown[0]]


def linear(value: float, center: float, width: float) -> int:
    """The formula of C.11.2.1.2.1, written down once more."""
    if value <= center - 0.5 - (width - 1) / 2:
        return 0
    if value > center - 0.5 + (width - 1) / 2:
        return 255
    return int(((value - (center - 0.5)) / (width - 1) + 0.5) * 255 + 0.5)


@pytest.mark.parametrize("width", [2, 3, 20, 400])
def test_linear(width: int) -> None:
    expected = [linear(value, 100, width) for value in VALUES]
    assert seen(VALUES, center=100, width=width) == expected
    assert seen(VALUES, {0x00281050: ds(100), 0x00281051: ds(width)}) == expected


def test_linear_of_one_is_a_threshold() -> None:
    assert seen([98, 99, 100, 101], center=100, width=1) == [0, 0, 255, 255]


def test_linear_exact() -> None:
    assert seen([90, 95, 100, 105, 110], center=100, width=20, function="LINEAR_EXACT") == [
        0,
        64,
        128,
        191,
        255,
    ]


def test_sigmoid() -> None:
    expected = [round(255 / (1 + np.exp(-4 * (value - 100) / 20))) for value in VALUES]
    assert seen(VALUES, center=100, width=20, function="SIGMOID") == expected


def test_the_function_of_the_header() -> None:
    extra = {0x00281050: ds(100), 0x00281051: ds(20), 0x00281056: text("CS", "LINEAR_EXACT")}
    assert seen([90, 95, 100, 105, 110], extra) == [0, 64, 128, 191, 255]


def test_without_a_window_all_values_can_be_told_apart() -> None:
    assert seen([10, 35, 60]) == [0, 127, 255]
