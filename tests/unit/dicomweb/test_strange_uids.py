"""UIDs that no device should send, and some do: they stay inside of the addresses that are made of them.

What may store by DICOM decides what the UIDs of its instances are, so they are a stranger's text.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from tests.data.datasets import body, part10
from tests.unit.application import Client
from tests.unit.dicomweb.parts import parts_of

ROOT = "/dicom-web"
STUDY, INSTANCE = "1.2.77", "9.9"
SPLITTING = "1.2\r\nSet-Cookie: a=bb"
STRANGE = [SPLITTING, "1.2.\N{EURO SIGN}", "1.2?x", "1.2#x", "1.2 3", "1.2%2F3"]


def grey(series: str, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    """An image of 8 by 8 in a series of that UID."""
    uid = series.encode()
    elements: dict[int, tuple[str, bytes] | bytes] = {
        0x00080005: ("CS", b"ISO_IR 192"),
        0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        0x00080018: ("UI", b"9.9\0"),
        0x0020000D: ("UI", b"1.2.77"),
        0x0020000E: ("UI", uid + bytes(len(uid) % 2)),
        0x00280002: ("US", b"\1\0"),
        0x00280004: ("CS", b"MONOCHROME2 "),
        **dict.fromkeys((2621456, 2621457, 2621696, 2621697), ("US", b"\x08\x00")),
        0x00280102: ("US", b"\7\0"),
        0x00280103: ("US", b"\0\0"),
        0x7FE00010: ("OB", bytes(64)),
    }
    return part10(body(elements, identifiers=False), syntax)


def stored_series(client: Client, series: str) -> str:
    """Store an image; the Series Instance UID as the server reads it."""
    assert client.post("/instances", content=grey(series)).status_code == 200
    found = client.get(f"{ROOT}/studies/{STUDY}/series").json()
    return str(found[0]["0020000E"]["Value"][0])


def address(series: str) -> str:
    return f"{ROOT}/studies/{STUDY}/series/{quote(series, safe='')}/instances/{INSTANCE}"


@pytest.mark.parametrize("series", STRANGE)
@pytest.mark.parametrize(
    ("resource", "accept"),
    [
        ("", "application/dicom; transfer-syntax=*"),
        ("", "application/dicom; transfer-syntax=1.2.840.10008.1.2"),
        ("/frames/1", "application/octet-stream"),
    ],
)
def test_the_address_of_an_answer_names_it_and_no_more(
    client: Client, series: str, resource: str, accept: str
) -> None:
    uid = stored_series(client, series)
    answer = client.get(address(uid) + resource, headers={"Accept": accept})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-location"] == f"http://server{address(uid)}{resource}"


@pytest.mark.parametrize("series", STRANGE)
@pytest.mark.parametrize("resource", ["", "/instances/9.9/frames/1", "/instances/9.9"])
def test_parts_are_found_under_their_address(client: Client, series: str, resource: str) -> None:
    uid = stored_series(client, series)
    place = f"{ROOT}/studies/{STUDY}/series/{quote(uid, safe='')}{resource}"
    answer = client.get(place, headers={"Accept": "multipart/related"})
    assert answer.status_code == 200, answer.text
    [part] = parts_of(answer)
    wanted = address(uid) + ("/frames/1" if "frames" in resource else "")
    assert part.headers["Content-Location"] == f"http://server{wanted}"
    assert "Set-Cookie" not in part.headers
    assert client.get(part.headers["Content-Location"]).status_code == 200


@pytest.mark.parametrize("series", [*STRANGE, "1.2/3"])
def test_one_strange_series_does_not_hide_its_study(client: Client, series: str) -> None:
    stored_series(client, series)
    for accept in ("multipart/related", "application/zip"):
        assert client.get(f"{ROOT}/studies/{STUDY}", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("series", STRANGE)
def test_a_search_gives_addresses_that_lead_there(client: Client, series: str) -> None:
    stored_series(client, series)
    for level in ("series", "instances"):
        [found] = client.get(f"{ROOT}/{level}").json()
        link = found["00081190"]["Value"][0]
        assert client.get(f"{link}/metadata").status_code == 200


@pytest.mark.parametrize("series", ["1.2#x", "1.2%2F3"])
def test_storing_gives_addresses_that_lead_there(client: Client, series: str) -> None:
    boundary = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + grey(series) + b"\r\n--b--\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    answer = client.post(f"{ROOT}/studies", content=boundary, headers={"Content-Type": kind})
    for item in answer.json()["00081199"].get("Value", []):
        assert client.get(f"{item['00081190']['Value'][0]}/metadata").status_code == 200


def test_a_slash_does_not_lead_to_another_resource(client: Client) -> None:
    uid = stored_series(client, "1.2/instances/3")
    [found] = client.get(f"{ROOT}/series").json()
    assert found["00081190"]["Value"] == [f"http://server{ROOT}/studies/{STUDY}/series/{quote(uid, safe='')}"]


@pytest.mark.parametrize(
    "accept", ["application/dicom; transfer-syntax=*", "multipart/related; transfer-syntax=*"]
)
def test_a_transfer_syntax_cannot_write_headers_either(client: Client, accept: str) -> None:
    content = grey("1.2.78", "1.2.9\r\nSet-Cookie: a=b")
    if client.post("/instances", content=content).status_code != 200:
        return  # not stored is as good
    for resource in ("", "/frames/1"):
        answer = client.get(address("1.2.78") + resource, headers={"Accept": accept})
        assert "set-cookie" not in answer.headers
        assert b"\r\nSet-Cookie" not in answer.content.split(b"DICM")[0]
