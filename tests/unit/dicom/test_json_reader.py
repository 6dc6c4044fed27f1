"""The readers of the DICOM JSON Model and the Native DICOM Model: the way back, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.real import all_files, content_of

from ithil.dicom import json_model, json_reader, xml_model, xml_reader
from ithil.dicom.dataset import Dataset, parse
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import EXPLICIT_LITTLE

FILES = (
    "pydicom/CT_small.dcm",
    "pydicom/rtplan.dcm",
    "pydicom/ExplVR_BigEnd.dcm",
    "pydicom/MR_small_implicit.dcm",
    "pydicom/JPEG2000.dcm",
    "pydicom/reportsi.dcm",
    "pydicom/waveform_ecg.dcm",
    "pydicom/liver_1frame.dcm",
    "charset/chrH31.dcm",
    "charset/chrKoreanMulti.dcm",
    "charset/chrSQEncoding1.dcm",
    "charset/chrX2.dcm",
)


def dataset_of(name: str) -> Dataset:
    """All that a real file holds."""
    return parse(content_of(name), stop_at_pixel_data=False)


def again(document: Any) -> Any:
    """The JSON of what is read from `document`."""
    return json_model.to_object(Dataset(json_reader.read(document).elements, EXPLICIT_LITTLE))


def without_empty_name_parts(document: Any) -> Any:
    """The document with names as XML can tell them: carets at the end of a group say nothing."""
    if isinstance(document, list):
        return [without_empty_name_parts(each) for each in document]
    if not isinstance(document, dict):
        return document
    if document.get("vr") == "PN" and "Value" in document:
        names = [
            {group: text.rstrip("^ ") for group, text in (name or {}).items() if text.strip("^ ")} or None
            for name in document["Value"]
        ]
        return {"vr": "PN", "Value": names} if any(names) else {"vr": "PN"}
    return {key: without_empty_name_parts(value) for key, value in document.items()}


@pytest.mark.parametrize("name", FILES)
def test_json_comes_back(name: str) -> None:
    document = orjson.loads(json_model.to_json(dataset_of(name)))
    assert again(document) == document


@pytest.mark.parametrize("name", FILES)
def test_xml_comes_back(name: str) -> None:
    dataset = dataset_of(name)
    (document,) = xml_reader.load(xml_model.to_xml(dataset))
    expected = orjson.loads(json_model.to_json(dataset))
    assert without_empty_name_parts(again(document)) == without_empty_name_parts(expected)


def test_both_read_the_same_of_every_real_file() -> None:
    compared = 0
    for name in all_files():
        try:
            dataset = dataset_of(name)
            document = orjson.loads(json_model.to_json(dataset))
            elements = json_reader.read(document).elements
        except DicomError:
            continue
        if sum(len(element.value) for element in elements) > 200_000:
            continue
        (of_xml,) = xml_reader.load(xml_model.to_xml(dataset))
        expected = without_empty_name_parts(again(document))
        assert without_empty_name_parts(again(of_xml)) == expected, name
        compared += 1
    assert compared > 100


def test_text_is_written_in_utf_8_and_says_so() -> None:
    document = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Äneas", "Ideographic": "山田"}]},
    }
    charset, name = json_reader.read(document).elements
    assert bytes(charset.value) == b"ISO_IR 192"
    assert bytes(name.value).decode().rstrip() == "Äneas=山田"
    added, _ = json_reader.read({"00100010": document["00100010"]}).elements
    assert bytes(added.value) == b"ISO_IR 192"
    (plain,) = json_reader.read({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}}).elements
    assert bytes(plain.value) == b"A^B "


@pytest.mark.parametrize(
    ("vr", "value", "raw"),
    [
        ("DS", [1.5, None, "2 ", 7], b"1.5\\\\2 \\7"),
        ("DS", [0.1 + 0.2], b"0.30000000000000"),
        ("DS", [-1.2345678901234e-100], b"-1.234567890e-100"),
        ("IS", [5.0, "6", None], b"5\\6\\"),
        ("US", [1, "2"], b"\1\0\2\0"),
        ("SV", ["-9223372036854775808"], b"\0\0\0\0\0\0\0\x80"),
        ("FD", ["NaN"], b"\0\0\0\0\0\0\xf8\x7f"),
        ("AT", ["00100020"], b"\x10\0\x20\0"),
        ("UI", ["1.2.3"], b"1.2.3\0"),
        ("LO", ["a", None], b"a\\"),
        ("LT", ["a\\b\n"], b"a\\b\n"),
        ("PN", ["A^B=C"], b"A^B=C "),
        ("OB", [], b""),
    ],
)
def test_values(vr: str, value: list[Any], raw: bytes) -> None:
    (element,) = json_reader.read({"00091001": {"vr": vr, "Value": value}}).elements
    found = bytes(element.value)
    assert len(found) % 2 == 0
    assert found.rstrip(b" ") == raw.rstrip(b" ") or (
        vr == "DS" and float(found) == pytest.approx(float(raw))
    )
    if vr == "DS":
        assert all(len(each.strip()) <= 16 for each in found.split(b"\\"))


LIES: list[Any] = [
    {"00100010": {"vr": "US", "Value": [1]}},
    {"00280010": {"vr": "US", "Value": ["many"]}},
    {"00280010": {"vr": "US", "Value": [70000]}},
    {"00280010": {"vr": "US", "Value": [True]}},
    {"00280010": {"vr": "US", "Value": [1.5]}},
    {"00280010": {"vr": "US", "InlineBinary": "AAA="}},
    {"00280010": {"vr": "US", "Value": 1}},
    {"00280010": {"vr": "XX", "Value": [1]}},
    {"00280010": {"vr": 5, "Value": [1]}},
    {"00280010": [1]},
    {"00280030": {"vr": "DS", "Value": ["wide"]}},
    {"00280030": {"vr": "DS", "Value": ["NaN"]}},
    {"00280030": {"vr": "DS", "Value": ["1_0"]}},
    {"00280008": {"vr": "IS", "Value": [2**31]}},
    {"00100020": {"vr": "LO", "Value": ["a\\b"]}},
    {"00100020": {"vr": "LO", "Value": ["a\0b"]}},
    {"00100020": {"vr": "LO", "Value": ["a\x1b$Bb"]}},
    {"00100020": {"vr": "LO", "Value": [{}]}},
    {"00100020": {"vr": "LO", "Value": ["x" * 70000]}},
    {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "a=b"}]}},
    {"00100010": {"vr": "PN", "Value": [{"Alphabetic": 5}]}},
    {"00080018": {"vr": "UI", "Value": ["1.ä"]}},
    {"00081140": {"vr": "SQ", "Value": ["item"]}},
    {"00081140": {"vr": "SQ", "BulkDataURI": "x"}},
    {"00081140": {"vr": "LO", "Value": ["item"]}},
    {"7FE00010": {"vr": "OW", "InlineBinary": "not base64"}},
    {"7FE00010": {"vr": "OW", "InlineBinary": "AAA=", "BulkDataURI": "x"}},
    {"7FE00010": {"vr": "OW", "Value": [1]}},
    {"7FE00010": {"vr": "OW", "BulkDataURI": "nowhere"}},
    {"7FE00010": {"vr": "OW", "BulkDataURI": 5}},
    {"PatientName": {"vr": "PN"}},
    {"0010001G": {"vr": "LO"}},
    {"+0100010": {"vr": "LO"}},
    {"FFFEE000": {"vr": "SQ"}},
    {"00000002": {"vr": "UI"}},
    {"0020000d": {"vr": "UI"}, "0020000D": {"vr": "UI"}},
    {"00080060": {"vr": "AT", "Value": ["0010"]}},
]


@pytest.mark.parametrize("document", LIES, ids=lambda document: str(document)[:50])
def test_lies_are_refused(document: Any) -> None:
    with pytest.raises(DicomError) as caught:
        json_reader.read(document)
    assert "many" not in str(caught.value)


def test_depth_and_number_are_bounded() -> None:
    document: dict[str, Any] = {}
    for _ in range(100):
        document = {"00081140": {"vr": "SQ", "Value": [document]}}
    with pytest.raises(DicomError, match="deeply"):
        json_reader.read(document)
    with pytest.raises(DicomError):
        json_reader.load(b'[{"00081140":{"Value":' * 100_000)
    with pytest.raises(DicomError):
        xml_reader.load(
            b"<NativeDicomModel>" + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 10_000
        )


@pytest.mark.parametrize("document", [b"", b"{", b"5", b"[5]", b'"x"', b"\xff", b'{"00100010": "\xff"}'])
def test_what_is_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(DicomError):
        json_reader.load(document)


def native(inner: str) -> bytes:
    return f'<?xml version="1.0"?><NativeDicomModel>{inner}</NativeDicomModel>'.encode()


def attribute(inner: str, tag: str = "00100020", vr: str = "LO") -> bytes:
    return native(f'<DicomAttribute tag="{tag}" vr="{vr}">{inner}</DicomAttribute>')


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<a/>",
        b"<NativeDicomModel>",
        native("<NativeDicomModel/>"),
        native("<Something/>"),
        native("<DicomAttribute/>"),
        attribute('<Value number="0">a</Value>'),
        attribute('<Value number="1">a</Value><Value number="1">b</Value>'),
        attribute('<Value number="9999999">a</Value>'),
        attribute('<Value number="x">a</Value>'),
        attribute('<Value number="1"><b/></Value>'),
        attribute("")[:-20],
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + attribute("&b;"),
        b'<!DOCTYPE NativeDicomModel SYSTEM "file:///etc/passwd">' + native(""),
        b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>',
        native('<DicomAttribute tag="00100020" vr="LO"/><DicomAttribute tag="00100020" vr="LO"/>'),
    ],
)
def test_what_is_no_native_dicom_model_is_refused(document: bytes) -> None:
    with pytest.raises(DicomError):
        _ = [json_reader.read(each) for each in xml_reader.load(document)]


def test_private_attributes_of_xml_go_into_the_block_of_their_creator() -> None:
    (document,) = xml_reader.load(
        native(
            '<DicomAttribute tag="00090001" vr="LO" privateCreator="ONE"><Value number="1">a</Value>'
            '</DicomAttribute><DicomAttribute tag="00090002" vr="LO" privateCreator="TWO"/>'
            '<DicomAttribute tag="00090003" vr="LO" privateCreator="ONE"/>'
        )
    )
    assert sorted(document) == ["00090010", "00090011", "00091001", "00091003", "00091102"]
    assert document["00090010"]["Value"] == ["ONE"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["00100010", "00081140", "7FE00010", "00280010", "00091001", "vr", "Value", "Alphabetic"]
            ),
            inner,
            max_size=4,
        )
        | st.fixed_dictionaries(
            {
                "vr": st.sampled_from(
                    ["PN", "SQ", "US", "DS", "IS", "FL", "UI", "AT", "OW", "UT", "UV", "UN"]
                ),
                "Value": st.lists(inner, max_size=3),
            }
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["00100010", "00081140", "7FE00010", "00280010", "00091001"]), _json))
def test_any_json_is_read_or_refused(document: Any) -> None:
    try:
        elements = json_reader.read(document).elements
    except DicomError:
        return
    json_model.to_json(Dataset(elements, EXPLICIT_LITTLE))
