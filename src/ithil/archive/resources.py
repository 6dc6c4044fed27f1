"""Asking the archive what it holds: lists, single resources, relatives, counts and lookups."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import read as index
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.model import Resource, Statistics
from ithil.dicom.level import Level
from ithil.dicom.main_tags import normalise


def list_ids(archive: Archive, level: Level, since: int = 0, limit: int = 0) -> list[str]:
    """Public ids of a level in order of arrival, from number `since` on; `limit` 0 means all."""
    with archive.index.read() as session:
        return index.list_ids(session, level, since, limit)


def read(archive: Archive, level: Level, public_id: str) -> Resource | None:
    """One resource with all the index knows of it, or None if it is unknown."""
    found = read_many(archive, level, [public_id])
    return found[0] if found else None


def read_many(archive: Archive, level: Level, public_ids: Sequence[str]) -> list[Resource]:
    """Several resources of one level in the given order, without those that are unknown."""
    with archive.index.read() as session:
        return index.resources(session, level, public_ids)


def exists(archive: Archive, level: Level, public_id: str) -> bool:
    """Whether there is such a resource."""
    return ancestor(archive, level, public_id, level) is not None


def descendants(archive: Archive, level: Level, public_id: str, at: Level) -> list[str] | None:
    """Public ids at level `at` below a resource, in order of arrival; None if the resource is unknown."""
    with archive.index.read() as session:
        found = index.descendants(session, level, public_id, at)
        # A resource always has children; without any it is unknown.
        return found or None


def ancestor(archive: Archive, level: Level, public_id: str, at: Level) -> str | None:
    """The public id at level `at` above a resource (or the resource itself); None if it is unknown."""
    with archive.index.read() as session:
        return index.ancestor(session, level, public_id, at)


def statistics(
    archive: Archive, level: Level | None = None, public_id: str | None = None
) -> Statistics | None:
    """Counts and sizes of the whole archive, or below one resource (None if it is unknown)."""
    with archive.index.read() as session:
        if level is None or public_id is None:
            return index.totals(session)
        return index.counts(session, level, public_id)


def lookup(archive: Archive, text: str) -> list[tuple[Level, str]]:
    """Resources that have `text` as PatientID, AccessionNumber or one of the three UIDs.

    PatientID and AccessionNumber are compared without regard to case and accents.
    """
    text = text.strip(" \0\t\r\n").encode("utf-8", "replace").decode()
    if "\0" in text:
        return []  # no column has it, and PostgreSQL does not even take it in a question
    with archive.index.read() as session:
        return index.lookup(session, text, normalise(text))


_PROTECT = Statement(
    sa.update(t.patients)
    .where(t.patients.c.public_id == sa.bindparam("patient"))
    .values(protected=sa.bindparam("value"))
)


def set_protected(archive: Archive, public_id: str, protected: bool) -> bool:
    """Protect a patient from recycling, or no more; False if the patient is unknown. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    return bool(
        archive.index.write(lambda session: session.run(_PROTECT, {"patient": public_id, "value": protected}))
    )
