"""The services that the DICOM listener provides, one entry each; C-STORE, which streams, is in `store.py`."""

from __future__ import annotations

from functools import cache

from ithil.network import status
from ithil.network.handler import Responder
from ithil.network.messages import Command, CommandField
from ithil.services import commitment, find, get, move, mpps, worklist
from ithil.services.provider import Call, Provider

VERIFICATION = "1.2.840.10008.1.1"


def _echo(call: Call, command: Command, data_set: bytes | None, responder: Responder) -> None:
    """C-ECHO (PS3.4 annex A)."""
    responder.send(command.response(status.SUCCESS))


PROVIDERS: tuple[Provider, ...] = (
    Provider((VERIFICATION,), frozenset({CommandField.C_ECHO}), lambda rights: rights.echo, _echo),
    Provider(move.SOP_CLASSES, frozenset({CommandField.C_MOVE}), lambda rights: rights.move, move.handle),
    Provider(get.SOP_CLASSES, frozenset({CommandField.C_GET}), lambda rights: rights.get, get.handle),
    find.PROVIDER,
    commitment.PROVIDER,
    worklist.PROVIDER,
    mpps.PROVIDER,
)


@cache
def by_sop_class() -> dict[str, Provider]:
    """The provider of each SOP class."""
    return {uid: provider for provider in PROVIDERS for uid in provider.sop_classes}
