"""What this service can do (PS3.18 8.9): `OPTIONS` on its root and its resources, and Orthanc's `/info`.

The description is made from the table of routes, so it has every route and no other: in WADL, or in the JSON
that says the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import orjson

from ithil import error_codes as codes
from ithil.dicomweb.links import service_root
from ithil.error_codes import CodedError
from ithil.http.accept import accepted, preferred
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import METHODS, Route, split

WADL = "application/vnd.sun.wadl+xml"
_OFFERED = (WADL, "application/json", "application/dicom+json", "application/xml", "text/xml")
_NAMESPACE = "http://wadl.dev.java.net/2009/02"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_IN_BODY = ("POST", "PUT")


def routes() -> list[Route]:
    """Orthanc's route, by which its web pages find the service."""
    return [Route("GET", "/info", _info, "Where DICOMweb and the REST API are", cacheable=True)]


def options(root: str, table: Iterable[Route]) -> list[Route]:
    """An OPTIONS route for each path of `table` below `root`, and for the root."""
    paths = dict.fromkeys([root, *(route.path for route in table)])
    line = Route("OPTIONS", "", _capabilities, "What can be done here, in WADL or JSON", answers=_OFFERED[:2])
    return [replace(line, path=path) for path in paths]


def _info(request: Request) -> Answer:
    settings = request.context.settings.dicom_web
    path = (settings.public_root if settings.public_root is not None else settings.root).strip("/")
    depth = len(split(settings.root))
    root = f"/{path}/" if path else "/"
    content = {"DicomWebRoot": root, "OrthancApiRoot": "./" + "../" * depth}
    return Answer(orjson.dumps(content, option=orjson.OPT_INDENT_2), "application/json")


def _capabilities(request: Request) -> Answer:
    media_type = preferred(accepted(request), _OFFERED)
    if media_type is None:
        raise CodedError(codes.NOT_ACCEPTABLE, f"There are {WADL} and application/json")
    root = split(request.context.settings.dicom_web.root)
    asked = split(request.path)
    found: dict[str, list[Route]] = {}
    for route in request.context.router.routes:
        segments = split(route.path)
        if segments[: len(root)] == root and _leads_to(asked, segments):
            found.setdefault("/".join(segments[len(root) :]), []).append(route)
    here = request.context.router.match(asked)
    methods = [name for name in METHODS if here is not None and name in here.node.routes]
    if "GET" in methods:
        methods.insert(1, "HEAD")
    headers = {"Allow": ", ".join([*methods, "OPTIONS"]), "Vary": "Accept"}
    resources = [_resource(path, found[path]) for path in sorted(found)]
    base = service_root(request) + "/"
    if "json" in media_type:
        content = {"application": {"resources": {"base": base, "resource": resources}}}
        return Answer(orjson.dumps(content), media_type, headers=headers)
    return Answer(_wadl(base, resources), media_type, headers=headers)


def _leads_to(asked: list[str], segments: list[str]) -> bool:
    """Whether a route is at the path that was asked for, or below it."""
    if len(segments) < len(asked):
        return False
    return all(part.startswith("{") or part == name for name, part in zip(asked, segments, strict=False))


def _resource(path: str, found: list[Route]) -> dict[str, Any]:
    names = _PARAMETER.findall(path)
    resource: dict[str, Any] = {"path": _PARAMETER.sub(r"{\1}", path)}
    if names:
        resource["param"] = [{"name": name, "style": "template", "required": True} for name in names]
    resource["method"] = [
        _method(route) for route in sorted(found, key=lambda one: METHODS.index(one.method))
    ]
    return resource


def _method(route: Route) -> dict[str, Any]:
    asks: dict[str, Any] = {}
    if route.parameters:
        asks["param"] = [{"name": one.name, "style": "query", "doc": one.summary} for one in route.parameters]
    if route.method in _IN_BODY and isinstance(route.body, str):
        asks["representation"] = [{"mediaType": route.body}]
    types = (route.answers,) if isinstance(route.answers, str) else route.answers
    method: dict[str, Any] = {"name": route.method, "doc": route.summary}
    if asks:
        method["request"] = asks
    method["response"] = [{"representation": [{"mediaType": one} for one in types]}]
    return method


def _wadl(base: str, resources: list[dict[str, Any]]) -> bytes:
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<application xmlns={quoteattr(_NAMESPACE)}>",
        f"<resources base={quoteattr(base)}>",
    ]
    for resource in resources:
        lines += _element("resource", resource)
    return "\n".join([*lines, "</resources>", "</application>", ""]).encode()


def _element(name: str, value: dict[str, Any]) -> list[str]:
    """An element of WADL: plain values are its attributes, lists and objects its children, `doc` its text."""
    plain = {key: one for key, one in value.items() if not isinstance(one, (dict, list)) and key != "doc"}
    start = name + "".join(f" {key}={quoteattr(_plain(one))}" for key, one in plain.items())
    inner = [f"<doc>{escape(value['doc'])}</doc>"] if "doc" in value else []
    for key, one in value.items():
        for child in one if isinstance(one, list) else [one] if isinstance(one, dict) else []:
            inner += _element(key, child)
    return [f"<{start}>", *inner, f"</{name}>"] if inner else [f"<{start}/>"]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
