"""Those who call: each stores, finds, moves and breaks off at random, and notes what was acknowledged."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network.errors import AssociationError
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import VERIFICATION, Requestor, connect
from ithil.network.status import is_pending
from tests.data.synthetic import Synthetic, instance
from tests.integration.sending import CT, data_set, instance_id
from tests.servers.process import DicomServer

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
TIMEOUT = 60.0  # seconds

INSTANCES = 200
"""Different instances of each caller. Once they are all there he sends them again, and nothing more grows."""

_CONTEXTS = [
    (VERIFICATION, [IMPLICIT_LITTLE]),
    (CT, [EXPLICIT_LITTLE]),
    (STUDY_ROOT_FIND, [IMPLICIT_LITTLE]),
    (STUDY_ROOT_MOVE, [IMPLICIT_LITTLE]),
]


class BrokenOff(Exception):
    """Raised in the midst of a data set by a caller who has had enough."""


@dataclass(slots=True)
class Notes:
    """What the callers have done, and what they were told is stored."""

    acknowledged: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.done[what] += 1

    def complain(self, what: str) -> None:
        with self.lock:
            self.wrong.append(what)

    def stored(self, one: Synthetic) -> None:
        with self.lock:
            self.acknowledged.add(instance_id(one))


class Caller:
    """One of them; `seed` makes what he does the same each time."""

    def __init__(self, server: DicomServer, number: int, seed: int, notes: Notes) -> None:
        self._server = server
        self._number = number
        self._random = random.Random(seed * 1000 + number)
        self._notes = notes
        self._next = 0
        self._has_stored = False

    def run(self, until: float) -> None:
        """Call again and again until that moment of the monotonic clock."""
        actions = {"store": self._store, "find": self._find, "move": self._move}
        rough = {"abort": self._abort, "vanish": self._vanish, "stammer": self._stammer}
        while time.monotonic() < until:
            chosen = actions if self._random.random() < 0.8 else rough
            name = self._random.choice(list(chosen))
            try:
                chosen[name]()
                self._notes.count(name)
            except (AssociationError, OSError) as error:
                self._notes.complain(f"{name}: {type(error).__name__}")

    def _associate(self) -> Requestor:
        return connect(
            "127.0.0.1",
            self._server.dicom_port,
            called="ORTHANC",
            calling="SOAK",
            contexts=_CONTEXTS,
            timeout=TIMEOUT,
        )

    def _instance(self) -> Synthetic:
        self._next = (self._next + 1) % INSTANCES
        return instance(self._number, self._next // 50, self._next)

    def _store(self) -> None:
        with self._associate() as peer:
            for _ in range(self._random.randint(1, 20)):
                one = self._instance()
                status = peer.store(CT, one.sop_uid, EXPLICIT_LITTLE, [data_set(one.content)]).status
                if status == 0:
                    self._has_stored = True
                    self._notes.stored(one)
                else:
                    self._notes.complain(f"store: status {status:04X}")

    def _find(self) -> None:
        with self._associate() as peer:
            for response in self._ask(peer, STUDY_ROOT_FIND, CommandField.C_FIND, "SYN*"):
                if is_pending(response) and self._random.random() < 0.1:
                    peer.cancel(peer.context_for(STUDY_ROOT_FIND))
                    self._notes.count("cancel")

    def _move(self) -> None:
        if not self._has_stored:
            self._store()  # what is unknown cannot be moved
        with self._associate() as peer:
            for _ in self._ask(peer, STUDY_ROOT_MOVE, CommandField.C_MOVE, self._instance().study_uid):
                pass

    def _ask(self, peer: Requestor, sop_class: str, field: CommandField, wanted: str) -> Iterator[int]:
        """A query for a study; gives the statuses of the responses."""
        command = Command(AffectedSOPClassUID=sop_class, CommandField=field, Priority=0)
        if field == CommandField.C_MOVE:
            command["MoveDestination"] = "ORTHANC"
            keys = {0x00080052: "STUDY", 0x0020000D: wanted}
        else:
            keys = {0x00080052: "STUDY", 0x00100020: wanted, 0x0020000D: ""}
        for response in peer.request(peer.context_for(sop_class), command, [_identifier(keys)]):
            yield response.command.status
            if not is_pending(response.command.status) and response.command.status not in (0, 0xFE00):
                comment = response.command.text("ErrorComment")
                self._notes.complain(f"{field.name}: status {response.command.status:04X} {comment}")

    def _abort(self) -> None:
        """Break off with an A-ABORT in the midst of a data set."""
        one = self._instance()
        content = data_set(one.content)

        def half() -> Iterator[bytes]:
            yield content[: len(content) // 2]
            raise BrokenOff

        peer = self._associate()
        with suppress(BrokenOff):
            peer.store(CT, one.sop_uid, EXPLICIT_LITTLE, half())
        peer.abort()

    def _vanish(self) -> None:
        """Ask for much and be gone without a word when the first answer comes."""
        peer = self._associate()
        for _ in self._ask(peer, STUDY_ROOT_FIND, CommandField.C_FIND, "*"):
            break
        peer._transport.cut()
        peer._transport.close()

    def _stammer(self) -> None:
        """Connect, send the beginning of a PDU or nothing, and leave."""
        with socket.create_connection(("127.0.0.1", self._server.dicom_port), timeout=TIMEOUT) as sock:
            sock.sendall(
                self._random.choice([b"", b"\x01", b"\x01\x00\x00\x00\x01\x00", b"GET / HTTP/1.1\r\n"])
            )


def _identifier(keys: dict[int, str]) -> bytes:
    """A data set in implicit VR little endian."""
    encoded = b""
    for tag, text in sorted(keys.items()):
        value = text.encode()
        value += b"\0" * (len(value) % 2) if tag == 0x0020000D else b" " * (len(value) % 2)
        encoded += (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        encoded += len(value).to_bytes(4, "little") + value
    return encoded
