"""Deleting resources: the rows at once, the files soon after by a sweep (see `archive.sweeps`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ithil.archive import clock, resources
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


def delete_many(archive: Archive, public_ids: Iterable[str]) -> int:
    """Delete resources of any level, one after the other; gives how many there were.

    Those that are unknown, or have gone with their parents, are passed over. Raises what `delete` raises.
    """
    deleted = 0
    for public_id in public_ids:
        # An identifier is a hash over all identifiers down to its level, so it has one level.
        level = next((at for at in Level if resources.exists(archive, at, public_id)), None)
        if level is not None and delete(archive, level, public_id) is not None:
            deleted += 1
    return deleted
