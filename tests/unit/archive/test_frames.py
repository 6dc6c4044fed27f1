"""Frames of stored instances: found without reading more than needed, in every way that pixel data is stored."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from tests.data.datasets import body, part10
from tests.data.images import encapsulated, header, native, text
from tests.data.real import content_of
from tests.unit.archive.places import Place

from ithil.archive import frames, ingest, retrieve
from ithil.archive.archive import Archive
from ithil.archive.frames import StoredPixels
from ithil.archive.model import Origin
from ithil.dicom.uids import DEFLATED
from ithil.pixels.errors import PixelError, UnsupportedPixels

HTJ2K = "1.2.840.10008.1.2.4.201"


def stored(archive: Archive, content: bytes) -> StoredPixels:
    """The pixels of an instance that was just stored."""
    result = ingest.store(archive, content, Origin())
    pixels = frames.pixels_of(archive, result.instance)
    assert pixels is not None
    return pixels


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


def test_an_unknown_instance(archive: Archive) -> None:
    assert frames.pixels_of(archive, "nope") is None


def test_only_the_header_and_the_wanted_frame_are_read(
    archive: Archive, reads: list[tuple[int, int | None]]
) -> None:
    """Of a native file of 8 MB with 1 MB frames."""
    size = 1024 * 1024
    content = b"".join(bytes([number]) * size for number in range(8))
    pixels = stored(archive, native(header(1024, 1024, frames=8), content, vr="OB"))
    reads.clear()
    assert (frames.decoded(archive, pixels, 5) == 5).all()
    assert [end - start for start, end in reads if end is not None] == [size]
    assert len(reads) == 1


def test_only_the_fragments_of_the_wanted_frame_are_read(
    archive: Archive, reads: list[tuple[int, int | None]]
) -> None:
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (800, 1000), np.uint8) for _ in range(3)]
    coded = [imagecodecs.htj2k_encode(image, reversible=True) for image in images]
    pixels = stored(archive, encapsulated(header(800, 1000, frames=3), coded, HTJ2K))
    reads.clear()
    assert (frames.decoded(archive, pixels, 2) == images[2]).all()
    assert sum((end or 10**9) - start for start, end in reads) <= len(coded[2]) + 1


def test_a_frame_is_decoded_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = stored(archive, content_of("pydicom/MR_small_RLE.dcm"))
    first = frames.decoded(archive, pixels, 0)
    monkeypatch.setattr(frames, "decode_frame", None)
    assert frames.decoded(archive, pixels, 0) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("name", "count"),
    [("CT_small", 1), ("rtdose", 15), ("rtdose_rle", 15), ("image_dfl", 1), ("examples_ybr_color", 30)]
    + [("MR_small_bigendian", 1), ("liver_1frame", 1)],
)
def test_real_files(sqlite: Place, name: str, count: int, compressed: bool) -> None:
    archive = sqlite.open(storage_compression=compressed)
    pixels = stored(archive, content_of(f"pydicom/{name}.dcm"))
    assert pixels.count == count
    shape = (pixels.description.rows, pixels.description.columns)
    for frame in (0, count - 1):
        assert frames.decoded(archive, pixels, frame).shape[:2] == shape
        raw = b"".join(frames.raw_pieces(archive, pixels, frame))
        assert len(raw) == sum(length for _, length in frames.frame_ranges(pixels, frame))


@pytest.mark.parametrize("frame", [-1, 1, 2**40])
def test_frames_that_are_not_there(sqlite: Place, frame: int) -> None:
    archive = sqlite.open()
    pixels = stored(archive, content_of("pydicom/CT_small.dcm"))
    with pytest.raises(PixelError):
        frames.decoded(archive, pixels, frame)
    with pytest.raises(PixelError):
        list(frames.raw_pieces(archive, pixels, frame))


@pytest.mark.parametrize("name", ["rtplan", "reportsi"])
def test_instances_without_pixel_data(sqlite: Place, name: str) -> None:
    with pytest.raises(UnsupportedPixels):
        stored(sqlite.open(), content_of(f"pydicom/{name}.dcm"))


def test_native_raw_bytes_come_in_little_endian(sqlite: Place) -> None:
    archive = sqlite.open()
    little = stored(archive, content_of("pydicom/MR_small.dcm"))
    expected = b"".join(frames.raw_pieces(archive, little, 0))
    other = sqlite.open()
    big = stored(other, content_of("pydicom-data/emri_small_big_endian.dcm"))
    assert big.in_big_endian
    assert not little.in_big_endian
    samples = frames.decoded(other, big, 3).astype("<u2").tobytes()
    assert b"".join(frames.raw_pieces(other, big, 3)) == samples
    assert frames.decoded(archive, little, 0).astype("<i2").tobytes() == expected


def test_more_frames_than_there_are(sqlite: Place) -> None:
    """A header that claims two thousand million frames has those that are there."""
    head = {**header(8, 8), 0x00280008: text("IS", "2147483647")}
    pixels = stored(sqlite.open(), native(head, bytes(64 * 3)))
    assert pixels.count == 3


def test_a_deflated_data_set_that_grows_without_end(sqlite: Place) -> None:
    """A bomb: 300 MB of zeros in 300 KB. It is refused when it comes in or when it is looked at."""
    head = body({**header(8, 8), 0x00090010: ("LO", b"BOMB"), 0x00091001: ("OB", bytes(16))})
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    start = head + b"\xe0\x7f\x10\x00OW\0\0" + (300 << 20).to_bytes(4, "little")
    deflated = deflater.compress(start)
    for _ in range(300):
        deflated += deflater.compress(bytes(1 << 20))
    content = part10(deflated + deflater.flush(), DEFLATED)
    archive = sqlite.open()
    result = ingest.store(archive, content, Origin())
    with pytest.raises(PixelError):
        frames.pixels_of(archive, result.instance)


@pytest.mark.parametrize("megabytes", [0, 256])
def test_what_is_kept_is_up_to_the_operator(
    sqlite: Place, megabytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = sqlite.open(dicom_parser_cache_size=megabytes)
    pixels = stored(archive, content_of("pydicom/MR_small_RLE.dcm"))
    decodings: list[int] = []
    decode: Callable[..., object] = frames.decode_frame

    def counted(*arguments: object) -> object:
        decodings.append(1)
        return decode(*arguments)

    monkeypatch.setattr(frames, "decode_frame", counted)
    for _ in range(2):
        frames.decoded(archive, pixels, 0)
    assert len(decodings) == (1 if megabytes else 2)


def native_frames(*values: int) -> bytes:
    """An object with a frame of each value, 32 by 32 pixels of 16 bits."""
    content = b"".join(np.full(1024, value, "<u2").tobytes() for value in values)
    return native(header(32, 32, 16, stored=12, high=11, frames=len(values)), content)


def test_native_frames_that_are_seen_once_take_no_memory_beside_their_file(
    archive: Archive, reads: list[tuple[int, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But who comes back for one has it kept from then on."""
    pixels = stored(archive, native_frames(1, 2, 3))
    before = frames._cache.size
    first = [frames.decoded(archive, pixels, frame) for frame in range(3)]
    assert frames._cache.size < before + first[0].nbytes
    again = frames.decoded(archive, pixels, 1)
    np.testing.assert_array_equal(again, first[1])
    assert frames._cache.size >= before + first[0].nbytes
    reads.clear()
    monkeypatch.setattr(archive.cache, "get", None)  # nobody asks whether to keep what is kept
    assert frames.decoded(archive, pixels, 1) is again
    assert not reads


def test_native_frames_are_not_kept_beside_their_file_in_memory(archive: Archive) -> None:
    pixels = stored(archive, native_frames(1))
    retrieve.read(archive, pixels.file)  # the whole of it, which is kept
    before = frames._cache.size
    for _ in range(3):
        assert (frames.decoded(archive, pixels, 0) == 1).all()
    assert frames._cache.size < before + 2048


def test_a_kept_frame_is_not_that_of_an_instance_stored_anew(sqlite: Place) -> None:
    archive = sqlite.open(overwrite_instances=True)
    old = stored(archive, native_frames(1))
    for _ in range(3):
        assert (frames.decoded(archive, old, 0) == 1).all()
    new = stored(archive, native_frames(2))
    assert new.file.uuid != old.file.uuid
    for _ in range(3):
        assert (frames.decoded(archive, new, 0) == 2).all()
