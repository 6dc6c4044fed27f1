"""Reading resources: lists, relatives, tags, metadata with revisions, labels, statistics and lookup."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.data.datasets import body, part10
from tests.unit.archive.places import Place, image, put, put_all
from tests.unit.archive.recount import rows

from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.model import MetadataValue, StoreResult
from ithil.dicom.level import Level


@pytest.fixture
def stored(archive: Archive) -> list[StoreResult]:
    """A patient with two studies, three series and four instances, and another with one of each."""
    return put_all(
        archive,
        image(0, 0, 0, patient=1),
        image(0, 0, 1, patient=1),
        image(0, 1, 0, patient=1),
        image(1, 0, 0, patient=1),
        image(2, 0, 0, patient=2),
    )


def unique(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


def test_lists_are_in_order_of_arrival(archive: Archive, stored: list[StoreResult]) -> None:
    assert resources.list_ids(archive, Level.PATIENT) == unique([one.patient for one in stored])
    assert resources.list_ids(archive, Level.STUDY) == unique([one.study for one in stored])
    assert resources.list_ids(archive, Level.SERIES) == unique([one.series for one in stored])
    assert resources.list_ids(archive, Level.INSTANCE) == [one.instance for one in stored]
    assert resources.list_ids(archive, Level.INSTANCE, since=1, limit=2) == [
        stored[1].instance,
        stored[2].instance,
    ]
    assert resources.list_ids(archive, Level.INSTANCE, since=3) == [stored[3].instance, stored[4].instance]
    assert resources.list_ids(archive, Level.INSTANCE, since=99, limit=1) == []


@pytest.mark.parametrize("number", [2**31, 2**63, 2**80])
def test_lists_from_beyond_the_end(archive: Archive, stored: list[StoreResult], number: int) -> None:
    assert resources.list_ids(archive, Level.STUDY, since=number) == []
    assert len(resources.list_ids(archive, Level.STUDY, limit=number)) == 3


def test_relatives(archive: Archive, stored: list[StoreResult]) -> None:
    first, *_ = stored
    assert resources.descendants(archive, Level.PATIENT, first.patient, Level.INSTANCE) == [
        one.instance for one in stored[:4]
    ]
    assert resources.descendants(archive, Level.STUDY, first.study, Level.SERIES) == unique(
        [one.series for one in stored[:3]]
    )
    assert resources.descendants(archive, Level.STUDY, first.study, Level.STUDY) == [first.study]
    assert resources.descendants(archive, Level.STUDY, "unknown", Level.SERIES) is None
    assert resources.ancestor(archive, Level.INSTANCE, first.instance, Level.PATIENT) == first.patient
    assert resources.ancestor(archive, Level.INSTANCE, first.instance, Level.INSTANCE) == first.instance
    assert resources.ancestor(archive, Level.SERIES, "unknown", Level.STUDY) is None
    assert resources.exists(archive, Level.SERIES, first.series)
    assert not resources.exists(archive, Level.STUDY, first.series)


def test_a_whole_resource(archive: Archive, stored: list[StoreResult]) -> None:
    first = stored[0]
    study = resources.read(archive, Level.STUDY, first.study)
    assert study is not None
    assert (study.id, study.level, study.parent) == (first.study, Level.STUDY, first.patient)
    assert study.children == sorted({one.series for one in stored[:3]})
    assert study.main_tags[0x00081030] == "Synthetic study"
    assert study.patient_main_tags[0x00100010] == "Müller^Synthetic"
    instance = resources.read(archive, Level.INSTANCE, first.instance)
    assert instance is not None
    assert instance.index_in_series == 1
    assert instance.attachments[1].uncompressed_size == len(image(0, 0, 0, patient=1))
    assert resources.read(archive, Level.PATIENT, first.study) is None


def test_many_at_once_keep_their_order(archive: Archive, stored: list[StoreResult]) -> None:
    wanted = [stored[3].instance, "unknown", stored[0].instance, stored[3].instance]
    found = resources.read_many(archive, Level.INSTANCE, wanted)
    assert [one.id for one in found] == [stored[3].instance, stored[0].instance, stored[3].instance]
    assert resources.read_many(archive, Level.INSTANCE, []) == []


def test_more_than_a_statement_takes(archive: Archive) -> None:
    put_all(archive, *(image(number=number) for number in range(12)))
    ids = resources.list_ids(archive, Level.INSTANCE)
    found = resources.read_many(archive, Level.INSTANCE, ids * 50)
    assert [one.id for one in found] == ids * 50


def test_metadata_that_can_change_wins_and_has_revisions(archive: Archive, stored: list[StoreResult]) -> None:
    row = rows(archive, "studies")[0]
    insert = Statement(
        sa.insert(t.metadata).values(
            {name: sa.bindparam(name) for name in ("level", "resource", "type", "value", "revision")}
        )
    )
    values = {"level": 1, "resource": row["id"], "type": 1024, "value": "mine", "revision": 3}
    archive.index.write(lambda session: session.run(insert, values))
    found = resources.read(archive, Level.STUDY, stored[0].study)
    assert found is not None
    assert found.metadata[1024] == MetadataValue("mine", 3)
    assert found.metadata[7].value == found.last_update
    other = resources.read(archive, Level.STUDY, stored[3].study)
    assert other is not None
    assert 1024 not in other.metadata


def test_labels_are_sorted_and_of_their_level_only(archive: Archive, stored: list[StoreResult]) -> None:
    row = rows(archive, "studies")[0]
    insert = Statement(
        sa.insert(t.labels).values({name: sa.bindparam(name) for name in ("level", "resource", "label")})
    )
    for level, label in ((1, "zebra"), (1, "ape"), (2, "series only")):
        values = {"level": level, "resource": row["id"], "label": label}
        archive.index.write(lambda session, values=values: session.run(insert, values))
    found = resources.read(archive, Level.STUDY, stored[0].study)
    assert found is not None
    assert found.labels == ["ape", "zebra"]


def test_statistics(archive: Archive, stored: list[StoreResult]) -> None:
    size = len(image())
    first = stored[0]
    total = resources.statistics(archive)
    assert total is not None
    assert (total.patients, total.studies, total.series, total.instances) == (2, 3, 4, 5)
    assert (total.disk_size, total.uncompressed_size) == (5 * size, 5 * size)
    for level, public_id, counts in (
        (Level.PATIENT, first.patient, (1, 2, 3, 4)),
        (Level.STUDY, first.study, (0, 1, 2, 3)),
        (Level.SERIES, first.series, (0, 0, 1, 2)),
        (Level.INSTANCE, first.instance, (0, 0, 0, 1)),
    ):
        found = resources.statistics(archive, level, public_id)
        assert found is not None
        assert (found.patients, found.studies, found.series, found.instances) == counts
        assert found.disk_size == found.dicom_disk_size == counts[3] * size
        assert resources.statistics(archive, level, "unknown") is None


def test_lookup(archive: Archive, stored: list[StoreResult]) -> None:
    first = stored[0]
    assert resources.lookup(archive, "SYN0000001") == [(Level.PATIENT, first.patient)]
    assert resources.lookup(archive, " syn0000001\n") == [(Level.PATIENT, first.patient)]
    assert resources.lookup(archive, "2.25.10010000000") == [(Level.STUDY, first.study)]
    assert resources.lookup(archive, "2.25.10020000000000000") == [(Level.SERIES, first.series)]
    assert resources.lookup(archive, "2.25.10030000000000000000000") == [(Level.INSTANCE, first.instance)]
    assert resources.lookup(archive, "a1") == [
        (Level.STUDY, study) for study in unique([one.study for one in stored])
    ]
    assert resources.lookup(archive, "nothing") == []
    assert resources.lookup(archive, "") == []


def test_lookup_disregards_case_and_accents(archive: Archive) -> None:
    result = put(
        archive,
        part10(body({0x00080005: ("CS", b"ISO_IR 192"), 0x00100020: ("LO", "Zoë-1 ".encode())})),
    )
    assert resources.lookup(archive, "ZOE-1") == [(Level.PATIENT, result.patient)]
    assert resources.lookup(archive, "zoë-1") == [(Level.PATIENT, result.patient)]


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "A1\0X"])
def test_text_that_no_database_takes_is_not_found(archive: Archive, text: str) -> None:
    put(archive, image())
    assert resources.lookup(archive, text) == []


@pytest.mark.parametrize("text", ["x" * 100_000, "'; DROP TABLE patients; --", "%", "_", "", "ÄÖ"])
def test_odd_text_is_looked_for_and_not_found(archive: Archive, text: str) -> None:
    put(archive, image())
    assert resources.lookup(archive, text) == []
    for level in Level:
        assert resources.read(archive, level, text) is None
        assert not resources.exists(archive, level, text)
        assert resources.descendants(archive, level, text, Level.INSTANCE) is None
    assert len(resources.list_ids(archive, Level.PATIENT)) == 1


def test_protection(place: Place) -> None:
    archive = place.open()
    result = put(archive, image())
    assert resources.set_protected(archive, result.patient, True)
    found = resources.read(archive, Level.PATIENT, result.patient)
    assert found is not None
    assert found.is_protected
    assert resources.set_protected(archive, result.patient, False)
    assert not resources.set_protected(archive, "unknown", True)
    with pytest.raises(ReadOnly):
        resources.set_protected(place.open(read_only=True), result.patient, True)
