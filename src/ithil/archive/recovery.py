"""What a crash leaves behind, brought to its place: by whoever opens the archive, and by the sweeps of all others.

A process that dies leaves its journal (`intake`). What is recorded there and was not indexed is stored now, as if it
came again; of what was indexed only the files are looked at, since a crash of the machine may have taken those that
were not on the disk yet. Instances that were deleted since have no row that names their file, and stay deleted.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from pathlib import Path

from ithil.archive.archive import JOURNAL_FOLDER, Archive
from ithil.archive.errors import (
    ArchiveError,
    DataSetMismatch,
    FileCorrupted,
    FileMissing,
    MissingIdentifier,
    StorageFull,
    StorageUnavailable,
)
from ithil.archive.index import intake as former_intake
from ithil.archive.index import journals
from ithil.archive.index.ingest import file_of
from ithil.archive.index.journals import Position
from ithil.archive.ingest import Incoming
from ithil.archive.intake import restore
from ithil.archive.journal_records import Noted, read_head
from ithil.archive.set_aside import plain_pieces, set_aside
from ithil.archive.storage import segments
from ithil.archive.storage.segments import Record, Segment
from ithil.settings import Settings
from ithil.settings.runtime import Runtime

log = logging.getLogger(__name__)


def open_archive(settings: Settings, runtime: Runtime | None = None) -> Archive:
    """`Archive.open`, with all that was accepted in its place, if there is room for it. Raises the same."""
    archive = Archive.open(settings, runtime)
    try:
        _warn_read_only(archive)
        empty_former_intake(archive)
        recover(archive)
    except (StorageFull, StorageUnavailable) as error:
        # What is stored can be read, and deleted to make room; the sweeps try this again.
        log.error("What a process had accepted when it ended cannot be stored yet: %s", error)
    except BaseException:
        archive.close()
        raise
    return archive


def _warn_read_only(archive: Archive) -> None:
    if archive.settings.read_only and (left := len(named_files(archive))):
        log.warning(
            "%d instances that a process had accepted when it ended are not shown, since the archive is read-only: "
            "start it once without ReadOnly",
            left,
        )


def recover(archive: Archive) -> int:
    """Store what processes that are no more had accepted; gives how many instances that were.

    Raises IndexUnavailable, StorageFull, StorageUnavailable; what is left is tried again the next time.
    """
    mine = archive.intake.journal
    if mine is None:
        return 0
    recovered = 0
    # What came first is stored first, so that it does not replace what came later.
    left = deque(sorted(segments.abandoned(mine.folder), key=lambda segment: segment.generation))
    try:
        while left:
            recovered += _recover(archive, left[0])
            segment = left.popleft()
            segments.remove(segment)
            _forget(archive, segment)
    finally:
        for segment in left:
            os.close(segment.fd)
    if recovered:
        log.warning("%d instances are stored that a process had accepted when it ended", recovered)
    return recovered


def named_files(archive: Archive) -> set[str]:
    """The UUIDs of files that only a journal names, those of processes that live among them."""
    named: set[str] = set()
    positions: dict[str, Position] = {}
    for segment, record in segments.all_records(archive.settings.index_directory / JOURNAL_FOLDER):
        if segment not in positions:
            with archive.index.read() as session:
                positions[segment] = journals.read(session, segment)
        if positions[segment].lacks(record.generation, record.number):
            named.add(read_head(record.head).uuid)
    return named


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
    with archive.index.read() as session:
        position = journals.read(session, segment.name)
    for record in segments.records(segment.fd):
        noted = read_head(record.head)
        with archive.index.read() as session:
            is_there = file_of(session, noted.instance) == noted.uuid
        if is_there:
            if record.content and (archive.intake.lost_writes or _is_damaged(archive, noted, record)):
                restore(archive.index, archive.storage, record)
            files.append(noted.uuid)
        elif position.lacks(record.generation, record.number):
            recovered += _store(archive, segment.path.parent, noted, record)
            # What is deleted from now on must not come back if this has to begin again.
            _advance(archive, segment, record, position)
    archive.index.sync()
    archive.intake.sync_files(files)
    return recovered


def _advance(archive: Archive, segment: Segment, record: Record, position: Position) -> None:
    number = record.number + 1
    done, pending = number, [each for each in position.pending if each >= number]
    if position.generation == record.generation and position.done > number:
        done = position.done
    there = Position(segment.name, record.generation, done, pending)
    archive.index.write(lambda session: journals.write(session, there), durable=False)


def _forget(archive: Archive, segment: Segment) -> None:
    archive.index.write(lambda session: journals.forget(session, [segment.name]), durable=False)


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
        # That of a large one, which was refused in the end; then the sender knows.
        log.warning("An instance that was on its way when a process ended is not stored: its file is gone")
        return False
    except FileCorrupted:
        log.error("A stored file cannot be inflated, so that its instance is not indexed: %s", noted.uuid)
        return False
    except Exception as error:
        if isinstance(error, ArchiveError) and not isinstance(error, (MissingIdentifier, DataSetMismatch)):
            raise
        pieces = plain_pieces(archive.storage, noted.uuid, noted.compression, record.content)
        set_aside(folder, noted.uuid, pieces, error)
    finally:
        incoming.discard()
    archive.storage.remove(noted.uuid)  # a small one has a file too if its transaction was to follow
    return True
