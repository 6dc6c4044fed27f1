"""What a header must say after a compression with loss (PS3.3 C.7.6.1.1.5, C.12.4).

The pixels are others now, so it is another instance: derived from the old one, which it names.
"""

from __future__ import annotations

import hashlib
import uuid

from ithil.dicom.dataset import Dataset, Element
from ithil.pixels.elements import EXPLICIT_LITTLE, Encoding, element_bytes, encoded
from ithil.pixels.encode import NEAR, Plan
from ithil.pixels.syntaxes import (
    HTJ2K,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LS_NEAR,
    LOSSY_METHODS,
)

_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_IMAGE_TYPE, _DERIVATION = 0x00080008, 0x00082111
_SOURCE_IMAGES, _DERIVATION_CODES = 0x00082112, 0x00089215
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_PURPOSE = 0x0040A170
_LONGEST_DERIVATION = 1024  # characters of VR ST

_ALWAYS_LOSSY = frozenset({JPEG_BASELINE, JPEG_EXTENDED})
_NAMES = {
    JPEG_BASELINE: "JPEG baseline",
    JPEG_EXTENDED: "JPEG extended sequential",
    JPEG_2000: "JPEG 2000",
    HTJ2K: "HTJ2K",
}


def once_lossy(parsed: Dataset, source_syntax: str, target: Encoding) -> dict[int, bytes | None]:
    """What keeps it known that pixels have been coded with loss, when the coding that tells so goes."""
    if source_syntax not in _ALWAYS_LOSSY or _text(parsed, _LOSSY) == "01":
        return {}
    changes: dict[int, bytes | None] = {_LOSSY: element_bytes(_LOSSY, "CS", b"01", target)}
    if not _text(parsed, _METHOD):
        changes[_METHOD] = _cs(_METHOD, LOSSY_METHODS[source_syntax], target)
    return changes


def derived_uid(parsed: Dataset, plan: Plan) -> str:
    """The SOP Instance UID of the new instance: the same whenever the same is done to the same instance."""
    source = _text(parsed, _SOP_INSTANCE)
    digest = hashlib.sha256(f"{source}|{plan.syntax}|{plan.quality}".encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def changes(parsed: Dataset, plan: Plan, ratio: float, sop_instance_uid: str) -> dict[int, bytes | None]:
    """The elements that change with a compression with loss by `ratio` to one, in explicit little endian."""
    little = EXPLICIT_LITTLE
    known = _text(parsed, _LOSSY) == "01"
    ratios, methods = _text(parsed, _RATIO) if known else "", _text(parsed, _METHOD) if known else ""
    words = (_text(parsed, _IMAGE_TYPE).split("\\") + ["", ""])[: max(2, _count(parsed, _IMAGE_TYPE))]
    image_type = "\\".join(["DERIVED", words[1] or "PRIMARY", *words[2:]])
    return {
        _SOP_INSTANCE: element_bytes(_SOP_INSTANCE, "UI", _even(sop_instance_uid, b"\0"), little),
        _IMAGE_TYPE: _cs(_IMAGE_TYPE, image_type, little),
        _LOSSY: _cs(_LOSSY, "01", little),
        _RATIO: element_bytes(_RATIO, "DS", _even(_joined(ratios, f"{ratio:.5g}"), b" "), little),
        _METHOD: _cs(_METHOD, _joined(methods, LOSSY_METHODS[plan.syntax]), little),
        _DERIVATION: element_bytes(_DERIVATION, "ST", _derivation(parsed, plan, ratio), little),
        _SOURCE_IMAGES: _with_item(parsed, _SOURCE_IMAGES, _source_item(parsed)),
        _DERIVATION_CODES: _with_item(parsed, _DERIVATION_CODES, _code("113040", "Lossy Compression")),
    }


def _derivation(parsed: Dataset, plan: Plan, ratio: float) -> bytes:
    """What was done, before what had been said already, which stays in its own character set."""
    if plan.syntax == JPEG_LS_NEAR:
        text = f"Lossy compression with near-lossless JPEG-LS (NEAR={NEAR}), ratio {ratio:.5g}"
    else:
        text = f"Lossy compression with {_NAMES[plan.syntax]}, quality {plan.quality}, ratio {ratio:.5g}"
    value = text.encode("ascii")
    before = parsed.find(_DERIVATION)
    old = bytes(before.value).strip(b" \0") if before is not None else b""
    if old and len(value) + len(old) + 3 <= _LONGEST_DERIVATION:
        value += b" [" + old + b"]"
    return value + b" " * (len(value) & 1)


def _source_item(parsed: Dataset) -> list[Element]:
    """PS3.3 C.12.4: the instance that this one was made from (CID 7202)."""
    return [
        _text_element(0x00081150, "UI", _text(parsed, _SOP_CLASS), b"\0"),
        _text_element(0x00081155, "UI", _text(parsed, _SOP_INSTANCE), b"\0"),
        Element(_PURPOSE, "SQ", memoryview(b""), [_code("121320", "Uncompressed predecessor")]),
    ]


def _code(value: str, meaning: str) -> list[Element]:
    """A code of the DICOM Controlled Terminology (PS3.16)."""
    return [
        _text_element(0x00080100, "SH", value, b" "),
        _text_element(0x00080102, "SH", "DCM", b" "),
        _text_element(0x00080104, "LO", meaning, b" "),
    ]


def _with_item(parsed: Dataset, tag: int, item: list[Element]) -> bytes:
    """A sequence with one item more. The numbers in its old items may be in big endian."""
    before = parsed.find(tag)
    items = before.items if before is not None and before.items is not None else []
    old = b"".join(_item_bytes(each, swapped=parsed.big_endian) for each in items)
    sequence = encoded(Element(tag, "SQ", memoryview(b""), []), EXPLICIT_LITTLE)
    content = old + _item_bytes(item, swapped=False)
    return sequence[:-4] + len(content).to_bytes(4, "little") + content


def _item_bytes(item: list[Element], *, swapped: bool) -> bytes:
    content = b"".join(encoded(each, EXPLICIT_LITTLE, swapped=swapped) for each in item)
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


def _text_element(tag: int, vr: str, text: str, padding: bytes) -> Element:
    return Element(tag, vr, memoryview(_even(text, padding)))


def _text(parsed: Dataset, tag: int) -> str:
    element = parsed.find(tag)
    return bytes(element.value).decode("latin-1").strip(" \0") if element is not None else ""


def _count(parsed: Dataset, tag: int) -> int:
    return _text(parsed, tag).count("\\") + 1


def _joined(old: str, new: str) -> str:
    return f"{old}\\{new}" if old else new


def _cs(tag: int, text: str, target: Encoding) -> bytes:
    return element_bytes(tag, "CS", _even(text, b" "), target)


def _even(text: str, padding: bytes) -> bytes:
    value = text.encode("latin-1", "replace")
    return value + padding * (len(value) & 1)
