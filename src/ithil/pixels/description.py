"""What a header says of its pixels (PS3.3 C.7.6.3), read once and checked, as plain values.

Everything that a stranger's header can claim is bounded here, before anybody allocates memory for it: an image
that passes `describe` has a frame of at most `MAXIMUM_FRAME_BYTES` and bit depths that exist.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.uids import TransferSyntax, transfer_syntax
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.lookup_table import LookupTable, read_palette, read_table

MAXIMUM_FRAME_BYTES = 512 << 20
"""The largest decoded frame, in bytes."""

MAXIMUM_SIDE = 65_535
MAXIMUM_VALUES = 256
"""Of windows, or other values of one element, no more are looked at."""

INTEGER, FLOAT, DOUBLE = "integer", "float", "double"
_KINDS = {0x7FE00008: FLOAT, 0x7FE00009: DOUBLE, 0x7FE00010: INTEGER}
_DEPTHS = {INTEGER: (1, 8, 16, 32, 64), FLOAT: (32,), DOUBLE: (64,)}
_SHARED_GROUPS, _GROUPS_OF_FRAMES = 0x52009229, 0x52009230
_VALUE_TRANSFORMATION, _FRAME_VOI_LUT = 0x00289145, 0x00289132


@dataclass(frozen=True, slots=True)
class Window:
    """A window (PS3.3 C.11.2.1.2): centre and width in output units of the modality LUT."""

    center: float
    width: float


@dataclass(frozen=True, slots=True)
class FrameValues:
    """What can differ from frame to frame: how stored values become shown ones.

    `slope` and `intercept` are those of the modality (PS3.3 C.11.1.1.2); `function` is the VOI LUT Function.
    """

    slope: float = 1.0
    intercept: float = 0.0
    windows: tuple[Window, ...] = ()
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """One instance's pixels.

    Attributes:
        syntax: the transfer syntax that the frames are stored in.
        kind: "integer", or "float" and "double" for Float and Double Float Pixel Data.
        rows, columns: of a frame.
        samples: values a pixel, 1 or 3.
        bits_allocated, bits_stored, high_bit: PS3.5 8.1.1.
        signed: whether Pixel Representation says two's complement.
        photometric: Photometric Interpretation as the header has it.
        planar: whether the samples lie in planes, one after the other (Planar Configuration 1).
        frames: Number of Frames, at least 1.
        words: whether native pixel data is VR OW, so that 8-bit samples lie swapped in big endian.
        values: what holds for all frames; use `of` for one frame.
        palettes: red, green and blue of PALETTE COLOR.
    """

    syntax: TransferSyntax
    rows: int
    columns: int
    kind: str = INTEGER
    samples: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    signed: bool = False
    photometric: str = "MONOCHROME2"
    planar: bool = False
    frames: int = 1
    words: bool = True
    values: FrameValues = FrameValues()
    per_frame: tuple[FrameValues, ...] = ()
    modality_lut: LookupTable | None = None
    voi_luts: tuple[LookupTable, ...] = ()
    palettes: tuple[LookupTable, LookupTable, LookupTable] | None = None

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.rows * self.columns

    @property
    def bits_per_frame(self) -> int:
        """Length of a native frame in bits (PS3.5 8.1.1; subsampled colour takes 16 bits a pixel)."""
        if self.is_subsampled:
            return self.pixels * 2 * self.bits_allocated
        return self.pixels * self.samples * self.bits_allocated

    @property
    def is_subsampled(self) -> bool:
        """Whether native frames share chrominance between two pixels (PS3.3 C.7.6.3.1.2)."""
        return self.samples == 3 and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def is_monochrome(self) -> bool:
        """Whether a pixel is one shade of grey."""
        return self.samples == 1 and self.palettes is None

    def of(self, frame: int) -> FrameValues:
        """The values of one frame, counted from 0."""
        return self.per_frame[frame] if frame < len(self.per_frame) else self.values


def describe(dataset: Dataset, *, pixel_tag: int = 0x7FE00010, pixel_vr: str = "OW") -> PixelDescription:
    """What `dataset` says of its pixels.

    `pixel_tag` and `pixel_vr` are those of the element with the pixels, which `dataset` need not hold.
    Raises PixelError for a header that cannot be true or is too large, UnsupportedPixels for one that nothing
    here decodes.
    """
    reader = Reader(dataset.elements, dataset.sign)
    rows, columns = reader.integer(0x00280010, 0), reader.integer(0x00280011, 0)
    kind = _KINDS.get(pixel_tag, INTEGER)
    samples = reader.integer(0x00280002, 1)
    allocated = reader.integer(0x00280100, {FLOAT: 32, DOUBLE: 64}.get(kind, 16))
    stored = reader.integer(0x00280101, allocated) or allocated
    if not (0 < rows <= MAXIMUM_SIDE and 0 < columns <= MAXIMUM_SIDE):
        raise PixelError("Rows or Columns are missing or beyond 65535")
    if kind != INTEGER:
        stored = allocated
    possible = samples == 1 or (samples == 3 and allocated > 1 and kind == INTEGER)
    if not possible or allocated not in _DEPTHS[kind]:
        raise UnsupportedPixels("There is no such combination of samples and bits per pixel")
    if not 0 < stored <= allocated:
        raise PixelError("Bits Stored does not fit into Bits Allocated")
    if rows * columns * samples * max(allocated // 8, 1) > MAXIMUM_FRAME_BYTES:
        raise PixelError("The frames are too large")
    high = reader.integer(0x00280102, stored - 1)
    if not stored - 1 <= high < allocated:
        high = stored - 1
    photometric = reader.text(0x00280004).upper() or ("RGB" if samples == 3 else "MONOCHROME2")
    signed = reader.integer(0x00280103, 0) == 1
    shared = _functional_group(dataset.find(_SHARED_GROUPS), dataset.sign)
    values = read_values(reader, shared[0] if shared else None, FrameValues())
    per_frame = _functional_group(dataset.find(_GROUPS_OF_FRAMES), dataset.sign)
    return PixelDescription(
        syntax=transfer_syntax(dataset.transfer_syntax_uid),
        rows=rows,
        columns=columns,
        kind=kind,
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=signed,
        photometric=photometric,
        planar=samples == 3 and reader.integer(0x00280006, 0) == 1,
        frames=max(reader.integer(0x00280008, 1), 1),
        words=pixel_vr != "OB",
        values=values,
        per_frame=_of_frames(per_frame, values),
        modality_lut=_first(read_tables(dataset, 0x00283000, signed=signed)),
        voi_luts=read_tables(dataset, 0x00283010, signed=signed),
        palettes=_palettes(reader, signed=signed)
        if samples == 1 and photometric == "PALETTE COLOR" and kind == INTEGER
        else None,
    )


class Reader:
    """Values of elements of one level, with defaults for what is absent or is no number."""

    def __init__(self, elements: list[Element], sign: str) -> None:
        self._elements = {element.tag: element for element in elements if element.items is None}
        self.sign = sign

    def raw(self, tag: int) -> bytes:
        """The bytes of an element, b"" if it is absent."""
        element = self._elements.get(tag)
        return bytes(element.value) if element is not None else b""

    def element(self, tag: int) -> Element | None:
        """The element itself."""
        return self._elements.get(tag)

    def integer(self, tag: int, default: int) -> int:
        """The first number of an element."""
        element = self._elements.get(tag)
        if element is None or not element.value:
            return default
        numbers = integers(element, self.sign)
        return numbers[0] if numbers else default

    def text(self, tag: int) -> str:
        """The text of an element that holds ASCII alone, 64 characters at most."""
        return self.raw(tag)[:64].decode("latin-1").strip(" \0")

    def floats(self, tag: int) -> list[float]:
        """The decimal strings of an element; what is no finite number is None's place: NaN."""
        texts = self.raw(tag)[: MAXIMUM_VALUES * 17].decode("latin-1").strip(" \0")
        if not texts:
            return []
        return [_float(text) for text in texts.split("\\")[:MAXIMUM_VALUES]]

    def one_float(self, tag: int, default: float) -> float:
        """The first decimal string of an element, if it is a finite number."""
        found = self.floats(tag)
        return found[0] if found and math.isfinite(found[0]) else default


def integers(element: Element, sign: str) -> list[int]:
    """The numbers of an element of any VR that can hold some; empty if it holds none."""
    raw = bytes(element.value[:4096])
    code, size = {"UL": ("I", 4), "SL": ("i", 4), "SS": ("h", 2)}.get(element.vr, ("H", 2))
    if element.vr in ("IS", "DS", "LO", "SH"):
        texts = raw.decode("latin-1").strip(" \0").split("\\")
        numbers = [_float(text) for text in texts]
        return [int(number) for number in numbers if math.isfinite(number)]
    if element.vr == "UN" and len(raw) != 2:
        return []
    count = len(raw) // size
    return list(struct.unpack_from(f"{sign}{count}{code}", raw))


def _float(text: str) -> float:
    try:
        return float(text.strip(" \0")) if len(text) <= 64 and text.isascii() else math.nan
    except ValueError:
        return math.nan


def _functional_group(sequence: Element | None, sign: str) -> list[FrameValues | None]:
    """What each item of a functional groups sequence says (PS3.3 C.7.6.16.2.9 and .10)."""
    if sequence is None or sequence.items is None:
        return []
    return [_group(item, sign) for item in sequence.items]


def _group(elements: list[Element], sign: str) -> FrameValues | None:
    merged: list[Element] = []
    for element in elements:
        if element.tag in (_VALUE_TRANSFORMATION, _FRAME_VOI_LUT) and element.items:
            merged += element.items[0]
    if not merged:
        return None
    return read_values(Reader(merged, sign), None, _UNSTATED)


_UNSTATED = FrameValues(math.nan, math.nan, (), "")


def read_values(reader: Reader, group: FrameValues | None, inherited: FrameValues) -> FrameValues:
    """Slope, intercept and windows of a level; what it does not say is `inherited`, and `group` goes before it."""
    centers, widths = reader.floats(0x00281050), reader.floats(0x00281051)
    windows = tuple(
        Window(center, width)
        for center, width in zip(centers, widths, strict=False)
        if math.isfinite(center) and math.isfinite(width)
    )
    own = FrameValues(
        reader.one_float(0x00281053, inherited.slope),
        reader.one_float(0x00281052, inherited.intercept),
        windows or inherited.windows,
        reader.text(0x00281056).upper() or inherited.function,
    )
    return own if group is None else _over(group, own)


def _over(group: FrameValues, inherited: FrameValues) -> FrameValues:
    """What a functional group says, and what is inherited where it says nothing."""
    return FrameValues(
        inherited.slope if math.isnan(group.slope) else group.slope,
        inherited.intercept if math.isnan(group.intercept) else group.intercept,
        group.windows or inherited.windows,
        group.function or inherited.function,
    )


def _of_frames(groups: list[FrameValues | None], inherited: FrameValues) -> tuple[FrameValues, ...]:
    """The values of each frame; equal ones are one object, since thousands of frames mostly are equal."""
    seen: dict[FrameValues, FrameValues] = {}
    result = []
    for group in groups:
        values = inherited if group is None else _over(group, inherited)
        result.append(seen.setdefault(values, values))
    return tuple(result) if len(seen) > 1 or (seen and inherited not in seen) else ()


def read_tables(dataset: Dataset, tag: int, *, signed: bool) -> tuple[LookupTable, ...]:
    """The lookup tables in the items of a sequence, eight at most. Raises PixelError."""
    sequence = dataset.find(tag)
    if sequence is None or not sequence.items:
        return ()
    found = []
    for item in sequence.items[:8]:
        reader = Reader(item, dataset.sign)
        descriptor, data = reader.element(0x00283002), reader.element(0x00283006)
        if descriptor is not None and data is not None:
            found.append(read_table(bytes(descriptor.value), bytes(data.value), dataset.sign, signed=signed))
    return tuple(found)


def _palettes(reader: Reader, *, signed: bool) -> tuple[LookupTable, LookupTable, LookupTable]:
    red, green, blue = (
        read_palette(
            reader.raw(0x00281101 + colour),
            reader.raw(0x00281201 + colour),
            reader.raw(0x00281221 + colour),
            reader.sign,
            signed=signed,
        )
        for colour in range(3)
    )
    return red, green, blue


def _first(tables: tuple[LookupTable, ...]) -> LookupTable | None:
    return tables[0] if tables else None
