"""`POST /tools/create-dicom`: a new instance, or a series of them, from tags, pictures and documents.

A series is made one instance at a time, so that one picture is in memory and not all; if one of them fails,
those that were stored are taken away again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ithil import error_codes as codes
from ithil.archive import ingest, resources
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.model import Origin, StoreResult, StoreStatus
from ithil.dicom import charsets, modules
from ithil.dicom.dataset import Element
from ithil.dicom.level import Level
from ithil.dicom.values import clean_text
from ithil.edit import create
from ithil.edit.create import Inherited, Tags
from ithil.edit.data_uri import parse_payload
from ithil.edit.text import SPECIFIC_CHARACTER_SET
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.json_body import Object, json_object
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.pixels.elements import swap
from ithil.rest.header import read_header
from ithil.rest.uploads import stored_json

MOST_INSTANCES = 10_000
"""Instances of one series that a request can make."""

_LEVELS_ABOVE = {
    Level.PATIENT: (Level.PATIENT,),
    Level.STUDY: (Level.PATIENT, Level.STUDY),
    Level.SERIES: (Level.PATIENT, Level.STUDY, Level.SERIES),
}


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            "/tools/create-dicom",
            create_dicom,
            "Make and store an instance or a series from tags, pictures or documents",
            writes=True,
        )
    ]


@dataclass(frozen=True, slots=True)
class _Wish:
    """One instance that is asked for; its content is still the text of the request."""

    tags: Tags
    content: Any = None


def create_dicom(request: Request) -> Answer:
    """The only route. The answer is that of an upload, or names the new series."""
    body = json_object(request)
    if "Tags" not in body:
        return _create_by_tags_alone(request, body)
    archive = request.context.archive
    if not isinstance(body["Tags"], dict):
        raise CodedError(codes.BAD_REQUEST, 'The field "Tags" must be an object')
    force, encapsulate = _flag(body, "Force", False), _flag(body, "Encapsulate", False)
    interpret_binary = _flag(body, "InterpretBinaryTags", True)
    inherited = (
        _inherited(archive, body["Parent"])
        if "Parent" in body
        else Inherited(default_encoding=archive.default_encoding)
    )
    creator = body.get("PrivateCreator", archive.settings.default_private_creator)
    if not isinstance(creator, str):
        raise CodedError(codes.BAD_REQUEST, 'The field "PrivateCreator" must be a string')

    def parsed(json: dict[str, Any]) -> Tags:
        tags = create.parse_tags(json, creator, interpret_binary=interpret_binary)
        if not force:
            create.check_overrides(tags, inherited, _patient_id(inherited))
        return tags

    tags = parsed(body["Tags"])
    content = body.get("Content", [])
    now = datetime.now().astimezone()
    if not isinstance(content, list) or not content:
        payload = parse_payload(content) if not isinstance(content, list) else None
        file = create.create(tags, inherited, payload, now=now, encapsulate_jpeg=encapsulate)
        return answers.json(request, stored_json(_stored(request, file)))
    if len(content) > MOST_INSTANCES:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "There are too many instances in one series")
    wishes = []
    for number, item in enumerate(content, 1):
        wish = _wish(item, tags, parsed)
        wishes.append(_Wish(create.of_series(wish.tags, number, len(content)), wish.content))
    common = create.with_identifiers(inherited)
    files = (
        create.create(wish.tags, common, parse_payload(wish.content), now=now, encapsulate_jpeg=encapsulate)
        for wish in wishes
    )
    series = _stored_series(request, files)
    return answers.json(
        request, {"ID": series, "Path": f"/series/{series}", "Status": str(StoreStatus.SUCCESS)}
    )


def _create_by_tags_alone(request: Request, body: Object) -> Answer:
    """The older form, without `Tags`: every field is a tag, and PixelData is the content."""
    archive = request.context.archive
    if not all(isinstance(value, str) for value in body.values()):
        raise CodedError(codes.CREATE_DICOM_NOT_STRING)
    content = next((body[name] for name in _PIXEL_DATA_NAMES if name in body), None)
    named = {name: value for name, value in body.items() if name not in _PIXEL_DATA_NAMES}
    tags = create.parse_tags(named, archive.settings.default_private_creator)
    payload = None if content is None else parse_payload(content)
    file = create.create(tags, Inherited(default_encoding=archive.default_encoding), payload)
    return answers.json(request, stored_json(_stored(request, file)))


_PIXEL_DATA_NAMES = ("PixelData", "7fe0,0010", "7fe0-0010", "7fe00010", "7FE0,0010", "7FE0-0010", "7FE00010")


def _flag(body: Object, name: str, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise CodedError(codes.BAD_REQUEST, f'The field "{name}" must be true or false')
    return value


def _wish(item: Any, common: Tags, parse: Callable[[dict[str, Any]], Tags]) -> _Wish:
    """One element of the array `Content`: the content alone, or an object with tags of its own."""
    if not isinstance(item, dict):
        return _Wish(common, item)
    if "Content" not in item:
        raise CodedError(codes.CREATE_DICOM_NO_PAYLOAD)
    own = item.get("Tags", {})
    if not isinstance(own, dict):
        raise CodedError(codes.BAD_REQUEST, 'The field "Tags" must be an object')
    return _Wish(parse(own).over(common), item["Content"])


def _inherited(archive: Archive, parent: Any) -> Inherited:
    """What the patient, study or series `parent` passes on to a new instance: its modules and those above.

    Raises CodedError (bad parent), (parent is an instance).
    """
    is_id = isinstance(parent, str) and "\0" not in parent
    level = resources.levels_of(archive, [parent]).get(parent) if is_id else None
    if level is None:
        raise CodedError(codes.CREATE_DICOM_BAD_PARENT)
    if level == Level.INSTANCE:
        raise CodedError(codes.CREATE_DICOM_PARENT_IS_INSTANCE)
    resource = resources.read(archive, level, parent)
    instance = resources.first_instance(archive, resource) if resource is not None else None
    if instance is None:
        raise CodedError(codes.CREATE_DICOM_BAD_PARENT)
    header = read_header(archive, instance)
    wanted = frozenset({SPECIFIC_CHARACTER_SET}).union(*(modules.OF_LEVEL[at] for at in _LEVELS_ABOVE[level]))
    elements = [element for element in header.elements if element.tag in wanted]
    if header.big_endian:
        elements = [_little_endian(element) for element in elements]
    return Inherited(elements, archive.default_encoding)


def _little_endian(element: Element) -> Element:
    items = None
    if element.items is not None:
        items = [[_little_endian(inner) for inner in item] for item in element.items]
    value = memoryview(swap(bytes(element.value), element.vr))
    return Element(element.tag, element.vr, value, items, element.private_creator)


def _patient_id(inherited: Inherited) -> str | None:
    """The PatientID of the parents, None without any."""
    character_set = next(
        (bytes(e.value) for e in inherited.elements if e.tag == SPECIFIC_CHARACTER_SET), None
    )
    decode = charsets.decoder(character_set, inherited.default_encoding)
    raw = next((bytes(e.value) for e in inherited.elements if e.tag == create.PATIENT_ID), None)
    return None if raw is None else clean_text(raw, decode)


def _stored(request: Request, file: bytes) -> StoreResult:
    origin = Origin("RestApi", remote_ip=request.client, http_username=request.user)
    return ingest.store(request.context.archive, file, origin)


def _stored_series(request: Request, files: Iterator[bytes]) -> str:
    """The public id of the series that the files make. If one of them fails, none of them stays."""
    archive = request.context.archive
    stored: list[StoreResult] = []
    try:
        for file in files:
            result = _stored(request, file)
            stored.append(result)
    except BaseException:
        for result in stored:
            if result.status == StoreStatus.SUCCESS:
                delete(archive, Level.INSTANCE, result.instance)
        raise
    return stored[0].series
