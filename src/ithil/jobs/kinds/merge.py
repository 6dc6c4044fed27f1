"""Bringing series, instances or whole studies into another study, whose patient and study they get."""

from __future__ import annotations

from ithil.jobs.kind import Task
from ithil.jobs.kinds import editing

MERGE_STUDY = "MergeStudy"


class MergeKind:
    """Orthanc's job of that name."""

    name = MERGE_STUDY

    def run(self, task: Task) -> None:
        """See `JobKind`."""
        editing.run(task)
