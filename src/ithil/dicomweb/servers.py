"""`/servers`: other DICOMweb servers, and what they are asked to store, find, send and delete.

The paths and bodies are those of Orthanc's plugin. What takes long (`stow`, `retrieve`, `wado`) is a job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from ithil import error_codes as codes
from ithil.archive import exports
from ithil.archive.remotes import DICOMWEB_SERVERS
from ithil.dicom.dictionary import tag_name
from ithil.error_codes import CodedError
from ithil.http import answers, json_body
from ithil.http.answers import BINARY, Answer, Stream
from ithil.http.job_requests import JobFields, parse_job_fields, run_job
from ithil.http.named_resources import MOST_RESOURCES, named_in
from ithil.http.request import Request, boolean
from ithil.http.routing import Field, Parameter, Route
from ithil.services import dicomweb_client as client
from ithil.services import dicomweb_retrieve_job, dicomweb_stow_job
from ithil.services.dicomweb_retrieve_job import RETRIEVE_CLIENT, RetrieveWish
from ithil.services.dicomweb_stow_job import STOW_CLIENT, StowWish
from ithil.services.web_client import WebClient, WebStream

LARGEST_WHOLE = 1 << 20
"""Bytes of an answer that is read before it is passed on; a larger one is passed on as it comes."""

_SERVER = (
    Field("Url", "string", "The root of its DICOMweb service", required=True),
    Field("Username", "string", "Who logs in there"),
    Field("Password", "string", "With which password"),
    Field("CertificateFile", "string", "The client certificate to show, a PEM file"),
    Field("CertificateKeyFile", "string", "Its key"),
    Field("CertificateKeyPassword", "string", "The password of the key"),
    Field("HttpHeaders", "object", "Headers that are sent with each request"),
    Field("Timeout", "integer", "Seconds to wait for it, 0 for HttpTimeout"),
    Field("HasDelete", "boolean", "Whether it can be asked to delete; false if absent"),
    Field("ChunkedTransfers", "boolean", "Whether it takes bodies in chunks; true if absent"),
    Field(
        "HasWadoRsUniversalTransferSyntax",
        "boolean",
        "Whether it knows transfer-syntax=*, for files as they are stored; true if absent",
    ),
)
_HEADERS = Field("HttpHeaders", "object", "Headers to send along")
_ASKED = (
    Field("Uri", "string", "What is asked for, below the address of the server", required=True),
    Field("Arguments", "object", "The arguments of the query"),
    _HEADERS,
)
_DEBUG = Field("Debug", "boolean", "Taken for Orthanc's sake, without effect")
_JOB = (
    _DEBUG,
    Field("Asynchronous", "boolean", "The opposite"),
    Field("Priority", "integer", "The highest is done first"),
    Field("Permissive", "boolean", "Go on when something fails, and count it"),
    Field("UserData", "object|string|array", "Shown with the job"),
)
_SYNCHRONOUS = Field("Synchronous", "boolean", "Whether the answer waits for the result; true if absent")
_LEVELS = {"Study": 1, "Series": 2, "Instance": 3}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/servers/{server}"
    return [
        Route(
            "GET",
            "/servers",
            list_servers,
            "The names of the DICOMweb servers",
            (Parameter("expand", "Show their configurations by name"),),
        ),
        Route("GET", one, list_operations, "What can be asked of the server"),
        Route("PUT", one, put_server, "Add or replace the server", body=_SERVER),
        Route("DELETE", one, delete_server, "Forget the server"),
        Route(
            "POST",
            f"{one}/get",
            post_get,
            "Pass on what the server answers",
            body=_ASKED,
            answers="*/*",
        ),
        Route("POST", f"{one}/qido", post_qido, "Search on the server", body=_ASKED),
        Route(
            "POST",
            f"{one}/stow",
            post_stow,
            "Store resources at the server, as a job",
            body=(
                Field("Resources", "array", "The ids of what is sent", required=True),
                _HEADERS,
                _SYNCHRONOUS,
                *_JOB,
            ),
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/retrieve",
            post_retrieve,
            "Retrieve studies, series and instances from the server, as a job",
            body=(
                Field(
                    "Resources",
                    "array",
                    "Objects with Study, Series and Instance, as far as needed: UIDs",
                    required=True,
                ),
                Field("GetArguments", "object", "The arguments of the queries"),
                _HEADERS,
                _SYNCHRONOUS,
                *_JOB,
            ),
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/wado",
            post_wado,
            "Retrieve what lies at one address of the server, as a job",
            body=(
                *_ASKED,
                Field("Synchronous", "boolean", "Whether the answer waits for the result; false if absent"),
                *_JOB,
            ),
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/delete",
            post_delete,
            "Delete a study, series or instance from the server",
            body=(
                Field("Level", "string", "Study, Series or Instance", required=True),
                Field("StudyInstanceUID", "string", "Of the study", required=True),
                Field("SeriesInstanceUID", "string", "Of the series, below the level of studies"),
                Field("SOPInstanceUID", "string", "Of the instance, at its level"),
            ),
        ),
    ]


def list_servers(request: Request) -> Answer:
    """`GET /servers`."""
    found = DICOMWEB_SERVERS.all(request.context.archive)
    if boolean(request.query, "expand"):
        return answers.json(request, {name: client.server_json(server) for name, server in found.items()})
    return answers.json(request, list(found))


def list_operations(request: Request) -> Answer:
    """`GET /servers/{server}`. Raises CodedError (404)."""
    server = client.server_named(request.context.archive, request.arguments["server"])
    return answers.json(request, client.operations(server))


def put_server(request: Request) -> Answer:
    """`PUT /servers/{server}`."""
    DICOMWEB_SERVERS.put(
        request.context.archive,
        request.arguments["server"],
        json_body.parse(request.body, codes.BAD_FILE_FORMAT),
    )
    return answers.done()


def delete_server(request: Request) -> Answer:
    """`DELETE /servers/{server}`; 400 for an unknown one, as in Orthanc."""
    name = request.arguments["server"]
    if not DICOMWEB_SERVERS.remove(request.context.archive, name):
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, f"Unknown DICOMweb server: {name[:64]}")
    return answers.done()


def post_get(request: Request) -> Answer:
    """`POST /servers/{server}/get`: the answer of the server, of which a large one is passed on as it comes."""
    name = request.arguments["server"]
    body = _body(request)
    target, headers = _asked(body)
    web = client.client_of(request.context.archive, name)
    try:
        stream = web.open("GET", target, headers=headers)
        if not stream.succeeded:
            raise client.refusal(stream)
        content_type = stream.headers.get("content-type", BINARY)
        passed: bytes | Stream
        if stream.length is not None and stream.length <= LARGEST_WHOLE:
            passed = b"".join(stream.pieces())
            web.close()
        else:
            passed = Stream(_passed_on(web, stream), stream.length)
    except BaseException:
        web.close()
        raise
    # What another server says must not be a page that runs under the address of this one.
    return Answer(passed, content_type, headers={"Content-Security-Policy": "sandbox"})


def _passed_on(web: WebClient, stream: WebStream) -> Iterator[bytes]:
    with web:
        yield from stream.pieces()


def post_qido(request: Request) -> Answer:
    """`POST /servers/{server}/qido`: what is found, in the form that Orthanc's plugin gives it."""
    target, headers = _asked(_body(request))
    found = client.search(request.context.archive, request.arguments["server"], target, headers)
    return answers.json(request, [_simple(one) for one in found])


def post_stow(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /servers/{server}/stow`."""
    archive, name = request.context.archive, request.arguments["server"]
    client.server_named(archive, name)
    body = _body(request)
    found = named_in(archive, body)
    fields = _fields(body, synchronous=True)
    wish = StowWish(
        name, found.instances, list(found.resources), _headers(body), permissive=fields.permissive
    )
    exports.record(archive, found.resources, name)
    shown = dicomweb_stow_job.content(wish)
    return run_job(request, STOW_CLIENT, dicomweb_stow_job.arguments(wish), fields, content=shown)


def post_retrieve(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /servers/{server}/retrieve`."""
    body = _body(request)
    asked = body.get("Resources")
    if not isinstance(asked, list) or len(asked) > MOST_RESOURCES:
        raise _bad('The field "Resources" must be an array of objects')
    query = client.checked_texts(body.get("GetArguments"), "GetArguments")
    targets = [client.relative(_path(one), query) for one in asked]
    return _retrieve(request, body, targets, _fields(body, synchronous=True))


def post_wado(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /servers/{server}/wado`."""
    body = _body(request)
    target, _ = _asked(body)
    return _retrieve(request, body, [target], _fields(body, synchronous=False))


def post_delete(request: Request) -> Answer:
    """`POST /servers/{server}/delete`."""
    archive, name = request.context.archive, request.arguments["server"]
    client.server_named(archive, name)
    body = _body(request)
    if "Level" not in body or "StudyInstanceUID" not in body:
        raise _bad('The body must have the fields "Level" and "StudyInstanceUID"')
    level = body["Level"]
    if level not in tuple(_LEVELS):
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The field "Level" must be Study, Series or Instance')
    uids = [_text(body, field) for field in _UIDS[: _LEVELS[level]]]
    if not all(uids):
        raise _bad(f"To delete at this level the body needs the field {_UIDS[uids.index('')]}")
    client.delete(archive, name, client.resource_path(*uids))
    return answers.done()


def _retrieve(
    request: Request, body: dict[str, Any], targets: list[str], fields: JobFields
) -> Answer | Awaitable[Answer]:
    name = request.arguments["server"]
    client.server_named(request.context.archive, name)
    wish = RetrieveWish(name, targets, _headers(body), permissive=fields.permissive)
    shown = dicomweb_retrieve_job.content(wish)
    return run_job(request, RETRIEVE_CLIENT, dicomweb_retrieve_job.arguments(wish), fields, content=shown)


def _path(value: Any) -> str:
    """The path of what an object with Study, Series and Instance names."""
    if not isinstance(value, dict):
        raise _bad('The field "Resources" must be an array of objects')
    return client.resource_path(*(_text(value, name) for name in ("Study", "Series", "Instance")))


def _asked(body: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The relative address that a body names, and the headers that go with it."""
    if not isinstance(body.get("Uri"), str):
        raise _bad('The body must have the field "Uri", a string')
    return client.relative(body["Uri"], client.checked_texts(body.get("Arguments"), "Arguments")), _headers(
        body
    )


def _headers(body: dict[str, Any]) -> dict[str, str]:
    return client.checked_headers(body.get("HttpHeaders"))


def _fields(body: dict[str, Any], *, synchronous: bool) -> JobFields:
    """The fields about the job; of a wrong type they are a bad body here, as in Orthanc's plugin."""
    try:
        json_body.boolean(body, "Debug", False)
        return parse_job_fields(body, synchronous=synchronous)
    except CodedError as error:
        raise _bad(error.details) from error


def _simple(found: dict[str, Any]) -> dict[str, Any]:
    """One thing that was found: of each attribute its name, its VR and its first value, as text."""
    return {tag: _attribute(tag, element) for tag, element in found.items() if _is_tag(tag)}


def _is_tag(text: str) -> bool:
    return len(text) == 8 and all(character in "0123456789abcdefABCDEF" for character in text)


def _attribute(tag: str, element: Any) -> dict[str, Any]:
    number = int(tag, 16)
    shown: dict[str, Any] = {"Element": number & 0xFFFF, "Group": number >> 16, "Name": tag_name(number)}
    if not isinstance(element, dict):
        return shown
    if isinstance(element.get("vr"), str):
        shown["vr"] = element["vr"]
    values = element.get("Value")
    first = values[0] if isinstance(values, list) and values else None
    if isinstance(first, dict):
        first = first.get("Alphabetic")
    if isinstance(first, (str, int, float)) and not isinstance(first, bool):
        shown["Value"] = str(first)
    return shown


def _body(request: Request) -> dict[str, Any]:
    value = json_body.parse(request.body, codes.BAD_FILE_FORMAT)
    if not isinstance(value, dict):
        raise _bad("The body must be a JSON object")
    return value


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise _bad(f'The field "{name}" must be a string')
    return value


def _bad(details: str) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, details)
