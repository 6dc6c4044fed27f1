"""Archives of real archives: what is in them, what is left out, and what they cost."""

from __future__ import annotations

import io
import threading
import tracemalloc
import zipfile
from contextlib import closing

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from tests.data.datasets import body, part10
from tests.data.real import content_of
from tests.unit.archive.places import Place, image, put, put_all

from ithil import error_codes as codes
from ithil.archive import delete, resources, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import FileMissing
from ithil.archive.export import ahead, members
from ithil.archive.export.selection import Totals, select, totals
from ithil.archive.export.stream import Export, Wish
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.pixels.errors import PixelError

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_BASELINE_FILE = "pydicom-data/color3d_jpeg_baseline.dcm"


def export(archive: Archive, *public_ids: str, wish: Wish | None = None) -> zipfile.ZipFile:
    """The archive of these resources; it is checked to be sound."""
    selection = select(archive, public_ids or resources.list_ids(archive, Level.PATIENT))
    made = Export(archive, selection, wish or Wish())
    content = b"".join(made.pieces())
    assert made.size == len(content)
    found = zipfile.ZipFile(io.BytesIO(content))
    assert found.testzip() is None
    return found


def contents(found: zipfile.ZipFile) -> list[bytes]:
    return [found.read(name) for name in found.namelist() if name != "DICOMDIR"]


def large(pixels: int, *, seed: int = 0, levels: int = 64) -> bytes:
    """An image of about `pixels` bytes: noise of which three quarters stay, or nothing with one of the `levels`."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(
        entropy_srcs=[str(seed)]
    )
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
    dataset.PatientID, dataset.Modality = "LARGE", "MR"
    dataset.BitsAllocated, dataset.Rows, dataset.Columns = 8, 1, 1
    dataset.PixelData = np.random.default_rng(seed).integers(0, levels, pixels, dtype=np.uint8).tobytes()
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_folders_of_patient_study_and_series(archive: Archive) -> None:
    files = [image(0, 0, 1, patient=1), image(0, 0, 0, patient=1), image(1, 0, 0, patient=1), image(2, 0, 0)]
    stored = put_all(archive, *files)
    found = export(archive)
    assert sorted(contents(found)) == sorted(files)
    assert {name.rpartition("/")[2] for name in found.namelist()} == {"CT000000.dcm", "CT000001.dcm"}
    assert len({name.partition("/")[0] for name in found.namelist()}) == 2
    # Instances of a series are numbered in the order of their arrival.
    assert contents(export(archive, stored[0].series)) == files[:2]


def test_siblings_that_are_called_alike_get_numbers(archive: Archive) -> None:
    put_all(archive, *(image(0, number, 0) for number in range(3)), image(1, 0, 0, patient=0))
    names = export(archive).namelist()
    folders = [name.split("/") for name in names]
    assert len({tuple(folder[:3]) for folder in folders}) == 4
    assert {folder[2].rpartition("-")[2] for folder in folders if folder[2].endswith(("-2", "-3"))} == {
        "2",
        "3",
    }
    assert len({folder[1] for folder in folders}) == 2


def test_each_instance_is_in_it_once_however_it_was_named(archive: Archive) -> None:
    files = [image(0, 0, number) for number in range(3)]
    one, two, _ = put_all(archive, *files)
    assert contents(export(archive, one.instance)) == [files[0]]
    assert contents(export(archive, two.instance, one.instance, two.instance)) == [files[1], files[0]]
    assert contents(export(archive, one.instance, one.series)) == files
    assert contents(export(archive, one.patient, two.instance, one.study, one.patient)) == files
    assert contents(export(archive, one.study)) == files


def test_what_is_not_there_is_refused(archive: Archive) -> None:
    stored = put(archive, image())
    for public_id in ("nope", "", "\0", stored.study + "x"):
        with pytest.raises(CodedError) as refused:
            select(archive, [stored.study, public_id])
        assert refused.value.code == codes.UNKNOWN_RESOURCE
    with pytest.raises(CodedError):
        select(archive, [stored.series], level=Level.STUDY)
    assert select(archive, ["nope"], lenient=True) == {}


def test_nothing_selected_is_an_empty_archive(archive: Archive) -> None:
    content = b"".join(Export(archive, {}, Wish()).pieces())
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == []


def test_totals(archive: Archive) -> None:
    files = [image(0, 0, 0), image(0, 0, 1), image(0, 1, 0), image(1, 0, 0)]
    first, second, *_ = put_all(archive, *files)
    size = len(files[0])
    assert totals(archive, select(archive, resources.list_ids(archive, Level.PATIENT))) == Totals(4, 4 * size)
    for chosen, count in (
        ([first.patient], 3),
        ([first.study], 3),
        ([first.series], 2),
        ([second.instance], 1),
        ([second.instance, first.series], 2),
        ([], 0),
    ):
        assert totals(archive, select(archive, chosen)) == Totals(count, count * size)


def test_a_long_series(sqlite: Place) -> None:
    archive = sqlite.open()
    stored = put_all(archive, *(image(0, 0, number) for number in range(1203)))
    found = export(archive, stored[0].series)
    assert [name.rpartition("/")[2] for name in found.namelist()] == [f"CT{n:06d}.dcm" for n in range(1203)]


def test_what_is_compressed_already_is_stored(sqlite: Place) -> None:
    archive = sqlite.open()
    native, jpeg = content_of("pydicom-data/emri_small.dcm"), content_of(JPEG_BASELINE_FILE)
    stored = put_all(archive, native, jpeg)
    assert export(archive, stored[0].study).infolist()[0].compress_type == zipfile.ZIP_DEFLATED
    found = export(archive, stored[1].study)
    assert found.infolist()[0].compress_type == zipfile.ZIP_STORED
    assert contents(found) == [jpeg]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("media", [False, True])
def test_large_files_in_pieces(
    sqlite: Place, monkeypatch: pytest.MonkeyPatch, compressed: bool, media: bool
) -> None:
    monkeypatch.setattr(members, "WHOLE_BYTES", 50_000)
    monkeypatch.setattr(members, "PIECE_BYTES", 30_000)
    archive = sqlite.open(storage_compression=compressed)
    jpeg = content_of(JPEG_BASELINE_FILE)
    files = [large(100_000), image(), large(60_000 - len(large(0)), seed=2), jpeg]
    stored = put_all(archive, *files)
    wish = Wish(media=media)
    for file, result in zip(files, stored, strict=True):
        assert contents(export(archive, result.instance, wish=wish)) == [file]
    found = export(archive, wish=wish)
    assert sorted(contents(found)) == sorted(files)
    if not compressed:  # a compressed file has its pieces from another place
        noise = next(one for one in found.infolist() if one.file_size == len(files[0]))
        assert noise.compress_size < 0.9 * len(files[0])
    assert next(one for one in found.infolist() if one.file_size == len(jpeg)).compress_size >= len(jpeg)


@pytest.mark.parametrize("whole_bytes", [10, 10_000_000])
def test_lost_files_are_left_out(sqlite: Place, monkeypatch: pytest.MonkeyPatch, whole_bytes: int) -> None:
    monkeypatch.setattr(members, "WHOLE_BYTES", whole_bytes)
    monkeypatch.setattr(members, "PIECE_BYTES", 1000)
    archive = sqlite.open()
    files = [image(0, 0, number) for number in range(4)]
    stored = put_all(archive, *files)
    lose(archive, stored[1].instance)
    made = Export(archive, select(archive, [stored[0].series]), Wish())
    found = zipfile.ZipFile(io.BytesIO(b"".join(made.pieces())))
    assert contents(found) == [files[0], *files[2:]]
    assert [name[-5:] for name in found.namelist()] == ["0.dcm", "2.dcm", "3.dcm"]
    assert (made.done, made.left_out) == (4, 1)


def lose(archive: Archive, instance: str) -> None:
    file = retrieve.dicom_file(archive, instance)
    assert file is not None
    archive.cache.drop(file.uuid)
    archive.storage.remove(file.uuid)


def test_a_large_file_that_is_lost_halfway_breaks_the_archive_off(
    sqlite: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "WHOLE_BYTES", 10)
    monkeypatch.setattr(members, "PIECE_BYTES", 1000)
    archive = sqlite.open(sequential_dicom_reader_window_size=1)
    stored = put(archive, large(3_000_000))
    pieces = Export(archive, select(archive, [stored.instance]), Wish()).pieces()
    next(pieces)
    lose(archive, stored.instance)
    with pytest.raises(FileMissing):
        list(pieces)


def test_deleting_while_it_is_written(sqlite: Place) -> None:
    archive = sqlite.open()
    stored = [put(archive, image(study, 0, number)) for study in range(3) for number in range(600)]
    made = Export(archive, select(archive, [one.patient for one in stored]), Wish())
    content = b""
    with closing(made.pieces()) as pieces:
        content += next(pieces)
        for study in {one.study for one in stored}:
            delete.delete(archive, Level.STUDY, study)
        content += b"".join(pieces)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


def test_whoever_stops_drawing_leaves_nothing_behind(sqlite: Place) -> None:
    archive = sqlite.open(storage_memory_capacity=77)  # a room of its own
    stored = put_all(archive, *(large(700_000, seed=seed) for seed in range(20)))
    pieces = Export(archive, select(archive, [stored[0].patient]), Wish(media=True)).pieces()
    next(pieces)
    pieces.close()
    assert ahead.shared_room(77 * 1024 * 1024).take(77 * 1024 * 1024)
    ahead.shared_room(77 * 1024 * 1024).give(77 * 1024 * 1024)


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_does_not_grow_with_the_files(sqlite: Place, compressed: bool) -> None:
    archive = sqlite.open(
        maximum_storage_cache_size=0,
        storage_compression=compressed,
        sequential_dicom_reader_window_capacity=8,
    )
    stored = put(archive, large(80_000_000, levels=1 if compressed else 64))
    made = Export(archive, select(archive, [stored.instance]), Wish(media=True))
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in made.pieces())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert compressed or size > 50_000_000
    assert peak < 45_000_000


def test_transcoding(sqlite: Place) -> None:
    archive = sqlite.open()
    stored = put(archive, content_of("pydicom/CT_small.dcm"))
    [content] = contents(export(archive, stored.study, wish=Wish(transcode=JPEG_LOSSLESS)))
    made = dcmread(io.BytesIO(content))
    assert made.file_meta.TransferSyntaxUID == JPEG_LOSSLESS
    before = dcmread(io.BytesIO(content_of("pydicom/CT_small.dcm")))
    assert (made.pixel_array == before.pixel_array).all()
    found = export(archive, stored.study, wish=Wish(media=True, transcode=JPEG_LOSSLESS))
    directory = dcmread(io.BytesIO(found.read("DICOMDIR")))
    assert directory.DirectoryRecordSequence[3].ReferencedTransferSyntaxUIDInFile == JPEG_LOSSLESS


def test_what_cannot_be_transcoded_stays_as_it_is(sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> bytes:
        raise PixelError("no")

    monkeypatch.setattr(members, "transcoded", fail)
    archive = sqlite.open()
    file = content_of("pydicom/CT_small.dcm")
    stored = put(archive, file)
    assert contents(export(archive, stored.study, wish=Wish(transcode=JPEG_LOSSLESS))) == [file]


def test_archives_at_the_same_time(sqlite: Place) -> None:
    archive = sqlite.open(storage_memory_capacity=1)  # none of them may go ahead of the others
    files = [large(400_000, seed=seed) for seed in range(8)]
    stored = put_all(archive, *files)
    results: list[list[bytes]] = []

    def draw() -> None:
        results.append(contents(export(archive, stored[0].patient)))

    threads = [threading.Thread(target=draw) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [files] * 6


def hostile(value: bytes) -> bytes:
    """An image with this value as PatientName, StudyDescription, Modality and SeriesDescription."""
    tags = {0x00080060: "CS", 0x00081030: "LO", 0x0008103E: "LO", 0x00100010: "PN"}
    elements = {tag: (vr, value) for tag, vr in tags.items()}
    return part10(body({0x00080005: ("CS", b"ISO_IR 192"), **elements}))


@pytest.mark.parametrize(
    "value",
    [
        "..",
        "../../../etc/passwd ",
        "a/b",
        "a\\b",
        "C:",
        "a\0b",
        "CON ",
        "😀😀",
        "x" * 10_000,
        "\r\n",
        ". ",
        "^^",
        "%n%s",
    ],
)
@pytest.mark.parametrize("utf8", [False, True])
def test_names_from_hostile_values(sqlite: Place, value: str, utf8: bool) -> None:
    archive = sqlite.open()
    content = value.encode()
    stored = put(archive, hostile(content + b" " * (len(content) % 2)))
    [name] = export(archive, stored.patient, wish=Wish(utf8=utf8)).namelist()
    parts = name.split("/")
    assert len(parts) == 4
    for part in parts:
        assert part.strip(". ")
        assert len(part.encode()) <= 255
        assert not set(part) & set('\\:\0\r\n"<>|*?/')
        assert part.partition(".")[0].casefold() not in ("con", "nul")
