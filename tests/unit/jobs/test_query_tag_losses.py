"""Values of studies and series go with the instance that they were of, and come anew from another."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa
from tests.unit.archive.conftest import on_postgresql  # noqa: F401
from tests.unit.archive.places import OnPostgresql, Place, image, put
from tests.unit.jobs.conftest import StartEngine, eventually, until
from tests.unit.jobs.query_tags import AGE, WEIGHT, aged, declared, fails_at, ids, values

from ithil.archive import query_tag_losses, query_tags
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import StorageUnavailable
from ithil.archive.index import query_tag_losses as loss_rows
from ithil.archive.index import query_tags as rows
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.archive.matching import Equal
from ithil.archive.reconstruct import reconstruct
from ithil.dicom.level import Level
from ithil.jobs.kinds.query_tags import ForgetQueryTagKind, IndexQueryTagsKind, take_back
from ithil.jobs.model import State


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
