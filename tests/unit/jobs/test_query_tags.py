"""Query tags over several processes: no instance is without its values, whoever stores it and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa
from tests.unit.archive.conftest import on_postgresql  # noqa: F401
from tests.unit.archive.places import OnPostgresql, Place, image, put
from tests.unit.jobs.conftest import StartEngine, eventually, until

from ithil.archive import archive as archive_module
from ithil.archive import find, query_tags
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import StorageUnavailable
from ithil.archive.index import query_tags as rows
from ithil.archive.index import tables as t
from ithil.archive.index.ingest import NewInstance
from ithil.archive.index.statement import Session, Statement
from ithil.archive.matching import Equal, Item, OneOf, Question, Range, Wildcard
from ithil.archive.query import Constraint, Query
from ithil.dicom.level import Level
from ithil.jobs import queue
from ithil.jobs.kinds.query_tags import ForgetQueryTagKind, IndexQueryTagsKind, declare, take_back
from ithil.jobs.model import State

AGE, WEIGHT = 0x00101010, 0x00101030


_COUNT = Statement(sa.select(sa.func.count()).select_from(t.query_tag_values))


def aged(number: int, age: str = "010Y", **values: Any) -> bytes:
    """An instance of a study of its own."""
    dataset = pydicom.dcmread(BytesIO(image(study=number)))
    dataset.PatientAge = age
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def declared(archive: Archive, path: str = "PatientAge", level: str = "Study") -> str:
    return declare(archive, [query_tags.declaration(archive, path, "", level, "")])


def ids(archive: Archive, tag: int, match: Question, level: Level = Level.STUDY, **options: Any) -> list[str]:
    """What the index alone finds, without a look into files."""
    query = Query(level, (Constraint(tag, match, **options),), open_files=False)
    return sorted(public_id for batch in find.ids(archive, query) for public_id in batch)


def values(archive: Archive) -> int:
    with archive.index.read() as session:
        row = session.one(_COUNT)
    assert row is not None
    return int(row[0])


def test_what_is_stored_is_found_when_the_job_is_done(archive: Archive, start_engine: StartEngine) -> None:
    stored = [put(archive, aged(number, age)) for number, age in enumerate(("010Y", "020Y", "010Y"))]
    job = declared(archive)
    assert query_tags.all_tags(archive)[0].tag.status == "Adding"
    assert ids(archive, AGE, Equal("010Y")) == []  # nobody claims to know yet
    start_engine(archive, IndexQueryTagsKind())
    assert eventually(archive, job, State.SUCCESS).progress == 1.0
    assert query_tags.all_tags(archive)[0].tag.status == "Ready"
    assert ids(archive, AGE, Equal("010Y")) == sorted([stored[0].study, stored[2].study])


def test_a_process_that_has_not_heard_of_the_declaration(place: Place, start_engine: StartEngine) -> None:
    archive, other = place.open(), place.open()
    put(other, aged(0))  # from now on it believes to know that nothing is declared
    job = declared(archive)
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, job, State.SUCCESS)
    late = put(other, aged(1, "020Y"))
    assert ids(archive, AGE, Equal("020Y")) == [late.study]
    assert ids(other, AGE, Equal("020Y")) == [late.study]


def test_a_declaration_that_another_process_took_back(place: Place, start_engine: StartEngine) -> None:
    archive, other = place.open(), place.open()
    engine = (IndexQueryTagsKind(), ForgetQueryTagKind())
    start_engine(archive, *engine)
    eventually(archive, declared(archive), State.SUCCESS)
    put(other, aged(0))
    assert values(archive) == 1
    take_back(archive, query_tags.all_tags(archive)[0].tag)
    put(other, aged(1))
    until(lambda: values(archive) == 0, "values of the tag are left")


def test_an_instance_on_its_way_at_the_declaration(
    on_postgresql: OnPostgresql,  # noqa: F811
    start_engine: StartEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its transaction has found nothing declared, and is committed when the job has begun."""
    archive, other = on_postgresql.open(), on_postgresql.open()
    added, go_on = threading.Event(), threading.Event()
    add_all = archive_module._add_all

    def add_slowly(session: Session, news: Sequence[NewInstance]) -> list[bool]:
        result = add_all(session, news)
        added.set()
        assert go_on.wait(30)
        return result

    monkeypatch.setattr(archive_module, "_add_all", add_slowly)
    writer = threading.Thread(target=lambda: put(other, aged(0)))
    writer.start()
    try:
        assert added.wait(30)
        job = declared(archive)
        start_engine(archive, IndexQueryTagsKind())
        eventually(archive, job, State.RUNNING)
        time.sleep(0.3)  # in which a job that does not wait would be done
        assert query_tags.all_tags(archive)[0].tag.status == "Adding"
    finally:
        go_on.set()
        writer.join()
    eventually(archive, job, State.SUCCESS)
    assert len(ids(archive, AGE, Equal("010Y"))) == 1


def test_a_job_that_failed_goes_on_where_it_was(
    archive: Archive, start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(archive, aged(number))
    monkeypatch.setattr("ithil.jobs.kinds.query_tags.BATCH", 2)
    looked: list[int] = []
    look = query_tags.of_stored

    def fragile(*arguments: Any) -> Any:
        looked.append(1)
        if len(looked) == 4:
            raise StorageUnavailable("The storage is away")
        return look(*arguments)

    monkeypatch.setattr(query_tags, "of_stored", fragile)
    job = declared(archive)
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, job, State.FAILURE)
    assert values(archive) == 2
    queue.resubmit(archive, job)
    eventually(archive, job, State.SUCCESS)
    assert len(looked) == 4 + 3
    assert len(ids(archive, AGE, Equal("010Y"))) == 5


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
