"""Instances that are made ready ahead of the network, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data import synthetic
from tests.unit.archive.places import OnSqlite, put_all

from ithil.archive import outgoing
from ithil.archive.archive import Archive
from ithil.archive.outgoing import Outgoing
from ithil.archive.query import Query
from ithil.dicom.level import Level
from ithil.dicom.scan import scan
from ithil.services.payload import Payloads


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with OnSqlite(tmp_path) as place:
        yield place.open(maximum_storage_cache_size=0)


def stored(archive: Archive, count: int) -> list[Outgoing]:
    put_all(archive, *(one.content for one in synthetic.series(count)))
    return [item for batch in outgoing.matching(archive, [Query(Level.STUDY)]) for item in batch]


def content(archive: Archive, taken: object) -> bytes:
    _, payload = taken
    return b"".join(payload.data_set(archive))


def expected(count: int) -> list[bytes]:
    contents = [one.content for one in synthetic.series(count)]
    return [one[scan(one, frozenset()).dataset_offset :] for one in contents]


@pytest.mark.parametrize("early", [0, 1, 2])
def test_each_comes_once_however_often_it_is_drawn(archive: Archive, early: int) -> None:
    payloads = Payloads(archive, iter(stored(archive, 5)), lambda item: item.transfer_syntax)
    found = []
    for taken in payloads:
        found.append(content(archive, taken))
        for _ in range(early):
            payloads.draw()
    assert found == expected(5)


def test_what_goes_wrong_early_is_raised_where_it_is_taken(archive: Archive) -> None:
    def breaking() -> Iterator[Outgoing]:
        yield from stored(archive, 2)
        raise OSError("the index is gone")

    payloads = Payloads(archive, breaking(), lambda item: item.transfer_syntax)
    payloads.draw()
    with pytest.raises(OSError, match="gone"):
        next(payloads)
    with pytest.raises(OSError, match="gone"):
        next(payloads)


def test_a_file_that_has_gone_is_told_with_its_item(archive: Archive) -> None:
    items = stored(archive, 3)
    archive.storage.remove(items[1].file.uuid)
    payloads = Payloads(archive, iter(items), lambda item: item.transfer_syntax)
    errors = [payload.error is not None for _, payload in payloads]
    assert errors == [False, True, False]
