"""The Native DICOM Model: the same content as the JSON model, in XML that any parser takes."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.data.datasets import body, element, item, part10, undefined_sequence
from tests.data.real import all_files

from ithil.dicom import dataset, json_model, xml_model
from ithil.dicom.errors import DicomError

NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def document(elements: dict[int, tuple[str, bytes] | bytes], **options: Any) -> ElementTree.Element:
    parsed = dataset.parse(part10(body(elements, identifiers=False)), stop_at_pixel_data=False)
    return ElementTree.fromstring(xml_model.to_xml(parsed, **options))


def attributes(parent: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {str(one.get("tag")): one for one in parent.iterfind(f"{NAMESPACE}DicomAttribute")}


def values(attribute: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in attribute.iterfind(f"{NAMESPACE}Value")]


def test_a_document() -> None:
    root = document(
        {
            0x00080008: ("CS", b"ORIGINAL\\PRIMARY"),
            0x00081140: undefined_sequence(0x00081140, item(element(0x00081155, "UI", b"1.2\0"))),
            0x00090010: ("LO", b"ACME"),
            0x00091001: ("LO", b"secret"),
            0x00100010: ("PN", b"Doe^Jane=X "),
            0x00280010: ("US", b"\2\0"),
            0x7FE00010: ("OW", b"ab"),
        }
    )
    assert root.tag == f"{NAMESPACE}NativeDicomModel"
    found = attributes(root)
    assert found["00080008"].attrib == {"tag": "00080008", "vr": "CS", "keyword": "ImageType"}
    assert values(found["00080008"]) == ["ORIGINAL", "PRIMARY"]
    assert [one.get("number") for one in found["00080008"]] == ["1", "2"]
    (inner,) = found["00081140"]
    assert (inner.tag, inner.get("number")) == (f"{NAMESPACE}Item", "1")
    assert values(attributes(inner)["00081155"]) == ["1.2"]
    assert found["00091001"].get("privateCreator") == "ACME"
    assert found["00091001"].get("keyword") is None
    person = found["00100010"].find(f"{NAMESPACE}PersonName")
    assert person is not None
    assert [one.tag.removeprefix(NAMESPACE) for one in person.iter()] == [
        "PersonName",
        *("Alphabetic", "FamilyName", "GivenName"),
        *("Ideographic", "FamilyName"),
    ]
    assert values(found["00280010"]) == ["2"]
    assert found["7FE00010"].findtext(f"{NAMESPACE}InlineBinary") == "YWI="


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'</Value><x a="&b">', '</Value><x a="&b">'),
        (b"]]>\r\n\ttail", "]]>\r\n\ttail"),
        (b"bell\x07 and esc\x1b[", "bell\ufffd and esc\ufffd["),
    ],
)
def test_values_cannot_break_out(raw: bytes, shown: str) -> None:
    (one,) = attributes(document({0x00081030: ("LT", raw)})).values()
    assert values(one) == [shown]


def test_private_creators_cannot_break_out() -> None:
    found = attributes(document({0x00090010: ("LO", b'"><x>'), 0x00091001: ("LO", b"1 ")}))
    assert found["00091001"].get("privateCreator") == '"><x>'


def test_large_values_may_stay_behind() -> None:
    def uri(path: tuple[int, ...], one: dataset.Element) -> str:
        return f'/bulk?"{path[-1]:08x}"'

    (one,) = attributes(document({0x7FE00010: ("OW", b"ab")}, bulk_data_uri=uri)).values()
    bulk = one.find(f"{NAMESPACE}BulkData")
    assert bulk is not None
    assert bulk.get("uri") == '/bulk?"7fe00010"'


def _flat(shown: Any) -> list[str]:
    """The values of the JSON model as the XML model writes them."""
    if isinstance(shown, dict):
        return [shown[group] for group in ("Alphabetic", "Ideographic", "Phonetic") if group in shown]
    return ["" if shown is None else str(shown)]


@pytest.mark.parametrize("name", all_files())
def test_says_what_the_json_model_says(name: str) -> None:
    try:
        parsed = dataset.parse(all_files()[name].read_bytes())
    except DicomError:
        return
    _compare(
        attributes(ElementTree.fromstring(xml_model.to_xml(parsed))),
        json.loads(json_model.to_json(parsed)),
    )


def _compare(xml: dict[str, ElementTree.Element], model: dict[str, Any]) -> None:
    assert list(xml) == list(model)
    for tag, one in xml.items():
        theirs = model[tag]
        assert one.get("vr") == theirs["vr"]
        if theirs["vr"] == "SQ":
            items = one.findall(f"{NAMESPACE}Item")
            assert len(items) == len(theirs.get("Value", []))
            for ours, inner in zip(items, theirs.get("Value", []), strict=True):
                _compare(attributes(ours), inner)
        elif theirs["vr"] not in ("PN", "DS", "IS", "FL", "FD"):
            assert values(one) == [text for each in theirs.get("Value", []) for text in _flat(each)]
        assert one.findtext(f"{NAMESPACE}InlineBinary") == theirs.get("InlineBinary")
