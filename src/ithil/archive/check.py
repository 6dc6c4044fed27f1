"""Comparing the index with the storage: files that no row names, rows whose file is missing or wrong.

Both lists may have tens of millions of entries, so what lies in the folders goes to a temporary SQLite file
from which the index then strikes what it knows; memory stays small. Files younger than an hour are left alone, since
an instance that is being received has its file before its row.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.retrieve import verify

MINIMUM_AGE = 3600.0  # seconds
SHOWN = 1000  # findings of one kind that are kept; the rest are counted
_PAGE = 10_000

_a, _i = t.attachments.c, t.instances.c
_PAGE_OF_INSTANCES = Statement(
    sa.select(_i.id, sa.literal_column(str(DICOM_FILE)), *DICOM_FILE_COLUMNS)
    .where(_i.id > sa.bindparam("key0"))
    .order_by(_i.id)
    .limit(_PAGE)
)
_PAGE_OF_ATTACHMENTS = Statement(
    sa.select(_a.level, _a.resource, _a.content_type, _a.content_type, _a.uuid, _a.compression)
    .add_columns(_a.compressed_size, _a.compressed_md5, _a.uncompressed_size, _a.uncompressed_md5)
    .where(
        sa.tuple_(_a.level, _a.resource, _a.content_type)
        > sa.tuple_(sa.bindparam("key0"), sa.bindparam("key1"), sa.bindparam("key2"))
    )
    .order_by(_a.level, _a.resource, _a.content_type)
    .limit(_PAGE)
)
_WAITING = Statement(sa.select(t.deleted_files.c.uuid))


@dataclass(slots=True)
class Findings:
    """UUIDs of the files concerned, the first `SHOWN` of each kind, and how many there are in all."""

    uuids: list[str] = field(default_factory=list)
    count: int = 0
    size: int = 0  # bytes

    def add(self, uuid: str, size: int = 0) -> None:
        """Count a finding."""
        self.count += 1
        self.size += size
        if len(self.uuids) < SHOWN:
            self.uuids.append(uuid)


@dataclass(slots=True)
class Report:
    """What a check found. `removed` counts orphans that were deleted."""

    files: int = 0
    orphans: Findings = field(default_factory=Findings)
    missing: Findings = field(default_factory=Findings)
    wrong_size: Findings = field(default_factory=Findings)
    damaged: Findings = field(default_factory=Findings)
    removed: int = 0

    @property
    def sound(self) -> bool:
        """Whether every row has its file, whole. Orphans waste room but lose nothing."""
        return not (self.missing.count or self.wrong_size.count or self.damaged.count)


def check(
    archive: Archive,
    *,
    remove_orphans: bool = False,
    verify_md5: bool = False,
    minimum_age: float = MINIMUM_AGE,
    progress: Callable[[int], None] = lambda files: None,
) -> Report:
    """Compare the index with the storage, optionally reading every file to compare its MD5 sum.

    `minimum_age` (seconds) is how old a file must be to count as an orphan; `progress` is called with the
    number of files looked at. Raises IndexUnavailable, StorageUnavailable.
    """
    report = Report()
    folder = archive.settings.temporary_directory
    with tempfile.TemporaryDirectory(prefix="ithil-check-", dir=folder) as place:
        files = sqlite3.connect(Path(place) / "files.db", isolation_level=None)
        try:
            files.execute("PRAGMA journal_mode=OFF")
            files.execute("PRAGMA synchronous=OFF")
            files.execute("CREATE TABLE files (uuid TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID")
            _look_for_orphans(archive, files, report, remove_orphans, minimum_age)
        finally:
            files.close()
    for attachment in _all_attachments(archive):
        report.files += 1
        _look_at(archive, attachment, report, verify_md5)
        if report.files % 1000 == 0:
            progress(report.files)
    return report


def _look_for_orphans(
    archive: Archive, files: sqlite3.Connection, report: Report, remove: bool, minimum_age: float
) -> None:
    # The files are listed before the index is asked: what arrives in between is known to the index.
    oldest = clock.now()[0] - minimum_age
    files.execute("BEGIN")
    files.executemany(
        "INSERT INTO files VALUES (?, ?)",
        ((uuid, size) for uuid, size, changed in archive.storage.all_files() if changed <= oldest),
    )
    with archive.index.read() as session:
        waiting = session.all(_WAITING)
    forget = "DELETE FROM files WHERE uuid = ?"
    files.executemany(forget, waiting)
    files.executemany(forget, ((attachment.uuid,) for attachment in _all_attachments(archive)))
    files.execute("COMMIT")
    for uuid, size in files.execute("SELECT uuid, size FROM files"):
        report.orphans.add(uuid, size)
        if remove:
            archive.storage.remove(uuid)
            report.removed += 1


def _look_at(archive: Archive, attachment: Attachment, report: Report, verify_md5: bool) -> None:
    size = archive.storage.size(attachment.uuid)
    if size is None:
        report.missing.add(attachment.uuid, attachment.compressed_size)
    elif size != attachment.compressed_size:
        report.wrong_size.add(attachment.uuid, attachment.compressed_size)
    elif verify_md5:
        try:
            sound = verify(archive, attachment)
        except ArchiveError:
            sound = False
        if not sound:
            report.damaged.add(attachment.uuid, attachment.compressed_size)


def _all_attachments(archive: Archive) -> Iterator[Attachment]:
    for statement, width in ((_PAGE_OF_INSTANCES, 1), (_PAGE_OF_ATTACHMENTS, 3)):
        at: tuple[Any, ...] = (-1,) * width
        while True:
            with archive.index.read() as session:
                rows = session.all(statement, {f"key{number}": value for number, value in enumerate(at)})
            for row in rows:
                yield Attachment(*row[width:])
            if len(rows) < _PAGE:
                break
            at = rows[-1][:width]
