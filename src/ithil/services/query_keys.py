"""The identifiers of our C-FIND, C-MOVE and C-GET requests: which keys they have, and their bytes.

Keys come from clients as texts by tag. A query gets the unique keys down to its level, so that each answer says
what it is; it is normalised on request, which leaves out keys that do not belong to the level, since some
modalities refuse those. Some need other adaptations (`Manufacturer` of a modality).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ithil.archive.archive import Archive
from ithil.dicom import charsets, dictionary, modules
from ithil.dicom.dataset import Element
from ithil.dicom.level import Level
from ithil.dicom.main_tags import (
    MAIN_TAGS,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from ithil.edit.document import data_set
from ithil.edit.text import SPECIFIC_CHARACTER_SET, UNICODE, encoded, make_room
from ithil.edit.values import Value, element_of, parse_value, texts_of
from ithil.settings import Modality

Keys = Mapping[int, str]
"""Texts by tag."""

QUERY_RETRIEVE_LEVEL = 0x00080052
ACCESSION_NUMBER = 0x00080050

MOST_KEYS = 1000
LEVEL_WORDS = {
    Level.PATIENT: "PATIENT",
    Level.STUDY: "STUDY",
    Level.SERIES: "SERIES",
    Level.INSTANCE: "IMAGE",
}
"""What QueryRetrieveLevel calls the levels (PS3.4 C.6.1.1)."""

UNIQUE_KEYS = {
    Level.PATIENT: PATIENT_ID,
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: SERIES_INSTANCE_UID,
    Level.INSTANCE: SOP_INSTANCE_UID,
}

_COUNTED = {
    Level.PATIENT: frozenset({0x00201200, 0x00201202, 0x00201204}),
    Level.STUDY: frozenset({0x00080061, 0x00080062, 0x00201206, 0x00201208}),
    Level.SERIES: frozenset({0x00201209}),
    Level.INSTANCE: frozenset[int](),
}
"""Attributes that a server computes for answers of one level only (PS3.4 C.3.4)."""


def levels_to(level: Level) -> list[Level]:
    """The levels from the patient down to this one."""
    return [each for each in Level if each <= level]


def normalised(level: Level, keys: Keys) -> dict[int, str]:
    """The keys that belong to a query at this level: those of its modules, and of the levels above."""
    allowed: set[int] = {SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, *_COUNTED[level]}
    for each in levels_to(level):
        allowed |= modules.OF_LEVEL[each]
        allowed |= set(MAIN_TAGS[each])
    return {tag: text for tag, text in keys.items() if tag in allowed}


def query_keys(level: Level, keys: Keys, modality: Modality, *, normalise: bool) -> dict[int, str]:
    """All keys of a query for `keys`, as this modality takes them."""
    wanted = normalised(level, keys) if normalise else dict(keys)
    universal = "*" if modality.manufacturer == "GE" else ""
    found = {UNIQUE_KEYS[each]: universal for each in levels_to(level)}
    if level > Level.PATIENT:
        found[ACCESSION_NUMBER] = universal
    found |= wanted
    found[QUERY_RETRIEVE_LEVEL] = LEVEL_WORDS[level]
    return {tag: _adapted(tag, text, modality) for tag, text in found.items()}


def _adapted(tag: int, text: str, modality: Modality) -> str:
    """A value without the universal wildcard where a modality does not take it for one."""
    if text != "*":
        return text
    if modality.manufacturer == "GenericNoUniversalWildcard":
        return ""
    if modality.manufacturer == "GenericNoWildcardInDates" and dictionary.tag_vr(tag) == "DA":
        return ""
    return text


def unique_keys(level: Level, keys: Keys) -> dict[int, str]:
    """What a retrieval at this level names its resources by (PS3.4 C.4.2.2.1): no other keys are sent.

    Keys that are missing or empty are left out.
    """
    wanted = (
        [PATIENT_ID] if level == Level.PATIENT else [UNIQUE_KEYS[each] for each in Level if 0 < each <= level]
    )
    return {tag: keys[tag] for tag in wanted if keys.get(tag)}


def encode(archive: Archive, values: Mapping[int, Any], transfer_syntax: str) -> bytes:
    """The data set with these values, JSON as edits take it (texts, and arrays of objects for sequences).

    It says its character set: the one that the values name, or the default one if it can hold them, or UTF-8.
    Raises CodedError for a value that its attribute cannot have.
    """
    parsed: dict[int, Value] = {tag: parse_value(tag, value) for tag, value in values.items()}
    texts = [text for value in parsed.values() for text in texts_of(value)]
    asked = parsed.pop(SPECIFIC_CHARACTER_SET, "")
    default = archive.default_encoding
    term = asked.encode("ascii", "replace") if isinstance(asked, str) and asked.strip() else b""
    if not term:
        term = charsets.defined_term(default).encode("ascii")
        if any(encoded(text, term, default) is None for text in texts):
            term = UNICODE
    elements: list[Element] = []
    encode_text = make_room(elements, texts, default, wanted=term) if term else ascii_only
    sign = "<"
    elements += [element_of(tag, value, encode_text, sign) for tag, value in parsed.items()]
    elements.sort(key=lambda element: element.tag)
    return data_set(elements, transfer_syntax)


def ascii_only(text: str) -> bytes:
    """The encoder of data sets in plain ASCII."""
    return text.encode("ascii", "replace")
