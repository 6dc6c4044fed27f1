"""The bodies of requests that edit: their fields beside those of the recipe and of the job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ithil import __version__
from ithil import error_codes as codes
from ithil.archive import clock, originals
from ithil.archive.model import Origin
from ithil.dicom.level import Level
from ithil.dicom.uids import TRANSFER_SYNTAXES
from ithil.edit.recipe import PATIENT_NAME, Recipe, parse_anonymization, parse_modification
from ithil.error_codes import CodedError
from ithil.http import json_body
from ithil.http.job_requests import JobFields, parse_job_fields
from ithil.http.request import Request
from ithil.jobs.kinds.edit_arguments import EditArguments

SERVER = f"Ithil {__version__}"


def edit_body(request: Request) -> dict[str, Any]:
    """The object that the body must hold. Raises CodedError (bad file format), as Orthanc does here."""
    try:
        return json_body.json_object(request)
    except CodedError as error:
        raise CodedError(codes.BAD_FILE_FORMAT, error.details) from error


def texts(body: dict[str, Any], name: str) -> list[str]:
    """A field that must be there and hold strings, without NULs. Raises CodedError (bad file format)."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise wrong_type(name, "an array of strings")
    return [item.replace("\0", "") for item in value]


def boolean(body: dict[str, Any], name: str, default: bool) -> bool:
    """A field that is true or false. Raises CodedError (bad file format)."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise wrong_type(name, "true or false")
    return value


def wrong_type(name: str, wanted: str) -> CodedError:
    """The refusal of a field."""
    return CodedError(codes.BAD_FILE_FORMAT, f'The field "{name}" must be {wanted}')


@dataclass(frozen=True, slots=True)
class Transcoding:
    """`transfer_syntax` is "" to keep that of each instance, `quality` None for the configured one."""

    transfer_syntax: str = ""
    quality: int | None = None


def transcoding(body: dict[str, Any], unknown: int = codes.BAD_FILE_FORMAT) -> Transcoding:
    """The fields `Transcode` and `LossyQuality`.

    Raises CodedError: bad file format for a wrong type, `unknown` for what is no transfer syntax, parameter
    out of range for a quality outside of 1 to 100.
    """
    syntax = body.get("Transcode", "")
    if not isinstance(syntax, str):
        raise wrong_type("Transcode", "a string")
    if syntax and syntax not in TRANSFER_SYNTAXES:
        raise CodedError(unknown, 'The field "Transcode" must be the UID of a transfer syntax')
    quality = body.get("LossyQuality")
    if quality is not None and (isinstance(quality, bool) or not isinstance(quality, int)):
        raise wrong_type("LossyQuality", "a whole number")
    if quality is not None and not 1 <= quality <= 100:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The field "LossyQuality" must be from 1 to 100')
    return Transcoding(syntax, quality)


@dataclass(frozen=True, slots=True)
class EditFields:
    """What a body says about the job, beside the recipe."""

    job: JobFields
    transcoding: Transcoding
    keep_source: bool
    keep_labels: bool


def edit_fields(body: dict[str, Any], *, keep_source: bool = True) -> EditFields:
    """The fields of the job, which is synchronous unless asked otherwise.

    `keep_source` is what holds if the body does not say. Raises CodedError.
    """
    try:
        job = parse_job_fields(body, synchronous=True)
    except CodedError as error:
        raise CodedError(codes.BAD_FILE_FORMAT, error.details) from error
    return EditFields(
        job,
        transcoding(body),
        boolean(body, "KeepSource", keep_source),
        boolean(body, "KeepLabels", False),
    )


def modification_recipe(request: Request, body: dict[str, Any], level: Level) -> Recipe:
    """The recipe of a body that modifies resources of `level`."""
    archive = request.context.archive
    recipe = parse_modification(body, level, private_creator=archive.settings.default_private_creator)
    return recipe.with_encoding(archive.default_encoding)


def anonymization_recipe(request: Request, body: dict[str, Any]) -> Recipe:
    """The recipe of a body that anonymises; draws the number in the name of the patient."""
    archive = request.context.archive
    recipe = parse_anonymization(
        body, server=SERVER, private_creator=archive.settings.default_private_creator
    ).with_encoding(archive.default_encoding)
    if recipe.says(PATIENT_NAME):
        return recipe
    number = originals.next_anonymized_number(archive)
    return recipe.with_values({PATIENT_NAME: f"Anonymized{number}"})


def edit_arguments(
    request: Request, how: EditFields, recipe: Recipe, level: Level, instances: list[str]
) -> EditArguments:
    """The arguments of a job that edits `instances`."""
    return EditArguments(
        recipe=recipe,
        level=level,
        instances=instances,
        keep_source=how.keep_source,
        keep_labels=how.keep_labels,
        permissive=how.job.permissive,
        transcode=how.transcoding.transfer_syntax,
        quality=how.transcoding.quality,
        origin=Origin("RestApi", remote_ip=request.client, http_username=request.user),
        submitted=clock.now()[1],
    )
