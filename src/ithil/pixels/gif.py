"""GIF: pictures and animations of 256 colours.

The codec packs one picture at a time; the file around it is written here, so that an animation is made and
sent frame by frame and never is in memory as a whole. Grey keeps all of its shades. Colour gets a palette that
is the same for every picture, and a pattern of dots for the colours in between, which costs no search.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ithil.pixels.errors import PixelError
from ithil.pixels.render import Picture

MAXIMUM_SIDE = 65_535
_LEVELS = (6, 7, 6)  # of red, green and blue: 252 colours
_HEADER = 13  # bytes before the palette
_PALETTE = 3 * 256
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.uint32)
"""The order in which the dots of a pattern of 4 by 4 are set."""


def still(picture: Picture) -> bytes:
    """One picture as a file. Raises PixelError."""
    return b"".join((_start(picture), _image(picture), END))


def animation(pictures: Iterable[Picture], delay: int) -> Iterator[bytes]:
    """The pieces of a file that shows pictures of one size one after the other, for ever.

    `delay` is the time that each is shown, in hundredths of a second. Raises PixelError.
    """
    started = False
    for picture in pictures:
        if not started:
            yield beginning(picture)
            started = True
        yield frame(picture, delay)
    yield END


END = b";"
"""The last piece of a file."""


def beginning(picture: Picture) -> bytes:
    """The first piece of an animation, of which this is the first picture. Raises PixelError."""
    return _start(picture) + b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"


def frame(picture: Picture, delay: int) -> bytes:
    """The piece of an animation that shows a picture for `delay` hundredths of a second. Raises PixelError."""
    return b"!\xf9\x04\x04" + struct.pack("<H", min(max(delay, 1), 0xFFFF)) + b"\0\0" + _image(picture)


def _start(picture: Picture) -> bytes:
    rows, columns = picture.shape[:2]
    if max(rows, columns) > MAXIMUM_SIDE:
        raise PixelError("GIF cannot hold this picture")
    colours = _COLOURS if picture.ndim == 3 else _GREYS
    return b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0xF7, 0, 0) + colours.tobytes()


def _image(picture: Picture) -> bytes:
    """The descriptor and the packed indices of a picture, out of the file that the codec makes."""
    indices = _dotted(picture) if picture.ndim == 3 else np.ascontiguousarray(picture)
    made = bytes(imagecodecs.gif_encode(indices, out=2 * indices.size + 8192))
    start = _HEADER + _PALETTE
    while made[start : start + 1] == b"!":  # extensions, in blocks that begin with their length
        start += 2
        while made[start]:
            start += made[start] + 1
        start += 1
    if made[start : start + 1] != b"," or made[10] != 0xF7:
        raise PixelError("The picture could not be written as GIF")
    return made[start:-1]


def _dotted(picture: Picture) -> NDArray[np.uint8]:
    """The indices of the colours: those above or below each pixel's own, by its place in the pattern."""
    rows, columns = picture.shape[:2]
    indices = np.zeros((rows, columns), np.uint8)
    pattern = np.tile(_BAYER * 16 + 8, ((_BAND + 3) // 4, (columns + 3) // 4))[:, :columns]
    for top in range(0, rows, _BAND):
        part = picture[top : top + _BAND]
        found = np.zeros(part.shape[:2], np.uint32)
        for channel, levels in enumerate(_LEVELS):
            raised = part[:, :, channel].astype(np.uint32) * (levels - 1)
            found = found * levels + (raised + pattern[: len(part)] * 255 // 256) // 255
        indices[top : top + _BAND] = found
    return indices


_BAND = 64


def _palette() -> NDArray[np.uint8]:
    colours = np.zeros((256, 3), np.uint8)
    red, green, blue = _LEVELS
    for index in range(red * green * blue):
        steps = (index // (green * blue), index // blue % green, index % blue)
        colours[index] = [
            round(255 * step / (levels - 1)) for step, levels in zip(steps, _LEVELS, strict=True)
        ]
    return colours


_COLOURS = _palette()
_GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
