"""What the folders and files of an archive are called: Orthanc's names, made safe.

`{PatientID} {PatientName}/{AccessionNumber} {StudyDescription}/{Modality} {SeriesDescription}/CT000000.dcm`,
where of each text only letters, digits, `_`, `.` and blanks stay, `^` and line breaks become blanks, and
blanks come one at a time. Siblings of the same name get `-2`, `-3` and so on.

Orthanc's names are kept wherever they are harmless. They differ where unpacking would go wrong: names of dots
alone (`..` would climb out of the folder), names that Windows keeps for devices, empty ones, overlong ones,
and siblings that only differ in case, which fall together on Windows and macOS.
"""

from __future__ import annotations

import re
import unicodedata

from ithil.dicom.level import Level

_PATIENT_ID, _PATIENT_NAME = 0x00100020, 0x00100010
_ACCESSION, _STUDY_DESCRIPTION = 0x00080050, 0x00081030
_MODALITY, _SERIES_DESCRIPTION = 0x00080060, 0x0008103E

_TAGS = {
    Level.PATIENT: (_PATIENT_ID, _PATIENT_NAME),
    Level.STUDY: (_ACCESSION, _STUDY_DESCRIPTION),
    Level.SERIES: (_MODALITY, _SERIES_DESCRIPTION),
}
_BLANK = re.compile(r"[\^\n]")
_NOT_ASCII_NAME = re.compile(r"[^A-Za-z0-9_. ]")
_BLANKS = re.compile(r" +")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)
_LONGEST = 240
"""Bytes of a name; file systems take 255, and a number may follow."""
_NAME_LENGTH = 8  # characters of a file's name before `.dcm`, as ISO 9660 has them


def cleaned(text: str, *, utf8: bool = False) -> str:
    """`text` as part of a name; "" if nothing stays. With `utf8` the letters of all scripts stay."""
    text = _BLANK.sub(" ", text)
    if utf8:
        text = "".join(c for c in unicodedata.normalize("NFC", text) if c in "_. " or _is_letter(c))
    else:
        text = _NOT_ASCII_NAME.sub("", text)
    return _BLANKS.sub(" ", text).strip(" ")


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def folder(level: Level, tags: dict[int, str], *, utf8: bool = False) -> str:
    """The folder of a patient, study or series with these main tags."""
    name = cleaned(" ".join(tags.get(tag, "") for tag in _TAGS[level]), utf8=utf8)
    name = _shortened(name)
    if not name.strip(". "):
        return f"Unknown {level.singular}"
    return f"_{name}" if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES else name


def _shortened(name: str) -> str:
    coded = name.encode("utf-8")
    if len(coded) <= _LONGEST:
        return name
    return coded[:_LONGEST].decode("utf-8", "ignore").rstrip(" ")


def file(modality: str, number: int, *, utf8: bool = False) -> str:
    """The file of instance `number` (from 0) of a series, such as `CT000000.dcm`."""
    modality = modality.upper()[:2]
    digits = _NAME_LENGTH - min(2, len(modality.encode("utf-8")))
    return cleaned(f"{modality}{number:0{digits}d}.dcm", utf8=utf8)


def modality_of(tags: dict[int, str]) -> str:
    """Modality among the main tags of a series."""
    return tags.get(_MODALITY, "")


class Siblings:
    """Tells the names of one folder apart."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """`name`, or with a number behind it if a sibling has it already."""
        key = name.casefold()
        count = self._taken.get(key, 0) + 1
        self._taken[key] = count
        # No name has a hyphen by itself, so the number cannot make it another one's.
        return name if count == 1 else f"{name}-{count}"
