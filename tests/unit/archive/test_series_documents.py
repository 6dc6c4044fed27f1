"""The metadata of a series as one document: always true, built once, kept for all processes, gone with its series."""

from __future__ import annotations

import io
import os
import threading
import time
from typing import Any

import pydicom
import pytest
from tests.unit.archive.documents import ROOT, content, document, kept, numbers, series_row
from tests.unit.archive.places import Place, image, put, put_all

from ithil.archive import delete, link_roots, resources, series_documents
from ithil.archive.archive import Archive
from ithil.archive.errors import FileMissing
from ithil.archive.gzip_pieces import Piece
from ithil.archive.index import series_documents as index
from ithil.archive.index import stability
from ithil.archive.model import DICOM_FILE
from ithil.archive.series_documents import SeriesDocument, Watch, keep_up
from ithil.archive.shared_cache import SharedCache
from ithil.dicom.level import Level
from ithil.settings.dicomweb_options import DicomWeb


def changed(original: bytes, **values: Any) -> bytes:
    data = pydicom.dcmread(io.BytesIO(original))
    for name, value in values.items():
        setattr(data, name, value)
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


def settle(archive: Archive) -> None:
    """As if nothing had come for a long time."""
    later = time.time() + 1000
    archive.index.write(lambda session: stability.settle(session, later, "20260101T000000", 60))


def test_it_has_all_instances_and_is_kept(archive: Archive) -> None:
    results = put_all(archive, *(image(number=number) for number in range(3)))
    found = content(document(archive, results[0].series))
    assert len(found) == 3
    assert found[1]["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Synthetic"}]}
    link = found[1]["7FE00010"]["BulkDataURI"]
    assert link.startswith(f"{ROOT}/studies/2.25.")
    assert link.endswith(f"/instances/{found[1]['00080018']['Value'][0]}/bulk/7fe00010")
    assert kept(archive) == 1


def test_every_process_has_it(place: Place) -> None:
    one, other = place.open(), place.open()
    series = put(one, image()).series
    first = document(one, series)
    assert kept(one) == 1
    file = resources.read_many(other, Level.INSTANCE, resources.list_ids(other, Level.INSTANCE))[0]
    other.storage.remove(file.attachments[DICOM_FILE].uuid)  # so that it cannot be built again
    assert content(document(other, series)) == content(first)


def test_it_follows_what_the_series_holds(archive: Archive) -> None:
    results = put_all(archive, image(number=1), image(number=2))
    series = results[0].series
    assert len(numbers(archive, series)) == 2
    put(archive, image(number=3))
    assert len(numbers(archive, series)) == 3
    delete.delete(archive, Level.INSTANCE, results[0].instance)
    assert len(numbers(archive, series)) == 2
    assert kept(archive) == 1


def test_an_overwritten_instance_is_seen(place: Place) -> None:
    archive = place.open(overwrite_instances="Always")
    series = put(archive, image()).series
    assert numbers(archive, series) != [4711]
    put(archive, changed(image(), InstanceNumber=4711))
    assert numbers(archive, series) == [4711]


def test_links_are_those_of_the_client(archive: Archive) -> None:
    put_all(archive, *(image(number=number) for number in range(3)))
    (series,) = resources.list_ids(archive, Level.SERIES)
    other_root = "https://pacs.example.org/a/b"
    before = content(document(archive, series))
    after = content(document(archive, series, other_root))
    for one, other in zip(before, after, strict=True):
        assert one["7FE00010"]["BulkDataURI"] == other["7FE00010"]["BulkDataURI"].replace(other_root, ROOT)
        del one["7FE00010"], other["7FE00010"]
        assert one == other
    assert kept(archive) == 1


def test_links_are_exchanged_once_for_all_who_come_by_an_address(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = put_all(archive, image(number=1), image(number=2))[0].series
    document(archive, series)
    kept(archive)
    exchanged: list[str] = []
    with_root = series_documents.with_root

    def counted(found: SeriesDocument, root: str) -> SeriesDocument:
        exchanged.append(root)
        return with_root(found, root)

    monkeypatch.setattr(series_documents, "with_root", counted)
    for root in ("http://a", "http://b", "http://a", ROOT, "http://b", "http://a"):
        (first, _) = content(document(archive, series, root))
        assert first["7FE00010"]["BulkDataURI"].startswith(f"{root}/studies/")
    assert sorted(exchanged) == ["http://a", "http://b"]
    put(archive, image(number=3))
    assert len(content(document(archive, series, "http://a"))) == 3
    assert kept(archive) == 1


def test_what_is_kept_with_other_links_is_bounded(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    series = put(archive, image()).series
    document(archive, series)
    assert kept(archive) == 1
    size = document(archive, series).held
    kept_in_memory = SharedCache()
    monkeypatch.setattr(series_documents, "_rerooted", kept_in_memory)
    monkeypatch.setattr(series_documents, "REROOTED", 10 * size)
    for number in range(50):
        document(archive, series, f"http://name-{number}")
    assert 0 < kept_in_memory.size <= 10 * size


def ahead(archive: Archive, number: int) -> str:
    """With what the links of a document begin that is built before anybody asks for it."""
    series = series_row(archive, put(archive, image(series=number)).series)
    series_documents.keep_expected(archive, series)
    with archive.index.read() as session:
        version = series_documents.version_of(archive, series)
        return index.read(session, series.id, version)[0].root


def test_links_are_made_for_the_clients_that_come(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_roots, "expected", link_roots.Expected())
    assert ahead(archive, 1).startswith("http://localhost:")
    series = put(archive, image()).series
    for _ in range(5):
        document(archive, series, "http://pacs/dicom-web")
    document(archive, series, "http://stranger/dicom-web")
    assert ahead(archive, 2) == "http://pacs/dicom-web"
    for _ in range(20):
        document(archive, series, "http://new/dicom-web")
    assert ahead(archive, 3) == "http://new/dicom-web"


@pytest.mark.parametrize(
    ("options", "root"),
    [
        ({"host": "pacs.example.org"}, "http://pacs.example.org/dicom-web"),
        ({"host": "pacs", "ssl": True, "public_root": "/a/b/"}, "https://pacs/a/b"),
    ],
)
def test_links_are_made_for_the_host_that_the_operator_names(
    place: Place, options: dict[str, Any], root: str
) -> None:
    archive = place.open(dicom_web=DicomWeb(**options))
    document(archive, put(archive, image()).series, "http://stranger/dicom-web")
    assert ahead(archive, 1) == root


def test_text_that_looks_like_a_link_stays(archive: Archive) -> None:
    trap = f'"BulkDataURI":"{ROOT}/studies/1'
    series = put(archive, changed(image(), StudyComments=trap)).series
    document(archive, series)
    (found,) = content(document(archive, series, "http://elsewhere"))
    assert found["00324000"]["Value"] == [trap]
    assert found["7FE00010"]["BulkDataURI"].startswith("http://elsewhere/studies/")


def test_it_goes_with_its_series(archive: Archive) -> None:
    result = put(archive, image())
    document(archive, result.series)
    series = series_row(archive, result.series)
    delete.delete(archive, Level.PATIENT, result.patient)
    assert kept(archive) == 0
    assert series_documents.get(archive, series, ROOT) is None


def test_many_who_ask_at_once_share_the_work(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    series = series_row(archive, put_all(archive, *(image(number=n) for n in range(5)))[0].series)
    builds = []
    all_ask = threading.Barrier(6)
    build = series_documents._build

    def slow(*arguments: Any) -> SeriesDocument | None:
        builds.append(1)
        time.sleep(0.2)  # so that the others come while it is built
        return build(*arguments)

    monkeypatch.setattr(series_documents, "_build", slow)
    found: list[SeriesDocument | None] = []

    def ask() -> None:
        all_ask.wait()
        found.append(series_documents.get(archive, series, ROOT))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert len(found) == 6
    assert all(one is not None and len(content(one)) == 5 for one in found)


def test_a_lost_file_is_counted_and_nothing_is_kept(archive: Archive) -> None:
    results = put_all(archive, image(number=1), image(number=2))
    lost = resources.read(archive, Level.INSTANCE, results[0].instance)
    assert lost is not None
    uuid = lost.attachments[DICOM_FILE].uuid
    path = archive.storage.path(uuid)
    os.rename(path, path + ".away")
    archive.cache.drop(uuid)
    found = document(archive, results[0].series)
    assert (found.unreadable, len(content(found))) == (1, 1)
    assert kept(archive) == 0
    os.rename(path + ".away", path)
    assert document(archive, results[0].series).unreadable == 0
    assert kept(archive) == 1


def test_a_series_without_a_readable_file_has_no_pieces(archive: Archive) -> None:
    series = put(archive, image()).series
    for uuid, _, _ in list(archive.storage.all_files()):
        archive.storage.remove(uuid)
        archive.cache.drop(uuid)
    found = document(archive, series)
    assert (found.pieces, found.unreadable) == ((), 1)
    assert isinstance(found.failure, FileMissing)
    assert kept(archive) == 0


def test_a_damaged_document_is_built_anew(archive: Archive) -> None:
    series = series_row(archive, put(archive, image()).series)
    version = series_documents.version_of(archive, series)
    broken = [Piece(b"\xff" * 30, 1, 2)]
    archive.index.write(
        lambda session: index.put(session, series.id, version, "http://elsewhere", broken, time.time())
    )
    assert len(numbers(archive, series.public_id)) == 1


@pytest.mark.parametrize("cache", [True, False])
def test_it_is_kept_only_if_that_is_wanted(place: Place, cache: bool) -> None:
    archive = place.open(dicom_web=DicomWeb(enable_metadata_cache=cache))
    series = put(archive, image()).series
    assert len(numbers(archive, series)) == 1
    assert kept(archive) == int(cache)


def test_it_is_built_when_a_series_is_stable_by_one_process(place: Place) -> None:
    one, other = place.open(), place.open()
    watches = [(one, Watch()), (other, Watch())]
    for archive, watch in watches:
        assert not keep_up(archive, watch, str(id(archive)), 10)
    put_all(one, *(image(series=series, number=n) for series in range(3) for n in range(2)))
    for archive, watch in watches:
        keep_up(archive, watch, str(id(archive)), 10)
    assert kept(one) == 0
    settle(one)
    for archive, watch in watches:
        keep_up(archive, watch, str(id(archive)), 10)
    assert kept(other) == 3


def test_a_sweep_stops_in_time_and_goes_on_later(archive: Archive) -> None:
    watch = Watch()
    keep_up(archive, watch, "me", 10)
    put_all(archive, *(image(series=series) for series in range(3)))
    settle(archive)
    assert keep_up(archive, watch, "me", 0)
    assert kept(archive) == 1
    while keep_up(archive, watch, "me", 10):
        pass
    assert kept(archive) == 3


def test_a_read_only_archive_shows_what_it_holds(place: Place) -> None:
    archive = place.open()
    series = put(archive, image()).series
    reading = place.open(read_only=True)
    assert len(numbers(reading, series)) == 1
    assert not keep_up(reading, Watch(), "me", 10)
    assert kept(archive) == 0
