"""The file meta information of a file that is written anew (PS3.10 7.1): what changes, changes in place."""

from __future__ import annotations

import struct

from ithil.dicom.dataset import parse_meta
from ithil.dicom.part10 import file_meta
from ithil.dicom.scan import Scan
from ithil.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from ithil.pixels.elements import EXPLICIT_LITTLE, element_bytes, encoded

_PREAMBLE = 128
_LENGTH, _INSTANCE, _SYNTAX, _CLASS, _VERSION = 0x00020000, 0x00020003, 0x00020010, 0x00020012, 0x00020013


def with_syntax(start: bytes, transfer_syntax: str, found: Scan, sop_instance_uid: str = "") -> bytes:
    """The start of a file for another transfer syntax, and another instance if a UID is given.

    `start` is all before the data set, which may be nothing; `found` is a scan of the file, whose tags are
    used where there was no meta information. The implementation that wrote the file is this one now.
    """
    meta = parse_meta(start).elements if start else []
    if not meta:
        sop_class = found.media_storage_sop_class_uid or found.tags.get(0x00080016, "")
        instance = sop_instance_uid or found.tags.get(0x00080018, "")
        return file_meta(sop_class, instance, transfer_syntax)
    changed = {
        _SYNTAX: _uid(_SYNTAX, transfer_syntax),
        _CLASS: _uid(_CLASS, IMPLEMENTATION_CLASS_UID),
        _VERSION: element_bytes(_VERSION, "SH", _even(IMPLEMENTATION_VERSION_NAME, b" "), EXPLICIT_LITTLE),
    }
    if sop_instance_uid:
        changed[_INSTANCE] = _uid(_INSTANCE, sop_instance_uid)
    kept = {element.tag: encoded(element, EXPLICIT_LITTLE) for element in meta if element.tag != _LENGTH}
    body = b"".join(value for _, value in sorted((kept | changed).items()))
    preamble = start[:_PREAMBLE] if start[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else bytes(_PREAMBLE)
    length = element_bytes(_LENGTH, "UL", struct.pack("<I", len(body)), EXPLICIT_LITTLE)
    return preamble + b"DICM" + length + body


def _uid(tag: int, value: str) -> bytes:
    return element_bytes(tag, "UI", _even(value, b"\0"), EXPLICIT_LITTLE)


def _even(text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + padding * (len(value) & 1)
