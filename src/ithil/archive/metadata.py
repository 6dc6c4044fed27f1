"""Setting and deleting metadata: short texts that hang on a resource under a number."""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import metadata as rows
from ithil.archive.index.changelog import Entry, record
from ithil.archive.index.lock import lock
from ithil.archive.index.statement import Session
from ithil.archive.model import FIRST_OF_USERS, MetadataValue
from ithil.archive.revisions import Version, md5_of, require
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest value (UTF-8): all of them are read with their resource."""


def put(
    archive: Archive, level: Level, public_id: str, number: int, value: str, expected: Version | None = None
) -> MetadataValue:
    """Set a metadata; gives what is stored now.

    Raises CodedError: unknown resource; revision (409) if what is there is not the expected version, or none
    was given and `CheckRevisions` asks for one; bad request for what is no storable text. Raises ReadOnly.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    if "\0" in value:
        raise CodedError(codes.BAD_REQUEST, "A metadata cannot hold NUL characters")
    if len(value) > LARGEST or len(value.encode("utf-8", "replace")) > LARGEST:
        raise CodedError(codes.BAD_REQUEST, "The metadata is too long", status=413)
    _, date = clock.now()

    def work(session: Session) -> MetadataValue:
        resource = lock(session, level, public_id)
        stored = rows.get(session, level, resource, number)
        if stored is not None:
            require(archive.settings, expected, version(stored))
        entry = MetadataValue(value, stored.revision + 1 if stored is not None else 0)
        rows.put(session, level, resource, number, entry)
        _log(session, level, resource, public_id, number, date)
        return entry

    return archive.index.write(work)


def delete(
    archive: Archive, level: Level, public_id: str, number: int, expected: Version | None = None
) -> None:
    """Delete a metadata that was set. Raises what `put` raises, and unknown resource if it is not there."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    _, date = clock.now()

    def work(session: Session) -> None:
        resource = lock(session, level, public_id)
        stored = rows.get(session, level, resource, number)
        if stored is None:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        require(archive.settings, expected, version(stored))
        rows.delete(session, level, resource, number)
        _log(session, level, resource, public_id, number, date)

    archive.index.write(work)


def version(entry: MetadataValue) -> Version:
    """The version of a stored metadata."""
    return Version(entry.revision, md5_of(entry.value))


def _log(session: Session, level: Level, resource: int, public_id: str, number: int, date: str) -> None:
    if number >= FIRST_OF_USERS:
        record(session, [Entry("UpdatedMetadata", level, resource, public_id)], date)
