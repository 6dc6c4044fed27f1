"""The bytes of one frame out of a file, put in the order that `decode_frame` takes.

A frame is one or a few ranges of the file. Two layouts need more than putting those together: with one bit
a pixel a frame may begin inside a byte, and samples of 8 bits in words of big endian lie swapped in pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ithil.dicom.frames import FrameIndex
from ithil.pixels.description import PixelDescription

Read = Callable[[int, int], bytes]
"""Gives the bytes of the file from an offset up to another, which is excluded."""


def read_frame(description: PixelDescription, index: FrameIndex, frame: int, read: Read) -> bytes:
    """Frame number `frame` (from 0) as if it were the only one. Raises IndexError if there is none."""
    ranges = index.ranges(frame)
    if description.syntax.encapsulated:
        return b"".join(read(start, start + length) for start, length in ranges)
    start, length = ranges[0]
    if description.bits_allocated == 1 and index.bits:
        skipped = index.bits * frame % 8
        return without_bits(read(start, start + length), skipped) if skipped else read(start, start + length)
    if description.bits_allocated == 8 and description.syntax.big_endian and description.words:
        return little_endian(description, index.start, (start, start + length), read)
    return read(start, start + length)


def without_bits(data: bytes, count: int) -> bytes:
    """`data` without its first `count` bits, the lowest bits of a byte being the first."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return np.packbits(bits[count:], bitorder="little").tobytes()


def little_endian(description: PixelDescription, origin: int, part: tuple[int, int], read: Read) -> bytes:
    """The bytes of a part of native pixel data in big endian, as they would lie in little endian.

    `origin` is where the pixel data begins and `part` the first offset and the one behind the last. Numbers
    that the part cuts through are read as a whole.
    """
    size = max(description.bits_allocated // 8, 2)
    start, end = part[0] - origin, part[1] - origin
    first, last = start - start % size, end + -end % size
    content = read(origin + first, origin + last)
    content += bytes(-len(content) % size)
    swapped = np.frombuffer(content, f">u{size}").astype(f"<u{size}").tobytes()
    return swapped[start - first : end - first]
