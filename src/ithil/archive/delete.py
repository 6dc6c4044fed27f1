"""Deleting resources: the rows at once, the files soon after by a sweep (see `archive.sweeps`)."""

from __future__ import annotations

from dataclasses import dataclass

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index.remove import remove
from ithil.dicom.level import Level


@dataclass(frozen=True, slots=True)
class Deleted:
    """`remaining_ancestor` is the nearest parent that still exists; parents without children go too."""

    remaining_ancestor: tuple[Level, str] | None


def delete(archive: Archive, level: Level, public_id: str) -> Deleted | None:
    """Delete a resource and all below it; None if it is unknown. Raises ReadOnly, IndexUnavailable."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    seconds, date = clock.now()
    removed = archive.index.write(lambda session: remove(session, level, public_id, date, seconds))
    if removed is None:
        return None
    for file in removed.files:
        archive.cache.drop(file.uuid)
    return Deleted(removed.remaining_ancestor)
