"""Colours stay what they are, whatever their pixels are coded in."""

from __future__ import annotations

import numpy as np
import pytest
from tests.data.images import Pixels
from tests.data.real import all_files, content_of

from ithil.pixels.colour import to_rgb
from ithil.pixels.transcode import transcode

LOSSLESS = ("70", "80", "90", "201", "202")
NAME = next(name for name in all_files() if name.endswith("SC_ybr_full_uncompressed.dcm"))


@pytest.mark.parametrize("number", LOSSLESS)
def test_luminance_and_chrominance_survive_lossless_coding(number: str) -> None:
    content = content_of(NAME)
    before, after = Pixels(content), Pixels(transcode(content, f"1.2.840.10008.1.2.4.{number}"))
    expected = to_rgb(before.description, before.frame())
    np.testing.assert_array_equal(to_rgb(after.description, after.frame()), expected)
