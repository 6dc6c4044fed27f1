"""An application that knows another DICOMweb server, which does what a test says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from tests.unit.application import Client, MakeClient, read
from tests.unit.services.far_server import Answering, Asked, FarServer, Said, far_server, stored

from ithil.settings.dicomweb_options import DicomWeb
from ithil.settings.remotes import parse_dicomweb_server

ROOT = "/dicom-web/servers"
DEAD = "http://127.0.0.1:1/dicom-web/"


class Far:
    """A client of an Ithil that knows a server which does what the test says."""

    def __init__(self, client: Client, server: FarServer) -> None:
        self.client = client
        self.asked = server.asked

    def post(self, path: str, body: Any, server: str = "far") -> httpx.Response:
        return self.client.post(f"{ROOT}/{server}/{path}", json=body)


MakeFar = Any


@pytest.fixture
def make_far(make_client: MakeClient) -> Iterator[MakeFar]:
    """A function that makes one; `properties` are those of the server in the configuration."""
    with ExitStack() as stack:

        def make(answering: Answering, **properties: Any) -> Far:
            server = stack.enter_context(far_server(answering))
            known = {
                "far": parse_dicomweb_server({"Url": server.url, **properties}, []),
                "dead": parse_dicomweb_server([DEAD], []),
            }
            return Far(make_client(dicom_web=DicomWeb(servers=known)), server)

        yield make


def uids_in(body: bytes) -> list[str]:
    """The SOP Instance UIDs of the files in a multipart body."""
    found = []
    for part in re.split(rb"\r\n(?=--)|^(?=--)", body):
        _, _, content = part.partition(b"\r\n\r\n")
        if content:
            found.append(str(dcmread(DicomBytesIO(content), stop_before_pixels=True).SOPInstanceUID))
    return found


def takes_all(asked: Asked) -> Said:
    return stored(*uids_in(asked.body))


def small_instances(client: Client, count: int) -> list[str]:
    """Upload copies of one file under other UIDs; gives their public ids."""
    content = read("MR_small_RLE.dcm")
    uid = str(dcmread(DicomBytesIO(content), stop_before_pixels=True).SOPInstanceUID).encode()
    ids = []
    for number in range(count):
        other = uid[:-4] + b"%04d" % (1000 + number)
        answer = client.post("/instances", content=content.replace(uid, other))
        assert answer.status_code == 200
        ids.append(answer.json()["ID"])
    return ids
