"""Where frames lie."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.datasets import body, item, part10, undefined_sequence

from ithil.dicom.errors import DicomError
from ithil.dicom.frames import FrameIndex, frame_index
from ithil.dicom.scan import scan

JPEG_2000 = "1.2.840.10008.1.2.4.90"
START = b"\xff\x4f\xff\x51"


def number(value: int) -> tuple[str, bytes]:
    return ("US", struct.pack("<H", value))


def encapsulated(frames: int, *fragments: bytes, table: bytes = b"", **more: tuple[str, bytes]) -> bytes:
    items = item(table) + b"".join(item(fragment) for fragment in fragments)
    elements: dict[int, tuple[str, bytes] | bytes] = {
        0x00280008: ("IS", str(frames).encode().ljust(2)),
        0x7FE00010: undefined_sequence(0x7FE00010, items, "OB"),
    }
    if "offsets" in more:
        elements |= {0x7FE00001: more["offsets"], 0x7FE00002: more["lengths"]}
    return part10(body(elements), JPEG_2000)


def frames_of(content: bytes) -> list[bytes]:
    index = frame_index(content, scan(content, frozenset()))
    assert FrameIndex.from_bytes(index.to_bytes()) == index
    return [b"".join(content[o : o + n] for o, n in index.ranges(i)) for i in range(index.count)]


def native(rows: int, columns: int, bits: int, samples: int, frames: int, pixels: bytes) -> bytes:
    return part10(
        body(
            {
                0x00280002: number(samples),
                0x00280008: ("IS", str(frames).encode().ljust(2)),
                0x00280010: number(rows),
                0x00280011: number(columns),
                0x00280100: number(bits),
                0x7FE00010: ("OW", pixels),
            }
        )
    )


def test_native_frames_are_arithmetic() -> None:
    pixels = bytes(range(24))
    assert frames_of(native(2, 2, 16, 1, 3, pixels)) == [pixels[:8], pixels[8:16], pixels[16:]]
    # Padding at the end belongs to no frame.
    assert frames_of(native(1, 1, 8, 3, 1, b"abc\0")) == [b"abc"]


def test_subsampled_native_frames_are_shorter_than_their_samples_say() -> None:
    pixels = bytes(range(16))
    assert frames_of(native(2, 2, 8, 3, 2, pixels)) == [pixels[:8], pixels[8:]]


def test_frames_of_single_bits_may_share_a_byte() -> None:
    assert frames_of(native(3, 4, 1, 1, 2, b"\1\2\3\0")) == [b"\1\2", b"\2\3"]


def test_a_lying_number_of_native_frames_is_refused() -> None:
    content = part10(body({0x00280008: ("IS", b"999999999999"), 0x7FE00010: ("OW", b"ab")}))
    with pytest.raises(DicomError, match="more frames"):
        frame_index(content, scan(content, frozenset()))


def test_one_fragment_a_frame() -> None:
    assert frames_of(encapsulated(3, b"aa", b"bb", b"cc")) == [b"aa", b"bb", b"cc"]


def test_a_single_frame_has_all_fragments() -> None:
    assert frames_of(encapsulated(1, b"aa", b"bb")) == [b"aabb"]


def test_the_basic_offset_table_groups_fragments() -> None:
    table = struct.pack("<II", 0, 20)
    assert frames_of(encapsulated(2, b"aa", b"bb", b"cc", table=table)) == [b"aabb", b"cc"]


def test_markers_group_fragments_when_the_table_is_empty_or_wrong() -> None:
    parts = (START + b"11", b"22", START + b"33")
    for table in (b"", struct.pack("<II", 0, 5), struct.pack("<I", 0)):
        assert frames_of(encapsulated(2, *parts, table=table)) == [parts[0] + b"22", parts[2]]


def test_the_extended_offset_table_wins() -> None:
    lengths = ("OV", struct.pack("<QQ", 3, 2))
    content = encapsulated(2, b"aa\1\0", b"bb", offsets=("OV", struct.pack("<QQ", 0, 12)), lengths=lengths)
    assert frames_of(content) == [b"aa\1", b"bb"]
    wrong = encapsulated(2, b"aa\1\0", b"bb", offsets=("OV", struct.pack("<QQ", 0, 2**63)), lengths=lengths)
    assert frames_of(wrong) == [b"aa\1\0", b"bb"]


def test_numbers_that_do_not_agree_are_borne() -> None:
    assert frames_of(encapsulated(3, b"aa", b"bb")) == [b"aa", b"bb"]
    assert frames_of(encapsulated(2, b"aa", b"bb", b"cc")) == [b"aa", b"bbcc"]
    assert frames_of(encapsulated(2)) == []


def test_without_pixel_data_there_are_no_frames() -> None:
    content = part10(body({}))
    index = frame_index(content, scan(content, frozenset()))
    assert index.count == 0
    with pytest.raises(IndexError):
        index.ranges(0)


@pytest.mark.parametrize("damage", [b"\xfe\xff\0\xe0\xff\xff\xff\x7f", b"\x08\0\x10\0\0\0\0\0", b""])
def test_damaged_fragments_are_an_error(damage: bytes) -> None:
    content = encapsulated(1, b"aa")[:-8] + damage
    with pytest.raises(DicomError):
        frame_index(content, scan(content, frozenset()))


RANGES = st.tuples(st.integers(0, 2**40), st.integers(0, 2**32))


@given(st.lists(st.lists(RANGES, max_size=4), max_size=10))
def test_the_stored_form_holds_any_ranges(fragments: list[list[tuple[int, int]]]) -> None:
    index = FrameIndex(len(fragments), fragments=fragments)
    assert FrameIndex.from_bytes(index.to_bytes()) == index


@given(st.binary(max_size=50))
def test_reading_a_damaged_stored_form(data: bytes) -> None:
    try:
        FrameIndex.from_bytes(data)
    except DicomError:
        pass


def test_the_stored_form_is_small() -> None:
    content = encapsulated(500, *[b"x" * 1000] * 500)
    assert len(frame_index(content, scan(content, frozenset())).to_bytes()) < 2100
