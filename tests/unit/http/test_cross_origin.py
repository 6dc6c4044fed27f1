"""Pages of other sites that an operator lets use the server, and how a browser is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.application import Client, MakeClient
from tests.unit.http.connections import LAST, get, replies, running

from ithil.http.cross_origin import CrossOrigin, is_same_origin
from ithil.settings import SettingsError, load
from ithil.settings.ithil_options import IthilSettings

FRIEND, STRANGER = "https://viewer.example.org", "https://evil.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-mine",
}


def client_with(make_client: MakeClient, *origins: str, **settings: Any) -> Client:
    return make_client(ithil=IthilSettings(allowed_origins=list(origins)), **settings)


def test_an_answer_to_a_friend(make_client: MakeClient) -> None:
    client = client_with(make_client, FRIEND)
    for _ in range(2):  # the second is a kept one
        answer = client.get("/changes", headers={"Origin": FRIEND})
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Content-Range" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        for headers in ({"Origin": STRANGER}, {}):
            other = client.get("/changes", headers=headers)
            assert other.content == answer.content
            assert "access-control-allow-origin" not in other.headers
            assert other.headers["vary"] == "Origin"  # so that no cache gives one the answer of the other


def test_refusals_can_be_read_as_well(make_client: MakeClient) -> None:
    client = client_with(make_client, FRIEND, authentication_enabled=True, registered_users={"a": "b"})
    for path, status in (("/nothing", 404), ("/system", 401)):
        client.auth = None if status == 401 else ("a", "b")
        answer = client.get(path, headers={"Origin": FRIEND})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == FRIEND


def test_a_preflight(make_client: MakeClient) -> None:
    """Browsers ask it without credentials."""
    client = client_with(make_client, FRIEND, authentication_enabled=True, registered_users={"a": "b"})
    for path in ("/dicom-web/studies", "/tools/find", "/nothing"):
        answer = client.request("OPTIONS", path, headers={"Origin": FRIEND, **PREFLIGHT})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "DELETE" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "authorization,x-mine"
        assert int(answer.headers["access-control-max-age"]) > 0
    strange = client.request("OPTIONS", "/dicom-web/studies", headers={"Origin": STRANGER, **PREFLIGHT})
    assert strange.status_code == 401


def test_without_the_option_nothing_is_said(client: Client) -> None:
    answer = client.get("/system", headers={"Origin": FRIEND})
    assert not {"vary", "access-control-allow-origin"} & set(answer.headers)
    preflight = client.request("OPTIONS", "/tools/find", headers={"Origin": FRIEND, **PREFLIGHT})
    assert (preflight.status_code, preflight.content) == (404, b"")


def test_friends_may_change_what_strangers_may_not(make_client: MakeClient, ct: bytes) -> None:
    client = client_with(make_client, FRIEND)
    for origin, status in ((STRANGER, 403), (FRIEND, 200)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert client.post("/instances", content=ct, headers=headers).status_code == status


def test_everybody_may_read_and_only_friends_may_write(make_client: MakeClient) -> None:
    client = client_with(make_client, "*", FRIEND)
    answer = client.get("/system", headers={"Origin": STRANGER})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    cross = {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"}
    assert client.delete("/changes", headers=cross).status_code == 403
    preflight = client.request("OPTIONS", "/changes", headers={"Origin": STRANGER, **PREFLIGHT})
    assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert client.delete("/changes", headers={**cross, "Origin": FRIEND}).status_code == 200


def test_kept_answers_on_the_quick_way(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, ct: bytes
) -> None:
    client = client_with(make_client, FRIEND)
    instance = client.post("/instances", content=ct).json()["Path"]

    async def ask() -> bytes:
        async with running(client, monkeypatch) as here:
            own = get(instance, "Accept: */*")
            friend, stranger = (get(instance, "Accept: */*", f"Origin: {one}") for one in (FRIEND, STRANGER))
            return await here.ask(own * 2 + friend * 2 + stranger * 2 + own + LAST)

    *found, _ = replies(asyncio.run(ask()))
    assert len({reply.body for reply in found}) == 1
    allowed = b"access-control-allow-origin: " + FRIEND.encode()
    assert [allowed in reply.headers for reply in found] == [False] * 2 + [True] * 2 + [False] * 3
    assert all(b"vary: Origin" in reply.headers for reply in found)


def test_an_upload_of_a_friend(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, ct: bytes) -> None:
    client = client_with(make_client, FRIEND)
    lines = [b"POST /instances HTTP/1.1", b"Host: x", b"Origin: " + FRIEND.encode(), b"Connection: close"]
    head = b"\r\n".join([*lines, b"Content-Length: %d" % len(ct), b"", b""])

    async def ask() -> bytes:
        async with running(client, monkeypatch) as here:
            return await here.ask(head + ct)

    (reply,) = replies(asyncio.run(ask()))
    assert reply.status.split()[1] == b"200"
    assert b"access-control-allow-origin: " + FRIEND.encode() in reply.headers


@pytest.mark.parametrize("names", [b"x\r\ny", b"a" * 2000, b"a b", b",,", b'"'])
def test_names_of_headers_that_are_not_given_back(names: bytes) -> None:
    rules = CrossOrigin([FRIEND])
    headers = {
        b"origin": FRIEND.encode(),
        b"access-control-request-method": b"GET",
        b"access-control-request-headers": names,
    }
    answer = dict(rules.preflight(headers) or ())
    assert names not in answer[b"access-control-allow-headers"]


def test_private_networks() -> None:
    asked = {
        b"origin": FRIEND.encode(),
        b"access-control-request-method": b"GET",
        b"access-control-request-private-network": b"true",
    }
    name = b"access-control-allow-private-network"
    assert name in dict(CrossOrigin([FRIEND]).preflight(asked) or ())
    assert name not in dict(CrossOrigin(["*"]).preflight(asked) or ())


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://pacs:8042", "pacs:8042", True),
        ("https://PACS.example.org", "pacs.example.org", True),
        ("https://public.example", "inner:8042", True),  # what a proxy says
        ("http://evil.example", "pacs:8042", False),
        ("null", "pacs:8042", False),
        ("file://pacs:8042", "pacs:8042", False),
        ("https://public.example.evil", "inner:8042", False),
    ],
)
def test_the_same_origin(origin: str, host: str, same: bool) -> None:
    assert is_same_origin(origin.encode(), host.encode(), "https://public.example/pacs") is same


@pytest.mark.parametrize(
    "origin", ["viewer.example.org", "https://x/", "https://X.org", "ftp://x", "https://*.x"]
)
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(SettingsError, match="AllowedOrigins"):
        load([], {}, {"Ithil": {"AllowedOrigins": [origin]}})
