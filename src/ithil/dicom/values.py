"""The text of one element's value, as Orthanc shows it and the index stores it (PS3.5 6.2)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from ithil.dicom.charsets import Decoder

TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
"""VRs whose values are text."""

_ESCAPE = 0x1B


def clean_text(raw: bytes, decode: Decoder) -> str:
    """The decoded text of a value without its padding.

    Trailing blanks go, leading ones stay, and nothing counts after a NUL. An odd length has no padding (it is
    not allowed by PS3.5 6.2, and dcmtk then takes a trailing blank for part of the text).
    """
    text = raw.rstrip(b"\0 ") if not len(raw) & 1 else raw.rstrip(b"\0")
    if text.isascii() and _ESCAPE not in text:
        if 0 in text:
            text = text[: text.index(0)]
        return str(text, "ascii")
    if 0 in text:
        text = text[: text.index(0)]
    return decode(text)


def _integers(code: str, size: int) -> Callable[[bytes, str], str]:
    def convert(raw: bytes, sign: str) -> str:
        count = len(raw) // size
        if count == 1:
            return str(struct.unpack_from(sign + code, raw)[0])
        return "\\".join(map(str, struct.unpack_from(f"{sign}{count}{code}", raw)))

    return convert


def _floats(code: str, size: int) -> Callable[[bytes, str], str]:
    def convert(raw: bytes, sign: str) -> str:
        values = struct.unpack_from(f"{sign}{len(raw) // size}{code}", raw)
        return "\\".join([f"{value:.17g}" for value in values])

    return convert


def _tag(raw: bytes, sign: str) -> str:
    """AT: only the first tag is shown."""
    if len(raw) < 4:
        return ""
    group, element = struct.unpack_from(sign + "HH", raw)
    return f"{group:04x},{element:04x}"


_NUMBERS: dict[str, Callable[[bytes, str], str]] = {
    "US": _integers("H", 2),
    "SS": _integers("h", 2),
    "UL": _integers("I", 4),
    "SL": _integers("i", 4),
    "FL": _floats("f", 4),
    "FD": _floats("d", 8),
    "AT": _tag,
}


def value_text(vr: str, raw: bytes, decode: Decoder, sign: str = "<") -> str | None:
    """The value as text, several values joined by backslashes; None where it has no text.

    `sign` is the byte order as in `struct`. Binary values and empty numbers have none.
    Floating point numbers get 17 significant digits, like dcmtk's.
    """
    if vr in TEXT_VRS:
        return clean_text(raw, decode)
    number = _NUMBERS.get(vr)
    return (number(raw, sign) or None) if number is not None else None


def unknown_text(dictionary_vr: str, raw: bytes, decode: Decoder) -> str | None:
    """The text of a public element that was sent as VR UN, if it is text in the dictionary: all its bytes.

    Padding stays, as in Orthanc, but for the NUL after a UID.
    """
    if dictionary_vr not in TEXT_VRS:
        return None
    return decode(raw.rstrip(b"\0") if dictionary_vr == "UI" else raw)
