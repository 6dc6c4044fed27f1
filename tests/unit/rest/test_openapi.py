"""The description of the API and the page that shows it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.unit.application import Client, MakeClient

from ithil import cli
from ithil.app import every_route
from ithil.http.routing import Field, Parameter, Route, Router
from ithil.rest.openapi import document
from ithil.rest.openapi_kinds import KINDS
from ithil.settings import Settings


def handler(_request: object) -> None:
    return None


DESCRIBED = [route for route in every_route(Settings()) if route.method != "OPTIONS"]


def operation(route: Route) -> dict[str, Any]:
    (methods,) = document([route])["paths"].values()
    (found,) = methods.values()
    return dict(found)


def test_each_route_is_there_once(client: Client) -> None:
    answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    api = answer.json()
    assert api["openapi"] == "3.1.0"
    there = {f"{method.upper()} {path}" for path, methods in api["paths"].items() for method in methods}
    assert there == {f"{route.method} {route.path.replace(':path}', '}')}" for route in DESCRIBED}
    identifiers = [one["operationId"] for methods in api["paths"].values() for one in methods.values()]
    assert len(identifiers) == len(set(identifiers))
    for methods in api["paths"].values():
        for one in methods.values():
            assert one["summary"]
            assert {"200", "4XX", "5XX"} <= set(one["responses"])


def test_each_parameter_of_a_path_is_described(client: Client) -> None:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        names = re.findall(r"\{(\w+)\}", path)
        for one in methods.values():
            described = [each["name"] for each in one.get("parameters", []) if each["in"] == "path"]
            assert described == names


def test_an_operation() -> None:
    found = operation(
        Route(
            "POST",
            "/studies/{id}/thing",
            handler,
            "Do it",
            (Parameter("how", "In which way"),),
            body=(
                Field("Name", "string", "Its name", required=True),
                Field("Count", "integer|string", "How many"),
            ),
            answers=("application/zip", "application/json"),
            fails=(307,),
        )
    )
    assert found["operationId"] == "postStudiesIdThing"
    assert found["tags"] == ["Studies"]
    assert [each["name"] for each in found["parameters"]] == ["id", "how"]
    schema = found["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["Name"]
    assert schema["properties"]["Count"]["type"] == ["integer", "string"]
    assert list(found["responses"]["200"]["content"]) == [
        *("application/zip", "application/json", "application/xml")
    ]
    assert found["responses"]["307"] == {"description": "Temporary Redirect"}


def test_what_a_line_says_wins_over_its_family() -> None:
    route = Route("GET", "/studies/{id}/archive", handler, "x", answers="text/plain")
    assert list(operation(route)["responses"]["200"]["content"]) == ["text/plain"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.methods} {kind.path}")
def test_every_family_has_members(kind: Any) -> None:
    assert any(kind.fits(route) for route in every_route(Settings()))


def test_a_read_only_server_does_not_describe_what_it_does_not_do(make_client: MakeClient) -> None:
    paths = make_client(read_only=True).get("/openapi.json").json()["paths"]
    assert list(paths["/studies/{id}"]) == ["get"]


def test_the_command_prints_the_same(client: Client, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["openapi"])
    assert stop.value.code == 0
    assert json.loads(capsysbinary.readouterr().out) == client.get("/openapi.json").json()


def test_the_router_still_takes_all_of_it() -> None:
    assert len(Router(every_route(Settings())).routes) == len(DESCRIBED)


class Page(HTMLParser):
    """Collects what a page loads, and the scripts and styles that stand in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in self.inline else ""
        self.loads += [value for name, value in attrs if name in ("href", "src") and value]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._inside and data:
            self.inline[self._inside].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def test_the_page_needs_nothing_from_elsewhere(client: Client) -> None:
    answer = client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert set(page.loads) == {"openapi.json"}
    assert "http" not in "".join(page.inline["script"] + page.inline["style"])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (text,) = page.inline[kind]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_what_the_server_says_only_ever_becomes_text(client: Client) -> None:
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert dangerous not in client.get("/docs").text
