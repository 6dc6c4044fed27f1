"""Where a value lies in a file, found from its beginning alone."""

from __future__ import annotations

import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from tests.data.datasets import body, element, implicit, item, part10, undefined_sequence
from tests.unit.application import read

from ithil.dicom.element_place import element_place, place_from
from ithil.dicom.encoding import NeedMoreData
from ithil.dicom.errors import DicomError

DOCUMENT = 0x00420011
CONTENT = b"%PDF-1.4  " + bytes(range(256)) * 8


def file(**more: bytes) -> bytes:
    nested = undefined_sequence(0x00081115, item(element(0x00420011, "OB", b"other"), undefined=True))
    elements: dict[int, tuple[str, bytes] | bytes] = {
        0x00081115: nested,
        DOCUMENT: ("OB", CONTENT),
        0x00420012: ("LO", b"application/pdf "),
    }
    return part10(body(elements) + more.get("after", b""))


def test_a_value_is_found() -> None:
    content = file()
    place = element_place(content, DOCUMENT, len(content))
    assert place is not None
    assert content[place.start : place.end] == CONTENT
    behind = place_from(content, 0x00420012, place.end, len(content), place)
    assert behind is not None
    assert content[behind.start : behind.end] == b"application/pdf "


def test_the_beginning_of_a_file_is_enough() -> None:
    content = file()
    place = element_place(content, DOCUMENT, len(content))
    assert place is not None
    assert element_place(content[: place.start], DOCUMENT, len(content)) == place
    for short in (0, 100, 200, place.start - 13):
        with pytest.raises(NeedMoreData):
            element_place(content[:short], DOCUMENT, len(content))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings(syntax: str) -> None:
    dataset = pydicom.dcmread(io.BytesIO(read("CT_small.dcm")))
    dataset.EncapsulatedDocument = CONTENT
    dataset.file_meta.TransferSyntaxUID = syntax
    del dataset.PixelData
    for tag in [one.tag for one in dataset if one.tag.is_private]:
        del dataset[tag]
    target = io.BytesIO()
    implicit_vr, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    pydicom.dcmwrite(target, dataset, implicit_vr=implicit_vr, little_endian=little, enforce_file_format=True)
    content = target.getvalue()
    place = element_place(content, DOCUMENT, len(content))
    assert place is not None
    assert content[place.start : place.end] == CONTENT


@pytest.mark.parametrize("tag", [0x00420010, 0x00430000, 0x00080000])
def test_an_element_that_is_not_there(tag: int) -> None:
    content = file()
    assert element_place(content, tag, len(content)) is None


def test_a_deflated_data_set_has_no_places() -> None:
    with pytest.raises(DicomError):
        element_place(part10(b"\0" * 20, DeflatedExplicitVRLittleEndian), DOCUMENT, 10_000)


@pytest.mark.parametrize(
    "damaged",
    [
        file()[:-3000],
        part10(element(DOCUMENT, "OB", b"", length=2**31)),
        part10(undefined_sequence(DOCUMENT, implicit(0xFFFEE000, b"ab"), "OB")),
        part10(element(0x00080016, "UI", b"1.2\0") + b"\x42\0"),
    ],
)
def test_damaged_files(damaged: bytes) -> None:
    with pytest.raises(DicomError):
        element_place(damaged, DOCUMENT, len(damaged))


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_any_bytes_are_an_answer_or_a_refusal(tail: bytes, more: int) -> None:
    content = part10(b"")[:-10] + tail
    try:
        place = element_place(content, DOCUMENT, len(content) + more)
    except DicomError:
        return
    assert place is None or place.end <= len(content) + more
