"""What a C-MOVE or C-GET asks for: from its identifier to searches of the archive (PS3.4 C.4.2.1.4, C.4.3.1.3).

An identifier names a level and the unique keys down to it, each a value or a list. Nothing here is a pattern: a
key that is needed and empty is refused, since it would otherwise mean everything. The patient level is served in
the Study Root model too, as Orthanc does and its clients count on.
"""

from __future__ import annotations

from ithil.archive.matching import MOST_VALUES, Equal, Match, OneOf
from ithil.archive.query import Constraint, Query
from ithil.dicom.dataset import Dataset
from ithil.dicom.level import Level
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.services.data_set import identifier_of
from ithil.services.provider import Call

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
PATIENT_STUDY_ONLY = "1.2.840.10008.5.1.4.1.2.3"
"""The information models; a SOP class of one is its UID with a last number for FIND, MOVE or GET."""

_LEVELS = {
    "PATIENT": Level.PATIENT,
    "STUDY": Level.STUDY,
    "SERIES": Level.SERIES,
    "IMAGE": Level.INSTANCE,
    "INSTANCE": Level.INSTANCE,
}
_LEVEL, _ACCESSION_NUMBER = 0x00080052, 0x00080050
_UNIQUE_KEYS = {
    Level.PATIENT: 0x00100020,
    Level.STUDY: 0x0020000D,
    Level.SERIES: 0x0020000E,
    Level.INSTANCE: 0x00080018,
}
Values = tuple[str, ...]


def requested(call: Call, data_set: bytes | None, *, deduce_level: bool) -> list[Query]:
    """The searches that find what an identifier asks for; several if its list is long.

    With `deduce_level` an absent level is that of the most specific key. Raises Refusal with A900H for an
    identifier that does not fit the SOP class and C000H for one that cannot be understood.
    """
    found = identifier_of(call, data_set or None)
    keys = {level: _values(found, tag) for level, tag in _UNIQUE_KEYS.items()}
    accession = _values(found, _ACCESSION_NUMBER)
    level = _level(found, keys, accession, deduce=deduce_level)
    if level > Level.STUDY and call.context.abstract_syntax.startswith(PATIENT_STUDY_ONLY):
        raise Refusal(
            status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "Patient/Study Only has the levels PATIENT and STUDY"
        )
    if keys[level]:
        by = _UNIQUE_KEYS[level]
        values = keys[level]
    elif level == Level.STUDY and accession:
        by, values = _ACCESSION_NUMBER, accession
    else:
        raise Refusal(status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "The unique key of the level is missing")
    above = [
        Constraint(_UNIQUE_KEYS[each], _one_of(keys[each]), case_sensitive=True)
        for each in Level
        if each < level and keys[each]
    ]
    return [
        Query(level, (Constraint(by, _one_of(part), case_sensitive=True), *above)) for part in _parts(values)
    ]


def _level(found: Dataset, keys: dict[Level, Values], accession: Values, *, deduce: bool) -> Level:
    given = _values(found, _LEVEL)
    if given:
        level = _LEVELS.get(given[0].upper()) if len(given) == 1 else None
        if level is None:
            raise Refusal(
                status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
                "QueryRetrieveLevel: PATIENT, STUDY, SERIES or IMAGE",
            )
        return level
    if deduce:
        for level in reversed(Level):
            if keys[level] or (level == Level.STUDY and accession):
                return level
    raise Refusal(status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "QueryRetrieveLevel (0008,0052) is missing")


def _values(found: Dataset, tag: int) -> Values:
    """The values of a key that are not empty."""
    element = found.find(tag)
    if element is None or element.items is not None:
        return ()
    texts = (part.strip(" \0") for part in found.decode(bytes(element.value)).split("\\"))
    return tuple(dict.fromkeys(text for text in texts if text))


def _parts(values: Values) -> list[Values]:
    return [values[start : start + MOST_VALUES] for start in range(0, len(values), MOST_VALUES)]


def _one_of(values: Values) -> Match:
    if len(values) > MOST_VALUES:
        raise Refusal(status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "Too many values above the level")
    return Equal(values[0]) if len(values) == 1 else OneOf(values)
