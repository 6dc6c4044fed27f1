"""The status that each refusal of the archive becomes, that none of them quotes the data set, and instances of
several associations that are stored together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data import synthetic
from tests.unit.services.retrieving import CT

from ithil.archive import errors
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.archive.recovery import open_archive
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import DEFLATED, EXPLICIT_LITTLE
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.messages import Command
from ithil.services.association import ServiceAssociation
from ithil.services.presentation import Presentation
from ithil.services.store import REFUSALS, Reception, finish_all
from ithil.settings import Settings


def status_of(error: Exception) -> int:
    return next(code for kind, code in REFUSALS if isinstance(error, kind))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (DicomError, 0xC000),
        (errors.DataSetMismatch, 0xA900),
        (errors.MissingIdentifier, 0xA900),
        (errors.StorageFull, 0xA700),
        (errors.StorageUnavailable, 0xA700),
        (errors.IndexUnavailable, 0xA700),
        (errors.CommitUncertain, 0xA700),
        (errors.ReadOnly, 0x0124),
        (errors.FileMissing, 0x0110),
    ],
)
def test_statuses(kind: type[Exception], status: int) -> None:
    assert status_of(kind("why")) == status


def test_every_error_of_the_archive_has_a_status() -> None:
    for name in vars(errors).values():
        if isinstance(name, type) and issubclass(name, errors.ArchiveError):
            assert status_of(name("why"))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_archive(Settings(storage_directory=tmp_path))
    yield opened
    opened.close()


def context(syntax: str = EXPLICIT_LITTLE) -> PresentationContext:
    return PresentationContext(1, CT, syntax, local_scu=False, local_scp=True)


def reception(archive: Archive, uid: str, data_set: bytes) -> Reception:
    command = Command(AffectedSOPClassUID=CT, AffectedSOPInstanceUID=uid)
    made = Reception(archive, context(), command, Origin("DicomProtocol", "192.0.2.1", "MODALITY", "ITHIL"))
    made.write([memoryview(data_set)])
    return made


def data_set_of(instance: synthetic.Synthetic) -> bytes:
    """Without preamble and meta information."""
    length = int.from_bytes(instance.content[140:144], "little")
    return instance.content[144 + length :]


def test_of_several_each_gets_its_own_answer(archive: Archive) -> None:
    first, second, third = synthetic.series(3)
    receptions = [
        reception(archive, first.sop_uid, data_set_of(first)),
        reception(archive, second.sop_uid, b"no data set"),
        reception(archive, "1.2.3", data_set_of(third)),  # is not what was announced
        reception(archive, second.sop_uid, data_set_of(second)),
        reception(archive, first.sop_uid, data_set_of(first)),  # as was the first one
    ]
    answers = finish_all(archive, receptions)
    statuses = [each.status if isinstance(each, Refusal) else each for each in answers]
    assert statuses == [(0, ""), 0xC000, 0xA900, (0, ""), None]
    assert receptions[-1].finish() == (0, "")
    with archive.index.read() as session:
        assert session.cursor.execute("SELECT count(*) FROM instances").fetchone() == (2,)
    assert len(list(archive.storage.all_files())) == 2


def test_whoever_has_to_wait_for_a_transaction_does_not_hold_up_others(
    archive: Archive, tmp_path: Path
) -> None:
    first, second, third = synthetic.series(3)
    assert reception(archive, first.sop_uid, data_set_of(first)).finish() == (0, "")
    with archive.index.read():
        pass  # so that it is in the index
    known, new = (reception(archive, each.sop_uid, data_set_of(each)) for each in (first, second))
    writer = sqlite3.connect(tmp_path / "ithil.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert finish_all(archive, [known, new]) == [None, (0, "")]
        # Now what is known is looked for first, which waits for nothing either.
        archive.intake.were_known = True
        another = reception(archive, third.sop_uid, data_set_of(third))
        again = reception(archive, first.sop_uid, data_set_of(first))
        assert finish_all(archive, [again, another]) == [(0, ""), (0, "")]
    finally:
        writer.rollback()
        writer.close()
    assert known.finish() == (0, "")
    with archive.index.read() as session:
        assert session.cursor.execute("SELECT count(*) FROM instances").fetchone() == (3,)
    assert len(list(archive.storage.all_files())) == 3


@pytest.mark.parametrize(
    ("options", "syntax", "is_quick"),
    [
        ({}, EXPLICIT_LITTLE, True),
        ({}, DEFLATED, False),  # 64 KiB of it can be 64 MiB
        ({"ingest_transcoding": EXPLICIT_LITTLE}, EXPLICIT_LITTLE, False),
    ],
)
def test_what_others_may_wait_for(
    options: dict[str, Any], syntax: str, is_quick: bool, tmp_path: Path
) -> None:
    archive = open_archive(Settings(storage_directory=tmp_path, **options))
    association = ServiceAssociation(archive, Presentation(archive.settings))
    assert association.is_quick(context(syntax)) is is_quick
    archive.close()
