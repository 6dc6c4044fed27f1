"""Stored frames are parts of the file: found without parsing a data set, read without reading the rest."""

from __future__ import annotations

import os
import tracemalloc
from typing import Any

import pytest
import sqlalchemy as sa
from tests.data.images import encapsulated, header, native
from tests.data.real import all_files, content_of
from tests.unit.archive.places import Place

from ithil.archive import frames, ingest, retrieve, stored_frames, uids
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Session, Statement
from ithil.archive.model import Origin, StoreStatus
from ithil.archive.stored_frames import StoredFrames
from ithil.archive.uids import Located
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.pixels.errors import PixelError, UnsupportedPixels

JPEG_LS, VIDEO = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.102"
NAMES: dict[int, Any] = {
    0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
    0x00080018: ("UI", b"2.25.300"),
    0x0020000D: ("UI", b"2.25.100"),
    0x0020000E: ("UI", b"2.25.200"),
}


def located(archive: Archive, content: bytes) -> Located:
    ingest.store(archive, content, Origin())
    found = uids.locate(archive, "2.25.100", "2.25.200", "2.25.300")
    assert found is not None
    return found


def stored(archive: Archive, content: bytes) -> StoredFrames:
    return stored_frames.stored_frames(archive, located(archive, content))


@pytest.fixture
def reads(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """The ranges that are read from the storage from now on."""
    ranges: list[tuple[int, int | None]] = []
    read = archive.storage.read

    def recording(uuid: str, start: int = 0, end: int | None = None) -> bytes:
        ranges.append((start, end))
        return read(uuid, start, end)

    monkeypatch.setattr(type(archive.storage), "read", lambda _self, *range_: recording(*range_))
    return ranges


def test_uids_lead_to_the_newest_instance_or_to_none(archive: Archive) -> None:
    found = located(archive, native({**NAMES, **header(2, 2)}, b"abcd"))
    assert found.transfer_syntax == EXPLICIT_LITTLE
    other = {**NAMES, 0x00100020: ("LO", b"OTHER ")}
    newest = located(archive, native({**other, **header(2, 2)}, b"efgh"))
    assert newest.id != found.id
    assert uids.locate(archive, "2.25.100", "2.25.200", "2.25.9") is None
    assert uids.locate(archive, "2.25.100", "2.25.9", "2.25.300") is None
    assert uids.locate(archive, "2.25.9", "2.25.200", "2.25.300") is None


def test_a_native_frame_is_one_read_beside_that_of_the_header(
    archive: Archive, reads: list[tuple[int, int | None]]
) -> None:
    size = 1024 * 1024
    content = b"".join(bytes([number]) * size for number in range(8))
    found = located(archive, native({**NAMES, **header(1024, 1024, frames=8)}, content, vr="OB"))
    reads.clear()
    one = stored_frames.stored_frames(archive, found)
    assert len(reads) == 1
    assert (reads[0][1] or size) < 2000
    reads.clear()
    assert stored_frames.content(archive, one, 5) == b"\5" * size
    assert [end - start for start, end in reads if end is not None] == [size]
    assert len(reads) == 1
    assert b"".join(stored_frames.pieces(archive, one, 5, 100, 250)) == b"\5" * 150


def test_where_compressed_frames_are_the_index_knows(
    archive: Archive, reads: list[tuple[int, int | None]]
) -> None:
    fragments = [bytes([number]) * (500_000 + 2 * number) for number in range(4)]
    found = located(archive, encapsulated({**NAMES, **header(8, 8, frames=4)}, fragments, JPEG_LS))
    reads.clear()
    one = stored_frames.stored_frames(archive, found)
    assert reads == []
    assert (one.count, one.transfer_syntax, one.size(3)) == (4, JPEG_LS, 500_006)
    assert stored_frames.content(archive, one, 3) == fragments[3]
    assert len(reads) == 1


def test_fragments_of_a_frame_are_put_together_and_cut(archive: Archive) -> None:
    one = stored(archive, encapsulated({**NAMES, **header(8, 8)}, [b"abcd", b"ef", b"ghij"], JPEG_LS))
    assert stored_frames.content(archive, one, 0) == b"abcdefghij"
    for start in range(11):
        for end in range(start, 11):
            cut = b"".join(stored_frames.pieces(archive, one, 0, start, end))
            assert cut == b"abcdefghij"[start:end]


def test_a_video_is_one_frame(archive: Archive) -> None:
    one = stored(archive, encapsulated({**NAMES, **header(8, 8, frames=2)}, [b"abcd", b"efgh"], VIDEO))
    assert one.count == 1
    assert stored_frames.content(archive, one, 0) == b"abcdefgh"
    assert not stored_frames.can_be_coded(archive, one, EXPLICIT_LITTLE, 90)


def test_an_instance_without_pixels_has_no_frames(archive: Archive) -> None:
    content = native({**NAMES}, b"")
    content = content[: content.rindex(b"\xe0\x7f\x10\0")]
    with pytest.raises(UnsupportedPixels):
        stored(archive, content)


def test_pixel_data_that_is_not_where_the_index_says_is_an_error(archive: Archive) -> None:
    found = located(archive, native({**NAMES, **header(2, 2)}, b"abcd"))
    wrong = Located(found.id, found.transfer_syntax, (found.pixel_data_offset or 0) - 4, found.file)
    with pytest.raises(PixelError):
        stored_frames.stored_frames(archive, wrong)


def test_a_file_that_is_cut_off_has_the_frames_that_are_there(archive: Archive) -> None:
    one = stored(archive, native({**NAMES, **header(2, 2, frames=9)}, b"abcdefgh"))
    assert [stored_frames.content(archive, one, frame) for frame in range(one.count)] == [b"abcd", b"efgh"]


def test_the_quick_way_and_the_long_way_agree_on_real_files(sqlite: Place) -> None:
    archive = sqlite.open()
    seen = 0
    for name in all_files():
        content = content_of(name)
        if len(content) > 3_000_000:
            continue
        try:
            result = ingest.store(archive, content, Origin())
        except (DicomError, ArchiveError):
            continue  # what is no DICOM is not of interest here
        if result.status != StoreStatus.SUCCESS:
            continue
        try:
            pixels = frames.pixels_of(archive, result.instance)
        except PixelError:
            continue
        assert pixels is not None
        row = _row(archive, result.instance)
        quick = stored_frames.stored_frames(archive, row)
        assert quick.count == pixels.count, name
        for frame in range(min(quick.count, 3)):
            if not pixels.index.bits:
                expected = b"".join(frames.raw_pieces(archive, pixels, frame))
                assert stored_frames.content(archive, quick, frame) == expected, name
            assert quick.size(frame) == len(stored_frames.content(archive, quick, frame)), name
        seen += 1
    assert seen > 50


_ROW = Statement(
    sa.select(t.studies.c.study_instance_uid, t.series.c.series_instance_uid, t.instances.c.sop_instance_uid)
    .join_from(t.instances, t.series, t.series.c.id == t.instances.c.series)
    .join(t.studies, t.studies.c.id == t.series.c.study)
    .where(t.instances.c.public_id == sa.bindparam("public_id"))
)


def _row(archive: Archive, instance: str) -> Located:
    with archive.index.read() as session:
        names = session.one(_ROW, {"public_id": instance})
    assert names is not None
    found = uids.locate(archive, *names)
    assert found is not None
    return found


_ENLARGE = Statement(
    sa.update(t.instances).values(
        file_size=sa.bindparam("size"), file_stored_size=sa.bindparam("size"), frames=sa.bindparam("count")
    )
)


@pytest.mark.parametrize("big_frame", [2047, 0])
def test_a_frame_of_two_gigabytes_is_served_with_flat_memory(archive: Archive, big_frame: int) -> None:
    """The file is sparse: 2048 frames of 1 MB, most of which are holes."""
    side, count = 1024, 2048
    size = side * side
    content = native({**NAMES, **header(side, side, frames="1   ")}, b"\7" * size, vr="OB")
    small = located(archive, content)
    path = archive.storage.path(small.file.uuid)
    whole = len(content) + size * (count - 1)
    with open(path, "r+b") as file:
        file.seek(content.index(b"1   "))
        file.write(b"2048")
        file.seek((small.pixel_data_offset or 0) + 8)
        file.write((size * count).to_bytes(4, "little"))
        file.seek(whole - size)
        file.write(b"\7" * size)
    archive.index.write(lambda session: _enlarge(session, whole, count))
    archive.cache.drop(small.file.uuid)
    found = uids.locate(archive, "2.25.100", "2.25.200", "2.25.300")
    assert found is not None
    assert found.file.uncompressed_size == os.stat(path).st_size > 2_000_000_000
    tracemalloc.start()
    try:
        one = stored_frames.stored_frames(archive, found)
        assert one.count == count
        assert stored_frames.content(archive, one, big_frame) == b"\7" * size
        assert tracemalloc.get_traced_memory()[1] < 8 * size
    finally:
        tracemalloc.stop()
    assert retrieve.read(archive, found.file, 0, 4) == bytes(4)


def _enlarge(session: Session, size: int, count: int) -> None:
    session.run(_ENLARGE, {"size": size, "count": count})


def test_all_that_is_kept_of_frames_shares_one_memory(sqlite: Place) -> None:
    archive = sqlite.open(dicom_parser_cache_size=1)
    found = stored(archive, native({**NAMES, **header(8, 8)}, bytes(64), vr="OB"))
    for quality in range(1, 101):
        before = frames._cache.size
        stored_frames.coded(archive, found, 0, "1.2.840.10008.1.2.4.80", quality)
        assert before != frames._cache.size <= 1 << 20
