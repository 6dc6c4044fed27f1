"""Small pictures that stand for what has no picture of its own: documents, videos, reports, signals.

They are drawn here, so that a thumbnail is never an error and no file has to be shipped.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ithil.pixels.render import Picture

DOCUMENT, VIDEO, SIGNAL, MODEL, UNKNOWN = "document", "video", "signal", "model", "unknown"

SIDE = 256
"""Width and height that icons are drawn in, in pixels."""

_GROUND, _SHAPE, _INK = 32, 208, 96


@cache
def icon(kind: str) -> Picture:
    """The icon of a kind: grey, square, `SIDE` pixels wide. The picture is shared, so it must not be changed."""
    drawn = np.full((SIDE, SIDE), _GROUND, np.uint8)
    _DRAWN[kind](drawn)
    drawn.flags.writeable = False
    return drawn


def _document(drawn: Picture) -> None:
    """A sheet with a turned corner and lines of text."""
    down, across = _places()
    sheet = (down >= 32) & (down < 224) & (across >= 56) & (across < 200)
    corner = (across - down) > 120
    drawn[sheet & ~corner] = _SHAPE
    drawn[sheet & ~corner & (down < 80) & (across >= 152)] = _INK
    for top in range(96, 208, 24):
        drawn[top : top + 8, 76 : 180 if top < 180 else 140] = _INK


def _video(drawn: Picture) -> None:
    """A triangle in a frame."""
    down, across = _places()
    drawn[56:200, 32:224] = _SHAPE
    drawn[64:192, 40:216] = _GROUND
    drawn[(across >= 100) & (across - 100 <= 72 - 1.5 * abs(down - 128))] = _SHAPE


def _signal(drawn: Picture) -> None:
    """A curve as of a heart."""
    _down, across = _places()
    heights = np.interp(
        np.arange(SIDE),
        [0, 80, 96, 112, 128, 144, 160, 176, 255],
        [128, 128, 112, 128, 32, 216, 128, 128, 128],
    )
    steep = np.maximum(np.abs(np.gradient(heights)), 4)
    drawn[(abs(_down - heights[None, :]) <= steep[None, :]) & (across >= 16) & (across < 240)] = _SHAPE


def _model(drawn: Picture) -> None:
    """A cube."""
    down, across = _places()
    top = abs(across - 128) / 2 + abs(down - 88) <= 48
    left = (
        (across >= 32) & (across < 128) & (down >= 88 + (across - 32) / 2) & (down < 168 + (across - 32) / 2)
    )
    right = (across >= 128) & (across < 224) & (down >= 88 + (223 - across) / 2)
    right &= down < 168 + (223 - across) / 2
    drawn[left] = 160
    drawn[right] = _INK
    drawn[top] = _SHAPE


def _unknown(drawn: Picture) -> None:
    """A frame that is crossed out."""
    down, across = _places()
    drawn[48:208, 48:208] = _SHAPE
    drawn[56:200, 56:200] = _GROUND
    inside = (down >= 56) & (down < 200) & (across >= 56) & (across < 200)
    drawn[inside & ((abs(down - across) < 5) | (abs(down + across - SIDE + 1) < 5))] = _SHAPE


def _places() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    down, across = np.ogrid[:SIDE, :SIDE]
    return down, across


_DRAWN = {DOCUMENT: _document, VIDEO: _video, SIGNAL: _signal, MODEL: _model, UNKNOWN: _unknown}
