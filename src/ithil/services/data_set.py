"""The data sets of requests and responses that are neither stored nor answers from the index.

The identifiers of queries and retrievals, and the data sets of storage commitment, worklists and performed
procedure steps: read whole, since they are small, and
written from trees of elements.
"""

from __future__ import annotations

from collections.abc import Sequence

from ithil.archive.archive import Archive
from ithil.archive.headers import limits
from ithil.dicom import dataset, uids
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import read_file_meta
from ithil.dicom.values import clean_text
from ithil.edit.document import Document, write
from ithil.edit.values import Value, ascii_or_utf8, element_of
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.pixels.elements import swap
from ithil.services.provider import Call


def parsed(
    archive: Archive,
    transfer_syntax: str,
    data_set: bytes | None,
    *,
    missing: int,
    unreadable: int,
    name: str = "data set",
) -> Dataset:
    """The data set of a request, `name` to people. Raises Refusal with the status for an absent or damaged one."""
    if data_set is None:
        raise Refusal(missing, f"The request has no {name}")
    try:
        return dataset.parse(
            data_set,
            stop_at_pixel_data=False,
            limits=limits(archive),
            transfer_syntax=transfer_syntax,
            default_encoding=archive.default_encoding,
        )
    except DicomError:
        raise Refusal(unreadable, f"The {name} cannot be parsed") from None


def identifier_of(call: Call, data_set: bytes | None) -> Dataset:
    """The identifier of a query or retrieval. Raises Refusal: A900H if it is absent, C000H if it is damaged."""
    return parsed(
        call.archive,
        call.context.transfer_syntax,
        data_set,
        missing=status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        unreadable=status.CANNOT_UNDERSTAND,
        name="identifier",
    )


def elements(values: dict[int, Value]) -> list[Element]:
    """Elements in little endian with these values, in order; text must be ASCII."""
    return [element_of(tag, values[tag], ascii_or_utf8, "<") for tag in sorted(values)]


def encoded(found: Sequence[Element], transfer_syntax: str) -> bytes:
    """The data set of elements, whose values are in little endian, in an uncompressed transfer syntax."""
    ordered = list(found)
    if transfer_syntax == uids.EXPLICIT_BIG:
        ordered = [_big_endian(element) for element in ordered]
    content = write(Document(ordered, transfer_syntax))
    return content[read_file_meta(content, len(content)).dataset_offset :]


def little_endian(element: Element) -> Element:
    """An element that was read in big endian."""
    return _big_endian(element)  # turning bytes round is its own inverse


def _big_endian(element: Element) -> Element:
    items = None
    if element.items is not None:
        items = [[_big_endian(inner) for inner in item] for item in element.items]
    value = memoryview(swap(bytes(element.value), element.vr))
    return Element(element.tag, element.vr, value, items, element.private_creator)


def ascii_text(found: Sequence[Element], tag: int) -> str:
    """The text of an element of a VR without character sets, such as a UID; "" if it is absent."""
    for element in found:
        if element.tag == tag and element.items is None:
            return clean_text(bytes(element.value), _ascii).strip()
    return ""


def items(found: Sequence[Element], tag: int) -> list[list[Element]] | None:
    """The items of a sequence, None if it is absent."""
    return next((element.items or [] for element in found if element.tag == tag), None)


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", "replace")
