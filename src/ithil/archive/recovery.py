"""What a crash leaves behind, brought to its place: by whoever opens the archive, and by the sweeps of all others.

A process that dies leaves its journal (`intake`). What is recorded there and was not indexed is stored now, as if it
came again; of what was indexed only the files are looked at, since a crash of the machine may have taken those that
were not on the disk yet. Instances that were deleted since have no row that names their file, and stay deleted.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ithil.archive.archive import Archive
from ithil.archive.errors import DataSetMismatch, FileMissing, MissingIdentifier
from ithil.archive.index import intake as former_intake
from ithil.archive.index import journals
from ithil.archive.index.ingest import file_of
from ithil.archive.ingest import Incoming
from ithil.archive.intake import forget_segments, restore
from ithil.archive.journal_records import Noted, read_head
from ithil.archive.set_aside import plain_pieces, set_aside
from ithil.archive.storage import journal
from ithil.archive.storage.journal import Record, Segment
from ithil.dicom.errors import DicomError
from ithil.settings import Settings
from ithil.settings.runtime import Runtime

log = logging.getLogger(__name__)


def open_archive(settings: Settings, runtime: Runtime | None = None) -> Archive:
    """`Archive.open`, with all that was accepted in its place. Raises the same and, for that, StorageFull."""
    archive = Archive.open(settings, runtime)
    try:
        empty_former_intake(archive)
        recover(archive)
    except BaseException:
        archive.close()
        raise
    return archive


def recover(archive: Archive) -> int:
    """Store what processes that are no more had accepted; gives how many instances that were.

    Raises IndexUnavailable, StorageFull, StorageUnavailable; what is left is tried again the next time.
    """
    mine = archive.intake.journal
    if mine is None:
        return 0
    recovered = 0
    for segment in journal.abandoned(mine.folder):
        try:
            recovered += _recover(archive, segment)
        except BaseException:
            os.close(segment.fd)
            raise
        journal.remove(segment)
        journal.sync_folder(mine.folder)
        forget_segments(archive.index, [segment.name])
    if recovered:
        log.warning("%d instances are indexed that a process had accepted when it ended", recovered)
    return recovered


def empty_former_intake(archive: Archive) -> None:
    """Write the files that the version before this one had not made durable. Raises what `recover` does."""
    while archive.intake.journal is not None:
        with archive.index.read() as session:
            row = former_intake.first(session)
        if row is None:
            return
        instance, uuid, content = row
        if content is not None:
            archive.storage.restore(uuid, content)
        archive.index.write(lambda session: former_intake.drop(session, instance))  # noqa: B023


def _recover(archive: Archive, segment: Segment) -> int:
    recovered = 0
    files = []
    done = 0
    for record in journal.records(segment.fd):
        noted = read_head(record.head)
        with archive.index.read() as session:
            if record.number == 0:
                done = journals.done(session, segment.name, record.generation)
            is_there = file_of(session, noted.instance) == noted.uuid
        if is_there:
            if record.content and _is_damaged(archive, noted, record):
                restore(archive.index, archive.storage, record)
            files.append(noted.uuid)
        elif record.number >= done and _store(archive, segment.path.parent, noted, record):
            recovered += 1
    if files and archive.storage.durable:
        archive.storage.sync(files)
    return recovered


def _is_damaged(archive: Archive, noted: Noted, record: Record) -> bool:
    try:
        return archive.storage.read(noted.uuid) != record.content
    except FileMissing:
        return True


def _store(archive: Archive, folder: Path, noted: Noted, record: Record) -> bool:
    """Store an instance that no transaction has added, under a new UUID; whether there is anything to store."""
    incoming = Incoming(
        archive,
        noted.origin,
        provenance=noted.provenance,
        overwrite=noted.overwrite,
        keep_syntax=True,
        arrived=(noted.arrived_at, noted.date),
    )
    try:
        for piece in plain_pieces(archive.storage, noted.uuid, noted.compression, record.content):
            incoming.write(piece)
        incoming.commit()
    except FileMissing:
        return False  # it was refused in the end: the sender knows
    except (DicomError, MissingIdentifier, DataSetMismatch) as error:
        pieces = plain_pieces(archive.storage, noted.uuid, noted.compression, record.content)
        set_aside(folder, noted.uuid, pieces, error)
    finally:
        incoming.discard()
    if not record.content:
        archive.storage.remove(noted.uuid)
    return True
