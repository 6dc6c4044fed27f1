"""Small instances are durable with their rows; what a crash of the machine does to their files is mended."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.data import synthetic
from tests.unit.archive.places import OnSqlite, Place, files_of, image, put
from tests.unit.archive.recount import assert_sound, rows

from ithil.archive import resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.check import check
from ithil.archive.delete import delete
from ithil.archive.errors import StorageUnavailable
from ithil.archive.storage.local import LocalStorage
from ithil.dicom.level import Level


class Durable(OnSqlite):
    """An archive on SQLite that waits for the disk, as the default is."""

    def options(self, **settings: Any) -> dict[str, Any]:
        return super().options(**{"sync_storage_area": True, **settings})


@pytest.fixture
def durable(tmp_path: Path) -> Any:
    with Durable(tmp_path) as place:
        yield place


def read_all(archive: Archive) -> dict[str, bytes]:
    """The stored bytes of every instance, past the cache."""
    found = {}
    for instance in resources.list_ids(archive, Level.INSTANCE):
        file = retrieve.dicom_file(archive, instance)
        assert file is not None
        archive.cache.drop(file.uuid)
        found[instance] = retrieve.read(archive, file)
    return found


def waiting(archive: Archive) -> int:
    return len(rows(archive, "intake"))


def test_small_instances_wait_in_the_intake_until_the_sweep(durable: Durable) -> None:
    archive = durable.open()
    for number in range(3):
        put(archive, image(number=number))
    assert waiting(archive) == 3
    assert len(files_of(archive)) == 3  # the files are there all the same
    assert archive.intake.empty() == 3
    assert waiting(archive) == 0
    assert archive.intake.empty() == 0
    assert_sound(archive)


def test_large_instances_and_other_places_do_without(durable: Durable, place: Place) -> None:
    archive = durable.open()
    put(archive, synthetic.instance(0, 0, 0, size=256).content)
    assert waiting(archive) == 0
    other = place.open(sync_storage_area=place.dialect == "postgresql")
    put(other, image())
    assert waiting(other) == 0


@pytest.mark.parametrize("damage", ["gone", "empty", "short", "zeros"])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_that_a_crash_took_are_written_again(durable: Durable, damage: str, compressed: bool) -> None:
    archive = durable.open(storage_compression=compressed)
    for number in range(3):
        put(archive, image(number=number))
    before = read_all(archive)
    for uuid in files_of(archive):
        path = Path(archive.storage.path(uuid))
        size = path.stat().st_size
        if damage == "gone":
            archive.storage.remove(uuid)
        else:
            path.write_bytes({"empty": b"", "short": path.read_bytes()[:100], "zeros": bytes(size)}[damage])
    archive.close()
    again = durable.open(storage_compression=compressed)
    assert read_all(again) == before
    assert waiting(again) == 0
    assert check(again, verify_md5=True, minimum_age=-1).sound
    assert_sound(again)


def test_what_is_deleted_does_not_come_back(durable: Durable) -> None:
    archive = durable.open()
    stored = [put(archive, image(number=number)) for number in range(3)]
    delete(archive, Level.INSTANCE, stored[2].instance)
    delete(archive, Level.INSTANCE, stored[0].instance)
    assert waiting(archive) == 1
    put(archive, image(number=7))  # SQLite may give it the internal id of a deleted one
    archive.close()
    again = durable.open()
    assert len(read_all(again)) == 2
    assert_sound(again)


def test_what_is_replaced_is_not_restored(durable: Durable) -> None:
    archive = durable.open(overwrite_instances="Always")
    put(archive, image())
    other = image().replace(b"Synthetic study", b"Different study")
    put(archive, other)
    assert waiting(archive) == 1
    for uuid in files_of(archive):
        archive.storage.remove(uuid)
    archive.close()
    again = durable.open()
    assert list(read_all(again).values()) == [other]
    assert_sound(again)


def test_a_second_process_starts_while_the_first_one_stores(durable: Durable) -> None:
    archive = durable.open()
    for number in range(6):
        put(archive, image(number=number))
        durable.open().close()
    assert len(read_all(archive)) == 6
    assert_sound(archive)


def test_a_sweep_meets_deleted_files(durable: Durable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the question what waits and the call that makes it durable, all of it may be gone."""
    archive = durable.open()
    result = put(archive, image())
    sync = type(archive.storage).sync

    def too_late(storage: Any, uuids: list[str]) -> None:
        delete(archive, Level.PATIENT, result.patient)
        for uuid in uuids:
            storage.remove(uuid)
        sync(storage, uuids)

    monkeypatch.setattr(type(archive.storage), "sync", too_late)
    archive.intake.empty()
    assert waiting(archive) == 0
    monkeypatch.undo()
    assert_sound(archive)


def test_any_order_of_stores_deletes_sweeps_and_crashes(durable: Durable) -> None:
    choose = random.Random(3)
    archive = durable.open(overwrite_instances="Always")
    expected: dict[str, bytes] = {}
    for _ in range(60):
        what = choose.random()
        if what < 0.6:
            content = synthetic.instance(
                0, choose.randrange(2), choose.randrange(4), size=choose.choice((4, 8))
            )
            expected[put(archive, content.content).instance] = content.content
        elif what < 0.75 and expected:
            gone = choose.choice(sorted(expected))
            delete(archive, Level.INSTANCE, gone)
            del expected[gone]
        elif what < 0.85:
            archive.intake.empty()
        else:
            for row in rows(archive, "intake"):
                archive.storage.remove(row["uuid"])
            archive.close()
            archive = durable.open(overwrite_instances="Always")
    assert read_all(archive) == expected
    assert_sound(archive)


def test_a_read_only_archive_leaves_the_intake_alone(durable: Durable) -> None:
    archive = durable.open()
    put(archive, image())
    durable.open(read_only=True)
    assert waiting(archive) == 1


def test_files_are_written_again_after_the_disk_has_failed(
    durable: Durable, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = durable.open()
    for number in range(3):
        put(archive, image(number=number))
    before = read_all(archive)

    def broken(self: LocalStorage, uuids: Any) -> None:
        raise StorageUnavailable("EIO")

    monkeypatch.setattr(LocalStorage, "sync", broken)
    with pytest.raises(StorageUnavailable):
        archive.intake.empty()
    assert waiting(archive) == 3
    # The kernel has dropped the pages, and a second call would succeed without having written them.
    monkeypatch.setattr(LocalStorage, "sync", lambda self, uuids: None)
    for uuid in files_of(archive):
        Path(archive.storage.path(uuid)).write_bytes(b"")
    assert archive.intake.empty() == 3
    assert waiting(archive) == 0
    assert read_all(archive) == before
    assert_sound(archive)
