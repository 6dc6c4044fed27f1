"""Headers of stored files: all before the pixel data, without more of the file in memory than that takes."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from tests.data.datasets import body, element, part10
from tests.unit.archive.places import Place, image, put

from ithil.archive import headers, retrieve
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted, FileMissing
from ithil.archive.model import Attachment
from ithil.dicom.dataset import Dataset

NAME, COMMENTS, DOCUMENT, TYPE = 0x00100010, 0x00324000, 0x00420011, 0x00420012
SIZE = 5 * 1024 * 1024


def large() -> bytes:
    """A document with an element behind it."""
    before = body({NAME: ("PN", b"A^B ")})
    return part10(before + element(DOCUMENT, "OB", bytes(SIZE)) + element(TYPE, "LO", b"application/pdf "))


def stored(archive: Archive, content: bytes) -> Attachment:
    file = retrieve.dicom_file(archive, put(archive, content).instance)
    assert file is not None
    archive.cache.drop(file.uuid)
    return file


def text(parsed: Dataset, tag: int) -> bytes:
    found = parsed.find(tag)
    assert found is not None
    return bytes(found.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_document_is_not_read_into_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    archive = place.open(storage_compression=compressed)
    file = stored(archive, large())
    read: list[int] = []
    whole = retrieve.read

    def counted(*arguments: Any) -> bytes:
        found = whole(*arguments)
        read.append(len(found))
        return found

    monkeypatch.setattr(retrieve, "read", counted)
    parsed = headers.read(archive, file, None)
    assert (text(parsed, NAME), text(parsed, TYPE)) == (b"A^B ", b"application/pdf ")
    document = parsed.find(DOCUMENT)
    assert document is not None
    assert len(document.value) == SIZE
    assert sum(read) == 0
    assert archive.cache.get(file.uuid) is None


def test_a_large_document_that_is_lost_or_cut_off(place: Place) -> None:
    archive = place.open()
    file = stored(archive, large())
    with open(archive.storage.path(file.uuid), "r+b") as target:
        target.truncate(SIZE)
    with pytest.raises(FileCorrupted):
        headers.read(archive, file, None)
    archive.storage.remove(file.uuid)
    with pytest.raises(FileMissing):
        headers.read(archive, file, None)


@pytest.mark.parametrize("keyword", ["PixelData", "FloatPixelData", "DoubleFloatPixelData"])
def test_pixel_data_of_any_kind_has_no_value(archive: Archive, keyword: str) -> None:
    data = pydicom.dcmread(io.BytesIO(image()))
    del data.PixelData
    setattr(data, keyword, bytes(64))
    data[keyword].VR = {"PixelData": "OW", "FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}[keyword]
    file = io.BytesIO()
    data.save_as(file)
    instance = put(archive, file.getvalue()).instance
    ((_, parsed),) = headers.read_many(archive, [instance])
    last = parsed.elements[-1]
    assert (last.tag, last.vr, bytes(last.value)) == (data[keyword].tag, data[keyword].VR, b"")
    assert text(parsed, 0x00080018).rstrip(b"\0").decode() == data.SOPInstanceUID
