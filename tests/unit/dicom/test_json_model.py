"""The DICOM JSON Model: pydicom as judge on every real file, the standard where pydicom is of another mind."""

from __future__ import annotations

import base64
import json
import logging
import struct
import warnings
from typing import Any

import pydicom
import pytest
from tests.data.datasets import body, element, implicit, item, part10, undefined_sequence
from tests.data.real import all_files

from ithil.dicom import dataset, json_model
from ithil.dicom.dataset import Element
from ithil.dicom.dictionary import tag_vr
from ithil.dicom.errors import DicomError

JPEG = "1.2.840.10008.1.2.4.50"


def model(elements: dict[int, tuple[str, bytes] | bytes], **options: Any) -> dict[str, Any]:
    parsed = dataset.parse(part10(body(elements, identifiers=False)), stop_at_pixel_data=False)
    return json.loads(json_model.to_json(parsed, **options))


def value(vr: str, raw: bytes) -> Any:
    return model({0x00081090: (vr, raw)})["00081090"]


@pytest.mark.parametrize(
    ("vr", "raw", "shown"),
    [
        ("LO", b" AB\\ C  \\D  ", [" AB", " C", "D"]),
        ("LO", b"A\\\\B ", ["A", None, "B"]),
        ("LT", b"a\\b ", ["a\\b"]),
        ("UT", b"", None),
        ("LO", b"  ", None),
        ("IS", b" 007\\+3\\x\\-2", [7, 3, "x", -2]),
        ("IS", b"1_0", ["1_0"]),
        ("IS", b"99999999999999999999999999", ["99999999999999999999999999"]),
        ("IS", b"9" * 5000, ["9" * 5000]),
        ("DS", b"1.50\\1e2 \\2", [1.5, 100.0, 2.0]),
        ("DS", b"1e999\\nan\\1_0\\abc ", ["1e999", "nan", "1_0", "abc"]),
        ("US", struct.pack("<HH", 1, 65535), [1, 65535]),
        ("SS", struct.pack("<h", -5), [-5]),
        ("FD", struct.pack("<dd", 0.1, float("inf")), [0.1, "Infinity"]),
        ("FL", struct.pack("<ff", 0.5, float("nan")), [0.5, "NaN"]),
        ("UV", struct.pack("<QQ", 7, 2**60), [7, str(2**60)]),
        ("AT", struct.pack("<HHHH", 0x7FE0, 0x10, 8, 5), ["7FE00010", "00080005"]),
        ("US", b"\1", None),
    ],
)
def test_values(vr: str, raw: bytes, shown: list[Any] | None) -> None:
    assert value(vr, raw) == ({"vr": vr} if shown is None else {"vr": vr, "Value": shown})


@pytest.mark.parametrize("text", ["1_0", "\u0663", "\uff11", "1" * 65])
def test_what_only_python_takes_for_a_number_stays_text(text: str) -> None:
    for vr in ("IS", "DS", "US", "FD"):
        assert json_model.values_of_text(vr, text) == [text]


def test_names_of_persons() -> None:
    assert value("PN", b"A^B=C= D  ")["Value"] == [
        {"Alphabetic": "A^B", "Ideographic": "C", "Phonetic": " D"}
    ]
    assert value("PN", b"=C==x\\\\Y ")["Value"] == [{"Ideographic": "C"}, None, {"Alphabetic": "Y"}]


def test_text_is_utf8_and_says_so() -> None:
    answer = model({0x00080005: ("CS", b"ISO_IR 100"), 0x00100010: ("PN", "J\xf6rg".encode("latin-1"))})
    assert answer["00080005"]["Value"] == ["ISO_IR 192"]
    assert answer["00100010"]["Value"] == [{"Alphabetic": "Jörg"}]


def test_binary_is_little_endian_base64() -> None:
    content = element(0x00281201, "OW", b"\1\2\3\4", big=True)
    parsed = dataset.parse(content, transfer_syntax="1.2.840.10008.1.2.2")
    assert json.loads(json_model.to_json(parsed)) == {
        "00281201": {"vr": "OW", "InlineBinary": base64.b64encode(b"\2\1\4\3").decode()}
    }


def test_group_lengths_are_left_out_and_tags_are_sorted() -> None:
    content = element(0x00100020, "LO", b"P1") + element(0x00080000, "UL", bytes(4))
    content += element(0x00080060, "CS", b"CT")
    assert list(
        json.loads(json_model.to_json(dataset.parse(content, transfer_syntax="1.2.840.10008.1.2.1")))
    ) == [
        "00080060",
        "00100020",
    ]


def test_what_is_called_unknown_is_shown_as_what_it_is() -> None:
    inner = implicit(0x00080100, b"X1")
    answer = model(
        {
            0x00081030: ("UN", b"Head"),
            0x00081032: ("UN", item(inner)),
            0x00091001: ("UN", b"??"),
            0x00081140: ("UN", b"no items"),
        }
    )
    assert answer["00081030"] == {"vr": "LO", "Value": ["Head"]}
    assert answer["00081032"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["X1"]}}]}
    assert answer["00091001"] == {"vr": "UN", "InlineBinary": "Pz8="}
    assert answer["00081140"]["vr"] == "UN"


def test_sequences_hidden_in_each_other_end() -> None:
    raw = b""
    for _ in range(300):
        raw = implicit(0x00081140, item(raw))
    assert model({0x00081032: ("UN", item(raw))})["00081032"]["vr"] == "UN"


def test_large_values_may_stay_behind() -> None:
    asked: list[tuple[int, ...]] = []

    def uri(path: tuple[int, ...], one: Element) -> str | None:
        asked.append(path)
        return f"/bulk/{len(one.value)}" if one.tag != 0x00204000 else None

    nested = item(element(0x00420011, "OB", bytes(2000)))
    answer = model(
        {
            0x00081140: undefined_sequence(0x00081140, nested),
            0x00204000: ("LT", b"x" * 3000),
            0x00280010: ("US", b"\2\0"),
            0x7FE00010: ("OW", b"ab"),
        },
        bulk_data_uri=uri,
    )
    assert asked == [(0x00081140, 0, 0x00420011), (0x00204000,), (0x7FE00010,)]
    assert answer["7FE00010"] == {"vr": "OW", "BulkDataURI": "/bulk/2"}
    assert answer["00081140"]["Value"] == [{"00420011": {"vr": "OB", "BulkDataURI": "/bulk/2000"}}]
    assert answer["00204000"] == {"vr": "LT", "Value": ["x" * 3000]}
    assert answer["00280010"] == {"vr": "US", "Value": [2]}


def _normal(tag: int, value: dict[str, Any]) -> dict[str, Any]:
    """A value of pydicom's in the standard's form: no empty groups and arrays, null where a value is empty."""
    vr, values = value["vr"], value.get("Value")
    if tag == 0x00080005 and values:
        return {"vr": "CS", "Value": ["ISO_IR 192"]}
    if not values:
        return {key: part for key, part in value.items() if key != "Value"}
    if vr == "SQ":
        return {"vr": vr, "Value": [_normalised(each) for each in values]}
    if vr == "PN":
        return {"vr": vr, "Value": [{k: v for k, v in each.items() if v} or None for each in values]}
    if all(isinstance(each, str) for each in values):
        return {"vr": vr, "Value": [each.rstrip(" ") or None for each in values]}
    return value


def _normalised(data: dict[str, Any]) -> dict[str, Any]:
    return {key: _normal(int(key, 16), value) for key, value in data.items() if not key.endswith("0000")}


def _expected(data: pydicom.Dataset) -> dict[str, Any]:
    """pydicom's document, without the elements that it cannot write."""
    found = {}
    for tag in sorted(data.keys()):
        try:
            found[f"{tag:08X}"] = json.loads(json.dumps(data[tag].to_json_dict(None, 1024)))
        except ValueError:
            continue  # a number that is none
    return _normalised(found)


def _may_differ(tag: int, ours: dict[str, Any], theirs: dict[str, Any], big_endian: bool) -> bool:
    # Other private dictionaries; and pydicom leaves words of big endian files as they are.
    if tag == 0x7FE00010 and ours.get("InlineBinary") == theirs.get("InlineBinary"):
        return True  # OB or OW, which implicit VR leaves open
    if tag & 0x10000 and (ours["vr"] == "UN") != (theirs["vr"] == "UN"):
        return True
    return big_endian and ours["vr"] in ("OW", "OF", "OL") and "InlineBinary" in ours


@pytest.mark.parametrize("name", all_files())
def test_agrees_with_pydicom(name: str) -> None:
    path = all_files()[name]
    try:
        parsed = dataset.parse(path.read_bytes(), stop_at_pixel_data=False)
    except DicomError:
        return
    ours = json.loads(json_model.to_json(parsed))
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = _expected(pydicom.dcmread(path, force=True))
    finally:
        logging.disable(logging.NOTSET)
    assert list(ours) == sorted(ours)
    assert set(theirs) <= set(ours)
    for key in theirs:
        tag = int(key, 16)
        if ours[key] != theirs[key] and not _may_differ(tag, ours[key], theirs[key], parsed.big_endian):
            assert ours[key] == theirs[key], (key, tag_vr(tag))
