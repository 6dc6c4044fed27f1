"""Where the index keeps what a search asks for: the column of a tag, seen from the level that is searched.

A tag is looked for at the searched level, then above it, then below. Tags with a column of their own are compared
there; other main tags in the JSON column of their level; what no level remembers is in the file alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ithil.dicom.level import Level
from ithil.dicom.main_tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID
from ithil.dicom.main_tags import STUDY_INSTANCE_UID as STUDY_UID

INSTANCE_AVAILABILITY = 0x00080056
MODALITY = 0x00080060
INSTANCE_NUMBER = 0x00200013
LAST_UPDATE = 7  # the number of the metadata that is a column


class Form(Enum):
    """What a column holds."""

    NORM = "the value in the form of `normalise`"
    RAW = "the value, in a VR whose values have no case"
    CODE = "the value, a code string"
    COUNT = "a number of resources below"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tag is kept: `column` of the table of `level` (None without one), and the JSON column with it.

    `json` is "" for what is not a main tag. `indexed` tells whether the database finds rows by the column.
    """

    level: Level
    column: str | None = None
    form: Form = Form.RAW
    json: str = "main_tags"
    indexed: bool = False


def _own(level: Level, column: str, form: Form, *, json: str = "main_tags", indexed: bool = False) -> Place:
    return Place(level, column, form, json, indexed)


_P, _S, _E, _I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE
_OF_PATIENT = "patient_main_tags"
_COLUMNS: dict[Level, dict[int, Place]] = {
    _P: {
        PATIENT_ID: _own(_P, "patient_id_norm", Form.NORM, indexed=True),
        0x00100010: _own(_P, "patient_name_norm", Form.NORM, indexed=True),
        0x00100030: _own(_P, "birth_date", Form.RAW),
        0x00100040: _own(_P, "sex", Form.CODE),
        0x00201200: _own(_P, "study_count", Form.COUNT, json=""),
        0x00201202: _own(_P, "series_count", Form.COUNT, json=""),
        0x00201204: _own(_P, "instance_count", Form.COUNT, json=""),
    },
    _S: {
        PATIENT_ID: _own(_S, "patient_id_norm", Form.NORM, json=_OF_PATIENT, indexed=True),
        0x00100010: _own(_S, "patient_name_norm", Form.NORM, json=_OF_PATIENT, indexed=True),
        0x00100030: _own(_S, "birth_date", Form.RAW, json=_OF_PATIENT),
        0x00100040: _own(_S, "sex", Form.CODE, json=_OF_PATIENT),
        STUDY_UID: _own(_S, "study_instance_uid", Form.RAW, indexed=True),
        0x00080020: _own(_S, "study_date", Form.RAW, indexed=True),
        0x00080030: _own(_S, "study_time", Form.RAW),
        0x00080050: _own(_S, "accession_number_norm", Form.NORM, indexed=True),
        0x00081030: _own(_S, "description_norm", Form.NORM),
        0x00080090: _own(_S, "referring_physician_norm", Form.NORM),
        0x00080080: _own(_S, "institution_norm", Form.NORM),
        0x00201206: _own(_S, "series_count", Form.COUNT, json=""),
        0x00201208: _own(_S, "instance_count", Form.COUNT, json=""),
    },
    _E: {
        SERIES_INSTANCE_UID: _own(_E, "series_instance_uid", Form.RAW, indexed=True),
        MODALITY: _own(_E, "modality", Form.CODE),
        0x0008103E: _own(_E, "description_norm", Form.NORM),
        0x00180015: _own(_E, "body_part", Form.CODE),
        0x00080021: _own(_E, "series_date", Form.RAW),
        0x00081010: _own(_E, "station_norm", Form.NORM),
        0x00200011: _own(_E, "series_number", Form.RAW),
        0x00201209: _own(_E, "instance_count", Form.COUNT, json=""),
    },
    _I: {
        SOP_INSTANCE_UID: _own(_I, "sop_instance_uid", Form.RAW, indexed=True),
        SOP_CLASS_UID: _own(_I, "sop_class_uid", Form.RAW, json=""),
    },
}

IN_STUDY = {0x00080061: ("modality", False), 0x00080062: ("sop_class_uid", True)}
"""ModalitiesInStudy and SOPClassesInStudy: the column of series, or (True) of instances, that they collect."""

ORDER_COLUMNS: dict[tuple[Level, int], str] = {(_S, 0x00200010): "study_id"}
"""Columns that serve for sorting only: their text has case and accents, so it cannot be searched as it is."""


_LOOKED_AT = {
    level: (
        *reversed([above for above in Level if above <= level]),
        *(below for below in Level if below > level),
    )
    for level in Level
}


def place_of(tag: int, searched: Level, main_tags: Mapping[Level, Sequence[int]]) -> Place | None:
    """Where the index keeps `tag` for a search at level `searched`; None if only files have it.

    `main_tags` are those of each level, the configuration's included.
    """
    for level in _LOOKED_AT[searched]:
        place = _place_at(tag, level, main_tags)
        if place is not None:
            return place
    return None


def _place_at(tag: int, level: Level, main_tags: Mapping[Level, Sequence[int]]) -> Place | None:
    place = _COLUMNS[level].get(tag)
    if place is not None:
        return place
    if tag in main_tags[level]:
        return Place(level)
    if level == Level.STUDY and tag in main_tags[Level.PATIENT]:
        return Place(level, json=_OF_PATIENT)
    return None
