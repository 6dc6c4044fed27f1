"""A DICOM listener on the loopback interface with a handler that remembers what it was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ithil.network import status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.network.association import PresentationContext
from ithil.network.errors import Refusal
from ithil.network.handler import Outcome, Peer, Responder
from ithil.network.messages import Command, CommandField
from ithil.network.negotiation import Policy, negotiate
from ithil.network.pdu import AssociateAccept, AssociateReject, AssociateRequest

EXPLICIT = "1.2.840.10008.1.2.1"


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Poll until `condition` holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@dataclass
class Record:
    """What all associations of one listener did."""

    stored: dict[str, bytes] = field(default_factory=dict)
    opened: int = 0
    discarded: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    requests: list[AssociateRequest] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)


shares = True
"""Whether listeners receive small instances of all associations in one thread."""

POLICY = Policy(
    accepts_abstract_syntax=lambda uid: uid != "1.2.3.4",
    accepts_transfer_syntax=lambda sop_class, uid: True,
    preferred_transfer_syntaxes=(EXPLICIT,),
    allows_requestor_as_scp=lambda uid: True,
)


class RecordingHandler:
    """Stores in memory, echoes, finds two matches, and misbehaves where a UID or AE title asks for it."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def negotiate(self, request: AssociateRequest, peer: Peer) -> AssociateAccept | AssociateReject:
        self.record.requests.append(request)
        self.record.peers.append(peer)
        if request.calling_ae_title == "BROKEN":
            raise RuntimeError("negotiation")
        if request.calling_ae_title == "UNWANTED":
            return AssociateReject(1, 1, 3)
        return negotiate(request, POLICY)

    def open_store(self, context: PresentationContext, command: Command) -> MemorySink:
        if command.sop_instance_uid == "9.1":
            raise Refusal(status.OUT_OF_RESOURCES, "full")
        if command.sop_instance_uid == "9.2":
            raise RuntimeError("open")
        self.record.opened += 1
        return MemorySink(self.record, command)

    def is_quick(self, context: PresentationContext) -> bool:
        return context.transfer_syntax == EXPLICIT

    def handle(
        self, context: PresentationContext, command: Command, data_set: bytes | None, responder: Responder
    ) -> None:
        self.record.commands.append(command)
        if command.field == CommandField.C_ECHO:
            responder.send(command.response(status.SUCCESS))
        elif command.field == CommandField.C_FIND:
            assert data_set is not None
            for _ in range(2):
                responder.send(command.response(status.PENDING), [data_set])
            responder.send(command.response(status.SUCCESS))
        elif command.field == CommandField.C_MOVE:  # never ends unless cancelled
            while not responder.is_cancelled():
                responder.send(command.response(status.PENDING))
            self.record.cancelled.set()
            responder.send(command.response(status.CANCEL))
        elif command.field == CommandField.C_GET:
            store = Command(
                AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                CommandField=CommandField.C_STORE,
                Priority=0,
                AffectedSOPInstanceUID="1.2.3",
            )
            target = next(one for one in responder.contexts.values() if one.local_scu)
            answer = responder.request(target.id, store, [b"image", b"data"])
            responder.send(command.response(answer.status))
        elif command.field == CommandField.N_GET:
            return  # forgets to answer
        elif command.field == CommandField.N_SET:
            raise RuntimeError("handler")
        else:
            raise Refusal(status.UNRECOGNIZED_OPERATION)

    def closed(self, outcome: Outcome) -> None:
        self.record.outcomes.append(outcome)


class MemorySink:
    """Keeps one data set."""

    def __init__(self, record: Record, command: Command) -> None:
        self.record = record
        self.uid = command.sop_instance_uid
        self.data = bytearray()

    def write(self, views: list[memoryview]) -> None:
        if self.uid == "9.3":
            raise OSError("disk")
        for view in views:
            self.data += view

    def finish(self) -> tuple[int, str]:
        if self.uid == "9.4":
            raise Refusal(status.CANNOT_UNDERSTAND, "no")
        self.record.stored[self.uid] = bytes(self.data)
        return status.SUCCESS, ""

    def discard(self) -> None:
        self.record.discarded += 1


def finish_all(sinks: Sequence[MemorySink]) -> list[tuple[int, str] | BaseException | None]:
    """Finish several sinks as the archive does, where one that fails is none of the others' business.

    Instances whose UID begins with 8 would have to wait.
    """
    answers: list[tuple[int, str] | BaseException | None] = []
    for sink in sinks:
        try:
            answers.append(None if sink.uid.startswith("8") else sink.finish())
        except Exception as error:
            answers.append(error)
    return answers


@contextmanager
def listening(**config: object) -> Iterator[tuple[Acceptor, Record, int]]:
    """A started acceptor, its record and its port; stopped at the end, when nothing may be left of it."""
    record = Record()
    settings = replace(AcceptorConfig(timeout=10, artim=5, linger=1), **config)
    acceptor = Acceptor(
        [listen("127.0.0.1", 0)],
        settings,
        lambda: RecordingHandler(record),
        finish_all if shares else None,
    )
    acceptor.start()
    try:
        yield acceptor, record, acceptor.addresses[0][1]
    finally:
        assert acceptor.stop(5)
        assert acceptor.active == 0
