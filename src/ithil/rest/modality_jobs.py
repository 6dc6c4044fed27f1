"""`/modalities/{id}/store`, `move` and `get`: what modalities are sent, and what they are made to send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ithil import error_codes as codes
from ithil.archive import exports, remotes
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import json_body
from ithil.http.answers import Answer
from ithil.http.job_requests import parse_job_fields, run_job
from ithil.http.named_resources import MOST_RESOURCES, named
from ithil.http.request import Request
from ithil.http.routing import Field, Route
from ithil.rest import modality_body as read
from ithil.rest.modalities import LOCAL_AET, TIMEOUT, modality_of
from ithil.services import retrieve_jobs, store_job
from ithil.services.get_job import GET
from ithil.services.modality_link import local_title
from ithil.services.move_job import MOVE
from ithil.services.query_keys import UNIQUE_KEYS, levels_to, unique_keys
from ithil.services.retrieve_jobs import RetrieveWish, Wanted
from ithil.services.store_job import MODALITY_STORE, StoreWish
from ithil.settings import Modality
from ithil.settings.option import WrongValue
from ithil.settings.remotes import parse_modality

JOB_FIELDS = (
    Field("Synchronous", "boolean", "Whether the answer waits for the result; true if absent"),
    Field("Asynchronous", "boolean", "The opposite"),
    Field("Priority", "integer", "The highest is done first"),
    Field("Permissive", "boolean", "Go on when something fails"),
    Field("UserData", "object|string|array", "Shown with the job"),
)
_RETRIEVED = (
    Field("Level", "string", "Patient, Study, Series or Instance", required=True),
    Field("Resources", "array", "Objects with the unique keys down to the level, by tag", required=True),
    LOCAL_AET,
    TIMEOUT,
    *JOB_FIELDS,
)

Handler = Callable[[Request], Answer | Awaitable[Answer]]


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/modalities/{id}"
    return [
        Route(
            "POST",
            f"{one}/store",
            post_store,
            "Send resources to the modality by C-STORE, as a job; the body may also be one id, or an array",
            body=(
                Field("Resources", "array", "The ids of what is sent", required=True),
                LOCAL_AET,
                Field("CalledAet", "string", "The title to call in place of the modality's"),
                Field("Host", "string", "The host to call in place of the modality's"),
                Field("Port", "integer", "The port to call in place of the modality's"),
                Field("MoveOriginatorAet", "string", "The title of who asked for it by C-MOVE"),
                Field("MoveOriginatorID", "integer", "The message ID of that C-MOVE"),
                Field("StorageCommitment", "boolean", "Ask for storage commitment afterwards"),
                TIMEOUT,
                *JOB_FIELDS,
            ),
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/move",
            post_move,
            "Have the modality send to any application entity by C-MOVE, as a job",
            body=(Field("TargetAet", "string", "Who receives it; this server if absent"), *_RETRIEVED),
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/get",
            post_get,
            "Fetch from the modality by C-GET, as a job",
            body=_RETRIEVED,
            writes=True,
        ),
    ]


# -- store ---------------------------------------------------------------------------------------------------


def post_store(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /modalities/{id}/store`."""
    archive = request.context.archive
    modality = modality_of(request)
    found = named(request)
    body = found.body
    fields = parse_job_fields(body, synchronous=True)
    wish = StoreWish(
        modality=_elsewhere(modality, body),
        instances=found.instances,
        local_aet=read.title(body, "LocalAet", codes.BAD_PARAMETER_TYPE),
        called_aet=read.title(body, "CalledAet", codes.BAD_PARAMETER_TYPE),
        move_originator=_originator(body),
        timeout=read.timeout(body),
        permissive=fields.permissive,
        commitment=json_body.boolean(body, "StorageCommitment", False),
        name=request.arguments["id"],
    )
    exports.record(archive, found.resources, request.arguments["id"])
    shown = store_job.content(archive, wish, list(found.resources))
    return run_job(request, MODALITY_STORE, store_job.arguments(wish), fields, content=shown)


def _elsewhere(modality: Modality, body: dict[str, Any]) -> Modality:
    """The modality at the host and port that the body names."""
    if "Host" not in body and "Port" not in body:
        return modality
    value = remotes.modality_json(modality)
    value |= {name: body[name] for name in ("Host", "Port") if name in body}
    try:
        return parse_modality(value, [])
    except WrongValue as wrong:
        raise CodedError(codes.BAD_PARAMETER_TYPE, f"The modality must be {wrong}") from wrong


def _originator(body: dict[str, Any]) -> tuple[str, int] | None:
    title = read.title(body, "MoveOriginatorAet", codes.BAD_PARAMETER_TYPE)
    number = json_body.integer(body, "MoveOriginatorID", 0)
    if not 0 <= number <= 0xFFFF:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "A message ID is a number of 16 bits")
    return (title, number) if title else None


# -- move and get --------------------------------------------------------------------------------------------


def post_move(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /modalities/{id}/move`."""
    return _retrieve(request, MOVE)


def post_get(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /modalities/{id}/get`."""
    return _retrieve(request, GET)


def _retrieve(request: Request, kind: str) -> Answer | Awaitable[Answer]:
    modality = modality_of(request)
    body = read.json_object(request)
    if "Level" not in body or not isinstance(body.get("Resources"), list):
        raise read.bad("The body must be a JSON object with the fields Level and Resources")
    level = read.level(body["Level"])
    if len(body["Resources"]) > MOST_RESOURCES:
        raise read.bad(f"At most {MOST_RESOURCES} resources can be retrieved at once")
    local_aet = read.title(body, "LocalAet")
    target = read.title(body, "TargetAet") if kind == MOVE else ""
    fields = parse_job_fields(body, synchronous=True)
    wish = RetrieveWish(
        modality=modality,
        wanted=[wanted(level, read.keys(each, codes.UNKNOWN_DICOM_TAG)) for each in body["Resources"]],
        target_aet=target or local_title(request.context.archive, modality, local_aet)
        if kind == MOVE
        else "",
        local_aet=local_aet,
        timeout=read.timeout(body),
        permissive=fields.permissive,
    )
    content = retrieve_jobs.content(request.context.archive, wish)
    return run_job(request, kind, retrieve_jobs.arguments(wish), fields, content=content)


def wanted(level: Level, keys: dict[int, str], shown: dict[int, str] | None = None) -> Wanted:
    """What `keys` name at a level. Raises CodedError (bad request) if they do not have all unique keys."""
    sent = unique_keys(level, keys)
    needed = [
        UNIQUE_KEYS[each] for each in levels_to(level) if each > Level.PATIENT or level == Level.PATIENT
    ]
    if any(tag not in sent for tag in needed):
        raise CodedError(codes.BAD_REQUEST, "A unique key of the level, or of one above, is missing")
    return Wanted(level, sent, keys if shown is None else shown)
