"""`IngestTranscoding`: what is stored, and what stays as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.data.real import content_of

from ithil.archive import ingest, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.ingest import Announced
from ithil.archive.model import Origin, StoreStatus
from ithil.dicom.level import Level
from ithil.settings import Settings
from ithil.settings.errors import SettingsError
from ithil.settings.rules import check

JPEG_LS, BASELINE, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
EXPLICIT = "1.2.840.10008.1.2.1"
CT, MR_RLE, PLAN = "pydicom/CT_small.dcm", "pydicom/MR_small_RLE.dcm", "pydicom/rtplan.dcm"


@contextmanager
def archive_with(folder: Path, **options: Any) -> Iterator[Archive]:
    archive = Archive.open(Settings(**{"storage_directory": folder, "index_directory": folder, **options}))
    try:
        yield archive
    finally:
        archive.close()


def stored(archive: Archive, content: bytes, **options: Any) -> tuple[pydicom.Dataset, bytes]:
    """What is in the storage after an instance was offered; the index must say the same."""
    result = ingest.store(archive, content, Origin(), **options)
    assert result.status == StoreStatus.SUCCESS
    file = retrieve.dicom_file(archive, result.instance)
    assert file is not None
    assert retrieve.verify(archive, file)
    bytes_ = retrieve.read(archive, file)
    ds = pydicom.dcmread(BytesIO(bytes_))
    resource = resources.read(archive, Level.INSTANCE, result.instance)
    assert resource is not None
    assert resource.metadata[9].value == ds.file_meta.TransferSyntaxUID
    return ds, bytes_


def test_everything_is_stored_in_the_wanted_transfer_syntax(tmp_path: Path) -> None:
    with archive_with(tmp_path, ingest_transcoding=JPEG_LS) as archive:
        for name in (CT, MR_RLE):
            ds, _ = stored(archive, content_of(name))
            assert ds.file_meta.TransferSyntaxUID == JPEG_LS
            before = pydicom.dcmread(BytesIO(content_of(name)))
            assert (ds.pixel_array == before.pixel_array).all()


def test_compressed_storage_of_transcoded_files(tmp_path: Path) -> None:
    with archive_with(tmp_path, ingest_transcoding=RLE, storage_compression=True) as archive:
        assert stored(archive, content_of(CT))[0].file_meta.TransferSyntaxUID == RLE


@pytest.mark.parametrize("compressed", [False, True])
def test_each_kind_can_be_left_out(tmp_path: Path, compressed: bool) -> None:
    options = {
        "ingest_transcoding_of_compressed": compressed,
        "ingest_transcoding_of_uncompressed": not compressed,
    }
    with archive_with(tmp_path, ingest_transcoding=JPEG_LS, **options) as archive:
        for name, is_compressed in ((CT, False), (MR_RLE, True)):
            ds, content = stored(archive, content_of(name))
            assert (ds.file_meta.TransferSyntaxUID == JPEG_LS) == (is_compressed == compressed)
            assert (content == content_of(name)) == (is_compressed != compressed)


def test_what_cannot_be_transcoded_is_stored_as_it_came(tmp_path: Path) -> None:
    with archive_with(tmp_path, ingest_transcoding=BASELINE) as archive:
        assert stored(archive, content_of(CT))[1] == content_of(CT)  # 16 bits
        assert stored(archive, content_of(PLAN))[1] == content_of(PLAN)  # no pixel data
    with archive_with(tmp_path / "second", ingest_transcoding=EXPLICIT) as archive:
        assert stored(archive, content_of(PLAN))[0].file_meta.TransferSyntaxUID == EXPLICIT
        video = pydicom.dcmread(BytesIO(content_of(MR_RLE)))
        video.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        file = BytesIO()
        video.save_as(file)
        assert stored(archive, file.getvalue())[1] == file.getvalue()


def test_a_coding_with_loss_makes_the_same_instance_each_time(tmp_path: Path) -> None:
    content = content_of("pydicom-data/SC_rgb.dcm")
    with archive_with(tmp_path, ingest_transcoding=BASELINE, dicom_lossy_transcoding_quality=50) as archive:
        ds, _ = stored(archive, content)
        assert ds.SOPInstanceUID != pydicom.dcmread(BytesIO(content)).SOPInstanceUID
        assert "quality 50" in ds.DerivationDescription
        assert ingest.store(archive, content, Origin()).status == StoreStatus.ALREADY_STORED


def test_who_stores_can_put_it_aside(tmp_path: Path) -> None:
    with archive_with(tmp_path, ingest_transcoding=JPEG_LS) as archive:
        assert stored(archive, content_of(CT), keep_syntax=True)[1] == content_of(CT)


def test_a_data_set_that_came_by_c_store(tmp_path: Path) -> None:
    content = content_of(CT)
    ds = pydicom.dcmread(BytesIO(content))
    announced = Announced(
        str(ds.SOPClassUID), str(ds.SOPInstanceUID), EXPLICIT, content.index(b"\x08\0\x05\0")
    )
    with archive_with(tmp_path, ingest_transcoding=RLE) as archive:
        incoming = ingest.Incoming(archive, Origin(), announced)
        for start in range(0, len(content), 10_000):
            incoming.write(content[start : start + 10_000])
        file = retrieve.dicom_file(archive, incoming.commit().instance)
        assert file is not None
        after = pydicom.dcmread(BytesIO(retrieve.read(archive, file)))
    assert after.file_meta.TransferSyntaxUID == RLE
    assert (after.pixel_array == ds.pixel_array).all()


def test_a_large_instance_leaves_one_file(tmp_path: Path) -> None:
    content = content_of("pydicom-data/693_UNCR.dcm")  # goes to a file of its own while it arrives
    with archive_with(tmp_path, ingest_transcoding=JPEG_LS) as archive:
        stored(archive, content)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and len(path.name) == 36]
    assert len(files) == 1
    assert files[0].stat().st_size < len(content)


def test_the_option_must_name_something_that_can_be_written(tmp_path: Path) -> None:
    for uid in ("nope", "1.2.840.10008.1.2.4.100"):
        with pytest.raises(SettingsError, match="IngestTranscoding"):
            check(Settings(storage_directory=tmp_path, ingest_transcoding=uid))
