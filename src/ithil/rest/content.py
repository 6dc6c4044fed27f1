"""Walking into the data set of an instance: `/instances/{id}/content/{tag}/{item}/{tag}...`.

A path that ends with an item (or is empty) lists tags, one that ends with a sequence lists its items, one
that ends with any other element is its raw value: padding included, numbers in little endian. The items of
pixel data are its fragments, the first of them the basic offset table, when it is encapsulated (PS3.5 A.4);
else there is one with all of it.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import retrieve
from ithil.archive.model import Attachment
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.dictionary import parse_tag
from ithil.http import answers
from ithil.http.answers import Answer, FilePart
from ithil.http.request import Request
from ithil.http.routing import Route, split
from ithil.rest.header import PixelData, dicom_file, find_instance, read_header, read_whole

PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)
FIRST_PIXEL_DATA = PIXEL_DATA[0]
_SWAPPED = {"US": 2, "SS": 2, "AT": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4} | {
    "FD": 8,
    "OD": 8,
    "SV": 8,
    "UV": 8,
    "OV": 8,
}


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("GET", "/instances/{id}/content", get_content, "The tags of the data set", cacheable=True),
        Route(
            "GET",
            "/instances/{id}/content/{path:path}",
            get_content,
            "An item's tags, a sequence's items, or the raw value of an element",
            cacheable=True,
        ),
    ]


def get_content(request: Request) -> Answer:
    """Both routes. 404 without a body for a path that leads nowhere in this data set."""
    archive = request.context.archive
    instance = find_instance(archive, request.arguments["id"])
    steps = _steps(request.arguments.get("path", ""))
    if steps and steps[0] < FIRST_PIXEL_DATA:
        return _walk(request, read_header(archive, instance), steps)
    parsed, pixels = read_whole(archive, instance)
    if steps and pixels is not None and steps[0] == pixels.tag:
        return _fragment(request, dicom_file(instance), pixels, parsed.big_endian, steps[1:])
    if steps and steps[0] in PIXEL_DATA:
        return _whole_value(request, parsed, steps)
    return _walk(request, parsed, steps)


def _steps(path: str) -> list[int]:
    """Tags at even places, numbers of items at odd ones; -1 for what is no number.

    Raises CodedError (unknown DICOM tag).
    """
    steps = []
    for place, segment in enumerate(split(path)):
        if place % 2:
            is_number = segment.isascii() and segment.isdigit() and len(segment) < 10
            steps.append(int(segment) if is_number else -1)
            continue
        try:
            steps.append(parse_tag(segment))
        except ValueError as error:
            raise codes.unknown_tag(segment) from error
    return steps


def _walk(request: Request, parsed: Dataset, steps: list[int]) -> Answer:
    if len(steps) % 2 == 0:
        elements: list[Element] | None = parsed.elements
        if steps:
            sequence = parsed.find(*steps[:-1])
            items = None if sequence is None else sequence.items
            elements = items[steps[-1]] if items is not None and 0 <= steps[-1] < len(items) else None
        if elements is None:
            return answers.missing()
        return answers.json(request, [f"{e.tag >> 16:04x}-{e.tag & 0xFFFF:04x}" for e in elements])
    element = parsed.find(*steps)
    if element is None:
        return answers.missing()
    if element.items is not None:
        return answers.json(request, [str(number) for number in range(len(element.items))])
    value = bytes(element.value)
    return Answer(little_endian(value, element.vr) if parsed.big_endian else value, answers.BINARY)


def _fragment(
    request: Request, file: Attachment, pixels: PixelData, big_endian: bool, steps: list[int]
) -> Answer:
    """Pixel data that lies in the file: its items, or one of them straight from the storage."""
    if not steps:
        return answers.json(request, [str(number) for number in range(len(pixels.fragments))])
    if len(steps) > 1 or not 0 <= steps[0] < len(pixels.fragments):
        return answers.missing()
    start, end = pixels.fragments[steps[0]]
    if big_endian:
        value = retrieve.read(request.context.archive, file, start, end)
        return Answer(little_endian(value, pixels.vr), answers.BINARY)
    return Answer(FilePart(file, start, end), answers.BINARY)


def _whole_value(request: Request, parsed: Dataset, steps: list[int]) -> Answer:
    """Pixel data that has no place of its own in the file, since the data set is deflated."""
    element = parsed.find(steps[0])
    if element is None or len(steps) > 2 or steps[1:] not in ([], [0]):
        return answers.missing()
    if len(steps) == 1:
        return answers.json(request, ["0"])
    return Answer(bytes(element.value), answers.BINARY)


def little_endian(value: bytes, vr: str) -> bytes:
    """A big endian value of any number of numbers, with their bytes in the other order."""
    size = _SWAPPED.get(vr)
    if size is None or len(value) % size:
        return value
    swapped = bytearray(len(value))
    for place in range(size):
        swapped[place::size] = value[size - 1 - place :: size]
    return bytes(swapped)
