"""Requests made from the description of the API, against a real server: none of them may surprise it.

schemathesis makes them from `/openapi.json`, always the same ones. Identifiers of resources are put in where
a path wants some, for made-up ones only ever lead to 404. An answer must be of a kind that the description
names, and never an internal error.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import hypothesis
import pydicom
import pytest
import requests
import schemathesis
from hypothesis import strategies
from schemathesis.checks import content_type_conformance
from tests.data.real import content_of
from tests.servers.ithil import Ithil

from ithil.app import every_route
from ithil.rest.openapi import document
from ithil.settings import Settings

EXAMPLES = 4
FILES = ("pydicom/CT_small.dcm", "pydicom/dicomdirtests/77654033/CT2/17106", "pydicom/rtplan.dcm")
UIDS = {
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "instance": "SOPInstanceUID",
}
INTERNAL_ERROR = -1
SECONDS = 30

# What ends the server, what connects to wherever the request says, and families whose handlers all levels share.
LEFT_OUT = (
    r"^/tools/(reset|shutdown|dicom-echo)$",
    r"^/(patients|studies|series)/\{id\}/(attachments|metadata|labels)",
    r"^/(patients|series)/\{id\}/(archive|media|modify|anonymize|reconstruct|statistics|module|.*-tags)$",
)

schemathesis.openapi.media_type("application/dicom", strategies.binary(max_size=200))
schemathesis.openapi.media_type("application/octet-stream", strategies.binary(max_size=200))
schema = schemathesis.openapi.from_dict(document(every_route(Settings())))
for pattern in LEFT_OUT:
    schema = schema.exclude(path_regex=pattern)
# Bodies of several parts, which have a fuzz target of their own.
schema = schema.exclude(method="POST", path_regex=r"^/dicom-web/studies(/\{study\})?$")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ithil]:
    with Ithil(tmp_path_factory.mktemp("openapi"), {"Ithil": {"MaximumInFlightMB": 64}}) as started:
        yield started


@pytest.fixture(scope="module")
def known(server: Ithil) -> dict[str, list[str]]:
    """The identifiers of what is stored, by level."""
    for name in FILES:
        server.upload(content_of(name))
    levels = ("patients", "studies", "series", "instances")
    return {level: server.get(f"/{level}").json() for level in levels}


def _put_in(case: schemathesis.Case, known: dict[str, list[str]]) -> None:
    """Real identifiers in two of three requests, picked by what else the request says."""
    number = zlib.crc32(json.dumps([case.path_parameters, case.query], default=str).encode())
    level = case.operation.path.split("/")[1]
    if "id" in case.path_parameters and level in known and number % 3:
        case.path_parameters["id"] = known[level][number % len(known[level])]
    file = pydicom.dcmread(BytesIO(content_of(FILES[number % len(FILES)])), stop_before_pixels=True)
    for name in UIDS.keys() & case.path_parameters.keys():
        if number % 3:
            case.path_parameters[name] = str(file[UIDS[name]].value)
    if "frames" in case.path_parameters and number % 3:
        case.path_parameters["frames"] = "1"
    body: Any = case.body
    if isinstance(body, dict) and "Resources" in body and number % 3:
        body["Resources"] = [known["studies"][number % len(known["studies"])]]


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_requests(case: schemathesis.Case, server: Ithil, known: dict[str, list[str]]) -> None:
    if case.method in ("DELETE", "POST"):  # what an earlier request may have deleted or replaced
        for name in FILES:
            server.upload(content_of(name))
    _put_in(case, known)
    with requests.Session() as session:
        session.trust_env = False
        answer = case.call(base_url=f"http://127.0.0.1:{server.http_port}", session=session, timeout=SECONDS)
    assert server.process is not None
    assert server.process.poll() is None, server.log[-2000:]
    if answer.status_code >= 500:
        refusal = answer.json()
        assert refusal["OrthancStatus"] != INTERNAL_ERROR, server.log[-2000:]
    if answer.status_code == 200 and answer.content:
        case.validate_response(answer, checks=[content_type_conformance])
    assert answer.headers["x-content-type-options"] == ["nosniff"]
