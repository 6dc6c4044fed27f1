"""From elements to values of query tags: both ways to look at an instance agree, and nothing is too much."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from tests.data.real import content_of

from ithil.archive import query_tag_values as values
from ithil.archive.index.query_tags import ADDING, QueryTag, Value
from ithil.dicom.charsets import DEFAULT_ENCODING
from ithil.dicom.dictionary import is_private, tag_vr
from ithil.dicom.encoding import DEFAULT_LIMITS
from ithil.dicom.level import Level
from ithil.dicom.scan import scan

FILES = (
    "CT_small",
    "MR_small_bigendian",
    "MR_small_implicit",
    "rtplan",
    "image_dfl",
    "JPEG2000",
    "liver_1frame",
)
NAMES = (*(f"pydicom/{name}.dcm" for name in FILES), "charset/chrH31.dcm", "charset/chrX1.dcm")


def tag(*path: int, vr: str = "", creator: str = "") -> QueryTag:
    return QueryTag(1, path, creator, vr or tag_vr(path[-1]), Level.STUDY, ADDING, "")


def made(**attributes: Any) -> bytes:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    written = BytesIO()
    dcmwrite(written, dataset, implicit_vr=False, little_endian=True)
    return written.getvalue()


def look(content: bytes, *tags: QueryTag) -> tuple[Value, ...]:
    """What a bare data set of few elements has in the tags, by both ways, which must agree where both can look."""
    found = values.of_file(content, tags, DEFAULT_LIMITS, DEFAULT_ENCODING)
    plain = [one for one in tags if values.is_scanned(one)]
    scanned = scan(content, frozenset(one.path[0] for one in plain))
    assert values.of_scan(scanned, plain) == tuple(one for one in found if values.is_scanned(one.tag))
    return found


def texts(content: bytes, *tags: QueryTag) -> list[str]:
    (value,) = look(content, *tags)
    assert not value.reason
    return [text for _, text, _ in value.rows]


@pytest.mark.parametrize("name", NAMES)
def test_the_scanner_and_the_parser_say_the_same_of_real_files(name: str) -> None:
    content = content_of(name)
    elements = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, force=True)
    tags = [
        tag(int(element.tag), vr=element.VR)
        for element in elements
        if element.VR in values.VRS and not is_private(int(element.tag)) and int(element.tag) & 0xFFFF
    ]
    assert len(look(content, *tags)) > 3


def test_several_values_are_kept_as_a_whole_and_each() -> None:
    content = made(ImageType=["ORIGINAL", "PRIMARY", "ORIGINAL"])
    assert texts(content, tag(0x00080008)) == ["ORIGINAL\\PRIMARY\\ORIGINAL", "ORIGINAL", "PRIMARY"]


def test_numbers_have_their_value() -> None:
    (value,) = look(made(PatientWeight="070.50"), tag(0x00101030))
    assert value.rows == (("070.50", "070.50", 70.5),)


def test_old_dates_are_dates() -> None:
    content = made(AcquisitionDate="2020.01.31", AcquisitionTime="12:30:00")
    assert [one.rows[0][0] for one in look(content, tag(0x00080022), tag(0x00080032))] == [
        "20200131",
        "123000",
    ]


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"PatientAge": "old"}, "AS"),
        ({"AcquisitionDate": "20201"}, "DA"),
        ({"DeviceSerialNumber": "9" * 600}, "too long"),
        ({"PatientWeight": "1e999"}, "DS"),
    ],
)
def test_what_is_unfit_has_a_reason_and_no_value(attributes: dict[str, str], wanted: str) -> None:
    with pydicom.config.disable_value_validation():
        content = made(**attributes)
    keyword = next(iter(attributes))
    (value,) = look(content, tag(int(pydicom.datadict.tag_for_keyword(keyword) or 0)))
    assert value.rows == ()
    assert wanted in value.reason
    assert attributes[keyword] not in value.reason


def test_the_declared_vr_decides_what_is_fit() -> None:
    (value,) = look(made(DeviceSerialNumber="heavy"), tag(0x00181000, vr="DS"))
    assert value.rows == ()
    assert "DS" in value.reason


def test_the_good_ones_of_a_list_are_kept() -> None:
    with pydicom.config.disable_value_validation():
        (value,) = look(made(PatientAge=["010Y", "old"]), tag(0x00101010))
    assert "010Y" in [text for _, text, _ in value.rows]
    assert value.reason


def others(count: int) -> bytes:
    items = []
    for number in range(count):
        item = Dataset()
        item.PatientID = f"ID {number}"
        items.append(item)
    return made(OtherPatientIDsSequence=items)


def test_long_lists_are_kept_whole() -> None:
    assert len(texts(others(1000), tag(0x00101002, 0x00100020))) == 1000


def test_what_is_left_out_of_a_list_that_is_too_long_is_told() -> None:
    (value,) = look(others(values.MOST_ROWS + 1), tag(0x00101002, 0x00100020))
    assert len(value.rows) == values.MOST_ROWS
    assert "more than" in value.reason


def test_what_is_absent_or_empty_is_left_out() -> None:
    content = made(PatientAge="", PatientName="X")
    assert look(content, tag(0x00101010), tag(0x00101030), tag(0x00101002, 0x00100020)) == ()
    assert look(content, tag(0x00100010, 0x00100020)) == ()


def test_a_damaged_header_is_told() -> None:
    content = made(PatientName="X", PatientAge="010Y")
    (value,) = values.of_file(content[:-2], [tag(0x00101010)], DEFAULT_LIMITS, DEFAULT_ENCODING)
    assert value.reason == values.UNREADABLE
