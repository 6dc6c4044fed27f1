"""UIDs with a meaning for a server: transfer syntaxes, storage SOP classes, and making new ones.

What decides how bytes are read (the transfer syntaxes) stands here in full; the long list of storage SOP
classes is drawn from pydicom's table on first use.
"""

from __future__ import annotations

import fnmatch
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ithil.dicom import pydicom_tables

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"

IMPLEMENTATION_CLASS_UID = "2.25.221047306112955713092047538306273741961"
"""Names this implementation in association negotiation and file meta information (PS3.7 D.3.3.2)."""

IMPLEMENTATION_VERSION_NAME = "ITHIL_0_1"
"""At most 16 characters (PS3.7 D.3.3.2.3)."""


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded (PS3.5 section 10 and annex A)."""

    uid: str
    name: str
    implicit: bool = False
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False


_PLAIN = (
    TransferSyntax(IMPLICIT_LITTLE, "Implicit VR Little Endian", implicit=True),
    TransferSyntax(EXPLICIT_LITTLE, "Explicit VR Little Endian"),
    TransferSyntax(EXPLICIT_BIG, "Explicit VR Big Endian", big_endian=True),
    TransferSyntax(DEFLATED, "Deflated Explicit VR Little Endian", deflated=True),
    TransferSyntax("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    TransferSyntax("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", deflated=True),
    TransferSyntax("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced"),
    TransferSyntax("1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", deflated=True),
    TransferSyntax("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", implicit=True),
    # GE's own: implicit little endian in every respect but the byte order of native pixel data.
    TransferSyntax("1.2.840.113619.5.2", "Implicit VR Big Endian Pixels (GE private)", implicit=True),
)

_ENCAPSULATED_NAMES = {
    "1.2.840.10008.1.2.1.98": "Encapsulated Uncompressed Explicit VR Little Endian",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 and 4)",
    "1.2.840.10008.1.2.4.52": "JPEG Extended (Process 3 and 5)",
    "1.2.840.10008.1.2.4.53": "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)",
    "1.2.840.10008.1.2.4.54": "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)",
    "1.2.840.10008.1.2.4.55": "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)",
    "1.2.840.10008.1.2.4.56": "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless, Non-Hierarchical (Process 14)",
    "1.2.840.10008.1.2.4.58": "JPEG Lossless, Non-Hierarchical (Process 15)",
    "1.2.840.10008.1.2.4.59": "JPEG Extended, Hierarchical (Process 16 and 18)",
    "1.2.840.10008.1.2.4.60": "JPEG Extended, Hierarchical (Process 17 and 19)",
    "1.2.840.10008.1.2.4.61": "JPEG Spectral Selection, Hierarchical (Process 20 and 22)",
    "1.2.840.10008.1.2.4.62": "JPEG Spectral Selection, Hierarchical (Process 21 and 23)",
    "1.2.840.10008.1.2.4.63": "JPEG Full Progression, Hierarchical (Process 24 and 26)",
    "1.2.840.10008.1.2.4.64": "JPEG Full Progression, Hierarchical (Process 25 and 27)",
    "1.2.840.10008.1.2.4.65": "JPEG Lossless, Hierarchical (Process 28)",
    "1.2.840.10008.1.2.4.66": "JPEG Lossless, Hierarchical (Process 29)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless, Non-Hierarchical, First-Order Prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless Image Compression",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Lossy (Near-Lossless) Image Compression",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Image Compression (Lossless Only)",
    "1.2.840.10008.1.2.4.91": "JPEG 2000 Image Compression",
    "1.2.840.10008.1.2.4.92": "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)",
    "1.2.840.10008.1.2.4.93": "JPEG 2000 Part 2 Multi-component Image Compression",
    "1.2.840.10008.1.2.4.100": "MPEG2 Main Profile / Main Level",
    "1.2.840.10008.1.2.4.100.1": "Fragmentable MPEG2 Main Profile / Main Level",
    "1.2.840.10008.1.2.4.101": "MPEG2 Main Profile / High Level",
    "1.2.840.10008.1.2.4.101.1": "Fragmentable MPEG2 Main Profile / High Level",
    "1.2.840.10008.1.2.4.102": "MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "1.2.840.10008.1.2.4.102.1": "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "1.2.840.10008.1.2.4.103": "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
    "1.2.840.10008.1.2.4.103.1": "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
    "1.2.840.10008.1.2.4.104": "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
    "1.2.840.10008.1.2.4.104.1": "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
    "1.2.840.10008.1.2.4.105": "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
    "1.2.840.10008.1.2.4.105.1": "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
    "1.2.840.10008.1.2.4.106": "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
    "1.2.840.10008.1.2.4.106.1": "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
    "1.2.840.10008.1.2.4.107": "HEVC/H.265 Main Profile / Level 5.1",
    "1.2.840.10008.1.2.4.108": "HEVC/H.265 Main 10 Profile / Level 5.1",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000 Image Compression",
    RLE: "RLE Lossless",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {syntax.uid: syntax for syntax in _PLAIN} | {
    uid: TransferSyntax(uid, name, encapsulated=True) for uid, name in _ENCAPSULATED_NAMES.items()
}
"""Every transfer syntax in which a data set can be stored, by UID."""


def transfer_syntax(uid: str) -> TransferSyntax:
    """The encoding named by `uid`; an unknown (private) UID reads as explicit little endian (PS3.5 A.4)."""
    known = TRANSFER_SYNTAXES.get(uid)
    return known if known is not None else TransferSyntax(uid, uid)


def _numbered(*numbers: int) -> frozenset[str]:
    return frozenset(f"1.2.840.10008.1.2.4.{number}" for number in numbers)


TRANSFER_SYNTAX_GROUPS: dict[str, frozenset[str]] = {
    "Deflated": frozenset({DEFLATED}),
    "Jpeg": _numbered(*range(50, 67), 70),
    "Jpeg2000": _numbered(90, 91, 92, 93),
    "JpegLossless": _numbered(80, 81),  # Orthanc's name for JPEG-LS
    "Jpip": _numbered(94, 95),
    "Mpeg2": _numbered(100, 101),
    "Rle": frozenset({RLE}),
    "Mpeg4": _numbered(102, 103, 104, 105, 106),
    "H265": _numbered(107, 108),
}
"""What each of Orthanc's `<Group>TransferSyntaxAccepted` options adds or takes away."""


@lru_cache(maxsize=256)
def _pattern(wildcard: str) -> re.Pattern[str]:
    # Only `*` and `?` are wildcards here, so the brackets that fnmatch knows are made literal.
    return re.compile(fnmatch.translate(wildcard.replace("[", "[[]")))


def matches_uid(uid: str, wildcards: Iterable[str]) -> bool:
    """Whether `uid` matches one of the patterns, in which `*` and `?` stand for any run and any character."""
    return any(pattern == uid or _pattern(pattern).match(uid) for pattern in wildcards)


def matching_transfer_syntaxes(wildcards: Iterable[str]) -> frozenset[str]:
    """The known transfer syntaxes that match one of the patterns, plus patterns that are plain UIDs."""
    patterns = list(wildcards)
    known = {uid for uid in TRANSFER_SYNTAXES if matches_uid(uid, patterns)}
    return frozenset(known | {pattern for pattern in patterns if not set(pattern) & {"*", "?"}})


MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
"""The SOP class of a DICOMDIR, which is a file of a medium and not an instance to archive."""

_NOT_INSTANCES = frozenset({MEDIA_STORAGE_DIRECTORY, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"})
_VENDOR_STORAGE_CLASSES = frozenset(
    {
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image Storage
        "1.2.840.113619.4.26",  # GE 3D Model
        "1.2.840.113619.4.27",  # GE Nuclear Medicine private data
        "1.2.840.113619.4.30",  # GE eNTEGRA
    }
)


@lru_cache(maxsize=1)
def storage_sop_classes() -> frozenset[str]:
    """The UIDs of all storage SOP classes: PS3.4 B.5, retired and trial ones, and known private ones."""
    table = pydicom_tables.uids()
    standard = {
        uid for uid, entry in table.items() if entry[1] == "SOP Class" and "Storage" in entry[0].split()
    }
    return frozenset((standard | _VENDOR_STORAGE_CLASSES) - _NOT_INSTANCES)


def is_storage_sop_class(uid: str) -> bool:
    """Whether instances of this SOP class are sent with C-STORE and kept in an archive."""
    return uid in storage_sop_classes()


def uid_name(uid: str) -> str:
    """The registered name of a UID, or the UID itself if it is not registered."""
    entry = pydicom_tables.uids().get(uid)
    return entry[0] if entry is not None and entry[0] else uid


def generate_uid() -> str:
    """A new UID from a random UUID (PS3.5 B.2); at most 44 characters."""
    return f"2.25.{uuid.uuid4().int}"
