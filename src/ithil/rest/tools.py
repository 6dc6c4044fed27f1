"""Small services below `/tools`."""

from __future__ import annotations

import time
import uuid

from ithil.archive import resources
from ithil.dicom.uids import generate_uid
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route, Runs
from ithil.rest.resource_json import reference

_DATE_TIME = "%Y%m%dT%H%M%S"
_LONGEST_LOOKUP = 1024  # bytes; identifiers have 64 characters at most (PS3.5 6.2)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("GET", "/tools/now", get_now, "The time of the server in UTC"),
        Route("GET", "/tools/now-local", get_now_local, "The time of the server in its own zone"),
        Route(
            "GET",
            "/tools/generate-uid",
            get_uid,
            "A new unique identifier",
            (Parameter("level", "patient, study, series or instance"),),
        ),
        Route(
            "POST",
            "/tools/lookup",
            post_lookup,
            "Find resources by PatientID, AccessionNumber or UID",
            runs=Runs.IN_TURN,
        ),
    ]


def get_now(_request: Request) -> Answer:
    """`GET /tools/now`."""
    return answers.text(time.strftime(_DATE_TIME, time.gmtime()))


def get_now_local(_request: Request) -> Answer:
    """`GET /tools/now-local`."""
    return answers.text(time.strftime(_DATE_TIME, time.localtime()))


def get_uid(request: Request) -> Answer:
    """`GET /tools/generate-uid`: a UUID for patients, a DICOM UID for the other levels, 404 for no level."""
    level = request.query.get("level")
    if level == "patient":
        return answers.text(str(uuid.uuid4()))
    if level in ("study", "series", "instance"):
        return answers.text(generate_uid())
    return answers.missing()


def post_lookup(request: Request) -> Answer:
    """`POST /tools/lookup`: the resources that have the body as an identifier."""
    if len(request.body) > _LONGEST_LOOKUP:
        return answers.json(request, [])
    text = request.body.decode("utf-8", "replace")
    found = resources.lookup(request.context.archive, text)
    return answers.json(request, [reference(level, public_id) for level, public_id in found])
