"""MD5 sums computed beside the work: the same sums, in order, whatever the sizes of the pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.archive import checksum
from ithil.archive.checksum import WORTH_HANDING_OVER, Checksums


@pytest.fixture(scope="module")
def checksums() -> Iterator[Checksums]:
    made = Checksums(threads=2)
    yield made
    made.close()


@given(
    st.lists(st.sampled_from([0, 1, 1000, WORTH_HANDING_OVER - 1, WORTH_HANDING_OVER, 200_000]), max_size=6)
)
def test_the_sum_of_pieces_is_the_sum_of_the_whole(checksums: Checksums, sizes: list[int]) -> None:
    pieces = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    running = checksums.new()
    for piece in pieces:
        running.update(piece)
    assert running.hexdigest() == hashlib.md5(b"".join(pieces)).hexdigest()


def test_many_sums_at_once_do_not_mix(checksums: Checksums) -> None:
    running = [checksums.new() for _ in range(9)]
    for round_number in range(4):
        for number, one in enumerate(running):
            one.update(bytes([number, round_number]) * WORTH_HANDING_OVER)
    for number, one in enumerate(running):
        whole = b"".join(bytes([number, round_number]) * WORTH_HANDING_OVER for round_number in range(4))
        assert one.hexdigest() == hashlib.md5(whole).hexdigest()


def test_what_waits_to_be_hashed_is_bounded(checksums: Checksums, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "MOST_WAITING", 2 * WORTH_HANDING_OVER)
    running = checksums.new()
    for _ in range(50):
        running.update(bytes(WORTH_HANDING_OVER))
        assert running._size <= 2 * WORTH_HANDING_OVER
    assert running.hexdigest() == hashlib.md5(bytes(50 * WORTH_HANDING_OVER)).hexdigest()
