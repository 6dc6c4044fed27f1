"""One item of the worklist as a DICOM file: made from the JSON of a request, and read back as elements.

Files are in explicit little endian, whatever they were given in, so that whoever matches and answers need not
care.
"""

from __future__ import annotations

from typing import Any

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.headers import parse
from ithil.dicom import uids
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.dictionary import is_private, is_private_creator
from ithil.dicom.errors import DicomError
from ithil.dicom.identifiers import public_ids
from ithil.dicom.values import clean_text
from ithil.edit.create import parse_tags
from ithil.edit.document import Document, write
from ithil.edit.private import place_private
from ithil.edit.text import SPECIFIC_CHARACTER_SET, make_room
from ithil.edit.values import element_of, texts_of
from ithil.error_codes import CodedError
from ithil.pixels.elements import swap

STEPS = 0x00400100
"""ScheduledProcedureStepSequence."""

STEP_ID, STEP_STATUS = 0x00400009, 0x00400020
STATION_TITLE, START_DATE, START_TIME = 0x00400001, 0x00400002, 0x00400003
STUDY_INSTANCE_UID, PATIENT_ID, MODALITY = 0x0020000D, 0x00100020, 0x00080060

LARGEST = 1024 * 1024
"""Bytes of the largest item. Real ones have a few hundred."""


def from_tags(archive: Archive, tags: dict[str, Any], *, force: bool) -> bytes:
    """The file of an item with these tags.

    Without `force` its first step must have a modality and a start date. A StudyInstanceUID is made if it
    lacks one and `SetStudyInstanceUidIfMissing` says so. Raises CodedError for what cannot be an item.
    """
    creator = archive.settings.default_private_creator
    try:
        parsed = parse_tags(tags, creator)
    except CodedError as error:
        if error.code != codes.UNKNOWN_DICOM_TAG:
            raise
        raise CodedError(codes.BAD_REQUEST, "A tag of the item is not known") from error
    values = dict(parsed.values)
    if archive.settings.worklists.set_study_instance_uid_if_missing and not values.get(STUDY_INSTANCE_UID):
        values[STUDY_INSTANCE_UID] = uids.generate_uid()
    if not force:
        steps = values.get(STEPS)
        first = steps[0] if isinstance(steps, list) and steps else {}
        if not first.get(MODALITY) or not first.get(START_DATE):
            raise CodedError(
                codes.BAD_REQUEST,
                "The first item of ScheduledProcedureStepSequence needs Modality and "
                'ScheduledProcedureStepStartDate; "Force" takes it without',
            )
    document = Document([], uids.EXPLICIT_LITTLE, default_encoding=archive.default_encoding)
    wanted = values.pop(SPECIFIC_CHARACTER_SET, None)
    texts = [text for value in values.values() for text in texts_of(value)]
    encode = make_room(
        document.elements,
        texts,
        archive.default_encoding,
        wanted.encode() if isinstance(wanted, str) and wanted else None,
    )
    creators = {
        tag: value for tag, value in values.items() if is_private_creator(tag) and isinstance(value, str)
    }
    for tag in sorted(values):
        owner, place = "", tag
        if is_private(tag) and not is_private_creator(tag):
            owner = creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, creator)
            if owner:
                place = place_private(document.elements, tag, owner, encode)
        element = element_of(tag, values[tag], encode, "<", owner)
        element.tag = place
        document.elements.append(element)
    unique = {element.tag: element for element in document.elements}
    document.elements = [unique[tag] for tag in sorted(unique)]
    content = write(document)
    if len(content) > LARGEST:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "A worklist item is limited to 1 MB")
    return content


def read(archive: Archive, content: bytes) -> Dataset:
    """The elements of an item, in little endian. Raises DicomError."""
    if len(content) > LARGEST:
        raise DicomError("a worklist item is limited to 1 MB")
    found = parse(archive, content, whole=True)
    if found.big_endian:
        return Dataset(
            [turned(element) for element in found.elements],
            uids.EXPLICIT_LITTLE,
            False,
            found.default_encoding,
        )
    return found


def turned(element: Element) -> Element:
    """An element with its numbers in the other byte order."""
    items = None
    if element.items is not None:
        items = [[turned(inner) for inner in item] for item in element.items]
    value = memoryview(swap(bytes(element.value), element.vr))
    return Element(element.tag, element.vr, value, items, element.private_creator)


def text(found: Dataset, tag: int) -> str:
    """The text of an element of an item, "" if it is absent."""
    element = found.find(tag)
    return (
        "" if element is None or element.items is not None else clean_text(bytes(element.value), found.decode)
    )


def study_of(found: Dataset) -> str:
    """The public id that the study of an item has or will have, "" if the item does not tell."""
    uid = text(found, STUDY_INSTANCE_UID)
    return public_ids(text(found, PATIENT_ID), uid, "", "")[1] if uid else ""
