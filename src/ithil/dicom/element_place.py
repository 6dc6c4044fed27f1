"""Where the value of one element lies in a file, for values that are served without being read into memory.

A document in a DICOM file may be large and the elements before it are small, so the start of the file is
enough. This is a walk over top-level elements that keeps nothing but the place of the one that is wanted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ithil.dicom.encoding import (
    BIG,
    DEFAULT_LIMITS,
    LITTLE,
    UNDEFINED,
    Buffer,
    NeedMoreData,
    ScanLimits,
    element_header,
    skip_undefined,
)
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of


@dataclass(frozen=True, slots=True)
class Place:
    """Offset and length of a value, and how the data set around it is encoded."""

    start: int
    length: int
    implicit: bool
    big_endian: bool

    @property
    def end(self) -> int:
        """The offset of the next element."""
        return self.start + self.length


def element_place(buffer: Buffer, tag: int, total: int, limits: ScanLimits = DEFAULT_LIMITS) -> Place | None:
    """Where the value of a top-level element is; None if it is not there.

    `buffer` is the start of a file of `total` bytes. Raises NeedMoreData if the element may lie beyond it,
    DicomError if the file is damaged, the value has no stated length, or the data set is deflated.
    """
    meta = read_file_meta(buffer, total)
    position = meta.dataset_offset
    if len(buffer) - position < 8 <= total - position:
        raise NeedMoreData("the buffer ends before the first element")
    syntax = syntax_of(buffer, position, meta.transfer_syntax_uid)
    if syntax.deflated:
        raise DicomError("a deflated data set has no places")
    implicit = is_implicit(buffer, position, syntax)
    return place_from(buffer, tag, position, total, Place(0, 0, implicit, syntax.big_endian), limits)


def place_from(
    buffer: Buffer, tag: int, position: int, total: int, like: Place, limits: ScanLimits = DEFAULT_LIMITS
) -> Place | None:
    """The same from the element at `position` on, in a data set that is encoded as the one around `like`."""
    order, implicit = BIG if like.big_endian else LITTLE, like.implicit
    try:
        for _ in range(limits.maximum_elements):
            if position >= total:
                return None
            key, vr, value, length = element_header(buffer, position, total, implicit, order)
            found = order.key(key)
            if found == tag:
                if length == UNDEFINED or value + length > total:
                    raise DicomError("the value has no end")
                return Place(value, length, implicit, order.big_endian)
            if found > tag:
                return None
            if length == UNDEFINED:
                position = skip_undefined(buffer, value, total, implicit or vr == order.un, order, limits)
            else:
                position = value + length
    except struct.error:
        if len(buffer) < total:
            raise NeedMoreData("the header goes on beyond the buffer") from None
        raise DicomError("the data set is cut off") from None
    raise DicomError("too many elements")
