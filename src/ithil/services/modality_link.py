"""Associations that this server opens with a modality to ask something of it, and what its refusals become.

Sending instances has its own way (`store_user.Sender`), which keeps associations open. What stands here is for
the short ones: C-ECHO, C-FIND, C-MOVE and C-GET.
"""

from __future__ import annotations

from collections.abc import Sequence

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.error_codes import CodedError
from ithil.network.errors import NetworkError, NoAcceptedContext
from ithil.network.pdu_items import RoleSelection
from ithil.network.requestor import Requestor, connect
from ithil.services.tls import client_context
from ithil.settings import Modality

Contexts = Sequence[tuple[str, Sequence[str]]]

UNABLE_TO_PROCESS = 0xC000


def local_title(archive: Archive, modality: Modality, asked: str = "") -> str:
    """The title to call a modality with: the one asked for, or that of the modality, or `DicomAet`."""
    return asked or modality.local_aet or archive.settings.dicom_aet


def associate(
    archive: Archive,
    modality: Modality,
    contexts: Contexts,
    *,
    calling: str = "",
    timeout: int | None = None,
    roles: Sequence[RoleSelection] = (),
) -> Requestor:
    """Open an association with a modality. Raises AssociationError.

    `calling` and `timeout` (seconds, 0 for ever) replace what the modality's entry and the settings say.
    """
    settings = archive.settings
    if timeout is None:
        timeout = modality.timeout or settings.dicom_scu_timeout
    return connect(
        modality.host,
        modality.port,
        called=modality.aet,
        calling=local_title(archive, modality, calling),
        contexts=contexts,
        timeout=timeout,
        max_pdu_length=settings.maximum_pdu_length,
        roles=roles,
        tls=client_context(settings) if modality.use_dicom_tls else None,
    )


def refusal(error: NetworkError, modality: Modality, unavailable: int) -> CodedError:
    """What clients are told of a failed association; `unavailable` is the code if the service is not there."""
    if isinstance(error, NoAcceptedContext):
        return CodedError(unavailable, f"Remote AET is {modality.aet}")
    # None of these errors quotes what the peer sent.
    return CodedError(codes.NETWORK_PROTOCOL, f'DicomAssociation with AET "{modality.aet}": {error}')


def failure(what: str, modality: Modality, found: int) -> CodedError:
    """What clients are told of a final status that is no success; `what` is `C-MOVE`, for instance."""
    hint = ""
    if found & 0xF000 == UNABLE_TO_PROCESS:
        hint = " (unable to process - " + (
            "invalid query ?)" if what == "C-FIND" else "resource not found ?)"
        )
    return CodedError(
        codes.NETWORK_PROTOCOL,
        f'{what} SCU to AET "{modality.aet}" has failed with DIMSE status 0x{found:04X}{hint}',
        status=422 if what == "C-FIND" and hint else None,
        payload=None if what == "C-FIND" else {"DimseErrorStatus": found},
    )
