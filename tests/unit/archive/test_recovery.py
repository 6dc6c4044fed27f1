"""What was acknowledged is there after every crash, once, as it came; and what was deleted is not."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.data import synthetic
from tests.unit.archive.places import (
    ORIGIN,
    OnDurableSqlite,
    OnPostgresql,
    Place,
    accept,
    catch_up,
    commit,
    files_of,
    image,
    put,
    read_all,
)
from tests.unit.archive.recount import assert_sound, rows, sweep_files

from ithil.archive import clock, ingest, intake, recovery, resources
from ithil.archive.archive import Archive
from ithil.archive.check import check
from ithil.archive.delete import delete
from ithil.archive.errors import StorageFull
from ithil.archive.index import sqlite as sqlite_module
from ithil.archive.index.ingest import Batch, NewInstance
from ithil.archive.index.sqlite import SqliteDatabase
from ithil.archive.model import MODIFIED_FROM, Provenance, StoreResult, StoreStatus
from ithil.archive.storage import compression, journal
from ithil.archive.storage import segments as segments_module
from ithil.archive.storage.local import LocalStorage, LocalWriter
from ithil.archive.storage.segments import Segment
from ithil.dicom.level import Level

WAYS = pytest.mark.parametrize("way", [commit, accept])
CONTENTS = pytest.mark.parametrize("content", [image, lambda number=0: large(number)], ids=["small", "large"])
Way = Callable[[Archive, bytes], StoreResult]
Content = Callable[..., bytes]


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accepted stays out of the index until somebody looks; and nothing is larger than it must be."""
    monkeypatch.setattr(intake, "LINGER", 3600.0)
    monkeypatch.setattr(journal, "SEGMENT_SIZE", 1024 * 1024)
    monkeypatch.setattr(sqlite_module, "LOG_SIZE", 0)


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Place]:
    with OnDurableSqlite(tmp_path) as place:
        yield place


def large(number: int = 0) -> bytes:
    return synthetic.instance(0, 0, number, size=256).content


def left_of(place: Place) -> list[str]:
    """The segments in the folder of the journal."""
    return sorted(path.name for path in (place.folder / "journal").glob("?" * 32))


def assert_nothing_is_left(archive: Archive, place: Place) -> None:
    """The only segment is that of this archive, and the index knows of no other."""
    segments = left_of(place)
    assert len(segments) <= 2
    assert {row["segment"] for row in rows(archive, "journals")} <= set(segments)
    assert rows(archive, "intake") == []
    assert list(segments_module.abandoned(place.folder / "journal")) == []


class Disk:
    """The index as a power failure leaves it: as it was when `keep` was called last."""

    NAMES = ("ithil.db", "ithil.db-wal")

    def __init__(self, place: Place, folder: Path) -> None:
        self._place = place
        self._kept = folder
        folder.mkdir()

    def keep(self) -> None:
        for name in self.NAMES:
            (self._kept / name).unlink(missing_ok=True)
            if (self._place.folder / name).exists():
                shutil.copyfile(self._place.folder / name, self._kept / name)

    def put_back(self) -> None:
        (self._place.folder / "ithil.db-shm").unlink(missing_ok=True)
        for name in self.NAMES:
            (self._place.folder / name).unlink(missing_ok=True)
            if (self._kept / name).exists():
                shutil.copyfile(self._kept / name, self._place.folder / name)


@pytest.fixture
def disk(durable: Place, tmp_path: Path) -> Disk:
    return Disk(durable, tmp_path / "kept")


def damage(archive: Archive, kind: str = "zeros") -> None:
    """What a power failure may do to files that were not waited for."""
    for uuid in files_of(archive):
        path = Path(archive.storage.path(uuid))
        content = path.read_bytes()
        if kind == "gone":
            path.unlink()
        else:
            path.write_bytes({"empty": b"", "short": content[:100], "zeros": bytes(len(content))}[kind])


# -- killed before the transaction ---------------------------------------------------------------------------------


@CONTENTS
@pytest.mark.parametrize("compressed", [False, True])
def test_what_was_accepted_is_stored_as_it_came(
    durable: Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: Content,
    compressed: bool,
) -> None:
    archive = durable.open(storage_compression=compressed)
    source = put(archive, image(study=5))
    with archive.index.read():
        pass
    provenance = Provenance(MODIFIED_FROM, (source.patient, source.study, source.series, source.instance))
    monkeypatch.setattr(clock, "now", lambda: (1_700_000_000.25, "20231114T221320"))
    incoming = ingest.Incoming(archive, ORIGIN, provenance=provenance)
    incoming.write(content())
    told = incoming.accept()
    monkeypatch.undo()
    assert archive.index.backlog.waiting == 1
    durable.kill(archive)
    with caplog.at_level(logging.WARNING):
        again = durable.open(storage_compression=compressed)
    assert "1 instances are stored" in caplog.text
    assert read_all(again) == {source.instance: image(study=5), told.instance: content()}
    instance = resources.read(again, Level.INSTANCE, told.instance)
    assert instance is not None
    values = {number: entry.value for number, entry in instance.metadata.items()}
    assert values[MODIFIED_FROM] == source.instance
    assert {"20231114T221320", "RestApi", "127.0.0.1", "tester"} <= set(values.values())
    study = resources.read(again, Level.STUDY, told.study)
    assert study is not None
    assert study.metadata[MODIFIED_FROM].value == source.study
    row = next(row for row in rows(again, "instances") if row["public_id"] == told.instance)
    assert row["file_compression"] == (compression.ZLIB if compressed else compression.NONE)
    assert check(again, verify_md5=True, minimum_age=-1).sound
    assert_sound(again)
    assert_nothing_is_left(again, durable)


@pytest.mark.parametrize(
    ("overwrite", "expected"), [("Never", "first"), ("Always", "last"), ("IfChanged", "last")]
)
def test_each_is_stored_with_the_mode_it_came_with(durable: Place, overwrite: str, expected: str) -> None:
    first, last = image(), image().replace(b"Synthetic study", b"Different study")
    archive = durable.open(overwrite_instances=overwrite)
    accept(archive, first)
    accept(archive, last)
    durable.kill(archive)
    again = durable.open(overwrite_instances="Never" if overwrite == "Always" else "Always")
    assert list(read_all(again).values()) == [{"first": first, "last": last}[expected]]
    assert_sound(again)
    assert_nothing_is_left(again, durable)


@CONTENTS
def test_a_file_that_was_made_for_a_transaction_that_never_was(
    durable: Place, monkeypatch: pytest.MonkeyPatch, content: Content
) -> None:
    archive = durable.open()
    told = accept(archive, content())
    with monkeypatch.context() as patched:
        patched.setattr(SqliteDatabase, "_write", refuse)
        assert resources.list_ids(archive, Level.INSTANCE) == []
        assert len(files_of(archive)) == 1
        durable.kill(archive)
    again = durable.open()
    assert read_all(again) == {told.instance: content()}
    assert_sound(again)


def refuse(*_: object, **__: object) -> None:
    raise StorageFull("full")


def test_many_are_stored_in_the_order_they_came(durable: Place) -> None:
    archive = durable.open()
    told = [accept(archive, image(number=number)) for number in range(150)]
    durable.kill(archive)
    again = durable.open()
    by_id = sorted(rows(again, "instances"), key=lambda row: row["id"])
    assert [row["public_id"] for row in by_id] == [each.instance for each in told]
    assert_sound(again)


@pytest.mark.parametrize("turn", range(6))
def test_segments_are_stored_in_the_order_they_were_written(durable: Place, turn: int) -> None:
    """Their names are drawn, so that several turns are needed to see them in the wrong order."""
    archive = durable.open(overwrite_instances="Always")
    first, last = image(), image().replace(b"Synthetic study", b"Different study")
    accept(archive, first)
    assert archive.intake.journal is not None
    archive.intake.journal.turn()
    accept(archive, last)
    assert len(left_of(durable)) == 2
    durable.kill(archive)
    assert list(read_all(durable.open()).values()) == [last]


@CONTENTS
def test_a_mistake_does_not_keep_the_archive_closed(
    durable: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: Content
) -> None:
    archive = durable.open(storage_compression=True)
    for number in range(3):
        accept(archive, content(number=number))
    durable.kill(archive)
    parents = Batch._parents

    def fails(self: Batch, new: NewInstance) -> Any:
        if new.instance["instance_number"] in (1, 2, "1", "2"):
            raise ValueError("of patient Müller^Synthetic")
        return parents(self, new)

    monkeypatch.setattr(Batch, "_parents", fails)
    again = durable.open(storage_compression=True)
    stored = set(read_all(again).values())
    kept = {path.read_bytes() for path in (durable.folder / "journal" / "refused").glob("*.dcm")}
    assert kept
    assert stored
    assert stored | kept == {content(number=number) for number in range(3)}
    assert "Müller" not in caplog.text
    assert_sound(again)
    assert_nothing_is_left(again, durable)


# -- killed after the transaction ----------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("kind", ["gone", "empty", "short", "zeros"])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_that_a_crash_took_are_written_again(
    durable: Place, way: Way, kind: str, compressed: bool
) -> None:
    archive = durable.open(storage_compression=compressed)
    for number in range(3):
        way(archive, image(number=number))
    before = read_all(archive)
    assert len(before) == 3
    damage(archive, kind)
    durable.kill(archive)
    again = durable.open(storage_compression=compressed)
    assert read_all(again) == before
    assert check(again, verify_md5=True, minimum_age=-1).sound
    assert_sound(again)
    assert_nothing_is_left(again, durable)


@WAYS
@CONTENTS
@pytest.mark.parametrize("loses_index", [False, True])
def test_what_is_deleted_does_not_come_back(
    durable: Place, disk: Disk, way: Way, content: Content, loses_index: bool
) -> None:
    archive = durable.open()
    told = [way(archive, content(number=number)) for number in range(4)]
    delete(archive, Level.INSTANCE, told[3].instance)
    delete(archive, Level.INSTANCE, told[0].instance)
    disk.keep()
    way(archive, content(number=7))  # SQLite may give it the internal id of a deleted one
    with archive.index.read():
        pass
    sweep_files(archive)
    durable.kill(archive)
    if loses_index:
        disk.put_back()
    again = durable.open()
    assert set(read_all(again).values()) == {content(number=number) for number in (1, 2, 7)}
    assert_sound(again)


@WAYS
@CONTENTS
def test_what_came_twice_and_is_deleted_does_not_come_back(
    durable: Place, way: Way, content: Content
) -> None:
    archive = durable.open()
    told = way(archive, content())
    archive.intake.empty()
    assert way(archive, content()).status is StoreStatus.ALREADY_STORED
    delete(archive, Level.INSTANCE, told.instance)
    sweep_files(archive)
    durable.kill(archive)
    again = durable.open()
    assert read_all(again) == {}
    assert_sound(again)


@WAYS
@pytest.mark.parametrize("loses_index", [False, True])
def test_what_is_replaced_is_not_restored(durable: Place, disk: Disk, way: Way, loses_index: bool) -> None:
    archive = durable.open(overwrite_instances="Always")
    disk.keep()
    way(archive, image())
    other = image().replace(b"Synthetic study", b"Different study")
    way(archive, other)
    damage(archive)
    durable.kill(archive)
    if loses_index:
        disk.put_back()
    again = durable.open()
    assert list(read_all(again).values()) == [other]
    assert_sound(again)


@WAYS
def test_transactions_that_the_disk_lost_are_done_again(durable: Place, disk: Disk, way: Way) -> None:
    archive = durable.open()
    for number in range(4):
        way(archive, image(number=number))
    archive.intake.empty()
    for number in range(4, 8):
        way(archive, image(number=number))
    with archive.index.read():
        disk.keep()
    for number in range(8, 12):
        way(archive, image(number=number))
        way(archive, large(number))
    before = read_all(archive)
    durable.kill(archive)
    disk.put_back()
    again = durable.open()
    assert len(before) == 12
    assert read_all(again).keys() == before.keys()
    assert set(read_all(again).values()) == set(before.values())
    assert_nothing_is_left(again, durable)


def test_the_index_of_a_segment_that_was_written_anew(durable: Place, disk: Disk) -> None:
    """How far the older generation was indexed says nothing of the present one."""
    archive = durable.open()
    for number in range(5):
        commit(archive, image(number=number))
    archive.intake.empty()
    disk.keep()
    for number in range(5, 8):
        commit(archive, image(number=number))
    durable.kill(archive)
    disk.put_back()
    again = durable.open()
    assert set(read_all(again).values()) == {image(number=number) for number in range(8)}


# -- killed again --------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """In the middle of what it does."""


@CONTENTS
@pytest.mark.parametrize("overwrite", ["Never", "Always"])
@pytest.mark.parametrize("step", ["remove", "_forget"])
@pytest.mark.parametrize("indexed", [False, True])
def test_killed_in_the_middle_of_recovery(
    durable: Place,
    monkeypatch: pytest.MonkeyPatch,
    content: Content,
    overwrite: str,
    step: str,
    indexed: bool,
) -> None:
    archive = durable.open(overwrite_instances=overwrite)
    for number in range(5):
        accept(archive, content(number=number))
    if indexed:
        assert len(read_all(archive)) == 5
    durable.kill(archive)

    def killed(*arguments: object) -> None:
        if step == "remove":
            assert isinstance(arguments[0], Segment)
            os.close(arguments[0].fd)
        raise Killed

    for _ in range(2):
        half = opened_without_recovery(durable, overwrite)
        with monkeypatch.context() as patched, suppress(Killed):
            patched.setattr(segments_module if step == "remove" else recovery, step, killed)
            recovery.recover(half)
            assert indexed, "there is something to recover"
            assert step == "_forget", "and every time so"
        durable.kill(half)
    again = durable.open(overwrite_instances=overwrite)
    assert set(read_all(again).values()) == {content(number=number) for number in range(5)}
    assert_sound(again)
    assert list(segments_module.abandoned(durable.folder / "journal")) == []


@CONTENTS
def test_killed_between_two_instances_of_recovery(
    durable: Place, monkeypatch: pytest.MonkeyPatch, content: Content
) -> None:
    archive = durable.open()
    for number in range(5):
        accept(archive, content(number=number))
    durable.kill(archive)
    for count in (2, 1):
        half = opened_without_recovery(durable)
        real = ingest.Incoming.commit
        calls: list[object] = []

        def only_some(
            self: ingest.Incoming,
            real: Any = real,
            calls: list[object] = calls,
            count: int = count,
        ) -> StoreResult:
            calls.append(self)
            if len(calls) > count:
                raise Killed
            result: StoreResult = real(self)
            return result

        with monkeypatch.context() as patched:
            patched.setattr(ingest.Incoming, "commit", only_some)
            with pytest.raises(Killed):
                recovery.recover(half)
        durable.kill(half)
    again = durable.open()
    assert set(read_all(again).values()) == {content(number=number) for number in range(5)}
    assert_sound(again)
    assert_nothing_is_left(again, durable)


def opened_without_recovery(place: Place, overwrite: str = "Never") -> Archive:
    from ithil.settings import Settings

    archive = Archive.open(Settings(**place.options(overwrite_instances=overwrite)))
    place._opened.append(archive)
    return archive


def test_a_disk_that_is_full_in_recovery(
    durable: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive = durable.open()
    for number in range(3):
        accept(archive, image(number=number))
    durable.kill(archive)
    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "writer", refuse)
        for _ in range(2):
            open_all_the_same = durable.open()  # for what is there can be read, and deleted
            assert "cannot be stored yet" in caplog.text
            durable.kill(open_all_the_same)
    again = durable.open()
    assert len(read_all(again)) == 3
    assert_sound(again)
    assert_nothing_is_left(again, durable)


# -- who recovers --------------------------------------------------------------------------------------------------


@WAYS
@CONTENTS
def test_another_process_that_lives_stores_the_rest(durable: Place, way: Way, content: Content) -> None:
    living, dying = durable.open(), durable.open()
    commit(living, content(number=9))
    for number in range(3):
        way(dying, content(number=number))
    assert recovery.recover(living) == 0, "nobody has died"
    count = len(resources.list_ids(living, Level.INSTANCE))
    durable.kill(dying)
    assert recovery.recover(living) == 4 - count
    assert set(read_all(living).values()) == {content(number=number) for number in (0, 1, 2, 9)}
    assert recovery.recover(living) == 0
    assert_sound(living)
    assert_nothing_is_left(living, durable)


def test_a_second_process_starts_while_the_first_one_stores(durable: Place) -> None:
    archive = durable.open()
    for number in range(6):
        (accept if number % 2 else commit)(archive, image(number=number))
        durable.open().close()
    assert len(read_all(archive)) == 6
    assert_sound(archive)


def test_a_read_only_archive_leaves_it_alone(durable: Place) -> None:
    archive = durable.open()
    commit(archive, image(number=0))
    accept(archive, image(number=1))
    durable.kill(archive)
    before = left_of(durable)
    reader = durable.open(read_only=True)
    assert recovery.recover(reader) == 0
    assert len(resources.list_ids(reader, Level.INSTANCE)) == 1
    reader.close()
    assert left_of(durable) == before
    assert len(read_all(durable.open())) == 2


def test_other_places_have_nothing_to_recover(on_postgresql: OnPostgresql) -> None:
    archive = on_postgresql.open()
    accept(archive, image())
    assert recovery.recover(archive) == 0
    assert len(read_all(on_postgresql.open())) == 1


@pytest.mark.parametrize("tail", [b"", b"\xff" * 1000, b"IthilJ1\n" * 20])
def test_a_segment_that_says_nothing_is_taken_away(durable: Place, tail: bytes) -> None:
    archive = durable.open()
    commit(archive, image())
    path = durable.folder / "journal" / ("0123456789abcdef" * 2)
    path.write_bytes(tail)
    assert recovery.recover(archive) == 0
    assert not path.exists()
    assert_sound(archive)


# -- the table of the version before -------------------------------------------------------------------------------


def test_rows_of_the_former_intake_are_written_out(durable: Place) -> None:
    archive = durable.open()
    contents = [image(number=number) for number in range(4)]
    told = [commit(archive, content) for content in contents]
    before = {row["public_id"]: row for row in rows(archive, "instances")}
    archive.close()
    connection = sqlite3.connect(durable.folder / "ithil.db")
    for number, (each, content) in enumerate(zip(told, contents, strict=True)):
        row = before[each.instance]
        uuid = row["file_uuid"] if number != 1 else "00000000-0000-4000-8000-000000000000"
        connection.execute("INSERT INTO intake VALUES (?, ?, ?)", (row["id"], uuid, content))
    connection.execute(
        "INSERT INTO intake VALUES (999, '11111111-0000-4000-8000-000000000000', ?)", (image(number=8),)
    )
    connection.commit()
    connection.close()
    reader = durable.open(read_only=True)
    assert len(rows(reader, "intake")) == 5
    for number in (0, 2):
        (Path(reader.storage.path(before[told[number].instance]["file_uuid"]))).write_bytes(b"")
    reader.close()
    again = durable.open()
    assert rows(again, "intake") == []
    assert read_all(again) == {each.instance: content for each, content in zip(told, contents, strict=True)}
    assert len(files_of(again)) == 4
    assert_sound(again)


# -- everything in any order ---------------------------------------------------------------------------------------


class World:
    """An archive to which everything happens, and what it should have."""

    def __init__(self, place: Place, disk: Disk, monkeypatch: pytest.MonkeyPatch, seed: str) -> None:
        self.place, self.disk = place, disk
        self.choose = random.Random(seed)
        self.settings: dict[str, Any] = {
            "storage_compression": self.choose.random() < 0.3,
            "overwrite_instances": self.choose.choice(["Never", "Always", "IfChanged"]),
        }
        self.expected: dict[str, bytes] = {}
        self.durable_files: set[str] = set()
        sync_log, sync_files = sqlite_module._fdatasync, LocalStorage.sync
        restore, sync_file, finish = LocalStorage.restore, LocalStorage.sync_file, LocalWriter.finish

        def synced_log(fd: int) -> None:
            sync_log(fd)
            disk.keep()

        def synced(storage: LocalStorage, uuids: Any) -> None:
            sync_files(storage, uuids)
            self.durable_files.update(uuid for uuid, _, _ in storage.all_files())

        def synced_file(storage: LocalStorage, uuid: str) -> None:
            sync_file(storage, uuid)
            self.durable_files.add(uuid)

        def restored(storage: LocalStorage, uuid: str, content: bytes) -> None:
            restore(storage, uuid, content)
            self.durable_files.add(uuid)

        def finished(writer: LocalWriter, *, durable: bool = True) -> None:
            finish(writer, durable=durable)
            if durable:
                self.durable_files.add(writer.uuid)

        monkeypatch.setattr(sqlite_module, "_fdatasync", synced_log)
        monkeypatch.setattr(LocalStorage, "sync", synced)
        monkeypatch.setattr(LocalStorage, "sync_file", synced_file)
        monkeypatch.setattr(LocalStorage, "restore", restored)
        monkeypatch.setattr(LocalWriter, "finish", finished)
        self.open()

    def open(self) -> None:
        self.archive = self.place.open(**self.settings)
        self.archive.index.sync()
        self.disk.keep()  # the tables are older than any crash

    def bring(self, way: Way) -> None:
        content = synthetic.instance(
            0,
            self.choose.randrange(2),
            self.choose.randrange(4),
            size=self.choose.choice((4, 8, 8, 256)),
        ).content
        instance = way(self.archive, content).instance
        if self.settings["overwrite_instances"] == "Never":
            self.expected.setdefault(instance, content)
        else:
            self.expected[instance] = content

    def remove(self) -> None:
        if self.expected:
            gone = self.choose.choice(sorted(self.expected))
            assert delete(self.archive, Level.INSTANCE, gone) is not None
            del self.expected[gone]

    def sweep(self) -> None:
        self.archive.intake.empty()
        sweep_files(self.archive)

    def kill(self) -> None:
        self.place.kill(self.archive)
        self.open()

    def fail(self) -> None:
        """The power fails: the index is as old as its last sync, files that nobody waited for are rubbish."""
        storage = self.archive.storage
        self.place.kill(self.archive)
        self.disk.put_back()
        for uuid, size, _ in list(storage.all_files()):
            if uuid not in self.durable_files:
                path = Path(storage.path(uuid))
                if self.choose.random() < 0.5:
                    path.unlink()
                else:
                    path.write_bytes(bytes(size))
        self.open()

    def step(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (lambda: self.bring(accept), 45),
            (lambda: self.bring(commit), 15),
            (self.remove, 12),
            (self.sweep, 10),
            (lambda: catch_up(self.archive), 5),
            (self.kill, 7),
            (self.fail, 6),
        ]
        self.choose.choices([step for step, _ in steps], [weight for _, weight in steps])[0]()

    def assert_right(self) -> None:
        assert read_all(self.archive) == self.expected
        names = {uuid for uuid, _, _ in self.archive.storage.all_files()}
        assert {row["file_uuid"] for row in rows(self.archive, "instances")} <= names
        assert_nothing_is_left(self.archive, self.place)


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_everything(
    durable: Place, disk: Disk, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    world = World(durable, disk, monkeypatch, f"everything {seed}")
    for number in range(50):
        world.step()
        if number % 10 == 9:
            world.assert_right()
    world.sweep()
    world.kill()
    world.assert_right()
