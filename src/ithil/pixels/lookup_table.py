"""Lookup tables of a header: modality and VOI LUTs (PS3.3 C.11.1, C.11.2) and palettes (C.7.6.3.1.5, .6).

Descriptors lie, so a table is only made when its data is there in full, and looking up clamps: values below
the first entry take the first, values above the last take the last, as the standard wants it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ithil.pixels.errors import PixelError

Entries = NDArray[np.uint16]

MAXIMUM_ENTRIES = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """`values[i]` is what stored value `first + i` becomes; `bits` is the depth of the entries."""

    first: int
    bits: int
    values: Entries

    def look_up(self, stored: NDArray[Any]) -> Entries:
        """The entry of each value; out of range the nearest one."""
        if self.first == 0 and stored.dtype.kind == "u":
            return np.take(self.values, stored, mode="clip")
        indices = stored.astype(np.int64) - self.first
        return np.take(self.values, indices, mode="clip")

    def in_eight_bits(self) -> LookupTable:
        """The same table with entries of 8 bits."""
        if self.bits <= 8:
            return self
        return LookupTable(self.first, 8, (self.values >> (self.bits - 8)).astype(np.uint16))


def read_table(descriptor: bytes, data: bytes, sign: str, *, signed: bool) -> LookupTable:
    """A modality or VOI LUT. Raises PixelError if its data is not there in full."""
    entries, first, bits = _descriptor(descriptor, sign, signed=signed)
    if not 8 <= bits <= 16:
        raise PixelError("A lookup table has entries of an impossible size")
    return LookupTable(first, bits, _entries(data, entries, bits, sign))


def read_palette(descriptor: bytes, data: bytes, segmented: bytes, sign: str, *, signed: bool) -> LookupTable:
    """One colour of a palette, from its data or its segments. Raises PixelError if they are not whole."""
    entries, first, bits = _descriptor(descriptor, sign, signed=signed)
    if bits not in (8, 16):
        raise PixelError("A palette has entries of an impossible size")
    if not data and segmented:
        return LookupTable(first, bits, _expand(segmented, entries, bits, sign))
    return LookupTable(first, bits, _entries(data, entries, bits, sign))


def _descriptor(raw: bytes, sign: str, *, signed: bool) -> tuple[int, int, int]:
    """(entries, first value mapped, bits of an entry); 0 entries are 65536."""
    if len(raw) < 6:
        raise PixelError("A lookup table has no descriptor")
    entries, first, bits = struct.unpack(sign + ("HhH" if signed else "HHH"), raw[:6])
    return entries or MAXIMUM_ENTRIES, first, bits


def _entries(data: bytes, entries: int, bits: int, sign: str) -> Entries:
    if len(data) >= 2 * entries:
        words = np.frombuffer(data, sign + "u2", entries).astype(np.uint16)
        # Writers put entries of 8 bits into words; some leave them in the high byte.
        return (words >> 8).astype(np.uint16) if bits == 8 and words.max(initial=0) > 255 else words
    packed = _bytes_in_order(data, sign)
    if bits == 8 and len(packed) >= entries:
        return np.frombuffer(packed, np.uint8, entries).astype(np.uint16)
    raise PixelError("A lookup table has fewer entries than its descriptor says")


def _bytes_in_order(data: bytes, sign: str) -> bytes:
    """The bytes that lie in pairs in words (PS3.3 C.7.6.3.1.6), the low one first."""
    if sign == "<":
        return data
    return np.frombuffer(data, "<u2", len(data) // 2).byteswap().tobytes()


def _expand(data: bytes, entries: int, bits: int, sign: str) -> Entries:
    """The entries of a segmented palette (PS3.3 C.7.9.2): discrete, linear and indirect segments."""
    if bits == 8:
        codes = list(_bytes_in_order(data, sign))
    else:
        codes = np.frombuffer(data, sign + "u2", len(data) // 2).tolist()
    result: list[int] = []
    _Segments(codes, entries, bits // 8).run(0, result, None)
    if len(result) < entries:
        raise PixelError("A segmented palette has fewer entries than its descriptor says")
    return np.array(result[:entries], np.uint16)


class _Segments:
    """A walk over segments, bounded by the number of entries that are wanted."""

    def __init__(self, codes: list[int], entries: int, size: int) -> None:
        self._codes = codes
        self._entries = entries
        self._size = size  # bytes of a code
        self._steps = 0

    def run(self, position: int, result: list[int], count: int | None) -> None:
        """Append the entries of the segments from `position` on, `count` of them (None: to the end)."""
        codes = self._codes
        try:
            # The last byte may only be padding.
            while position < len(codes) - 1 and len(result) < self._entries and count != 0:
                self._steps += 1
                if self._steps > MAXIMUM_ENTRIES:
                    raise PixelError("A segmented palette does not end")
                opcode, length = codes[position], codes[position + 1]
                if opcode == 0:
                    result += codes[position + 2 : position + 2 + length]
                    position += 2 + length
                elif opcode == 1:
                    _interpolate(result, codes[position + 2], length)
                    position += 3
                elif opcode == 2 and count is None:
                    offset = self._number(position + 2)
                    self.run(offset // self._size, result, length)
                    position += 2 + 4 // self._size
                else:
                    raise PixelError("A segmented palette has a segment of no known kind")
                count = None if count is None else count - 1
        except IndexError:
            raise PixelError("A segmented palette is cut off") from None

    def _number(self, position: int) -> int:
        """The 32-bit number at a place of the list, the low part first (PS3.3 C.7.9.2.3)."""
        count = 4 // self._size
        return sum(self._codes[position + i] << 8 * self._size * i for i in range(count))


def _interpolate(result: list[int], target: int, length: int) -> None:
    if not result:
        raise PixelError("A segmented palette begins with a linear segment")
    start = result[-1]
    result += [round(start + (target - start) * (i + 1) / length) for i in range(length)]
