"""The job that sends instances to a modality by C-STORE, Orthanc's `DicomModalityStore`.

Instances are sent in the order of their list, which the checkpoint counts along. The few that were sent after
the last checkpoint are sent again when a job goes on elsewhere; a receiver that has them already says so or
stores them once more under the same UIDs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ithil import error_codes as codes
from ithil.archive import outgoing
from ithil.archive.archive import Archive
from ithil.archive.remotes import modality_json
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.network.errors import AssociationError
from ithil.services import commitment_user
from ithil.services.modality_link import failure, local_title, refusal
from ithil.services.store_user import NOT_ACCEPTED, Sender, Sent
from ithil.settings import Modality
from ithil.settings.remotes import parse_modality

log = logging.getLogger(__name__)

MODALITY_STORE = "DicomModalityStore"


@dataclass(frozen=True, slots=True)
class StoreWish:
    """What is sent where.

    Attributes:
        modality: the receiver, as it was when the job was submitted.
        instances: public ids in the order in which they are sent.
        local_aet: the title to call with, "" for the configured one.
        called_aet: the title to call, "" for that of the modality.
        move_originator: title and message ID of the C-MOVE for which this is done.
        timeout: seconds, None for the configured ones.
        permissive: whether the job goes on when an instance cannot be sent.
        commitment: whether the modality is asked for storage commitment afterwards.
        name: the symbolic name of the modality.
    """

    modality: Modality
    instances: Sequence[str]
    local_aet: str = ""
    called_aet: str = ""
    move_originator: tuple[str, int] | None = None
    timeout: int | None = None
    permissive: bool = False
    commitment: bool = False
    name: str = ""


def arguments(wish: StoreWish) -> dict[str, Any]:
    """The arguments of a job."""
    return {
        "Modality": modality_json(wish.modality),
        "Instances": list(wish.instances),
        "LocalAet": wish.local_aet,
        "CalledAet": wish.called_aet,
        "MoveOriginator": wish.move_originator,
        "Timeout": wish.timeout,
        "Permissive": wish.permissive,
        "StorageCommitment": wish.commitment,
    }


def content(archive: Archive, wish: StoreWish, parents: Sequence[str]) -> dict[str, Any]:
    """What clients see of a job before it has begun; `parents` are the resources that they named."""
    shown: dict[str, Any] = {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": len(wish.instances),
        "LocalAet": local_title(archive, wish.modality, wish.local_aet),
        "RemoteAet": wish.modality.aet,
    }
    if parents:
        shown["ParentResources"] = list(parents)
    if wish.called_aet:
        shown["CalledAet"] = wish.called_aet
    if wish.move_originator is not None:
        shown["MoveOriginatorAET"], shown["MoveOriginatorID"] = wish.move_originator
    return shown


class ModalityStoreKind:
    """Orthanc's job of that name."""

    name = MODALITY_STORE

    def run(self, task: Task) -> None:
        """Send what is left to send. Raises CodedError at the first failure, unless failures are permitted."""
        asked = task.arguments
        modality = parse_modality(asked["Modality"], [])
        instances: list[str] = asked["Instances"]
        done: int = task.checkpoint.get("Done", 0)
        originator = asked["MoveOriginator"]
        try:
            with Sender(
                task.archive,
                modality,
                calling=asked["LocalAet"],
                called=asked["CalledAet"],
                move_originator=None if originator is None else (originator[0], originator[1]),
                timeout=asked["Timeout"],
            ) as sender:
                for sent in sender.send(instances[done:]):
                    if not sent.succeeded:
                        if not asked["Permissive"]:
                            raise not_sent(modality, sent)
                        self._count(task, [sent.instance])
                    done += 1
                    task.checkpoint["Done"] = done
                    task.save(done / len(instances))
        except AssociationError as error:
            if not asked["Permissive"]:
                raise refusal(error, modality, codes.NO_PRESENTATION_CONTEXT) from error
            log.warning("%d instances cannot be sent: %s", len(instances) - done, error)
            task.checkpoint["Done"] = len(instances)
            self._count(task, instances[done:])
            task.save(1.0)
        if asked["StorageCommitment"]:
            self._commit(task, modality)

    def _count(self, task: Task, failed: Sequence[str]) -> None:
        task.content["FailedInstancesCount"] += len(failed)
        if task.arguments["StorageCommitment"]:
            task.checkpoint.setdefault("Failed", []).extend(failed)

    def _commit(self, task: Task, modality: Modality) -> None:
        """Ask for storage commitment of what was sent."""
        failed = set(task.checkpoint.get("Failed", ()))
        sent = [one for one in task.arguments["Instances"] if one not in failed]
        if not sent:
            return
        references: list[tuple[str, str]] = []
        for start in range(0, len(sent), outgoing.BATCH):
            found = outgoing.by_ids(task.archive, sent[start : start + outgoing.BATCH])
            references += [(one.sop_class, one.sop_instance) for one in found.values()]
        transaction = commitment_user.request(
            task.archive,
            modality,
            references,
            calling=task.arguments["LocalAet"],
            timeout=task.arguments["Timeout"],
        )
        task.content["StorageCommitmentTransactionUID"] = transaction


def not_sent(modality: Modality, sent: Sent) -> CodedError:
    """What clients are told of an instance that the modality does not take."""
    if sent.comment == NOT_ACCEPTED:
        return CodedError(
            codes.NO_PRESENTATION_CONTEXT,
            f'AET "{modality.aet}" accepts no presentation context for an instance',
            payload={"DimseErrorStatus": sent.status},
        )
    return failure("C-STORE", modality, sent.status)
