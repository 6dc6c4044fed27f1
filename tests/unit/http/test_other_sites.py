"""Pages of other sites, whose requests a browser sends along with the rights of its user."""

from __future__ import annotations

import asyncio

import pytest
from tests.unit.application import Client
from tests.unit.http.test_server import serve

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "http://other.example"}


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "/tools/bulk-delete"),
        ("POST", "/instances"),
        ("DELETE", "/changes"),
        ("GET", "/changes?_method=DELETE"),
        ("PUT", "/tools/log-level"),
    ],
)
def test_they_change_nothing(client: Client, method: str, url: str) -> None:
    answer = client.request(method, url, headers=CROSS_SITE, content=b"{}" if method == "POST" else b"")
    assert answer.status_code == 403
    assert answer.json()["OrthancStatus"] == 45


def test_an_upload_by_the_short_way_is_refused_as_well(client: Client, ct: bytes) -> None:
    head = b"POST /instances HTTP/1.1\r\nHost: x\r\nConnection: close\r\nSec-Fetch-Site: cross-site\r\n"
    received = asyncio.run(serve(client, [head + b"Content-Length: %d\r\n\r\n" % len(ct) + ct]))
    assert received.startswith(b"HTTP/1.1 403")
    assert client.get("/instances").json() == []


def test_pages_of_the_same_site_and_programs_may(client: Client, ct: bytes) -> None:
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        assert client.post("/instances", content=ct, headers=headers).status_code == 200


def test_reading_is_free(client: Client) -> None:
    assert client.get("/system", headers=CROSS_SITE).status_code == 200
