"""`/openapi.json`: the description of this API, made from the table of routes (OpenAPI 3.1).

Nothing is written twice: a route's line says its method, path, summary, arguments, and what its bodies are.
Refusals are the same everywhere, so they are described once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

from ithil import __version__
from ithil.http import answers, errors
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import JSON, Field, Parameter, Route, split
from ithil.rest.openapi_kinds import kind_of

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_PUT_AND_POST = ("PUT", "POST")

_TAGS = {
    "patients": "Patients",
    "studies": "Studies",
    "series": "Series",
    "instances": "Instances",
    "tools": "Tools",
    "jobs": "Jobs",
    "changes": "Changes",
    "exports": "Changes",
    "dicom-web": "DICOMweb",
    "wado": "DICOMweb",
}
_SYSTEM = "System"

_ARGUMENTS = {
    "id": "The public identifier of the resource, five groups of eight hexadecimal digits",
    "name": "A name or a number",
    "path": "Tags and numbers of items in turn, between slashes",
    "frame": "The number of a frame, counted from 0",
    "label": "A label: letters, digits, underscores and hyphens",
    "study": "A Study Instance UID",
    "series": "A Series Instance UID",
    "instance": "A SOP Instance UID",
    "frames": "Numbers of frames, counted from 1, with commas between them",
    "workitem": "The SOP Instance UID of a workitem",
    "aetitle": "The application entity title of a subscriber",
    "server": "The symbolic name of a DICOMweb server",
}

_ERROR = {
    "type": "object",
    "description": "A refusal. Some refusals have no body.",
    "properties": {
        "HttpError": {"type": "string"},
        "HttpStatus": {"type": "integer"},
        "Message": {"type": "string"},
        "Method": {"type": "string"},
        "OrthancError": {"type": "string"},
        "OrthancStatus": {"type": "integer", "description": "The code by which programs know the refusal"},
        "Uri": {"type": "string"},
        "Details": {"type": "string", "description": "What is wrong, in words"},
    },
    "required": ["HttpStatus", "OrthancStatus", "Message"],
}


_REFUSAL = "#/components/responses/Refusal"


def routes() -> list[Route]:
    """The routes of this module."""
    return [Route("GET", "/openapi.json", get_document, "This description of the API")]


def get_document(request: Request) -> Answer:
    """`GET /openapi.json`."""
    return Answer(_document_of(tuple(request.context.router.routes)), answers.JSON)


@lru_cache(maxsize=2)
def _document_of(routes: tuple[Route, ...]) -> bytes:
    return to_bytes(document(routes))


def to_bytes(description: dict[str, Any]) -> bytes:
    """The document as it is sent."""
    return orjson.dumps(description, option=orjson.OPT_APPEND_NEWLINE)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The description of these routes, without what only describes others (`OPTIONS`)."""
    paths: dict[str, dict[str, Any]] = {}
    described = (route for route in routes if route.method != "OPTIONS")
    for route in sorted(described, key=lambda route: (route.path, route.method)):
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    used = {operation["tags"][0] for methods in paths.values() for operation in methods.values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ithil",
            "version": __version__,
            "summary": "The REST API of a DICOM server, which is Orthanc's",
            "description": "JSON answers are sent as XML to those who ask for `application/xml`. "
            "An argument of a query that is there without a value is true.",
        },
        "servers": [{"url": "."}],
        "security": [{}, {"basic": []}],
        "tags": [{"name": name} for name in dict.fromkeys((*_TAGS.values(), _SYSTEM)) if name in used],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "responses": {
                "Refusal": {
                    "description": "It is refused, or it failed",
                    "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
            "schemas": {"Error": _ERROR},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _identifier(route),
        "summary": route.summary,
        "tags": [_TAGS.get((split(route.path) or [""])[0], _SYSTEM)],
    }
    parameters = [_in_path(name) for name in _PARAMETER.findall(route.path)]
    parameters += [_in_query(parameter) for parameter in route.parameters]
    if parameters:
        operation["parameters"] = parameters
    body = _request_body(route)
    if body is not None:
        operation["requestBody"] = body
    operation["responses"] = _responses(route)
    return operation


def _identifier(route: Route) -> str:
    """`getStudiesIdArchive` for `GET /studies/{id}/archive`."""
    words = re.findall(r"[A-Za-z0-9]+", _PARAMETER.sub(r"\1", route.path))
    return route.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _in_path(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _ARGUMENTS.get(name, f"The {name}"),
        "schema": {"type": "string"},
    }


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.summary,
        "allowEmptyValue": True,
        "schema": {"type": "string"},
    }


def _request_body(route: Route) -> dict[str, Any] | None:
    """What is sent along; a route that does not say may be sent anything."""
    if route.method not in _PUT_AND_POST:
        return None
    kind = kind_of(route).body
    if kind is None:
        return None
    if isinstance(kind, str):
        return {"content": {kind: {"schema": _schema_of(kind)}}}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _property(field) for field in kind},
    }
    required = [field.name for field in kind if field.required]
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {JSON: {"schema": schema}}}


def _property(field: Field) -> dict[str, Any]:
    kinds = field.kind.split("|")
    return {"type": kinds if len(kinds) > 1 else kinds[0], "description": field.summary}


def _schema_of(media_type: str) -> dict[str, Any]:
    """JSON can be anything, text is a string, and of the rest only its bytes are known."""
    if media_type.endswith("json"):
        return {}
    return {"type": "string"}


def _responses(route: Route) -> dict[str, Any]:
    kind = kind_of(route)
    kinds = (kind.answers,) if isinstance(kind.answers, str) else kind.answers
    content = {kind: {"schema": _schema_of(kind)} for kind in kinds}
    if JSON in content:
        content["application/xml"] = {"schema": {"type": "string"}}
    found: dict[str, Any] = {"200": {"description": "Done", "content": content}}
    if kind.ranges:
        found["206"] = {"description": "The part that was asked for", "content": content}
    if route.method == "GET":
        found["304"] = {"description": "The client has this version already"}
    for status in route.fails:
        described = errors.reason_phrase(status)
        found[str(status)] = {"description": described} if status < 400 else {"$ref": _REFUSAL}
    found["4XX"] = {"$ref": _REFUSAL}
    found["5XX"] = {"$ref": _REFUSAL}
    return found
