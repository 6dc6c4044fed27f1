"""A listener with the services behind it, and the questions that a retrieving caller puts to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.data.datasets import element

from ithil.archive.archive import Archive
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network import status
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.network.association import PresentationContext
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import RoleSelection
from ithil.network.requestor import Requestor, Response, connect
from ithil.services.association import ServiceAssociation
from ithil.services.presentation import Presentation

MOVE, GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
VRS = {0x00080052: "CS", 0x0020000D: "UI", 0x0020000E: "UI", 0x00080018: "UI", 0x00100020: "LO"}


@contextmanager
def serving(archive: Archive) -> Iterator[int]:
    """The port of a listener with the services of an archive."""
    presentation = Presentation(archive.settings)
    acceptor = Acceptor(
        [listen("127.0.0.1", 0)],
        AcceptorConfig(timeout=10, linger=1),
        lambda: ServiceAssociation(archive, presentation),
    )
    acceptor.start()
    try:
        yield acceptor.addresses[0][1]
    finally:
        assert acceptor.stop(10)


@dataclass
class Taken:
    """What a C-GET brought."""

    data_sets: dict[str, bytes] = field(default_factory=dict)
    syntaxes: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    answer: int = status.SUCCESS

    def open(self, context: PresentationContext, command: Command) -> _Sink:
        """The `on_store` of a requestor."""
        return _Sink(self, context, command)


class _Sink:
    def __init__(self, taken: Taken, context: PresentationContext, command: Command) -> None:
        self._taken, self._context, self._uid = taken, context, command.sop_instance_uid
        self._data = bytearray()

    def write(self, views: list[memoryview]) -> None:
        for view in views:
            self._data += view

    def finish(self) -> tuple[int, str]:
        self._taken.data_sets[self._uid] = bytes(self._data)
        self._taken.syntaxes[self._uid] = self._context.transfer_syntax
        self._taken.order.append(self._uid)
        return self._taken.answer, ""

    def discard(self) -> None:
        pass


def associate(
    port: int,
    sop_class: str,
    storage: Sequence[tuple[str, Sequence[str]]] = (),
    *,
    roles: bool = True,
) -> Requestor:
    """An association for one service, and for what it is to bring."""
    return connect(
        "127.0.0.1",
        port,
        called="ORTHANC",
        calling="WORKSTATION",
        contexts=[(sop_class, [EXPLICIT_LITTLE]), *storage],
        roles=[RoleSelection(uid, False, True) for uid, _ in storage] if roles else (),
        timeout=20,
    )


def identifier(keys: dict[int, str]) -> bytes:
    """A data set in Explicit VR Little Endian."""
    return b"".join(
        element(tag, VRS[tag], text.encode() + (b"\0" if VRS[tag] == "UI" else b" ") * (len(text) & 1))
        for tag, text in sorted(keys.items())
    )


def move(peer: Requestor, destination: str, keys: dict[int, str]) -> Iterator[Response]:
    """C-MOVE-RQ: its responses."""
    command = Command(
        AffectedSOPClassUID=MOVE,
        CommandField=CommandField.C_MOVE,
        Priority=0,
        MoveDestination=destination,
    )
    return peer.request(peer.context_for(MOVE), command, [identifier(keys)])


def get(peer: Requestor, keys: dict[int, str], taken: Taken) -> Iterator[Response]:
    """C-GET-RQ: its responses."""
    command = Command(AffectedSOPClassUID=GET, CommandField=CommandField.C_GET, Priority=0)
    return peer.request(peer.context_for(GET), command, [identifier(keys)], on_store=taken.open)


def counts(response: Response) -> tuple[int | None, ...]:
    """Remaining, completed, failed and warning, None for what is not told."""
    return tuple(
        response.command.number(f"NumberOf{name}Suboperations")
        if f"NumberOf{name}Suboperations" in response.command
        else None
        for name in ("Remaining", "Completed", "Failed", "Warning")
    )


def failed_list(response: Response) -> list[str]:
    """Failed SOP Instance UID List of a response in Explicit VR Little Endian."""
    data = response.data_set
    assert data is not None
    assert data[:6] == b"\x08\0\x58\0UI"
    assert int.from_bytes(data[6:8], "little") == len(data) - 8
    text = data[8:].rstrip(b"\0").decode()
    return text.split("\\") if text else []
