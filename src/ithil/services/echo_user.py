"""C-ECHO as user (PS3.4 annex A), and the C-FIND that may follow it to see whether queries work too."""

from __future__ import annotations

from collections.abc import Sequence

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.error_codes import CodedError
from ithil.network import status
from ithil.network.errors import NetworkError
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import VERIFICATION, Requestor
from ithil.services.modality_link import associate, refusal
from ithil.services.query_keys import encode
from ithil.services.query_user import STUDY_ROOT, SYNTAXES
from ithil.settings import Modality

_FIND = f"{STUDY_ROOT}.1"
# Studies with a UID that nobody has.
_QUESTION = {0x00080052: "STUDY", 0x0020000D: "2.25.0.1"}


def echo(
    archive: Archive,
    modality: Modality,
    *,
    check_find: bool = False,
    calling: str = "",
    timeout: int | None = None,
) -> None:
    """Return if the modality answers with success. Raises CodedError (network protocol) otherwise."""
    contexts: list[tuple[str, Sequence[str]]] = [(VERIFICATION, SYNTAXES)]
    if check_find:
        contexts.append((_FIND, SYNTAXES))
    try:
        with associate(archive, modality, contexts, calling=calling, timeout=timeout) as peer:
            answered = peer.echo()
            if answered == status.SUCCESS and check_find:
                answered = _find(archive, peer)
    except NetworkError as error:
        raise refusal(error, modality, codes.NETWORK_PROTOCOL) from error
    if answered != status.SUCCESS:
        raise CodedError(codes.NETWORK_PROTOCOL, f"The DICOM server answered with status {answered:04X}H")


def _find(archive: Archive, peer: Requestor) -> int:
    """The status of a search that finds nothing. Raises NoAcceptedContext if there is no searching."""
    context = peer.context_for(_FIND)
    command = Command(AffectedSOPClassUID=_FIND, CommandField=CommandField.C_FIND, Priority=0)
    last = status.SUCCESS
    for response in peer.request(context, command, [encode(archive, _QUESTION, context.transfer_syntax)]):
        last = response.command.status
    return last
