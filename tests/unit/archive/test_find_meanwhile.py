"""Searches during which something arrives or is deleted: each resource is found once."""

from __future__ import annotations

import pytest
from tests.unit.archive.places import put
from tests.unit.archive.searching import constraints, instance

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.query import Order, OrderKind, Query
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level

LATEST_FIRST = (Order(OrderKind.TAG, parse_tag("StudyDate"), descending=True),)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("BATCH", 3), ("WINDOW", 6), ("_FIRST_WINDOW", 3), ("_LEAST_WINDOW", 3), ("_FEW", 1)):
        monkeypatch.setattr(find, name, size)


@pytest.mark.parametrize("asked", [{"PatientName": "DOE*"}, {}])
def test_what_arrives_meanwhile_makes_nothing_appear_twice(archive: Archive, asked: dict[str, str]) -> None:
    stored = [
        put(archive, instance(PatientName=f"DOE^{one}_", StudyDate="20200101")).study for one in range(10)
    ]
    found: list[str] = []
    for batch in find.ids(archive, Query(Level.STUDY, constraints(asked), order=LATEST_FIRST)):
        found += batch
        if len(found) <= 6:
            put(archive, instance(PatientName="DOE^NEW_", StudyDate="20260101"))
    assert len(found) == len(set(found))
    assert set(stored) <= set(found)


@pytest.mark.parametrize("asked", [{"PatientName": "DOE*"}, {}])
def test_what_is_deleted_meanwhile_makes_nothing_disappear(archive: Archive, asked: dict[str, str]) -> None:
    stored = [
        put(archive, instance(PatientName=f"DOE^{one}_", StudyDate="20200101")).study for one in range(10)
    ]
    found: list[str] = []
    for batch in find.ids(archive, Query(Level.STUDY, constraints(asked), order=LATEST_FIRST)):
        if not found:
            delete(archive, Level.STUDY, batch[0])
        found += batch
    assert sorted(found) == sorted(stored)


def test_a_limit_holds_though_something_arrives(archive: Archive) -> None:
    for one in range(10):
        put(archive, instance(PatientName=f"DOE^{one}_", StudyDate="20200101"))
    found: list[str] = []
    for batch in find.ids(archive, Query(Level.STUDY, order=LATEST_FIRST, since=1, limit=8)):
        found += batch
        put(archive, instance(PatientName="DOE^NEW_", StudyDate="20260101"))
    assert len(found) == len(set(found)) == 8
