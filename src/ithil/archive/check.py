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

import sqlalchemy as sa

from ithil.archive import clock, recovery
from ithil.archive.archive import Archive, holds_index_of_orthanc
from ithil.archive.errors import ArchiveError
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.archive.retrieve import verify

MINIMUM_AGE = 3600.0  # seconds
FEW = 10  # orphans that are removed however little the index knows
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
_PAGE_OF_OUTPUTS = Statement(
    sa.select(t.job_outputs.c.job, t.job_outputs.c.name, t.job_outputs.c.uuid)
    .where(
        sa.tuple_(t.job_outputs.c.job, t.job_outputs.c.name)
        > sa.tuple_(sa.bindparam("job"), sa.bindparam("name"))
    )
    .order_by(t.job_outputs.c.job, t.job_outputs.c.name)
    .limit(_PAGE)
)
_Key = tuple[int, ...]  # the id of an instance, or level, resource and content type of another attachment
_NAMED = (
    Statement(sa.select(_i.id).where(_i.id == sa.bindparam("key0"), _i.file_uuid == sa.bindparam("uuid"))),
    Statement(
        sa.select(_a.resource).where(
            _a.level == sa.bindparam("key0"),
            _a.resource == sa.bindparam("key1"),
            _a.content_type == sa.bindparam("key2"),
            _a.uuid == sa.bindparam("uuid"),
        )
    ),
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
    force: bool = False,
    verify_md5: bool = False,
    minimum_age: float = MINIMUM_AGE,
    progress: Callable[[int], None] = lambda files: None,
) -> Report:
    """Compare the index with the storage, optionally reading every file to compare its MD5 sum.

    Raises NotOurStorage instead of removing orphans from a folder that looks like another server's, or if
    they are more than the index knows, as with an index that was lost; `force` removes them all the same.

    `minimum_age` (seconds) is how old a file must be to count as an orphan; `progress` is called with the
    number of files looked at. Raises IndexUnavailable, StorageUnavailable.
    """
    report = Report()
    if remove_orphans and not force and holds_index_of_orthanc(archive.settings):
        raise NotOurStorage(
            "Orthanc's index is in this folder, so the files that Ithil does not know may be Orthanc's: "
            "nothing is removed"
        )
    folder = archive.settings.temporary_directory
    with tempfile.TemporaryDirectory(prefix="ithil-check-", dir=folder) as place:
        files = sqlite3.connect(Path(place) / "files.db", isolation_level=None)
        try:
            files.execute("PRAGMA journal_mode=OFF")
            files.execute("PRAGMA synchronous=OFF")
            files.execute("CREATE TABLE files (uuid TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID")
            _look_for_orphans(archive, files, report, minimum_age)
            if remove_orphans:
                _remove_orphans(archive, files, report, force)
        finally:
            files.close()
    report.files = 0
    for key, attachment in _all_attachments(archive):
        report.files += 1
        _look_at(archive, key, attachment, report, verify_md5)
        if report.files % 1000 == 0:
            progress(report.files)
    return report


class NotOurStorage(ArchiveError):
    """The files in the storage are probably not orphans but belong to somebody else."""


def _look_for_orphans(
    archive: Archive, files: sqlite3.Connection, report: Report, minimum_age: float
) -> None:
    # The files are listed before the index is asked: what arrives in between is known to the index.
    oldest = clock.now()[0] - minimum_age
    files.execute("BEGIN")
    files.executemany(
        "INSERT INTO files VALUES (?, ?)",
        ((uuid, size) for uuid, size, changed in archive.storage.all_files() if changed <= oldest),
    )
    # What only a journal names comes next, since it may be in the index a moment later.
    forget = "DELETE FROM files WHERE uuid = ?"
    files.executemany(forget, ((uuid,) for uuid in recovery.named_files(archive)))
    with archive.index.read() as session:
        waiting = session.all(_WAITING)
    files.executemany(forget, waiting)
    for _, attachment in _all_attachments(archive):
        files.execute(forget, (attachment.uuid,))
        report.files += 1
    # What jobs made for their clients is passing and nobody's loss, but it is no orphan either.
    for uuid in _outputs_of_jobs(archive):
        files.execute(forget, (uuid,))
    files.execute("COMMIT")
    for uuid, size in files.execute("SELECT uuid, size FROM files"):
        report.orphans.add(uuid, size)


def _remove_orphans(archive: Archive, files: sqlite3.Connection, report: Report, force: bool) -> None:
    if not force and report.orphans.count > max(FEW, report.files):
        raise NotOurStorage(
            f"{report.orphans.count} files are not in the index, which names {report.files}: this looks like "
            "a lost or a wrong index, and nothing is removed (use --force if it is not)"
        )
    for (uuid,) in files.execute("SELECT uuid FROM files"):
        archive.storage.remove(uuid)
        report.removed += 1


def _look_at(archive: Archive, key: _Key, attachment: Attachment, report: Report, verify_md5: bool) -> None:
    findings = _fault_of(archive, attachment, report, verify_md5)
    if findings is not None and _is_still_named(archive, key, attachment):
        findings.add(attachment.uuid, attachment.compressed_size)


def _fault_of(archive: Archive, attachment: Attachment, report: Report, verify_md5: bool) -> Findings | None:
    """Where in the report a file belongs; None if nothing is wrong with it."""
    size = archive.storage.size(attachment.uuid)
    if size is None:
        return report.missing
    if size != attachment.compressed_size:
        return report.wrong_size
    if verify_md5:
        try:
            return None if verify(archive, attachment) else report.damaged
        except ArchiveError:
            return report.damaged
    return None


def _keys(key: _Key) -> dict[str, int]:
    return {f"key{number}": value for number, value in enumerate(key)}


def _is_still_named(archive: Archive, key: _Key, attachment: Attachment) -> bool:
    """Whether the index has the file now: it may have been deleted since its page was read."""
    statement = _NAMED[0] if len(key) == 1 else _NAMED[1]
    with archive.index.read() as session:
        return session.one(statement, {**_keys(key), "uuid": attachment.uuid}) is not None


def _all_attachments(archive: Archive) -> Iterator[tuple[_Key, Attachment]]:
    """Every file that the index names, with the key of its row."""
    for statement, width in ((_PAGE_OF_INSTANCES, 1), (_PAGE_OF_ATTACHMENTS, 3)):
        at: _Key = (-1,) * width
        while True:
            with archive.index.read() as session:
                rows = session.all(statement, _keys(at))
            for row in rows:
                yield row[:width], Attachment(*row[width:])
            if len(rows) < _PAGE:
                break
            at = rows[-1][:width]


def _outputs_of_jobs(archive: Archive) -> Iterator[str]:
    """The UUIDs of the files that jobs have left for their clients."""
    job = name = ""
    while True:
        with archive.index.read() as session:
            rows = session.all(_PAGE_OF_OUTPUTS, {"job": job, "name": name})
        yield from (uuid for _, _, uuid in rows)
        if len(rows) < _PAGE:
            return
        job, name = rows[-1][:2]
