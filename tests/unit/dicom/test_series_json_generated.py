"""Whatever is done to a header, one in a row gives what the ordinary parser and writer make of it alone."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.datasets import body, element, item, part10
from tests.data.real import content_of
from tests.unit.dicom.test_series_json import alone, in_a_row, uri

from ithil.dicom import dataset, json_model
from ithil.dicom.errors import DicomError
from ithil.dicom.part10 import is_implicit, read_file_meta, syntax_of
from ithil.dicom.scan import scan
from ithil.dicom.series_json import pixel_data_element

NAMES = (
    "CT_small",
    "MR_small",
    "rtplan",
    "nested_priv_SQ",
    "priv_SQ",
    "MR_small_implicit",
    "MR_small_bigendian",
)
CHARACTER_SETS = ["ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "", "GB18030", ["", "ISO 2022 IR 87"]]
LAST = 0x7FE00000  # elements behind the pixel data are in no header


@cache
def real(name: str) -> bytes:
    data = pydicom.dcmread(io.BytesIO(content_of(f"pydicom/{name}.dcm")))
    for tag in [one.tag for one in data if one.tag > 0x7FE00010]:
        del data[tag]
    return written(data)


def written(data: pydicom.FileDataset) -> bytes:
    file = io.BytesIO()
    data.save_as(file)
    return file.getvalue()


@st.composite
def rows(draw: st.DrawFn) -> list[bytes]:
    """Headers of one series: elements come, go and change, and some bytes are hit."""
    original = real(draw(st.sampled_from(NAMES)))
    contents = []
    for _ in range(draw(st.integers(2, 5))):
        data = pydicom.dcmread(io.BytesIO(original))
        tags = [one.tag for one in data if one.tag < LAST]
        for tag in draw(st.lists(st.sampled_from(tags), max_size=2, unique=True)):
            if tag not in (0x00280100, 0x00280103):  # pydicom cannot write others without them
                del data[tag]
        if draw(st.booleans()):
            data.SpecificCharacterSet = draw(st.sampled_from(CHARACTER_SETS))
            data.PatientName = draw(st.sampled_from(["A^B", "A=B", "x"]))
        if draw(st.booleans()):
            data.InstanceNumber = draw(st.integers(1, 99))
        content = bytearray(written(data))
        end = content.rfind(b"\xe0\x7f\x10\0")
        for place in draw(st.lists(st.integers(200, end if end > 200 else len(content) - 1), max_size=3)):
            content[place] = draw(st.integers(0, 255))
        contents.append(bytes(content))
    return contents


def is_stored(content: bytes) -> bool:
    """Whether the archive would take it: the scanner reads it."""
    try:
        scan(content, frozenset())
    except DicomError:
        return False
    return True


def ordinary(content: bytes) -> Any:
    """What the parser makes of all before the pixel data, and the writer of that; None for a damaged file."""
    offset = scan(content, frozenset()).pixel_data_offset
    try:
        parsed = dataset.parse(content if offset is None else content[:offset])
        if offset is not None:
            meta = read_file_meta(content, len(content))
            syntax = syntax_of(content, meta.dataset_offset, meta.transfer_syntax_uid)
            implicit = is_implicit(content, meta.dataset_offset, syntax)
            parsed.elements.append(pixel_data_element(content, offset, syntax, implicit))
        return orjson.loads(json_model.to_json(parsed, uri))
    except DicomError:
        return None


@settings(max_examples=60, deadline=None)
@given(rows())
def test_in_a_row_as_alone(contents: list[bytes]) -> None:
    stored = [content for content in contents if is_stored(content)]
    made = [None if text is None else orjson.loads(text) for text in in_a_row(stored)]
    assert made == [ordinary(content) for content in stored]


@pytest.mark.parametrize("beyond", [4, 40])
def test_an_element_that_passes_the_end_of_its_sequence(beyond: int) -> None:
    """The ordinary parser lets it reach as far as the file does, so it can be read in a row as well."""
    inner = element(0x00081150, "UI", b"1.2 ", length=4 + beyond)
    content = part10(
        body({0x00081140: ("SQ", item(inner)), 0x00324000: ("LT", b"x" * 64)})
        + element(0x00324010, "LT", b"y")
    )
    assert alone(content) is not None
    assert in_a_row([content, content]) == [alone(content)] * 2
