"""Modalities and peers in their array and object forms."""

from __future__ import annotations

from typing import Any

import pytest

from ithil.settings import Modality, Peer, SettingsError, load
from ithil.settings.option import WrongValue
from ithil.settings.remotes import (
    dicomweb_flag,
    parse_dicomweb_server,
    parse_modality,
    parse_peer,
)


def test_a_modality_as_array_and_as_object() -> None:
    assert parse_modality(["A", "h", 104], []) == Modality("A", "h", 104)
    assert parse_modality(["A", "h", "104", "GE"], []) == Modality("A", "h", 104, "GE")
    written = {
        "AET": "A",
        "Host": "h",
        "Port": "104",
        "Manufacturer": "Vitrea",
        "AllowEcho": False,
        "AllowStorageCommitment": False,
        "AllowEventReport": True,
        "UseDicomTls": True,
        "LocalAet": "ME",
        "Timeout": 7,
        "RetrieveMethod": "C-GET",
    }
    assert parse_modality(written, []) == Modality(
        "A",
        "h",
        104,
        "Vitrea",
        allow_echo=False,
        allow_n_action=False,
        allow_event_report=True,
        use_dicom_tls=True,
        local_aet="ME",
        timeout=7,
        retrieve_method="C-GET",
    )


@pytest.mark.parametrize(
    "value",
    [
        "A",
        ["A", "h"],
        ["A", "h", 0],
        ["A", "h", 65535],
        ["A", "h", True],
        ["A", "h", "1O4"],
        ["A", "h", "\u0661\u0660\u0664"],
        ["A", "", 104],
        ["", "h", 104],
        ["A\\B", "h", 104],
        ["SEVENTEEN_LETTERS", "h", 104],
        ["A", "h", 104, "generic"],
        ["A", "h", 104, "GE", 1],
        {"AET": "A", "Host": "h"},
        {"AET": "A", "Host": "h", "Port": 104, "AllowEcho": "yes"},
        {"AET": "A", "Host": "h", "Port": 104, "Timeout": -1},
        {"AET": "A", "Host": "h", "Port": 104, "RetrieveMethod": "C-FIND"},
        {"AET": "A", "Host": "h", "Port": 104, "LocalAet": "SEVENTEEN_LETTERS"},
    ],
)
def test_a_wrong_modality_is_refused(value: Any) -> None:
    with pytest.raises(WrongValue):
        parse_modality(value, [])


@pytest.mark.parametrize(
    ("old", "new"), [("SyngoVia", "GenericNoWildcardInDates"), ("ClearCanvas", "Generic")]
)
def test_an_obsolete_manufacturer_is_replaced_with_a_warning(old: str, new: str) -> None:
    warnings: list[str] = []
    assert parse_modality(["A", "h", 104, old], warnings).manufacturer == new
    assert len(warnings) == 1


def test_a_peer_as_array_and_as_object() -> None:
    assert parse_peer(["http://h"], []) == Peer("http://h/")
    assert parse_peer(["https://h/x/", "u", "p"], []) == Peer("https://h/x/", "u", "p")
    written = {
        "Url": "http://h/",
        "Username": "u",
        "HttpHeaders": {"Token": "t"},
        "Timeout": 3,
        "RemoteSelf": "me",
    }
    assert parse_peer(written, []) == Peer(
        "http://h/", "u", http_headers={"Token": "t"}, timeout=3, properties={"RemoteSelf": "me"}
    )


@pytest.mark.parametrize(
    "value",
    [
        1,
        [],
        ["http://h", "u"],
        ["ftp://h"],
        {},
        {"Url": 1},
        {"Url": "http://h", "Pkcs11": 1},
        {"Url": "http://h", "HttpHeaders": {"a": 1}},
        {"Url": "http://h", "Timeout": "1"},
    ],
)
def test_a_wrong_peer_is_refused(value: Any) -> None:
    with pytest.raises(WrongValue):
        parse_peer(value, [])


@pytest.mark.parametrize("name", ["a b", "", "a/b", "\u00e9", "a\n"])
def test_symbolic_names_are_plain(name: str) -> None:
    with pytest.raises(SettingsError, match="DicomModalities"):
        load([], {}, {"DicomModalities": {name: ["A", "h", 104]}})


def test_an_error_names_the_modality_but_no_password() -> None:
    with pytest.raises(SettingsError) as caught:
        load([], {}, {"OrthancPeers": {"site-b": ["nonsense", "user", "hidden"]}})
    assert "site-b" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, (False, True, True)),
        ({"HasDelete": True, "ChunkedTransfers": False}, (True, False, True)),
        ({"HasDelete": "1", "ChunkedTransfers": "0"}, (True, False, True)),
        ({"HasDelete": "true", "HasWadoRsUniversalTransferSyntax": "false"}, (True, True, False)),
        ({"HasDelete": 1}, (True, True, True)),
    ],
)
def test_what_a_dicomweb_server_is_said_to_have(
    written: dict[str, Any], expected: tuple[bool, bool, bool]
) -> None:
    server = parse_dicomweb_server({"Url": "http://h", **written}, [])
    flags = ("HasDelete", "ChunkedTransfers", "HasWadoRsUniversalTransferSyntax")
    assert tuple(dicomweb_flag(server, flag) for flag in flags) == expected


@pytest.mark.parametrize("more", [{"HasDelete": "maybe"}, {"HasDelete": 2}, {"Other": {}}, {"Other": None}])
def test_properties_of_a_dicomweb_server_that_make_no_sense(more: dict[str, Any]) -> None:
    with pytest.raises(WrongValue):
        parse_dicomweb_server({"Url": "http://h", **more}, [])
