"""The job that fetches from a modality by C-GET, Orthanc's `DicomGetScu`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ithil.archive.model import StoreResult
from ithil.dicom.level import Level
from ithil.jobs.kind import Task
from ithil.services.retrieve_jobs import RetrieveKind
from ithil.services.retrieve_user import Progress, get
from ithil.settings import Modality

GET = "DicomGetScu"

MOST_LISTED = 10_000
"""Instances whose ids a job lists as received; of more it only tells the number."""


class GetKind(RetrieveKind):
    """Orthanc's job of that name."""

    name = GET
    what = "C-GET"

    def retrieve(
        self, task: Task, modality: Modality, level: Level, keys: Mapping[int, str], details: dict[str, Any]
    ) -> Progress:
        """See `RetrieveKind`."""
        details["ReceivedInstancesIds"] = listed = []
        count = 0

        def received(result: StoreResult) -> None:
            nonlocal count
            count += 1
            if count <= MOST_LISTED:
                listed.append(result.instance)
            else:
                details["ReceivedInstancesCount"] = count
            # Modalities that count no sub-operations must be stopped between two instances as well.
            task.save(task.checkpoint.get("Done", 0) / len(task.arguments["Wanted"]))

        return get(
            task.archive,
            modality,
            level,
            keys,
            lambda progress: self.report(task, progress),
            received,
            calling=task.arguments["LocalAet"],
            timeout=task.arguments["Timeout"],
        )
