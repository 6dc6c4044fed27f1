"""DIMSE status codes (PS3.7 annex C, service classes of PS3.4) by the names the standard gives them."""

from __future__ import annotations

from typing import Final

SUCCESS: Final = 0x0000
CANCEL: Final = 0xFE00
PENDING: Final = 0xFF00
PENDING_WARNING: Final = 0xFF01
"""Pending, but some optional keys are not supported (PS3.4 C.4.1.1.4)."""

ATTRIBUTE_LIST_ERROR: Final = 0x0107
WARNING_SUBOPERATIONS_FAILED: Final = 0xB000
WARNING_COERCION: Final = 0xB000
WARNING_DATA_SET_DOES_NOT_MATCH: Final = 0xB007
WARNING_ELEMENTS_DISCARDED: Final = 0xB006

NO_SUCH_ATTRIBUTE: Final = 0x0105
INVALID_ATTRIBUTE_VALUE: Final = 0x0106
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_SOP_INSTANCE: Final = 0x0112
NO_SUCH_EVENT_TYPE: Final = 0x0113
NO_SUCH_ARGUMENT: Final = 0x0114
INVALID_ARGUMENT_VALUE: Final = 0x0115
ATTRIBUTE_VALUE_OUT_OF_RANGE: Final = 0x0116
INVALID_SOP_INSTANCE: Final = 0x0117
NO_SUCH_SOP_CLASS: Final = 0x0118
CLASS_INSTANCE_CONFLICT: Final = 0x0119
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_ATTRIBUTE_VALUE: Final = 0x0121
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION: Final = 0x0123
NOT_AUTHORIZED: Final = 0x0124
DUPLICATE_INVOCATION: Final = 0x0210
UNRECOGNIZED_OPERATION: Final = 0x0211
MISTYPED_ARGUMENT: Final = 0x0212
RESOURCE_LIMITATION: Final = 0x0213

OUT_OF_RESOURCES: Final = 0xA700
UNABLE_TO_CALCULATE_MATCHES: Final = 0xA701
UNABLE_TO_PERFORM_SUBOPERATIONS: Final = 0xA702
MOVE_DESTINATION_UNKNOWN: Final = 0xA801
DATA_SET_DOES_NOT_MATCH_SOP_CLASS: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000


def is_pending(status: int) -> bool:
    """Whether more responses follow the one with this status (PS3.7 annex C.1)."""
    return status in (PENDING, PENDING_WARNING)


def is_success(status: int) -> bool:
    """Whether the operation was done, perhaps with a warning (PS3.7 annex C.2, C.3)."""
    return status in (SUCCESS, 0x0001, ATTRIBUTE_LIST_ERROR, ATTRIBUTE_VALUE_OUT_OF_RANGE) or (
        0xB000 <= status <= 0xBFFF
    )
