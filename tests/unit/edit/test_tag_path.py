"""The paths that requests name elements by."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil import error_codes as codes
from ithil.edit.tag_path import EVERY, TagPath, parse_path
from ithil.error_codes import CodedError

tags = st.integers(0, 0xFFFFFFFF)
paths = st.builds(
    TagPath,
    tags,
    st.lists(st.tuples(tags, st.integers(0, 999_999_999) | st.just(EVERY)), max_size=8).map(tuple),
)


@pytest.mark.parametrize(
    "text",
    [
        *("PatientName", "0010,0010", "0010-0010", "00100010", "(0010,0010)", "(0010-0010)"),
        *(" PatientName", "PatientName ", "( 0010,0010 )"),
    ],
)
def test_a_tag_has_many_spellings(text: str) -> None:
    assert parse_path(text) == TagPath(0x00100010)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("OtherPatientIDsSequence[0].PatientID", 0),
        ("0010,1002[12].0010,0020", 12),
        ("(0010,1002)[*].(0010,0020)", EVERY),
        ("OtherPatientIDsSequence [ 3 ] . PatientID", 3),
    ],
)
def test_a_path_leads_into_the_items_of_a_sequence(text: str, item: int) -> None:
    assert parse_path(text) == TagPath(0x00100020, ((0x00101002, item),))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(
            (text, codes.UNKNOWN_DICOM_TAG)
            for text in ("", "Nope", "patientname", "0010,001", "()", "[0].x.")
        ),
        ("OtherPatientIDsSequence[0]", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[0].", codes.UNKNOWN_DICOM_TAG),
        ("OtherPatientIDsSequence.PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[-1].PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[a].PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[].PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[1.PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[99999999999].PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("OtherPatientIDsSequence[0]." * 40 + "PatientID", codes.PARAMETER_OUT_OF_RANGE),
        ("x" * 2000, codes.PARAMETER_OUT_OF_RANGE),
    ],
)
def test_what_is_no_path_is_refused(text: str, code: int) -> None:
    with pytest.raises(CodedError) as refusal:
        parse_path(text)
    if not text.startswith("["):
        assert refusal.value.code == code


@given(paths)
def test_a_path_can_be_written_and_read_again(path: TagPath) -> None:
    assert parse_path(str(path)) == path


@given(st.text(max_size=200))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    with suppress(CodedError):
        path = parse_path(text)
        assert parse_path(str(path)) == path


@given(paths)
def test_a_path_covers_itself_and_its_items(path: TagPath) -> None:
    exact = tuple((tag, 7 if item == EVERY else item) for tag, item in path.parents)
    assert path.covers(exact, path.tag)
    assert not path.covers((*exact, (0x00101002, 0)), path.tag)
    assert not path.covers(exact, path.tag ^ 1)
