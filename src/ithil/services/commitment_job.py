"""The job that answers a request for storage commitment, Orthanc's `StorageCommitmentScp`.

It examines one instance a step and remembers which have failed, so that it goes on where it was when it is
interrupted. The report comes last; one that was sent but not noted before a crash is sent once more, which tells
the peer what it knows. One that could not be sent is made anew for the next try: the peer may delete what is
committed to, so that must be true when it is told, not hours before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ithil import error_codes as codes
from ithil.archive import clock, commitment, remotes
from ithil.archive.archive import Archive
from ithil.archive.commitment import Reference
from ithil.archive.model import Origin
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task, TryLater
from ithil.network.association import PresentationContext
from ithil.network.errors import AssociationTimeout, ConnectionFailed, NetworkError
from ithil.network.handler import Responder
from ithil.network.pdu_items import RoleSelection
from ithil.network.status import is_success
from ithil.services import commitment_channel as channel
from ithil.services import commitment_data as wire
from ithil.services import out_of_reach
from ithil.services.access import same_title
from ithil.services.modality_link import associate
from ithil.settings import Modality

log = logging.getLogger(__name__)

COMMITMENT_SCP = "StorageCommitmentScp"

_ANSWER_SECONDS = 30.0

RETRY_SECONDS = (30, 60, 120, 300, 600, 1800, *[3600] * 23)
"""How long to wait before each further try to report to a modality that cannot be reached: about a day in all."""

_HOLDS_SECONDS = 60.0
"""How long after an interruption that what was examined before still counts."""


def arguments(origin: Origin, transaction: str, references: Sequence[Reference]) -> dict[str, Any]:
    """The arguments of a job; `origin` tells who asks, and under which title for this server."""
    return {
        "RemoteAet": origin.remote_aet,
        "RemoteIp": origin.remote_ip,
        "CalledAet": origin.called_aet,
        "Transaction": transaction,
        "References": list(references),
    }


def content(origin: Origin, transaction: str) -> dict[str, Any]:
    """What clients see of a job before it has begun."""
    return {
        "CalledAet": origin.called_aet,
        "Description": "",
        "RemoteAet": origin.remote_aet,
        "TransactionUid": transaction,
    }


class CommitmentScpKind:
    """Orthanc's job of that name."""

    name = COMMITMENT_SCP

    def run(self, task: Task) -> None:
        """Examine what is left, then report. Raises TryLater, and in the end CodedError (network protocol), for
        a modality that cannot be reached or that refuses the report.
        """
        references: list[list[str]] = task.arguments["References"]
        kept = task.checkpoint
        if clock.now()[0] > kept.get("ExaminedAt", 0.0) + _HOLDS_SECONDS:
            _forget_examined(kept)
        done: int = kept.get("Done", 0)
        failed: dict[str, int] = kept.setdefault("Failed", {})  # by position
        for place in range(done, len(references)):
            sop_class, sop_instance = references[place]
            reason = commitment.examine(task.archive, sop_class, sop_instance)
            if reason:
                failed[str(place)] = reason
            kept["Done"], kept["ExaminedAt"] = place + 1, clock.now()[0]
            task.save(0.8 * (place + 1) / len(references))
        committed = [(one[0], one[1]) for place, one in enumerate(references) if str(place) not in failed]
        refused = [
            ((references[int(place)][0], references[int(place)][1]), failed[place]) for place in failed
        ]
        try:
            _report(task, committed, refused)
        except CodedError as error:
            tries: int = kept.get("Tries", 0)
            kept.clear()
            if error.code != codes.NETWORK_PROTOCOL or tries >= len(RETRY_SECONDS):
                raise
            kept["Tries"], kept["DueAt"] = tries + 1, clock.now()[0] + RETRY_SECONDS[tries]
            raise TryLater(RETRY_SECONDS[tries], error) from error


def _forget_examined(kept: dict[str, Any]) -> None:
    for name in ("Done", "Failed", "ExaminedAt"):
        kept.pop(name, None)


def _report(task: Task, committed: list[Reference], failed: list[tuple[Reference, int]]) -> None:
    transaction: str = task.arguments["Transaction"]

    def data_set(transfer_syntax: str) -> bytes:
        return wire.event(transaction, committed, failed, transfer_syntax)

    def send_here(responder: Responder) -> bool:
        context = _context(responder.contexts.values())
        if context is None:
            return False
        answer = responder.request(
            context.id, wire.event_command(bool(failed)), [data_set(context.transfer_syntax)]
        )
        return is_success(answer.status)

    waiting = channel.of((task.arguments["RemoteAet"], transaction))
    if waiting is not None and waiting.report(send_here, _ANSWER_SECONDS):
        return
    modality = _modality(task.archive, task.arguments["RemoteAet"], task.arguments["RemoteIp"])
    # One that runs before it is due was sent off by a client, who may know that the modality is back.
    if out_of_reach.is_noted(modality) and clock.now()[0] >= task.checkpoint.get("DueAt", 0.0):
        raise CodedError(
            codes.NETWORK_PROTOCOL,
            f'Storage commitment report to AET "{modality.aet}": it could not be reached a moment ago',
        )
    try:
        with associate(
            task.archive,
            modality,
            [(wire.PUSH_MODEL, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))],
            calling=task.arguments["CalledAet"],
            # The roles change sides: who opens this association is the SCP (PS3.4 J.3.3, PS3.7 D.3.3.4).
            roles=[RoleSelection(wire.PUSH_MODEL, scu=False, scp=True)],
        ) as peer:
            accepted = list(peer.contexts.values())
            if not accepted:
                raise CodedError(
                    codes.NO_PRESENTATION_CONTEXT, f'AET "{modality.aet}" takes no storage commitment reports'
                )
            context = _context(accepted) or accepted[0]  # not all peers answer the proposal of roles
            responses = peer.request(
                context, wire.event_command(bool(failed)), [data_set(context.transfer_syntax)]
            )
            answered = [response.command.status for response in responses][-1]
    except NetworkError as error:
        if isinstance(error, (ConnectionFailed, AssociationTimeout)):
            out_of_reach.note(modality)
        raise CodedError(
            codes.NETWORK_PROTOCOL, f'Storage commitment report to AET "{modality.aet}": {error}'
        ) from error
    out_of_reach.forget(modality)
    if not is_success(answered):
        raise CodedError(
            codes.NETWORK_PROTOCOL,
            f'AET "{modality.aet}" refused the storage commitment report with status 0x{answered:04X}',
            payload={"DimseErrorStatus": answered},
        )


def _context(contexts: Any) -> PresentationContext | None:
    """The context in which this side is the SCP."""
    return next(
        (each for each in contexts if each.abstract_syntax == wire.PUSH_MODEL and each.local_scp), None
    )


def _modality(archive: Archive, title: str, ip: str) -> Modality:
    """The modality that reports to `title` go to; of several, the one with the address of who asked."""
    known = [
        each for each in remotes.modalities(archive).values() if same_title(each.aet, title, archive.settings)
    ]
    if not known:
        raise CodedError(codes.UNKNOWN_MODALITY, "No modality has the title of who asked for the commitment")
    return next((each for each in known if each.host == ip), known[0])
