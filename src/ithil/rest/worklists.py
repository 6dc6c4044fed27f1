"""`/worklists`: the items of the modality worklist, made and changed by programs that schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ithil import error_codes as codes
from ithil.archive import performed, worklist, worklist_item, worklist_state
from ithil.archive.archive import Archive
from ithil.archive.worklist import Item
from ithil.archive.worklist_match import SCHEDULED
from ithil.dicom.dataset import Element
from ithil.dicom.tags_format import Format, format_dataset
from ithil.error_codes import CodedError
from ithil.http import answers, json_body
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Field, Parameter, Route

MOST_SHOWN = 10_000
"""Items in one answer."""

_FORMATS = {form.value: form for form in Format}
_FORMAT = Parameter("format", "Full, Short or Simplify")
_TAGS = Field("Tags", "object", "The attributes of the item, by tag", required=True)


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/worklists/{id}"
    return [
        Route("GET", "/worklists", list_items, "The items of the worklist", (_FORMAT,)),
        Route(
            "POST",
            "/worklists/create",
            post_item,
            "Add an item to the worklist",
            body=(_TAGS, Field("Force", "boolean", "Take it without a modality and a start date")),
            writes=True,
        ),
        Route("GET", one, get_item, "An item of the worklist", (_FORMAT,)),
        Route(
            "PUT",
            one,
            put_item,
            "Replace an item of the worklist",
            body=(_TAGS, Field("Force", "boolean", "The same; true if absent")),
            writes=True,
        ),
        Route("DELETE", one, delete_item, "Remove an item from the worklist", writes=True),
    ]


def list_items(request: Request) -> Answer:
    """`GET /worklists`."""
    archive, form = _enabled(request), _form(request)
    shown: list[dict[str, Any]] = []
    for item in worklist.items(archive):
        if len(shown) == MOST_SHOWN:
            break
        shown.append(_json(archive, item, form))
    return answers.json(request, shown)


def get_item(request: Request) -> Answer:
    """`GET /worklists/{id}`, with what was performed of it."""
    archive, form = _enabled(request), _form(request)
    item = worklist.get(archive, request.arguments["id"])
    if item is None:
        return answers.missing()
    shown = _json(archive, item, form)
    study = worklist_item.text(item.data_set, worklist_item.STUDY_INSTANCE_UID)
    steps = [performed.get(archive, uid) for uid in performed.of_study(archive, study)]
    shown["PerformedProcedureSteps"] = [
        {
            "SOPInstanceUID": step.uid,
            "Status": step.state,
            "RemoteAET": step.performer,
            "Tags": format_dataset(step.data_set, form),
        }
        for step in steps
        if step is not None
    ]
    return answers.json(request, shown)


def post_item(request: Request) -> Answer:
    """`POST /worklists/create`: the id of the item, and where it is."""
    archive = _enabled(request)
    key = worklist.create(archive, _content(request, force=False))
    return _made(request, key)


def put_item(request: Request) -> Answer:
    """`PUT /worklists/{id}`: the same."""
    archive = _enabled(request)
    key = request.arguments["id"]
    if not worklist.replace(archive, key, _content(request, force=True)):
        return answers.missing()
    return _made(request, key)


def delete_item(request: Request) -> Answer:
    """`DELETE /worklists/{id}`."""
    if not worklist.delete(_enabled(request), request.arguments["id"]):
        return answers.missing()
    return answers.done()


def _enabled(request: Request) -> Archive:
    """The archive. Raises CodedError (unknown resource) if the configuration has no worklist."""
    archive = request.context.archive
    if not worklist.is_enabled(archive.settings):
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no worklist: see Worklists in the configuration")
    return archive


def _content(request: Request, *, force: bool) -> bytes:
    body = json_body.json_object(request)
    if "Tags" not in body:
        raise CodedError(codes.BAD_REQUEST, 'The field "Tags" is missing')
    force = json_body.boolean(body, "Force", force)
    return worklist_item.from_tags(request.context.archive, json_body.nested(body, "Tags"), force=force)


def _made(request: Request, key: str) -> Answer:
    return answers.json(request, {"ID": key, "Path": f"/worklists/{key}"})


def _form(request: Request) -> Format:
    name = request.query.get("format", Format.SIMPLIFIED.value)
    form = _FORMATS.get(name)
    if form is None:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The format is Full, Short or Simplify")
    return form


def _json(archive: Archive, item: Item, form: Format) -> dict[str, Any]:
    shown: dict[str, Any] = {"ID": item.id, "Tags": format_dataset(item.data_set, form)}
    if item.created_at is not None:
        created = datetime.fromtimestamp(item.created_at, UTC)
        shown["CreationDate"] = created.strftime("%Y%m%dT%H%M%S")
    state_of = worklist_state.of(archive, item)
    steps = next((one.items or [] for one in item.data_set.elements if one.tag == worklist_item.STEPS), [])
    shown["States"] = [state_of(step) or _own_state(step) for step in steps]
    return shown


def _own_state(step: list[Element]) -> str:
    """The status that the item itself gives to a step."""
    element = next((one for one in step if one.tag == worklist_item.STEP_STATUS), None)
    text = "" if element is None else bytes(element.value).decode("ascii", "replace").strip(" \0")
    return text or SCHEDULED
