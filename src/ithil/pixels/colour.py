"""Colour as RGB: from YBR (PS3.3 C.7.6.3.1.2) and from palettes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ithil.pixels.decode import Samples, photometric_of_decoded
from ithil.pixels.description import PixelDescription
from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.lookup_table import LookupTable

_FULL = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]], np.float32)
_PARTIAL = np.array(
    [[1.16438, 0.0, 1.59603], [1.16438, -0.39176, -0.81297], [1.16438, 2.01723, 0.0]], np.float32
)


def to_rgb(description: PixelDescription, samples: Samples) -> Samples:
    """The decoded samples of a colour frame as RGB, in their own type; palettes give uint8.

    Raises UnsupportedPixels for an interpretation that is no colour of the standard.
    """
    if description.palettes is not None:
        return apply_palettes(description.palettes, samples)
    photometric = photometric_of_decoded(description)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        return _from_ybr(samples, _FULL, 0.0)
    if photometric in ("YBR_PARTIAL_422", "YBR_PARTIAL_420"):
        return _from_ybr(samples, _PARTIAL, 16.0)
    if photometric in ("RGB", "YBR_RCT", "YBR_ICT"):
        return samples
    raise UnsupportedPixels("The photometric interpretation is not supported")


def apply_palettes(palettes: tuple[LookupTable, LookupTable, LookupTable], indices: Samples) -> Samples:
    """The colours of palette indices, in 8 bits whatever the depth of the palettes."""
    picture = np.empty((*indices.shape, 3), np.uint8)
    for channel, palette in enumerate(palettes):
        picture[..., channel] = palette.in_eight_bits().look_up(indices)
    return picture


def _from_ybr(samples: Samples, matrix: NDArray[np.float32], black: float) -> Samples:
    """Row by row, so that the floats in between take the memory of a few rows and not of the image."""
    largest = int(np.iinfo(samples.dtype).max)
    scale = (largest + 1) / 256
    middle = np.array([black * scale, 128 * scale, 128 * scale], np.float32)
    picture = np.empty_like(samples)
    for start in range(0, len(samples), _ROWS):
        part = (samples[start : start + _ROWS].astype(np.float32) - middle) @ matrix.T
        np.clip(np.rint(part, out=part), 0, largest, out=part)
        picture[start : start + _ROWS] = part.astype(samples.dtype)
    return picture


_ROWS = 64
