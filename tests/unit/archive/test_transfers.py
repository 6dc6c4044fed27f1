"""Instances that arrive in buckets: what senders may get wrong, and what is left of it."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.data.synthetic import instance

from ithil import error_codes as codes
from ithil.archive import resources, transfers
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.archive.transfers import Announced, Chunk
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.settings import Settings

FILES = [instance(1, 1, number).content for number in range(3)]
IDS = [f"{number:08x}-" + "-".join(["00000000"] * 4) for number in range(3)]
INSTANCES = [
    Announced(one, len(content), hashlib.md5(content).hexdigest())
    for one, content in zip(IDS, FILES, strict=True)
]
HALF = len(FILES[1]) // 2
BUCKETS = [
    [Chunk(IDS[0], 0, len(FILES[0])), Chunk(IDS[1], 0, HALF)],
    [Chunk(IDS[1], HALF, len(FILES[1]) - HALF), Chunk(IDS[2], 0, len(FILES[2]))],
]
CONTENTS = [FILES[0] + FILES[1][:HALF], FILES[1][HALF:] + FILES[2]]
ORIGIN = Origin("RestApi")


def count(archive: Archive) -> int:
    return len(resources.list_ids(archive, Level.INSTANCE))


def files(archive: Archive) -> int:
    return len(list(archive.storage.all_files()))


@pytest.mark.parametrize("compressed", [False, True])
def test_buckets_in_any_order_become_instances(archive: Archive, compressed: bool) -> None:
    push = transfers.begin(archive, BUCKETS, INSTANCES, compressed=compressed)
    for number in (1, 0):
        content = gzip.compress(CONTENTS[number]) if compressed else CONTENTS[number]
        assert transfers.receive(archive, push, number, content)
    assert count(archive) == 0
    assert transfers.commit(archive, push, ORIGIN)
    assert count(archive) == files(archive) == 3
    assert not transfers.commit(archive, push, ORIGIN)


def test_a_bucket_that_came_twice_counts_once(archive: Archive) -> None:
    push = transfers.begin(archive, BUCKETS, INSTANCES, compressed=False)
    assert transfers.receive(archive, push, 0, bytes(len(CONTENTS[0])))
    for number, content in enumerate(CONTENTS):
        assert transfers.receive(archive, push, number, content)
    assert files(archive) == 2
    assert transfers.commit(archive, push, ORIGIN)
    assert count(archive) == 3


def test_a_wrong_md5_stores_nothing(archive: Archive) -> None:
    wrong = [*INSTANCES[:2], replace(INSTANCES[2], md5="0" * 32)]
    push = transfers.begin(archive, BUCKETS, wrong, compressed=False)
    for number, content in enumerate(CONTENTS):
        transfers.receive(archive, push, number, content)
    with pytest.raises(CodedError) as caught:
        transfers.commit(archive, push, ORIGIN)
    assert caught.value.code == codes.CORRUPTED_FILE
    assert count(archive) == 0
    assert transfers.discard(archive, push)
    assert files(archive) == 0


def test_a_missing_bucket_is_told(archive: Archive) -> None:
    push = transfers.begin(archive, BUCKETS, INSTANCES, compressed=False)
    transfers.receive(archive, push, 0, CONTENTS[0])
    with pytest.raises(CodedError) as caught:
        transfers.commit(archive, push, ORIGIN)
    assert caught.value.code == codes.BAD_SEQUENCE_OF_CALLS
    assert transfers.receive(archive, push, 1, CONTENTS[1])
    assert transfers.commit(archive, push, ORIGIN)


@pytest.mark.parametrize(
    "buckets",
    [
        BUCKETS[:1],
        [*BUCKETS, BUCKETS[1]],
        [*BUCKETS, [Chunk("unknown", 0, 1)]],
        [BUCKETS[0], [Chunk(IDS[1], HALF + 1, len(FILES[1]) - HALF), Chunk(IDS[2], 0, len(FILES[2]))]],
        [[Chunk(IDS[0], 0, 2**60)]],
    ],
)
def test_buckets_that_are_not_the_instances_are_refused(archive: Archive, buckets: list[list[Chunk]]) -> None:
    with pytest.raises(CodedError) as caught:
        transfers.begin(archive, buckets, INSTANCES, compressed=False)
    assert caught.value.code == codes.BAD_FILE_FORMAT


@pytest.mark.parametrize("content", [b"", b"x", CONTENTS[0] + b"x"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_bucket_of_another_size_is_refused(archive: Archive, content: bytes, compressed: bool) -> None:
    push = transfers.begin(archive, BUCKETS, INSTANCES, compressed=compressed)
    with pytest.raises(CodedError):
        transfers.receive(archive, push, 0, gzip.compress(content) if compressed else content)
    assert files(archive) == 0


def test_a_bucket_that_is_a_bomb_or_no_gzip_is_refused(archive: Archive) -> None:
    push = transfers.begin(archive, BUCKETS, INSTANCES, compressed=True)
    for content in (gzip.compress(bytes(50_000_000)), b"no gzip", gzip.compress(CONTENTS[0])[:-10]):
        with pytest.raises(CodedError):
            transfers.receive(archive, push, 0, content)


def test_unknown_transactions_and_buckets_are_told(archive: Archive) -> None:
    push = transfers.begin(archive, BUCKETS, INSTANCES, compressed=False)
    for name in ("", "nope", "x" * 5000, "\0"):
        assert not transfers.receive(archive, name, 0, CONTENTS[0])
        assert not transfers.commit(archive, name, ORIGIN)
        assert not transfers.discard(archive, name)
    assert not transfers.receive(archive, push, 2, CONTENTS[0])
    assert not transfers.receive(archive, push, -1, CONTENTS[0])


def test_senders_that_never_commit_are_forgotten(tmp_path: Path) -> None:
    archive = Archive.open(Settings(storage_directory=tmp_path / "other"))
    try:
        first = transfers.begin(archive, BUCKETS, INSTANCES, compressed=False)
        transfers.receive(archive, first, 0, CONTENTS[0])
        for _ in range(archive.settings.transfers.max_push_transactions):
            transfers.begin(archive, BUCKETS, INSTANCES, compressed=False)
        assert not transfers.receive(archive, first, 1, CONTENTS[1])
        assert files(archive) == 0
    finally:
        archive.close()
