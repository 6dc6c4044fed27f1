"""Modality performed procedure steps (PS3.4 annex F): what was done of what was scheduled.

A step is kept as it came, with what changed since. What a scheduled step is by it follows from these rows, each
time anybody asks, so that it does not matter whether the worklist is a folder or in the index, nor which of the
two came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ithil.archive import clock
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.headers import parse
from ithil.archive.index import performed as rows
from ithil.archive.index.performed import PerformedRow, ReferenceRow
from ithil.archive.index.statement import Session
from ithil.dicom import uids
from ithil.dicom.dataset import Dataset, Element
from ithil.edit.document import Document, write
from ithil.edit.text import UNICODE, character_set_of, make_room

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
STATES = (IN_PROGRESS, COMPLETED, DISCONTINUED)

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest step. One that lists ten thousand images takes about one million."""

_STARTED = "STARTED"
_RANK = {"": 0, DISCONTINUED: 1, COMPLETED: 2, _STARTED: 3}

Scheduled = tuple[str, str]
"""StudyInstanceUID and ScheduledProcedureStepID, which is "" where the performed step does not tell."""


class StepExists(Exception):
    """There is a step with that SOP Instance UID already."""


class StepUnknown(Exception):
    """There is no step with that SOP Instance UID."""


class StepEnded(Exception):
    """The step is completed or discontinued, so that nothing can be changed any more (PS3.4 F.7.2.2.2)."""


class StepTooLarge(Exception):
    """The step would take more than `LARGEST` bytes."""


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """One step as it is now. Times are in seconds since 1970."""

    uid: str
    state: str
    performer: str  # the title of who performs it
    created_at: float
    changed_at: float
    data_set: Dataset


def begin(
    archive: Archive, uid: str, performer: str, elements: Sequence[Element], scheduled: Iterable[Scheduled]
) -> None:
    """Keep a step that is in progress. `elements` are in little endian. Raises StepExists, StepTooLarge, ReadOnly."""
    _check_writable(archive)
    now = clock.now()[0]
    row = PerformedRow(uid, IN_PROGRESS, performer, now, now, _file(elements))
    references = [ReferenceRow(uid, study, step, _STARTED) for study, step in dict.fromkeys(scheduled)]

    def work(session: Session) -> None:
        if rows.read(session, uid) is not None:
            raise StepExists
        rows.insert(session, row, references)

    archive.index.write(work)


def change(
    archive: Archive, uid: str, elements: Sequence[Element], state: str, *, by_mistake: bool = False
) -> None:
    """Set attributes of a step, and its state unless that is "".

    `by_mistake` says that it is discontinued since the wrong item of the worklist was selected, so that what
    was scheduled stays to be done. Raises StepUnknown, StepEnded, StepTooLarge, ReadOnly.
    """
    _check_writable(archive)

    def work(session: Session) -> None:
        row = rows.read(session, uid, to_change=True)
        if row is None:
            raise StepUnknown
        if row.state != IN_PROGRESS:
            raise StepEnded
        now = state or row.state
        present = parse(archive, row.content, whole=True).elements
        scheduled = _STARTED if now == IN_PROGRESS else "" if by_mistake else now
        content = _file(_merged(present, elements, archive.default_encoding))
        rows.update(session, uid, now, content, clock.now()[0], scheduled)

    archive.index.write(work)


def get(archive: Archive, uid: str) -> PerformedStep | None:
    """The step with that SOP Instance UID."""
    with archive.index.read() as session:
        row = rows.read(session, uid)
    if row is None:
        return None
    return PerformedStep(*row[:5], parse(archive, row.content, whole=True))


def of_study(archive: Archive, study_instance_uid: str) -> list[str]:
    """SOP Instance UIDs of the steps that were performed for a study."""
    with archive.index.read() as session:
        return rows.of_study(session, study_instance_uid) if study_instance_uid else []


def states(archive: Archive, studies: Sequence[str]) -> Mapping[Scheduled, str]:
    """What became of the scheduled steps of studies; those that nobody has begun with are left out.

    One that is being performed is STARTED, whatever came of it before; otherwise COMPLETED counts more than
    DISCONTINUED.
    """
    with archive.index.read() as session:
        found = rows.references(session, studies) if studies and rows.is_any(session) else []
    result: dict[Scheduled, str] = {}
    for study, step, state in found:
        if _RANK[state] > _RANK[result.get((study, step), "")]:
            result[study, step] = state
    return result


def _merged(present: list[Element], changes: Sequence[Element], default_encoding: str) -> list[Element]:
    """The elements with changes, all of them in one character set: that of both, or UTF-8."""
    changes = list(changes)
    if not changes:
        return present
    if character_set_of(present) != character_set_of(changes):
        for elements in (present, changes):
            make_room(elements, (), default_encoding, UNICODE)
    found = {element.tag: element for element in (*present, *changes)}
    return [found[tag] for tag in sorted(found)]


def _file(elements: Sequence[Element]) -> bytes:
    content = write(Document(list(elements), uids.EXPLICIT_LITTLE))
    if len(content) > LARGEST:
        raise StepTooLarge
    return content


def _check_writable(archive: Archive) -> None:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
