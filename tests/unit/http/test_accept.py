"""What clients write into `Accept` is understood however they write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.http.accept import LONGEST, MediaRange, parse_accept, preferred, unwrapped


@pytest.mark.parametrize(
    "header",
    [
        'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
        "multipart/related;type=application/octet-stream;transfer-syntax=*",
        "Multipart/Related ; Transfer-Syntax = * ; TYPE = application/octet-stream",
    ],
)
def test_quotes_blanks_and_order_do_not_matter(header: str) -> None:
    (found,) = parse_accept(header)
    assert found == MediaRange(
        "multipart/related", {"type": "application/octet-stream", "transfer-syntax": "*"}
    )


def test_the_best_comes_first() -> None:
    found = parse_accept(
        "text/html, application/dicom+xml;q=0.5, application/dicom+json;q=0.9, image/png;q=0"
    )
    assert [one.media_type for one in found] == [
        "text/html",
        "application/dicom+json",
        "application/dicom+xml",
    ]
    assert preferred(found, ["application/dicom+xml", "application/dicom+json"]) == "application/dicom+json"


@pytest.mark.parametrize(
    ("header", "expected"),
    [("image/*", "image/jpeg"), ("*/*", "image/jpeg"), ("image/png", "image/png"), ("video/mp4", None)],
)
def test_wildcards_take_the_first_offer(header: str, expected: str | None) -> None:
    assert preferred(parse_accept(header), ["image/jpeg", "image/png"]) == expected


def test_separators_inside_quotes_belong_to_the_value() -> None:
    (found,) = parse_accept('multipart/related; type="a,b;c"')
    assert found.parameters == {"type": "a,b;c"}


@given(st.text(alphabet='ab/*;,="q. \t', max_size=2 * LONGEST))
def test_anything_is_read(header: str) -> None:
    for one in parse_accept(header):
        assert 0 < one.quality <= 1


@pytest.mark.parametrize(
    ("header", "in_parts", "media_type", "syntax"),
    [
        ("image/jpeg; transfer-syntax=*", False, "image/jpeg", "*"),
        ("*/*", False, "*/*", ""),
        ("multipart/related", True, "*/*", ""),
        ('multipart/related; type=""', True, "*/*", ""),
        ("multipart/*; transfer-syntax=1.2", True, "*/*", "1.2"),
        ('multipart/related; type="image/JLS"; transfer-syntax=1.2', True, "image/jls", "1.2"),
        ('multipart/related; type="image/jls; transfer-syntax=1.2"', True, "image/jls", "1.2"),
        (
            'multipart/related; type="image/jls; transfer-syntax=1.2"; transfer-syntax=*',
            True,
            "image/jls",
            "*",
        ),
        ('multipart/related; type="a/b;q=0"; q=0.5', True, "*/*", ""),
    ],
)
def test_what_is_wanted_inside_of_parts(header: str, in_parts: bool, media_type: str, syntax: str) -> None:
    [one] = parse_accept(header)
    found, inside = unwrapped(one)
    assert (found, inside.media_type) == (in_parts, media_type)
    assert inside.parameters.get("transfer-syntax", "") == syntax
    assert inside.quality == one.quality
