"""Asking the archive for what is named: single resources, relatives, counts and lookups.

Searches, and lists in batches, are in `archive.find`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import attachments
from ithil.archive.index import read as index
from ithil.archive.index import tables as t
from ithil.archive.index.find_rows import first_instances
from ithil.archive.index.statement import Statement
from ithil.archive.matching import Equal
from ithil.archive.model import Resource, Statistics
from ithil.archive.query import EVERYTHING, Constraint, Part, Query
from ithil.dicom.level import Level
from ithil.dicom.main_tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID

_ACCESSION_NUMBER = 0x00080050


def list_ids(archive: Archive, level: Level, since: int = 0, limit: int = 0) -> list[str]:
    """Public ids of a level in order of arrival, from number `since` on; `limit` 0 means all."""
    with archive.index.read() as session:
        return index.list_ids(session, level, since, limit)


def read(archive: Archive, level: Level, public_id: str) -> Resource | None:
    """One resource with all the index knows of it, or None if it is unknown."""
    found = read_many(archive, level, [public_id])
    return found[0] if found else None


def read_many(
    archive: Archive, level: Level, public_ids: Sequence[str], parts: Part = EVERYTHING
) -> list[Resource]:
    """Several resources of one level in the given order, without those that are unknown.

    `parts` is what is to be read of them beside their main tags and fields.
    """
    with archive.index.read() as session:
        return index.resources(session, level, public_ids, parts)


def indexes_in_series(archive: Archive, series: Sequence[str]) -> dict[str, list[int | None]]:
    """The index that each instance has in its series, by the public id of the series."""
    with archive.index.read() as session:
        return index.indexes_in_series(session, series)


def first_instance(archive: Archive, resource: Resource) -> Resource | None:
    """An instance below a resource, or the resource if it is one; None if it is gone."""
    if resource.level == Level.INSTANCE:
        return resource
    with archive.index.read() as session:
        keys = index.keys_for(session, [resource.id])
        found = first_instances(session, resource.level, keys, by_public_id=True)
        if resource.id not in found:
            return None
        read = index.resources(session, Level.INSTANCE, [found[resource.id][0]])
    return read[0] if read else None


def levels_of(archive: Archive, public_ids: Sequence[str]) -> dict[str, Level]:
    """The level of each of these resources, without those that are unknown."""
    found: dict[str, Level] = {}
    with archive.index.read() as session:
        for start in range(0, len(public_ids), index.CHUNK):
            keys = index.keys_for(session, public_ids[start : start + index.CHUNK])
            for level in Level:
                found.update(dict.fromkeys(index.known(session, level, keys), level))
    return found


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
        found = index.counts(session, level, public_id)
        if found is None or level == Level.INSTANCE:
            return found
        # The counters hold all files; those that are no DICOM files are few, and counted.
        disk, uncompressed = attachments.sizes_below(session, level, public_id)
        return replace(
            found,
            dicom_disk_size=found.disk_size - disk,
            dicom_uncompressed_size=found.uncompressed_size - uncompressed,
        )


_LABELS = Statement(sa.select(t.labels.c.label).distinct().order_by(t.labels.c.label))


def labels(archive: Archive) -> list[str]:
    """All labels that some resource has, sorted."""
    with archive.index.read() as session:
        return sorted(row[0] for row in session.all(_LABELS))


_LOOKED_UP = (
    (Level.PATIENT, PATIENT_ID),
    (Level.STUDY, STUDY_INSTANCE_UID),
    (Level.STUDY, _ACCESSION_NUMBER),
    (Level.SERIES, SERIES_INSTANCE_UID),
    (Level.INSTANCE, SOP_INSTANCE_UID),
)


def lookup(archive: Archive, text: str) -> list[tuple[Level, str]]:
    """Resources that have `text` as PatientID, AccessionNumber or one of the three UIDs.

    PatientID and AccessionNumber are compared without regard to case and accents.
    """
    text = text.strip(" \0\t\r\n").encode("utf-8", "replace").decode()
    if not text or "\0" in text:
        return []  # no value has a NUL, and PostgreSQL does not even take it in a question
    found: dict[tuple[Level, str], None] = {}
    for level, tag in _LOOKED_UP:
        for batch in find.ids(archive, Query(level, (Constraint(tag, Equal(text)),))):
            found.update(dict.fromkeys((level, public_id) for public_id in batch))
    return list(found)


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
