"""The application as a whole: methods, errors, formats of answers, and the protocol around it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.application import Client, MakeClient

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http.protocol import LARGEST_HEAD, FastHttpProtocol
from ithil.http.xml import to_xml


def test_an_unknown_path(client: Client) -> None:
    answer = client.get("/nope//x/?y=z")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "HttpError": "Not Found",
        "HttpStatus": 404,
        "Message": "Unknown resource",
        "Method": "GET",
        "OrthancError": "Unknown resource",
        "OrthancStatus": 17,
        "Uri": "/nope/x",
    }


def test_markup_in_a_path_is_never_html(client: Client) -> None:
    answer = client.get("/<script>alert(1)</script>")
    assert answer.json()["Uri"] == "/<script>alert(1)</script>".replace("//", "/")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "html" not in answer.headers["content-type"]


def test_errors_can_be_silent(make_client: MakeClient) -> None:
    answer = make_client(http_describe_errors=False).get("/nope")
    assert (answer.status_code, answer.content) == (404, b"")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/system", "GET"),
        ("DELETE", "/instances", "GET,POST"),
        ("PUT", "/tools", "GET"),
        ("POST", "/studies/x", "GET,DELETE"),
        ("GET", "/tools/lookup", "POST"),
        ("DELETE", "/patients/x/protected", "GET,PUT"),
    ],
)
def test_a_wrong_method(client: Client, method: str, path: str, allow: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == allow


def test_methods_that_no_route_has(client: Client) -> None:
    assert client.request("OPTIONS", "/system").status_code == 404
    assert client.request("PATCH", "/system").status_code == 400


def test_head_is_get_without_a_body(client: Client) -> None:
    whole, head = client.get("/tools"), client.request("HEAD", "/tools")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_overriding_the_method(client: Client) -> None:
    delete = {"X-HTTP-Method-Override": "DELETE"}
    assert client.post("/studies/x", headers=delete).status_code == 404
    assert client.post("/system", headers=delete).status_code == 405
    assert client.get("/changes", headers=delete).content == b""
    assert client.get("/system?_method=PUT").status_code == 405
    assert client.post("/system?_method=DELETE").headers["allow"] == "GET"
    for bad in ("GET", "PATCH", ""):
        assert client.get("/system", params={"_method": bad}).status_code == 400
        assert client.post("/system", headers={"X-HTTP-Method-Override": bad}).status_code == 400


def test_slashes_and_escapes_in_paths(client: Client) -> None:
    expected = client.get("/system").json()
    for path in ("/system/", "http://server//system", "/%73ystem"):
        assert client.get(path).json() == expected
    assert client.get("/%ff%fe").status_code == 404


def test_places_between_routes_list_names(client: Client) -> None:
    names = client.get("/tools").json()
    assert names == sorted(names)
    assert {"generate-uid", "lookup", "now", "now-local"} <= set(names)


def test_answers_as_xml(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    answer = client.get("/studies?expand", headers={"Accept": "application/xml"})
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    root = ElementTree.fromstring(answer.content)
    assert root.findtext("item/PatientMainDicomTags/PatientID") == "1CT1"
    assert client.get("/studies", headers={"Accept": "text/xml"}).json()
    assert client.get("/tools/now", headers={"Accept": "application/xml"}).text.startswith("20")


def test_xml_is_escaped_and_complete() -> None:
    value = {"b<>&": ["<&>", None, True, 1.5, "\0bell\x07"], "a": {}, "c": []}
    root = ElementTree.fromstring(to_xml(value))
    assert [child.tag for child in root] == ["a", "b", "c"]
    assert [item.text for item in root[1]] == ["<&>", "null", "true", "1.5", "bell"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_value_becomes_xml(value: Any) -> None:
    assert to_xml(value).startswith(b"<?xml")


def test_every_code_has_a_message_and_a_sensible_status() -> None:
    known = {value for name, value in vars(codes).items() if name[0].isupper() and isinstance(value, int)}
    assert known == set(codes.MESSAGES)
    assert set(codes.STATUSES) <= known
    assert all(400 <= status < 600 for status in codes.STATUSES.values())
    assert CodedError(codes.INTERNAL_ERROR).status == 500


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "BREW"]),
    path=st.text(max_size=30),
    query=st.binary(max_size=30),
    headers=st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=20)), max_size=4),
)
def test_no_request_breaks_the_application(
    client: Client, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/" + path,
        "raw_path": quote("/" + path, errors="replace").encode(),
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in headers],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(client.app(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] < 500


@pytest.mark.parametrize("path", ["/studies/%00", "/instances/a%00/file", "/%00", "/studies/x/metadata/%00"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_path_with_a_nul_is_unknown(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (404, codes.UNKNOWN_RESOURCE)


def test_the_life_of_a_server(client: Client) -> None:
    sent: list[dict[str, Any]] = []
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        return next(events)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(client.app({"type": "lifespan"}, receive, send))
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def serve(client: Client, data: list[bytes]) -> bytes:
    """What a real socket answers to these bytes until it closes."""
    import uvicorn

    config = uvicorn.Config(
        client.app,  # type: ignore[arg-type]
        host="127.0.0.1",
        port=0,
        http=FastHttpProtocol,
        proxy_headers=False,
        lifespan="off",
        log_level="critical",
        timeout_keep_alive=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname()[:2])
    received = b""
    try:
        for piece in data:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        received = await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        pass
    finally:
        writer.close()
        server.should_exit = True
        await task
    return received


def test_headers_without_end_are_refused(client: Client) -> None:
    endless = [b"GET /system HTTP/1.1\r\nX: "] + [b"y" * LARGEST_HEAD] * 30
    received = asyncio.run(serve(client, endless))
    assert not received.startswith(b"HTTP/1.1 200")


def test_known_answers_are_the_same_on_every_way(client: Client, ct: bytes) -> None:
    instance = client.post("/instances", content=ct).json()["Path"]
    for path in (instance, f"{instance}/file", f"{instance}?short", "/changes"):
        expected = client.get(path).content
        again = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        last = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        received = asyncio.run(serve(client, [again, again, again + again, last]))
        assert received.count(b"HTTP/1.1 200") == 5
        assert received.count(expected) == 5


def test_a_known_answer_is_not_for_everybody(make_client: MakeClient) -> None:
    client = make_client(authentication_enabled=True, registered_users={"a": "b"})
    assert client.get("/studies", auth=("a", "b")).is_success
    request = b"GET /studies HTTP/1.1\r\nHost: x\r\n%s\r\n"
    close = b"Connection: close\r\n"
    user = b"Authorization: Basic YTpi\r\n"
    received = asyncio.run(serve(client, [request % b"", request % user, request % user, request % close]))
    assert (received.count(b"HTTP/1.1 200"), received.count(b"HTTP/1.1 401")) == (2, 2)


def test_a_known_answer_waits_for_the_one_before_it(client: Client, ct: bytes) -> None:
    client.get("/studies")
    slow = b"GET /tools/now HTTP/1.1\r\nHost: x\r\n\r\n"
    known = b"GET /studies HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = asyncio.run(serve(client, [known + slow + known + last]))
    places = [received.index(piece) for piece in (b"text/plain", b"404 Not Found")]
    assert received.count(b"HTTP/1.1 200") == 3
    assert places == sorted(places)
    assert received.index(b"application/json") < places[0] < received.rindex(b"\r\n\r\n[]") < places[1]


def test_several_requests_on_one_connection(client: Client, ct: bytes) -> None:
    upload = (
        b"POST /instances HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ct)
    )
    last = b"GET /tools/now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = asyncio.run(serve(client, [upload, ct, last]))
    assert received.startswith(b"HTTP/1.1 100 Continue")
    assert received.count(b"HTTP/1.1 200") == 2


def test_a_body_longer_than_announced_is_no_second_answer(client: Client) -> None:
    request = b"POST /tools/lookup HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nxGARBAGE\r\n\r\n"
    received = asyncio.run(serve(client, [request]))
    assert received.count(b"HTTP/1.1 400") == 1
