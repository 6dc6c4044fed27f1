"""The reader of multipart/related: what it finds, however the body is cut, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ithil.dicom.related_reader import (
    LARGEST_HEAD,
    LARGEST_PREAMBLE,
    MalformedMultipart,
    PartEnd,
    PartHead,
    RelatedReader,
    parse_media_type,
)

BOUNDARY = "abc"
Part = tuple[dict[str, str], bytes]


def read(body: bytes, boundary: str = BOUNDARY, step: int = 0) -> list[Part]:
    """The complete parts of a body that arrives in pieces of `step` bytes."""
    reader = RelatedReader(boundary)
    parts: list[Part] = []
    head: dict[str, str] | None = None
    content: list[bytes] = []
    step = step or len(body) or 1
    for start in range(0, len(body), step):
        for event in reader.feed(body[start : start + step]):
            if isinstance(event, PartHead):
                assert head is None
                head, content = event.headers, []
            elif isinstance(event, PartEnd):
                assert head is not None
                parts.append((head, b"".join(content)))
                head = None
            else:
                assert event, "no piece is empty"
                assert head is not None
                content.append(event)
    reader.close()
    return parts


def body_of(*contents: bytes, boundary: str = BOUNDARY) -> bytes:
    """A body as most clients write it."""
    head = b"--%s\r\nContent-Type: application/dicom\r\n\r\n" % boundary.encode()
    return b"".join(head + content + b"\r\n" for content in contents) + b"--%s--" % boundary.encode()


HEAD = {"content-type": "application/dicom"}


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"a preamble\r\nof lines\r\n"])
@pytest.mark.parametrize(
    "after", [b"", b"\r\n", b"\r\nan epilogue\r\n--abc\r\n\r\nthat is no part\r\n--abc--"]
)
def test_parts_are_found_however_the_body_is_cut(step: int, before: bytes, after: bytes) -> None:
    body = before + body_of(b"one", b"", b"\r\n--ab\r\n--abd--\r\r\n-", b"two\r\n") + after
    expected = [(HEAD, b"one"), (HEAD, b""), (HEAD, b"\r\n--ab\r\n--abd--\r\r\n-"), (HEAD, b"two\r\n")]
    assert read(body, step=step) == expected


@pytest.mark.parametrize("step", [0, 1, 5])
def test_what_only_looks_like_a_delimiter_is_content(step: int) -> None:
    contents = (
        b"\r\n--abcd\r\n",
        b"x\r\n--abc-y",
        b"\r\n--abc " + b" " * 200 + b"\r\n",
        b"\r\n--abc \t x\r\n",
    )
    assert read(body_of(*contents), step=step) == [(HEAD, content) for content in contents]


@pytest.mark.parametrize("step", [0, 1, 5])
def test_blanks_may_follow_a_delimiter(step: int) -> None:
    assert read(b"--abc \t \r\n\r\none\r\n--abc--  \r\n", step=step) == [({}, b"one")]


@pytest.mark.parametrize("step", [0, 1])
def test_a_part_without_headers_and_one_whose_only_line_break_is_the_delimiters(step: int) -> None:
    assert read(b"--abc\r\n\r\n\r\n--abc\r\nA: b\r\n\r\n--abc--", step=step) == [({}, b""), ({"a": "b"}, b"")]


def test_headers_in_any_case_and_folded() -> None:
    head = (
        b"--abc\r\nCONTENT-type : application/dicom;\r\n\ttransfer-syntax=1.2\r\nContent-Location:a:b\r\n\r\n"
    )
    (headers, content), *_ = read(head + b"x\r\n--abc--")
    assert content == b"x"
    found = PartHead(headers)
    assert found.media_type.name == "application/dicom"
    assert found.media_type.parameters == {"transfer-syntax": "1.2"}
    assert found.location == "a:b"


@pytest.mark.parametrize(
    ("header", "name", "parameters"),
    [
        (
            'multipart/related; type="application/dicom"; boundary=abc',
            "multipart/related",
            {"type": "application/dicom", "boundary": "abc"},
        ),
        (
            "Multipart/Related;boundary=a b ;TYPE=application/dicom",
            "multipart/related",
            {"boundary": "a b", "type": "application/dicom"},
        ),
        (r'x/y; boundary="a\"b;c"; z=1', "x/y", {"boundary": 'a"b;c', "z": "1"}),
        ("x/y; boundary=one; boundary=two", "x/y", {"boundary": "one"}),
        ("x/y;;; =; a", "x/y", {}),
        ("", "", {}),
    ],
)
def test_media_types(header: str, name: str, parameters: dict[str, str]) -> None:
    found = parse_media_type(header)
    assert (found.name, found.parameters) == (name, parameters)


@pytest.mark.parametrize("boundary", ["", "x" * 201, "a\r\nb", "ä", "a\0"])
def test_boundaries_that_cannot_be(boundary: str) -> None:
    with pytest.raises(MalformedMultipart):
        RelatedReader(boundary)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--abc",
        b"--abc\r\n",
        b"--abc\r\nContent-Type: x\r\n\r\none",
        b"--abc\r\nContent-Type: x\r\n\r\none\r\n--abc",
        b"--abc\r\nContent-Type: x\r\n\r\none\r\n--abc-",
        b"--abc\r\nno colon\r\n\r\none\r\n--abc--",
        b"--abc\r\n: no name\r\n\r\none\r\n--abc--",
        b"--other\r\n\r\none\r\n--other--",
        b"--abc\nContent-Type: x\n\none\n--abc--",
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_what_is_malformed_is_refused(body: bytes, step: int) -> None:
    with pytest.raises(MalformedMultipart):
        read(body, step=step)


@pytest.mark.parametrize("step", [1000, 10**6])
@pytest.mark.parametrize(("start", "limit"), [(b"--abc\r\nX: ", LARGEST_HEAD), (b"", LARGEST_PREAMBLE)])
def test_endless_heads_and_preambles_are_refused_early(start: bytes, limit: int, step: int) -> None:
    reader = RelatedReader(BOUNDARY)
    assert list(reader.feed(start)) == []
    for _ in range(limit // step):
        assert list(reader.feed(b"y" * step)) == []
    with pytest.raises(MalformedMultipart):
        list(reader.feed(b"y" * step))


@settings(max_examples=300, deadline=None)
@given(
    contents=st.lists(
        st.lists(
            st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"a", b"ab", b"abc", b" ", b"x"]),
            max_size=12,
        ).map(b"".join),
        max_size=4,
    ),
    steps=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_any_content_comes_back(contents: list[bytes], steps: list[int]) -> None:
    boundary = "abc-ab"
    delimiter = b"\r\n--" + boundary.encode()
    contents = [content for content in contents if delimiter not in b"\r\n" + content + b"\r\n"]
    body = body_of(*contents, boundary=boundary)
    for step in steps:
        assert [content for _, content in read(body, boundary, step)] == contents


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from([b"--abc", b"\r\n", b"--abc--", b"\r\n\r\n", b"A: b", b":", b" ", b"-", b"\r"]),
            st.binary(max_size=4),
        ),
        max_size=30,
    ),
    step=st.integers(1, 6),
)
def test_a_cut_changes_nothing(pieces: list[bytes], step: int) -> None:
    body = b"".join(pieces)

    def outcome(step: int) -> list[Part] | None:
        try:
            return read(body, step=step)
        except MalformedMultipart:
            return None

    assert outcome(step) == outcome(0)
