"""What a workitem must be like: the rules of PS3.4 table CC.2.5-3, and those of its states (CC.1.1).

The table says for each attribute whether it is needed when a workitem is created, whether it may be changed
later, and whether it is needed before the workitem can end. Attributes that a creator must send but may send
empty are filled in empty instead of refusing him, and he is told that; so are those that the table leaves to
this server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Final

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError, ReadOnly
from ithil.archive.workitems_model import Attributes, has_value, items, put, text, values
from ithil.dicom.dictionary import tag_name, tag_vr
from ithil.error_codes import CodedError

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
ENDED: Final = (COMPLETED, CANCELED)

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
"""The SOP class that every workitem is of, whichever of the classes it came by (PS3.4 CC.3.1)."""

SOP_CLASS, SOP_INSTANCE, AFFECTED_INSTANCE = "00080016", "00080018", "00001000"
TRANSACTION_UID = "00081195"
STATE, READINESS = "00741000", "00404041"
PRIORITY, LABEL, WORKLIST_LABEL, START = "00741200", "00741204", "00741202", "00404005"
MODIFIED = "00404010"
PROGRESS_INFORMATION, PERFORMED = "00741002", "00741216"
STATION_NAME, PERFORMERS = "00404025", "00404034"
CANCELLATION_TIME, REASON, REASON_CODES = "00404052", "00741238", "0074100E"
PATIENT_ID, STUDY = "00100020", "0020000D"

_NEEDED: Final = (PRIORITY, LABEL, START, READINESS, STATE)
_MAY_BE_EMPTY: Final = (
    *("00741210", STATION_NAME, "00404026", "00404027", "00404018", "00400400", "00404021"),
    *("00100010", PATIENT_ID, "00100021", "00100024", "00101002", "00100030", "00100040"),
    *("00380010", "00380014", "00081080", "00081084", "0040A370", PROGRESS_INFORMATION, PERFORMED),
)
_TERMS: Final = {
    PRIORITY: ("HIGH", "MEDIUM", "LOW"),
    READINESS: ("INCOMPLETE", "UNAVAILABLE", "READY"),
}
_FIXED: Final = frozenset(
    {
        *(SOP_CLASS, SOP_INSTANCE, STATE, "00741224", "0040A370"),
        *("00100010", PATIENT_ID, "00100021", "00100024", "00100030", "00100040"),
        *("00380010", "00380014", "00081080", "00081084"),
    }
)
"""What cannot be changed any more once the workitem is there."""

_CODES: Final = (STATION_NAME, "00404026", "00404027", "00404018")
_PERFORMED_NEEDED: Final = ("00404028", "00404050", "00404019", "00404051", "00404033")
_DATE_TIME = re.compile(r"[0-9]{4,14}(?:\.[0-9]{1,6})?(?:[+-][0-9]{4})?\Z")


_LONGEST: Final = {PATIENT_ID: 64}
"""Characters of values by which workitems are found, as PS3.5 6.2 allows them: databases index no longer ones."""


class Reason(Enum):
    """Why something cannot be done with a workitem or a subscription; each skin has its own words for it."""

    NOT_FOUND = auto()
    SUBSCRIPTION_NOT_FOUND = auto()
    ALREADY_EXISTS = auto()
    OTHER_UID = auto()
    """The request names another workitem than what it sends."""
    NOT_SCHEDULED = auto()
    ENDED = auto()
    WRONG_STATE = auto()
    NO_SUCH_STATE = auto()
    ALREADY_COMPLETED = auto()
    INCOMPLETE = auto()
    """What must be known at the end is not."""
    UID_MISSING = auto()
    UID_INCORRECT = auto()
    NOT_CLAIMED = auto()
    TOO_LARGE = auto()
    TOO_MANY_SUBSCRIBERS = auto()
    TOO_MANY_WORKLIST_SUBSCRIBERS = auto()


class WorkitemRefused(ArchiveError):
    """A refusal by the rules of workitems. `details` may say more than the reason."""

    def __init__(self, reason: Reason, details: str = "") -> None:
        super().__init__(details or reason.name)
        self.reason = reason
        self.details = details


def check_writable(archive: Archive) -> None:
    """Raises ReadOnly for an archive that is."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")


def check_new(attributes: Attributes) -> None:
    """Whether a workitem can be created with these attributes. Raises CodedError, WorkitemRefused."""
    missing = [tag for tag in _NEEDED if not has_value(attributes, tag)]
    if missing:
        raise _refused(f"A workitem needs {_names(missing)}")
    if text(attributes, STATE) != SCHEDULED:
        raise WorkitemRefused(Reason.NOT_SCHEDULED)
    if has_value(attributes, TRANSACTION_UID):
        raise _refused("A workitem that nobody has claimed has no TransactionUID")
    filled = [tag for tag in (PROGRESS_INFORMATION, PERFORMED) if items(attributes, tag)]
    if filled:
        raise _refused(f"{_names(filled)} must be empty when a workitem is created")
    _check_values(attributes)


def complete(attributes: Attributes, worklist: str) -> bool:
    """Fill in what a creator may leave to this server; whether there was anything he should have sent."""
    added = False
    for tag in _MAY_BE_EMPTY:
        if tag not in attributes:
            put(attributes, tag)
            added = True
    if not has_value(attributes, WORKLIST_LABEL):
        put(attributes, WORKLIST_LABEL, worklist)
        added = True
    return added


def check_changes(present: Attributes, changes: Attributes) -> None:
    """Whether a workitem can be changed like that. Raises CodedError (bad request)."""
    fixed = [tag for tag in changes if tag in _FIXED and changes[tag] != present.get(tag)]
    if fixed:
        raise _refused(f"{_names(fixed)} of a workitem cannot be changed")
    emptied = [
        tag
        for tag in (PRIORITY, LABEL, WORKLIST_LABEL, START, READINESS)
        if tag in changes and not has_value(changes, tag)
    ]
    if emptied:
        raise _refused(f"{_names(emptied)} of a workitem cannot be empty")
    _check_values(changes)


def check_final(attributes: Attributes, state: str) -> None:
    """Whether a workitem is complete enough to end (PS3.4 CC.2.5.1.1). Raises WorkitemRefused."""
    missing = [tag for tag in (PRIORITY, LABEL, START, READINESS) if not has_value(attributes, tag)]
    if state == COMPLETED:
        performed = items(attributes, PERFORMED)
        if not performed:
            missing.append(PERFORMED)
        missing += _lacking(performed, _PERFORMED_NEEDED)
    else:
        progress = items(attributes, PROGRESS_INFORMATION)
        if not progress:
            missing.append(PROGRESS_INFORMATION)
        missing += _lacking(progress[-1:], (CANCELLATION_TIME, REASON_CODES))
    if missing:
        raise WorkitemRefused(
            Reason.INCOMPLETE,
            f"Before the workitem can be {state} it needs {_names(dict.fromkeys(missing))}",
        )


def _lacking(found: Sequence[Attributes], tags: Iterable[str]) -> list[str]:
    return [tag for tag in tags if any(not has_value(item, tag) for item in found)]


def _check_values(attributes: Attributes) -> None:
    for tag, allowed in _TERMS.items():
        if tag in attributes and text(attributes, tag) not in allowed:
            raise _refused(f"{_names([tag])} must be one of {', '.join(allowed)}")
    for tag, longest in _LONGEST.items():
        if any(len(str(value)) > longest for value in values(attributes, tag)):
            raise _refused(f"{_names([tag])} can have {longest} characters")
    for tag in (START, "00404011", "00404008"):
        if any(not _DATE_TIME.match(str(value).strip()) for value in values(attributes, tag)):
            raise _refused(f"{_names([tag])} must be a date and time such as 20260131093000")
    for tag in _CODES:
        for item in items(attributes, tag):
            if not any(has_value(item, code) for code in ("00080100", "00080119", "00080120")):
                raise _refused(f"Each item of {_names([tag])} needs a CodeValue")
    for item in items(attributes, "0040A370"):
        if not has_value(item, STUDY):
            raise _refused("Each item of ReferencedRequestSequence needs a StudyInstanceUID")
    for tag in attributes:
        if tag_vr(int(tag, 16)) == "SQ" and attributes[tag]["vr"] != "SQ":
            raise _refused(f"{_names([tag])} must be a sequence")


def _names(tags: Iterable[str]) -> str:
    return ", ".join(tag_name(int(tag, 16)) for tag in tags)


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)
