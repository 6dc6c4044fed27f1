"""Rejecting instances as IHE's Imaging Object Change Management has it (RAD TF-1 33, RAD TF-3 4.66).

A rejection note is stored in the study, and says which instances were rejected and why; then they are deleted.
The note comes first: if the server dies in between, instances are left that a note tells about, and rejecting
again takes them away. Notes are not rejected themselves, so the history of a study stays.
"""

from __future__ import annotations

from datetime import datetime

from ithil import error_codes as codes
from ithil.archive import headers, ingest, resources
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.index import commitment as rows
from ithil.archive.model import Origin
from ithil.archive.query import Part
from ithil.dicom.level import Level
from ithil.dicom.main_tags import SERIES_INSTANCE_UID
from ithil.edit.rejection_note import (
    CODE_VALUE,
    KEY_OBJECT_SELECTION,
    MODALITY,
    TITLE,
    TITLES,
    Rejected,
    rejection_note,
)
from ithil.error_codes import CodedError

MOST_INSTANCES = 50_000
"""Instances that can be rejected at a time."""

_MODALITY = 0x00080060
_BATCH = 500


def reject(archive: Archive, level: Level, public_id: str, code: str, origin: Origin) -> int:
    """Reject a study, a series or an instance for the reason `code` (one of `TITLES`); gives how many instances.

    None are left but notes of earlier rejections: then there is nothing to reject, and 0. Raises CodedError:
    unknown resource; parameter out of range for too many instances. Raises what ingest and delete raise.
    """
    study = resources.ancestor(archive, level, public_id, Level.STUDY)
    of_study = resources.read(archive, Level.STUDY, study) if study is not None else None
    if level < Level.SERIES:
        below = resources.descendants(archive, level, public_id, Level.SERIES) or []
    else:
        parent = resources.ancestor(archive, level, public_id, Level.SERIES)
        below = [parent] if parent is not None else []
    if of_study is None or not below:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    instances: dict[str, Rejected] = {}
    for series in resources.read_many(archive, Level.SERIES, below, Part(0)):
        wanted = [public_id]
        if level < Level.INSTANCE:
            wanted = resources.descendants(archive, Level.SERIES, series.id, Level.INSTANCE) or []
        if len(instances) + len(wanted) > MOST_INSTANCES:
            raise CodedError(
                codes.PARAMETER_OUT_OF_RANGE, f"At most {MOST_INSTANCES} instances can be rejected at a time"
            )
        found = _identities(archive, wanted, series.main_tags.get(SERIES_INSTANCE_UID, ""))
        if series.main_tags.get(_MODALITY) == MODALITY:
            notes = _notes(archive, [one for one in found if found[one].sop_class == KEY_OBJECT_SELECTION])
            found = {one: each for one, each in found.items() if one not in notes}
        instances |= found
    if not instances:
        return 0
    tags = of_study.patient_main_tags | of_study.main_tags
    note = rejection_note(code, tags, list(instances.values()), datetime.now())
    ingest.store(archive, note, origin, keep_syntax=True)
    return sum(delete(archive, Level.INSTANCE, one) is not None for one in instances)


def _identities(archive: Archive, instances: list[str], series: str) -> dict[str, Rejected]:
    """The UIDs of instances of a series, by their public ids."""
    found: dict[str, Rejected] = {}
    for start in range(0, len(instances), _BATCH):
        batch = instances[start : start + _BATCH]
        with archive.index.read() as session:
            known = rows.identities(session, batch)
        found |= {one: Rejected(series, *known[one]) for one in batch if one in known}
    return found


def _notes(archive: Archive, documents: list[str]) -> frozenset[str]:
    """Which of these Key Object Selection documents are notes of earlier rejections."""
    notes = set()
    for public_id, dataset in headers.read_many(archive, documents):
        code = dataset.find(TITLE, 0, CODE_VALUE)
        if code is not None and bytes(code.value).strip(b" \0").decode("latin-1") in TITLES:
            notes.add(public_id)
    return frozenset(notes)
