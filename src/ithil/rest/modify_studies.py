"""Splitting a study in two, and merging resources into a study: jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from ithil import error_codes as codes
from ithil.archive import headers, originals, resources
from ithil.archive.archive import Archive
from ithil.dicom.level import Level
from ithil.dicom.main_tags import PATIENT_ID, STUDY_INSTANCE_UID
from ithil.dicom.modules import PATIENT, STUDY
from ithil.dicom.uids import generate_uid
from ithil.edit.module_values import module_values
from ithil.edit.recipe import Recipe, new_secret
from ithil.edit.tag_path import TagPath, parse_path
from ithil.edit.values import parse_value
from ithil.error_codes import CodedError
from ithil.http.answers import Answer
from ithil.http.job_requests import run_job
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.jobs.kinds.edit_arguments import EditArguments
from ithil.jobs.kinds.merge import MERGE_STUDY
from ithil.jobs.kinds.split import SPLIT_STUDY
from ithil.rest import modify_fields as fields
from ithil.rest.modify_fields import EditFields

_MODULES = PATIENT | STUDY


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("POST", "/studies/{id}/split", split, "Move series or instances of the study to a new study"),
        Route("POST", "/studies/{id}/merge", merge, "Move studies, series or instances into the study"),
    ]


def split(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /studies/{id}/split`."""
    archive, study = request.context.archive, request.arguments["id"]
    body = fields.edit_body(request)
    if not resources.exists(archive, Level.STUDY, study):
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such study to be split")
    chosen = {
        level: fields.texts(body, field) if field in body else []
        for level, field in ((Level.SERIES, "Series"), (Level.INSTANCE, "Instances"))
    }
    if not any(chosen.values()):
        raise CodedError(codes.BAD_REQUEST, 'The field "Series" or the field "Instances" must name resources')
    instances: dict[str, None] = {}
    for level, public_ids in chosen.items():
        for each in public_ids:
            if resources.ancestor(archive, level, each, Level.STUDY) != study:
                raise CodedError(codes.UNKNOWN_RESOURCE, f"A {level.singular.lower()} is not of this study")
            instances.update(dict.fromkeys(_instances(archive, level, each)))
    how = fields.edit_fields(body, keep_source=False)
    target = generate_uid()
    recipe = _recipe(archive, _replacements(body), _removals(body), target)
    edit = fields.edit_arguments(request, how, recipe, Level.SERIES, list(instances))
    return _run(request, how, SPLIT_STUDY, edit, TargetStudyUID=target)


def merge(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /studies/{id}/merge`."""
    archive, study = request.context.archive, request.arguments["id"]
    body = fields.edit_body(request)
    target = resources.read(archive, Level.STUDY, study)
    if target is None:
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such study to merge into")
    instances: dict[str, None] = {}
    for each in fields.texts(body, "Resources"):
        level = _level_of(archive, each)
        if resources.ancestor(archive, level, each, Level.STUDY) == study:
            raise CodedError(codes.UNKNOWN_RESOURCE, "A resource is of the study already that it is to join")
        instances.update(dict.fromkeys(_instances(archive, level, each)))
    how = fields.edit_fields(body, keep_source=False)
    values = _modules_of(archive, study)
    replace = {TagPath(tag): value for tag, value in values.items()}
    remove = tuple(TagPath(tag) for tag in sorted(_MODULES) if tag not in values)
    uid = target.main_tags.get(STUDY_INSTANCE_UID, "")
    recipe = _recipe(archive, {TagPath(PATIENT_ID): "", **replace}, remove, uid)
    edit = fields.edit_arguments(request, how, recipe, Level.SERIES, list(instances))
    return _run(request, how, MERGE_STUDY, edit, TargetStudy=study)


def _run(
    request: Request, how: EditFields, kind: str, edit: EditArguments, **content: Any
) -> Answer | Awaitable[Answer]:
    return run_job(request, kind, edit.to_json(), how.job, content=edit.content(**content))


def _recipe(
    archive: Archive, replace: dict[TagPath, Any], remove: Sequence[TagPath], study_uid: str
) -> Recipe:
    """New series and instances in the study with that UID."""
    removed = tuple(path for path in remove if path not in replace and path.tag != PATIENT_ID)
    if TagPath(PATIENT_ID) in remove and TagPath(PATIENT_ID) not in replace:
        replace = {**replace, TagPath(PATIENT_ID): ""}
    return Recipe(
        level=Level.SERIES,
        replace={**replace, TagPath(STUDY_INSTANCE_UID): study_uid},
        remove=removed,
        secret=new_secret(),
        default_encoding=archive.default_encoding,
    )


def _replacements(body: dict[str, Any]) -> dict[TagPath, Any]:
    value = body.get("Replace", {})
    if not isinstance(value, dict):
        raise fields.wrong_type("Replace", "an object")
    found = {_of_modules(name): json for name, json in value.items()}
    for path, json in found.items():
        parse_value(path.tag, json)
    return found


def _removals(body: dict[str, Any]) -> list[TagPath]:
    return [_of_modules(name) for name in (fields.texts(body, "Remove") if "Remove" in body else [])]


def _of_modules(name: str) -> TagPath:
    path = parse_path(name)
    if not path.is_plain or path.tag not in _MODULES or path.tag == STUDY_INSTANCE_UID:
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE, "Only tags of the patient and of the study can be edited in a split"
        )
    return path


def _instances(archive: Archive, level: Level, public_id: str) -> list[str]:
    return resources.descendants(archive, level, public_id, Level.INSTANCE) or []


def _level_of(archive: Archive, public_id: str) -> Level:
    for level in (Level.INSTANCE, Level.SERIES, Level.STUDY):
        if resources.exists(archive, level, public_id):
            return level
    raise CodedError(codes.UNKNOWN_RESOURCE, "A resource is neither a study, nor a series, nor an instance")


def _modules_of(archive: Archive, study: str) -> dict[int, Any]:
    """What the first instance of a study says of its patient and of the study."""
    for instance in _instances(archive, Level.STUDY, study)[:1]:
        original = originals.original(archive, instance)
        if original is not None:
            dataset = headers.read(archive, original.file, original.pixel_data_offset)
            return module_values(dataset, _MODULES)
    raise CodedError(codes.UNKNOWN_RESOURCE)
