"""What is to be sent: the kinds that have to be negotiated, and instances in the order in which they go."""

from __future__ import annotations

from itertools import chain

import pytest
from tests.data import synthetic
from tests.data.datasets import body, part10
from tests.unit.archive.places import put, put_all

from ithil.archive import outgoing
from ithil.archive.archive import Archive
from ithil.archive.matching import Equal, OneOf
from ithil.archive.query import Constraint, Query
from ithil.dicom.level import Level
from ithil.dicom.uids import EXPLICIT_LITTLE

PATIENT, STUDY, SERIES, INSTANCE = 0x00100020, 0x0020000D, 0x0020000E, 0x00080018
CT = "1.2.840.10008.5.1.4.1.1.2"


def fill(archive: Archive) -> list[synthetic.Synthetic]:
    """Two studies of two series with three instances each, stored in no good order."""
    every = [
        synthetic.instance(study, series, number, size=4, patient=1)
        for study in range(2)
        for series in range(2)
        for number in range(3)
    ]
    put_all(archive, *(one.content for one in every[::-1]))
    return every


def sent(archive: Archive, *queries: Query) -> list[str]:
    return [one.sop_instance for one in chain.from_iterable(outgoing.matching(archive, queries))]


def asked(level: Level, tag: int, *values: str) -> Query:
    match = Equal(values[0]) if len(values) == 1 else OneOf(values)
    return Query(level, (Constraint(tag, match, case_sensitive=True),))


def test_each_series_comes_whole_and_in_the_order_of_its_numbers(archive: Archive) -> None:
    every = fill(archive)
    found = sent(archive, asked(Level.PATIENT, PATIENT, every[0].patient_id))
    assert sorted(found) == sorted(one.sop_uid for one in every)
    series = [found[start : start + 3] for start in range(0, 12, 3)]
    assert sorted(series) == [[one.sop_uid for one in every[start : start + 3]] for start in range(0, 12, 3)]


@pytest.mark.parametrize(
    ("level", "tag", "attribute", "count"),
    [
        (Level.STUDY, STUDY, "study_uid", 6),
        (Level.SERIES, SERIES, "series_uid", 3),
        (Level.INSTANCE, INSTANCE, "sop_uid", 1),
    ],
)
def test_one_of_each_level(archive: Archive, level: Level, tag: int, attribute: str, count: int) -> None:
    every = fill(archive)
    value = getattr(every[4], attribute)
    query = asked(level, tag, value)
    assert sorted(sent(archive, query)) == [one.sop_uid for one in every if getattr(one, attribute) == value]
    assert outgoing.kinds(archive, [query]) == {(CT, EXPLICIT_LITTLE): count}


def test_a_list_of_instances_is_grouped_by_series(archive: Archive) -> None:
    every = fill(archive)
    wanted = [every[number].sop_uid for number in (8, 1, 6, 2)]
    found = sent(archive, asked(Level.INSTANCE, INSTANCE, *wanted, "1.2.3"))
    assert sorted(found) == sorted(wanted)
    assert found.index(every[1].sop_uid) == found.index(every[2].sop_uid) - 1
    assert found.index(every[6].sop_uid) == found.index(every[8].sop_uid) - 1


def test_several_queries_follow_each_other(archive: Archive) -> None:
    every = fill(archive)
    queries = [asked(Level.STUDY, STUDY, every[number].study_uid) for number in (6, 0)]
    found = sent(archive, *queries)
    assert len(found) == 12
    assert set(found[:6]) == {one.sop_uid for one in every[6:]}
    assert outgoing.kinds(archive, queries).total() == 12


def test_instances_without_a_number_come_last(archive: Archive) -> None:
    for name, number in (("1.2.1", b""), ("1.2.2", b"7 "), ("1.2.3", b"-3"), ("1.2.4", b"")):
        elements = {0x00080018: ("UI", name.encode() + b"\0"), 0x00200013: ("IS", number)}
        put(archive, part10(body(elements)))
    assert sent(archive, asked(Level.STUDY, STUDY, "1.2.3")) == ["1.2.3", "1.2.2", "1.2.1", "1.2.4"]


def test_a_series_longer_than_a_batch(archive: Archive) -> None:
    count = outgoing.BATCH + 3
    every = [synthetic.instance(0, 0, number, size=4) for number in range(count)]
    put_all(archive, *(one.content for one in every))
    batches = list(outgoing.matching(archive, [asked(Level.STUDY, STUDY, every[0].study_uid)]))
    assert [len(batch) for batch in batches] == [outgoing.BATCH, 3]
    assert [one.sop_instance for batch in batches for one in batch] == [one.sop_uid for one in every]
    assert all(one.file.uncompressed_size == len(every[0].content) for batch in batches for one in batch)


def test_nothing_matches(archive: Archive) -> None:
    fill(archive)
    query = asked(Level.STUDY, STUDY, "1.2.3")
    assert sent(archive, query) == []
    assert not outgoing.kinds(archive, [query])


def test_by_public_ids(archive: Archive) -> None:
    results = put_all(archive, *(synthetic.instance(0, 0, number, size=4).content for number in range(3)))
    found = outgoing.by_ids(archive, [results[2].instance, "nothing", results[0].instance])
    assert set(found) == {results[0].instance, results[2].instance}
    assert found[results[2].instance].sop_instance == synthetic.instance(0, 0, 2).sop_uid
    assert found[results[2].instance].kind == (CT, EXPLICIT_LITTLE)
