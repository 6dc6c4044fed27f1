"""Decoding of RLE Lossless (PS3.5 annex G): a table of segments, each one plane of bytes in PackBits.

The unpacking itself is done in C without the interpreter's lock; what a stranger's table can claim is checked
here: the number of segments must be the one that the header needs, they ascend, and each is unpacked into
a plane of known size.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ithil.pixels.errors import PixelError

_HEADER = 64
_LONGEST_RUN = 128


def decode(frame: bytes, *, pixels: int, samples: int, width: int) -> NDArray[np.uint8]:
    """The bytes of one frame as (pixels, samples, width), numbers in little endian.

    `width` is bytes a sample. Raises PixelError for a table or a segment that does not fit.
    """
    planes = np.empty((samples, width, pixels), np.uint8)
    for number, segment in enumerate(segments(frame, samples * width)):
        # The most significant byte of a sample comes first (PS3.5 G.2).
        plane = planes[number // width, width - 1 - number % width]
        _unpack(segment, plane)
    return np.ascontiguousarray(planes.transpose(2, 0, 1))


def segments(frame: bytes, count: int) -> list[bytes]:
    """The segments of a frame, which must be `count`. Raises PixelError."""
    if len(frame) < _HEADER:
        raise PixelError("The RLE frame is cut off in its header")
    found, *offsets = struct.unpack_from("<16I", frame)
    if found != count:
        raise PixelError("The RLE frame does not have the segments that its header needs")
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] < _HEADER or any(end < start for start, end in pairwise(bounds)):
        raise PixelError("The segments of the RLE frame are out of order or beyond its end")
    return [frame[start:end] for start, end in pairwise(bounds)]


def _unpack(segment: bytes, plane: NDArray[np.uint8]) -> None:
    """Unpack a segment, which may have padding behind it, into its plane."""
    packed = segment
    for _ in range(3):
        try:
            unpacked = imagecodecs.packbits_decode(packed, out=plane.data)
        except RuntimeError:
            # A byte of padding reads as the start of a run that never comes; some writers add two.
            if not packed or packed[-1] != 0:
                break
            packed = packed[:-1]
            continue
        if len(unpacked) != len(plane):
            break
        return
    # Or the last run goes beyond the plane.
    try:
        unpacked = imagecodecs.packbits_decode(packed, out=bytearray(len(plane) + _LONGEST_RUN))
    except RuntimeError:
        raise PixelError("A segment of the RLE frame is damaged") from None
    if len(unpacked) < len(plane):
        raise PixelError("A segment of the RLE frame is shorter than the image")
    plane[:] = np.frombuffer(unpacked, np.uint8, len(plane))
