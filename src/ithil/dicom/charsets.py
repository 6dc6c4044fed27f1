"""Turns the bytes of text elements into Unicode, as SpecificCharacterSet (0008,0005) says (PS3.3 C.12.1.1.2).

Decoding never fails. A charset that says it is ASCII, or that nobody knows, loses its non-ASCII bytes, as in
Orthanc, because public ids are hashes of the decoded text; elsewhere a wrong byte becomes U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_ESCAPE = 0x1B

_SINGLE_BYTE = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis_620",
    # Designated by escape sequences alone; as an initial charset they can only be meant as G1.
    "ISO_IR 87": "iso2022_jp_2",
    "ISO_IR 159": "iso2022_jp_2",
    "ISO_IR 149": "euc_kr",
    "ISO_IR 58": "gb2312",
    # Without code extensions.
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}

# Escape sequence (without ESC) -> (codec, text to put before the bytes so that the codec understands them).
_DESIGNATIONS: dict[bytes, tuple[str, bytes]] = {
    b"(B": ("", b""),  # ASCII in G0: the bytes above 7F keep the G1 of the moment
    b"(J": ("shift_jis", b""),
    b")I": ("shift_jis", b""),
    b"-A": ("latin_1", b""),
    b"-B": ("iso8859_2", b""),
    b"-C": ("iso8859_3", b""),
    b"-D": ("iso8859_4", b""),
    b"-L": ("iso8859_5", b""),
    b"-G": ("iso8859_6", b""),
    b"-F": ("iso8859_7", b""),
    b"-H": ("iso8859_8", b""),
    b"-M": ("iso8859_9", b""),
    b"-b": ("iso8859_15", b""),
    b"-T": ("tis_620", b""),
    b"$B": ("iso2022_jp_2", b"\x1b$B"),
    b"$@": ("iso2022_jp_2", b"\x1b$@"),
    b"$(D": ("iso2022_jp_2", b"\x1b$(D"),
    b"$)C": ("euc_kr", b""),
    b"$)A": ("gb2312", b""),
}
_ESCAPE_SEQUENCE = re.compile(rb"\x1b(\$?[()\-]?[@-~])")
_DELIMITERS = re.compile(rb"(?<=[\\^=\r\n\t\f])")

# Orthanc's names of encodings, as in the option DefaultEncoding.
_ORTHANC_ENCODINGS = {
    "Ascii": "ascii",
    "Utf8": "utf_8",
    "Latin1": "latin_1",
    "Latin2": "iso8859_2",
    "Latin3": "iso8859_3",
    "Latin4": "iso8859_4",
    "Latin5": "iso8859_9",
    "Cyrillic": "iso8859_5",
    "Windows1251": "cp1251",
    "Arabic": "iso8859_6",
    "Greek": "iso8859_7",
    "Hebrew": "iso8859_8",
    "Thai": "tis_620",
    "Japanese": "shift_jis",
    "Chinese": "gb18030",
    "JapaneseKanji": "iso2022_jp_2",
    "Korean": "euc_kr",
    "SimplifiedChinese": "gb2312",
}
ORTHANC_ENCODINGS = frozenset(_ORTHANC_ENCODINGS)
"""The values that Orthanc's option `DefaultEncoding` takes."""


_EXTENSIONS = {
    "JapaneseKanji": "\\ISO 2022 IR 87",
    "Korean": "\\ISO 2022 IR 149",
    "SimplifiedChinese": "\\ISO 2022 IR 58",
}


def defined_term(encoding: str, *, extensions: bool = False) -> str:
    """The term of SpecificCharacterSet that stands for one of `ORTHANC_ENCODINGS`, "" for plain ASCII.

    Encodings that no term names are best replaced by UTF-8, whose term is given for them. So are those that
    take code extensions (PS3.3 C.12.1.1.2), unless `extensions` are welcome.
    """
    if encoding in _EXTENSIONS:
        return _EXTENSIONS[encoding] if extensions else "ISO_IR 192"
    codec = _ORTHANC_ENCODINGS.get(encoding, "latin_1")
    return next((term for term, known in _SINGLE_BYTE.items() if known == codec), "ISO_IR 192")


DEFAULT_ENCODING = "Latin1"
"""Orthanc's default for data sets without SpecificCharacterSet."""

Decoder = Callable[[bytes], str]


def _plain(codec: str) -> Decoder:
    errors = "ignore" if codec == "ascii" else "replace"

    def decode(raw: bytes) -> str:
        return raw.decode(codec, errors)

    return decode


def _with_extensions(initial: str) -> Decoder:
    """ISO 2022: escape sequences switch charsets, delimiters switch back to the initial one."""
    plain = _plain(initial)

    def segment(raw: bytes, codec: str, prefix: bytes) -> str:
        if prefix:
            # Two 7-bit bytes a character: what looks like a delimiter is half a character.
            return (prefix + raw).decode(codec, "replace")
        if codec == initial or initial == "ascii":
            return raw.decode(codec, "replace")
        head, *tail = _DELIMITERS.split(raw, maxsplit=1)
        return head.decode(codec, "replace") + (plain(tail[0]) if tail else "")

    def decode(raw: bytes) -> str:
        if _ESCAPE not in raw:
            return plain(raw)
        parts = _ESCAPE_SEQUENCE.split(raw)
        text = [plain(parts[0])]
        g1 = initial
        for designation, following in zip(parts[1::2], parts[2::2], strict=True):
            codec, prefix = _DESIGNATIONS.get(designation, (initial, b""))
            if not codec:
                codec = g1
            elif not prefix and codec != "shift_jis":
                g1 = codec
            text.append(segment(following, codec, prefix))
        return "".join(text)

    return decode


@lru_cache(maxsize=512)
def decoder(specific_character_set: bytes | None, default_encoding: str = DEFAULT_ENCODING) -> Decoder:
    """The decoder for a data set with this raw value of SpecificCharacterSet (None if it is absent).

    `default_encoding` is one of `ORTHANC_ENCODINGS` and holds where the value is absent or empty; an
    unknown name means Latin1.
    """
    terms = [_term(term) for term in (specific_character_set or b"").rstrip(b"\0 ").split(b"\\")]
    if len(terms) == 1 and not terms[0]:
        return _plain(_ORTHANC_ENCODINGS.get(default_encoding, "latin_1"))
    initial = _SINGLE_BYTE.get(terms[0], "ascii")
    if initial in ("utf_8", "gb18030", "gbk"):
        return _plain(initial)
    if initial == "iso2022_jp_2":
        initial = "ascii"
    if initial == "ascii" and len(terms) > 1:
        # Seen in the wild: the initial charset is left out although its G1 half is used.
        initial = next((c for c in map(_SINGLE_BYTE.get, terms[1:]) if c in _G1_CODECS), initial)
    return _with_extensions(initial)


_G1_CODECS = frozenset(
    {codec for codec, prefix in _DESIGNATIONS.values() if codec and not prefix} - {"shift_jis"}
)


def _term(raw: bytes) -> str:
    """A defined term, with the spellings that are common though wrong brought to the right one."""
    term = raw.strip(b" \0").decode("ascii", "replace").upper()
    return re.sub(r"^ISO[ _-]*(?:2022[ _-]*)?IR[ _-]*", "ISO_IR ", term)
