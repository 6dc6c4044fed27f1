"""Taking series, or single instances, out of a study into a new one."""

from __future__ import annotations

from ithil.dicom.level import Level
from ithil.jobs.kind import Task
from ithil.jobs.kinds import editing

SPLIT_STUDY = "SplitStudy"


class SplitKind:
    """Orthanc's job of that name."""

    name = SPLIT_STUDY

    def run(self, task: Task) -> None:
        """See `JobKind`."""
        made = editing.run(task)
        task.content["TargetStudy"] = next(iter(made[Level.STUDY]), "")
