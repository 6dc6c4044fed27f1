"""C-FIND by tags that were declared searchable, private ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from tests.unit.archive.places import OnSqlite, image, put
from tests.unit.jobs.conftest import StartEngine, eventually, gated, start_engine  # noqa: F401
from tests.unit.services.finding import find

from ithil.archive import query_tags
from ithil.archive.archive import Archive
from ithil.jobs.kinds.query_tags import IndexQueryTagsKind, declare
from ithil.jobs.model import State
from ithil.network import status


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with OnSqlite(tmp_path) as place:
        yield place.open(dicom_always_allow_find=True)


def private(study: int, value: str, block: int = 0x10) -> bytes:
    dataset = pydicom.dcmread(BytesIO(image(study=study)))
    dataset.add_new((0x0099, block), "LO", "ITHIL TEST")
    dataset.add_new((0x0099, (block << 8) + 0x05), "LO", value)
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def found(archive: Archive, value: str) -> list[str]:
    """The studies that C-FIND finds by the private tag, as it is in the first block."""
    keys = {"00990010": "ITHIL TEST", "00991005": value, "StudyInstanceUID": ""}
    answer = find(archive, "STUDY", **keys)
    assert answer.status == status.SUCCESS
    return list(answer.all("StudyInstanceUID"))


def uid(content: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(content)).StudyInstanceUID)


def test_a_declared_private_tag_finds_studies(
    archive: Archive,
    start_engine: StartEngine,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contents = [private(1, "one"), private(2, "two", block=0x22)]
    put(archive, contents[0])
    job = declare(archive, [query_tags.declaration(archive, "00991005", "LO", "Study", "ITHIL TEST")])
    start_engine(archive, IndexQueryTagsKind())
    eventually(archive, job, State.SUCCESS)
    put(archive, contents[1])
    monkeypatch.setattr("ithil.archive.find._matches_file", lambda *_: pytest.fail("a file was opened"))
    for value, wanted in (("one", contents[:1]), ("two", contents[1:]), ("t*", contents[1:]), ("x", [])):
        assert found(archive, value) == [uid(content) for content in wanted]
