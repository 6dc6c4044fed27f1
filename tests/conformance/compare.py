"""Comparing two answers: volatile values made equal, then every remaining difference with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.conformance import parts, zips
from tests.conformance.line import ABSENT, Ask, Difference, Found
from tests.servers.web import Answer

COMPARED_HEADERS = ("content-type", "allow", "www-authenticate", "content-disposition", "etag")

_VOLATILE = (
    (re.compile(r"\b\d{8}T\d{6}(\.\d{6})?\b"), "(time)"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "(uuid)"),
)
_PORTS = {"HttpPort", "DicomPort"}
_CHILDREN = {"Studies", "Series", "Instances"}  # Orthanc 1.13 sorts them, 1.10 does not
_MD5_TAG = re.compile(r'"(\d+)-[0-9a-f]{32}"')
_RETRIEVE_URL = "00081190"
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def differences(theirs: Answer, ours: Answer, ask: Ask) -> list[Found]:
    """All places where the answers to `ask` differ, the declared ones included."""
    found = list(_walk("status", theirs.status, ours.status))
    if ask.compare == "status":
        return found
    for name in COMPARED_HEADERS:
        found += _walk(f"header.{name}", _header(theirs, name), _header(ours, name))
    found += _walk("body", _body(theirs, ask), _body(ours, ask))
    return found


def undeclared(found: list[Found], declared: tuple[Difference, ...]) -> list[Found]:
    """Those of `found` that no declared difference covers."""
    return [each for each in found if not any(difference.covers(each) for difference in declared)]


def unused(found: list[Found], declared: tuple[Difference, ...]) -> list[Difference]:
    """Declared differences that did not occur, so the declaration is stale."""
    return [each for each in declared if not any(each.covers(one) for one in found)]


def _header(answer: Answer, name: str) -> Any:
    value = answer.header(name)
    if value is None:
        return ABSENT
    if name == "etag" and _is_volatile(answer.body):
        return _MD5_TAG.sub(r'"\1-(md5)"', value)
    if value.startswith("multipart/"):
        return parts.without_boundary(value)
    return _stable(value)


def _is_volatile(body: bytes) -> bool:
    text = body[:64].decode("latin-1")
    return any(pattern.fullmatch(text) for pattern, _ in _VOLATILE)


def _stable(text: str) -> str:
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text


def _body(answer: Answer, ask: Ask) -> Any:
    kind = (answer.header("content-type") or "").partition(";")[0]
    if kind in {"application/json", "application/dicom+json", ""} and answer.body:
        try:
            value = _stable_json(json.loads(answer.body))
        except ValueError:
            pass
        else:
            return sorted(value, key=_identity) if ask.unordered and isinstance(value, list) else value
    if kind == "multipart/related":
        return parts.parts(answer.header("content-type") or "", answer.body)
    if kind == "application/zip":
        return zips.content(answer.body)
    if kind == "application/dicom" or _NOT_TEXT.search(answer.body):
        return answer.body
    try:
        return _stable(answer.body.decode())
    except UnicodeDecodeError:
        return answer.body


def _identity(member: Any) -> str:
    if isinstance(member, dict):
        if "ID" in member:
            return str(member["ID"])
        if _RETRIEVE_URL in member:  # a result of QIDO-RS
            return str(member[_RETRIEVE_URL])
    return repr(member)


def _stable_json(value: Any, key: str = "") -> Any:
    match value:
        case dict():
            return {name: _stable_json(member, name) for name, member in value.items()}
        case list() if key in _CHILDREN and all(isinstance(member, str) for member in value):
            return sorted(value)
        case list():
            return [_stable_json(member) for member in value]
        case str():
            return _stable(value)
        case int() if key in _PORTS:
            return "(port)"
        case float() if key == "EffectiveRuntime":
            return "(seconds)"
        case _:
            return value


def _walk(place: str, theirs: Any, ours: Any) -> Iterator[Found]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            yield from _walk(f"{place}.{key}", theirs.get(key, ABSENT), ours.get(key, ABSENT))
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield Found(f"{place}.length", len(theirs), len(ours))
        for index, (one, other) in enumerate(zip(theirs, ours, strict=False)):
            yield from _walk(f"{place}.{index}", one, other)
    elif type(theirs) is not type(ours) or theirs != ours:
        yield Found(place, theirs, ours)
