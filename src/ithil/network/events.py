"""What an `Association` reports to the driver that feeds it: each event is a small immutable value.

The views in `DataReceived` point into the buffer that was passed to `receive_data`. They are valid until the
driver fills that buffer again, so a consumer writes them out or copies them before it returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ithil.network.messages import Command
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateRequested:
    """A peer asks for an association; answer with `accept` or `reject`."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateAccepted:
    """The peer accepted ours; `Association.contexts` is filled."""

    accept: AssociateAccept


@dataclass(frozen=True, slots=True)
class AssociateRejected:
    """The peer rejected ours, or this core rejected the peer's before anyone had to look at it."""

    reject: AssociateReject
    by_peer: bool


@dataclass(frozen=True, slots=True)
class MessageStarted:
    """A whole command set arrived. Data of its data set follow, if it has one, and always MessageComplete."""

    context_id: int
    command: Command


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Parts of the current message's data set, in order."""

    views: list[memoryview]


@dataclass(frozen=True, slots=True)
class MessageComplete:
    """The current message has ended."""


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer wants to end; answer with `confirm_release`."""


@dataclass(frozen=True, slots=True)
class Released:
    """The peer confirmed our release."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association is over without a release: the peer aborted, or this core did because of what it read.

    `detail` says what was wrong, for the log; it quotes nothing that the peer sent.
    """

    source: int
    reason: int
    by_peer: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """The transport connection ended. `expected` is whether the protocol was over by then."""

    expected: bool


Event: TypeAlias = (
    AssociateRequested
    | AssociateAccepted
    | AssociateRejected
    | MessageStarted
    | DataReceived
    | MessageComplete
    | ReleaseRequested
    | Released
    | Aborted
    | ConnectionClosed
)
