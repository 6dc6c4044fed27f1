"""The modality performed procedure step service class as provider (PS3.4 F.7): N-CREATE and N-SET.

Of what table F.7.2-1 asks for, that is insisted on which says what is performed and how it stands. The rest is
kept as it comes, since modalities differ in it and a refused step is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from ithil.archive import performed, worklist
from ithil.archive.archive import Archive
from ithil.archive.errors import ArchiveError, ReadOnly
from ithil.archive.performed import DISCONTINUED, IN_PROGRESS, STATES, Scheduled
from ithil.dicom.dataset import Dataset, Element
from ithil.dicom.uids import generate_uid
from ithil.dicom.values import clean_text
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.services import data_set as read
from ithil.services.data_set import parsed
from ithil.services.provider import Call, Provider

log = logging.getLogger(__name__)

T = TypeVar("T")

PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"

MAY_NO_LONGER_BE_UPDATED = 0xA710
"""Error ID of an N-SET on a step that has ended (PS3.4 F.7.2.2.2)."""

_SCHEDULED_STEPS = 0x00400270
_STEP_STATUS = 0x00400252
_STUDY_INSTANCE_UID = 0x0020000D
_SCHEDULED_STEP_ID = 0x00400009
_DISCONTINUATION_REASONS = 0x00400281
_CODE_VALUE = 0x00080100
_WRONG_ITEM_SELECTED = "110514"  # of DCM: Incorrect worklist entry selected

_FIXED = frozenset(
    {
        _SCHEDULED_STEPS,
        0x00080060,  # Modality
        0x00100010,  # PatientName
        0x00100020,  # PatientID
        0x00100030,  # PatientBirthDate
        0x00100040,  # PatientSex
        0x00081120,  # ReferencedPatientSequence
        0x00400253,  # PerformedProcedureStepID
        0x00400241,  # PerformedStationAETitle
        0x00400242,  # PerformedStationName
        0x00400243,  # PerformedLocation
        0x00400244,  # PerformedProcedureStepStartDate
        0x00400245,  # PerformedProcedureStepStartTime
    }
)
"""What N-SET must not change (table F.7.2-1)."""

_LONGEST_UID = 64
_LONGEST_STEP_ID = 64
_MOST_SCHEDULED = 100


def handle(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """Serve one N-CREATE or N-SET."""
    if command.sop_class_uid != PERFORMED_PROCEDURE_STEP:
        raise Refusal(status.NO_SUCH_SOP_CLASS)
    if len(command.sop_instance_uid) > _LONGEST_UID:
        raise Refusal(status.INVALID_SOP_INSTANCE)
    found = parsed(
        call.archive,
        call.context.transfer_syntax,
        data_set,
        missing=status.MISSING_ATTRIBUTE,
        unreadable=status.PROCESSING_FAILURE,
    )
    elements = [element for element in found.elements if element.tag & 0xFFFF]
    if found.big_endian:
        elements = [read.little_endian(element) for element in elements]
    if command.field == CommandField.N_CREATE:
        responder.send(_create(call, command, elements))
    else:
        responder.send(_set(call, command, elements, found))


def _create(call: Call, command: Command, elements: list[Element]) -> Command:
    state = read.ascii_text(elements, _STEP_STATUS)
    if not state:
        raise Refusal(status.MISSING_ATTRIBUTE, "PerformedProcedureStepStatus is missing")
    if state != IN_PROGRESS:
        raise Refusal(status.INVALID_ATTRIBUTE_VALUE, f"A new step must be {IN_PROGRESS}")
    scheduled = _scheduled(elements)
    uid = command.sop_instance_uid or generate_uid()
    performer = call.origin.remote_aet
    try:
        _kept(call.archive, lambda archive: performed.begin(archive, uid, performer, elements, scheduled))
    except performed.StepExists:
        raise Refusal(status.DUPLICATE_SOP_INSTANCE) from None
    response = command.response(status.SUCCESS)
    response["AffectedSOPInstanceUID"] = uid
    return response


def _set(call: Call, command: Command, elements: list[Element], found: Dataset) -> Command:
    state = read.ascii_text(elements, _STEP_STATUS)
    if state and state not in STATES:
        raise Refusal(status.INVALID_ATTRIBUTE_VALUE, f"The status must be one of {', '.join(STATES)}")
    refused = tuple(element.tag for element in elements if element.tag in _FIXED)
    changes = [element for element in elements if element.tag not in _FIXED]
    if not state:  # an empty one would otherwise replace what it is
        changes = [element for element in changes if element.tag != _STEP_STATUS]
    mistake = state == DISCONTINUED and _by_mistake(elements, found)
    uid = command.sop_instance_uid
    try:
        _kept(
            call.archive,
            lambda archive: performed.change(archive, uid, changes, state, by_mistake=mistake),
        )
    except performed.StepUnknown:
        raise Refusal(status.NO_SUCH_SOP_INSTANCE) from None
    except performed.StepEnded:
        ended = command.response(
            status.PROCESSING_FAILURE, "Performed Procedure Step Object may no longer be updated"
        )
        ended["ErrorID"] = MAY_NO_LONGER_BE_UPDATED
        return ended
    if not refused:
        return command.response(status.SUCCESS)
    # Done but for these (PS3.7 10.1.3.1.9).
    response = command.response(status.ATTRIBUTE_LIST_ERROR)
    response["AttributeIdentifierList"] = refused
    return response


def _scheduled(elements: list[Element]) -> list[Scheduled]:
    """What is carried out. Raises Refusal if the step does not tell its study."""
    items = read.items(elements, _SCHEDULED_STEPS)
    if items is None:
        raise Refusal(status.MISSING_ATTRIBUTE, "ScheduledStepAttributesSequence is missing")
    if not items:
        raise Refusal(status.MISSING_ATTRIBUTE_VALUE, "ScheduledStepAttributesSequence is empty")
    if len(items) > _MOST_SCHEDULED:
        raise Refusal(status.RESOURCE_LIMITATION, "A step carries out too many scheduled ones")
    found = []
    for item in items:
        study = read.ascii_text(item, _STUDY_INSTANCE_UID)
        if not study:
            raise Refusal(status.MISSING_ATTRIBUTE, "StudyInstanceUID is missing")
        step = next((one for one in item if one.tag == _SCHEDULED_STEP_ID and one.items is None), None)
        name = (
            "" if step is None else clean_text(bytes(step.value), lambda raw: raw.decode("latin-1")).strip()
        )
        if len(study) > _LONGEST_UID or len(name) > _LONGEST_STEP_ID:
            raise Refusal(status.INVALID_ATTRIBUTE_VALUE, "An identifier is too long")
        found.append((study, name))
    return found


def _by_mistake(elements: list[Element], found: Dataset) -> bool:
    """Whether the reason of discontinuation is that the wrong item of the worklist was selected."""
    reasons = read.items(elements, _DISCONTINUATION_REASONS) or []
    return any(read.ascii_text(item, _CODE_VALUE) == _WRONG_ITEM_SELECTED for item in reasons)


def _kept(archive: Archive, work: Callable[[Archive], T]) -> T:
    """Do what writes to the index. Raises Refusal if it cannot be written."""
    try:
        return work(archive)
    except ReadOnly:
        raise Refusal(status.NOT_AUTHORIZED, "The archive is read-only") from None
    except performed.StepTooLarge:
        raise Refusal(status.RESOURCE_LIMITATION, "The step is too large") from None
    except ArchiveError as error:
        log.error("a performed procedure step could not be kept: %s", error)
        raise Refusal(status.PROCESSING_FAILURE, "The step could not be kept") from error


PROVIDER = Provider(
    (PERFORMED_PROCEDURE_STEP,),
    frozenset({CommandField.N_CREATE, CommandField.N_SET}),
    lambda rights: rights.find_worklist,
    handle,
    enabled=worklist.is_enabled,
)
