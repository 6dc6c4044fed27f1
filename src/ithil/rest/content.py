"""Walking into the data set of an instance: `/instances/{id}/content/{tag}/{item}/{tag}...`.

A path that ends with an item (or is empty) lists tags, one that ends with a sequence lists its items, one
that ends with any other element is its raw value: padding included, numbers in little endian. The items of
pixel data are its fragments, the first of them the basic offset table, when it is encapsulated (PS3.5 A.4);
else there is one with all of it.
"""

from __future__ import annotations

import struct

from ithil.dicom import uids
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.dictionary import parse_tag
from ithil.rest import answers, errors
from ithil.rest.answers import Answer
from ithil.rest.errors import RestError
from ithil.rest.header import file_until_pixel_data, find_instance, parse, whole_file
from ithil.rest.request import RestRequest
from ithil.rest.routing import Route, split

PIXEL_DATA = 0x7FE00010
_ITEM = 0xFFFEE000
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


def get_content(request: RestRequest) -> Answer:
    """Both routes. 404 without a body for a path that leads nowhere in this data set."""
    archive = request.context.archive
    instance = find_instance(archive, request.arguments["id"])
    steps = _steps(request.arguments.get("path", ""))
    if steps and steps[0] == PIXEL_DATA:
        parsed = parse(archive, whole_file(archive, instance), whole=True)
        pixels = parsed.find(PIXEL_DATA)
        if pixels is not None and pixels.items is None:
            return _pixel_data(request, parsed, pixels, steps[1:])
    else:
        parsed = parse(archive, file_until_pixel_data(archive, instance))
    return _walk(request, parsed, steps)


def _steps(path: str) -> list[int]:
    """Tags at even places, numbers of items at odd ones; -1 for what is no number.

    Raises RestError (unknown DICOM tag).
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
            raise RestError(errors.UNKNOWN_DICOM_TAG) from error
    return steps


def _walk(request: RestRequest, parsed: Dataset, steps: list[int]) -> Answer:
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
    return Answer(_little_endian(parsed, element), answers.BINARY)


def _pixel_data(request: RestRequest, parsed: Dataset, pixels: Element, steps: list[int]) -> Answer:
    if uids.transfer_syntax(parsed.transfer_syntax_uid).encapsulated:
        fragments = _fragments(pixels.value)
    else:
        fragments = [(0, len(pixels.value))]
    if not steps:
        return answers.json(request, [str(number) for number in range(len(fragments))])
    if len(steps) > 1 or not 0 <= steps[0] < len(fragments):
        return answers.missing()
    start, end = fragments[steps[0]]
    if (start, end) == (0, len(pixels.value)):
        return Answer(_little_endian(parsed, pixels), answers.BINARY)
    return Answer(bytes(pixels.value[start:end]), answers.BINARY)


def _fragments(value: memoryview) -> list[tuple[int, int]]:
    """Start and end of each item of encapsulated pixel data."""
    found = []
    position = 0
    while position + 8 <= len(value):
        group, element, length = struct.unpack_from("<HHL", value, position)
        position += 8
        if group << 16 | element != _ITEM or position + length > len(value):
            break
        found.append((position, position + length))
        position += length
    return found


def _little_endian(parsed: Dataset, element: Element) -> bytes:
    value = bytes(element.value)
    size = _SWAPPED.get(element.vr)
    if not parsed.big_endian or size is None or len(value) % size:
        return value
    swapped = bytearray(len(value))
    for place in range(size):
        swapped[place::size] = value[size - 1 - place :: size]
    return bytes(swapped)
