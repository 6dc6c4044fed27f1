"""Sorting what a search finds, and searches by labels and metadata."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.archive.places import put
from tests.unit.archive.searching import ids, instance

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.matching import parse_text
from ithil.archive.query import (
    BadQuery,
    LabelsConstraint,
    MetadataConstraint,
    Order,
    OrderKind,
    Query,
)
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level

_, STUDY, SERIES, INSTANCE = Level

ORDERS: list[tuple[Level, OrderKind, str, list[int]]] = [
    (STUDY, OrderKind.TAG, "PatientName", [2, 0, 1]),
    (STUDY, OrderKind.TAG, "StudyDate", [1, 0, 2]),
    (STUDY, OrderKind.TAG, "StudyID", [0, 1, 2]),
    (STUDY, OrderKind.TAG_AS_INT, "StudyID", [1, 0, 2]),
    (STUDY, OrderKind.TAG_AS_INT, "NumberOfStudyRelatedInstances", [0, 1, 2]),
    (SERIES, OrderKind.TAG_AS_INT, "SeriesNumber", [2, 0, 1]),
    (SERIES, OrderKind.TAG, "SeriesNumber", [0, 2, 1]),
    (SERIES, OrderKind.TAG, "PatientName", [2, 0, 1]),
    (SERIES, OrderKind.TAG, "Manufacturer", [1, 2, 0]),
    (INSTANCE, OrderKind.TAG_AS_INT, "InstanceNumber", [2, 1, 0]),
    (INSTANCE, OrderKind.TAG, "InstanceNumber", [1, 2, 0]),
    (INSTANCE, OrderKind.TAG_AS_FLOAT, "ImagePositionPatient", [1, 0, 2]),
    (INSTANCE, OrderKind.TAG, "StudyDate", [1, 0, 2]),
    (INSTANCE, OrderKind.METADATA, "10", [1, 0, 2]),
    (INSTANCE, OrderKind.METADATA_AS_INT, "1", [2, 1, 0]),
    (INSTANCE, OrderKind.METADATA_AS_FLOAT, "1024", [2, 0, 1]),
    (STUDY, OrderKind.METADATA, "1025", [1, 2, 0]),
]


@pytest.mark.parametrize(("level", "kind", "key", "expected"), ORDERS, ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_orders(
    archive: Archive, level: Level, kind: OrderKind, key: str, expected: list[int], descending: bool
) -> None:
    """Absent, empty and unreadable values come last in either direction."""
    stored = [
        put(archive, instance(**values))
        for values in (
            {
                "PatientName": "Meyer",
                "StudyDate": "20240202",
                "StudyID": "10",
                "SeriesNumber": "10",
                "InstanceNumber": "n/a",
                "ImagePositionPatient": "-1.5\\0\\0",
                "SOPClassUID": "1.2.2",
            },
            {
                "PatientName": "zorn",
                "StudyDate": "20240101",
                "StudyID": "9",
                "Manufacturer": "AB",
                "InstanceNumber": "12",
                "ImagePositionPatient": "-1e1\\0\\0",
                "SOPClassUID": "1.2.1",
            },
            {
                "PatientName": "abel",
                "StudyID": "x",
                "SeriesNumber": "9",
                "Manufacturer": "B",
                "InstanceNumber": "3",
                "SOPClassUID": "1.2.3",
            },
        )
    ]
    _set_metadata(archive, INSTANCE, 1024, ["2.5", "none", "-3"])
    _set_metadata(archive, STUDY, 1025, [None, "a", "b"])
    number = int(key) if kind.value.startswith("Metadata") else parse_tag(key)
    found = ids(archive, Query(level, order=(Order(kind, number, descending),)))
    all_ids = [getattr(one, level.singular.lower()) for one in stored]
    ascending = [all_ids.index(one) for one in found]
    if (level, kind, key) in WITHOUT_VALUE:
        kept = len(expected) - WITHOUT_VALUE[level, kind, key]
        expected = (expected[:kept][::-1] if descending else expected[:kept]) + expected[kept:]
    elif descending:
        expected = expected[::-1]
    assert ascending == expected


# How many have no value, which stay at the end.
WITHOUT_VALUE: dict[tuple[Level, OrderKind, str], int] = {
    (STUDY, OrderKind.TAG, "StudyDate"): 1,
    (STUDY, OrderKind.TAG_AS_INT, "StudyID"): 1,
    (SERIES, OrderKind.TAG_AS_INT, "SeriesNumber"): 1,
    (SERIES, OrderKind.TAG, "SeriesNumber"): 1,
    (SERIES, OrderKind.TAG, "Manufacturer"): 1,
    (INSTANCE, OrderKind.TAG_AS_INT, "InstanceNumber"): 1,
    (INSTANCE, OrderKind.TAG_AS_FLOAT, "ImagePositionPatient"): 1,
    (INSTANCE, OrderKind.TAG, "StudyDate"): 1,
    (INSTANCE, OrderKind.METADATA_AS_INT, "1"): 1,
    (INSTANCE, OrderKind.METADATA_AS_FLOAT, "1024"): 1,
    (STUDY, OrderKind.METADATA, "1025"): 1,
}


def _set_metadata(archive: Archive, level: Level, number: int, values: list[str | None]) -> None:
    insert = Statement(
        sa.insert(t.metadata).values(
            {name: sa.bindparam(name) for name in ("level", "resource", "type", "value", "revision")}
        )
    )

    def work(session: Any) -> None:
        keys = session.all(Statement(sa.select(t.BY_LEVEL[level].c.id).order_by(t.BY_LEVEL[level].c.id)))
        for (key,), value in zip(keys, values, strict=True):
            if value is not None:
                row = {"level": int(level), "resource": key, "type": number, "value": value, "revision": 0}
                session.run(insert, row)

    archive.index.write(work)


def test_a_second_key_decides_among_equals(archive: Archive) -> None:
    stored = [
        put(archive, instance(StudyDate=day, StudyTime=time)).study
        for day, time in (("20240101", "08"), ("20240102", "07"), ("20240102", "09"), ("20240101", "08"))
    ]
    order = (
        Order(OrderKind.TAG, parse_tag("StudyDate"), descending=True),
        Order(OrderKind.TAG, parse_tag("StudyTime")),
    )
    assert ids(archive, Query(STUDY, order=order)) == [stored[index] for index in (1, 2, 0, 3)]


@pytest.mark.parametrize("key", ["KVP", "Modality", "ModalitiesInStudy"])
def test_orders_that_the_index_cannot_give(archive: Archive, key: str) -> None:
    with pytest.raises(BadQuery):
        ids(archive, Query(STUDY, order=(Order(OrderKind.TAG, parse_tag(key)),)))


def _label(archive: Archive, level: Level, labels: list[str]) -> None:
    """Give the resources of a level, in order of arrival, the labels that the words of each text name."""
    insert = Statement(
        sa.insert(t.labels).values({name: sa.bindparam(name) for name in ("level", "resource", "label")})
    )

    def work(session: Any) -> None:
        keys = session.all(Statement(sa.select(t.BY_LEVEL[level].c.id).order_by(t.BY_LEVEL[level].c.id)))
        for (key,), words in zip(keys, labels, strict=True):
            for word in words.split():
                session.run(insert, {"level": int(level), "resource": key, "label": word})

    archive.index.write(work)


@pytest.mark.parametrize(
    ("labels", "constraint", "expected"),
    [
        ("red", LabelsConstraint.ALL, [0, 1]),
        ("red blue", LabelsConstraint.ALL, [1]),
        ("red red", LabelsConstraint.ALL, [0, 1]),
        ("red blue", LabelsConstraint.ANY, [0, 1, 2]),
        ("red", LabelsConstraint.NONE, [2, 3]),
        ("red blue", LabelsConstraint.NONE, [3]),
        ("", LabelsConstraint.NONE, [3]),
        ("", LabelsConstraint.ALL, [0, 1, 2, 3]),
        ("", LabelsConstraint.ANY, [0, 1, 2, 3]),
        ("Red", LabelsConstraint.ANY, []),
    ],
)
def test_labels(archive: Archive, labels: str, constraint: LabelsConstraint, expected: list[int]) -> None:
    stored = [put(archive, instance()) for _ in range(4)]
    _label(archive, STUDY, ["red", "red blue", "blue", ""])
    _label(archive, SERIES, ["red", "red", "red", "red"])  # another level's are not looked at
    query = Query(STUDY, labels=tuple(labels.split()), labels_constraint=constraint, labelled=True)
    assert ids(archive, query) == [stored[index].study for index in expected]
    assert find.count(archive, query) == len(expected)


def test_metadata(archive: Archive) -> None:
    stored = [put(archive, instance(SOPClassUID=uid)).instance for uid in ("1.2.1", "1.2.2", "1.3_1")]
    _set_metadata(archive, INSTANCE, 1024, ["Alpha", 'Be"ta', None])

    def found(number: int, text: str, *, case_sensitive: bool = False) -> list[int]:
        about = MetadataConstraint(number, parse_text(text), case_sensitive)
        query = Query(INSTANCE, metadata=(about,))
        assert find.count(archive, query) == len(ids(archive, query))
        return [stored.index(one) for one in ids(archive, query)]

    assert found(10, "1.2.1") == [0]
    assert found(10, "1.2.*") == [0, 1]
    assert found(10, "1.2.2\\1.3_1") == [1, 2]
    assert found(10, "1.3?1") == [2]
    assert found(8, "restapi") == [0, 1, 2]
    assert found(8, "restapi", case_sensitive=True) == []
    assert found(1024, "alpha") == [0]
    assert found(1024, '*"t*') == [1]
    assert found(1024, "*") == [0, 1]
    assert found(7, "*") == []
    last_update = MetadataConstraint(7, parse_text("20*"))
    assert len(ids(archive, Query(STUDY, metadata=(last_update,)))) == 3
