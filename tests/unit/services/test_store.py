"""The status that each refusal of the archive becomes, and that none of them quotes the data set."""

from __future__ import annotations

import pytest

from ithil.archive import errors
from ithil.dicom.errors import DicomError
from ithil.services.store import REFUSALS


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
