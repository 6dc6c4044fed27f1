"""Who is let in: remote clients, users, proxies."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.application import MakeClient

from ithil.auth.basic import MAXIMUM_HEADER_BYTES, BasicVerifier
from ithil.http.access import AccessControl, is_local

USERS = {"alice": "s:ecret", "bj\u00f6rn": "p\u00e4ss"}


def header(name: str, password: str, scheme: str = "Basic") -> bytes:
    return scheme.encode() + b" " + base64.b64encode(f"{name}:{password}".encode())


def test_registered_users_are_verified() -> None:
    verifier = BasicVerifier(USERS)
    assert verifier.verify(header("alice", "s:ecret")) == "alice"
    assert verifier.verify(header("bj\u00f6rn", "p\u00e4ss")) == "bj\u00f6rn"
    assert verifier.verify(header("alice", "s:ecret", "basic")) == "alice"
    assert verifier.verify(header("alice", "s:ecret").replace(b"Basic ", b"Basic  ")) == "alice"


@pytest.mark.parametrize(
    "value",
    [
        header("alice", "wrong"),
        header("bob", "s:ecret"),
        header("alice", ""),
        header("", ""),
        header("alice", "s:ecret", "Bearer"),
        b"Basic",
        b"Basic !!!!",
        b"Basic YWxpY2U",
        b"Basic " + base64.b64encode(b"\xff\xfe:\xff"),
        b"",
        header("alice", "s:ecret") + b" " * MAXIMUM_HEADER_BYTES,
    ],
)
def test_other_headers_are_not(value: bytes) -> None:
    assert BasicVerifier(USERS).verify(value) is None


@given(st.binary(max_size=300))
def test_garbage_is_never_a_user(value: bytes) -> None:
    assert BasicVerifier(USERS).verify(value) is None
    assert BasicVerifier(USERS).verify(b"Basic " + value) is None


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("localhost.example", False),
    ],
)
def test_local_addresses(address: str, local: bool) -> None:
    assert is_local(address) is local


def control(**options: object) -> AccessControl:
    defaults = {"remote_access_allowed": False, "authentication_enabled": False, "users": {}}
    return AccessControl(**{**defaults, **options})  # type: ignore[arg-type]


def test_the_address_behind_a_trusted_proxy_counts() -> None:
    access = control(trusted_proxies=["127.0.0.1", "10.0.0.0/8"])
    scope = {"client": ("127.0.0.1", 1)}
    assert access.admit(scope, {}) is not None
    assert access.admit(scope, {b"x-forwarded-for": b"192.0.2.1"}) is None
    assert access.admit(scope, {b"x-forwarded-for": b"127.0.0.1, 192.0.2.1, 10.1.2.3"}) is None


@pytest.mark.parametrize("claimed", [b"127.0.0.1", b"10.127.0.0.1", b"127.0.0.1,10.0.0.1"])
@pytest.mark.parametrize("padding", range(4070, 4097))
def test_a_long_chain_does_not_hide_the_address_of_the_proxy(claimed: bytes, padding: int) -> None:
    access = control(trusted_proxies=["10.0.0.0/8"])
    forwarded = claimed.rjust(padding, b",") + b", 192.0.2.1"
    assert access.admit({"client": ("10.0.0.1", 1)}, {b"x-forwarded-for": forwarded}) is None


def test_what_is_left_of_a_cut_address_is_no_address() -> None:
    access = control(trusted_proxies=["10.0.0.0/8"], remote_access_allowed=True)
    forwarded = b"192.0.2.1" + b",10.0.0.1".rjust(4095)  # the cut leaves "1"
    visitor = access.admit({"client": ("10.0.0.1", 1)}, {b"x-forwarded-for": forwarded})
    assert visitor is not None
    assert visitor.address == "10.0.0.1"


def test_an_untrusted_client_cannot_claim_an_address() -> None:
    access = control(trusted_proxies=["10.0.0.1"])
    assert access.admit({"client": ("192.0.2.1", 1)}, {b"x-forwarded-for": b"127.0.0.1"}) is None


def test_remote_clients_need_remote_access(make_client: MakeClient) -> None:
    answer = make_client("192.0.2.1").get("/system")
    assert answer.status_code == 401
    assert answer.content == b""
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert (
        make_client("192.0.2.1", remote_access_allowed=True, authentication_enabled=False)
        .get("/system")
        .is_success
    )


def test_every_path_needs_credentials(make_client: MakeClient) -> None:
    client = make_client(authentication_enabled=True, registered_users=USERS)
    for path in ("/", "/system", "/nope", "/favicon.ico", "/instances/x/file"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (401, b"")
    assert client.post("/instances", content=b"x").status_code == 401
    assert client.get("/system", auth=("alice", "s:ecret")).status_code == 200
    assert client.get("/system", auth=("alice", "wrong")).status_code == 401


def test_a_cached_answer_still_needs_credentials(make_client: MakeClient) -> None:
    client = make_client(authentication_enabled=True, registered_users=USERS)
    for _ in range(2):
        assert client.get("/studies", auth=("alice", "s:ecret")).status_code == 200
    assert client.get("/studies").status_code == 401


def test_nobody_gets_in_when_no_user_is_registered(make_client: MakeClient) -> None:
    client = make_client(authentication_enabled=True, registered_users={})
    assert client.get("/system", auth=("", "")).status_code == 401


def test_the_user_is_remembered_with_what_was_uploaded(make_client: MakeClient, ct: bytes) -> None:
    client = make_client(authentication_enabled=True, registered_users=USERS)
    client.auth = ("alice", "s:ecret")
    instance = client.post("/instances", content=ct).json()["ID"]
    assert client.get(f"/instances/{instance}/metadata/HttpUsername").text == "alice"
    assert client.get(f"/instances/{instance}/metadata/RemoteIP").text == "127.0.0.1"
