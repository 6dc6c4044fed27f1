"""Modification and anonymisation: of an instance as an answer, of all other resources as a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ithil import error_codes as codes
from ithil.archive import headers, resources, retrieve, transcoding
from ithil.dicom.level import Level
from ithil.edit.apply import apply
from ithil.edit.recipe import Recipe
from ithil.error_codes import CodedError
from ithil.http.answers import Answer
from ithil.http.job_requests import run_job
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.jobs.kinds import modification
from ithil.jobs.kinds.edit_arguments import EditArguments
from ithil.pixels.errors import PixelError
from ithil.rest import modify_fields as fields
from ithil.rest.modify_check import check_parents
from ithil.rest.modify_fields import EditFields

Handler = Callable[[Request], Answer | Awaitable[Answer]]

DICOM = "application/dicom"


def routes() -> list[Route]:
    """The routes of this module."""
    table = [
        Route("POST", "/instances/{id}/modify", modify_instance, "The instance modified, without storing it"),
        Route(
            "POST",
            "/instances/{id}/anonymize",
            anonymize_instance,
            "The instance anonymised, without storing it",
        ),
        Route("POST", "/tools/bulk-modify", bulk_modify, "Modify any set of resources"),
        Route("POST", "/tools/bulk-anonymize", bulk_anonymize, "Anonymise any set of resources together"),
    ]
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        one, noun = f"/{level.plural}/{{id}}", level.singular.lower()
        table += [
            Route("POST", f"{one}/modify", modifier(level), f"Modify the {noun}, as a job"),
            Route("POST", f"{one}/anonymize", anonymizer(level), f"Anonymise the {noun}, as a job"),
        ]
    return table


def modify_instance(request: Request) -> Answer:
    """`POST /instances/{id}/modify`: the file."""
    body = fields.edit_body(request)
    return _edited_instance(request, body, fields.modification_recipe(request, body, Level.INSTANCE))


def anonymize_instance(request: Request) -> Answer:
    """`POST /instances/{id}/anonymize`: the file."""
    if retrieve.dicom_file(request.context.archive, request.arguments["id"]) is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    body = fields.edit_body(request)
    return _edited_instance(request, body, fields.anonymization_recipe(request, body))


def _edited_instance(request: Request, body: dict[str, Any], recipe: Recipe) -> Answer:
    archive = request.context.archive
    file = retrieve.dicom_file(archive, request.arguments["id"])
    if file is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    how = fields.transcoding(body, codes.PARAMETER_OUT_OF_RANGE)
    if file.uncompressed_size > transcoding.MAXIMUM_FILE:
        raise CodedError(codes.NOT_ENOUGH_MEMORY, "The instance is too large to be edited in one answer")
    sop_uid = ""
    if how.transfer_syntax:
        try:
            content = transcoding.transcoded(archive, file, how.transfer_syntax, how.quality)
        except PixelError as error:
            raise CodedError(codes.BAD_FILE_FORMAT, str(error)) from error
        instance = resources.read(archive, Level.INSTANCE, request.arguments["id"])
        sop_uid = "" if instance is None else instance.main_tags.get(0x00080018, "")
    else:
        content = retrieve.read(archive, file)
    return Answer(apply(recipe, content, limits=headers.limits(archive), sop_uid=sop_uid), DICOM)


def modifier(level: Level) -> Handler:
    """`POST /{level}/{id}/modify`."""

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        public_id, instances = _instances_of(request, level)
        body = fields.edit_body(request)
        how = fields.edit_fields(body)
        recipe = fields.modification_recipe(request, body, level)
        check_parents(request.context.archive, recipe, level, public_id)
        edit = fields.edit_arguments(request, how, recipe, level, instances)
        return _run(request, how, edit, [public_id], bulk=False)

    return handle


def anonymizer(level: Level) -> Handler:
    """`POST /{level}/{id}/anonymize`."""

    def handle(request: Request) -> Answer | Awaitable[Answer]:
        public_id, instances = _instances_of(request, level)
        body = fields.edit_body(request)
        how = fields.edit_fields(body)
        recipe = fields.anonymization_recipe(request, body)
        edit = fields.edit_arguments(request, how, recipe, level, instances)
        return _run(request, how, edit, [public_id], bulk=False)

    return handle


def bulk_modify(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /tools/bulk-modify`: `Level` says which identifiers are made anew, by default the instances'."""
    body = fields.edit_body(request)
    sources, instances = _named(request, body)
    level = _level(body)
    how = fields.edit_fields(body)
    recipe = fields.modification_recipe(request, body, level)
    edit = fields.edit_arguments(request, how, recipe, level, instances)
    return _run(request, how, edit, sources, bulk=True)


def bulk_anonymize(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /tools/bulk-anonymize`."""
    body = fields.edit_body(request)
    sources, instances = _named(request, body)
    how = fields.edit_fields(body)
    recipe = fields.anonymization_recipe(request, body)
    edit = fields.edit_arguments(request, how, recipe, Level.PATIENT, instances)
    return _run(request, how, edit, sources, bulk=True)


def _run(
    request: Request, how: EditFields, edit: EditArguments, sources: list[str], *, bulk: bool
) -> Answer | Awaitable[Answer]:
    one_sop_uid = edit.recipe.replaces(0x00080018)
    if one_sop_uid and len(edit.instances) > 1:
        raise CodedError(
            codes.CANNOT_STORE_INSTANCE, "Several instances cannot be given the same SOPInstanceUID"
        )
    return run_job(
        request,
        modification.RESOURCE_MODIFICATION,
        modification.arguments(edit, bulk=bulk),
        how.job,
        content=modification.content(edit, sources),
    )


def _instances_of(request: Request, level: Level) -> tuple[str, list[str]]:
    public_id = request.arguments["id"]
    found = resources.descendants(request.context.archive, level, public_id, Level.INSTANCE)
    if found is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    return public_id, found


def _named(request: Request, body: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The resources in the field `Resources`, and all instances below them, each once."""
    sources = list(dict.fromkeys(fields.texts(body, "Resources")))
    instances: dict[str, None] = {}
    for each in sources:
        instances.update(dict.fromkeys(_below(request, each)))
    return sources, list(instances)


def _below(request: Request, public_id: str) -> Sequence[str]:
    """The instances of a resource of any level."""
    for level in reversed(Level):
        found = resources.descendants(request.context.archive, level, public_id, Level.INSTANCE)
        if found is not None:
            return found
    raise CodedError(codes.UNKNOWN_RESOURCE)


def _level(body: dict[str, Any]) -> Level:
    name = body.get("Level", Level.INSTANCE.singular)
    for level in Level:
        if name == level.singular:
            return level
    raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The field "Level" must be the name of a level')
