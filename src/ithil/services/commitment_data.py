"""What goes to and fro for storage commitment: the data sets of N-ACTION and N-EVENT-REPORT (PS3.4 J.3.2, J.3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ithil.archive.commitment import MOST_REFERENCES, Reference
from ithil.dicom.dataset import Dataset, Element
from ithil.edit.values import Value
from ithil.network import status
from ithil.network.errors import Refusal
from ithil.network.messages import Command, CommandField
from ithil.services import data_set

PUSH_MODEL = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The only instance of the SOP class (PS3.4 J.3.5)."""

REQUEST_COMMITMENT = 1
"""The only Action Type (PS3.4 table J.3-1)."""

ALL_COMMITTED, FAILURES_EXIST = 1, 2
"""Event Types (PS3.4 table J.3-2)."""

_TRANSACTION_UID = 0x00081195
_FAILURE_REASON = 0x00081197
_FAILED_SEQUENCE = 0x00081198
_REFERENCED_SEQUENCE = 0x00081199
_SOP_CLASS, _SOP_INSTANCE = 0x00081150, 0x00081155
_LONGEST_UID = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event says: SOP instances that are committed, and the failure reasons of others."""

    transaction: str
    committed: frozenset[str] = frozenset()
    failed: dict[str, int] = field(default_factory=dict)


def request(transaction: str, references: Sequence[Reference], transfer_syntax: str) -> bytes:
    """The Action Information of a request."""
    values: dict[int, Value] = {
        _TRANSACTION_UID: transaction,
        _REFERENCED_SEQUENCE: [_reference(one) for one in references],
    }
    return data_set.encoded(data_set.elements(values), transfer_syntax)


def event(
    transaction: str,
    committed: Sequence[Reference],
    failed: Sequence[tuple[Reference, int]],
    transfer_syntax: str,
) -> bytes:
    """The Event Information of a report."""
    values: dict[int, Value] = {_TRANSACTION_UID: transaction}
    if failed:
        values[_FAILED_SEQUENCE] = [
            {**_reference(one), _FAILURE_REASON: str(reason)} for one, reason in failed
        ]
    if committed or not failed:
        values[_REFERENCED_SEQUENCE] = [_reference(one) for one in committed]
    return data_set.encoded(data_set.elements(values), transfer_syntax)


def event_command(failures: bool) -> Command:
    """The command set of a report."""
    return Command(
        AffectedSOPClassUID=PUSH_MODEL,
        CommandField=CommandField.N_EVENT_REPORT,
        AffectedSOPInstanceUID=WELL_KNOWN_INSTANCE,
        EventTypeID=FAILURES_EXIST if failures else ALL_COMMITTED,
    )


def read_request(found: Dataset) -> tuple[str, list[Reference]]:
    """Transaction UID and instances of a request. Raises Refusal (invalid argument value)."""
    references = list(_references(found.elements, _REFERENCED_SEQUENCE))
    if data_set.items(found.elements, _REFERENCED_SEQUENCE) is None:
        raise Refusal(status.INVALID_ARGUMENT_VALUE, "There is no Referenced SOP Sequence")
    return _transaction(found), [reference for reference, _ in references]


def read_event(found: Dataset) -> Outcome:
    """What a report says. Raises Refusal (invalid argument value)."""
    elements = found.elements
    committed = frozenset(reference[1] for reference, _ in _references(elements, _REFERENCED_SEQUENCE))
    failed = {
        reference[1]: _number(item, found.big_endian)
        for reference, item in _references(elements, _FAILED_SEQUENCE)
    }
    return Outcome(_transaction(found), committed - failed.keys(), failed)


def _reference(reference: Reference) -> dict[int, Value]:
    return {_SOP_CLASS: reference[0], _SOP_INSTANCE: reference[1]}


def _transaction(found: Dataset) -> str:
    uid = data_set.ascii_text(found.elements, _TRANSACTION_UID)
    if not uid or len(uid) > _LONGEST_UID:
        raise Refusal(status.INVALID_ARGUMENT_VALUE, "There is no valid Transaction UID")
    return uid


def _references(elements: Sequence[Element], sequence: int) -> Iterator[tuple[Reference, list[Element]]]:
    items = data_set.items(elements, sequence) or []
    if len(items) > MOST_REFERENCES:
        raise Refusal(status.RESOURCE_LIMITATION, f"More than {MOST_REFERENCES} instances")
    for item in items:
        sop_class = data_set.ascii_text(item, _SOP_CLASS)
        sop_instance = data_set.ascii_text(item, _SOP_INSTANCE)
        if not sop_class or not sop_instance or max(len(sop_class), len(sop_instance)) > _LONGEST_UID:
            raise Refusal(status.INVALID_ARGUMENT_VALUE, "An item does not name a SOP class and instance")
        yield (sop_class, sop_instance), item


def _number(item: Sequence[Element], big_endian: bool) -> int:
    """Failure Reason; one that is absent or damaged is a general failure (0110H)."""
    for element in item:
        if element.tag == _FAILURE_REASON and len(element.value) == 2:
            return int.from_bytes(bytes(element.value), "big" if big_endian else "little")
    return status.PROCESSING_FAILURE
