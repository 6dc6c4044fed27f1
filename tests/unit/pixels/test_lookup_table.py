"""Palettes in segments (PS3.3 C.7.9.2) and in the odd forms that files have them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.pixels.errors import PixelError
from ithil.pixels.lookup_table import read_palette


def descriptor(entries: int, bits: int = 16, first: int = 0, sign: str = "<") -> bytes:
    return struct.pack(sign + "HHH", entries, first, bits)


def words(*numbers: int, sign: str = "<") -> bytes:
    return struct.pack(f"{sign}{len(numbers)}H", *numbers)


def expanded(segments: bytes, entries: int, bits: int = 16, sign: str = "<") -> list[int]:
    found = read_palette(descriptor(entries, bits, sign=sign), b"", segments, sign, signed=False)
    return found.values.tolist()


@pytest.mark.parametrize("sign", ["<", ">"])
def test_discrete_and_linear_segments(sign: str) -> None:
    segments = words(0, 2, 100, 200, 1, 4, 240, 0, 1, 7, sign=sign)
    assert expanded(segments, 7, sign=sign) == [100, 200, 210, 220, 230, 240, 7]


def test_segments_of_8_bits() -> None:
    assert expanded(bytes([0, 2, 10, 20, 1, 2, 40, 0]), 4, 8) == [10, 20, 30, 40]


def test_segments_of_8_bits_in_words_of_big_endian() -> None:
    assert expanded(bytes([2, 0, 20, 10, 2, 1, 0, 40]), 4, 8, ">") == [10, 20, 30, 40]


@pytest.mark.parametrize("sign", ["<", ">"])
def test_an_indirect_segment_repeats_others(sign: str) -> None:
    """Its offset counts bytes: 8 is the second segment."""
    segments = words(0, 2, 100, 200, 1, 2, 240, 2, 1, 8, 0, sign=sign)
    assert expanded(segments, 6, sign=sign) == [100, 200, 220, 240, 240, 240]


def test_an_indirect_segment_of_8_bits() -> None:
    assert expanded(bytes([0, 1, 5, 0, 1, 9, 2, 2, 0, 0, 0, 0]), 4, 8) == [5, 9, 5, 9]


@pytest.mark.parametrize(
    "segments",
    [
        words(1, 4, 240),
        words(3, 4, 240),
        words(0, 40, 1, 2),
        words(0, 1, 7, 2, 1, 6, 0),
        words(0, 1, 7, 2, 1, 0xFFFF, 0xFFFF),
        words(0, 0) * 70_000,
        words(0, 1, 7, 1),
        words(0, 1, 7, 2, 1),
        b"",
    ],
)
def test_segments_that_make_no_palette(segments: bytes) -> None:
    with pytest.raises(PixelError):
        expanded(segments, 300)


@given(st.binary(max_size=400), st.sampled_from([8, 16]), st.sampled_from("<>"))
def test_any_bytes_as_segments(data: bytes, bits: int, sign: str) -> None:
    try:
        assert len(expanded(data, 256, bits, sign)) == 256
    except PixelError:
        pass


def data_of(data: bytes, entries: int, bits: int, sign: str = "<") -> list[int]:
    found = read_palette(descriptor(entries, bits, sign=sign), data, b"", sign, signed=False)
    return found.values.tolist()


def test_entries_of_8_bits_packed_two_in_a_word() -> None:
    assert data_of(bytes([1, 2, 3, 4]), 4, 8) == [1, 2, 3, 4]
    assert data_of(bytes([2, 1, 4, 3]), 4, 8, ">") == [1, 2, 3, 4]


def test_entries_of_8_bits_one_in_a_word() -> None:
    assert data_of(words(1, 2, 255), 3, 8) == [1, 2, 255]


def test_entries_of_16_bits_that_are_called_8() -> None:
    assert data_of(words(0, 0x1234, 0xFFFF), 3, 8) == [0, 0x12, 0xFF]
