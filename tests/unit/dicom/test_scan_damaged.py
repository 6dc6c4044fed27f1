"""Whatever the bytes, the scanner answers or raises DicomError, and it bears what the field's files have."""

from __future__ import annotations

import mmap
import struct
import zlib
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from tests.data.datasets import body, element, implicit, item, part10, undefined_sequence
from tests.data.real import content_of
from tests.fuzz.fuzz_scan import fuzz_one, mutations

from ithil.dicom import dataset as tree
from ithil.dicom import uids
from ithil.dicom.encoding import UNDEFINED
from ithil.dicom.errors import DicomError
from ithil.dicom.frames import frame_index
from ithil.dicom.scan import NeedMoreData, ScanLimits, scan

PATIENT_ID = 0x00100020
WANTED = frozenset({PATIENT_ID, 0x00080018, 0x00204000, 0x00280010})


@pytest.mark.parametrize("content", [b"", b"\0", b"DICM", bytes(131), bytes(128) + b"DICM", b"text" * 100])
def test_what_is_no_dicom_is_refused(content: bytes) -> None:
    with pytest.raises(DicomError):
        scan(content, WANTED)


def test_every_cut_of_a_file_is_noticed() -> None:
    content = part10(body({0x00080060: ("CS", b"CT"), 0x7FE00010: ("OW", b"\1\2\3\4")}))
    for size in range(200, len(content)):
        try:
            found = scan(content[:size], WANTED)
        except DicomError:
            continue
        # A cut between two elements leaves a shorter file that is whole in itself.
        assert found.truncated or not found.has_pixel_data


def test_a_cut_in_encapsulated_pixel_data_is_noticed() -> None:
    content = part10(
        body({0x7FE00010: undefined_sequence(0x7FE00010, item(b"") + item(b"abcd"), "OB")}),
        "1.2.840.10008.1.2.4.90",
    )
    assert not scan(content, WANTED).truncated
    assert scan(content[:-8], WANTED).truncated
    with pytest.raises(DicomError):
        frame_index(content[:-8], scan(content[:-8], WANTED))


def test_a_prefix_of_a_file_asks_for_more_until_it_holds_the_header() -> None:
    content = part10(body({0x00280010: ("US", b"\2\0"), 0x7FE00010: ("OW", bytes(1000))}))
    offset = scan(content, WANTED).pixel_value_offset
    assert offset is not None
    for size in range(offset):
        with pytest.raises(NeedMoreData):
            scan(content[:size], WANTED, total_size=len(content))
    for size in range(offset, len(content)):
        found = scan(content[:size], WANTED, total_size=len(content))
        assert (found.pixel_value_offset, found.pixel_value_length) == (offset, 1000)
        assert not found.truncated
    assert scan(content[:offset], WANTED, total_size=len(content) - 1).truncated


def test_depth_is_bounded_without_recursion() -> None:
    start = element(0x00081140, "SQ", b"", length=UNDEFINED) + implicit(0xFFFEE000, b"", length=UNDEFINED)
    for read in (lambda b: scan(b, WANTED), tree.parse):
        with pytest.raises(DicomError, match="nested too deeply"):
            read(part10(start * 5000))
    end = implicit(0xFFFEE00D, b"") + implicit(0xFFFEE0DD, b"")
    whole = part10(start * 60 + element(0x00080100, "SH", b"ab") + end * 60)
    assert not scan(whole, WANTED).truncated
    assert len(tree.parse(whole).elements) == 1


def test_defined_lengths_nest_no_deeper() -> None:
    content = b""
    for _ in range(100):
        content = element(0x00081140, "SQ", item(content))
    scan(part10(content), WANTED)
    with pytest.raises(DicomError, match="nested too deeply"):
        tree.parse(part10(content))


def test_the_number_of_elements_is_bounded() -> None:
    content = part10(element(0x00080100, "SH", b"") * 100)
    with pytest.raises(DicomError, match="too many"):
        scan(content, WANTED, limits=ScanLimits(maximum_elements=50))
    inner = part10(undefined_sequence(0x00081140, item(element(0x00080100, "SH", b"") * 100, undefined=True)))
    with pytest.raises(DicomError, match="too many"):
        scan(inner, WANTED, limits=ScanLimits(maximum_elements=50))


def test_inflating_is_bounded() -> None:
    header = element(0x00091001, "OB", b"", length=60 << 20)
    deflater = zlib.compressobj(wbits=-15)
    content = deflater.compress(header + bytes(60 << 20)) + deflater.flush()
    with pytest.raises(DicomError, match="too large"):
        scan(
            content,
            WANTED,
            transfer_syntax=uids.DEFLATED,
            limits=ScanLimits(maximum_inflated=4 << 20),
        )
    with pytest.raises(DicomError, match="corrupt"):
        scan(b"\xff" * 50, WANTED, transfer_syntax=uids.DEFLATED)


def test_sequences_of_unknown_vr_are_implicit_inside() -> None:
    """CP-246: the items of an undefined-length UN are implicit little endian."""
    inner = item(implicit(0x00080100, b"ab") + implicit(0x00100020, b"no"), undefined=True)
    content = part10(body({0x00091001: undefined_sequence(0x00091001, inner, "UN")}))
    assert scan(content, WANTED).tags[PATIENT_ID] == "P1"
    parsed = tree.parse(content).find(0x00091001, 0, 0x00080100)
    assert parsed is not None
    assert (parsed.vr, bytes(parsed.value)) == ("SH", b"ab")


def test_sequences_of_unknown_vr_may_be_explicit_inside_all_the_same() -> None:
    inner = item(element(0x00080100, "SH", b"ab"), undefined=True)
    content = part10(body({0x00091001: undefined_sequence(0x00091001, inner, "UN")}))
    assert scan(content, WANTED).tags[PATIENT_ID] == "P1"
    parsed = tree.parse(content).find(0x00091001, 0, 0x00080100)
    assert parsed is not None
    assert bytes(parsed.value) == b"ab"


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HH2sH", 0x0009, 0x1001, b"??", 2) + b"ab",
        struct.pack("<HH2sH", 0x0009, 0x1001, b"ZZ", 2) + b"ab",
        struct.pack("<HH2sHI", 0x0009, 0x1001, b"ZZ", 0, 2) + b"ab",
        struct.pack("<HHI", 0x0009, 0x1001, 2) + b"ab",
        struct.pack("<HH2sH", 0x0009, 0x1001, b"lo", 2) + b"ab",
        implicit(0xFFFEE0DD, b""),
        element(0x00090000, "UL", b"\xff\xff\xff\xff"),
    ],
)
def test_odd_elements_do_not_hide_what_follows(odd: bytes) -> None:
    content = part10(body({0x00091001: odd}))
    assert scan(content, WANTED).tags[PATIENT_ID] == "P1"
    assert tree.parse(content).find(PATIENT_ID) is not None


def test_a_file_need_not_have_preamble_or_meta_information() -> None:
    explicit = body({})
    bare = scan(explicit, WANTED)
    assert (bare.has_preamble, bare.has_meta, bare.tags[PATIENT_ID]) == (False, False, "P1")
    assert bare.transfer_syntax_uid == uids.EXPLICIT_LITTLE
    without_preamble = scan(part10(explicit)[132:], WANTED)
    assert (without_preamble.has_preamble, without_preamble.has_meta) == (False, True)
    assert without_preamble.tags[PATIENT_ID] == "P1"
    big = element(0x00080018, "UI", b"1.2\0", big=True) + element(PATIENT_ID, "LO", b"P1", big=True)
    assert scan(big, WANTED).tags[PATIENT_ID] == "P1"
    assert scan(big, WANTED).transfer_syntax_uid == uids.EXPLICIT_BIG
    plain = implicit(0x00080018, b"1.2\0") + implicit(PATIENT_ID, b"P1")
    assert scan(plain, WANTED).tags[PATIENT_ID] == "P1"
    assert scan(plain, WANTED).transfer_syntax_uid == uids.IMPLICIT_LITTLE


def test_an_encoding_other_than_stated_shows_in_the_first_element() -> None:
    plain = implicit(0x00080018, b"1.2\0") + implicit(PATIENT_ID, b"P1")
    assert scan(part10(plain, uids.EXPLICIT_LITTLE), WANTED).tags[PATIENT_ID] == "P1"
    assert scan(part10(body({}), uids.IMPLICIT_LITTLE), WANTED).tags[PATIENT_ID] == "P1"


def test_values_too_long_for_the_index_are_named() -> None:
    found = scan(part10(body({0x00204000: ("LT", b"x" * 258)})), WANTED)
    assert 0x00204000 not in found.tags
    assert found.too_long == {0x00204000}


def test_every_kind_of_buffer_gives_the_same(tmp_path: Path) -> None:
    content = content_of("pydicom/CT_small.dcm")
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        kinds = [content, bytearray(content), memoryview(content), mapped]
        results = [scan(kind, WANTED) for kind in kinds]
    assert all(result == results[0] for result in results)


def test_mutated_files_are_read_or_refused() -> None:
    for data in islice(mutations(Random(1)), 1500):
        fuzz_one(data)
