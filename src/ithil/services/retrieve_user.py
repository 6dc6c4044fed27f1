"""C-MOVE and C-GET as user (PS3.4 C.4.2, C.4.3): have a modality send, to anyone or to us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.model import Origin, StoreResult
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.network import status
from ithil.network.association import PresentationContext
from ithil.network.errors import NetworkError
from ithil.network.messages import Command, CommandField
from ithil.network.pdu_items import RoleSelection
from ithil.network.requestor import OpenStore, Requestor
from ithil.services.modality_link import Contexts, associate, failure, local_title, refusal
from ithil.services.query_keys import LEVEL_WORDS, QUERY_RETRIEVE_LEVEL, encode
from ithil.services.query_user import SYNTAXES, context_of, models
from ithil.services.received_kinds import received_contexts
from ithil.services.store import Reception
from ithil.settings import Modality


@dataclass(slots=True)
class Progress:
    """The sub-operations as the last response counted them, and its status (PS3.7 9.1.4)."""

    status: int = status.SUCCESS
    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warning: int = 0

    @property
    def share(self) -> float:
        """How much is done, 0 to 1; 0 if the modality does not count."""
        done = self.completed + self.failed + self.warning
        return done / (done + self.remaining) if done else 0.0

    @property
    def succeeded(self) -> bool:
        """All was sent, perhaps with remarks: the warning stands for those as for failures (PS3.4 C.4.2.1.5)."""
        if self.status == status.WARNING_SUBOPERATIONS_FAILED:
            return self.warning > 0 and not self.failed
        return self.status == status.SUCCESS


Report = Callable[[Progress], None]
"""Called after each response. What it raises ends the association."""


def move(
    archive: Archive,
    modality: Modality,
    level: Level,
    keys: Mapping[int, str],
    target: str,
    report: Report,
    *,
    calling: str = "",
    timeout: int | None = None,
) -> Progress:
    """Have a modality send what `keys` name to the application entity `target`, as its last response tells.

    Raises CodedError: network protocol for a modality that cannot be reached, the code of C-MOVE if it does
    not know that.
    """
    sop_classes = tuple(f"{model}.2" for model in models(level))
    contexts = [(uid, SYNTAXES) for uid in sop_classes]
    try:
        with associate(archive, modality, contexts, calling=calling, timeout=timeout) as peer:
            context = context_of(peer, sop_classes)
            command = _command(context, CommandField.C_MOVE)
            command["MoveDestination"] = target
            return _run(archive, peer, context, command, level, keys, report, None)
    except NetworkError as error:
        raise refusal(error, modality, codes.DICOM_MOVE_UNAVAILABLE) from error


def get(
    archive: Archive,
    modality: Modality,
    level: Level,
    keys: Mapping[int, str],
    report: Report,
    received: Callable[[StoreResult], None],
    *,
    calling: str = "",
    timeout: int | None = None,
) -> Progress:
    """Fetch what `keys` name into the archive; `received` is called for each instance once it is stored.

    Raises CodedError as `move` does, with the code of C-GET.
    """
    sop_classes = tuple(f"{model}.3" for model in models(level))
    stored = received_contexts(archive)
    contexts: Contexts = [*((uid, SYNTAXES) for uid in sop_classes), *stored]
    # Some providers only send to those who could send to them as well.
    both = modality.manufacturer == "SiemensSyngoCT"
    roles = [RoleSelection(uid, scu=both, scp=True) for uid, _ in stored]
    title = local_title(archive, modality, calling)
    origin = Origin("DicomProtocol", modality.host, modality.aet, title)
    try:
        with associate(archive, modality, contexts, calling=calling, timeout=timeout, roles=roles) as peer:
            context = context_of(peer, sop_classes)
            command = _command(context, CommandField.C_GET)

            def open_store(of: PresentationContext, request: Command) -> _Retrieved:
                return _Retrieved(archive, of, request, origin, received)

            return _run(archive, peer, context, command, level, keys, report, open_store)
    except NetworkError as error:
        raise refusal(error, modality, codes.DICOM_GET_UNAVAILABLE) from error


class _Retrieved(Reception):
    """An instance that comes by C-GET."""

    def __init__(
        self,
        archive: Archive,
        context: PresentationContext,
        command: Command,
        origin: Origin,
        received: Callable[[StoreResult], None],
    ) -> None:
        super().__init__(archive, context, command, origin)
        self._received = received

    def finish(self) -> tuple[int, str]:
        answer = super().finish()
        if self.result is not None:
            self._received(self.result)
        return answer


def _command(context: PresentationContext, field: CommandField) -> Command:
    return Command(AffectedSOPClassUID=context.abstract_syntax, CommandField=field, Priority=0)


def _run(
    archive: Archive,
    peer: Requestor,
    context: PresentationContext,
    command: Command,
    level: Level,
    keys: Mapping[int, str],
    report: Report,
    open_store: OpenStore | None,
) -> Progress:
    values = {**keys, QUERY_RETRIEVE_LEVEL: LEVEL_WORDS[level]}
    identifier = encode(archive, values, context.transfer_syntax)
    progress = Progress()
    for response in peer.request(context, command, [identifier], on_store=open_store):
        answered = response.command
        progress = Progress(
            answered.status,
            answered.number("NumberOfRemainingSuboperations"),
            answered.number("NumberOfCompletedSuboperations"),
            answered.number("NumberOfFailedSuboperations"),
            answered.number("NumberOfWarningSuboperations"),
        )
        if status.is_pending(progress.status):
            report(progress)
    return progress


def checked(what: str, modality: Modality, progress: Progress) -> None:
    """Raises CodedError (network protocol) with the status unless all was sent."""
    if not progress.succeeded:
        if progress.status == status.WARNING_SUBOPERATIONS_FAILED:
            raise CodedError(
                codes.NETWORK_PROTOCOL,
                f'{what} SCU to AET "{modality.aet}": {progress.failed} sub-operations have failed',
                payload={"DimseErrorStatus": progress.status},
            )
        raise failure(what, modality, progress.status)
