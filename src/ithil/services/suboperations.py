"""The count of what a C-MOVE or C-GET has done, and the responses that tell it (PS3.4 C.4.2.1.5 to C.4.2.3.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from ithil.archive.outgoing import Outgoing
from ithil.dicom.uids import EXPLICIT_BIG, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.handler import Responder
from ithil.network.messages import Command
from ithil.services.store_user import Sent

_MOST = 0xFFFF  # what the counts, which have two bytes, can say
_LONGEST_LIST = 0xFFFE  # bytes of a UI element with explicit VR


@dataclass(slots=True)
class Tally:
    """Sub-operations by their result. `remaining` starts as the number that was found."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    reason: str = ""  # of the first failure
    _failed_uids: list[str] = field(default_factory=list)
    _failed_size: int = 0

    def add(self, sent: Sent) -> None:
        """Count one sub-operation."""
        # More can have arrived since they were counted.
        self.remaining = max(0, self.remaining - 1)
        if not sent.succeeded:
            self.failed += 1
            self.reason = self.reason or sent.comment
            self._remember(sent.sop_instance)
        elif sent.warned:
            self.warning += 1
        else:
            self.completed += 1

    def fail_rest(self, items: Iterable[Outgoing], reason: str) -> None:
        """Count all that remains as failed; `items` are drawn as long as there is room to name them."""
        self.failed += self.remaining
        self.remaining = 0
        self.reason = self.reason or reason
        for item in items:
            if not self._remember(item.sop_instance):
                return

    def pending(self, request: Command) -> Command:
        """The response while sub-operations remain."""
        response = self._counted(request, status.PENDING)
        response["NumberOfRemainingSuboperations"] = min(self.remaining, _MOST)
        return response

    def finish(
        self, request: Command, responder: Responder, transfer_syntax: str, *, cancelled: bool
    ) -> None:
        """Send the final response. What failed is named in its data set."""
        comment = ""
        if cancelled:
            code = status.CANCEL
        elif not (self.failed or self.warning):
            code = status.SUCCESS
        elif self.completed or self.warning:
            code = status.WARNING_SUBOPERATIONS_FAILED
            comment = self.reason
        else:
            code = status.UNABLE_TO_PERFORM_SUBOPERATIONS
            comment = self.reason
        response = self._counted(request, code)
        if comment:
            response["ErrorComment"] = comment[:64]
        if cancelled:
            response["NumberOfRemainingSuboperations"] = min(self.remaining, _MOST)
        if code == status.SUCCESS:
            responder.send(response)
        else:
            responder.send(response, [_failed_list(self._failed_uids, transfer_syntax)])

    def _counted(self, request: Command, code: int) -> Command:
        response = request.response(code)
        response["NumberOfCompletedSuboperations"] = min(self.completed, _MOST)
        response["NumberOfFailedSuboperations"] = min(self.failed, _MOST)
        response["NumberOfWarningSuboperations"] = min(self.warning, _MOST)
        return response

    def _remember(self, uid: str) -> bool:
        """Keep the UID of a failed instance, if there is room for it."""
        if not uid or self._failed_size + len(uid) + 1 > _LONGEST_LIST:
            return False
        self._failed_uids.append(uid)
        self._failed_size += len(uid) + 1
        return True


def _failed_list(uids: list[str], transfer_syntax: str) -> bytes:
    """Failed SOP Instance UID List (0008,0058), a data set of its own."""
    value = "\\".join(uids).encode("ascii", "replace")
    value += b"\0" * (len(value) & 1)
    if transfer_syntax == IMPLICIT_LITTLE:
        return struct.pack("<HHI", 0x0008, 0x0058, len(value)) + value
    order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
    return struct.pack(order + "HH2sH", 0x0008, 0x0058, b"UI", len(value)) + value
