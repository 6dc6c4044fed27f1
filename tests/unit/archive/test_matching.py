"""What the text of a query means, and which values it accepts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.archive.matching import (
    BadMatch,
    Equal,
    Match,
    OneOf,
    Range,
    Wildcard,
    accepts,
    parse,
    parse_text,
)

NAME, PATIENT_ID, DATE, TIME, UID, SEX = (
    0x00100010,
    0x00100020,
    0x00080020,
    0x00080030,
    0x0020000D,
    0x00100040,
)


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (NAME, "", None),
        (NAME, "  ", None),
        (NAME, "DOE^JOHN ", Equal("DOE^JOHN")),
        (NAME, "DOE*", Wildcard("DOE*")),
        (NAME, "D\0OE\0", Equal("DOE")),
        (NAME, "\0", None),
        (NAME, "**O?**", Wildcard("*O?*")),
        (NAME, "SMITH-JONES", Equal("SMITH-JONES")),
        (PATIENT_ID, "A\\B\\A", OneOf(("A", "B"))),
        (PATIENT_ID, "A*\\B", OneOf(("A*", "B"))),
        (UID, "1.2\\1.3", OneOf(("1.2", "1.3"))),
        (DATE, "20240101", Equal("20240101")),
        (DATE, "20240101-20241231", Range("20240101", "20241231")),
        (DATE, "20240101-", Range("20240101", None)),
        (DATE, "-20241231", Range(None, "20241231")),
        (DATE, "-", None),
        (DATE, "20240101\\20240102", OneOf(("20240101", "20240102"))),
        (TIME, "08-12", Range("08", "12")),
    ],
)
def test_the_text_of_a_query(tag: int, text: str, expected: Match | None) -> None:
    assert parse(tag, text) == expected


@pytest.mark.parametrize(
    ("tag", "text"),
    [(DATE, "2024*"), (UID, "1.2.*"), (DATE, "2024*-"), (0x00280010, "5?2"), (0x00081140, "*")],
)
def test_wildcards_only_where_the_standard_has_them(tag: int, text: str) -> None:
    with pytest.raises(BadMatch, match="Wildcards are not allowed"):
        parse(tag, text)


def test_what_is_too_long_is_refused() -> None:
    assert parse(NAME, "*" * 100_000) == Wildcard("*")
    with pytest.raises(BadMatch, match="too long"):
        parse(NAME, "?" * 100_000)
    with pytest.raises(BadMatch, match="too many"):
        parse(PATIENT_ID, "\\".join(map(str, range(20_000))))


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("doe^john", "DOE^John", True),
        ("Jerome", "Jérôme", True),
        ("JÉRÔME", "jerome", True),
        ("山田", "山田", True),
        ("山田", "川田", False),
        ("A_1", "A_1", True),
        ("A_1", "A 1", False),
        ("A1", "A%1", False),
        ("*", "", True),
        ("?*", "", False),
        ("?*", "x", True),
        ("d?e*", "DOE^J", True),
        ("d?e*", "DE^J", False),
        ("*doe", "JOHN DOE", True),
        ("*doe", "DOE JOHN", False),
        ("a*b*c", "AxxBxxC", True),
        ("a*b*c", "ACB", False),
        ("ab*ba", "ABA", False),
        ("*a?c*", "xxABCxx", True),
        ("[A]*", "[a]b", True),
        ("[AB]", "A", False),
        ("a\\b", "B", True),
        ("a\\", "", True),
        ("AXIAL", "ORIGINAL\\PRIMARY\\AXIAL", True),
        ("AX", "ORIGINAL\\PRIMARY\\AXIAL", False),
    ],
)
def test_values(text: str, value: str, matches: bool) -> None:
    assert accepts(parse_text(text), case_sensitive=False)(value) is matches


def test_case_counts_if_asked_for() -> None:
    assert not accepts(Equal("doe"), case_sensitive=True)("DOE")
    assert accepts(Equal("DOE"), case_sensitive=True)("DOE ")
    assert not accepts(Wildcard("d*"), case_sensitive=True)("DOE")
    assert accepts(OneOf(("doe", "DOE")), case_sensitive=True)("DOE")


def test_ranges_compare_text() -> None:
    inside = accepts(Range("20240101", "20241231"), case_sensitive=False)
    assert [inside(value) for value in ("20231231", "20240101", "20241231", "20250101", "")] == [
        *(False, True, True, False, False)
    ]
    assert accepts(Range(None, "2024"), case_sensitive=False)("")


def test_no_pattern_takes_long() -> None:
    started = time.perf_counter()
    test = accepts(Wildcard("*" + "a*" * 300 + "?b"), case_sensitive=False)
    assert not test("a" * 200_000)
    test = accepts(Wildcard("*" + "a?" * 200 + "*b"), case_sensitive=False)
    assert not test("ac" * 20_000)
    assert time.perf_counter() - started < 2


def _reference(pattern: str, value: str) -> bool:
    """The textbook definition, slow and certain."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(_reference(pattern[1:], value[start:]) for start in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and _reference(pattern[1:], value[1:])


@given(st.text("ab*?", min_size=1, max_size=7), st.text("ab", max_size=8))
def test_patterns_agree_with_their_definition(pattern: str, value: str) -> None:
    test = accepts(Wildcard(pattern), case_sensitive=True)
    assert test(value) is _reference(pattern, value)
