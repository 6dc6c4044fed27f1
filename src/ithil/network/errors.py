"""What the DICOM network layer raises on purpose.

Bytes from a peer raise `PduError` and nothing else. What happens to an association as a whole (refused,
aborted, lost) is an `AssociationError`. A service that does not want to do what it is asked raises `Refusal`.
None of them quotes what a peer sent, since messages go to logs.
"""

from __future__ import annotations

from enum import IntEnum


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 9.3.8, source 2)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


class NetworkError(Exception):
    """Base of everything this package raises on purpose."""


class PduError(NetworkError):
    """Bytes that are not a PDU, an item or a command set, or one that may not come now.

    `reason` is what the A-ABORT that answers it says.
    """

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE) -> None:
        super().__init__(message)
        self.reason = reason


class ProtocolMisuse(NetworkError):
    """This side asked the association for something its state does not allow. A fault in our own code."""


class AssociationError(NetworkError):
    """The association cannot be had, or is gone."""


class ConnectionFailed(AssociationError):
    """No transport connection could be made: refused, unreachable, timed out, TLS failed."""


class AssociationTimeout(AssociationError):
    """The peer said nothing for longer than we wait."""


class AssociationLost(AssociationError):
    """The transport connection ended without a release or an abort."""


class AssociationReleased(AssociationError):
    """The peer ended the association in order, and we agreed."""


class AssociationAborted(AssociationError):
    """One side aborted (PS3.8 9.3.8). `source` is 0 for the service user, 2 for the service provider."""

    def __init__(self, source: int, reason: int, *, by_peer: bool) -> None:
        side = "the peer" if by_peer else "this side"
        super().__init__(f"association aborted by {side} (source {source}, reason {reason})")
        self.source = source
        self.reason = reason
        self.by_peer = by_peer


class AssociationRefused(AssociationError):
    """The peer answered with A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        kind = "transiently" if result == 2 else "permanently"
        super().__init__(f"association rejected {kind} (source {source}, reason {reason})")
        self.result = result
        self.source = source
        self.reason = reason


class NoAcceptedContext(AssociationError):
    """The peer accepted no presentation context for what is to be sent."""


class Refusal(NetworkError):
    """A service refuses one operation: the DIMSE status that goes into its response, and why.

    `comment` becomes Error Comment (0000,0902), cut to 64 characters; it must hold no patient data.
    """

    def __init__(self, status: int, comment: str = "") -> None:
        super().__init__(comment or f"refused with status {status:04X}H")
        self.status = status
        self.comment = comment
