"""What the service says of itself."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from tests.unit.application import Client, MakeClient

WADL = "{http://wadl.dev.java.net/2009/02}"


def test_the_description_has_every_route(client: Client) -> None:
    answer = client.request("OPTIONS", "/dicom-web/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.sun.wadl+xml"
    root = ElementTree.fromstring(answer.content)
    resources = root.find(f"{WADL}resources")
    assert resources is not None
    assert resources.get("base") == "http://server/dicom-web/"
    described = {
        (method.get("name"), "/dicom-web/" + str(resource.get("path")))
        for resource in resources
        for method in resource.findall(f"{WADL}method")
    }
    table = client.app.router.routes
    assert described == {
        (route.method, route.path.replace(":path", ""))
        for route in table
        if route.path.startswith("/dicom-web/")
    }


def test_a_resource_and_what_is_below(client: Client) -> None:
    answer = client.request("OPTIONS", "/dicom-web/workitems/1.2.3", headers={"Accept": "application/json"})
    resources = answer.json()["application"]["resources"]["resource"]
    paths = {resource["path"] for resource in resources}
    assert {"workitems/{workitem}", "workitems/{workitem}/state"} <= paths
    assert all(path.startswith("workitems/{workitem}") for path in paths)
    assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    (first,) = [resource for resource in resources if resource["path"] == "workitems/{workitem}"]
    assert first["param"] == [{"name": "workitem", "style": "template", "required": True}]
    assert [method["name"] for method in first["method"]] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/vnd.sun.wadl+xml"),
        ("application/dicom+json", "application/dicom+json"),
        ("application/xml", "application/xml"),
    ],
)
def test_its_forms(client: Client, accept: str, media_type: str) -> None:
    answer = client.request("OPTIONS", "/dicom-web/studies", headers={"Accept": accept})
    assert answer.headers["content-type"] == media_type
    refused = client.request("OPTIONS", "/dicom-web/studies", headers={"Accept": "image/png"})
    assert refused.status_code == 406


@pytest.mark.parametrize("path", ["/", "/studies", "/system", "/dicom-web/nothing", "/nothing"])
def test_elsewhere_there_is_no_description(client: Client, path: str) -> None:
    answer = client.request("OPTIONS", path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_the_description_needs_a_user_where_all_do(make_client: MakeClient) -> None:
    client = make_client(authentication_enabled=True, registered_users={"alice": "secret"})
    assert client.request("OPTIONS", "/dicom-web/").status_code == 401


def test_where_the_service_is(client: Client) -> None:
    assert client.get("/dicom-web/info").json() == {"DicomWebRoot": "/dicom-web/", "OrthancApiRoot": "./../"}
