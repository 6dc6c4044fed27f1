"""Modification and anonymisation of patients, studies, series, or any set of resources."""

from __future__ import annotations

from typing import Any

from ithil.dicom.level import Level
from ithil.jobs.kind import Task
from ithil.jobs.kinds import editing
from ithil.jobs.kinds.edit_arguments import EditArguments
from ithil.jobs.kinds.editing import Made

RESOURCE_MODIFICATION = "ResourceModification"
_BULK = "Bulk"


def arguments(edit: EditArguments, *, bulk: bool) -> dict[str, Any]:
    """The arguments of a job; with `bulk` it tells of all resources that it made, else of one."""
    return {**edit.to_json(), _BULK: bulk}


def content(edit: EditArguments, sources: list[str]) -> dict[str, Any]:
    """What clients see before the job has begun; `sources` are the resources that they named."""
    return edit.content(IsAnonymization=edit.recipe.anonymizes, ParentResources=sources)


class ModificationKind:
    """Orthanc's job of that name."""

    name = RESOURCE_MODIFICATION

    def run(self, task: Task) -> None:
        """See `JobKind`."""
        bulk = bool(task.arguments[_BULK])
        if bulk:
            task.content["Resources"] = _resources(editing.run(task, instances=True))
            return
        level = Level(task.arguments["Level"])

        def tell(made: Made) -> None:
            task.content.update(_resource(made, level))

        tell(editing.run(task, tell=tell))


def _resource(made: Made, level: Level) -> dict[str, Any]:
    """The first of the resources of that level, and its patient."""
    found = next(iter(made[level]), None)
    if found is None:
        return {}
    return {**_reference(level, found), "PatientID": next(iter(made[Level.PATIENT]))}


def _resources(made: Made) -> list[dict[str, Any]]:
    return [_reference(level, each) for level in reversed(Level) for each in sorted(made[level])]


def _reference(level: Level, public_id: str) -> dict[str, Any]:
    return {"ID": public_id, "Path": f"/{level.plural}/{public_id}", "Type": level.singular}
