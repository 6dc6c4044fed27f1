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
from ithil.archive import find, query_tag_losses, query_tags
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import StorageUnavailable
from ithil.archive.index import query_tag_losses as loss_rows
from ithil.archive.index import query_tags as rows
from ithil.archive.index import tables as t
from ithil.archive.index.ingest import NewInstance
from ithil.archive.index.statement import Session, Statement
from ithil.archive.matching import Equal, Item, OneOf, Question, Range, Wildcard
from ithil.archive.query import Constraint, Query
from ithil.archive.reconstruct import reconstruct
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
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


def fails_at(monkeypatch: pytest.MonkeyPatch, *times: int) -> list[int]:
    """Have the storage be away when a file is looked at for the n-th time; gives a list that counts."""
    monkeypatch.setattr("ithil.jobs.kinds.query_tags.BATCH", 2)
    monkeypatch.setattr("ithil.jobs.kinds.query_tags._PAUSE", 0.01)
    looked: list[int] = []
    look = query_tags.of_stored

    def fragile(*arguments: Any) -> Any:
        looked.append(1)
        if len(looked) in times:
            raise StorageUnavailable("The storage is away")
        return look(*arguments)

    monkeypatch.setattr(query_tags, "of_stored", fragile)
    return looked


def test_a_job_waits_for_a_storage_that_is_away(
    archive: Archive, start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(archive, aged(number))
    looked = fails_at(monkeypatch, 4, 5, 6)
    job = declared(archive)
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, job, State.SUCCESS)
    assert len(looked) == 2 + 2 + 1 + 1 + 3
    assert len(ids(archive, AGE, Equal("010Y"))) == 5


def test_a_job_that_failed_goes_on_where_it_was(
    archive: Archive, start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(archive, aged(number))
    monkeypatch.setattr("ithil.jobs.kinds.query_tags._PAUSES", 0)
    looked = fails_at(monkeypatch, 4)
    job = declared(archive)
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, job, State.FAILURE)
    assert values(archive) == 2
    queue.resubmit(archive, job)
    eventually(archive, job, State.SUCCESS)
    assert len(looked) == 4 + 3
    assert len(ids(archive, AGE, Equal("010Y"))) == 5


@pytest.mark.parametrize("how", ["cancelled", "failed", "forgotten"])
def test_a_tag_whose_job_has_ended_early_is_declared_again(
    archive: Archive, start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    put(archive, aged(0))
    job = declared(archive)
    with pytest.raises(CodedError):
        declared(archive)  # it is still to come
    if how == "failed":
        monkeypatch.setattr("ithil.jobs.kinds.query_tags._PAUSES", 0)
        fails_at(monkeypatch, 1)
        start_engine(archive, IndexQueryTagsKind())
        eventually(archive, job, State.FAILURE)
    else:
        queue.cancel(archive, job)
        if how == "forgotten":
            queue.delete(archive, job)
        start_engine(archive, IndexQueryTagsKind())
    with pytest.raises(CodedError):
        declared(archive, level="Series")  # which is another declaration
    again = declared(archive)
    assert again != job
    eventually(archive, again, State.SUCCESS)
    (shown,) = query_tags.all_tags(archive)
    assert (shown.tag.status, shown.tag.operation) == ("Ready", again)
    assert len(ids(archive, AGE, Equal("010Y"))) == 1
    with pytest.raises(CodedError):
        declared(archive)


def test_a_tag_is_not_declared_twice_at_once(archive: Archive) -> None:
    tag = query_tags.declaration(archive, "PatientAge", "", "Study", "")
    with pytest.raises(CodedError):
        declare(archive, [tag, tag])
    assert query_tags.all_tags(archive) == []


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


# -- values that go with an instance -------------------------------------------------------------------------


def sibling(number: int, age: str, study: int = 0, series: int = 0) -> bytes:
    """An instance of a study, with a UID by its number."""
    dataset = pydicom.dcmread(BytesIO(image(study=study, series=series, number=number)))
    dataset.PatientAge = age
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def made_good(archive: Archive) -> None:
    """Have the sweep do all that it has to."""

    def is_done() -> bool:
        query_tag_losses.make_good(archive, "test")
        with archive.index.read() as session:
            return loss_rows.page(session, 1) == []

    until(is_done, "losses are made good")


def ages(archive: Archive, *wanted: str) -> list[int]:
    """How many studies each age finds."""
    return [len(ids(archive, AGE, Equal(age))) for age in wanted]


@pytest.fixture
def by_age(place: Place, start_engine: StartEngine) -> Archive:
    """An archive that replaces what comes again, with a tag that is ready."""
    archive = place.open(overwrite_instances="Always")
    start_engine(archive, IndexQueryTagsKind(), ForgetQueryTagKind())
    eventually(archive, declared(archive), State.SUCCESS)
    return archive


def test_a_replaced_instance_has_its_new_value(by_age: Archive) -> None:
    for age in ("010Y", "020Y"):
        put(by_age, sibling(0, age))
    assert ages(by_age, "010Y", "020Y") == [0, 1]
    made_good(by_age)
    assert ages(by_age, "010Y", "020Y") == [0, 1]


def test_a_replaced_instance_that_has_no_value_any_more(by_age: Archive) -> None:
    for age in ("010Y", ""):
        put(by_age, sibling(0, age))
    made_good(by_age)
    assert ages(by_age, "010Y") == [0]
    assert values(by_age) == 0
    put(by_age, sibling(1, "030Y"))
    assert ages(by_age, "030Y") == [1]


def test_a_study_has_the_value_of_another_instance_when_its_first_is_deleted(by_age: Archive) -> None:
    first = put(by_age, sibling(0, "010Y"))
    for number in range(1, 30):
        put(by_age, sibling(number, ""))  # more than are looked at in one step
    put(by_age, sibling(30, "030Y", series=1))
    delete(by_age, Level.INSTANCE, first.instance)
    assert ages(by_age, "010Y", "030Y") == [0, 0]
    made_good(by_age)
    assert ages(by_age, "010Y", "030Y") == [0, 1]


def test_of_several_tags_each_has_the_value_of_the_instance_that_has_one(
    by_age: Archive, start_engine: StartEngine
) -> None:
    eventually(by_age, declared(by_age, "PatientWeight"), State.SUCCESS)
    first = put(by_age, aged(0, "010Y", PatientWeight="70"))

    def other(number: int, **attributes: str) -> bytes:
        dataset = pydicom.dcmread(BytesIO(image(number=number)))
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        written = BytesIO()
        dataset.save_as(written)
        return written.getvalue()

    put(by_age, other(1, PatientWeight="80"))
    put(by_age, other(2, PatientAge="020Y", PatientWeight="90"))
    delete(by_age, Level.INSTANCE, first.instance)
    made_good(by_age)
    assert ages(by_age, "020Y") == [1]
    assert [len(ids(by_age, WEIGHT, Equal(weight))) for weight in ("70", "80", "90")] == [0, 1, 0]


def test_a_loss_that_a_new_instance_makes_good(by_age: Archive) -> None:
    first = put(by_age, sibling(0, "010Y"))
    put(by_age, sibling(1, ""))
    delete(by_age, Level.INSTANCE, first.instance)
    put(by_age, sibling(2, "020Y"))
    assert ages(by_age, "010Y", "020Y") == [0, 1]
    made_good(by_age)
    assert ages(by_age, "010Y", "020Y") == [0, 1]


def test_losses_of_what_is_gone_are_forgotten(by_age: Archive) -> None:
    first = put(by_age, sibling(0, "010Y"))
    put(by_age, sibling(1, "020Y"))
    delete(by_age, Level.INSTANCE, first.instance)
    delete(by_age, Level.STUDY, first.study)
    with by_age.index.read() as session:
        assert loss_rows.page(session, 10) == []
    assert values(by_age) == 0


def test_a_loss_in_a_tag_that_is_taken_back(by_age: Archive) -> None:
    first = put(by_age, sibling(0, "010Y"))
    put(by_age, sibling(1, "020Y"))
    delete(by_age, Level.INSTANCE, first.instance)
    take_back(by_age, query_tags.all_tags(by_age)[0].tag)
    made_good(by_age)
    until(lambda: values(by_age) == 0, "values of the tag are left")


def test_a_storage_that_is_away_does_not_end_the_search_for_a_value(
    by_age: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put(by_age, sibling(0, "010Y"))
    put(by_age, sibling(1, "020Y"))
    delete(by_age, Level.INSTANCE, first.instance)
    with monkeypatch.context() as patched:
        fails_at(patched, 1)
        with pytest.raises(StorageUnavailable):
            made_good(by_age)
    made_good(by_age)
    assert ages(by_age, "020Y") == [1]


def test_a_value_that_is_committed_late_is_not_missed(
    on_postgresql: OnPostgresql,  # noqa: F811
    start_engine: StartEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An instance of another series found the study's value taken, which then goes before it is committed."""
    archive, other = on_postgresql.open(), on_postgresql.open()
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, declared(archive), State.SUCCESS)
    first = put(archive, sibling(0, "010Y"))
    put(archive, sibling(1, ""))
    put(archive, sibling(2, "", series=1))
    query_tags.refresh(other)
    added, go_on = threading.Event(), threading.Event()
    put_values = rows.put

    def put_slowly(session: Session, *arguments: Any) -> None:
        put_values(session, *arguments)
        if threading.current_thread().name != "MainThread":
            added.set()
            assert go_on.wait(30)

    monkeypatch.setattr(rows, "put", put_slowly)
    writer = threading.Thread(target=lambda: put(other, sibling(3, "020Y", series=1)))
    writer.start()
    try:
        assert added.wait(30)
        delete(archive, Level.INSTANCE, first.instance)
        for _ in range(5):
            query_tag_losses.make_good(archive, "test")
        assert ages(archive, "010Y", "020Y") == [0, 0]
    finally:
        go_on.set()
        writer.join()
    made_good(archive)
    assert ages(archive, "010Y", "020Y") == [0, 1]


def test_reconstruction_takes_the_values_anew(by_age: Archive) -> None:
    first = put(by_age, sibling(0, "010Y"))
    put(by_age, sibling(1, "020Y"))
    spoil = Statement(sa.update(t.query_tag_values).values(norm="099Y", value="099Y"))
    by_age.index.write(lambda session: session.run(spoil))
    assert ages(by_age, "010Y", "099Y") == [0, 1]
    reconstruct(by_age, Level.STUDY, first.study)
    assert ages(by_age, "010Y", "020Y", "099Y") == [1, 0, 0]
    by_age.index.write(lambda session: session.run(Statement(sa.delete(t.query_tag_values))))
    reconstruct(by_age, Level.INSTANCE, first.instance)
    made_good(by_age)
    assert ages(by_age, "010Y") == [1]
    assert values(by_age) == 1
