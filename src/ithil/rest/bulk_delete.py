"""`POST /tools/bulk-delete`: many resources, of any levels, with one request."""

from __future__ import annotations

from typing import Any

from ithil import error_codes as codes
from ithil.archive import delete
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.json_body import json_object
from ithil.http.request import Request
from ithil.http.routing import Route

_LEVELS = {level.singular: level for level in Level}


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("POST", "/tools/bulk-delete", bulk_delete, "Delete many resources of any level", writes=True)
    ]


def bulk_delete(request: Request) -> Answer:
    """Delete the resources in the field `Resources`: identifiers, or objects with `Level` and `ID`.

    What is unknown is passed over, since it may have gone with its parent. The whole body is looked at before
    anything is deleted.
    """
    archive = request.context.archive
    resources = json_object(request).get("Resources")
    if not isinstance(resources, list):
        raise _no_list()
    for level, public_id in [_reference(resource) for resource in resources]:
        if level is None:
            delete.delete_many(archive, [public_id])
        else:
            delete.delete(archive, level, public_id)
    return answers.empty()


def _reference(resource: Any) -> tuple[Level | None, str]:
    """What one entry of the list names; NULs, which no identifier has, are dropped."""
    level: Level | None = None
    if isinstance(resource, dict):
        name, resource = resource.get("Level"), resource.get("ID")
        level = _LEVELS.get(name) if isinstance(name, str) else None
        if level is None:
            raise CodedError(
                codes.PARAMETER_OUT_OF_RANGE, "Patient, Study, Series or Instance expected in Level"
            )
    if not isinstance(resource, str):
        raise _no_list()
    return level, resource.replace("\0", "")


def _no_list() -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, "List of strings expected in field: Resources")
