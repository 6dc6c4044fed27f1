"""The metadata documents of series, as tests look at them."""

from __future__ import annotations

import time
from typing import Any

import orjson
from tests.unit.archive.recount import rows

from ithil.archive import series_documents
from ithil.archive.archive import Archive
from ithil.archive.gzip_pieces import inflate
from ithil.archive.index.series_documents import SeriesRow
from ithil.archive.series_documents import SeriesDocument
from ithil.dicom.level import Level

ROOT = "http://server/dicom-web"
Json = dict[str, Any]


def series_row(archive: Archive, public_id: str) -> SeriesRow:
    (found,) = series_documents.series_of(archive, Level.SERIES, public_id)
    return found


def document(archive: Archive, public_id: str, root: str = ROOT) -> SeriesDocument:
    found = series_documents.get(archive, series_row(archive, public_id), root)
    assert found is not None
    return found


def content(found: SeriesDocument) -> list[Json]:
    text = b",".join(inflate(piece) for piece in found.pieces)
    result: list[Json] = orjson.loads(b"[" + text + b"]")
    return result


def numbers(archive: Archive, public_id: str) -> list[int]:
    return [one["00200013"]["Value"][0] for one in content(document(archive, public_id))]


def kept(archive: Archive) -> int:
    """How many pieces there are when nothing waits any more."""
    end = time.monotonic() + 20
    while archive.keeper.unfinished:
        assert time.monotonic() < end
        time.sleep(0.005)
    return len(rows(archive, "series_documents"))
