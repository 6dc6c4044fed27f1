"""Labels: words that people and programs put on resources, to find them again."""

from __future__ import annotations

import re

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import labels as rows
from ithil.archive.index.lock import lock
from ithil.archive.index.statement import Session
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def is_valid(label: str) -> bool:
    """Whether a label can be stored: 1 to 64 letters and digits of ASCII, hyphens and underscores."""
    return _LABEL.match(label) is not None


def add(archive: Archive, level: Level, public_id: str, *labels: str) -> None:
    """Put labels on a resource; those that it has already stay.

    Raises CodedError: parameter out of range for what is no label, unknown resource. Raises ReadOnly.
    """
    if not all(map(is_valid, labels)):
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE,
            "A label is made of 1 to 64 letters, digits, hyphens and underscores",
        )
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")

    def work(session: Session) -> None:
        resource = lock(session, level, public_id)
        for label in labels:
            rows.add(session, level, resource, label)

    archive.index.write(work)


def remove(archive: Archive, level: Level, public_id: str, label: str) -> None:
    """Take a label off a resource, if it has it. Raises CodedError (unknown resource), ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")

    def work(session: Session) -> None:
        rows.remove(session, level, lock(session, level, public_id), label)

    archive.index.write(work)
