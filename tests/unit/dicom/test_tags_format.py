"""Tags as JSON: each rule here was observed in Orthanc's answers for the same bytes."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from tests.data.datasets import body, element, implicit, item, part10, undefined_sequence
from tests.data.real import content_of

from ithil.dicom import dataset, tags_format
from ithil.dicom.charsets import decoder
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.scan import scan
from ithil.dicom.uids import DEFLATED

PLAIN = "1.2.840.10008.1.2"


def full(elements: dict[int, tuple[str, bytes] | bytes], **options: Any) -> dict[str, Any]:
    return tags_format.full(dataset.parse(part10(body(elements))), **options)


@pytest.mark.parametrize(
    ("vr", "raw", "shown"),
    [
        ("LO", b" AB\\ C  \\D  ", " AB\\ C  \\D"),
        ("LO", b"AB\0CD\0", "AB"),
        ("LO", b"    ", ""),
        ("LO", b"ME ", "ME "),  # an odd length has no padding
        ("LT", b" x y \r\n ", " x y \r\n"),
        ("IS", b" 007", " 007"),
        ("UI", b"1.2\0", "1.2"),
        ("US", struct.pack("<H", 512), "512"),
        ("SS", struct.pack("<hh", -5, 6), "-5\\6"),
        ("UL", struct.pack("<L", 4000000000), "4000000000"),
        ("SL", struct.pack("<l", -7), "-7"),
        ("FD", struct.pack("<ddd", 1 / 3, 1e-7, 1.5), "0.33333333333333331\\9.9999999999999995e-08\\1.5"),
        ("FL", struct.pack("<ff", 0.1, 1e10), "0.10000000149011612\\10000000000"),
        ("AT", struct.pack("<HHHH", 0x18, 0x1063, 0x7FE0, 0x10), "0018,1063"),
        ("US", b"", None),
        ("OB", b"ab", None),
        ("OW", b"", None),
        ("UV", bytes(8), None),
    ],
)
def test_values(vr: str, raw: bytes, shown: str | None) -> None:
    answer = full({0x00081090: (vr, raw)})["0008,1090"]
    kind = "Null" if shown is None else "String"
    assert answer == {"Name": "ManufacturerModelName", "Type": kind, "Value": shown}


def test_long_values_are_counted_in_bytes_and_hidden_unless_asked_for() -> None:
    elements: dict[int, tuple[str, bytes] | bytes] = {
        0x00081090: ("LO", b"x" * 256),
        0x00080080: ("LO", b"\xe9" * 130),
        0x00204000: ("LT", b"y" * 258),
        0x00081140: ("SQ", item(element(0x00204000, "LT", b"y" * 258))),
    }
    answer = full(elements)
    assert answer["0008,1090"]["Type"] == "String"
    assert answer["0008,0080"] == {"Name": "InstitutionName", "Type": "TooLong", "Value": None}
    assert answer["0020,4000"]["Type"] == "TooLong"
    asked = full(elements, ignore_length={0x00204000})
    assert asked["0020,4000"]["Value"] == "y" * 258
    assert asked["0008,1140"]["Value"][0]["0020,4000"]["Value"] == "y" * 258


def test_unknown_vr_shows_public_text_as_it_lies_and_private_values_not() -> None:
    answer = full(
        {
            0x00081090: ("UN", b"GE "),
            0x00080080: ("UN", b"\xe9 "),
            0x00280010: ("UN", b"\0\2"),
            0x00080007: ("UN", b"ab"),
            0x00090010: ("LO", b"ME"),
            0x00091001: ("UN", b"ab"),
        }
    )
    assert answer["0008,1090"]["Value"] == "GE "
    assert answer["0008,0080"]["Value"] == "é "
    assert answer["0028,0010"] == {"Name": "Rows", "Type": "Null", "Value": None}
    assert answer["0008,0007"]["Type"] == "Null"
    assert answer["0009,1001"] == {
        "Name": "Unknown Tag & Data",
        "PrivateCreator": "ME",
        "Type": "Null",
        "Value": None,
    }


def test_private_elements() -> None:
    answer = full(
        {
            0x00091001: ("LO", b"x "),
            0x00110010: ("LO", b"GEMS_PATI_01"),
            0x00111010: ("SS", struct.pack("<h", 3)),
            0x00111101: ("LO", b"other block "),
            0x00130010: ("LO", b"ME"),
            0x00131001: ("SQ", item(element(0x00131003, "LO", b"x "))),
            0x00150010: ("UN", b"ME"),
            0x00151001: ("LO", b"x "),
        }
    )
    assert "PrivateCreator" not in answer["0009,1001"]
    assert answer["0011,0010"]["Name"] == "PrivateCreator"
    assert answer["0011,1010"] == {
        "Name": "PatientStatus",
        "PrivateCreator": "GEMS_PATI_01",
        "Type": "String",
        "Value": "3",
    }
    assert "PrivateCreator" not in answer["0011,1101"]
    # Sequences do not name their creator, and items begin without any.
    assert answer["0013,1001"] == {
        "Name": "Unknown Tag & Data",
        "Type": "Sequence",
        "Value": [{"0013,1003": {"Name": "Unknown Tag & Data", "Type": "String", "Value": "x"}}],
    }
    assert "PrivateCreator" not in answer["0015,1001"]


def test_the_pixel_data_is_the_last_tag() -> None:
    data = dataset.parse(
        part10(body({0x7FE00010: ("OW", b"\1\2"), 0xFFFCFFFC: ("OB", b"\0\0"), 0x7FE10010: ("LO", b"ME")}))
    )
    assert tags_format.full(data)["7fe0,0010"] == {"Name": "PixelData", "Type": "Null", "Value": None}
    assert max(tags_format.short(data)) == "7fe0,0010"


def test_all_tags_can_be_had_too() -> None:
    content = part10(body({0x7FE00010: ("OW", b"\1\2"), 0xFFFCFFFC: ("OB", b"\0\0")}))
    elements = dataset.parse(content, stop_at_pixel_data=False).elements
    assert [element.tag for element in elements][-2:] == [0x7FE00010, 0xFFFCFFFC]
    assert bytes(elements[-2].value) == b"\1\2"


def test_short_and_simplified() -> None:
    data = dataset.parse(
        part10(
            body(
                {
                    0x00090010: ("LO", b"ME"),
                    0x00110010: ("LO", b"YOU "),
                    0x00081140: undefined_sequence(
                        0x00081140, item(element(0x00081150, "UI", b"1.2\0"), undefined=True)
                    ),
                }
            )
        )
    )
    assert tags_format.short(data)["0008,1140"] == [{"0008,1150": "1.2"}]
    simple = tags_format.simplified(data)
    assert simple["ReferencedImageSequence"] == [{"ReferencedSOPClassUID": "1.2"}]
    assert simple["PrivateCreator"] == "YOU"


def test_items_may_have_a_charset_of_their_own() -> None:
    cyrillic = element(0x00080005, "CS", b"ISO_IR 144") + element(0x00100010, "PN", b"\xbb\xee")
    answer = full(
        {
            0x00080005: ("CS", b"ISO_IR 100"),
            0x00081140: ("SQ", item(cyrillic) + item(element(0x00100010, "PN", b"\xe9 "))),
        }
    )
    first, second = answer["0008,1140"]["Value"]
    assert first["0010,0010"]["Value"] == "\u041b\u044e"
    assert second["0010,0010"]["Value"] == "é"


@pytest.mark.parametrize(("representation", "shown"), [(None, None), (b"\0\0", "65533"), (b"\1\0", "-3")])
def test_implicit_numbers_that_may_be_signed(representation: bytes | None, shown: str | None) -> None:
    content = implicit(0x00080018, b"1.2\0")
    if representation is not None:
        content += implicit(0x00280103, representation)
    content += implicit(0x00280106, struct.pack("<h", -3)) + implicit(0x00281101, bytes(6))
    answer = tags_format.short(dataset.parse(part10(content, PLAIN)))
    assert answer["0028,0106"] == shown
    assert answer["0028,1101"] is None


def test_the_header_shows_no_binary_elements() -> None:
    answer = tags_format.header(
        dataset.parse_meta(content_of("pydicom/CT_small.dcm")), tags_format.Format.FULL
    )
    assert list(answer) == [
        "0002,0000",
        "0002,0002",
        "0002,0003",
        "0002,0010",
        "0002,0012",
        "0002,0013",
        "0002,0016",
    ]
    assert answer["0002,0000"] == {
        "Name": "FileMetaInformationGroupLength",
        "Type": "String",
        "Value": "192",
    }


def test_a_file_without_meta_information_has_an_empty_header() -> None:
    assert dataset.parse_meta(body({})).elements == []


def test_plain_values_in_three_shapes() -> None:
    values = {0x00100010: "A^B"}
    assert tags_format.format_values(values, tags_format.Format.SIMPLIFIED) == {"PatientName": "A^B"}
    assert tags_format.format_values(values, tags_format.Format.SHORT) == {"0010,0010": "A^B"}
    assert tags_format.format_values(values, tags_format.Format.FULL) == {
        "0010,0010": {"Name": "PatientName", "Type": "String", "Value": "A^B"}
    }


def test_a_sequence_that_the_scanner_found_can_be_shown_alone() -> None:
    inner = item(element(0x00400007, "LO", b"\xe9 "))
    content = part10(body({0x00080005: ("CS", b"ISO_IR 100"), 0x00400275: ("SQ", inner)}))
    found = scan(content, frozenset({0x00400275}))
    start, end = found.sequences[0x00400275]
    elements = dataset.parse_span(content, start, end, implicit=found.implicit, big_endian=found.big_endian)
    shown = tags_format.format_elements(elements, tags_format.Format.SIMPLIFIED, decoder(found.charset))
    assert shown == {"RequestAttributesSequence": [{"ScheduledProcedureStepDescription": "é"}]}


def test_a_deflated_data_set_is_shown_without_inflating_its_pixels() -> None:
    header = element(0x00100020, "LO", b"A1") + element(0x7FE00010, "OW", b"", length=30 << 20)
    deflater = zlib.compressobj(wbits=-15)
    content = deflater.compress(header + bytes(30 << 20)) + deflater.flush()
    limits = ScanLimits(maximum_inflated=4 << 20)
    parsed = dataset.parse(content, transfer_syntax=DEFLATED, limits=limits)
    assert tags_format.short(parsed) == {"0010,0020": "A1", "7fe0,0010": None}
    with pytest.raises(DicomError, match="too large"):
        dataset.parse(content, transfer_syntax=DEFLATED, limits=limits, stop_at_pixel_data=False)
    with pytest.raises(DicomError):
        dataset.parse(content[:20], transfer_syntax=DEFLATED, stop_at_pixel_data=False)


def test_walking_into_sequences() -> None:
    data = dataset.parse(part10(body({0x00081140: ("SQ", item(element(0x00081150, "UI", b"1.2\0")))})))
    found = data.find(0x00081140, 0, 0x00081150)
    assert found is not None
    assert bytes(found.value) == b"1.2\0"
    assert data.find(0x00081140, 1, 0x00081150) is None
    assert data.find(0x00081140, 0, 0x00081155) is None
    assert data.find(0x00100020, 0, 0x00081155) is None
    assert data.find(0x00100099) is None


@pytest.mark.parametrize(
    "broken",
    [
        element(0x00081140, "SQ", item(b"abcdefgh"), length=12),
        element(0x00081140, "SQ", implicit(0xFFFEE000, b"", length=100)),
        element(0x00081140, "SQ", element(0x00081150, "UI", b"1.2\0")),
        element(0x00081090, "LO", b"", length=1000),
    ],
)
def test_damage_is_an_error(broken: bytes) -> None:
    with pytest.raises(DicomError):
        dataset.parse(part10(body({0x00081140: broken})))
