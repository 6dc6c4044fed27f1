"""The identifiers of our own queries and retrievals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ithil.archive.archive import Archive
from ithil.dicom import dataset
from ithil.dicom.level import Level
from ithil.dicom.tags_format import simplified
from ithil.error_codes import CodedError
from ithil.services.query_keys import encode, query_keys, unique_keys
from ithil.settings import Modality, Settings

ANY = Modality("ANY", "localhost", 104)
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
LEVEL, NAME, PATIENT_ID, DATE, TIME = 0x00080052, 0x00100010, 0x00100020, 0x00080020, 0x00080030
STUDY, SERIES, SOP, ACCESSION = 0x0020000D, 0x0020000E, 0x00080018, 0x00080050


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(Settings(storage_directory=tmp_path))
    yield opened
    opened.close()


def by(manufacturer: str) -> Modality:
    return Modality("ANY", "localhost", 104, manufacturer)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Level.PATIENT, {LEVEL: "PATIENT", PATIENT_ID: ""}),
        (Level.STUDY, {LEVEL: "STUDY", PATIENT_ID: "", ACCESSION: "", STUDY: ""}),
        (Level.SERIES, {LEVEL: "SERIES", PATIENT_ID: "", ACCESSION: "", STUDY: "", SERIES: ""}),
        (Level.INSTANCE, {LEVEL: "IMAGE", PATIENT_ID: "", ACCESSION: "", STUDY: "", SERIES: "", SOP: ""}),
    ],
)
def test_a_query_asks_for_the_unique_keys_down_to_its_level(level: Level, expected: dict[int, str]) -> None:
    assert query_keys(level, {}, ANY, normalise=True) == expected


def test_what_is_asked_for_wins_but_for_the_level() -> None:
    found = query_keys(Level.STUDY, {PATIENT_ID: "1*", LEVEL: "IMAGE"}, ANY, normalise=True)
    assert (found[PATIENT_ID], found[LEVEL]) == ("1*", "STUDY")


def test_normalising_leaves_out_what_belongs_to_levels_below() -> None:
    asked = {NAME: "A", DATE: "2000", SERIES: "1.2", 0x00080060: "CT", 0x00280010: "", 0x00201209: ""}
    counts = {0x00080061: "", 0x00201208: ""}
    found = query_keys(Level.STUDY, asked | counts, ANY, normalise=True)
    assert set(found) == {LEVEL, PATIENT_ID, ACCESSION, STUDY, NAME, DATE, *counts}
    every = query_keys(Level.STUDY, asked | counts, ANY, normalise=False)
    assert set(asked) <= set(every)


@pytest.mark.parametrize(
    ("manufacturer", "name", "date", "time", "identifier"),
    [
        ("Generic", "*", "*", "*", ""),
        ("GenericNoWildcardInDates", "*", "", "*", ""),
        ("GenericNoUniversalWildcard", "", "", "", ""),
        ("GE", "*", "*", "*", "*"),
        ("Vitrea", "*", "*", "*", ""),
    ],
)
def test_manufacturers_have_their_ways_with_wildcards(
    manufacturer: str, name: str, date: str, time: str, identifier: str
) -> None:
    found = query_keys(Level.STUDY, {NAME: "*", DATE: "*", TIME: "*"}, by(manufacturer), normalise=True)
    assert (found[NAME], found[DATE], found[TIME], found[STUDY]) == (name, date, time, identifier)


def test_other_patterns_are_left_alone() -> None:
    found = query_keys(Level.STUDY, {NAME: "A*"}, by("GenericNoUniversalWildcard"), normalise=True)
    assert found[NAME] == "A*"


def test_a_retrieval_is_named_by_unique_keys_alone() -> None:
    every = {PATIENT_ID: "1", STUDY: "1.2", SERIES: "1.3", SOP: "1.4", ACCESSION: "5", NAME: "A"}
    assert unique_keys(Level.PATIENT, every) == {PATIENT_ID: "1"}
    assert unique_keys(Level.STUDY, every) == {STUDY: "1.2"}
    assert unique_keys(Level.SERIES, every) == {STUDY: "1.2", SERIES: "1.3"}
    assert unique_keys(Level.INSTANCE, every) == {STUDY: "1.2", SERIES: "1.3", SOP: "1.4"}
    assert unique_keys(Level.STUDY, {STUDY: ""}) == {}


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_the_bytes_are_a_data_set_in_order(archive: Archive, syntax: str) -> None:
    scheduled = {"ScheduledStationAETitle": "CT", "Modality": ""}
    values: dict[int, Any] = {NAME: "A^B", LEVEL: "STUDY", 0x00400100: [scheduled], 0x00281050: "1"}
    found = dataset.parse(encode(archive, values, syntax), transfer_syntax=syntax)
    tags = [element.tag for element in found.elements]
    assert tags == sorted(tags)
    shown = simplified(found)
    assert shown["ScheduledProcedureStepSequence"] == [scheduled]
    assert (shown["PatientName"], shown["SpecificCharacterSet"]) == ("A^B", "ISO_IR 100")


@pytest.mark.parametrize(
    ("name", "asked", "character_set"),
    [
        ("Müller", "", "ISO_IR 100"),
        ("山田", "", "ISO_IR 192"),
        ("Иванов", "ISO_IR 144", "ISO_IR 144"),
        ("A", "ISO_IR 192", "ISO_IR 192"),
    ],
)
def test_text_comes_in_a_character_set_that_holds_it(
    archive: Archive, name: str, asked: str, character_set: str
) -> None:
    values = {NAME: name} | ({0x00080005: asked} if asked else {})
    shown = simplified(dataset.parse(encode(archive, values, EXPLICIT), transfer_syntax=EXPLICIT))
    assert (shown["PatientName"], shown["SpecificCharacterSet"]) == (name, character_set)


@pytest.mark.parametrize("values", [{NAME: 5}, {0x00280010: "x"}, {0x00400100: "x"}, {NAME: ["x"]}])
def test_values_that_cannot_be_are_refused(archive: Archive, values: dict[int, Any]) -> None:
    with pytest.raises(CodedError):
        encode(archive, values, EXPLICIT)
