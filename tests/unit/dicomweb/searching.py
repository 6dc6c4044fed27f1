"""Archives for searches by DICOMweb, and searches in few words."""

from __future__ import annotations

from typing import Any

from tests.unit.application import Client
from tests.unit.archive.searching import instance

ROOT = "/dicom-web"
STUDY, SERIES, INSTANCE = "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1"


def store(client: Client, **values: str) -> None:
    """Store an instance whose tags have these values; UIDs that are not given are new."""
    assert client.post("/instances", content=instance(**values)).status_code == 200


def search(client: Client, path: str, **options: Any) -> list[dict[str, Any]]:
    """The results of a search that must succeed."""
    answer = client.get(ROOT + path, **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    found: list[dict[str, Any]] = answer.json()
    return found


def values(found: list[dict[str, Any]], tag: str) -> list[Any]:
    """The first value of an attribute in each result, None where there is none."""
    return [one.get(tag, {}).get("Value", [None])[0] for one in found]


def names(client: Client, path: str) -> list[str]:
    """The names of the patients of the results of a search, sorted."""
    found = values(search(client, path), "00100010")
    return sorted(name["Alphabetic"] if name else "" for name in found)


def little_hospital(client: Client) -> None:
    """Two studies of one patient and one of another: three series, four instances."""
    anna = {"PatientName": "Meyer^Anna", "PatientID": "A1", "PatientSex": "F", "PatientBirthDate": "19700203"}
    first = {**anna, "StudyInstanceUID": STUDY, "StudyDate": "20200110", "StudyTime": "101500"}
    first |= {"AccessionNumber": "ACC1", "StudyDescription": "Head", "StudyID": "7"}
    scan = {**first, "SeriesInstanceUID": SERIES, "Modality": "CT", "SeriesNumber": "2"}
    store(client, **scan, SOPInstanceUID=INSTANCE, InstanceNumber="10", Rows="", SeriesDescription="Axial")
    store(client, **scan, SOPInstanceUID="1.2.3.1.1.2", InstanceNumber="9")
    store(client, **first, SeriesInstanceUID="1.2.3.1.2", Modality="SR", SeriesNumber="1", InstanceNumber="1")
    bert = {"PatientName": "Müller^Bert", "PatientID": "b2", "StudyInstanceUID": "1.2.3.2", "Modality": "MR"}
    store(client, **bert, StudyDate="20210305", SeriesInstanceUID="1.2.3.2.1", SeriesNumber="1")
