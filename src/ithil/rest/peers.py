"""`/peers`: other servers that are reached over HTTP, and what is sent to them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from ithil import error_codes as codes
from ithil.archive import exports, transcoding
from ithil.archive.remotes import PEERS
from ithil.error_codes import CodedError
from ithil.http import answers, json_body
from ithil.http.answers import Answer
from ithil.http.job_requests import parse_job_fields, run_job
from ithil.http.named_resources import named
from ithil.http.request import Request, boolean
from ithil.http.routing import Field, Parameter, Route, split
from ithil.services import peers
from ithil.services.peers import DICOM, PEER_STORE, PeerStoreWish, client_of, peer_json, peer_named
from ithil.services.web_client import WebAnswer

_PEER = (
    Field("Url", "string", "Its address, with http:// or https://", required=True),
    Field("Username", "string", "Who logs in there"),
    Field("Password", "string", "With which password"),
    Field("CertificateFile", "string", "The client certificate to show, a PEM file"),
    Field("CertificateKeyFile", "string", "Its key"),
    Field("CertificateKeyPassword", "string", "The password of the key"),
    Field("HttpHeaders", "object", "Headers that are sent with each request"),
    Field("Timeout", "integer", "Seconds to wait for it, 0 for HttpTimeout"),
)
_STORE = (
    Field("Resources", "array", "The ids of what is sent", required=True),
    Field("Transcode", "string", "The transfer syntax to send in"),
    Field("LossyQuality", "integer", "1 to 100, if that loses something"),
    Field("Compress", "boolean", "Compress bodies by gzip; false if absent"),
    Field("Synchronous", "boolean", "Whether the answer waits for the result; true if absent"),
    Field("Asynchronous", "boolean", "The opposite"),
    Field("Priority", "integer", "The highest is done first"),
    Field("Permissive", "boolean", "Go on when something fails"),
    Field("UserData", "object|string|array", "Shown with the job"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/peers/{id}"
    return [
        Route(
            "GET",
            "/peers",
            list_peers,
            "The names of the peers",
            (Parameter("expand", "Show their configurations by name"),),
        ),
        Route("GET", one, list_operations, "What can be asked of the peer"),
        Route("PUT", one, put_peer, "Add or replace the peer", body=_PEER),
        Route("DELETE", one, delete_peer, "Forget the peer"),
        Route("GET", f"{one}/configuration", get_configuration, "How the peer is configured"),
        Route("GET", f"{one}/system", get_system, "The peer's own `/system`"),
        Route(
            "POST",
            f"{one}/store",
            post_store,
            "Send resources to the peer, as a job; the body may also be one id, or an array of ids",
            body=_STORE,
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/store-straight",
            post_store_straight,
            "Send a DICOM file to the peer without storing it here",
            body="application/dicom",
        ),
    ]


def list_peers(request: Request) -> Answer:
    """`GET /peers`."""
    found = PEERS.all(request.context.archive)
    if boolean(request.query, "expand"):
        return answers.json(request, {name: peer_json(peer) for name, peer in found.items()})
    return answers.json(request, list(found))


def list_operations(request: Request) -> Answer:
    """`GET /peers/{id}`; 404 without a body for an unknown one."""
    if PEERS.get(request.context.archive, request.arguments["id"]) is None:
        return answers.missing()
    match = request.context.router.match(split("/peers/any"))
    return answers.json(request, [] if match is None else match.node.child_names)


def put_peer(request: Request) -> Answer:
    """`PUT /peers/{id}`."""
    value = json_body.parse(request.body, codes.BAD_FILE_FORMAT)
    PEERS.put(request.context.archive, request.arguments["id"], value)
    return answers.empty()


def delete_peer(request: Request) -> Answer:
    """`DELETE /peers/{id}`."""
    name = request.arguments["id"]
    if not PEERS.remove(request.context.archive, name):
        raise CodedError(codes.INEXISTENT_ITEM, f"Unknown Orthanc peer: {name[:64]}")
    return answers.empty()


def get_configuration(request: Request) -> Answer:
    """`GET /peers/{id}/configuration`, without what is secret."""
    return answers.json(request, peer_json(peer_named(request.context.archive, request.arguments["id"])))


def get_system(request: Request) -> Answer:
    """`GET /peers/{id}/system`: what the peer answers."""
    with client_of(request.context.archive, request.arguments["id"]) as client:
        answer = client.request("GET", "system")
    return answers.json(request, _object(answer))


def post_store(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /peers/{id}/store`."""
    archive = request.context.archive
    name = request.arguments["id"]
    peer_named(archive, name)
    found = named(request)
    fields = parse_job_fields(found.body, synchronous=True)
    quality = json_body.integer(found.body, "LossyQuality", 0) if "LossyQuality" in found.body else None
    if quality is not None and not 1 <= quality <= 100:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The field "LossyQuality" must be from 1 to 100')
    wish = PeerStoreWish(
        peer=name,
        instances=found.instances,
        transcode=_transfer_syntax(json_body.text(found.body, "Transcode", "")),
        quality=quality,
        compress=_compress(found.body),
        permissive=fields.permissive,
    )
    shown = peers.content(archive, wish, list(found.resources))
    exports.record(archive, found.resources, name)
    return run_job(request, PEER_STORE, peers.arguments(wish), fields, content=shown)


def post_store_straight(request: Request) -> Answer:
    """`POST /peers/{id}/store-straight`: what the peer answers."""
    with client_of(request.context.archive, request.arguments["id"]) as client:
        answer = client.request("POST", "instances", request.body, headers=DICOM)
    return answers.json(request, _object(answer))


def _object(answer: WebAnswer) -> Any:
    if not answer.succeeded:
        raise peers.refused(answer)
    return answer.json()


def _transfer_syntax(uid: str) -> str:
    if uid:
        try:
            transcoding.check(uid)
        except CodedError as error:
            raise CodedError(codes.BAD_FILE_FORMAT, error.details) from error
    return uid


def _compress(body: dict[str, Any]) -> bool:
    value = body.get("Compress", False)
    if not isinstance(value, bool):
        raise CodedError(codes.BAD_FILE_FORMAT, 'The field "Compress" must be true or false')
    return value
