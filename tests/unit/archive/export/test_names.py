"""What folders and files are called: Orthanc's names (measured), and what keeps hostile ones harmless."""

from __future__ import annotations

import pytest

from ithil.archive.export import names
from ithil.dicom.level import Level


def series(modality: str, description: str, *, utf8: bool = False) -> str:
    return names.folder(Level.SERIES, {0x00080060: modality, 0x0008103E: description}, utf8=utf8)


@pytest.mark.parametrize(
    ("modality", "description", "expected"),
    [
        ("CT", "", "CT"),
        ("CT", "Routine Brain", "CT Routine Brain"),
        ("CT", "  a  b  ", "CT a b"),
        ("CT", "^^a^^", "CT a"),
        ("CT", "a^b=c^d", "CT a bc d"),
        ("CT", "a\nb", "CT a b"),
        ("CT", "a\tb", "CT ab"),
        ("CT", "5.55mm, -Plain_1", "CT 5.55mm Plain_1"),
        ("CT", "../../etc", "CT ....etc"),
        ("CT", "a\\b:c/d", "CT abcd"),
        ("CT", "é", "CT"),
        ("C T", "", "C T"),
        ("", "", "Unknown Series"),
        ("é", "", "Unknown Series"),
    ],
)
def test_names_are_those_of_orthanc(modality: str, description: str, expected: str) -> None:
    assert series(modality, description) == expected


@pytest.mark.parametrize("name", [".", "..", "...", ". .", "^^", "/", "\0", "😀", "\0\0/"])
def test_no_name_is_empty_or_only_dots(name: str) -> None:
    assert series(name, "") == "Unknown Series"


@pytest.mark.parametrize("name", ["CON", "nul", "Aux.txt", "COM1", "lpt9.x", "prn ."])
def test_names_of_devices_are_disarmed(name: str) -> None:
    assert series(name, "").startswith("_")


def test_names_are_never_too_long_for_a_file_system() -> None:
    for utf8 in (False, True):
        for text in ("x" * 10_000, "é" * 10_000, "山" * 10_000, "a " * 5000):
            assert len(series("CT", text, utf8=utf8).encode()) <= 240


def test_utf8_keeps_letters_of_all_scripts_and_nothing_else() -> None:
    assert series("CT", "山田^太郎 Ärger/😀\u202e..", utf8=True) == "CT 山田 太郎 Ärger.."
    assert series("😀", "", utf8=True) == "Unknown Series"


def test_other_levels() -> None:
    assert names.folder(Level.PATIENT, {0x00100020: "11-05", 0x00100010: "Doe^Peter"}) == "1105 Doe Peter"
    assert names.folder(Level.PATIENT, {}) == "Unknown Patient"
    assert names.folder(Level.STUDY, {0x00081030: "Brain-MRA", 0x00080050: "2"}) == "2 BrainMRA"
    assert names.folder(Level.STUDY, {}) == "Unknown Study"


@pytest.mark.parametrize(
    ("modality", "expected"),
    [
        ("CT", "CT000007.dcm"),
        ("ct", "CT000007.dcm"),
        ("RTDOSE", "RT000007.dcm"),
        ("C", "C0000007.dcm"),
        ("", "00000007.dcm"),
        ("C/T", "C000007.dcm"),
        ("C T", "C 000007.dcm"),
        ("é", "000007.dcm"),
        ("..", "..000007.dcm"),
        ("a%5sb", "A000007.dcm"),
    ],
)
def test_files(modality: str, expected: str) -> None:
    assert names.file(modality, 7) == expected


def test_siblings_are_told_apart_whatever_their_case() -> None:
    siblings = names.Siblings()
    assert [siblings.unique(name) for name in ("same", "SAME", "other", "same")] == [
        "same",
        "SAME-2",
        "other",
        "same-3",
    ]
