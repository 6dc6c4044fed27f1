"""`/transfers`: many small files, or few large ones, between two servers in few requests.

The routes are those of Orthanc's transfers accelerator. Whoever has the data sends it (`push`) or is asked for it
(`lookup`, `chunks`); the buckets that both speak of are in `ithil.services.transfer_plan`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import resources, transfers
from ithil.archive.model import Origin
from ithil.archive.remotes import PEERS
from ithil.archive.transfers import Chunk
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers, json_body
from ithil.http.answers import BINARY, Answer, Stream
from ithil.http.job_requests import JobFields, run_job
from ithil.http.json_body import Object
from ithil.http.named_resources import MOST_RESOURCES, instances_below
from ithil.http.request import Request, unsigned
from ithil.http.routing import Field, Route
from ithil.services import transfer_jobs, transfer_plan
from ithil.services.peers import client_of, peer_named, refused
from ithil.services.transfer_jobs import PULL, PUSH, announced_from, is_id, number

_REMOTE_SELF = "RemoteSelf"
_SCHEMES = {"none": False, "gzip": True}
_LEVELS = {level.singular: level for level in Level}

_TRANSFER = (
    Field(
        "Resources", "array", "Objects with Level (Patient, Study, Series, Instance) and ID", required=True
    ),
    Field("Peer", "string", "The other server", required=True),
    Field("Compression", "string", "none or gzip", required=True),
    Field("Priority", "integer", "The highest is done first"),
    Field("SenderTransferID", "string", "Shown with the job"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    push = "/transfers/push/{transaction}"
    return [
        Route("GET", "/transfers/peers", get_peers, "Which peers can take part in transfers"),
        Route(
            "POST",
            "/transfers/send",
            post_send,
            "Send resources to a peer: by a job here, or by one there if the peer has RemoteSelf",
            body=_TRANSFER,
            writes=True,
        ),
        Route(
            "POST",
            "/transfers/pull",
            post_pull,
            "Fetch resources from a peer, by a job",
            body=_TRANSFER,
            writes=True,
        ),
        Route(
            "POST",
            "/transfers/lookup",
            post_lookup,
            "The instances below resources, with their sizes and MD5",
            body="application/json",
        ),
        Route(
            "GET",
            "/transfers/chunks/{ids}",
            get_chunks,
            "A part of the files of instances, one after the other; the arguments are offset, size and compression",
            answers=(BINARY, "application/gzip"),
        ),
        Route(
            "POST",
            "/transfers/push",
            post_push,
            "Begin to send instances here, in buckets",
            body=(
                Field(
                    "Buckets", "array", "Arrays of the parts of instances (ID, Offset, Size)", required=True
                ),
                Field("Compression", "string", "none or gzip", required=True),
                Field("Instances", "array", "Objects with ID, Size and MD5", required=True),
            ),
            writes=True,
        ),
        Route("PUT", f"{push}/{{bucket}}", put_bucket, "The bytes of a bucket", body=BINARY, writes=True),
        Route("POST", f"{push}/commit", post_commit, "Store what has been sent", writes=True),
        Route("DELETE", push, delete_push, "Forget what has been sent", writes=True),
    ]


# -- the side that asks --------------------------------------------------------------------------------------


def get_peers(request: Request) -> Answer:
    """`GET /transfers/peers`: `disabled`, `installed`, or `bidirectional` if the peer can be asked to pull."""
    archive = request.context.archive
    timeout = archive.settings.transfers.peer_connectivity_timeout
    shown = {}
    for name, peer in PEERS.all(archive).items():
        try:
            with client_of(archive, name, timeout=timeout) as client:
                answer = client.request("POST", "transfers/lookup", b"[]")
            found = answer.json() if answer.succeeded else None
        except CodedError:
            found = None
        if not isinstance(found, dict) or "Instances" not in found:
            shown[name] = "disabled"
        else:
            shown[name] = "bidirectional" if peer.properties.get(_REMOTE_SELF) else "installed"
    return answers.json(request, shown)


def post_send(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /transfers/send`."""
    archive = request.context.archive
    body, asked, compressed = _transfer(request)
    name = json_body.text(body, "Peer", "")
    peer = peer_named(archive, name)
    remote_self = peer.properties.get(_REMOTE_SELF)
    if remote_self is not None:
        return _ask_to_pull(request, name, str(remote_self), body)
    levels = _existing(request, asked)
    instances = list(transfer_plan.announced(archive, instances_below(archive, levels)))
    arguments = transfer_jobs.push_arguments(name, instances, compressed=compressed)
    content = _content(name, asked, body, compressed)
    return run_job(request, PUSH, arguments, _fields(body), content=content)


def _ask_to_pull(request: Request, name: str, remote_self: str, body: Object) -> Answer:
    """Have the peer fetch, who knows this server as `remote_self`."""
    asked = {
        **body,
        "Peer": remote_self,
        "Originator": request.context.archive.settings.name,
    }
    with client_of(request.context.archive, name) as client:
        answer = client.request("POST", "transfers/pull", orjson.dumps(asked))
        if not answer.succeeded:
            raise refused(answer)
        found = answer.json()
    job = found.get("ID") if isinstance(found, dict) else None
    if not isinstance(job, str):
        raise CodedError(codes.NETWORK_PROTOCOL, "The peer did not answer as the transfers accelerator does")
    url = peer_named(request.context.archive, name).url
    return answers.json(request, {"Peer": name, "RemoteJob": job, "URL": f"{url}jobs/{job}"})


def post_pull(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /transfers/pull`."""
    body, asked, compressed = _transfer(request)
    name = json_body.text(body, "Peer", "")
    peer_named(request.context.archive, name)
    originator = json_body.text(body, "Originator", "")
    arguments = transfer_jobs.pull_arguments(name, asked, compressed=compressed, originator=originator)
    content = _content(name, asked, body, compressed)
    return run_job(request, PULL, arguments, _fields(body), content=content)


def _transfer(request: Request) -> tuple[Object, list[dict[str, str]], bool]:
    """The body, the resources that it names, and whether buckets are compressed."""
    body = json_body.json_object(request)
    return body, _resources(body.get("Resources")), _compressed(body)


def _fields(body: Object) -> JobFields:
    return JobFields(synchronous=False, priority=json_body.integer(body, "Priority", 0))


def _content(name: str, asked: list[dict[str, str]], body: Object, compressed: bool) -> Object:
    transfer = json_body.text(body, "SenderTransferID", "")
    return transfer_jobs.content(name, asked, compressed=compressed, transfer=transfer)


# -- the side that is asked ----------------------------------------------------------------------------------


def post_lookup(request: Request) -> Answer:
    """`POST /transfers/lookup`."""
    archive = request.context.archive
    levels = _existing(request, _resources(json_body.parse(request.body)))
    found = list(transfer_plan.announced(archive, instances_below(archive, levels)))
    size = sum(one.size for one in found)
    return answers.json(
        request,
        {
            "Instances": [{"ID": one.id, "Size": one.size, "MD5": one.md5} for one in found],
            "Originator": archive.settings.name,
            "CountInstances": len(found),
            "TotalSize": str(size),
            "TotalSizeMB": size >> 20,
        },
    )


def get_chunks(request: Request) -> Answer:
    """`GET /transfers/chunks/{ids}`: the ids have dots between them."""
    ids = request.arguments["ids"].split(".")
    if not all(is_id(one) for one in ids):
        raise CodedError(codes.UNKNOWN_RESOURCE)
    compression = request.query.get("compression", "none")
    if compression not in _SCHEMES:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The argument "compression" must be none or gzip')
    size = unsigned(request.query, "size", 0) if "size" in request.query else None
    offset = unsigned(request.query, "offset", 0)
    length, pieces = transfer_plan.content(request.context.archive, ids, offset, size)
    if _SCHEMES[compression]:
        return Answer(Stream(transfer_plan.gzipped(pieces)), "application/gzip")
    return Answer(Stream(pieces, length), BINARY)


def post_push(request: Request) -> Answer:
    """`POST /transfers/push`: where the buckets go."""
    body = json_body.json_object(request)
    compressed = _compressed(body)
    instances, buckets = body.get("Instances"), body.get("Buckets")
    if not isinstance(instances, list) or len(instances) > transfers.MOST_INSTANCES:
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "Instances" must be an array')
    if not isinstance(buckets, list) or len(buckets) > transfers.MOST_BUCKETS:
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "Buckets" must be an array')
    made = transfers.begin(
        request.context.archive,
        [_bucket(one) for one in buckets],
        [announced_from(one) for one in instances],
        compressed=compressed,
    )
    return answers.json(request, {"ID": made, "Path": f"/transfers/push/{made}"})


def put_bucket(request: Request) -> Answer:
    """`PUT /transfers/push/{transaction}/{bucket}`."""
    text = request.arguments["bucket"]
    bucket = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    found = transfers.receive(request.context.archive, request.arguments["transaction"], bucket, request.body)
    return answers.done() if found else answers.missing()


def post_commit(request: Request) -> Answer:
    """`POST /transfers/push/{transaction}/commit`; 404 for an unknown transaction."""
    origin = Origin("RestApi", remote_ip=request.client, http_username=request.user)
    found = transfers.commit(request.context.archive, request.arguments["transaction"], origin)
    return answers.done() if found else answers.missing()


def delete_push(request: Request) -> Answer:
    """`DELETE /transfers/push/{transaction}`."""
    found = transfers.discard(request.context.archive, request.arguments["transaction"])
    return answers.done() if found else answers.missing()


def _compressed(body: Object) -> bool:
    compression = json_body.text(body, "Compression", "")
    if compression not in _SCHEMES:
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "Compression" must be none or gzip')
    return _SCHEMES[compression]


def _bucket(value: Any) -> list[Chunk]:
    """A bucket: an array of parts of instances, or an object that has it as `Chunks`."""
    if isinstance(value, dict):
        value = value.get("Chunks")
    if not isinstance(value, list):
        raise CodedError(codes.BAD_FILE_FORMAT, "A bucket must be an array")
    return [_chunk(one) for one in value]


def _chunk(value: Any) -> Chunk:
    if isinstance(value, dict) and isinstance(value.get("ID"), str):
        offset, size = number(value.get("Offset")), number(value.get("Size"))
        if offset >= 0 and size >= 0:
            return Chunk(value["ID"], offset, size)
    raise CodedError(codes.BAD_FILE_FORMAT, "A part of an instance has the fields ID, Offset and Size")


def _resources(value: Any) -> list[dict[str, str]]:
    """Objects with a level and an id. Raises CodedError (bad file format)."""
    if not isinstance(value, list) or len(value) > MOST_RESOURCES:
        raise CodedError(
            codes.BAD_FILE_FORMAT, f"Resources must be an array of at most {MOST_RESOURCES} objects"
        )
    for one in value:
        if not isinstance(one, dict) or one.get("Level") not in _LEVELS or not isinstance(one.get("ID"), str):
            raise CodedError(
                codes.BAD_FILE_FORMAT,
                "A resource has the fields Level (Patient, Study, Series, Instance) and ID",
            )
    return [{"Level": one["Level"], "ID": one["ID"]} for one in value]


def _existing(request: Request, asked: list[dict[str, str]]) -> dict[str, Level]:
    """The levels of resources by their ids. Raises CodedError (unknown resource)."""
    archive = request.context.archive
    wanted = {one["ID"]: _LEVELS[one["Level"]] for one in asked}
    known = resources.levels_of(archive, [one for one in wanted if is_id(one)])
    if any(known.get(one) != level for one, level in wanted.items()):
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such resource at that level")
    return wanted
