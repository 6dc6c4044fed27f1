"""Headers one after the other give the JSON that each of them gives alone, whatever differs between them."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable

import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.data.real import all_files, content_of

from ithil.dicom import dataset, json_model
from ithil.dicom.dataset import Element
from ithil.dicom.encoding import DEFAULT_LIMITS
from ithil.dicom.errors import DicomError
from ithil.dicom.scan import scan
from ithil.dicom.series_json import SeriesJson

CT = "pydicom/CT_small.dcm"
LARGEST = 4_000_000


def uri(path: tuple[int, ...], element: Element) -> str | None:
    """As for metadata: large binary values and pixel data have a link, which differs between instances."""
    large = len(element.value) > 1024 and element.vr in ("OB", "OW", "UN", "OF")
    return f"link/{path}" if large or element.tag == 0x7FE00010 else None


def alone(content: bytes) -> bytes | None:
    """The JSON by the ordinary parser and writer; None for a damaged file."""
    try:
        return json_model.to_json(dataset.parse(content), uri)
    except DicomError:
        return None


def in_a_row(contents: Iterable[bytes]) -> list[bytes | None]:
    """The JSON of headers that one writer gets, each cut off behind the header of its pixel data."""
    writer = SeriesJson(DEFAULT_LIMITS, "Latin1")
    result: list[bytes | None] = []
    for content in contents:
        try:
            offset = scan(content, frozenset()).pixel_data_offset
            start = content if offset is None else content[: offset + 16]
            result.append(writer.write(start, offset, uri))
        except DicomError:
            result.append(None)
    return result


def written(data: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    data.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    pydicom.dcmwrite(
        file,
        data,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )
    return file.getvalue()


def small_ct() -> Dataset:
    data = pydicom.dcmread(io.BytesIO(content_of(CT)))
    del data[0xFFFCFFFC]  # comes after the pixel data
    return data


def test_every_real_file_in_any_order() -> None:
    contents = [
        content
        for name, path in all_files().items()
        if path.stat().st_size < LARGEST and (content := content_of(name))
    ]
    random.Random(1).shuffle(contents)
    for content, made in zip(contents, in_a_row(contents), strict=True):
        assert made == alone(content)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_slices_of_a_scan(syntax: str) -> None:
    contents = []
    for number in range(8):
        data = small_ct()
        data.SOPInstanceUID = f"1.2.3.{number}"
        data.InstanceNumber = number
        data.ImagePositionPatient = [1.5, -2.25, number * 0.625]
        data.add_new(0x00280106, "SS", number)
        contents.append(written(data, syntax))
    made = in_a_row(contents)
    assert made == [alone(content) for content in contents]
    numbers = [orjson.loads(text or b"")["00200013"]["Value"] for text in made]
    assert numbers == [[number] for number in range(8)]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_other_elements_depend_on_changes_in_the_midst(syntax: str) -> None:
    contents = []
    for number in range(12):
        data = small_ct()
        data.SpecificCharacterSet = "ISO_IR 192" if number % 4 > 1 else "ISO_IR 100"
        data.PatientName = "Bücher^Ärmel"
        data.PixelRepresentation = number % 3 % 2
        signed = data.PixelRepresentation == 1
        data.add_new(0x00280107, "SS" if signed else "US", -5 if signed else 65531)
        if number % 5 == 4:
            del data.PixelRepresentation
            for name in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
                data.pop(name, None)  # pydicom needs to know the sign of those
            del data.SpecificCharacterSet
            data.PatientName = "Plain"
        block = data.private_block(0x0011, "ACME 1" if number % 3 else "SIEMENS MED", create=True)
        block.add_new(0x10, "LO", "the same")
        contents.append(written(data, syntax))
    assert in_a_row(contents) == [alone(content) for content in contents]


def test_elements_come_and_go() -> None:
    source = random.Random(2)
    contents = []
    for number in range(60):
        data = small_ct()
        for element in list(data):
            if element.tag.group != 0x7FE0 and source.random() < 0.05:
                del data[element.tag]
        if number % 2:
            data.add_new(0x00081140, "SQ", [Dataset()] * (number % 3))
            data.StudyComments = "x" * (number % 7)
        contents.append(written(data, source.choice([ExplicitVRLittleEndian, ImplicitVRLittleEndian])))
    assert in_a_row(contents) == [alone(content) for content in contents]


def test_damage_is_told_and_forgotten() -> None:
    """Bytes that are hit anywhere give what the parser makes of them; the next header is well again."""
    source = random.Random(3)
    good = written(small_ct())
    offset = scan(good, frozenset()).pixel_data_offset
    assert offset is not None
    writer = SeriesJson(DEFAULT_LIMITS, "Latin1")
    expected = writer.write(good, offset, uri)
    damaged = 0
    for _ in range(400):
        hit = bytearray(good)
        for _ in range(source.randint(1, 3)):
            hit[source.randrange(132, offset)] = source.randrange(256)
        try:
            assert writer.write(bytes(hit), offset, uri)[:1] == b"{"
        except DicomError:
            damaged += 1
        assert writer.write(good, offset, uri) == expected
    assert damaged


def test_file_meta_information_that_differs() -> None:
    """The same data set in files that begin otherwise: another syntax, other lengths, more elements, or none."""
    contents = []
    for number in range(40):
        data = small_ct()
        meta = data.file_meta
        data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = "1.2.3" + ".4" * (number % 7) + f".{number}"
        if number % 5 == 3:
            del meta.MediaStorageSOPInstanceUID
        if number % 6 == 5:
            meta.ImplementationVersionName = f"VERSION {number}"
        syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
        content = written(data, syntaxes[number // 3 % 3])
        if number % 8 == 7:
            content = content[:128] + b"NONE" + content[132:]
        if number % 11 == 10:  # what it says is not what it is
            content = content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0", 1)
        contents.append(content)
        contents.append(content)
    assert in_a_row(contents) == [alone(content) for content in contents]


def test_a_beginning_that_hides_in_a_value() -> None:
    """Bytes that look like the UID in the midst of another value of the file meta information."""
    contents = []
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        data = small_ct()
        data.file_meta.add_new(0x00020001, "OB", b"\2\0\3\0UI\x04\0" + b"1.2\0")
        contents.append(written(data, syntax))
    assert in_a_row(contents) == [alone(content) for content in contents]


def test_the_pixel_data_of_the_next_may_be_another() -> None:
    contents = []
    for vr in ("OW", "OB", "OW", "OF", "OB"):
        data = small_ct()
        data[0x7FE00010].VR = vr
        contents.append(written(data))
    assert in_a_row(contents) == [alone(content) for content in contents]
