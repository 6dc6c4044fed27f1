"""Writing text into a data set: in its character set if that can hold it, else the whole data set moves to one.

The decoder of `ithil.dicom.charsets` decides what bytes mean, so it also decides whether bytes are a right
way to write a text: those of a codec are, if they read back as the same text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ithil import error_codes as codes
from ithil.dicom import charsets
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Element, decoder_of
from ithil.dicom.values import clean_text
from ithil.edit.values import CHARACTER_VRS, Encoder
from ithil.error_codes import CodedError

SPECIFIC_CHARACTER_SET = 0x00080005
UNICODE = b"ISO_IR 192"
_LATIN1 = b"ISO_IR 100"

_CODECS = (
    *("latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8"),
    *("iso8859_9", "iso8859_15", "cp1251", "tis_620", "shift_jis", "utf_8", "gb18030", "gbk", "gb2312"),
    *("iso2022_jp_2", "euc_kr"),
)
# Escape sequences (without ESC) and the number of the character set that must be named for them to be used.
_DESIGNATIONS = {b"(B": b"", b"$B": b"87", b"$(D": b"159", b"$)C": b"149", b"$)A": b"58"}
_ESCAPE = re.compile(rb"\x1b([$()\-.]+[@-~])")
_DELIMITERS = re.compile(r"([\\^=\r\n\t\f])")
_PREFIXES = {"euc_kr": (b"\x1b$)C", b""), "gb2312": (b"\x1b$)A", b"")}


def encoded(text: str, character_set: bytes | None, default_encoding: str) -> bytes | None:
    """The bytes of `text` in a character set (the value of SpecificCharacterSet); None if it has none."""
    if text.isascii() and "\x1b" not in text:
        return text.encode("ascii")
    decode = charsets.decoder(character_set, default_encoding)
    for codec in _CODECS:
        for prefix in _PREFIXES.get(codec, (b"",)):
            raw = _written(text, codec, prefix)
            if raw is not None and _may_designate(raw, character_set or b"") and decode(raw) == text:
                return raw
    return None


def _written(text: str, codec: str, prefix: bytes) -> bytes | None:
    """The text in a codec; with `prefix` before each part of it, since delimiters end its effect."""
    try:
        if not prefix:
            return text.encode(codec)
        parts = [part.encode(codec) for part in _DELIMITERS.split(text)]
    except UnicodeEncodeError:
        return None
    return b"".join(part if part.isascii() else prefix + part for part in parts)


def _may_designate(raw: bytes, character_set: bytes) -> bool:
    """Whether the character set allows the escape sequences in `raw`: only code extensions do."""
    if b"\x1b" not in raw:
        return True
    extended = b"\\" in character_set or b"2022" in character_set
    found = _ESCAPE.findall(raw)
    return extended and all(_DESIGNATIONS.get(each, b"none") in character_set for each in found)


def character_set_of(elements: list[Element]) -> bytes | None:
    """The value of SpecificCharacterSet among the elements, None if it is not there."""
    found = next((e for e in elements if e.tag == SPECIFIC_CHARACTER_SET), None)
    return None if found is None else bytes(found.value)


def make_room(
    elements: list[Element], texts: Sequence[str], default_encoding: str, wanted: bytes | None = None
) -> Encoder:
    """See to it that the data set can hold `texts`; gives the function that encodes them.

    With `wanted`, the data set is moved to that character set. Otherwise it stays in its own if it can, and
    moves to ISO_IR 100 or ISO_IR 192 (UTF-8) if not. Raises CodedError (bad file format) when its text, or
    one of `texts`, has no place in `wanted`.
    """
    present = character_set_of(elements)
    if wanted is None and not texts:
        return _encoder(present, default_encoding)
    if wanted is None and (present or b"").strip(b" \0") and not _has_inner(elements):
        fits = all(encoded(text, present, default_encoding) is not None for text in texts)
        if fits:
            return _encoder(present, default_encoding)
    candidates = (_LATIN1, UNICODE) if wanted is None else (wanted,)
    for candidate in candidates:
        moved = _moved(elements, charsets.decoder(present, default_encoding), candidate, default_encoding)
        if moved is not None and all(
            encoded(text, candidate, default_encoding) is not None for text in texts
        ):
            for element, raw in moved:
                element.value = memoryview(raw)
            _drop_inner(elements)
            _set(elements, candidate)
            return _encoder(candidate, default_encoding)
    raise CodedError(
        codes.BAD_FILE_FORMAT, "The SpecificCharacterSet that is asked for cannot hold the text of a data set"
    )


def _encoder(character_set: bytes | None, default_encoding: str) -> Encoder:
    def encode(text: str) -> bytes:
        raw = encoded(text, character_set, default_encoding)
        return text.encode("utf-8", "replace") if raw is None else raw

    return encode


def _moved(
    elements: list[Element], decode: Decoder, target: bytes, default_encoding: str
) -> list[tuple[Element, bytes]] | None:
    """The elements whose bytes change, with their new bytes; None if a text has no place in `target`."""
    changes: list[tuple[Element, bytes]] = []
    stack = [(elements, decode)]
    while stack:
        level, inherited = stack.pop()
        decode = decoder_of(level, inherited, default_encoding)
        for element in level:
            if element.items is not None:
                stack.extend((item, decode) for item in element.items)
            elif element.vr in CHARACTER_VRS:
                raw = bytes(element.value)
                if raw.isascii() and b"\x1b" not in raw:
                    continue
                new = encoded(clean_text(raw, decode), target, default_encoding)
                if new is None:
                    return None
                changes.append((element, new + b" " if len(new) & 1 else new))
    return changes


def _has_inner(elements: list[Element]) -> bool:
    """Whether items of sequences have a character set of their own."""
    stack = [item for element in elements for item in element.items or ()]
    while stack:
        item = stack.pop()
        if character_set_of(item) is not None:
            return True
        stack.extend(inner for element in item for inner in element.items or ())
    return False


def _drop_inner(elements: list[Element]) -> None:
    stack = [item for element in elements for item in element.items or ()]
    while stack:
        item = stack.pop()
        item[:] = [element for element in item if element.tag != SPECIFIC_CHARACTER_SET]
        stack.extend(inner for element in item for inner in element.items or ())


def _set(elements: list[Element], character_set: bytes) -> None:
    value = memoryview(character_set + b" " if len(character_set) & 1 else character_set)
    elements[:] = [element for element in elements if element.tag != SPECIFIC_CHARACTER_SET]
    elements.insert(0, Element(SPECIFIC_CHARACTER_SET, "CS", value))
