"""Documents are served before they are kept: no answer waits for that or fails of it, and little is held."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.unit.archive.documents import ROOT, content, document, kept, numbers, series_row
from tests.unit.archive.places import Place, image, put, put_all
from tests.unit.archive.recount import rows

from ithil import error_codes as codes
from ithil.archive import delete, series_documents
from ithil.archive.archive import Archive
from ithil.archive.errors import IndexUnavailable, StorageFull
from ithil.archive.gzip_pieces import FreshPiece
from ithil.archive.index import series_documents as index
from ithil.archive.series_documents import SeriesDocument
from ithil.dicom.level import Level
from ithil.error_codes import CodedError


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Documents are not written to the index before this is set."""
    opened = threading.Event()
    write = index.put

    def held_back(*arguments: Any) -> None:
        opened.wait(20)
        write(*arguments)

    monkeypatch.setattr(index, "put", held_back)
    yield opened
    opened.set()


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def put(*_arguments: Any) -> None:
        raise error

    monkeypatch.setattr(index, "put", put)


def test_it_is_served_before_it_is_kept(archive: Archive, gate: threading.Event) -> None:
    series = put_all(archive, *(image(number=number) for number in range(3)))[0].series
    first = document(archive, series)
    assert document(archive, series) is first
    assert archive.keeper.unfinished == 1
    assert len(content(first)) == 3
    gate.set()
    assert kept(archive) == 1
    later = document(archive, series)
    assert later is not first
    assert content(later) == content(first)


@pytest.mark.parametrize(
    "error",
    [StorageFull("full"), IndexUnavailable("gone"), CodedError(codes.BAD_REQUEST), ValueError("Müller")],
)
def test_what_cannot_be_kept_is_served_all_the_same(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    series = put_all(archive, image(number=1), image(number=2))[0].series
    with monkeypatch.context() as broken:
        fail(broken, error)
        for _ in range(2):
            assert len(numbers(archive, series)) == 2
            assert kept(archive) == 0
        with pytest.raises(type(error)):
            series_documents.keep(archive, series_row(archive, series), ROOT)
    assert "cannot be kept" in caplog.text
    assert "Müller" not in caplog.text
    assert len(numbers(archive, series)) == 2
    assert kept(archive) == 1


def test_who_needs_it_kept_gets_it_kept_though_it_is_being_served(archive: Archive) -> None:
    busy = threading.Event()
    assert archive.keeper.take(lambda: assert_set(busy), 0, 1)
    series = put(archive, image()).series
    first = document(archive, series)
    series_documents.keep(archive, series_row(archive, series), ROOT)
    before = rows(archive, "series_documents")
    assert len(before) == 1
    busy.set()
    assert kept(archive) == 1
    assert rows(archive, "series_documents") == before
    assert content(first) == content(document(archive, series))


def assert_set(event: threading.Event) -> None:
    assert event.wait(20)


def test_what_came_before_it_was_kept_is_seen(archive: Archive) -> None:
    busy = threading.Event()
    assert archive.keeper.take(lambda: assert_set(busy), 0, 1)
    series = put_all(archive, image(number=1), image(number=2))[0].series
    old = document(archive, series)
    put(archive, image(number=3))
    assert len(numbers(archive, series)) == 3
    busy.set()
    assert kept(archive) == 1
    assert len(content(old)) == 2
    assert len(numbers(archive, series)) == 3


def test_a_series_that_goes_before_it_is_kept(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    busy = threading.Event()
    assert archive.keeper.take(lambda: assert_set(busy), 0, 1)
    result = put(archive, image())
    document(archive, result.series)
    delete.delete(archive, Level.SERIES, result.series)
    busy.set()
    assert kept(archive) == 0
    assert "cannot be kept" not in caplog.text


def test_an_archive_is_closed_while_documents_wait(place: Place, gate: threading.Event) -> None:
    archive = place.open()
    stored = put_all(archive, *(image(series=number) for number in range(3)))
    for one in stored:  # the index can be read while the keeper writes
        document(archive, one.series)
    closing = threading.Thread(target=archive.close)
    closing.start()
    deadline = time.monotonic() + 20
    while not archive.keeper._closed:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    gate.set()
    closing.join(20)
    assert not closing.is_alive()
    assert archive.keeper.unfinished == 0
    assert not archive.keeper.take(lambda: None, 0, 1)
    gc.collect()
    assert not series_documents._unsaved
    assert kept(place.open()) <= 1  # what was being stored; the others were dropped


def test_nothing_is_held_when_it_is_kept(archive: Archive) -> None:
    found = document(archive, put(archive, image()).series)
    assert kept(archive) == 1
    assert all(isinstance(piece, FreshPiece) and piece.text is None for piece in found.pieces)
    assert found.held == found.compressed_size > 0
    assert len(content(found)) == 1  # a slow reader has what it was given
    is_there = weakref.ref(found)
    del found
    gc.collect()
    assert is_there() is None


def test_the_text_that_is_held_is_bounded(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    series = put_all(archive, *(image(number=number) for number in range(6)))[0].series
    whole = content(document(archive, series))
    size = sum(piece.size for piece in document(archive, series).pieces)
    gate.set()
    kept(archive)
    gate.clear()
    archive.index.write(lambda session: session.run(index._DROP, {"series": series_row(archive, series).id}))
    monkeypatch.setattr(series_documents, "PIECE", 1)
    monkeypatch.setattr(series_documents, "LARGEST_FRESH", size // 2)
    busy = threading.Event()
    assert archive.keeper.take(lambda: assert_set(busy), 0, 1)
    found = document(archive, series)
    texts = [piece.size for piece in found.pieces if isinstance(piece, FreshPiece)]
    assert 0 < sum(texts) <= size // 2
    assert content(found) == whole
    busy.set()
    gate.set()
    assert kept(archive) == 6
    assert content(document(archive, series)) == whole


def test_there_is_no_more_waiting_than_there_is_room_for(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_documents, "MOST_WAITING", 0)
    busy = threading.Event()
    assert archive.keeper.take(lambda: assert_set(busy), 1, 1)
    series = put(archive, image()).series
    found = document(archive, series)
    assert archive.keeper.unfinished == 1
    assert found.is_compressed
    busy.set()
    assert kept(archive) == 0
    assert content(document(archive, series)) == content(found)
    assert kept(archive) == 1


def test_who_waits_for_it_to_be_kept_may_wait_for_one_who_does_not(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_row(archive, put(archive, image()).series)
    is_building = threading.Event()
    build = series_documents._build

    def slow(*arguments: Any) -> SeriesDocument | None:
        is_building.set()
        time.sleep(0.2)
        return build(*arguments)

    monkeypatch.setattr(series_documents, "_build", slow)
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(series_documents.get, archive, series, ROOT)
        is_building.wait()
        series_documents.keep(archive, series, ROOT)
        assert len(rows(archive, "series_documents")) == 1
        assert served.result() is not None
