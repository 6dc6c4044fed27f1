"""Which values DICOM JSON and XML leave out, and under which address each of them can be had (PS3.18 10.4.1.1.5).

The address of a value is that of its instance, then `bulk` and the path to the element as Orthanc writes it:
tags in hex, and between them the numbers of items counted from 1, such as `bulk/54000100/1/54001010`.
"""

from __future__ import annotations

from ithil.dicom.dataset import Element
from ithil.dicom.native_values import BINARY_VRS, BULK_DATA_SIZE, BulkDataUri
from ithil.dicom.resource_paths import instance_path as instance_path  # the beginning of its addresses
from ithil.dicom.scan import PIXEL_DATA_TAGS

LARGEST_TEXT = 64 * 1024
"""Bytes of the largest value of text or numbers that stands in the document."""

LARGEST_INLINE = 1024 * 1024
"""Bytes of the largest binary value that stands in the document, if `OtherBinaryMode` wants them there."""

MOST_STEPS = 130
"""Steps of the longest path that is followed: sequences do not lie deeper in each other than 64."""

_OTHER_VRS = BINARY_VRS - {"UN"}


def bulk_data_uris(instance_address: str, other_binary_mode: str = "BulkDataURI") -> BulkDataUri:
    """What decides about the values of an instance with that address, in a given `OtherBinaryMode`."""
    prefix = f"{instance_address}/bulk/"
    inline = BULK_DATA_SIZE if other_binary_mode == "BulkDataURI" else LARGEST_INLINE

    def uri(path: tuple[int, ...], element: Element) -> str | None:
        tag, vr = element.tag, element.vr
        if len(path) == 1 and tag in PIXEL_DATA_TAGS:
            return f"{prefix}{tag:08x}"
        largest = inline if vr in _OTHER_VRS else BULK_DATA_SIZE if vr == "UN" else LARGEST_TEXT
        return None if len(element.value) <= largest else prefix + text_of(path)

    return uri


def text_of(path: tuple[int, ...]) -> str:
    """The end of the address of a value: `path` is tag, number of an item from 0, tag ..."""
    return "/".join(str(step + 1) if place % 2 else f"{step:08x}" for place, step in enumerate(path))


def path_of(text: str) -> tuple[int, ...] | None:
    """The path that `text_of` turned into text; None for anything else."""
    steps = text.split("/")
    if len(steps) > MOST_STEPS or not len(steps) % 2:
        return None
    path = []
    for place, step in enumerate(steps):
        if place % 2:
            if not (step.isascii() and step.isdigit() and len(step) < 10 and int(step) > 0):
                return None
            path.append(int(step) - 1)
        elif len(step) == 8 and all(digit in "0123456789abcdefABCDEF" for digit in step):
            path.append(int(step, 16))
        else:
            return None
    return tuple(path)
