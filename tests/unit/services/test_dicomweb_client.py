"""What may be asked of other DICOMweb servers, and what is refused before it is sent."""

from __future__ import annotations

import pytest

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.services import dicomweb_client as client


@pytest.mark.parametrize(
    ("uri", "arguments", "target"),
    [
        ("studies", {}, "studies"),
        ("/studies/1.2/series/3/", {}, "studies/1.2/series/3/"),
        ("//other.example/studies", {}, "other.example/studies"),
        ("studies", {"a b": "c&d=é", "x": ""}, "studies?a%20b=c%26d%3D%C3%A9&x"),
        ("studies/é d", {}, "studies/%C3%A9%20d"),
        ("studies/%41", {}, "studies/%41"),
        ("series/1/reject/113001%5EDCM", {}, "series/1/reject/113001%5EDCM"),
        ("", {"limit": "1"}, "?limit=1"),
    ],
)
def test_a_uri_is_relative_to_the_address_of_the_server(
    uri: str, arguments: dict[str, str], target: str
) -> None:
    assert client.relative(uri, arguments) == target


@pytest.mark.parametrize(
    "uri",
    [
        "../system",
        "studies/../../system",
        "studies/..",
        "./studies",
        "%2e%2e/system",
        "%252e%252e/system",
        "%25252525252e./system",
        "studies%2f..%2f..%2fsystem",
        "..\\system",
        "..;/system",
        "http://other.example/",
        "file:x",
        "studies?limit=1",
        "studies#x",
        "studies\r\nX: y",
        "studies%ff",
        "x" * 5000,
    ],
)
def test_a_uri_that_would_leave_the_server_is_refused(uri: str) -> None:
    with pytest.raises(CodedError) as caught:
        client.relative(uri)
    assert caught.value.code == codes.BAD_FILE_FORMAT


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "other.example"},
        {"content-length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"X": "a\r\nY: b"},
        {"X": "é"},
        {"X Y": "a"},
        {"": "a"},
        {"X": 1},
        ["X"],
        {f"X-{number}": "" for number in range(1000)},
        {"X": "y" * 10_000},
    ],
)
def test_headers_that_would_change_the_message_are_refused(headers: object) -> None:
    with pytest.raises(CodedError) as caught:
        client.checked_headers(headers)
    assert caught.value.code == codes.BAD_FILE_FORMAT


def test_a_client_may_ask_for_another_type() -> None:
    assert client.accepting("a/b", {}) == {"Accept": "a/b"}
    assert client.accepting("a/b", {"accept": "c/d"}) == {"accept": "c/d"}


@pytest.mark.parametrize(
    ("uids", "path"),
    [
        (("1.2",), "studies/1.2"),
        (("1.2", "3"), "studies/1.2/series/3"),
        (("1.2", "3", "4"), "studies/1.2/series/3/instances/4"),
    ],
)
def test_where_resources_are(uids: tuple[str, ...], path: str) -> None:
    assert client.resource_path(*uids) == path


@pytest.mark.parametrize("uids", [("",), ("", "1"), ("1", "", "2"), ("../x",), ("1", "x"), ("1" * 65,)])
def test_what_is_no_resource_is_refused(uids: tuple[str, ...]) -> None:
    with pytest.raises(CodedError):
        client.resource_path(*uids)
