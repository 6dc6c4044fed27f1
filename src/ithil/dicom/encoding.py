"""The lowest layer of reading: element headers, their byte order, and skipping what has no stated length.

Everything that walks a data set (the scanner, the element tree, the frame index) stands on this page, so that
they agree on what malformed headers mean. PS3.5 7.1 has the layout of elements, 7.5 of sequences.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

from ithil.dicom.errors import DicomError

Buffer = bytes | bytearray | memoryview | mmap.mmap

UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD

SHORT_VRS = (
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO"),
    *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
)
"""VRs whose explicit header holds a 16-bit length (PS3.5 7.1.2)."""

LONG_VRS = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
"""VRs whose explicit header holds two reserved bytes and a 32-bit length."""


class NeedMoreData(DicomError):
    """The buffer is the start of a file, and what is asked for lies beyond it."""


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """Bounds on what a stranger's file can make the parsers do.

    `maximum_depth` counts nested sequences, `maximum_elements` headers that are looked at,
    `maximum_inflated` bytes of a deflated data set, `maximum_text` bytes of UTF-8 in one indexed value:
    longer ones are left out of the index, as in Orthanc.
    """

    maximum_depth: int = 64
    maximum_elements: int = 2_000_000
    maximum_inflated: int = 256 << 20
    maximum_text: int = 256


DEFAULT_LIMITS = ScanLimits()


class Order:
    """The compiled structs and tables of one byte order.

    `header` unpacks the eight bytes that start every element as (key, VR, 16-bit length), `implicit` as
    (key, 32-bit length). A key is the tag as one integer in the order that the bytes happen to give:
    `key(tag)` makes one, and in big endian it is the tag itself.
    """

    def __init__(self, big_endian: bool) -> None:
        sign = ">" if big_endian else "<"
        self.big_endian = big_endian
        self.sign = sign
        self.header = struct.Struct(sign + "IHH").unpack_from
        self.implicit = struct.Struct(sign + "II").unpack_from
        self.u32 = struct.Struct(sign + "I").unpack_from
        self.short = frozenset(self.vr(vr) for vr in SHORT_VRS)
        self.long = frozenset(self.vr(vr) for vr in LONG_VRS)
        self.vr_names = {self.vr(vr): vr for vr in (*SHORT_VRS, *LONG_VRS)}
        self.sq = self.vr("SQ")
        self.un = self.vr("UN")
        self.item = self.key(ITEM)
        self.item_end = self.key(ITEM_END)
        self.sequence_end = self.key(SEQUENCE_END)

    def vr(self, name: str) -> int:
        """The number that `header` gives for this VR."""
        return int(struct.unpack(self.sign + "H", name.encode("ascii"))[0])

    def key(self, tag: int) -> int:
        """The number that `header` gives for this tag; also turns such a number back into the tag."""
        return tag if self.big_endian else (tag & 0xFFFF) << 16 | tag >> 16


LITTLE = Order(big_endian=False)
BIG = Order(big_endian=True)


def is_vr(two: bytes) -> bool:
    """Whether these two bytes are a VR of the standard."""
    return two.decode("latin_1") in _KNOWN_VRS


_KNOWN_VRS = frozenset((*SHORT_VRS, *LONG_VRS))


def looks_explicit(buffer: Buffer, position: int) -> bool:
    """Whether the element at `position` has a VR in its header."""
    return is_vr(bytes(buffer[position + 4 : position + 6]))


def odd_header(buffer: Buffer, position: int, end: int, order: Order) -> tuple[int, int]:
    """(offset of the value, its length) of an explicit element whose VR is not of the standard.

    Two capitals are taken for a VR of the future, which has a 32-bit length (PS3.5 7.1.2), unless only a
    16-bit one makes sense. Anything else is an element that was written as implicit VR in the midst of
    explicit ones, or a `??` with a 16-bit length as dcmtk writes it.
    """
    key, _, length = order.header(buffer, position)
    if key in (order.item, order.item_end, order.sequence_end):
        return position + 8, 0  # a delimiter without its sequence
    vr = bytes(buffer[position + 4 : position + 6])
    if vr.isalpha() and vr.isupper():
        if length == 0 and position + 12 <= len(buffer):
            long_length = order.u32(buffer, position + 8)[0]
            if position + 12 + long_length <= end or long_length == UNDEFINED:
                return position + 12, long_length
        return position + 8, length
    implicit_length: int = order.u32(buffer, position + 4)[0]
    if position + 8 + implicit_length <= end or implicit_length == UNDEFINED:
        return position + 8, implicit_length
    return position + 8, length


def element_header(
    buffer: Buffer, position: int, end: int, implicit: bool, order: Order
) -> tuple[int, int, int, int]:
    """Tag and VR as `order` reads them, offset of the value, and its length; an implicit VR is 0.

    For walks that are not on the way of every instance; those have the same written out. Raises struct.error
    if the buffer ends before the value.
    """
    if implicit:
        key, length = order.implicit(buffer, position)
        return key, 0, position + 8, length
    key, vr, length = order.header(buffer, position)
    if vr in order.short:
        return key, vr, position + 8, length
    if vr in order.long:
        return key, vr, position + 12, order.u32(buffer, position + 8)[0]
    value, length = odd_header(buffer, position, end, order)
    return key, vr, value, length


def skip_undefined(
    buffer: Buffer, position: int, end: int, implicit: bool, order: Order, limits: ScanLimits
) -> int:
    """The offset after an undefined-length sequence, or encapsulated value, that starts at `position`.

    `end` is the end of the file, which may lie beyond the buffer. Items of defined length are passed over
    whole; only what has no stated length is walked, with a stack of its own and no recursion.
    Raises `NeedMoreData` if the sequence runs out of the buffer but not of the file, else `DicomError`.
    """
    header, read_implicit, u32 = order.header, order.implicit, order.u32
    short, long = order.short, order.long
    item, item_end, sequence_end = order.item, order.item_end, order.sequence_end
    maximum_depth = limits.maximum_depth * 2
    # Each open sequence and each open item is an entry: (inside an item?, implicit VR?).
    stack: list[tuple[bool, bool]] = [(False, implicit)]
    in_item, is_implicit = stack[-1]
    try:
        for _ in range(limits.maximum_elements):
            if not in_item:
                key, length = read_implicit(buffer, position)
                position += 8
                if key == sequence_end:
                    stack.pop()
                    if not stack:
                        return position
                    in_item, is_implicit = stack[-1]
                elif key != item:
                    raise DicomError(f"neither an item nor the end of a sequence at offset {position - 8}")
                elif length == UNDEFINED:
                    # Vendors write explicit VR into sequences of UN, so the item's first element decides.
                    is_implicit = is_implicit and not looks_explicit(buffer, position)
                    in_item = True
                    stack.append((True, is_implicit))
                else:
                    position += length
                continue
            if is_implicit:
                key, length = read_implicit(buffer, position)
                value = position + 8
                inner_implicit = True
            else:
                key, vr, length = header(buffer, position)
                inner_implicit = False
                if vr in short:
                    position += 8 + length
                    continue
                if vr in long:
                    length = u32(buffer, position + 8)[0]
                    value = position + 12
                    inner_implicit = vr == order.un
                elif key == item_end:
                    value, length = position + 8, 0
                else:
                    value, length = odd_header(buffer, position, end, order)
            if key == item_end:
                stack.pop()
                in_item, is_implicit = stack[-1]
                position += 8
            elif key == sequence_end:
                # The item lacks its delimiter: both end here.
                stack.pop()
                in_item, is_implicit = stack[-1]
            elif length == UNDEFINED:
                if len(stack) >= maximum_depth:
                    raise DicomError(f"sequences are nested too deeply at offset {position}")
                in_item, is_implicit = False, inner_implicit
                stack.append((False, inner_implicit))
                position = value
            else:
                position = value + length
    except struct.error:
        if position < end and len(buffer) < end:
            raise NeedMoreData("a sequence goes on beyond the buffer") from None
        raise DicomError(f"a sequence has no end (offset {position})") from None
    raise DicomError("too many elements")
