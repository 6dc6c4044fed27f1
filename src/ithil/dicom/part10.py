"""The start of a DICOM file (PS3.10 section 7.1): reading it, however damaged, and writing a new one.

What comes by C-STORE is a bare data set, which gets preamble and file meta information here. What comes by
other doors may lack the preamble, the meta information or the transfer syntax, and may be encoded otherwise
than it says; the rules for that are here too, so that every reader follows the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from ithil.dicom import uids
from ithil.dicom.encoding import LITTLE, Buffer, NeedMoreData, looks_explicit, odd_header
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, TransferSyntax

_SHORT = struct.Struct("<HH2sH")
_PREFIX = bytes(128) + b"DICM" + _SHORT.pack(2, 0, b"UL", 4)
_VERSION = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\x00\x01"


def _element(element: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) & 1:
        value += padding
    return _SHORT.pack(2, element, vr, len(value)) + value


@lru_cache(maxsize=256)
def _beginning(sop_class: str) -> bytes:
    """What stands before the instance's own UID; the same for all instances of a series."""
    return _VERSION + _element(0x0002, b"UI", sop_class, b"\0")


@lru_cache(maxsize=256)
def _ending(
    transfer_syntax: str, calling_aet: str, implementation_class_uid: str, implementation_version: str
) -> bytes:
    ending = (
        _element(0x0010, b"UI", transfer_syntax, b"\0")
        + _element(0x0012, b"UI", implementation_class_uid, b"\0")
        + _element(0x0013, b"SH", implementation_version, b" ")
    )
    if calling_aet:
        ending += _element(0x0016, b"AE", calling_aet[:16], b" ")
    return ending


def file_meta(
    sop_class: str,
    sop_instance: str,
    transfer_syntax: str,
    calling_aet: str = "",
    *,
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID,
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME,
) -> bytes:
    """The preamble, the prefix `DICM` and the file meta information that go before a data set.

    `calling_aet` becomes SourceApplicationEntityTitle if it is not empty. All of it is explicit VR little
    endian whatever the transfer syntax of the data set.
    """
    body = (
        _beginning(sop_class)
        + _element(0x0003, b"UI", sop_instance, b"\0")
        + _ending(transfer_syntax, calling_aet, implementation_class_uid, implementation_version_name)
    )
    return _PREFIX + struct.pack("<I", len(body)) + body


@dataclass(slots=True)
class FileMeta:
    """What the file meta information says; offsets from the start of the file."""

    transfer_syntax_uid: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    has_preamble: bool = False
    has_meta: bool = False
    meta_offset: int = 0  # of the first element of group 0002
    dataset_offset: int = 0
    truncated: bool = False


def read_file_meta(buffer: Buffer, total: int) -> FileMeta:
    """Reads group 0002, which is explicit little endian and whose group length is not trusted.

    `total` is the size of the file that `buffer` is, or is the start of. A file without preamble has offset 0
    and maybe no meta information. Raises `NeedMoreData` if the buffer ends too early.
    """
    result = FileMeta()
    position = 0
    if bytes(buffer[128:132]) == b"DICM":
        result.has_preamble = True
        position = 132
    elif not (bytes(buffer[:2]) == b"\x02\0" and looks_explicit(buffer, 0)):
        if len(buffer) < 132 and total > len(buffer):
            raise NeedMoreData("the buffer ends inside the preamble")
        return result
    result.meta_offset = position
    header, short, long, u32 = LITTLE.header, LITTLE.short, LITTLE.long, LITTLE.u32
    try:
        while True:
            key, vr, length = header(buffer, position)
            if key & 0xFFFF != 2:
                break
            value = position + 8
            if vr not in short:
                if vr in long:
                    length = u32(buffer, value)[0]
                    value += 4
                else:
                    value, length = odd_header(buffer, position, total, LITTLE)
            position = value + length
            if position > len(buffer):
                if position <= total:
                    raise NeedMoreData("the file meta information goes on beyond the buffer")
                result.truncated = True
                return result
            if key == 0x00100002:
                result.transfer_syntax_uid = _uid(buffer, value, position)
            elif key == 0x00020002:
                result.sop_class_uid = _uid(buffer, value, position)
            elif key == 0x00030002:
                result.sop_instance_uid = _uid(buffer, value, position)
            result.has_meta = True
    except struct.error:
        if position < total:
            if total > len(buffer):
                raise NeedMoreData("the file meta information goes on beyond the buffer") from None
            result.truncated = True
    result.dataset_offset = position
    return result


def _uid(buffer: Buffer, start: int, end: int) -> str:
    return str(bytes(buffer[start:end]).strip(b"\0 "), "ascii", "replace")


def syntax_of(buffer: Buffer, position: int, uid: str) -> TransferSyntax:
    """The transfer syntax with this UID; without one, what the first element at `position` looks like.

    Its VR, or the lack of one, and its group decide. Raises `DicomError` for what is no data set.
    """
    if uid:
        return uids.transfer_syntax(uid)
    first = bytes(buffer[position : position + 6])
    if len(first) < 6:
        raise DicomError("too short for a DICOM data set")
    group = int.from_bytes(first[:2], "little")
    swapped = int.from_bytes(first[:2], "big")
    explicit = _two_capitals(first[4:6])
    # No group as high as 0400H starts a data set, and no element has group 0 outside of commands.
    if 0 < group < 0x400:
        return uids.TRANSFER_SYNTAXES[uids.EXPLICIT_LITTLE if explicit else uids.IMPLICIT_LITTLE]
    if 0 < swapped < 0x400 and explicit:
        return uids.TRANSFER_SYNTAXES[uids.EXPLICIT_BIG]
    raise DicomError("not a DICOM file")


def is_implicit(buffer: Buffer, position: int, syntax: TransferSyntax) -> bool:
    """Whether the data set at `position` has implicit VR.

    Some files are not encoded as their transfer syntax says, and their first element shows it.
    """
    vr = bytes(buffer[position + 4 : position + 6])
    if syntax.implicit:
        return not looks_explicit(buffer, position)
    return len(vr) == 2 and not _two_capitals(vr) and vr != b"??"


def _two_capitals(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()
