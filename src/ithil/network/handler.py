"""What the acceptor asks of the services above it: the protocols that they implement, and nothing else.

One handler object lives as long as one association, and its methods are called one after the other, so it may keep
state without locks. Blocking in `negotiate` and `handle` delays nobody else, since an association has a thread of its
own then; small instances of several associations may share one (`store_loop.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from ithil.network.association import PresentationContext
from ithil.network.messages import Command
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.network.pdu_items import Buffer


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the connection."""

    ip: str
    port: int
    tls_subject: str = ""
    """The common name of the peer's TLS certificate, if it showed one."""


class Outcome(Enum):
    """How an association ended."""

    RELEASED = "released"
    REJECTED = "rejected"
    ABORTED_BY_PEER = "aborted by the peer"
    ABORTED = "aborted"
    TIMED_OUT = "timed out"
    LOST = "connection lost"
    STOPPED = "server stopped"


class StoreSink(Protocol):
    """Where the data set of one C-STORE goes while it arrives."""

    def write(self, views: list[memoryview]) -> None:
        """Take the next bytes. The views are valid only during the call."""

    def finish(self) -> tuple[int, str]:
        """The data set is complete: make it durable and say the DIMSE status and Error Comment for the
        sender.
        """

    def discard(self) -> None:
        """The data set will not be completed, or `write` failed: leave nothing behind. `finish` is not
        called.
        """


FinishAll = Callable[[Sequence[Any]], Sequence[tuple[int, str] | BaseException | None]]
"""The same as `StoreSink.finish` for sinks of several associations, each of which `open_store` has made: for each its
status and comment, or what `finish` would raise, or None if it is to be called in a thread that may wait."""


class Responder(Protocol):
    """The way back to the peer while one request is handled."""

    @property
    def contexts(self) -> Mapping[int, PresentationContext]:
        """The association's accepted presentation contexts, of which `request` needs one."""

    def send(self, command: Command, data_set: Iterable[Buffer] | None = None, *, hold: bool = False) -> None:
        """Send a response, pending or final; build it with `request.response(status)`.

        With `hold` a pending one may be kept back for up to 200 ms, to go together with what follows: many
        small messages, each of which the peer must wake up for, cost more than what they tell.
        """

    def is_cancelled(self) -> bool:
        """Whether the peer has sent C-CANCEL for this request. Looks at the connection without waiting."""

    def is_silent(self, seconds: float) -> bool:
        """Whether the peer neither says anything nor ends the association for that long.

        For after the final response, when a request of our own must not cross what the peer does next.
        """

    def request(
        self,
        context_id: int,
        command: Command,
        data_set: Iterable[Buffer] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Command:
        """Send a request of our own on this association (a C-STORE of C-GET, N-EVENT-REPORT), await its
        response.

        `meanwhile` is called in between, for work that need not wait for the response. What it raises is
        raised when the response has come.
        """


class AssociationHandler(Protocol):
    """The services behind one association.

    `open_store`, `StoreSink` and `handle` may raise `Refusal` for a status of their choice. Any other
    exception is logged without its message and answered with 0110H (processing failure), and the association
    goes on.
    """

    def negotiate(self, request: AssociateRequest, peer: Peer) -> AssociateAccept | AssociateReject:
        """Decide whether to associate; `negotiation.negotiate` builds the answer from a policy.

        Maximum PDU length and implementation identity in the answer are filled in by the acceptor.
        """

    def open_store(self, context: PresentationContext, command: Command) -> StoreSink:
        """A C-STORE-RQ has come and its data set is about to."""

    def is_quick(self, context: PresentationContext) -> bool:
        """Whether a small instance of the context is little work, so that other associations may wait for it."""

    def handle(
        self, context: PresentationContext, command: Command, data_set: bytes | None, responder: Responder
    ) -> None:
        """Serve any other request, its data set in memory, and send its final response.

        Raise `Refusal(UNRECOGNIZED_OPERATION)` for what is not served.
        """

    def closed(self, outcome: Outcome) -> None:
        """The association is over. Called once, last, also after a rejection."""
