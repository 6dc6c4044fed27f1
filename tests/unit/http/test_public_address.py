"""Links lead to where the client sees the server, whatever stands between."""

from __future__ import annotations

import pytest
from tests.unit.application import Client, MakeClient

from ithil.http.public_address import public_address
from ithil.http.request import Request
from ithil.settings.dicomweb_options import DicomWeb


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "pacs:8042"}, "http://pacs:8042"),
        (
            {"host": "in:8042", "forwarded": "for=1.2.3.4;proto=https;host=out.example.org"},
            "https://out.example.org",
        ),
        (
            {"host": "in", "forwarded": 'host="[2001:db8::1]:8443";proto=https, host=inner'},
            "https://[2001:db8::1]:8443",
        ),
        ({"host": "in", "x-forwarded-proto": "https", "x-forwarded-host": "out"}, "https://out"),
        ({"host": "in", "x-forwarded-host": "out, middle", "x-forwarded-port": "8080"}, "http://out:8080"),
        ({"host": "in", "x-forwarded-host": "out", "x-forwarded-port": "80"}, "http://out"),
        ({"host": "in", "x-forwarded-prefix": "/pacs/"}, "http://in/pacs"),
        ({"host": 'in"><script>', "x-forwarded-prefix": "/a b"}, "http://localhost"),
        ({}, "http://localhost"),
    ],
)
def test_address(client: Client, headers: dict[str, str], expected: str) -> None:
    assert public_address(Request(client.app.context, "GET", "/", headers)) == expected


def test_what_the_operator_says_of_a_silent_proxy(make_client: MakeClient) -> None:
    client = make_client(dicom_web=DicomWeb(host="out", ssl=True))
    request = Request(client.app.context, "GET", "/", {"host": "in:8042"})
    assert public_address(request) == "https://out"


def test_only_the_start_of_a_header_is_looked_at(client: Client) -> None:
    headers = {"host": "in", "forwarded": "a" * 60_000 + ";host=out"}
    assert public_address(Request(client.app.context, "GET", "/", headers)) == "http://in"
