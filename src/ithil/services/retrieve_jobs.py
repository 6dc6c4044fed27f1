"""What the jobs that retrieve from a modality share: one C-MOVE or C-GET for each thing that was asked for.

The checkpoint counts what has been retrieved. What was begun when a job was interrupted is asked for again; an
instance that has arrived already is not stored twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ithil.archive.archive import Archive
from ithil.archive.remotes import modality_json
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format, format_values
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.services.modality_link import local_title
from ithil.services.query_keys import LEVEL_WORDS, QUERY_RETRIEVE_LEVEL
from ithil.services.retrieve_user import Progress, checked
from ithil.settings import Modality
from ithil.settings.remotes import parse_modality


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing to retrieve: the unique keys that are sent, and what clients are shown of the request."""

    level: Level
    keys: Mapping[int, str]
    shown: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class RetrieveWish:
    """What is retrieved from where.

    Attributes:
        modality: as it was when the job was submitted.
        wanted: what is retrieved, in this order.
        target_aet: who receives it, by C-MOVE.
        local_aet: the title to call with, "" for the configured one.
        timeout: seconds, None for the configured ones.
        permissive: whether the job goes on when something cannot be retrieved.
        form: how the requests are shown to clients.
    """

    modality: Modality
    wanted: Sequence[Wanted]
    target_aet: str = ""
    local_aet: str = ""
    timeout: int | None = None
    permissive: bool = False
    form: Format = Format.SHORT


def arguments(wish: RetrieveWish) -> dict[str, Any]:
    """The arguments of a job."""
    return {
        "Modality": modality_json(wish.modality),
        "Wanted": [
            {"Level": int(each.level), "Keys": {f"{tag:08x}": text for tag, text in each.keys.items()}}
            for each in wish.wanted
        ],
        "TargetAet": wish.target_aet,
        "LocalAet": wish.local_aet,
        "Timeout": wish.timeout,
        "Permissive": wish.permissive,
    }


def content(archive: Archive, wish: RetrieveWish) -> dict[str, Any]:
    """What clients see of a job before it has begun."""
    shown: dict[str, Any] = {
        "Description": "REST API",
        "LocalAet": local_title(archive, wish.modality, wish.local_aet),
        "Query": [
            format_values({**each.shown, QUERY_RETRIEVE_LEVEL: LEVEL_WORDS[each.level]}, wish.form)
            for each in wish.wanted
        ],
        "RemoteAet": wish.modality.aet,
        "Details": [],
    }
    if wish.target_aet:
        shown["TargetAet"] = wish.target_aet
    return shown


class RetrieveKind(ABC):
    """A kind of job that retrieves; what differs is one retrieval."""

    name: str
    what: str  # the DIMSE service, as messages call it

    @abstractmethod
    def retrieve(
        self, task: Task, modality: Modality, level: Level, keys: Mapping[int, str], details: dict[str, Any]
    ) -> Progress:
        """Retrieve one thing; `details` are those of it that clients see."""

    def run(self, task: Task) -> None:
        """Retrieve what is left. Raises CodedError at the first failure, unless failures are permitted."""
        asked = task.arguments
        modality = parse_modality(asked["Modality"], [])
        wanted: list[dict[str, Any]] = asked["Wanted"]
        for number in range(task.checkpoint.get("Done", 0), len(wanted)):
            del task.content["Details"][number:]  # of the same thing, by a run that was interrupted
            details: dict[str, Any] = {"Query": task.content["Query"][number]}
            task.content["Details"].append(details)
            keys = {int(tag, 16): text for tag, text in wanted[number]["Keys"].items()}
            try:
                progress = self.retrieve(task, modality, Level(wanted[number]["Level"]), keys, details)
            except CodedError:
                task.save(number / len(wanted))  # whoever was to stop meanwhile has not failed
                raise
            details["DimseErrorStatus"] = progress.status
            if not asked["Permissive"]:
                checked(self.what, modality, progress)
            task.checkpoint["Done"] = number + 1
            task.save((number + 1) / len(wanted), now=True)

    def report(self, task: Task, progress: Progress) -> None:
        """Show how far the retrieval of the present thing is. Raises Interrupted."""
        total = len(task.arguments["Wanted"])
        task.save((task.checkpoint.get("Done", 0) + min(progress.share, 0.99)) / total)
