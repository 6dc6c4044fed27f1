"""Searches that are answered with attributes, on both databases."""

from __future__ import annotations

import pytest
from tests.unit.archive.places import put
from tests.unit.archive.searching import instance

from ithil.archive import find, find_attributes
from ithil.archive.archive import Archive
from ithil.archive.find_attributes import COLLECTED, Match
from ithil.archive.query import Query
from ithil.dicom.level import Level

STUDY, PATIENT = "1.2.3", {"PatientID": "p", "PatientName": "Meyer^Anna"}


@pytest.fixture
def filled(archive: Archive) -> Archive:
    """Two studies of one patient, the first with two series."""
    first = {**PATIENT, "StudyInstanceUID": STUDY, "StudyDate": "20200101"}
    put(
        archive,
        instance(**first, SeriesInstanceUID="1.2.3.1", Modality="CT", InstanceNumber="1", Manufacturer="A"),
    )
    put(archive, instance(**first, SeriesInstanceUID="1.2.3.1", Modality="CT", InstanceNumber="2"))
    put(archive, instance(**first, SeriesInstanceUID="1.2.3.2", Modality="SR", PatientAge="030Y"))
    put(archive, instance(**PATIENT, StudyInstanceUID="1.2.4", Modality="MR"))
    return archive


def _matches(archive: Archive, level: Level, **options: bool) -> list[Match]:
    keys = find.keys(archive, Query(level))
    found = find_attributes.matches(archive, level, keys, COLLECTED, **options)
    return [one for batch in found for one in batch]


def test_studies(filled: Archive) -> None:
    first, second = (one.texts for one in _matches(filled, Level.STUDY))
    assert first["0020000d"] == STUDY
    assert first["00100010"] == second["00100010"] == "Meyer^Anna"
    assert (first["00201206"], first["00201208"]) == ("2", "3")
    assert first["00080061"] == "CT\\SR"
    assert first["00080062"] == "1.2.840.10008.5.1.4.1.1.7"
    assert [second[f"002012{end}"] for end in ("00", "02", "04")] == ["2", "3", "4"]
    assert "00080060" not in first


def test_studies_with_what_one_series_has(filled: Archive) -> None:
    first, second = (one.texts for one in _matches(filled, Level.STUDY, of_one_series=True))
    assert (first["00080060"], first["00080070"], second["00080060"]) == ("CT", "A", "MR")
    assert first["0020000d"] == STUDY


def test_series_and_instances(filled: Archive) -> None:
    series = [one.texts for one in _matches(filled, Level.SERIES)]
    assert [one["00201209"] for one in series] == ["2", "1", "1"]
    assert [one["00080060"] for one in series] == ["CT", "SR", "MR"]
    assert series[0]["00080061"] == series[1]["00080061"] == "CT\\SR"
    instances = _matches(filled, Level.INSTANCE)
    assert [one.texts["0020000d"] for one in instances] == [STUDY] * 3 + ["1.2.4"]
    assert instances[1].texts["00200013"] == "2"
    assert instances[0].texts["00083002"].startswith("1.2.840.10008.1.2")
    assert all(one.file is not None for one in instances)


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.INSTANCE])
def test_files(filled: Archive, level: Level) -> None:
    found = _matches(filled, level)
    files = find_attributes.files(filled, level, found)
    assert files.keys() == {one.key for one in found}
    texts = [find_attributes.texts_in_file(filled, files[one.key], frozenset({0x00080060})) for one in found]
    assert texts[-1] == {0x00080060: "MR"}
    header = find_attributes.header_of(filled, files[found[0].key])
    assert header is not None
    assert header.find(0x00100010) is not None


def test_what_is_gone_is_left_out(filled: Archive) -> None:
    batches = [[1, 999_999], [], [2]]
    found = list(find_attributes.matches(filled, Level.STUDY, batches))
    assert [[one.key for one in batch] for batch in found] == [[1], [2]]


@pytest.mark.parametrize("of_one_series", [False, True])
def test_equal_sources_are_equal_attributes(filled: Archive, of_one_series: bool) -> None:
    first, other = _matches(filled, Level.STUDY, of_one_series=of_one_series)
    again, _ = _matches(filled, Level.STUDY, of_one_series=of_one_series)
    assert (first.source, first.texts) == (again.source, again.texts)
    assert first.source != other.source
    put(filled, instance(**PATIENT, StudyInstanceUID="1.2.5", Modality="MR"))
    later, _, _ = _matches(filled, Level.STUDY, of_one_series=of_one_series)
    assert later.texts["00201200"] == "3"  # it is of the patient, and shown of each study
    assert later.source != first.source


def test_studies_without_what_is_collected(filled: Archive) -> None:
    found = list(find_attributes.matches(filled, Level.STUDY, [[1, 2]]))
    assert {"00080061", "00080062", "00201200"}.isdisjoint(found[0][0].texts)
    found = list(find_attributes.matches(filled, Level.STUDY, [[2]], {0x00080061}))
    assert found[0][0].texts["00080061"] == "MR"


def test_an_empty_modality_is_none(archive: Archive) -> None:
    put(archive, instance(StudyInstanceUID="1.2.6", SeriesInstanceUID="1.2.6.1", Modality=""))
    put(archive, instance(StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.1", Modality='C"T'))
    put(archive, instance(StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.2", Modality=""))
    put(archive, instance(StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.3", Modality="\u00c4\\B"))
    assert [one.texts["00080061"] for one in _matches(archive, Level.STUDY)] == ["", 'C"T\\\u00c4\\B']
