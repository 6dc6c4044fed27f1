"""A DICOM file as a tree of elements that can be changed, and back to bytes.

Values that nobody touches stay the very bytes of the file: nothing is decoded that need not be. The pixel data
need not even be there: of an instance whose pixel data comes last, the head alone is edited, and the pixels
are copied from file to file by whoever asked for it. This is why editing does not go through pydicom, which
builds an object an element and takes twenty times as long for a CT image.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

from ithil.dicom import charsets, uids
from ithil.dicom.dataset import Element, parse, parse_meta
from ithil.dicom.encoding import DEFAULT_LIMITS, ITEM, LONG_VRS, SEQUENCE_END, UNDEFINED, Buffer, ScanLimits
from ithil.dicom.part10 import file_meta
from ithil.dicom.values import TEXT_VRS, clean_text
from ithil.edit.values import LONGEST_SHORT

PIXEL_DATA = 0x7FE00010
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
_SOURCE_AET = 0x00020016


@dataclass(slots=True)
class Document:
    """The elements of a file in their order.

    Attributes:
        transfer_syntax_uid: in which the file is encoded, and will be written.
        source_aet: SourceApplicationEntityTitle of the file meta information, "" if it has none.
        default_encoding: of text where the data set names no character set.
    """

    elements: list[Element]
    transfer_syntax_uid: str
    source_aet: str = ""
    default_encoding: str = charsets.DEFAULT_ENCODING

    @property
    def sign(self) -> str:
        """The byte order of numbers, as `struct` writes it."""
        return ">" if uids.transfer_syntax(self.transfer_syntax_uid).big_endian else "<"

    def find(self, tag: int) -> Element | None:
        """The first element with that tag."""
        return next((element for element in self.elements if element.tag == tag), None)

    def text(self, tag: int) -> str:
        """The text of an element of the data set, "" if it is absent."""
        element = self.find(tag)
        if element is None:
            return ""
        decode = charsets.decoder(self._character_set(), self.default_encoding)
        return clean_text(bytes(element.value), decode)

    def _character_set(self) -> bytes | None:
        element = self.find(0x00080005)
        return None if element is None else bytes(element.value)


def read(
    content: Buffer,
    *,
    head_only: bool = False,
    limits: ScanLimits = DEFAULT_LIMITS,
    default_encoding: str = charsets.DEFAULT_ENCODING,
) -> Document:
    """The document in a whole file, or with `head_only` in the part of one before its pixel data.

    The values are views into `content`. Raises DicomError.
    """
    dataset = parse(content, stop_at_pixel_data=head_only, limits=limits, default_encoding=default_encoding)
    source = next((e for e in parse_meta(content).elements if e.tag == _SOURCE_AET), None)
    aet = "" if source is None else clean_text(bytes(source.value), charsets.decoder(None, "Ascii"))
    return Document(dataset.elements, dataset.transfer_syntax_uid, aet, default_encoding)


def write(document: Document) -> bytes:
    """The bytes of a file with new file meta information (PS3.10 7.1) and the document's data set.

    Sequences get defined lengths, values an even length, and retired group lengths are left out.
    """
    syntax = uids.transfer_syntax(document.transfer_syntax_uid)
    meta = file_meta(
        document.text(SOP_CLASS_UID), document.text(SOP_INSTANCE_UID), syntax.uid, document.source_aet
    )
    body = _elements(document.elements, _Form(syntax.implicit, document.sign))
    if syntax.deflated:
        deflate = zlib.compressobj(level=6, wbits=-15)
        body = [deflate.compress(b"".join(body)), deflate.flush()]
        if sum(map(len, body)) & 1:
            body.append(b"\0")
    return b"".join([meta, *body])


def data_set(elements: list[Element], transfer_syntax_uid: str) -> bytes:
    """The bytes of a data set without file meta information, as messages carry it. It is not deflated."""
    syntax = uids.transfer_syntax(transfer_syntax_uid)
    return b"".join(_elements(elements, _Form(syntax.implicit, ">" if syntax.big_endian else "<")))


class _Form:
    """How element headers are written: with or without VR, and in which byte order (PS3.5 7.1)."""

    __slots__ = ("implicit", "item", "item_header", "long", "sequence_end", "short", "sign")

    def __init__(self, implicit: bool, sign: str) -> None:
        self.implicit = implicit
        self.sign = sign
        self.short = struct.Struct(sign + "HH2sH").pack
        self.long = struct.Struct(sign + "HH2sHI").pack
        self.item_header = struct.Struct(sign + "HHI").pack
        self.item = struct.pack(sign + "HH", ITEM >> 16, ITEM & 0xFFFF)
        self.sequence_end = struct.pack(sign + "HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)

    def header(self, tag: int, vr: str, length: int) -> bytes:
        if self.implicit:
            return self.item_header(tag >> 16, tag & 0xFFFF, length)
        if vr in _LONG:
            return self.long(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, length)
        if length > LONGEST_SHORT:
            return self.long(tag >> 16, tag & 0xFFFF, b"UN", 0, length)  # PS3.5 6.2.2, note 2
        return self.short(tag >> 16, tag & 0xFFFF, _vr_bytes(vr), length)


_LONG = frozenset(LONG_VRS)


@lru_cache(maxsize=64)
def _vr_bytes(vr: str) -> bytes:
    return vr.encode("ascii")


def _elements(elements: list[Element], form: _Form) -> list[bytes | memoryview]:
    pieces: list[bytes | memoryview] = []
    for element in elements:
        tag, vr, value = element.tag, element.vr, element.value
        if element.items is not None:
            content = _items(element.items, form)
            pieces += (form.header(tag, "SQ", len(content)), content)
        elif _is_encapsulated(element, form):
            pieces += (form.header(tag, vr, UNDEFINED), value)
        elif len(value) & 1:
            padding = b" " if vr in TEXT_VRS and vr != "UI" else b"\0"
            pieces += (form.header(tag, vr, len(value) + 1), value, padding)
        else:
            pieces += (form.header(tag, vr, len(value)), value)
    return pieces


def _items(items: list[list[Element]], form: _Form) -> bytes:
    pieces: list[bytes] = []
    for item in items:
        content = b"".join(_elements(item, form))
        pieces += (form.item_header(ITEM >> 16, ITEM & 0xFFFF, len(content)), content)
    return b"".join(pieces)


def _is_encapsulated(element: Element, form: _Form) -> bool:
    """Whether the value is a run of fragments with its delimiters, as `dataset.parse` leaves them."""
    value = element.value
    return (
        element.vr in ("OB", "OW")
        and len(value) >= 16
        and value[:4] == form.item
        and value[-8:] == form.sequence_end
    )
