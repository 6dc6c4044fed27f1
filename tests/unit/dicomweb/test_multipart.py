"""Answers of several parts: their bytes, their length, and any range of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ithil.dicomweb.multipart import Part, related, section_of
from ithil.http.answers import Stream

BOUNDARY = "0123456789abcdef"


def part(content: bytes, location: str = "") -> Part:
    return Part(
        "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
        (content[:3], content[3:]),
        len(content),
        location,
        lambda first, last: (content[first:last],),
    )


def whole(parts: list[Part]) -> tuple[bytes, int | None]:
    answer = related(parts, "application/octet-stream", boundary=BOUNDARY)
    assert answer.content_type == f'multipart/related; type="application/octet-stream"; boundary={BOUNDARY}'
    assert isinstance(answer.body, Stream)
    return b"".join(answer.body.pieces), answer.body.length


def test_a_part_is_spelled_as_viewers_look_for_it() -> None:
    body, length = whole([part(b"abcdef", "http://server/frames/1")])
    assert body == (
        b"--0123456789abcdef\r\n"
        b"Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\n"
        b"Content-Length: 6\r\n"
        b"Content-Location: http://server/frames/1\r\n"
        b"\r\n"
        b"abcdef\r\n"
        b"--0123456789abcdef--\r\n"
    )
    assert length == len(body)


def test_parts_that_are_not_known_yet_have_no_length() -> None:
    answer = related((each for each in [part(b"abc")]), "application/dicom")
    assert answer.length is None
    other = related(iter([part(b"abc")]), "application/dicom")
    assert other.content_type != answer.content_type


@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 700), st.integers(0, 700))
def test_any_range_is_a_part_of_the_whole(contents: list[bytes], first: int, last: int) -> None:
    parts = [part(content) for content in contents]
    body, length = whole(parts)
    assert length == len(body)
    last = min(last, len(body))
    assert b"".join(section_of(parts, BOUNDARY)(first, last)) == body[first:last]
