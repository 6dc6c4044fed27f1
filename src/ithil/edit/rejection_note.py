"""Rejection notes: Key Object Selection documents that say which instances are not to be used, and why.

IHE Imaging Object Change Management (RAD TF-3 4.66) names the titles; the document is that of PS3.3 A.35.4
with the template TID 2010 of PS3.16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ithil.dicom import json_reader, uids
from ithil.dicom.dictionary import tag_vr
from ithil.dicom.errors import DicomError
from ithil.edit.document import Document, write

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
MODALITY = "KO"

TITLES = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""The titles of rejection notes (PS3.16 CID 7011): codes of the scheme DCM and their meanings."""

SCHEME = "DCM"
TITLE = 0x0040A043
"""ConceptNameCodeSequence, which holds the title of a document."""

CODE_VALUE = 0x00080100

_IDENTIFIERS = (0x00100020, 0x0020000D)  # PatientID, StudyInstanceUID
_STUDY_TAGS = (
    *(0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00081030, 0x00100010, 0x00100020, 0x00100030),
    *(0x00100040, 0x0020000D, 0x00200010),
)
_ONE_TEXT = frozenset({"LT", "ST", "UT"})
_IMAGE_WORD, _WAVEFORM_WORD = "Image", "Waveform"


@dataclass(frozen=True, slots=True)
class Rejected:
    """An instance that is rejected, by its UIDs."""

    series: str
    sop_class: str
    sop_instance: str


def rejection_note(
    code: str, study: Mapping[int, str], instances: Sequence[Rejected], now: datetime
) -> bytes:
    """The file of a note with a title of `TITLES`, in a series of its own.

    `study` are the main tags of the patient and the study. What of them cannot be written is left out, but for
    the identifiers. Raises DicomError if those cannot be written.
    """
    note = _note(code, study, instances, now)
    stated = {tag: text for tag in _STUDY_TAGS if (text := study.get(tag)) is not None}
    elements = None
    try:
        elements = json_reader.read(note | _attributes(stated)).elements
    except DicomError:
        elements = json_reader.read(
            note | _attributes({t: study[t] for t in _IDENTIFIERS if t in study})
        ).elements
    return write(Document(elements, uids.EXPLICIT_LITTLE))


def _note(
    code: str, study: Mapping[int, str], instances: Sequence[Rejected], now: datetime
) -> dict[str, Any]:
    """All but the patient and the study."""
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    by_series: dict[str, list[dict[str, Any]]] = {}
    content = []
    for one in instances:
        reference = {"00081150": _value("UI", one.sop_class), "00081155": _value("UI", one.sop_instance)}
        by_series.setdefault(one.series, []).append(reference)
        content.append(
            {
                "00081199": _items([reference]),
                "0040A010": _value("CS", "CONTAINS"),
                "0040A040": _value("CS", _value_type(one.sop_class)),
            }
        )
    evidence = {
        "00081115": _items(
            [
                {"00081199": _items(references), "0020000E": _value("UI", series)}
                for series, references in by_series.items()
            ]
        ),
        "0020000D": _value("UI", study.get(0x0020000D, "")),
    }
    title = {
        "00080100": _value("SH", code),
        "00080102": _value("SH", SCHEME),
        "00080104": _value("LO", TITLES[code]),
    }
    template = {"00080105": _value("CS", "DCMR"), "0040DB00": _value("CS", "2010")}
    return {
        "00080012": _value("DA", date),
        "00080013": _value("TM", time),
        "00080016": _value("UI", KEY_OBJECT_SELECTION),
        "00080018": _value("UI", uids.generate_uid()),
        "00080020": {"vr": "DA"},
        "00080021": _value("DA", date),
        "00080023": _value("DA", date),
        "00080030": {"vr": "TM"},
        "00080031": _value("TM", time),
        "00080033": _value("TM", time),
        "00080050": {"vr": "SH"},
        "00080060": _value("CS", MODALITY),
        "00080070": {"vr": "LO"},
        "00080090": {"vr": "PN"},
        "0008103E": _value("LO", TITLES[code]),
        "00081111": {"vr": "SQ"},
        "00100010": {"vr": "PN"},
        "00100020": {"vr": "LO"},
        "00100030": {"vr": "DA"},
        "00100040": {"vr": "CS"},
        "0020000E": _value("UI", uids.generate_uid()),
        "00200010": {"vr": "SH"},
        "00200011": _value("IS", "1"),
        "00200013": _value("IS", "1"),
        "0040A040": _value("CS", "CONTAINER"),
        "0040A043": _items([title]),
        "0040A050": _value("CS", "SEPARATE"),
        "0040A375": _items([evidence]),
        "0040A504": _items([template]),
        "0040A730": _items(content),
    }


def _attributes(tags: Mapping[int, str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for tag, text in tags.items():
        vr = tag_vr(tag)
        values = [text] if vr in _ONE_TEXT else text.split("\\")
        made[f"{tag:08X}"] = {"vr": vr, "Value": values} if text else {"vr": vr}
    return made


def _value_type(sop_class: str) -> str:
    """How the template refers to an instance of this SOP class (PS3.3 table C.17.3-7)."""
    words = uids.uid_name(sop_class).split()
    if _WAVEFORM_WORD in words:
        return "WAVEFORM"
    return "IMAGE" if _IMAGE_WORD in words else "COMPOSITE"


def _value(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _items(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}
