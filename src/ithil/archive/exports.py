"""The log of exports: what was sent to other servers, if `LogExportedResources` asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.changes import MAXIMUM_LIMIT
from ithil.archive.errors import ReadOnly
from ithil.archive.index import exports as rows
from ithil.archive.index.statement import Session
from ithil.archive.model import Exports
from ithil.dicom.level import Level


def record(archive: Archive, sent: Mapping[str, Level], remote_modality: str) -> None:
    """Note that resources, by id with their levels, were sent to a modality or a peer of that name.

    Does nothing unless `LogExportedResources` is on, or in a read-only archive; what has gone since is passed
    over. Raises IndexUnavailable.
    """
    if not archive.settings.log_exported_resources or archive.settings.read_only:
        return
    _, date = clock.now()
    modality = remote_modality.replace("\0", "")

    def add(session: Session) -> None:
        for public_id, level in sent.items():
            rows.add(session, level, public_id, modality, date)

    archive.index.write(add)


def page(archive: Archive, since: int = 0, limit: int = 100, last: bool = False) -> Exports:
    """Up to `limit` exports after number `since`, or the newest one alone with `last`."""
    with archive.index.read() as session:
        if last:
            return rows.newest(session)
        return rows.page(session, max(0, since), max(0, min(limit, MAXIMUM_LIMIT)))


def clear(archive: Archive) -> None:
    """Forget the log; numbers go on where they were. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    archive.index.write(rows.clear)
