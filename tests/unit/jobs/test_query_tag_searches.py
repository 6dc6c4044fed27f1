"""Searches by query tags find what searches in files would, and what resources have is told."""

from __future__ import annotations

import pydicom
from tests.unit.archive.conftest import on_postgresql  # noqa: F401
from tests.unit.archive.places import put
from tests.unit.jobs.conftest import StartEngine, eventually
from tests.unit.jobs.query_tags import aged, declared, ids

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.index import query_tags as rows
from ithil.archive.matching import Equal, Item, OneOf, Range, Wildcard
from ithil.archive.query import Constraint, Query
from ithil.dicom.level import Level
from ithil.jobs.kinds.query_tags import IndexQueryTagsKind
from ithil.jobs.model import State


def test_every_kind_of_matching(archive: Archive, start_engine: StartEngine) -> None:
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, declared(archive, "DeviceSerialNumber"), State.SUCCESS)
    names = ("Ab_1", "AB%1", "Zürich 9")
    a, b, z = (put(archive, aged(place, DeviceSerialNumber=name)).study for place, name in enumerate(names))
    tag = 0x00181000
    assert ids(archive, tag, Equal("ab_1")) == [a]
    assert ids(archive, tag, Equal("ab_1"), case_sensitive=True) == []
    assert ids(archive, tag, Equal("Ab_1"), case_sensitive=True) == [a]
    assert ids(archive, tag, Equal("zurich 9")) == [z]
    assert ids(archive, tag, OneOf(("AB%1", "ZÜRICH 9", "none"))) == sorted([b, z])
    assert ids(archive, tag, Wildcard("AB?1")) == sorted([a, b])
    assert ids(archive, tag, Wildcard("A*")) == sorted([a, b])
    assert ids(archive, tag, Wildcard("*1"), case_sensitive=True) == sorted([a, b])
    assert ids(archive, tag, Wildcard("a*"), case_sensitive=True) == []
    assert ids(archive, tag, Wildcard("*")) == sorted([a, b, z])
    assert ids(archive, tag, Wildcard("*Z_RICH*")) == []


def test_items_of_sequences(archive: Archive, start_engine: StartEngine) -> None:
    """With one attribute the index decides; with several, the files tell whether one item has them all."""
    start_engine(archive, IndexQueryTagsKind())
    for path in (
        "RequestAttributesSequence.RequestedProcedureID",
        "RequestAttributesSequence.ScheduledProcedureStepID",
    ):
        eventually(archive, declared(archive, path, "Series"), State.SUCCESS)

    def requests(*pairs: tuple[str, str]) -> list[pydicom.Dataset]:
        items = []
        for procedure, step in pairs:
            item = pydicom.Dataset()
            item.RequestedProcedureID, item.ScheduledProcedureStepID = procedure, step
            items.append(item)
        return items

    mixed = put(archive, aged(0, RequestAttributesSequence=requests(("P1", "S1"), ("P2", "S2"))))
    same = put(archive, aged(1, RequestAttributesSequence=requests(("P1", "S2"))))
    procedure, step = (0x00401001, Equal("P1")), (0x00400009, Equal("S2"))
    sequence = 0x00400275
    assert ids(archive, sequence, Item((procedure,))) == sorted([mixed.study, same.study])
    both = Query(Level.STUDY, (Constraint(sequence, Item((procedure, step))),))
    assert [one for batch in find.ids(archive, both) for one in batch] == [same.study]


def test_levels_above_and_below(archive: Archive, start_engine: StartEngine) -> None:
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, declared(archive, "AcquisitionDate", "Series"), State.SUCCESS)
    one = put(archive, aged(0, AcquisitionDate="20200101"))
    put(archive, aged(1, AcquisitionDate="20210101"))
    for level, wanted in zip(Level, (one.patient, one.study, one.series, one.instance), strict=True):
        assert ids(archive, 0x00080022, Equal("20200101"), level) == [wanted]
        assert ids(archive, 0x00080022, Range(None, "20201231"), level) == [wanted]


def test_values_of_resources_are_told(archive: Archive, start_engine: StartEngine) -> None:
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, declared(archive), State.SUCCESS)
    stored = put(archive, aged(0))
    delete(archive, Level.STUDY, put(archive, aged(1)).study)
    with archive.index.read() as session:
        found = rows.values_of(session, Level.STUDY, list(range(1, 10)))
    assert [list(each.values()) for each in found.values()] == [["010Y"]]
    assert stored.study
