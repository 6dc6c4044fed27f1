"""Whether an instance ends with its pixel data, so that editing its head is editing all of it."""

from __future__ import annotations

from ithil.dicom import uids
from ithil.dicom.encoding import (
    BIG,
    DEFAULT_LIMITS,
    LITTLE,
    UNDEFINED,
    Buffer,
    ScanLimits,
    looks_explicit,
    skip_undefined,
)
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import is_implicit, read_file_meta


def ends_with_pixel_data(
    content: Buffer, offset: int, size: int, limits: ScanLimits = DEFAULT_LIMITS
) -> bool:
    """Whether the element at `offset` reaches to the end of the file of `size` bytes, and can be kept as it is.

    It cannot if the data set is deflated, or encoded otherwise than its transfer syntax says. `content` is
    the whole file, mapped maybe; only headers are looked at.
    """
    meta = read_file_meta(content, size)
    syntax = uids.transfer_syntax(meta.transfer_syntax_uid)
    if not meta.transfer_syntax_uid or syntax.deflated:
        return False
    if is_implicit(content, meta.dataset_offset, syntax) != syntax.implicit:
        return False
    order = BIG if syntax.big_endian else LITTLE
    if syntax.implicit:
        value, length = offset + 8, order.implicit(content, offset)[1]
    else:
        if not looks_explicit(content, offset):
            return False
        value, length = offset + 12, order.u32(content, offset + 8)[0]
    if length != UNDEFINED:
        return bool(value + length == size)
    try:
        return skip_undefined(content, value, size, syntax.implicit, order, limits) == size
    except DicomError:
        return False
