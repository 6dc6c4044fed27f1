"""A storage provider on the loopback interface that can be made to refuse, to warn and to break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network import status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.handler import Outcome, Peer, Responder
from ithil.network.messages import Command
from ithil.network.negotiation import Policy, negotiate
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest
from ithil.settings import Modality


class Breakdown(Exception):
    """Stands for a receiver that dies in the midst of an instance."""


@dataclass
class Receiver:
    """What it accepts, and what it was sent."""

    port: int = 0
    transfer_syntaxes: frozenset[str] = frozenset({EXPLICIT_LITTLE, IMPLICIT_LITTLE})
    answer: Callable[[str], int] = lambda uid: status.SUCCESS
    break_at: dict[str, int] = field(default_factory=dict)
    """How often the association is to break at an instance."""
    requests: list[AssociateRequest] = field(default_factory=list)
    received: dict[str, bytes] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    syntaxes: dict[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def modality(self) -> Modality:
        """How a sender knows it."""
        return Modality("RECEIVER", "127.0.0.1", self.port)


class _Handler:
    def __init__(self, receiver: Receiver, acceptor: list[Acceptor]) -> None:
        self._receiver = receiver
        self._acceptor = acceptor

    def negotiate(self, request: AssociateRequest, peer: Peer) -> AssociateAccept | AssociateReject:
        receiver = self._receiver
        receiver.requests.append(request)
        policy = Policy(
            accepts_abstract_syntax=lambda uid: True,
            accepts_transfer_syntax=lambda sop_class, uid: uid in receiver.transfer_syntaxes,
        )
        return negotiate(request, policy)

    def open_store(self, context: PresentationContext, command: Command) -> _Sink:
        return _Sink(self._receiver, context, command, self._acceptor[0])

    def is_quick(self, context: PresentationContext) -> bool:
        return True

    def handle(
        self, context: PresentationContext, command: Command, data_set: bytes | None, responder: Responder
    ) -> None:
        raise Refusal(status.UNRECOGNIZED_OPERATION)

    def closed(self, outcome: Outcome) -> None:
        self._receiver.outcomes.append(outcome)


class _Sink:
    def __init__(
        self, receiver: Receiver, context: PresentationContext, command: Command, acceptor: Acceptor
    ) -> None:
        self._receiver = receiver
        self._context = context
        self._command = command
        self._acceptor = acceptor
        self._data = bytearray()

    def write(self, views: list[memoryview]) -> None:
        for view in views:
            self._data += view

    def finish(self) -> tuple[int, str]:
        receiver, uid = self._receiver, self._command.sop_instance_uid
        if receiver.break_at.get(uid, 0) > 0:
            receiver.break_at[uid] -= 1
            for conversation in self._acceptor._associations._conversations():
                conversation.cut()
        code = receiver.answer(uid)
        receiver.commands.append(self._command)
        receiver.received[uid] = bytes(self._data)
        receiver.order.append(uid)
        receiver.syntaxes[uid] = self._context.transfer_syntax
        return code, "as the test asks" if code else ""

    def discard(self) -> None:
        pass


@contextmanager
def receiving(**options: object) -> Iterator[Receiver]:
    """A receiver that listens until the end of the block."""
    receiver = Receiver(**options)  # type: ignore[arg-type]
    made: list[Acceptor] = []
    acceptor = Acceptor(
        [listen("127.0.0.1", 0)], AcceptorConfig(timeout=10, linger=1), lambda: _Handler(receiver, made)
    )
    made.append(acceptor)
    acceptor.start()
    receiver.port = acceptor.addresses[0][1]
    try:
        yield receiver
    finally:
        acceptor.stop(5)
