"""The answers of ingest, and what is stored afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from tests.data import synthetic
from tests.data.datasets import body, part10
from tests.unit.archive.places import ORIGIN, Place, files_of, image, put
from tests.unit.archive.recount import assert_sound, rows

from ithil.archive import resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import DataSetMismatch, FileCorrupted, FileMissing, MissingIdentifier, ReadOnly
from ithil.archive.ingest import SPOOL_SIZE, Announced, Incoming
from ithil.archive.model import Origin, StoreStatus
from ithil.archive.storage import compression
from ithil.dicom import uids
from ithil.dicom.errors import DicomError
from ithil.dicom.identifiers import public_ids
from ithil.dicom.level import Level
from ithil.dicom.scan import scan


def test_a_new_instance_is_stored_under_its_public_identifiers(archive: Archive) -> None:
    made = synthetic.instance(1, 2, 3, size=4)
    result = put(archive, made.content)
    assert result.status is StoreStatus.SUCCESS
    assert (result.patient, result.study, result.series, result.instance) == public_ids(
        made.patient_id, made.study_uid, made.series_uid, made.sop_uid
    )
    file = retrieve.dicom_file(archive, result.instance)
    assert file is not None
    assert retrieve.read(archive, file) == made.content
    assert file.uncompressed_md5 == file.compressed_md5 == hashlib.md5(made.content).hexdigest()
    assert (file.compressed_size, file.uncompressed_size) == (len(made.content), len(made.content))
    assert_sound(archive)


def test_the_same_instance_again_is_already_stored(archive: Archive) -> None:
    first = put(archive, image())
    again = put(archive, image())
    assert again.status is StoreStatus.ALREADY_STORED
    assert again.instance == first.instance
    assert len(files_of(archive)) == 1
    assert_sound(archive)


def test_never_keeps_what_is_there(place: Place) -> None:
    archive = place.open(overwrite_instances="Never")
    result = put(archive, image())
    other = image().replace(b"Synthetic study", b"Different study")
    assert put(archive, other).status is StoreStatus.ALREADY_STORED
    assert read_back(archive, result.instance) == image()
    assert len(files_of(archive)) == 1
    assert_sound(archive)


def test_always_replaces_even_the_same_bytes(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    result = put(archive, image())
    before = files_of(archive)
    assert put(archive, image()).status is StoreStatus.SUCCESS
    assert read_back(archive, result.instance) == image()
    assert_sound(archive)
    assert not files_of(archive) & before


def test_always_replaces_with_a_file_of_another_size(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    put(archive, image(number=1))
    result = put(archive, image(number=0))
    longer = synthetic.instance(0, 0, 0, size=8).content
    assert len(longer) > len(image())
    assert put(archive, longer).status is StoreStatus.SUCCESS
    assert read_back(archive, result.instance) == longer
    found = resources.statistics(archive, Level.SERIES, result.series)
    assert found is not None
    assert (found.instances, found.disk_size) == (2, len(longer) + len(image(number=1)))
    assert_sound(archive)


def test_replacing_the_only_instance_keeps_its_parents(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    put(archive, image())
    parents = [rows(archive, name)[0]["id"] for name in ("patients", "studies", "series")]
    put(archive, image())
    assert [rows(archive, name)[0]["id"] for name in ("patients", "studies", "series")] == parents
    kinds = [row["kind"] for row in rows(archive, "changes")]
    assert kinds.count("NewPatient") == kinds.count("NewStudy") == kinds.count("NewSeries") == 1
    assert kinds.count("NewInstance") == 1  # the entry of the replaced one went with it


def test_if_changed_replaces_other_bytes_only(place: Place) -> None:
    archive = place.open(overwrite_instances="IfChanged")
    result = put(archive, image())
    assert put(archive, image()).status is StoreStatus.ALREADY_STORED
    other = image().replace(b"Synthetic study", b"Different study")
    assert put(archive, other).status is StoreStatus.SUCCESS
    assert read_back(archive, result.instance) == other
    assert_sound(archive)


def test_if_changed_without_md5_sums_replaces_always(place: Place) -> None:
    archive = place.open(overwrite_instances="IfChanged", store_md5_for_attachments=False)
    put(archive, image())
    assert put(archive, image()).status is StoreStatus.SUCCESS
    assert rows(archive, "instances")[0]["file_md5"] == ""
    assert_sound(archive)


@pytest.mark.parametrize("missing", [0x00080018, 0x0020000D, 0x0020000E])
def test_a_data_set_without_one_of_its_uids_is_refused(archive: Archive, missing: int) -> None:
    elements: Any = {missing: b""}
    with pytest.raises(MissingIdentifier):
        put(archive, part10(body(elements)))
    assert_nothing_stored(archive)


def test_an_empty_uid_counts_as_missing(archive: Archive) -> None:
    with pytest.raises(MissingIdentifier):
        put(archive, part10(body({0x0020000D: ("UI", b"")})))
    assert_nothing_stored(archive)


def test_a_missing_patient_id_is_no_obstacle(archive: Archive) -> None:
    nameless: Any = {0x00100020: b""}
    result = put(archive, part10(body(nameless)))
    assert result.status is StoreStatus.SUCCESS
    assert rows(archive, "patients")[0]["patient_id"] == ""


def test_a_truncated_file_leaves_nothing_unless_it_ends_between_elements(sqlite: Place) -> None:
    archive = sqlite.open()
    whole = image()
    stored = 0
    for end in range(0, len(whole), 3):
        try:
            result = put(archive, whole[:end])
        except (DicomError, MissingIdentifier):
            assert len(files_of(archive)) == stored
            continue
        if not stored:
            assert read_back(archive, result.instance) == whole[:end]
        stored = 1
    assert len(files_of(archive)) == len(rows(archive, "instances")) == stored


def test_a_file_that_ends_in_the_pixel_data_is_refused(archive: Archive) -> None:
    with pytest.raises(DicomError):
        put(archive, image()[:-1])
    assert_nothing_stored(archive)


def test_an_empty_file_is_refused(archive: Archive) -> None:
    with pytest.raises(DicomError):
        put(archive, b"")
    assert_nothing_stored(archive)


@pytest.mark.parametrize("what", ["class", "instance"])
def test_another_instance_than_announced_is_refused(archive: Archive, what: str) -> None:
    made = synthetic.instance(0, 0, 0, size=4)
    ct, mr = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
    offset = scan(made.content, frozenset()).dataset_offset
    good = Announced(ct, made.sop_uid, uids.EXPLICIT_LITTLE, offset)
    wrong = (
        replace(good, sop_instance_uid="1.2.3.4.5") if what == "instance" else replace(good, sop_class_uid=mr)
    )
    incoming = Incoming(archive, ORIGIN, wrong)
    incoming.write(made.content)
    with pytest.raises(DataSetMismatch):
        incoming.commit()
    assert_nothing_stored(archive)
    incoming = Incoming(archive, ORIGIN, good)
    incoming.write(made.content)
    assert incoming.commit().status is StoreStatus.SUCCESS


def test_a_read_only_archive_takes_nothing(place: Place) -> None:
    put(place.open(), image())
    archive = place.open(read_only=True)
    with pytest.raises(ReadOnly):
        put(archive, image(number=1))
    assert len(resources.list_ids(archive, Level.INSTANCE)) == 1


def test_an_instance_above_the_largest_size_is_refused(place: Place) -> None:
    archive = place.open(ithil={"maximum_instance_size_mb": 1})
    assert put(archive, synthetic.instance(1, 0, 0, size=600).content).status is StoreStatus.SUCCESS
    stored = files_of(archive)
    content = synthetic.instance(0, 0, 0, size=1100).content
    incoming = Incoming(archive, ORIGIN)
    for start in range(0, 2**20 - 100_000, 100_000):
        incoming.write(content[start : start + 100_000])
    with pytest.raises(DicomError):
        incoming.write(content[1_000_000:])
    incoming.discard()
    assert files_of(archive) == stored
    assert len(rows(archive, "instances")) == 1


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("piece", [5000, 3 * SPOOL_SIZE])
def test_a_large_instance_streams_to_its_file(place: Place, compressed: bool, piece: int) -> None:
    archive = place.open(storage_compression=compressed)
    content = synthetic.instance(0, 0, 0, size=1024).content
    assert len(content) > 2 * SPOOL_SIZE
    incoming = Incoming(archive, ORIGIN)
    for start in range(0, len(content), piece):
        incoming.write_all([content[start : start + piece // 2], content[start + piece // 2 : start + piece]])
    result = incoming.commit()
    assert read_back(archive, result.instance) == content
    assert_sound(archive)


def test_a_large_instance_that_is_discarded_leaves_nothing(archive: Archive) -> None:
    incoming = Incoming(archive, ORIGIN)
    incoming.write(synthetic.instance(0, 0, 0, size=1024).content)
    assert files_of(archive)  # on its way to the disk already
    incoming.discard()
    incoming.discard()
    assert_nothing_stored(archive)


def test_a_large_instance_that_is_refused_leaves_nothing(archive: Archive) -> None:
    incoming = Incoming(archive, ORIGIN)
    incoming.write(synthetic.instance(0, 0, 0, size=1024).content[:-10])
    with pytest.raises(DicomError):
        incoming.commit()
    assert_nothing_stored(archive)


def test_compressed_files_come_back_plain(place: Place) -> None:
    archive = place.open(storage_compression=True)
    content = synthetic.instance(0, 0, 0).content
    result = put(archive, content)
    file = retrieve.dicom_file(archive, result.instance)
    assert file is not None
    assert file.compression == compression.ZLIB
    assert file.compressed_size < file.uncompressed_size == len(content)
    stored = retrieve.read_raw(archive, file)
    assert file.compressed_md5 == hashlib.md5(stored).hexdigest()
    assert compression.uncompress(stored) == content
    assert retrieve.read(archive, file, 10, 300) == content[10:300]
    assert retrieve.verify(archive, file)
    found = resources.statistics(archive)
    assert found is not None
    assert (found.disk_size, found.uncompressed_size) == (file.compressed_size, len(content))
    assert_sound(archive)


def test_the_header_ends_at_the_pixel_data(archive: Archive) -> None:
    result = put(archive, image())
    header = retrieve.header(archive, result.instance)
    assert header == image()[: image().index(b"\xe0\x7f\x10\x00")]
    assert retrieve.header(archive, "0" * 44) is None


def test_a_missing_file_and_a_short_one_are_told_apart(archive: Archive) -> None:
    result = put(archive, image())
    file = retrieve.dicom_file(archive, result.instance)
    assert file is not None
    with open(archive.storage.path(file.uuid), "r+b") as stored:
        stored.truncate(10)
    with pytest.raises(FileCorrupted):
        retrieve.read(archive, file)
    archive.storage.remove(file.uuid)
    with pytest.raises(FileMissing):
        retrieve.read(archive, file)


def test_where_an_instance_came_from_is_kept(archive: Archive) -> None:
    incoming = Incoming(archive, Origin("DicomProtocol", "10.0.0.1", "SENDER", "ITHIL"))
    incoming.write(image())
    result = incoming.commit()
    found = resources.read(archive, Level.INSTANCE, result.instance)
    assert found is not None
    assert {number: entry.value for number, entry in found.metadata.items()}.items() >= {
        1: "1",
        3: "SENDER",
        8: "DicomProtocol",
        9: "1.2.840.10008.1.2.1",
        10: "1.2.840.10008.5.1.4.1.1.2",
        11: "10.0.0.1",
        12: "ITHIL",
        14: str(image().index(b"\xe0\x7f\x10\x00")),
    }.items()
    assert 13 not in found.metadata  # no HTTP user


def read_back(archive: Archive, instance: str) -> bytes:
    """The stored bytes of an instance."""
    file = retrieve.dicom_file(archive, instance)
    assert file is not None
    return retrieve.read(archive, file)


def assert_nothing_stored(archive: Archive) -> None:
    """No row and no file."""
    assert not files_of(archive)
    for table in ("patients", "studies", "series", "instances", "attachments", "changes", "deleted_files"):
        assert not rows(archive, table)
