"""Softcopy presentation states (PS3.3 A.33, PS3.4 N): how a reader left an image, applied to it again.

A presentation state takes the place of what the image says of its own grey values: the modality LUT, the
window or VOI LUT and whether it is inverted are those of the state alone (PS3.4 N.2.1). So it is applied by
changing the description that the image is rendered with. Then come what works on the picture: the
presentation LUT, shutters, the displayed area, rotation and mirroring.

Graphic annotations are not drawn; `has_graphics` tells of them. What a state claims is bounded: items,
vertices and tables by number, and nothing of it makes a picture larger than the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ithil.dicom.dataset import Dataset, Element
from ithil.pixels.description import FrameValues, PixelDescription, Reader, integers, read_tables, read_values
from ithil.pixels.lookup_table import LookupTable
from ithil.pixels.render import Picture
from ithil.pixels.viewport import turned

GRAYSCALE, COLOR = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.11.2"
SOP_CLASSES = frozenset({GRAYSCALE, COLOR})
"""Those that are applied; pseudo-colour, blending and their like are not."""

MOST_ITEMS = 1000
MOST_VERTICES = 1000
_FARTHEST = 1_000_000  # where a vertex may be, in pixels

_SERIES_SEQUENCE, _SERIES_UID = 0x00081115, 0x0020000E
_IMAGES, _INSTANCE_UID, _FRAMES = 0x00081140, 0x00081155, 0x00081160
_STUDY_UID = 0x0020000D
_MODALITY_LUT, _VOI_SEQUENCE, _VOI_LUT = 0x00283000, 0x00283110, 0x00283010
_PRESENTATION_LUT, _LUT_SHAPE = 0x20500010, 0x20500020
_SHUTTER_SHAPE, _SHUTTER_VALUE = 0x00181600, 0x00181622
_EDGES = (0x00181602, 0x00181604, 0x00181606, 0x00181608)
_CENTER, _RADIUS, _VERTICES = 0x00181610, 0x00181612, 0x00181620
_AREAS, _TOP_LEFT, _BOTTOM_RIGHT = 0x0070005A, 0x00700052, 0x00700053
_MIRRORED, _ROTATION = 0x00700041, 0x00700042
_GRAPHICS = 0x00700001


@dataclass(frozen=True, slots=True)
class Reference:
    """An image that a presentation state is for; no `frames` means all of them."""

    series: str
    instance: str
    frames: tuple[int, ...] = ()


class PresentationState:
    """A presentation state, over the elements of its data set."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._reader = Reader(dataset.elements, dataset.sign)

    @property
    def study(self) -> str:
        """The UID of the study of the state and of its images."""
        return self._reader.text(_STUDY_UID)

    @property
    def has_graphics(self) -> bool:
        """Whether there are texts and shapes to be drawn over the images."""
        found = self._dataset.find(_GRAPHICS)
        return found is not None and bool(found.items)

    def references(self) -> Iterator[Reference]:
        """The images that the state is for, in its order, `MOST_ITEMS` at most."""
        count = 0
        for series in _items(self._dataset.find(_SERIES_SEQUENCE)):
            uid = Reader(series, self._dataset.sign).text(_SERIES_UID)
            for image in _images(series):
                reader = Reader(image, self._dataset.sign)
                frames = reader.element(_FRAMES)
                numbers = integers(frames, self._dataset.sign) if frames is not None else []
                yield Reference(uid, reader.text(_INSTANCE_UID), tuple(numbers))
                count += 1
                if count >= MOST_ITEMS:
                    return

    def applied(self, description: PixelDescription, instance: str, frame: int) -> PixelDescription:
        """What the image with this UID is to be rendered with instead of `description`.

        `frame` counts from 0. Raises PixelError for lookup tables that are not whole.
        """
        if not description.is_monochrome:
            return description
        values = read_values(self._reader, None, FrameValues())
        voi = self._item_for(_VOI_SEQUENCE, instance, frame)
        tables: tuple[LookupTable, ...] = ()
        if voi is not None:
            read = read_values(Reader(voi, self._dataset.sign), None, FrameValues())
            values = replace(values, windows=read.windows, function=read.function)
            inside = Dataset(voi, big_endian=self._dataset.big_endian)
            tables = read_tables(inside, _VOI_LUT, signed=description.signed)
        else:
            values = replace(values, windows=())
        modality = read_tables(self._dataset, _MODALITY_LUT, signed=description.signed)
        inverted = self._reader.text(_LUT_SHAPE).upper() == "INVERSE"
        return replace(
            description,
            photometric="MONOCHROME1" if inverted else "MONOCHROME2",
            values=values,
            per_frame=(),
            modality_lut=modality[0] if modality else None,
            voi_luts=tables,
        )

    def finished(self, picture: Picture, instance: str, frame: int) -> Picture:
        """What is shown of a rendered picture: presentation LUT, shutters, area, rotation, mirroring."""
        if picture.ndim == 2:
            tables = read_tables(self._dataset, _PRESENTATION_LUT, signed=False)
            if tables:
                picture = np.take(_shades(tables[0]), picture)
        picture = self._shuttered(picture)
        picture = self._displayed(picture, instance, frame)
        quarters = self._reader.integer(_ROTATION, 0) // 90 % 4
        return turned(picture, quarters, mirrored=self._reader.text(_MIRRORED).upper() == "Y")

    def _item_for(self, tag: int, instance: str, frame: int) -> list[Element] | None:
        """The first item of a sequence that is for the image, or for all images."""
        for item in _items(self._dataset.find(tag)):
            images = _images(item)
            if not images:
                return item
            for image in images:
                reader = Reader(image, self._dataset.sign)
                frames = reader.element(_FRAMES)
                if reader.text(_INSTANCE_UID) == instance and (
                    frames is None or frame + 1 in integers(frames, self._dataset.sign)
                ):
                    return item
        return None

    def _shuttered(self, picture: Picture) -> Picture:
        """PS3.3 C.7.6.11: what lies outside of any of the shutters gets the presentation value."""
        shapes = self._reader.text(_SHUTTER_SHAPE).upper().split("\\")
        rows, columns = picture.shape[:2]
        kept = np.ones((rows, columns), bool)
        if "RECTANGULAR" in shapes:
            left, right, upper, lower = (self._reader.integer(tag, 0) for tag in _EDGES)
            inside = np.zeros_like(kept)
            inside[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
            kept &= inside
        if "CIRCULAR" in shapes:
            center, radius = self._numbers(_CENTER), self._reader.integer(_RADIUS, 0)
            if len(center) >= 2 and radius > 0:
                kept &= _circle(center[0], center[1], radius, rows, columns)
        if "POLYGONAL" in shapes:
            vertices = self._numbers(_VERTICES)[: 2 * MOST_VERTICES]
            if len(vertices) >= 6:
                kept &= _inside(vertices, rows, columns)
        if kept.all():
            return picture
        result = picture.copy()
        result[~kept] = self._reader.integer(_SHUTTER_VALUE, 0) >> 8 & 0xFF
        return result

    def _displayed(self, picture: Picture, instance: str, frame: int) -> Picture:
        """PS3.3 C.10.4: the displayed area, as far as it is in the image."""
        item = self._item_for(_AREAS, instance, frame)
        if item is None:
            return picture
        reader = Reader(item, self._dataset.sign)
        corners = [reader.element(tag) for tag in (_TOP_LEFT, _BOTTOM_RIGHT)]
        numbers = [n for one in corners if one is not None for n in integers(one, self._dataset.sign)]
        if len(numbers) != 4:
            return picture
        left, right = sorted((numbers[0], numbers[2]))
        upper, lower = sorted((numbers[1], numbers[3]))
        part = picture[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)]
        return part if part.size else picture

    def _numbers(self, tag: int) -> list[int]:
        element = self._reader.element(tag)
        return integers(element, self._dataset.sign) if element is not None else []


def _items(sequence: Element | None) -> list[list[Element]]:
    return (sequence.items or [])[:MOST_ITEMS] if sequence is not None else []


def _images(item: list[Element]) -> list[list[Element]]:
    return _items(next((element for element in item if element.tag == _IMAGES), None))


def _shades(table: LookupTable) -> Picture:
    """What each of the 256 shades becomes; the table is spread over all of them (PS3.3 C.11.4)."""
    places = np.rint(np.linspace(0, len(table.values) - 1, 256)).astype(np.intp)
    shades = table.values[places].astype(np.float64) * (255.0 / ((1 << table.bits) - 1))
    return np.clip(shades, 0, 255).astype(np.uint8)


def _circle(
    center_row: int, center_column: int, radius: int, rows: int, columns: int
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The pixels in a circle, line by line."""
    inside = np.zeros((rows, columns), bool)
    for row in range(max(center_row - radius, 1), min(center_row + radius, rows) + 1):
        half = math.isqrt(radius * radius - (row - center_row) ** 2)
        inside[row - 1, max(center_column - half - 1, 0) : max(center_column + half, 0)] = True
    return inside


def _inside(vertices: list[int], rows: int, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The pixels inside a polygon of rows and columns, line by line: between each two of its sides."""
    inside = np.zeros((rows, columns), bool)
    bounded = [min(max(number, -_FARTHEST), _FARTHEST) for number in vertices[: len(vertices) // 2 * 2]]
    points = np.array(bounded, np.float64).reshape(-1, 2)
    ends = np.roll(points, -1, axis=0)
    for row in range(rows):
        line = row + 1.0
        crossing = (points[:, 0] <= line) != (ends[:, 0] <= line)
        if not crossing.any():
            continue
        first, last = points[crossing], ends[crossing]
        places = first[:, 1] + (line - first[:, 0]) * (last[:, 1] - first[:, 1]) / (last[:, 0] - first[:, 0])
        for left, right in list(pairwise(np.sort(places).tolist()))[::2]:
            inside[row, max(int(np.ceil(left)) - 1, 0) : max(int(np.floor(right)), 0)] = True
    return inside
