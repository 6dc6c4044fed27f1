"""Pictures for people and programs: what Orthanc's `preview`, `rendered` and `image-...` show of a frame.

Grey values of up to 16 bits become shades through a table that is computed once for the whole range, so that a
frame costs one lookup a pixel however the table came about. The arithmetic follows Orthanc's, rounding too,
since programs compare pictures: a preview rounds, a window cuts off, MONOCHROME1 is turned round afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ithil.pixels.colour import to_rgb
from ithil.pixels.decode import Samples
from ithil.pixels.description import FrameValues, PixelDescription, Window
from ithil.pixels.errors import UnsupportedPixels
from ithil.pixels.lookup_table import LookupTable

Picture = NDArray[np.uint8]
Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# Slopes and windows can be anything; what overflows is cut like the rest.
_overflowing = np.errstate(over="ignore", invalid="ignore")


@_overflowing
def preview(description: PixelDescription, samples: Samples) -> Picture:
    """A frame with its smallest value black and its largest white; 8 bits a sample.

    One bit a pixel is black and white. Colour of 8 bits stays as it is. Raises PixelError.
    """
    if not description.is_monochrome:
        return _eight_bits(description, to_rgb(description, samples))
    if description.bits_allocated == 1:
        picture = samples.astype(np.uint8) * np.uint8(255)
    elif description.bits_stored <= 8 and samples.dtype == np.uint8:
        picture = samples.view(np.uint8)
    else:
        low, high = _range(samples)
        extent = max(high - low, 1) if samples.dtype.kind in "iu" else (high - low) or 1.0
        picture = _shade(samples, low, high, lambda values: (values - low) * 255.0 / extent + 0.5)
    return _turned(description, picture)


@_overflowing
def rendered(
    description: PixelDescription,
    samples: Samples,
    frame: int = 0,
    *,
    center: float | None = None,
    width: float | None = None,
    function: str | None = None,
    standard: bool = False,
) -> Picture:
    """A frame as it is meant to be seen: modality values (PS3.3 C.11.1) through a window (C.11.2).

    The window is the first one of the header (a functional group's before others), else its first VOI LUT,
    else from the smallest value to the largest. `center` and `width` replace those of the header, and
    `function` its VOI LUT Function, which is LINEAR where only a window is given. With `standard` shades are
    rounded and windows have the half steps of the standard, without it both are as in Orthanc's REST API.
    Colour knows no window. Raises PixelError.
    """
    if not description.is_monochrome:
        return _eight_bits(description, to_rgb(description, samples))
    wished = center is not None or width is not None
    if description.bits_allocated == 1 and not wished:
        return _turned(description, samples.astype(np.uint8) * np.uint8(255))
    values = description.of(frame)
    low, high = _range(samples)
    to_modality = _modality(description, values)
    if description.voi_luts and not values.windows and not wished:
        shown = _looked_up(description.voi_luts[0])
    else:
        window = values.windows[0] if values.windows else _full_window(description, to_modality, low, high)
        center, width = window.center if center is None else center, window.width if width is None else width
        function = function or ("LINEAR" if wished else values.function)
        if standard and (values.windows or wished):
            shown = _as_in_the_standard(Window(center, width), function)
        else:
            shown = _windowed(Window(center, width), function)
    return _turned(description, _shade(samples, low, high, lambda stored: shown(to_modality(stored))))


def _full_window(description: PixelDescription, to_modality: Function, low: float, high: float) -> Window:
    """The window from the smallest modality value of a frame to the largest."""
    if description.modality_lut is not None:
        table = description.modality_lut.values
        first, last = float(table.min()), float(table.max())
    else:
        ends = to_modality(np.array([low, high], np.float64))
        first, last = float(ends.min()), float(ends.max())
    return Window((first + last) / 2, last - first)


def clamped(description: PixelDescription, samples: Samples, dtype: type[np.integer]) -> NDArray[np.integer]:
    """Stored values of a grey frame in a smaller type, those that do not fit as the nearest that does.

    One bit a pixel gives 0 and 255. Raises UnsupportedPixels for colour.
    """
    if not description.is_monochrome:
        raise UnsupportedPixels("Only grey images have this form")
    if description.bits_allocated == 1:
        return np.where(samples, dtype(255), dtype(0)).astype(dtype)
    limits = np.iinfo(dtype)
    if samples.dtype.kind == "f":
        samples = np.nan_to_num(samples)
    elif np.can_cast(samples.dtype, dtype):
        same: NDArray[np.integer] = samples.astype(dtype)
        return same
    smaller: NDArray[np.integer] = np.clip(samples, limits.min, limits.max).astype(dtype)
    return smaller


@_overflowing
def modality_values(description: PixelDescription, samples: Samples, frame: int = 0) -> NDArray[np.float32]:
    """Grey samples in the units of the modality (PS3.3 C.11.1)."""
    values = description.of(frame)
    if description.modality_lut is not None and samples.dtype.kind in "iu":
        return description.modality_lut.look_up(samples).astype(np.float32)
    scaled = samples.astype(np.float64) if samples.dtype.itemsize > 2 else samples.astype(np.float32)
    scaled *= values.slope
    scaled += values.intercept
    return scaled.astype(np.float32, copy=False)


def _shade(samples: Samples, low: float, high: float, function: Function) -> Picture:
    """The shade of each value; `function` gives it for the numbers from `low` to `high`, before it is cut."""
    if samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2:
        numbers = np.arange(low, high + 1, dtype=np.int64)
        bits = f"u{samples.dtype.itemsize}"
        table = np.zeros(1 << 8 * samples.dtype.itemsize, np.uint8)
        table[numbers.astype(bits)] = _cut(function(numbers.astype(np.float64)))
        return _looked_up_in_bands(table, samples.view(bits))
    picture = np.empty(samples.shape, np.uint8)
    for row in range(0, len(samples), _ROWS):
        picture[row : row + _ROWS] = _cut(function(samples[row : row + _ROWS].astype(np.float64)))
    return picture


_ROWS = 64
_BAND = 16_384  # pixels


def _looked_up_in_bands(table: Picture, samples: Samples) -> Picture:
    """`table[samples]`, a few rows at a time.

    NumPy makes indices of 8 bytes of the samples. Those of a whole frame are new pages of memory each time,
    which cost the system several times what the lookup does; those of a band stay in the processor's cache.
    """
    picture = np.empty(samples.shape, np.uint8)
    rows = max(_BAND // samples.shape[1], 1)
    for row in range(0, len(samples), rows):
        # No sample lies outside of the table. With this mode NumPy writes without a copy of its own.
        table.take(samples[row : row + rows], out=picture[row : row + rows], mode="clip")
    return picture


def _cut(shades: NDArray[np.float64]) -> Picture:
    """Shades in 8 bits; what is not a number is black."""
    return np.minimum(np.fmax(shades, 0), 255).astype(np.uint8)


def _range(samples: Samples) -> tuple[float, float]:
    """The smallest and the largest finite value."""
    if samples.dtype.kind == "f":
        finite = samples[np.isfinite(samples)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return int(samples.min()), int(samples.max())


def _modality(description: PixelDescription, values: FrameValues) -> Function:
    table = description.modality_lut
    if table is not None:
        return lambda stored: table.look_up(stored.astype(np.int64)).astype(np.float64)
    return lambda stored: stored * values.slope + values.intercept


def _windowed(window: Window, function: str) -> Function:
    """PS3.3 C.11.2.1.2 and .3, without the half steps of the standard's LINEAR, as Orthanc does it.

    A width that is none counts as 1.
    """
    center, width = window.center, window.width if window.width > 0 else 1.0
    if function == "SIGMOID":
        return lambda values: 255.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700, 700)))
    low = center - width / 2
    return lambda values: (values - low) * 255.0 / width


def _as_in_the_standard(window: Window, function: str) -> Function:
    """PS3.3 C.11.2.1.2 and .3 to the letter, with shades that are rounded."""
    center, width = window.center, window.width
    if function in ("SIGMOID", "LINEAR_EXACT"):
        exact = _windowed(window, function)
        return lambda values: exact(values) + 0.5
    if width <= 1:
        return lambda values: np.where(values > center - 0.5, 255.0, 0.0)
    return lambda values: ((values - (center - 0.5)) / (width - 1) + 0.5) * 255.0 + 0.5


def _looked_up(table: LookupTable) -> Function:
    shades = table.values.astype(np.float64) * (255.0 / ((1 << table.bits) - 1))
    last = len(shades) - 1
    return lambda values: shades[np.clip(np.rint(values).astype(np.int64) - table.first, 0, last)]


def _turned(description: PixelDescription, picture: Picture) -> Picture:
    """MONOCHROME1 is white where the values are small (PS3.3 C.7.6.3.1.2)."""
    return np.invert(picture) if description.photometric == "MONOCHROME1" else picture


def _eight_bits(description: PixelDescription, picture: Samples) -> Picture:
    """Colour in 8 bits a sample, whatever it is stored in."""
    if picture.dtype == np.uint8:
        return picture.view(np.uint8)
    if picture.dtype.kind != "u":
        raise UnsupportedPixels("Colour with a sign, or of floating point numbers, is not supported")
    return (picture >> max(description.bits_stored - 8, 0)).astype(np.uint8)
