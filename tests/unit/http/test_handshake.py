"""Which pages may open a WebSocket: the origin of the page against every way to know this server's address."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.application import Client, MakeClient

from ithil.settings.dicomweb_options import DicomWeb
from ithil.settings.ithil_options import IthilSettings

BEHIND = {"host": "backend:8042"}
PROXIED = {**BEHIND, "x-forwarded-proto": "https", "x-forwarded-host": "pacs.example.org"}


def opened(client: Client, headers: dict[str, str]) -> bool:
    """Whether a subscriber's channel opens for a request with these headers."""
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        waiting.put_nowait({"type": "websocket.connect"})

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if message["type"] == "websocket.accept":
                waiting.put_nowait({"type": "websocket.disconnect", "code": 1000})

        scope = {
            "type": "websocket",
            "path": "/dicom-web/subscribers/ME",
            "raw_path": b"/dicom-web/subscribers/ME",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
        }
        await asyncio.wait_for(client.app(scope, waiting.get, send), 20)

    asyncio.run(run())
    if sent[0]["type"] == "websocket.accept":
        return True
    assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 403)
    return False


@pytest.mark.parametrize(
    ("origin", "headers", "options", "expected"),
    [
        (None, BEHIND, {}, True),
        ("http://backend:8042", BEHIND, {}, True),
        ("https://backend:8042", BEHIND, {}, True),  # a proxy that ends TLS and says nothing
        ("http://BACKEND:8042", BEHIND, {}, True),
        ("http://backend", BEHIND, {}, False),
        ("http://backend:80420", BEHIND, {}, False),
        ("http://evil.example", BEHIND, {}, False),
        ("null", BEHIND, {}, False),
        ("", BEHIND, {}, False),
        ("file://backend:8042", BEHIND, {}, False),
        ("https://pacs.example.org", BEHIND, {}, False),
        ("https://pacs.example.org", PROXIED, {}, True),
        ("http://pacs.example.org", PROXIED, {}, False),
        ("https://pacs.example.org", {**PROXIED, "x-forwarded-prefix": "/archive"}, {}, True),
        ("https://pacs.example.org.evil.example", PROXIED, {}, False),
        ("https://pacs.example.or", PROXIED, {}, False),
        ("https://pacs.example.org", {**BEHIND, "forwarded": "proto=https;host=pacs.example.org"}, {}, True),
        ("https://pacs.example.org", BEHIND, {"host": "pacs.example.org", "ssl": True}, True),
        ("http://pacs.example.org", BEHIND, {"host": "pacs.example.org", "ssl": True}, False),
        ("http://pacs.example.org", BEHIND, {"host": "pacs.example.org"}, True),
        ("https://pacs.example.org", BEHIND, {"host": "pacs.example.org:443", "ssl": True}, True),
        ("https://pacs.example.org", BEHIND, {"host": "pacs.example.org:8443", "ssl": True}, False),
        ("https://pacs.example.org:8443", BEHIND, {"host": "pacs.example.org:8443", "ssl": True}, True),
        ("http://[::1]", {**BEHIND, "x-forwarded-host": "[::1]:80"}, {}, True),
        ("https://evil.example", BEHIND, {"host": "pacs.example.org", "ssl": True}, False),
        ("https://friend.example", BEHIND, {}, True),
        ("https://friend.example:444", BEHIND, {}, False),
    ],
)
def test_pages(
    make_client: MakeClient,
    origin: str | None,
    headers: dict[str, str],
    options: dict[str, Any],
    expected: bool,
) -> None:
    client = make_client(
        dicom_web=DicomWeb(**options), ithil=IthilSettings(allowed_origins=["https://friend.example"])
    )
    sent = headers if origin is None else {**headers, "origin": origin}
    assert opened(client, sent) is expected


@pytest.mark.parametrize("options", [{}, {"host": "pacs.example.org", "ssl": True}])
@pytest.mark.parametrize("headers", [BEHIND, PROXIED])
def test_the_address_that_was_given_out_is_let_in(
    make_client: MakeClient, options: dict[str, Any], headers: dict[str, str]
) -> None:
    client = make_client(dicom_web=DicomWeb(**options))
    answer = client.post("/dicom-web/workitems/1.2.840.10008.5.1.4.34.5/subscribers/ME", headers={**headers})
    scheme, _, rest = answer.headers["content-location"].partition("://")
    origin = f"{'https' if scheme == 'wss' else 'http'}://{rest.partition('/')[0]}"
    assert opened(client, {**headers, "origin": origin})
