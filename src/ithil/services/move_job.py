"""The job that has a modality send to another application entity by C-MOVE, Orthanc's `DicomMoveScu`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ithil.dicom.level import Level
from ithil.jobs.kind import Task
from ithil.services.retrieve_jobs import RetrieveKind
from ithil.services.retrieve_user import Progress, move
from ithil.settings import Modality

MOVE = "DicomMoveScu"


class MoveKind(RetrieveKind):
    """Orthanc's job of that name."""

    name = MOVE
    what = "C-MOVE"

    def retrieve(
        self, task: Task, modality: Modality, level: Level, keys: Mapping[int, str], details: dict[str, Any]
    ) -> Progress:
        """See `RetrieveKind`."""
        return move(
            task.archive,
            modality,
            level,
            keys,
            task.arguments["TargetAet"],
            lambda progress: self.report(task, progress),
            calling=task.arguments["LocalAet"],
            timeout=task.arguments["Timeout"],
        )
