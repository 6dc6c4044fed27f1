"""The scanner: one bounded walk over a header that yields what the index needs, and nothing else.

This is the hot path of receiving. It touches each top-level element once, passes over values by their length
without copying them, decodes only the wanted ones, and stops at the pixel data. It takes a Part 10 file, a
file without preamble or meta information, or a bare data set as C-STORE brings it, in every transfer syntax.
Its shape follows from speed: one loop, one unpack and two set lookups for an element nobody wants.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache

from ithil.dicom import charsets, dictionary, uids
from ithil.dicom.encoding import (
    BIG,
    DEFAULT_LIMITS,
    LITTLE,
    UNDEFINED,
    Buffer,
    NeedMoreData,
    Order,
    ScanLimits,
    odd_header,
    skip_undefined,
)
from ithil.dicom.errors import DicomError
from ithil.dicom.inflate import Inflater
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of
from ithil.dicom.values import TEXT_VRS, clean_text, unknown_text, value_text

__all__ = ["NeedMoreData", "Scan", "ScanLimits", "scan"]

_CHARSET = 0x00080005
_ROWS, _COLUMNS, _BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100
_SAMPLES, _FRAMES = 0x00280002, 0x00280008
PIXEL_DATA_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, double float and integer Pixel Data (PS3.3 C.7.6.3, C.7.6.24)."""

_BASICS = {
    _ROWS: "rows",
    _COLUMNS: "columns",
    _BITS_ALLOCATED: "bits_allocated",
    _SAMPLES: "samples_per_pixel",
    _FRAMES: "number_of_frames",
}
_OFFSET_TABLES = frozenset({0x7FE00001, 0x7FE00002})  # Extended Offset Table and its lengths
_SPECIAL = PIXEL_DATA_TAGS | {_CHARSET} | _OFFSET_TABLES | frozenset(_BASICS)


@dataclass(slots=True)
class Scan:
    """What one walk over a header found.

    Offsets count bytes from the start of the buffer that was scanned. The pixel data of a deflated data set
    has no place in the file, so its offsets are None.
    """

    transfer_syntax_uid: str
    has_preamble: bool = False
    has_meta: bool = False
    media_storage_sop_class_uid: str = ""
    media_storage_sop_instance_uid: str = ""
    dataset_offset: int = 0
    implicit: bool = False  # as the bytes are, even if the transfer syntax says otherwise
    big_endian: bool = False
    deflated: bool = False
    tags: dict[int, str] = field(default_factory=dict)
    """The wanted top-level tags that have text, decoded; absent and binary ones are absent."""
    sequences: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Wanted tags that are sequences: offsets of the element's tag and of its end, for `parse_span`."""
    inflated: bytes | None = None
    """What the offsets in `sequences` point into if the data set is deflated."""
    too_long: set[int] = field(default_factory=set)
    """Wanted tags that are left out of `tags` since their text is longer than `ScanLimits.maximum_text`."""
    charset: bytes | None = None  # the raw value of SpecificCharacterSet
    pixel_data_tag: int | None = None
    pixel_data_offset: int | None = None  # of the element's tag, which is Orthanc's PixelDataOffset
    pixel_data_vr: str = ""
    pixel_value_offset: int | None = None
    pixel_value_length: int | None = None  # None if undefined, as encapsulated pixel data is
    is_encapsulated: bool = False
    offset_tables: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Offset and length of the values of (7FE0,0001) and (7FE0,0002), the Extended Offset Table."""
    truncated: bool = False  # some value passes the end of the file
    rows: int | None = None
    columns: int | None = None
    bits_allocated: int | None = None
    samples_per_pixel: int | None = None
    number_of_frames: int | None = None

    @property
    def has_pixel_data(self) -> bool:
        """Whether the walk ended at an element with pixel data."""
        return self.pixel_data_tag is not None

    @property
    def end_of_pixel_data(self) -> int | None:
        """The offset behind native pixel data; None where there is none or only a walk can tell."""
        if self.pixel_value_offset is None or self.pixel_value_length is None:
            return None
        return self.pixel_value_offset + self.pixel_value_length


def scan(
    buffer: Buffer,
    wanted: frozenset[int],
    *,
    limits: ScanLimits = DEFAULT_LIMITS,
    transfer_syntax: str | None = None,
    dataset_offset: int = 0,
    total_size: int | None = None,
    default_encoding: str = charsets.DEFAULT_ENCODING,
) -> Scan:
    """Scans a DICOM file, or with `transfer_syntax` the data set encoded in it at `dataset_offset`.

    `wanted` are the top-level tags whose values to return. If `buffer` is only the start of a file of
    `total_size` bytes, `NeedMoreData` tells that something up to the header of the pixel data lies beyond it.
    `default_encoding` is Orthanc's option of that name. A truncated file is not an error here but a flag;
    bytes that are no DICOM at all, or beyond `limits`, raise `DicomError`.
    """
    size = len(buffer)
    total = size if total_size is None or total_size < size else total_size
    position = dataset_offset
    if transfer_syntax is not None:
        # Whatever lies before the data set was made by the caller, who knows what it says.
        whole = dataset_offset > 0
        result = Scan(transfer_syntax, has_preamble=whole, has_meta=whole, dataset_offset=position)
    else:
        meta = read_file_meta(buffer, total)
        position = meta.dataset_offset
        result = Scan(
            meta.transfer_syntax_uid,
            meta.has_preamble,
            meta.has_meta,
            meta.sop_class_uid,
            meta.sop_instance_uid,
            position,
            truncated=meta.truncated,
        )
        if meta.truncated:
            return result
    syntax = uids.TRANSFER_SYNTAXES.get(result.transfer_syntax_uid)
    if syntax is None:
        if size - position < 8 <= total - position:
            raise NeedMoreData("the buffer ends before the first element")
        syntax = syntax_of(buffer, position, result.transfer_syntax_uid)
        result.transfer_syntax_uid = syntax.uid
    if syntax.deflated:
        result.deflated = True
        _scan_deflated(buffer, total, wanted, limits, default_encoding, result)
        return result
    _walk(buffer, position, total, syntax, wanted, limits, default_encoding, result)
    return result


@lru_cache(maxsize=64)
def _plan(wanted: frozenset[int], big_endian: bool) -> dict[int, int]:
    """From the keys that element headers give to the tags that the walk stops for."""
    order = BIG if big_endian else LITTLE
    return {order.key(tag): tag for tag in wanted | _SPECIAL}


def _walk(
    buffer: Buffer,
    position: int,
    total: int,
    syntax: uids.TransferSyntax,
    wanted: frozenset[int],
    limits: ScanLimits,
    default_encoding: str,
    result: Scan,
) -> None:
    size = len(buffer)
    if size == position == total:
        raise DicomError("the data set is empty")
    order = BIG if syntax.big_endian else LITTLE
    implicit = is_implicit(buffer, position, syntax)
    result.implicit, result.big_endian = implicit, order.big_endian
    plan = _plan(wanted, order.big_endian)
    header, read_implicit, u32 = order.header, order.implicit, order.u32
    short, long, names, un, sign = order.short, order.long, order.vr_names, order.un, order.sign
    text_vrs = _text_numbers(order)
    decode = charsets.decoder(None, default_encoding)
    tags = result.tags
    maximum_text = limits.maximum_text
    vr = 0
    try:
        for _ in range(limits.maximum_elements):
            if implicit:
                key, length = read_implicit(buffer, position)
                value = position + 8
            else:
                key, vr, length = header(buffer, position)
                if vr in short:
                    value = position + 8
                elif vr in long:
                    length = u32(buffer, position + 8)[0]
                    value = position + 12
                else:
                    value, length = odd_header(buffer, position, total, order)
            if length == UNDEFINED:
                tag = plan.get(key)
                if tag in PIXEL_DATA_TAGS:
                    _found_pixel_data(result, tag, position, value, None, names.get(vr, ""))
                    if size == total:
                        result.truncated = not _has_end(buffer, value, order, limits)
                    return
                following = skip_undefined(buffer, value, total, implicit or vr == un, order, limits)
                if tag is not None and tag not in _SPECIAL:
                    result.sequences[tag] = (position, following)
                position = following
                continue
            following = value + length
            if key in plan:
                tag = plan[key]
                if vr in text_vrs:
                    if following > size:
                        break
                    text: str | None = clean_text(bytes(buffer[value:following]), decode)
                elif tag in PIXEL_DATA_TAGS:
                    _found_pixel_data(result, tag, position, value, length, names.get(vr, ""))
                    result.truncated = following > total
                    return
                else:
                    if following > size:
                        break
                    # In implicit VR, `vr` stays 0, which is no VR.
                    name = dictionary.tag_vr(tag) if implicit else names.get(vr, "UN")
                    if name == "SQ":
                        result.sequences[tag] = (position, following)
                        position = following
                        continue
                    raw = bytes(buffer[value:following])
                    if name == "UN":
                        text = unknown_text(dictionary.tag_vr(tag), raw, decode)
                    else:
                        text = value_text(name, raw, decode, sign)
                if tag in _SPECIAL:
                    if tag == _CHARSET:
                        result.charset = bytes(buffer[value:following])
                        decode = charsets.decoder(result.charset, default_encoding)
                    elif tag in _OFFSET_TABLES:
                        result.offset_tables[tag] = (value, length)
                    elif tag in PIXEL_DATA_TAGS:
                        # Pixel data with the VR of text: damaged, but still where the walk ends.
                        _found_pixel_data(result, tag, position, value, length, names[vr])
                        return
                    else:
                        _note_basic(result, tag, text, bytes(buffer[value:following]), sign)
                    if tag in wanted and text is not None:
                        tags[tag] = text
                elif text is not None and (
                    len(text) * 4 <= maximum_text or len(text.encode("utf-8", "replace")) <= maximum_text
                ):
                    tags[tag] = text
                elif text is not None:
                    result.too_long.add(tag)
            position = following
        else:
            raise DicomError("too many elements")
    except struct.error:
        following = position
        if position == total:
            return
    if size < total and following <= total:
        raise NeedMoreData("the header goes on beyond the buffer")
    result.truncated = True


@lru_cache(maxsize=2)
def _text_numbers(order: Order) -> frozenset[int]:
    return frozenset(order.vr(vr) for vr in TEXT_VRS)


def _found_pixel_data(
    result: Scan, tag: int | None, position: int, value: int, length: int | None, vr: str
) -> None:
    result.pixel_data_tag = tag
    result.pixel_data_offset = position
    result.pixel_value_offset = value
    result.pixel_value_length = length
    result.is_encapsulated = length is None
    result.pixel_data_vr = vr or {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(tag or 0, "OW")


def _has_end(buffer: Buffer, value: int, order: Order, limits: ScanLimits) -> bool:
    """Whether the fragments of encapsulated pixel data are whole, up to the delimiter after the last one."""
    try:
        return skip_undefined(buffer, value, len(buffer), False, order, limits) <= len(buffer)
    except DicomError:
        return False


def _note_basic(result: Scan, tag: int, text: str | None, raw: bytes, sign: str) -> None:
    """Keeps a number that the layout of frames depends on; a value that is none is as good as absent."""
    try:
        if tag == _FRAMES:
            number = int(raw.strip(b"\0 ").split(b"\\")[0] or b"0")
        elif text is not None and text.isdigit():
            number = int(text)
        else:
            number = struct.unpack_from(sign + "H", raw)[0]  # UN, or several values
    except (ValueError, struct.error):
        return
    setattr(result, _BASICS[tag], number)


def _scan_deflated(
    buffer: Buffer,
    total: int,
    wanted: frozenset[int],
    limits: ScanLimits,
    default_encoding: str,
    result: Scan,
) -> None:
    """Walks over the inflated start of a deflated data set, and over more of it while the header goes on."""
    syntax = uids.TRANSFER_SYNTAXES[uids.EXPLICIT_LITTLE]
    inflater = Inflater(buffer, result.dataset_offset, limits.maximum_inflated)
    whole_file = len(buffer) >= total
    while True:
        inflater.grow()
        inflated = bytes(inflater.data)
        # Until the stream has ended its true size is unknown, so let the walk ask for more.
        at_end = inflater.complete or (inflater.starved and whole_file)
        attempt = Scan(result.transfer_syntax_uid)
        try:
            size = len(inflated) if at_end else 1 << 62
            _walk(inflated, 0, size, syntax, wanted, limits, default_encoding, attempt)
        except NeedMoreData:
            if inflater.starved:
                raise
            continue
        break
    result.tags, result.charset, result.too_long = attempt.tags, attempt.charset, attempt.too_long
    if attempt.sequences:
        result.sequences, result.inflated = attempt.sequences, inflated
    for name in _BASICS.values():
        setattr(result, name, getattr(attempt, name))
    result.implicit = attempt.implicit
    result.truncated = attempt.truncated
    if inflater.starved and whole_file:
        result.truncated = True
    result.pixel_data_tag, result.pixel_data_vr = attempt.pixel_data_tag, attempt.pixel_data_vr
    result.is_encapsulated = attempt.is_encapsulated
