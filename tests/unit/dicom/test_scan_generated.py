"""The scanner and the element tree agree with pydicom on generated data sets in every encoding."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import pydicom
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from ithil.dicom import dataset as tree
from ithil.dicom import tags_format, uids
from ithil.dicom.scan import scan

PATIENT_NAME, PATIENT_ID, COMMENTS = 0x00100010, 0x00100020, 0x00204000
CHARSETS = {
    "ISO_IR 100": "abcéüÀ 1",
    "ISO_IR 144": "abc\u041b\u044e\u043a\u0434",
    "ISO_IR 192": "abcé山田やまだ김희중",
    "GB18030": "abc王小东",
    "ISO_IR 126": "abc\u0394\u03b8\u03c6\u03c8",
}
SYNTAXES = (
    uids.IMPLICIT_LITTLE,
    uids.EXPLICIT_LITTLE,
    uids.EXPLICIT_BIG,
    uids.DEFLATED,
    "1.2.840.10008.1.2.4.90",
)


@st.composite
def data_sets(draw: st.DrawFn, alphabet: str, depth: int = 0) -> Dataset:
    result = Dataset()
    text = st.text(alphabet, max_size=20).map(str.strip)
    if draw(st.booleans()):
        result.PatientName = draw(text)
    if draw(st.booleans()):
        result.PatientID = draw(text)
    if draw(st.booleans()):
        result.ImageComments = draw(text)
    if draw(st.booleans()):
        result.DiffusionBValue = draw(st.floats(allow_nan=False, allow_infinity=False))
    if draw(st.booleans()):
        result.SimpleFrameList = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4))
    if draw(st.booleans()):
        result.private_block(0x0009, "ITHIL TEST", create=True).add_new(
            draw(st.integers(0, 255)), draw(st.sampled_from(["LO", "UN", "OB"])), b"value!"
        )
    if depth < 4 and draw(st.booleans()):
        items = draw(st.lists(data_sets(alphabet, depth + 1), max_size=3))
        result.ReferencedImageSequence = Sequence(items)
        element = result["ReferencedImageSequence"]
        element.is_undefined_length = draw(st.booleans())
        for one in items:
            one.is_undefined_length_sequence_item = draw(st.booleans())
    return result


def encode(data: Dataset, syntax: str, charset: str) -> bytes:
    data.SpecificCharacterSet = charset
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data.SOPInstanceUID = "1.2.3.4"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    if syntax.startswith("1.2.840.10008.1.2.4"):
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + b"ab" * 5])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
    else:
        data.PixelData = b"\1\2\3\4"
        data["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(SYNTAXES), st.sampled_from(sorted(CHARSETS)))
def test_generated_data_sets(data: Any, syntax: str, charset: str) -> None:
    written = data.draw(data_sets(CHARSETS[charset]))
    content = encode(written, syntax, charset)
    wanted = frozenset({PATIENT_NAME, PATIENT_ID, COMMENTS, 0x00189087, 0x00081161, 0x00081140})
    found = scan(content, wanted)
    assert found.transfer_syntax_uid == syntax
    assert not found.truncated
    assert found.has_pixel_data
    for tag in (PATIENT_NAME, PATIENT_ID, COMMENTS):
        expected = str(written[tag].value or "") if tag in written else None
        assert found.tags.get(tag) == expected
    if 0x00189087 in written:
        assert float(found.tags[0x00189087]) == written.DiffusionBValue
    assert (0x00081140 in found.sequences) == (0x00081140 in written)
    again = pydicom.dcmread(io.BytesIO(content))
    if syntax != uids.DEFLATED:
        assert found.pixel_value_offset == again.get_item(0x7FE00010).value_tell
    compare(tree.parse(content).elements, again)
    tags_format.full(tree.parse(content))


def compare(elements: list[tree.Element], expected: Dataset) -> None:
    """The same tags at every depth, and the same items."""
    assert [element.tag for element in elements] == [int(tag) for tag in sorted(expected.keys())]
    for element in elements:
        if element.items is not None:
            items = expected[element.tag].value
            assert len(items) == len(element.items)
            for inner, other in zip(element.items, items, strict=True):
                compare(inner, other)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
def test_a_bare_data_set_of_c_store_reads_like_the_file(value: bytes, syntax: str) -> None:
    data = Dataset()
    data.PatientID = "A1"
    data.private_block(0x0011, "X", create=True).add_new(1, "OB", value)
    content = encode(data, syntax, "ISO_IR 192")
    whole = scan(content, frozenset({PATIENT_ID}))
    bare = scan(
        content,
        frozenset({PATIENT_ID}),
        transfer_syntax=syntax,
        dataset_offset=whole.dataset_offset,
    )
    assert bare.tags == whole.tags == {PATIENT_ID: "A1"}
    assert bare.pixel_data_offset == whole.pixel_data_offset
    assert bare.pixel_value_length == whole.pixel_value_length
    assert bare.dataset_offset == whole.dataset_offset


def test_a_deflated_data_set_is_inflated_only_as_far_as_its_header() -> None:
    header = b"\x10\0\x20\0LO\2\0A1" + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 40 << 20)
    deflater = zlib.compressobj(wbits=-15)
    content = deflater.compress(header + bytes(40 << 20)) + deflater.flush()
    found = scan(content, frozenset({PATIENT_ID}), transfer_syntax=uids.DEFLATED)
    assert found.tags == {PATIENT_ID: "A1"}
    assert found.has_pixel_data
    assert found.pixel_data_offset is None
    assert not found.truncated
