"""Ranges of answers of every kind of body (RFC 9110 14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.archive.model import Attachment
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer, FilePart, Stream, part_of
from ithil.http.request import Request

CONTENT = b"0123456789"
TAG = '"tag"'


def asking(**headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(cast("Any", None), "GET", "/", named)


def section(first: int, last: int) -> Iterator[bytes]:
    yield CONTENT[first:last]


def test_bytes_and_streams_are_cut() -> None:
    for body in (CONTENT, Stream(iter([CONTENT]), len(CONTENT))):
        answer = part_of(asking(range="bytes=2-4"), Answer(body), TAG, section)
        found = (
            answer.body if isinstance(answer.body, bytes) else b"".join(cast("Stream", answer.body).pieces)
        )
        assert (answer.status, found, answer.length) == (206, b"234", 3)
        assert answer.headers == {"Accept-Ranges": "bytes", "Content-Range": "bytes 2-4/10"}


def test_a_stream_that_cannot_begin_anywhere_is_sent_whole() -> None:
    for body in (Stream(iter([CONTENT]), 10), Stream(iter([CONTENT]))):
        answer = part_of(asking(range="bytes=2-4"), Answer(body), TAG)
        assert (answer.status, answer.body, answer.headers) == (200, body, {})


def test_a_range_of_another_version_is_the_whole() -> None:
    answer = part_of(asking(range="bytes=2-4", if_range='"old"'), Answer(CONTENT), TAG)
    assert (answer.status, answer.body) == (200, CONTENT)
    answer = part_of(asking(range="bytes=2-4", if_range=TAG), Answer(CONTENT), TAG)
    assert answer.status == 206


def test_a_range_behind_the_end_is_told_the_size() -> None:
    with pytest.raises(CodedError) as refusal:
        part_of(asking(range="bytes=10-"), Answer(CONTENT), TAG)
    for described in (True, False):
        answer = answers.failure(refusal.value, "GET", "/", described=described)
        assert (answer.status, answer.headers) == (416, {"Content-Range": "bytes */10"})


@given(st.binary(max_size=5), st.binary(max_size=5), st.integers(0, 16), st.integers(0, 16))
def test_a_framed_part_of_a_file_is_cut_as_if_it_were_read(
    before: bytes, after: bytes, first: int, size: int
) -> None:
    part = FilePart(Attachment(1, "u", 1, 10, "", 10, ""), 2, 8, before=before, after=after)
    whole = part.framed(CONTENT[part.start : part.end])
    assert len(whole) == part.length
    last = min(first + size, len(whole))
    if first < last:
        cut = part.section(first, last)
        assert cut.framed(CONTENT[cut.start : cut.end]) == whole[first:last]
        assert cut.length == last - first
