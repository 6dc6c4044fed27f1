"""Query tags over several processes: no instance is without its values, whoever stores it and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.archive.conftest import on_postgresql  # noqa: F401
from tests.unit.archive.places import OnPostgresql, Place, put
from tests.unit.jobs.conftest import StartEngine, eventually, until
from tests.unit.jobs.query_tags import AGE, aged, declared, fails_at, ids, values

from ithil.archive import query_tags
from ithil.archive.archive import Archive
from ithil.archive.index.statement import Session
from ithil.archive.intake import Intake, Prepared
from ithil.archive.matching import Equal
from ithil.error_codes import CodedError
from ithil.jobs import queue
from ithil.jobs.kinds.query_tags import ForgetQueryTagKind, IndexQueryTagsKind, declare, take_back
from ithil.jobs.model import State


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
    add_all = Intake._add_all

    def add_slowly(intake: Intake, session: Session, batch: Sequence[Prepared]) -> Any:
        result = add_all(intake, session, batch)
        added.set()
        assert go_on.wait(30)
        return result

    monkeypatch.setattr(Intake, "_add_all", add_slowly)
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
