"""The bodies of requests to modalities, read as Orthanc reads them: what is wrong is a bad file format."""

from __future__ import annotations

from typing import Any

from ithil import error_codes as codes
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import json_body
from ithil.http.request import Request
from ithil.services.query_keys import MOST_KEYS
from ithil.settings.remotes import check_aet

LONGEST_TIMEOUT = 24 * 3600  # seconds

_LEVELS = {name: level for level in Level for name in (level.singular.upper(), level.plural.upper())} | {
    "IMAGE": Level.INSTANCE,
    "IMAGES": Level.INSTANCE,
}

Object = dict[str, Any]


def bad(details: str) -> CodedError:
    """The refusal of a body of the wrong form."""
    return CodedError(codes.BAD_FILE_FORMAT, details)


def json(request: Request) -> Any:
    """The JSON value of the body. Raises CodedError (bad file format)."""
    try:
        return json_body.parse(request.body)
    except CodedError as error:
        raise bad(error.details) from error


def json_object(request: Request, *, empty: bool = False) -> Object:
    """The object that the body holds; with `empty`, no body stands for one without fields."""
    if empty and not request.body.strip():
        return {}
    value = json(request)
    if not isinstance(value, dict):
        raise bad("The body must be a JSON object")
    return value


def timeout(body: Object) -> int | None:
    """The field `Timeout` in seconds, None if it is not there. Raises CodedError."""
    value = body.get("Timeout")
    if value is None and "Timeout" not in body:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_TIMEOUT:
        raise bad(f'The field "Timeout" must be a number of seconds, at most {LONGEST_TIMEOUT}')
    return value


def title(body: Object, name: str, wrong_type: int = codes.BAD_FILE_FORMAT) -> str:
    """A field with an application entity title, "" if it is not there.

    Raises CodedError: `wrong_type` for what is no text, bad application entity title for what is none.
    """
    value = body.get(name, "")
    if not isinstance(value, str):
        raise CodedError(wrong_type, f'The field "{name}" must be a string')
    if value and (complaint := check_aet(value)):
        raise CodedError(
            codes.BAD_APPLICATION_ENTITY_TITLE, f'The field "{name}" must be {complaint}', status=400
        )
    return value


def level(text: Any) -> Level:
    """A level by its name in any spelling. Raises CodedError (parameter out of range)."""
    found = _LEVELS.get(text.upper()) if isinstance(text, str) else None
    if found is None:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "Not the name of a level")
    return found


def keys(value: Any, unknown: int = codes.BAD_FILE_FORMAT) -> dict[int, str]:
    """Texts by tag, from an object whose names are those of tags.

    Raises CodedError: `unknown` for an unknown tag, bad file format for all else.
    """
    if not isinstance(value, dict) or len(value) > MOST_KEYS:
        raise bad("DICOM tags must be given as a JSON object of strings")
    found: dict[int, str] = {}
    for name, text in value.items():
        if not isinstance(text, str):
            raise bad("DICOM tags must be given as a JSON object of strings")
        found[tag(name, unknown)] = text.replace("\0", "")
    return found


def tag(name: str, unknown: int = codes.BAD_FILE_FORMAT) -> int:
    """The tag of that name. Raises CodedError with the code `unknown`."""
    try:
        return parse_tag(name)
    except ValueError as error:
        raise CodedError(unknown, codes.unknown_tag(name).details) from error
