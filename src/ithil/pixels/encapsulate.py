"""Putting coded frames into Pixel Data (PS3.5 A.4): an offset table, then one fragment a frame."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ithil.pixels.errors import PixelError

_ITEM = struct.Struct("<HHI")
_END = _ITEM.pack(0xFFFE, 0xE0DD, 0)
_LONGEST = 0xFFFFFFFE
"""Bytes that a fragment, and the offsets of a Basic Offset Table, can have."""


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """The value of Pixel Data, and those of the Extended Offset Table and its lengths if they are needed."""

    value: bytes
    offsets: bytes = b""
    lengths: bytes = b""


def encapsulate(frames: Sequence[bytes]) -> Encapsulated:
    """One fragment a frame, padded to an even length, behind a Basic Offset Table.

    Beyond 4 GiB, where the offsets of that table end, it is empty and an Extended Offset Table is made
    (PS3.3 C.7.6.3.1.8). Raises PixelError for a frame of 4 GiB.
    """
    if not frames:
        raise PixelError("There are no frames")
    offsets, parts, position = [], [], 0
    for frame in frames:
        padding = len(frame) & 1
        if len(frame) + padding > _LONGEST:
            raise PixelError("A frame is too long")
        offsets.append(position)
        parts += [_ITEM.pack(0xFFFE, 0xE000, len(frame) + padding), frame, b"\0" * padding]
        position += 8 + len(frame) + padding
    count = len(frames)
    if offsets[-1] > _LONGEST or 4 * count > _LONGEST:
        value = b"".join((_ITEM.pack(0xFFFE, 0xE000, 0), *parts, _END))
        lengths = [len(frame) for frame in frames]
        return Encapsulated(value, struct.pack(f"<{count}Q", *offsets), struct.pack(f"<{count}Q", *lengths))
    table = struct.pack(f"<{count}I", *offsets)
    return Encapsulated(b"".join((_ITEM.pack(0xFFFE, 0xE000, len(table)), table, *parts, _END)))
