"""Instances by way of the journal: safe before they are told, seen by all who look, kept if all else fails."""

from __future__ import annotations

import io
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.data import synthetic
from tests.descriptors import open_below
from tests.unit.archive.places import (
    ORIGIN,
    OnDurableSqlite,
    OnPostgresql,
    Place,
    accept,
    commit,
    files_of,
    image,
    read_all,
    segments_of,
)
from tests.unit.archive.recount import assert_sound, rows

from ithil.archive import changes, intake, resources, retrieve, sweeps
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.errors import (
    ArchiveError,
    CommitUncertain,
    IndexUnavailable,
    StorageFull,
    StorageUnavailable,
)
from ithil.archive.index.ingest import Batch, NewInstance
from ithil.archive.index.sqlite import SqliteDatabase
from ithil.archive.ingest import Incoming
from ithil.archive.ingest_batch import commit_all
from ithil.archive.model import StoreResult, StoreStatus
from ithil.archive.recovery import open_archive
from ithil.archive.storage import journal
from ithil.archive.storage import segments as segments_module
from ithil.archive.storage.journal import Journal
from ithil.archive.storage.local import LocalStorage
from ithil.archive.storage.segments import Segment
from ithil.dicom.level import Level
from ithil.settings import Settings

DEADLINE = 30.0
WAYS = pytest.mark.parametrize("way", [commit, accept])
Way = Callable[[Archive, bytes], StoreResult]


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_SIZE", 1024 * 1024)


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Place]:
    with OnDurableSqlite(tmp_path) as place:
        yield place


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accepted stays out of the index until somebody looks."""
    monkeypatch.setattr(intake, "LINGER", 3600.0)


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def large(number: int = 0) -> bytes:
    """An instance that has a file of its own from the start."""
    return synthetic.instance(0, 0, number, size=256).content


def waiting(archive: Archive) -> int:
    return archive.index.backlog.waiting


def indexed(archive: Archive) -> int:
    """How many instances other processes see."""
    assert isinstance(archive.index, SqliteDatabase)
    connection = sqlite3.connect(archive.index.path)
    try:
        (count,) = connection.execute("SELECT count(*) FROM instances").fetchone()
        return int(count)
    finally:
        connection.close()


def files_on_disk(archive: Archive) -> int:
    return sum(1 for _ in archive.storage.all_files())


def segments(archive: Archive) -> list[Segment]:
    assert archive.intake.journal is not None
    return segments_of(archive.intake.journal)


def broken(*_: object, **__: object) -> Any:
    raise OSError(5, "Input/output error")


# -- safe before it is told ----------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("content", [image, large])
@pytest.mark.usefixtures("held")
def test_the_record_is_on_the_disk_before_anybody_sees_the_row(
    durable: Place, monkeypatch: pytest.MonkeyPatch, way: Way, content: Callable[..., bytes]
) -> None:
    archive = durable.open()
    seen: list[tuple[int, int]] = []
    real = journal._fdatasync

    def watched(fd: int) -> None:
        seen.append((len(list(segments_module.records(fd))), indexed(archive)))
        real(fd)

    monkeypatch.setattr(journal, "_fdatasync", watched)
    for number in range(3):
        assert way(archive, content(number=number)).status is StoreStatus.SUCCESS
        assert seen[-1] == (number + 1, number if way is commit else 0)
    assert len(seen) == 3
    assert_sound(archive)


@WAYS
@pytest.mark.parametrize("content", [image, large])
def test_what_the_disk_refuses_is_not_stored(
    durable: Place, monkeypatch: pytest.MonkeyPatch, way: Way, content: Callable[..., bytes]
) -> None:
    archive = durable.open()
    way(archive, content(number=1))
    refused = {segment.name for segment in segments(archive)}
    with monkeypatch.context() as patched:
        patched.setattr(journal, "_fdatasync", broken)
        with pytest.raises(StorageUnavailable):
            way(archive, content(number=2))
    assert len(read_all(archive)) == 1
    assert len(files_of(archive)) == 1
    assert way(archive, content(number=2)).status is StoreStatus.SUCCESS
    assert {segment.name for segment in segments(archive)} > refused
    assert_sound(archive)
    archive.intake.empty()
    archive.intake.empty()
    assert refused.isdisjoint(segment.name for segment in segments(archive))


def test_one_of_several_that_the_disk_refuses(durable: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = durable.open()
    append = Journal.append

    def full(self: Journal, head: bytes, content: Sequence[bytes] = (), file: str = "") -> journal.Place:
        if image(number=1) in content:
            raise StorageFull("full")
        return append(self, head, content, file)

    incomings = []
    for number in range(3):
        incomings.append(Incoming(archive, ORIGIN))
        incomings[-1].write(image(number=number))
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        outcomes = commit_all(archive, incomings)
    assert [type(each) for each in outcomes] == [StoreResult, StorageFull, StoreResult]
    assert len(files_of(archive)) == 2
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_small_instances_have_their_bytes_in_the_journal_as_well(durable: Place) -> None:
    archive = durable.open()
    accept(archive, image())
    accept(archive, large(1))
    assert files_on_disk(archive) == 2
    (segment,) = segments(archive)
    contents = [record.content for record in segments_module.records(segment.fd)]
    assert contents == [image(), b""]
    assert len(files_of(archive)) == 2


def test_other_places_have_no_journal(on_postgresql: OnPostgresql) -> None:
    archive = on_postgresql.open()
    assert archive.intake.journal is None
    assert not archive.intake.defers
    assert accept(archive, image()).status is StoreStatus.SUCCESS
    assert accept(archive, image()).status is StoreStatus.ALREADY_STORED
    assert waiting(archive) == 0
    assert archive.intake.empty() == 0
    assert not (on_postgresql.folder / "journal").exists()
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_other_workers_see_what_one_of_them_has_stored(sqlite: Place) -> None:
    """They cannot ask each other, so nothing waits."""
    one, other = (sqlite.open(ithil={"workers": 2}) for _ in range(2))
    for number in range(3):
        accept(one, image(number=number))
        assert len(resources.list_ids(other, Level.INSTANCE)) == number + 1
    assert_sound(one)


# -- seen before anybody looks -------------------------------------------------------------------------------------

LOOKS: dict[str, Callable[[Archive, StoreResult], bool]] = {
    "list": lambda archive, told: resources.list_ids(archive, Level.INSTANCE) == [told.instance],
    "resource": lambda archive, told: resources.read(archive, Level.SERIES, told.series) is not None,
    "statistics": lambda archive, _: getattr(resources.statistics(archive), "instances", 0) == 1,
    "changes": lambda archive, _: len(changes.page(archive).changes) == 4,
    "file": lambda archive, told: retrieve.dicom_file(archive, told.instance) is not None,
    "bytes": lambda archive, told: read_all(archive) == {told.instance: image()},
    "delete": lambda archive, told: delete(archive, Level.INSTANCE, told.instance) is not None,
    "sweep": lambda archive, _: archive.intake.empty() == 1,
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.usefixtures("held")
def test_what_was_accepted_is_seen_by_the_next_that_looks(sqlite: Place, look: str, threaded: bool) -> None:
    archive = sqlite.open()
    told = accept(archive, image())
    assert told.status is StoreStatus.SUCCESS
    assert (indexed(archive), waiting(archive)) == (0, 1)
    assert archive.index.version() is None
    if threaded:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(LOOKS[look], archive, told).result(DEADLINE)
    else:
        assert LOOKS[look](archive, told)
    assert waiting(archive) == 0
    assert archive.index.version() is not None
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_the_version_changes_with_what_was_accepted(sqlite: Place) -> None:
    archive = sqlite.open()
    versions = []
    for number in range(3):
        accept(archive, image(number=number))
        assert archive.index.version() is None
        with archive.index.read():
            versions.append(archive.index.version())
    assert len(set(versions)) == 3


def test_nobody_has_to_look(sqlite: Place) -> None:
    archive = sqlite.open()
    for number in range(3):
        accept(archive, image(number=number))
    until(lambda: indexed(archive) == 3, "the thread of the intake adds nothing")
    until(lambda: waiting(archive) == 0, "something is left")
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_instances_are_accepted_while_a_transaction_runs(sqlite: Place) -> None:
    archive = sqlite.open()
    accept(archive, image())

    def work(session: object) -> int:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(accept, archive, image(number=1)).result(DEADLINE)
        assert waiting(archive) == 1
        with archive.index.read():  # which must not wait for a transaction after this one
            return indexed(archive)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(archive.index.write, work).result(DEADLINE) == 1
    assert len(resources.list_ids(archive, Level.INSTANCE)) == 2
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_who_brings_one_more_than_may_wait_helps(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_WAITING", 3)
    archive = sqlite.open()
    for number in range(10):
        accept(archive, image(number=number))
        assert waiting(archive) <= 3
    assert indexed(archive) >= 7
    assert_sound(archive)


@pytest.mark.parametrize("overwrite", ["Never", "Always", "IfChanged"])
@pytest.mark.usefixtures("held")
def test_what_comes_again_is_there_once(sqlite: Place, overwrite: str) -> None:
    archive = sqlite.open(overwrite_instances=overwrite)
    other = image().replace(b"Synthetic study", b"Different study")
    for content in (image(), image(), other, other):
        accept(archive, content)
    expected = image() if overwrite == "Never" else other
    assert list(read_all(archive).values()) == [expected]
    assert_sound(archive)
    assert accept(archive, other).status in (StoreStatus.SUCCESS, StoreStatus.ALREADY_STORED)
    assert list(read_all(archive).values()) == [expected]
    assert_sound(archive)


@WAYS
@pytest.mark.parametrize("content", [image, large])
@pytest.mark.usefixtures("held")
def test_what_comes_again_replaces_a_lost_file(
    durable: Place, way: Way, content: Callable[..., bytes]
) -> None:
    archive = durable.open()
    way(archive, content())
    (lost,) = files_of(archive)
    archive.storage.remove(lost)
    way(archive, content())
    assert list(read_all(archive).values()) == [content()]
    assert files_of(archive).isdisjoint({lost})
    assert_sound(archive)


def test_many_threads_do_everything_at_once(sqlite: Place) -> None:
    archive = sqlite.open()

    def work(seed: int) -> dict[str, bytes]:
        choose = random.Random(seed)
        mine: dict[str, bytes] = {}
        for number in range(30):
            what = choose.random()
            if what < 0.65:
                content = synthetic.instance(seed, 0, number, size=choose.choice((4, 8))).content
                mine[choose.choice((accept, commit))(archive, content).instance] = content
            elif what < 0.75 and mine:
                gone = choose.choice(sorted(mine))
                assert delete(archive, Level.INSTANCE, gone) is not None
                del mine[gone]
            elif what < 0.9:
                assert mine.keys() <= set(resources.list_ids(archive, Level.INSTANCE))
            else:
                archive.index.write(lambda session: None)
        return mine

    stop = threading.Event()

    def sweep() -> None:
        while not stop.is_set():
            archive.intake.empty()

    with ThreadPoolExecutor(7) as pool:
        sweeping = pool.submit(sweep)
        try:
            expected: dict[str, bytes] = {}
            for mine in pool.map(work, range(6)):
                expected |= mine
        finally:
            stop.set()
        sweeping.result(DEADLINE)
    assert read_all(archive) == expected
    assert_sound(archive)


# -- the sweep -----------------------------------------------------------------------------------------------------


def watch(monkeypatch: pytest.MonkeyPatch, of: type, name: str, told: list[str]) -> None:
    """Note the name of a method whenever it is called."""
    real = getattr(of, name)

    def call(self: Any, *arguments: Any) -> Any:
        told.append(f"{of.__name__}.{name}")
        return real(self, *arguments)

    monkeypatch.setattr(of, name, call)


LOG, FILES, FREE = "SqliteDatabase.sync", "LocalStorage.sync", "Journal.free"


def watch_syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which order the log, the files and a segment are dealt with."""
    order: list[str] = []
    watch(monkeypatch, SqliteDatabase, "sync", order)
    watch(monkeypatch, LocalStorage, "sync", order)
    watch(monkeypatch, Journal, "free", order)
    return order


@WAYS
def test_a_sweep_makes_all_durable_and_begins_anew(
    durable: Place, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    archive = durable.open()
    for number in range(3):
        way(archive, image(number=number))
    (segment,) = segments(archive)
    assert len(list(segments_module.records(segment.fd))) == 3
    order = watch_syncs(monkeypatch)
    assert archive.intake.empty() == 3
    assert order == [LOG, FILES, FREE]
    assert archive.intake.empty() == 0
    assert segment.count == 0
    used = {each.name for each in segments(archive)}
    for number in range(7, 12):
        way(archive, image(number=number))
        assert archive.intake.empty() == 1
        assert {each.name for each in segments(archive)} == used
    assert_sound(archive)


def test_a_sweep_of_large_ones_has_no_files_to_wait_for(
    durable: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = durable.open()
    commit(archive, large())
    order = watch_syncs(monkeypatch)
    assert archive.intake.empty() == 0
    assert order == [LOG, FREE]


@pytest.mark.usefixtures("held")
def test_nothing_is_freed_while_something_is_unsettled(
    durable: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = durable.open()
    accept(archive, image())
    (segment,) = segments(archive)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "_write", refusing(IndexUnavailable("locked")))
        order = watch_syncs(patched)
        for _ in range(2):
            assert archive.intake.empty() == 0
        assert order == []
    assert [each.content for each in segments_module.records(segment.fd)] == [image()]
    assert archive.intake.empty() == 1
    assert segment.count == 0
    assert_sound(archive)


def test_a_sweep_whose_log_fails_leaves_the_journal_as_it_is(
    durable: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = durable.open()
    commit(archive, image())
    (segment,) = segments(archive)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "sync", refusing(CommitUncertain("the log")))
        order: list[str] = []
        watch(patched, Journal, "free", order)
        for _ in range(2):
            with pytest.raises(CommitUncertain):
                archive.intake.empty()
        assert order == []
    assert [each.content for each in segments_module.records(segment.fd)] == [image()]
    assert archive.intake.empty() == 1
    assert segment.count == 0


@WAYS
def test_files_are_written_again_after_the_disk_has_failed(
    durable: Place, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    """Also those that were stored while the sweep ran: the kernel has dropped their pages as well."""
    archive = durable.open()
    for number in range(3):
        way(archive, image(number=number))
    before = read_all(archive)

    def fails(self: LocalStorage, uuids: Sequence[str]) -> None:
        way(archive, image(number=7))
        before.update(read_all(archive))
        raise StorageUnavailable("EIO")

    monkeypatch.setattr(LocalStorage, "sync", fails)
    with pytest.raises(StorageUnavailable):
        archive.intake.empty()
    # A second call would succeed without having written them.
    monkeypatch.setattr(LocalStorage, "sync", lambda self, uuids: None)
    for uuid in files_of(archive):
        Path(archive.storage.path(uuid)).write_bytes(b"")
    assert archive.intake.empty() == 3
    assert archive.intake.empty() == 1
    assert len(before) == 4
    assert read_all(archive) == before
    # From then on, the disk is trusted again.
    way(archive, image(number=8))
    monkeypatch.undo()
    order = watch_syncs(monkeypatch)
    archive.intake.empty()
    assert order == [LOG, FILES, FREE]
    assert_sound(archive)


def test_a_sweep_meets_deleted_files(durable: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the question what waits and the call that makes it durable, all of it may be gone."""
    archive = durable.open()
    told = commit(archive, image())
    sync = LocalStorage.sync

    def too_late(storage: LocalStorage, uuids: Sequence[str]) -> None:
        delete(archive, Level.PATIENT, told.patient)
        for uuid in uuids:
            storage.remove(uuid)
        sync(storage, uuids)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "sync", too_late)
        assert archive.intake.empty() == 1
    assert read_all(archive) == {}
    assert_sound(archive)


def test_the_sweeper_sweeps_the_journal(durable: Place) -> None:
    archive = durable.open(ithil={"stability_sweep_seconds": 0.01})
    sweeper = sweeps.Sweeper(archive, "test")
    sweeper.start()
    try:
        accept(archive, image())
        until(lambda: all(not segment.count for segment in segments(archive)), "nothing is swept")
    finally:
        sweeper.stop()
    assert_sound(archive)


# -- an index that refuses -----------------------------------------------------------------------------------------


def refusing(error: ArchiveError) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise type(error)(*error.args)

    return refuse


@pytest.mark.parametrize(
    "error", [StorageFull("The disk of the index is full"), IndexUnavailable("The index cannot be used")]
)
def test_an_index_that_refuses_for_a_while(
    durable: Place, monkeypatch: pytest.MonkeyPatch, error: ArchiveError
) -> None:
    monkeypatch.setattr(intake, "RETRY_SECONDS", 0.02)
    archive = durable.open()
    commit(archive, image(number=0))
    expected = {image(number=0)}
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "_write", refusing(error))
        for content in (image(number=1), large(2)):
            try:
                accept(archive, content)
                expected.add(content)
            except type(error):
                assert len(expected) > 1, "the first one is accepted, since nobody knows better yet"
        until(lambda: archive.intake._commits.failure is not None, "nobody tries")
        for number in (3, 4):
            with pytest.raises(type(error)):
                accept(archive, image(number=number))
            with pytest.raises(type(error)):
                commit(archive, large(number))
        assert len(read_all(archive)) == 1, "reads go on"
        with pytest.raises(type(error)):
            archive.index.write(lambda session: None)
    until(lambda: waiting(archive) == 0, "what was accepted is not tried again")
    assert archive.intake._commits.failure is None
    assert set(read_all(archive).values()) == expected
    accept(archive, image(number=5))
    assert set(read_all(archive).values()) == expected | {image(number=5)}
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_a_storage_without_room_for_the_files(durable: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is on another disk, which has room."""
    archive = durable.open()
    accept(archive, image(number=0))
    accept(archive, image(number=1))
    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "writer", refusing(StorageFull("full")))
        with pytest.raises(StorageFull):
            accept(archive, image(number=2))
        assert len(resources.list_ids(archive, Level.INSTANCE)) == 2
    archive.intake.empty()
    assert set(read_all(archive).values()) == {image(number=0), image(number=1)}
    assert_sound(archive)


def mistake_with(monkeypatch: pytest.MonkeyPatch, *contents: bytes) -> None:
    """The index has a mistake that shows with these instances."""
    bad = {str(pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID) for content in contents}
    parents = Batch._parents

    def fails(self: Batch, new: NewInstance) -> Any:
        if new.instance["sop_instance_uid"] in bad:
            raise ValueError("of patient Müller^Synthetic")
        return parents(self, new)

    monkeypatch.setattr(Batch, "_parents", fails)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("content", [image, large])
@pytest.mark.usefixtures("held")
def test_what_the_index_does_not_take_is_set_aside(
    durable: Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    compressed: bool,
    content: Callable[..., bytes],
) -> None:
    archive = durable.open(storage_compression=compressed)
    mistake_with(monkeypatch, content(number=1))
    with caplog.at_level(logging.DEBUG):
        for number in range(3):
            accept(archive, content(number=number))
        stored = read_all(archive)
    assert sorted(stored.values()) == sorted([content(number=0), content(number=2)])
    (kept,) = (durable.folder / "journal" / "refused").iterdir()
    assert kept.read_bytes() == content(number=1)
    assert kept.suffix == ".dcm"
    assert kept.stat().st_mode & 0o007 == 0
    assert pydicom.dcmread(kept).PatientID
    assert str(kept) in caplog.text
    for secret in ("Müller", "Synthetic", str(pydicom.dcmread(kept).PatientID), "2.25.100"):
        assert secret not in caplog.text
    archive.intake.empty()
    assert all(not segment.count for segment in segments(archive))
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_who_waits_is_told_of_the_mistake(durable: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = durable.open()
    mistake_with(monkeypatch, image(number=1))
    accept(archive, image(number=0))
    with pytest.raises(ValueError, match="patient"):
        commit(archive, image(number=1))
    assert list(read_all(archive).values()) == [image(number=0)]
    assert not (durable.folder / "journal" / "refused").exists()
    assert_sound(archive)


@pytest.mark.usefixtures("held")
def test_what_cannot_even_be_set_aside_stays_in_the_journal(
    durable: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = durable.open()
    mistake_with(monkeypatch, image(number=1))
    accept(archive, image(number=1))
    with monkeypatch.context() as patched:
        patched.setattr(intake, "set_aside", refusing(StorageFull("full")))
        assert archive.intake.empty() == 0
        assert accept(archive, image(number=2)).status is StoreStatus.SUCCESS
        assert archive.intake.empty() == 0
        records = {
            each.content for segment in segments(archive) for each in segments_module.records(segment.fd)
        }
        assert image(number=1) in records
    archive.intake.empty()
    (kept,) = (durable.folder / "journal" / "refused").iterdir()
    assert kept.read_bytes() == image(number=1)
    assert list(read_all(archive).values()) == [image(number=2)]


# -- the end -------------------------------------------------------------------------------------------------------


@WAYS
@pytest.mark.usefixtures("held")
def test_the_end_leaves_nothing_in_the_journal(durable: Place, way: Way) -> None:
    archive = durable.open()
    for number in range(3):
        way(archive, image(number=number))
        way(archive, large(number + 5))
        if number == 1:
            archive.intake.empty()
    archive.close()
    assert list((durable.folder / "journal").iterdir()) == []
    again = durable.open()
    assert rows(again, "journals") == []
    assert len(read_all(again)) == 6
    assert_sound(again)


@pytest.mark.usefixtures("held")
def test_the_end_while_the_index_refuses(durable: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = durable.open()
    accept(archive, image())
    accept(archive, large(1))
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "_write", refusing(IndexUnavailable("locked")))
        archive.close()
    again = durable.open()
    assert set(read_all(again).values()) == {image(), large(1)}
    assert len(list((durable.folder / "journal").iterdir())) <= 1
    assert_sound(again)


def test_many_rounds_leave_no_descriptors_and_no_threads(durable: Place) -> None:
    runtime = durable.open().runtime

    def round_of(number: int) -> None:
        archive = open_archive(Settings(**durable.options()), runtime)
        accept(archive, image(number=number))
        archive.intake.empty()
        commit(archive, image(study=1, number=number))
        archive.close()

    round_of(50)
    descriptors, threads = open_below(durable.folder), threading.active_count()
    for number in range(50):
        round_of(number)
    assert open_below(durable.folder) == descriptors
    assert threading.active_count() <= threads
    assert list((durable.folder / "journal").iterdir()) == []
    assert len(read_all(durable.open())) == 102


@pytest.mark.parametrize("fault", [RuntimeError("can't start new thread"), MemoryError()])
def test_without_a_thread_for_it_who_brings_an_instance_adds_it(
    durable: Place, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise fault

    archive = durable.open()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        assert accept(archive, image(number=1)).status is StoreStatus.SUCCESS
        assert archive.index.backlog.waiting == 0
    assert accept(archive, image(number=2)).status is StoreStatus.SUCCESS
    archive.close()
    assert len(read_all(durable.open())) == 2
