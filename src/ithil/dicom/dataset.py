"""A whole header as a light tree of elements, for showing tags and walking into sequences.

Where the scanner picks a few values, this keeps all of them, as slices of the buffer that are decoded when
they are shown. It is bounded like the scanner and walks with a stack of its own instead of recursion.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from ithil.dicom import charsets, dictionary, uids
from ithil.dicom.charsets import Decoder
from ithil.dicom.encoding import (
    BIG,
    DEFAULT_LIMITS,
    LITTLE,
    UNDEFINED,
    Buffer,
    Order,
    ScanLimits,
    looks_explicit,
    odd_header,
    skip_undefined,
)
from ithil.dicom.errors import DicomError
from ithil.dicom.inflate import Inflater
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of
from ithil.dicom.uids import TransferSyntax

_PIXEL_REPRESENTATION = 0x00280103
_PALETTE_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103})  # dcmtk leaves them undecided
_PIXEL_DATA_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


@dataclass(slots=True)
class Element:
    """One element. `value` is its bytes as they lie in the file; a sequence has `items` instead.

    `vr` is the one in the file, or the dictionary's in implicit VR. `private_creator` is the text of the
    element that reserves this one's block, "" for public elements and for blocks without a creator.
    """

    tag: int
    vr: str
    value: memoryview
    items: list[list[Element]] | None = None
    private_creator: str = ""


@dataclass(slots=True)
class Dataset:
    """The elements of a data set in the order of the file, and what is needed to read their values."""

    elements: list[Element] = field(default_factory=list)
    transfer_syntax_uid: str = ""
    big_endian: bool = False
    default_encoding: str = charsets.DEFAULT_ENCODING

    def find(self, *path: int) -> Element | None:
        """The element at a path of tag, item number, tag, ...; None if any part of it is absent."""
        elements: list[Element] | None = self.elements
        found: Element | None = None
        for step, part in enumerate(path):
            if step % 2:
                items = found.items if found is not None else None
                elements = items[part] if items is not None and 0 <= part < len(items) else None
                found = None
            else:
                found = next((e for e in elements or () if e.tag == part), None)
                if found is None:
                    return None
        return found

    @property
    def sign(self) -> str:
        """The byte order of numbers, as `struct` writes it."""
        return ">" if self.big_endian else "<"

    @property
    def decode(self) -> Decoder:
        """The decoder of the top-level text elements."""
        return decoder_of(self.elements, charsets.decoder(None, self.default_encoding), self.default_encoding)


def decoder_of(elements: list[Element], inherited: Decoder, default_encoding: str) -> Decoder:
    """The decoder that SpecificCharacterSet among `elements` asks for, else `inherited`."""
    for element in elements:
        if element.tag >= 0x00080005:
            if element.tag == 0x00080005:
                return charsets.decoder(bytes(element.value), default_encoding)
            break
    return inherited


@dataclass(slots=True)
class _Level:
    """A data set or a sequence that the walk is inside of; `elements` is None for a sequence."""

    end: int
    implicit: bool
    elements: list[Element] | None
    items: list[list[Element]] | None
    open_ended: bool
    creators: dict[int, str] = field(default_factory=dict)


def parse_meta(buffer: Buffer) -> Dataset:
    """The file meta information (group 0002); no elements if the file has none."""
    meta = read_file_meta(buffer, len(buffer))
    end = min(meta.dataset_offset, len(buffer))
    result = Dataset(transfer_syntax_uid=uids.EXPLICIT_LITTLE)
    _Parser(buffer, LITTLE, DEFAULT_LIMITS).run(meta.meta_offset, end, False, result.elements, end)
    return result


def parse(
    buffer: Buffer,
    *,
    stop_at_pixel_data: bool = True,
    limits: ScanLimits = DEFAULT_LIMITS,
    transfer_syntax: str | None = None,
    default_encoding: str = charsets.DEFAULT_ENCODING,
) -> Dataset:
    """Reads all elements after the file meta information, without decoding any value.

    With `stop_at_pixel_data` the walk ends with the header of the pixel data, which the buffer must hold
    if the element is to be seen, and whose `value` is then empty. Else encapsulated pixel data has
    all its fragments, delimiters included, as `value`. With `transfer_syntax` the buffer is a bare data set.
    The values are views into `buffer`, so an `mmap` cannot be closed while they live.
    Raises `DicomError` for a file that is cut off or damaged.
    """
    if transfer_syntax is None:
        meta = read_file_meta(buffer, len(buffer))
        position, uid = meta.dataset_offset, meta.transfer_syntax_uid
    else:
        position, uid = 0, transfer_syntax
    syntax = syntax_of(buffer, position, uid)
    if not syntax.deflated:
        return _parse_at(buffer, position, syntax, stop_at_pixel_data, limits, default_encoding)
    inflater = Inflater(buffer, position, limits.maximum_inflated)
    while True:
        inflater.grow()
        try:
            return _parse_at(
                bytes(inflater.data),
                0,
                syntax,
                stop_at_pixel_data,
                limits,
                default_encoding,
                inflater.complete,
            )
        except DicomError:
            if inflater.complete or inflater.starved:
                raise


def _parse_at(
    buffer: Buffer,
    position: int,
    syntax: TransferSyntax,
    stop_at_pixel_data: bool,
    limits: ScanLimits,
    default_encoding: str,
    complete: bool = True,
) -> Dataset:
    result = Dataset([], syntax.uid, syntax.big_endian, default_encoding)
    parser = _Parser(buffer, BIG if syntax.big_endian else LITTLE, limits)
    stop = parser.order.key(0x7FE00010) if stop_at_pixel_data else None
    implicit = is_implicit(buffer, position, syntax)
    reached = parser.run(position, len(buffer), implicit, result.elements, len(buffer), stop)
    if not complete and not reached:
        raise DicomError("the data set goes on")
    return result


def parse_span(
    buffer: Buffer,
    start: int,
    end: int,
    *,
    implicit: bool,
    big_endian: bool,
    limits: ScanLimits = DEFAULT_LIMITS,
    choice: str = "OW",
    creators: dict[int, str] | None = None,
) -> list[Element]:
    """The elements between two offsets, such as one sequence that the scanner found.

    `choice` is what US or SS is in implicit VR at this place, `creators` are the texts of the private creators
    before it, by their tags.
    """
    elements: list[Element] = []
    parser = _Parser(buffer, BIG if big_endian else LITTLE, limits)
    parser.choice = choice
    parser.run(start, end, implicit, elements, end, creators=creators)
    return elements


class _Parser:
    def __init__(self, buffer: Buffer, order: Order, limits: ScanLimits) -> None:
        self.buffer = buffer
        self.view = memoryview(buffer)
        self.order = order
        self.limits = limits
        # PixelRepresentation decides between US and SS (PS3.5 A.1); before it, nobody can tell.
        self.choice = "OW"

    def run(
        self,
        position: int,
        end: int,
        implicit: bool,
        elements: list[Element],
        size: int,
        stop: int | None = None,
        creators: dict[int, str] | None = None,
    ) -> bool:
        """Appends to `elements` what lies between two offsets of the buffer, in a tree.

        Tells whether it ended at the element with the key `stop`.
        """
        order = self.order
        level = _Level(end, implicit, elements, None, False, dict(creators or {}))
        stack = [level]
        try:
            for _ in range(self.limits.maximum_elements):
                while position >= level.end and not level.open_ended:
                    stack.pop()
                    if not stack:
                        return False
                    position = max(position, level.end) if level.items is None else level.end
                    level = stack[-1]
                if level.elements is None:
                    position, level = self._item(position, level, stack)
                    continue
                key, length, value, vr = self._header(position, level, size)
                if key == order.item_end or key == order.sequence_end:
                    if not level.open_ended or len(stack) == 1:
                        position += 8
                        continue
                    stack.pop()
                    level = stack[-1]
                    position += 8 if key == order.item_end else 0
                    continue
                if stop is not None and key == stop and len(stack) == 1:
                    elements.append(Element(0x7FE00010, vr or "OW", _NOTHING))
                    return True
                position, level = self._element(key, vr, value, length, size, level, stack)
        except struct.error:
            raise DicomError(f"the data set is cut off at offset {position}") from None
        raise DicomError("too many elements")

    def _header(self, position: int, level: _Level, size: int) -> tuple[int, int, int, str]:
        """(key, length, offset of the value, VR or "" if it is not stated)."""
        order, buffer = self.order, self.buffer
        if level.implicit:
            key, length = order.implicit(buffer, position)
            return key, length, position + 8, ""
        key, vr, length = order.header(buffer, position)
        if vr in order.short:
            return key, length, position + 8, order.vr_names[vr]
        if vr in order.long:
            return key, order.u32(buffer, position + 8)[0], position + 12, order.vr_names[vr]
        value, length = odd_header(buffer, position, size, order)
        return key, length, value, "UN"

    def _element(
        self, key: int, vr: str, value: int, length: int, size: int, level: _Level, stack: list[_Level]
    ) -> tuple[int, _Level]:
        """Adds one element; a sequence becomes the level to go on with."""
        order, buffer = self.order, self.buffer
        tag = order.key(key)
        creator = ""
        if tag & 0x10000 and tag & 0xFFFF > 0xFF:
            creator = level.creators.get((tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8, "")
        if not vr:
            vr = dictionary.tag_vr(tag, creator)
            if dictionary.may_be_signed(tag):
                vr = "OW" if tag in _PALETTE_DESCRIPTORS else self.choice
        if tag == _PIXEL_REPRESENTATION:
            self.choice = "SS" if any(buffer[value : value + min(length, 2)]) else "US"
        assert level.elements is not None
        inner_implicit = level.implicit or vr == "UN"
        if length == UNDEFINED:
            if vr not in ("OB", "OW") and (vr == "UN" or tag not in _PIXEL_DATA_TAGS):
                vr = "SQ"
            if vr != "SQ":
                following = skip_undefined(buffer, value, size, level.implicit, order, self.limits)
                level.elements.append(Element(tag, vr, self.view[value:following]))
                return following, level
        elif value + length > size:
            raise DicomError(f"the value of {dictionary.format_tag(tag)} passes the end of the data")
        if vr == "SQ":
            items: list[list[Element]] = []
            level.elements.append(Element(tag, vr, _NOTHING, items, creator))
            if len(stack) > self.limits.maximum_depth * 2:
                raise DicomError(f"sequences are nested too deeply at offset {value}")
            undefined = length == UNDEFINED
            inner = _Level(size if undefined else value + length, inner_implicit, None, items, undefined)
            stack.append(inner)
            return value, inner
        following = value + length
        level.elements.append(Element(tag, vr, self.view[value:following], None, creator))
        if tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF and vr != "UN":
            text = bytes(buffer[value:following]).rstrip(b"\0 ").decode("latin_1")
            level.creators[tag] = text
        return following, level

    def _item(self, position: int, level: _Level, stack: list[_Level]) -> tuple[int, _Level]:
        """Inside a sequence: opens the next item, or closes the sequence."""
        order = self.order
        key, length = order.implicit(self.buffer, position)
        position += 8
        if key == order.sequence_end:
            stack.pop()
            if not level.open_ended:
                position = max(position, level.end)
            return position, stack[-1]
        if key != order.item:
            raise DicomError(f"neither an item nor the end of a sequence at offset {position - 8}")
        assert level.items is not None
        elements: list[Element] = []
        level.items.append(elements)
        undefined = length == UNDEFINED
        implicit = level.implicit and not (length and looks_explicit(self.buffer, position))
        end = level.end if undefined else position + length
        if end > level.end:
            raise DicomError(f"an item passes the end of its sequence at offset {position}")
        inner = _Level(end, implicit, elements, None, undefined)
        stack.append(inner)
        return position, inner


_NOTHING = memoryview(b"")
