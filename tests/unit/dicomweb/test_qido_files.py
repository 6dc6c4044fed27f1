"""Searches that open files: some are lost or damaged, some are huge, and there may be too many of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb import images
from tests.unit.dicomweb.images import image, item, items, ramp
from tests.unit.dicomweb.searching import ROOT, search, store, values

from ithil.archive import find, headers, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import StorageUnavailable
from ithil.archive.model import Attachment
from ithil.dicom.encoding import Buffer
from ithil.dicom.json_model import Json
from ithil.dicomweb import qido, qido_answer, qido_looking

COMMENTS, ROWS, REFERENCED = "00104000", "00280010", "00081140"
IN_SEQUENCE = "RequestAttributesSequence.ScheduledProcedureStepID=A"


@pytest.fixture
def archive(client: Client) -> Archive:
    """The archive that the client asks."""
    return client.app.context.archive


def _forget(archive: Archive) -> None:
    """Let nothing be answered from memory that has to be read from a file."""
    for path in _files(archive):
        archive.cache.drop(path.name)


def _files(archive: Archive) -> list[Path]:
    """The stored files, the last to be written last."""
    found = [path for path in archive.storage.root.rglob("*") if path.is_file() and len(path.name) == 36]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def _two_studies(client: Client) -> None:
    step = items(item(ScheduledProcedureStepID="A"))
    images.store(client, image(ramp(), PatientComments="x", RequestAttributesSequence=step))
    other = {"study": "1.2.6", "series": "1.2.6.1"}
    images.store(
        client, image(ramp(), "1.2.6.1.1", PatientComments="x", RequestAttributesSequence=step, **other)
    )


# -- files that cannot be read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/studies?PatientComments=x", f"/studies?{IN_SEQUENCE}", f"/instances?{IN_SEQUENCE}"],
)
def test_a_damaged_file_fails_no_search(client: Client, archive: Archive, path: str) -> None:
    _two_studies(client)
    assert len(search(client, path)) == 2
    os.truncate(_files(archive)[-1], 300)
    _forget(archive)
    store(client, PatientID="other")  # so that no answer is known
    assert values(search(client, path), "0020000D") == ["1.2.3"]


@pytest.mark.parametrize(
    "path",
    ["/instances?includefield=all", "/studies?includefield=PatientComments", "/instances"],
)
def test_a_damaged_file_is_a_result_without_what_it_had(client: Client, archive: Archive, path: str) -> None:
    _two_studies(client)
    os.truncate(_files(archive)[-1], 300)
    _forget(archive)
    assert len(search(client, path)) == 2


@pytest.mark.parametrize(
    "path",
    ["/instances", "/studies?includefield=PatientComments", "/instances?PatientComments=x"]
    + [f"/studies?{IN_SEQUENCE}", "/instances?includefield=all"],
)
def test_what_is_missing_for_a_moment_is_not_remembered(client: Client, archive: Archive, path: str) -> None:
    _two_studies(client)
    whole = search(client, path)
    store(client, PatientID="other")
    (file, aside) = (_files(archive)[0], archive.storage.root / "aside")
    file.rename(aside)
    _forget(archive)
    assert search(client, path) != whole
    aside.rename(file)
    again = [one for one in search(client, path) if one["0020000D"]["Value"][0] in ("1.2.3", "1.2.6")]
    assert again == whole


@pytest.mark.parametrize(
    "path",
    ["/instances", "/instances?PatientComments=x", f"/studies?{IN_SEQUENCE}", "/instances?includefield=all"],
)
def test_a_storage_that_is_out_of_order_is_no_empty_result(
    client: Client, archive: Archive, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    _two_studies(client)

    def refuse(*_: object) -> bytes:
        raise StorageUnavailable("out of order")

    with monkeypatch.context() as broken:
        broken.setattr(retrieve, "read", refuse)
        assert client.get(ROOT + path).status_code == 500
    assert len(search(client, path)) == 2


# -- what is long or large -----------------------------------------------------------------------------------


def test_long_texts_are_shown_and_found(client: Client) -> None:
    long, short = {"PatientComments": "y" * 300, "ImageComments": "z" * 300}, {"PatientComments": "y"}
    images.store(client, image(ramp(), **long), image(ramp(), "1.2.3.4.6", **short))
    for fields in ("PatientComments,ImageComments", "all"):
        found = search(client, f"/instances?includefield={fields}")
        assert sorted(map(len, values(found, COMMENTS))) == [1, 300]
        assert sorted(map(len, filter(None, values(found, "00204000")))) == [300]
    assert len(search(client, "/instances?PatientComments=y*")) == 2
    assert len(search(client, "/instances?PatientComments=*y&includefield=all")) == 2


def test_a_document_is_not_read_for_what_only_images_have(
    client: Client, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "LARGEST_READ", 100_000)
    content = b"%PDF" + bytes(1_000_000)
    images.store(client, images.document(images.PDF, content, "application/pdf"), image(ramp()))
    read = []
    whole = retrieve.read

    def count(archive: Archive, file: Attachment, start: int = 0, end: int | None = None) -> bytes:
        found = whole(archive, file, start, end)
        read.append(len(found))
        return found

    opened = []
    start_of_file = headers.start_of_file

    def note(archive: Archive, file: Attachment, offset: int | None) -> Buffer:
        opened.append(file.uncompressed_size)
        return start_of_file(archive, file, offset)

    monkeypatch.setattr(retrieve, "read", count)
    monkeypatch.setattr(headers, "start_of_file", note)
    assert sorted(values(search(client, "/instances"), ROWS), key=bool) == [None, 32]
    assert max(opened) < 1_000_000
    for path in (
        "/instances?includefield=all",
        "/studies?includefield=PatientComments",
        "/instances?PatientComments=x",
    ):
        _forget(archive)
        search(client, path)
    assert max(opened) > 1_000_000
    assert max(read) < 100_000


def test_a_sequence_that_is_too_large_for_a_list_is_left_out(client: Client) -> None:
    many = items(*[item(ReferencedSOPInstanceUID=f"1.2.{number}") for number in range(20_000)])
    few = items(*[item(ReferencedSOPInstanceUID=f"1.2.{number}") for number in range(100)])
    images.store(client, image(ramp(), ReferencedImageSequence=many), image(ramp(), "1.2.3.4.6"))
    images.store(client, image(ramp(), "1.2.3.4.7", ReferencedImageSequence=few))
    for fields in ("ReferencedImageSequence", "all"):
        found = search(client, f"/instances?includefield={fields}")
        assert sorted(len(one.get(REFERENCED, {}).get("Value", ())) for one in found) == [0, 0, 100]


def test_results_with_much_in_them_come_in_small_batches(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = items(*[item(ReferencedSOPInstanceUID=f"1.2.{number}") for number in range(50)])
    for number in range(6):
        images.store(client, image(ramp(), f"1.2.3.4.{number + 5}", ReferencedImageSequence=some))
    sizes = []
    objects = qido_answer.Answers.objects

    def note(self: qido_answer.Answers, keys: list[list[int]]) -> Iterator[list[Json]]:
        for batch in objects(self, keys):
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(qido_answer.Answers, "objects", note)
    monkeypatch.setattr(qido_answer, "HEAVY", 10_000)
    assert len(search(client, "/instances?includefield=ReferencedImageSequence")) == 6
    assert sum(sizes) == 6
    assert max(sizes) < 6


# -- too many files ------------------------------------------------------------------------------------------


def test_a_search_ends_after_a_while_with_what_it_has_found(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        store(client, StudyInstanceUID=f"1.6.{number}", PatientComments="found" if number == 5 else "no")
    monkeypatch.setattr(find, "FILE_BATCH", 1)
    monkeypatch.setattr(qido_looking, "LONGEST", 0.05)
    looked_into = find.file_tags
    slow = [0.1]

    def slowly(*arguments: object) -> dict[int, str]:
        time.sleep(slow[0])
        return looked_into(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(find, "file_tags", slowly)
    path = f"{ROOT}/studies?PatientComments=found&limit=6"
    answer = client.get(path)
    assert values(answer.json(), "0020000D") == ["1.6.5"]
    assert "not all files" in answer.headers["warning"]
    nothing = client.get(f"{ROOT}/studies?PatientComments=other")
    assert nothing.status_code == 413
    assert "index" in nothing.json()["Details"]
    slow[0] = 0
    monkeypatch.setattr(qido_looking, "LONGEST", 60.0)
    assert "warning" not in client.get(path).headers
    assert search(client, "/studies?PatientComments=other") == []


def test_not_all_threads_look_into_files(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event, Thread

    client = make_client(http_threads_count=4)
    store(client, PatientID="1", PatientComments="x")
    looking, go_on = Event(), Event()
    looked_into = find.file_tags

    def held(*arguments: object) -> dict[int, str]:
        looking.set()
        assert go_on.wait(30)
        return looked_into(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(find, "file_tags", held)
    found: list[object] = []
    first = Thread(target=lambda: found.extend(search(client, "/studies?PatientComments=x")))
    first.start()
    try:
        assert looking.wait(30)
        refused = client.get(f"{ROOT}/studies?PatientComments=y")
        assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
        assert len(search(client, "/studies?PatientID=1")) == 1
    finally:
        go_on.set()
        first.join(30)
    assert len(found) == 1
    assert search(client, "/studies?PatientComments=y") == []


def test_an_answer_for_which_files_are_slow_becomes_a_stream(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        images.store(client, image(ramp(), f"1.2.3.4.{number + 5}"))
    assert "content-length" in client.get(f"{ROOT}/instances?limit=5").headers
    monkeypatch.setattr(qido, "SOON", 0.0)
    monkeypatch.setattr(find, "FILE_BATCH", 2)
    for accept in ("application/dicom+json", "text/csv", 'multipart/related; type="application/dicom+xml"'):
        answer = client.get(f"{ROOT}/instances", headers={"Accept": accept})
        assert "content-length" not in answer.headers
        assert answer.text.count("1.2.3.4.9") >= 1
    assert len(search(client, "/instances")) == 5
