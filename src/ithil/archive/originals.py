"""What edits need of the archive: the instances they start from, and what they leave in its books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import edits as rows
from ithil.archive.index.remove import RemovedFile, remove
from ithil.archive.index.statement import Session
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.level import Level

_ANONYMIZED = "AnonymizedPatients"


@dataclass(frozen=True, slots=True)
class Original:
    """An instance that is to be edited. `ids` are its public ids, indexed by `Level`; UIDs as they are."""

    ids: tuple[str, str, str, str]
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    pixel_data_offset: int | None
    file: Attachment


def original(archive: Archive, instance_id: str) -> Original | None:
    """The instance with that public id, None if it is unknown."""
    with archive.index.read() as session:
        row = rows.original(session, instance_id)
    if row is None:
        return None
    patient, study, series, instance, *values = row
    return Original(
        (patient, study, series, instance),
        patient_id=values[0],
        study_uid=values[1],
        series_uid=values[2],
        sop_uid=values[3],
        pixel_data_offset=values[4],
        file=Attachment(DICOM_FILE, *values[5:]),
    )


def next_anonymized_number(archive: Archive) -> int:
    """The number in the name of the next anonymised patient. Raises ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    return archive.index.write(lambda session: rows.next_number(session, _ANONYMIZED))


def tell_once(archive: Archive, changes: Sequence[tuple[str, Level, str]], since: str) -> None:
    """Log changes (kind, level, public id), but those that have been logged since the date `since`."""
    date = clock.now()[1]
    archive.index.write(lambda session: rows.tell_once(session, changes, since, date))


def delete_instances(archive: Archive, instance_ids: Sequence[str]) -> None:
    """Delete instances, and parents that become empty, in one transaction. Unknown ones are passed over."""
    seconds, date = clock.now()

    def work(session: Session) -> list[RemovedFile]:
        files: list[RemovedFile] = []
        for instance_id in instance_ids:
            removed = remove(session, Level.INSTANCE, instance_id, date, seconds)
            files += removed.files if removed is not None else ()
        return files

    for file in archive.index.write(work):
        archive.cache.drop(file.uuid)
