"""`/modalities`: the DICOM servers that are known, and what is asked of them at once.

What is kept of a query is at `/queries`; what takes long (`store`, `move`, `get`) is a job.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import queries, remotes
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request, boolean
from ithil.http.routing import Field, Parameter, Route, split
from ithil.network.errors import NetworkError
from ithil.rest import modality_body as read
from ithil.services.echo_user import echo
from ithil.services.modality_link import refusal
from ithil.services.query_keys import query_keys
from ithil.services.query_user import find
from ithil.services.store_job import not_sent
from ithil.services.store_user import Sender
from ithil.settings import Modality
from ithil.settings.remotes import MANUFACTURERS, RETRIEVE_METHODS

TIMEOUT = Field("Timeout", "integer", "Seconds to wait for the modality")
LOCAL_AET = Field("LocalAet", "string", "The title to call with")

_MODALITY = (
    Field("AET", "string", "Its application entity title", required=True),
    Field("Host", "string", "Its name or address", required=True),
    Field("Port", "integer|string", "Its port", required=True),
    Field("Manufacturer", "string", f"One of {', '.join(MANUFACTURERS)}"),
    *(
        Field(f"Allow{what}", "boolean", f"Whether it may ask for {meant} here")
        for what, meant in (
            ("Echo", "C-ECHO"),
            ("Store", "C-STORE"),
            ("Find", "C-FIND"),
            ("FindWorklist", "the worklist"),
            ("Get", "C-GET"),
            ("Move", "C-MOVE"),
            ("StorageCommitment", "storage commitment"),
        )
    ),
    Field("AllowTranscoding", "boolean", "Whether what it does not accept is transcoded for it"),
    Field("UseDicomTls", "boolean", "Whether it is called with TLS"),
    LOCAL_AET,
    Field("Timeout", "integer", "Seconds to wait for it, 0 for DicomScuTimeout"),
    Field("RetrieveMethod", "string", f"One of {', '.join(RETRIEVE_METHODS)}"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    one = "/modalities/{id}"
    return [
        Route(
            "GET",
            "/modalities",
            list_modalities,
            "The names of the modalities",
            (Parameter("expand", "Show their configurations by name"),),
        ),
        Route("GET", one, list_operations, "What can be asked of the modality"),
        Route("PUT", one, put_modality, "Add or replace the modality", body=_MODALITY),
        Route("DELETE", one, delete_modality, "Forget the modality"),
        Route("GET", f"{one}/configuration", get_configuration, "How the modality is configured"),
        Route(
            "POST",
            f"{one}/echo",
            post_echo,
            "Send C-ECHO to the modality",
            body=(Field("CheckFind", "boolean", "Try C-FIND as well"), TIMEOUT),
        ),
        Route(
            "POST",
            f"{one}/query",
            post_query,
            "Send C-FIND to the modality and keep its answers at /queries",
            body=(
                Field("Level", "string", "Patient, Study, Series or Instance", required=True),
                Field("Query", "object", "Texts by tag; wildcards and ranges as in DICOM"),
                Field(
                    "Normalize", "boolean", "Leave out tags that do not belong to the level; true if absent"
                ),
                LOCAL_AET,
                TIMEOUT,
            ),
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/store-straight",
            post_store_straight,
            "Send a DICOM file to the modality without storing it here",
            body="application/dicom",
        ),
    ]


def modality_of(request: Request) -> Modality:
    """The modality in the path. Raises CodedError (inexistent item)."""
    return remotes.modality(request.context.archive, request.arguments["id"])


def list_modalities(request: Request) -> Answer:
    """`GET /modalities`."""
    found = remotes.modalities(request.context.archive)
    if boolean(request.query, "expand"):
        shown = {name: remotes.modality_json(modality) for name, modality in found.items()}
        return answers.json(request, shown)
    return answers.json(request, list(found))


def list_operations(request: Request) -> Answer:
    """`GET /modalities/{id}`; 404 without a body for an unknown one."""
    if remotes.MODALITIES.get(request.context.archive, request.arguments["id"]) is None:
        return answers.missing()
    match = request.context.router.match(split("/modalities/any"))
    return answers.json(request, [] if match is None else match.node.child_names)


def put_modality(request: Request) -> Answer:
    """`PUT /modalities/{id}`."""
    value = read.json(request)
    remotes.MODALITIES.put(request.context.archive, request.arguments["id"], value)
    return answers.empty()


def delete_modality(request: Request) -> Answer:
    """`DELETE /modalities/{id}`."""
    name = request.arguments["id"]
    if not remotes.MODALITIES.remove(request.context.archive, name):
        raise CodedError(codes.INEXISTENT_ITEM, f"No modality with symbolic name: {name[:64]}")
    return answers.empty()


def get_configuration(request: Request) -> Answer:
    """`GET /modalities/{id}/configuration`."""
    return answers.json(request, remotes.modality_json(modality_of(request)))


def post_echo(request: Request) -> Answer:
    """`POST /modalities/{id}/echo`: `{}` if the modality answers with success."""
    modality = modality_of(request)
    value = read.json(request) if request.body.strip() else {}
    body = value if isinstance(value, dict) else {}
    check_find = body.get("CheckFind", request.context.settings.dicom_echo_checks_find)
    if not isinstance(check_find, bool):
        raise read.bad('The field "CheckFind" must be true or false')
    echo(request.context.archive, modality, check_find=check_find, timeout=read.timeout(body))
    return answers.done()


def post_query(request: Request) -> Answer:
    """`POST /modalities/{id}/query`: where the answers are, once all have come."""
    modality = modality_of(request)
    body = read.json_object(request)
    if "Level" not in body:
        raise read.bad("The JSON body must contain the field Level")
    level = read.level(body["Level"])
    asked = read.keys(body.get("Query", {}))
    normalise = body.get("Normalize", True)
    if not isinstance(normalise, bool):
        raise read.bad('The field "Normalize" must be true or false')
    local_aet, timeout = read.title(body, "LocalAet"), read.timeout(body)
    archive = request.context.archive
    sent = query_keys(level, asked, modality, normalise=normalise)
    found = find(archive, modality, level, sent, calling=local_aet, timeout=timeout)
    name = request.arguments["id"]
    key = queries.keep(archive, name, level, asked, found, local_aet=local_aet, timeout=timeout)
    return answers.json(request, {"ID": key, "Path": f"/queries/{key}"})


def post_store_straight(request: Request) -> Answer:
    """`POST /modalities/{id}/store-straight`: which instance was sent."""
    modality = modality_of(request)
    try:
        with Sender(request.context.archive, modality) as sender:
            sent = sender.send_file(request.body)
    except NetworkError as error:
        raise refusal(error, modality, codes.NO_PRESENTATION_CONTEXT) from error
    if not sent.succeeded:
        raise not_sent(modality, sent)
    return answers.json(request, {"SOPClassUID": sent.sop_class, "SOPInstanceUID": sent.sop_instance})
