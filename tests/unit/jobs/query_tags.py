"""Instances with values for query tags, declarations of them, and what the index finds by them alone."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa
from tests.unit.archive.places import image

from ithil.archive import find, query_tags
from ithil.archive.archive import Archive
from ithil.archive.errors import StorageUnavailable
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.matching import Question
from ithil.archive.query import Constraint, Query
from ithil.dicom.level import Level
from ithil.jobs.kinds.query_tags import declare

AGE, WEIGHT = 0x00101010, 0x00101030


_COUNT = Statement(sa.select(sa.func.count()).select_from(t.query_tag_values))


def aged(number: int, age: str = "010Y", **values: Any) -> bytes:
    """An instance of a study of its own."""
    dataset = pydicom.dcmread(BytesIO(image(study=number)))
    dataset.PatientAge = age
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def declared(archive: Archive, path: str = "PatientAge", level: str = "Study") -> str:
    return declare(archive, [query_tags.declaration(archive, path, "", level, "")])


def ids(archive: Archive, tag: int, match: Question, level: Level = Level.STUDY, **options: Any) -> list[str]:
    """What the index alone finds, without a look into files."""
    query = Query(level, (Constraint(tag, match, **options),), open_files=False)
    return sorted(public_id for batch in find.ids(archive, query) for public_id in batch)


def values(archive: Archive) -> int:
    with archive.index.read() as session:
        row = session.one(_COUNT)
    assert row is not None
    return int(row[0])


def fails_at(monkeypatch: pytest.MonkeyPatch, *times: int) -> list[int]:
    """Have the storage be away when a file is looked at for the n-th time; gives a list that counts."""
    monkeypatch.setattr("ithil.jobs.kinds.query_tags.BATCH", 2)
    monkeypatch.setattr("ithil.jobs.kinds.query_tags._PAUSE", 0.01)
    looked: list[int] = []
    look = query_tags.of_stored

    def fragile(*arguments: Any) -> Any:
        looked.append(1)
        if len(looked) in times:
            raise StorageUnavailable("The storage is away")
        return look(*arguments)

    monkeypatch.setattr(query_tags, "of_stored", fragile)
    return looked
