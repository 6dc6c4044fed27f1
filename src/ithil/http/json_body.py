"""The JSON bodies of POST and PUT requests, and typed looks at their fields.

A field that is absent has its default; one of another type is refused with Orthanc's code for that. Depth and
numbers are bounded by the parser (orjson stops at 1,024 levels and takes no NaN), the size by
`MaximumRequestBodySizeMB`.
"""

from __future__ import annotations

from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http.request import Request

Object = dict[str, Any]


def parse(body: bytes, code: int = codes.BAD_REQUEST) -> Any:
    """The JSON value of a body. Raises CodedError with `code` for what is no JSON."""
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise CodedError(code, "The body must be JSON") from error


def json_object(request: Request, *, empty: bool = False) -> Object:
    """The object that the body holds; with `empty`, no body at all stands for an object without fields.

    Raises CodedError (bad request) for anything else.
    """
    if empty and not request.body.strip():
        return {}
    value = parse(request.body)
    if not isinstance(value, dict):
        raise CodedError(codes.BAD_REQUEST, "The body must be a JSON object")
    return value


def boolean(body: Object, name: str, default: bool) -> bool:
    """A field that is true or false. Raises CodedError (bad type)."""
    value = body.get(name, default)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise _bad_type(name, "true or false")


def integer(body: Object, name: str, default: int) -> int:
    """A field that is a whole number of 64 bits. Raises CodedError (bad type)."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise _bad_type(name, "a whole number")
    return value


def text(body: Object, name: str, default: str) -> str:
    """A field that is a string. Raises CodedError (bad type)."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise _bad_type(name, "a string")
    return value


def texts(body: Object, name: str) -> list[str]:
    """A field that is an array of strings; [] if it is absent. Raises CodedError (bad type)."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _bad_type(name, "an array of strings")
    return value


def nested(body: Object, name: str) -> Object:
    """A field that is an object; {} if it is absent. Raises CodedError (bad type)."""
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise _bad_type(name, "an object")
    return value


def _bad_type(name: str, wanted: str) -> CodedError:
    return CodedError(codes.BAD_PARAMETER_TYPE, f'The field "{name}" must be {wanted}')
