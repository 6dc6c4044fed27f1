"""Arguments of queries, as Orthanc reads them."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.http.request import boolean, boolean_body, number, page, parse_query, unsigned, words


@given(st.binary(max_size=200))
def test_any_query_string_is_read(raw: bytes) -> None:
    assert all(isinstance(value, str) for value in parse_query(raw).values())


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_encoded_arguments_come_back(arguments: dict[str, str]) -> None:
    encoded = urlencode(arguments, errors="surrogatepass").encode()
    if not any("\ud800" <= c <= "\udfff" for c in "".join([*arguments, *arguments.values()])):
        assert parse_query(encoded) == {name: value.replace("\0", "") for name, value in arguments.items()}


def test_values_have_no_nul() -> None:
    assert parse_query(b"level=a%00b%00&x=\0") == {"level": "ab", "x": ""}


def test_the_last_of_repeated_arguments_counts() -> None:
    assert parse_query(b"limit=1&limit=2&expand") == {"limit": "2", "expand": ""}


@pytest.mark.parametrize(
    ("query", "value"), [({}, False), ({"x": ""}, True), ({"x": "1"}, True), ({"x": "false"}, False)]
)
def test_a_boolean_without_value_is_true(query: dict[str, str], value: bool) -> None:
    assert boolean(query, "x") is value


def test_a_boolean_of_another_word_is_refused() -> None:
    with pytest.raises(CodedError) as caught:
        boolean({"x": "yes"}, "x")
    assert caught.value.code == codes.BAD_PARAMETER_TYPE


@pytest.mark.parametrize(
    ("body", "value"), [(b"1", True), (b" true\n", True), (b"0", False), (b"False", False)]
)
def test_boolean_bodies(body: bytes, value: bool) -> None:
    assert boolean_body(body) is value


@pytest.mark.parametrize("body", [b"", b"yes", b"\xff", b"10"])
def test_other_bodies_are_no_booleans(body: bytes) -> None:
    with pytest.raises(CodedError) as caught:
        boolean_body(body)
    assert (caught.value.code, caught.value.status) == (codes.BAD_FILE_FORMAT, 400)


@given(st.integers(-(10**18), 10**18))
def test_negative_numbers_count_as_zero(number: int) -> None:
    assert unsigned({"n": str(number)}, "n", 7) == max(number, 0)


@pytest.mark.parametrize("value", ["a", "1.5", " 1", "0x10", "9" * 30, "1e3", "\u0663"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(CodedError) as caught:
        unsigned({"n": value}, "n", 7)
    assert caught.value.code == codes.BAD_PARAMETER_TYPE


def test_a_number_without_value_reads_as_one() -> None:
    assert unsigned({"n": ""}, "n", 7) == 1


@given(st.text(max_size=30))
def test_numbers_of_the_change_log_never_fail(text: str) -> None:
    found = number({"n": text}, "n", 100)
    assert found is None or found >= 0


@pytest.mark.parametrize("query", [{"since": "1"}, {"limit": "1"}])
def test_since_and_limit_need_each_other(query: dict[str, str]) -> None:
    with pytest.raises(CodedError) as caught:
        page(query)
    assert caught.value.code == codes.BAD_REQUEST


def test_words_are_between_semicolons() -> None:
    assert words({"type": "NewStudy; StableStudy;;"}, "type") == ["NewStudy", "StableStudy"]
