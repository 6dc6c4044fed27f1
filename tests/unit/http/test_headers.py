"""What is stored cannot write headers."""

from __future__ import annotations

import pytest

from ithil.http.answers import Answer
from ithil.http.sending import headers_of


@pytest.mark.parametrize("value", ["1.2\r\nSet-Cookie: a=b", "1.2\n x", "1\0", "1.2.€"])
def test_no_value_ends_its_header(value: str) -> None:
    for answer in (Answer(headers={"Content-Location": value}), Answer(content_type=value)):
        for _, text in headers_of(answer):
            assert not {b"\r", b"\n", b"\0"} & {text[i : i + 1] for i in range(len(text))}
