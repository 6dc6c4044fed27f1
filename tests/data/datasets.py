"""Builds small data sets byte by byte, well-formed or not, where pydicom would insist on being right."""

from __future__ import annotations

import struct

from ithil.dicom.encoding import LONG_VRS, UNDEFINED
from ithil.dicom.part10 import file_meta
from ithil.dicom.uids import EXPLICIT_LITTLE

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"
SOP_INSTANCE = "1.2.826.0.1.3680043.10.1.1"

IDENTIFIERS: dict[int, tuple[str, bytes]] = {
    0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
    0x00080018: ("UI", b"1.2.826.0.1.3680043.10.1.1"),
    0x00100020: ("LO", b"P1"),
    0x0020000D: ("UI", b"1.2.3\0"),
    0x0020000E: ("UI", b"1.2.3.4\0"),
}


def element(tag: int, vr: str, value: bytes, *, length: int | None = None, big: bool = False) -> bytes:
    """One explicit VR element; `length` overrides the true one."""
    size = len(value) if length is None else length
    sign = ">" if big else "<"
    if vr in LONG_VRS:
        return struct.pack(sign + "HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, size) + value
    return struct.pack(sign + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), size & 0xFFFF) + value


def implicit(tag: int, value: bytes, *, length: int | None = None) -> bytes:
    """One implicit VR little endian element."""
    size = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + value


def item(content: bytes, *, undefined: bool = False) -> bytes:
    """A sequence item, with its delimiter if its length is undefined."""
    if undefined:
        return implicit(0xFFFEE000, content, length=UNDEFINED) + implicit(0xFFFEE00D, b"")
    return implicit(0xFFFEE000, content)


def undefined_sequence(tag: int, content: bytes, vr: str = "SQ") -> bytes:
    """A sequence (or encapsulated value) of undefined length with its delimiter."""
    return element(tag, vr, content, length=UNDEFINED) + implicit(0xFFFEE0DD, b"")


def body(elements: dict[int, tuple[str, bytes] | bytes], *, identifiers: bool = True) -> bytes:
    """A data set of explicit VR little endian in order of tags; bytes are taken for whole elements."""
    merged: dict[int, tuple[str, bytes] | bytes] = dict(IDENTIFIERS) if identifiers else {}
    merged.update(elements)
    return b"".join(
        part if isinstance(part, bytes) else element(tag, *part) for tag, part in sorted(merged.items())
    )


def part10(dataset: bytes, transfer_syntax: str = EXPLICIT_LITTLE) -> bytes:
    """A DICOM file around a data set."""
    return file_meta(SOP_CLASS, SOP_INSTANCE, transfer_syntax) + dataset
