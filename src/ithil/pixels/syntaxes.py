"""The transfer syntaxes that files can be written in. Named apart from the codecs, which take memory to load."""

from __future__ import annotations

from ithil.dicom.uids import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, RLE, TRANSFER_SYNTAXES

_PREFIX = "1.2.840.10008.1.2.4."
JPEG_BASELINE, JPEG_EXTENDED = _PREFIX + "50", _PREFIX + "51"
JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = _PREFIX + "57", _PREFIX + "70"
JPEG_LS, JPEG_LS_NEAR = _PREFIX + "80", _PREFIX + "81"
JPEG_2000_LOSSLESS, JPEG_2000 = _PREFIX + "90", _PREFIX + "91"
HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K = _PREFIX + "201", _PREFIX + "202", _PREFIX + "203"

NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED})
"""Those with native pixel data."""

ENCODABLE = frozenset(
    {
        *(RLE, JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_LS_NEAR),
        *(JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K),
    }
)
"""Those with compressed pixel data that frames can be coded in."""

TARGETS = NATIVE | ENCODABLE
"""All of them."""

LOSSY_METHODS = {
    JPEG_BASELINE: "ISO_10918_1",
    JPEG_EXTENDED: "ISO_10918_1",
    JPEG_LS_NEAR: "ISO_14495_1",
    JPEG_2000: "ISO_15444_1",
    HTJ2K: "ISO_15444_15",
}
"""Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1) of each that loses something."""


def is_video(transfer_syntax: str) -> bool:
    """Whether frames of this transfer syntax are those of a video, which is never coded anew."""
    syntax = TRANSFER_SYNTAXES.get(transfer_syntax)
    return syntax is not None and syntax.name.startswith(("MPEG", "HEVC", "Fragmentable"))
