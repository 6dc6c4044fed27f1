"""The comparison itself: volatile values are equal, real differences and stale declarations are found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.compare import differences, undeclared, unused
from tests.conformance.line import ABSENT, Ask, Difference, Found
from tests.conformance.pair import Pair
from tests.servers.ithil import Ithil
from tests.servers.web import Answer

ASK = Ask("GET", "/x")


def answer(body: Any, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    others = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, (("content-type", kind), *others), content)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"LastUpdate": "20240101T000000"}, {"LastUpdate": "20261231T235959"}),
        (
            {"FileUuid": "f6a126f4-7613-4b87-8053-caebde048435"},
            {"FileUuid": "00000000-7613-4b87-8053-caebde048435"},
        ),
        ({"HttpPort": 8042}, {"HttpPort": 1}),
        ([{"Date": "20240101T000000"}], [{"Date": "20240101T000001"}]),
    ],
)
def test_volatile_values_are_equal(theirs: Any, ours: Any) -> None:
    assert differences(answer(theirs), answer(ours), ASK) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "place"),
    [
        ({"a": 1}, {"a": 2}, "body.a"),
        ({"a": 1}, {"a": "1"}, "body.a"),
        ({"a": 1}, {"a": True}, "body.a"),
        ({"a": 1}, {}, "body.a"),
        ({}, {"a": None}, "body.a"),
        ([1, 2], [1], "body.length"),
        ([1, 2], [2, 1], "body.0"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "body.a.0.b"),
        ({"LastUpdate": "20240101T000000"}, {"LastUpdate": "2024-01-01"}, "body.LastUpdate"),
        (b"\x00\x01", b"\x00\x02", "body"),
    ],
)
def test_real_differences_have_a_place(theirs: Any, ours: Any, place: str) -> None:
    found = differences(answer(theirs), answer(ours), ASK)
    assert found[0].place == place


def test_status_and_headers_are_compared() -> None:
    found = differences(answer({}, 404, allow="GET"), answer({}, 405, allow="GET,PUT"), ASK)
    assert {each.place for each in found} == {"status", "header.allow"}


def test_the_order_of_keys_is_no_difference() -> None:
    assert differences(answer({"a": 1, "b": 2}), answer({"b": 2, "a": 1}), ASK) == []


def test_unordered_lists_are_compared_as_sets() -> None:
    unordered = Ask("GET", "/x", unordered=True)
    assert differences(answer([1, 2]), answer([2, 1]), unordered) == []
    assert differences(answer([1, 2]), answer([2, 2]), unordered) != []


def test_an_etag_of_a_time_is_volatile_and_another_is_not() -> None:
    one, other = f'"0-{"a" * 32}"', f'"0-{"b" * 32}"'
    time = (
        answer(b"20240101T000000", kind="text/plain", etag=one),
        answer(b"20240101T000001", kind="text/plain", etag=other),
    )
    text = (answer(b"hello", kind="text/plain", etag=one), answer(b"hello", kind="text/plain", etag=other))
    assert differences(*time, ASK) == []
    assert [each.place for each in differences(*text, ASK)] == ["header.etag"]


def test_a_declared_difference_covers_only_its_place_and_value() -> None:
    found = [Found("body.Labels", ABSENT, []), Found("body.ID", "a", "b")]
    declared = (Difference("body.Labels", "newer", ours=[], theirs=ABSENT),)
    assert undeclared(found, declared) == [found[1]]
    assert undeclared([Found("body.Labels", ABSENT, ["x"])], declared) != []


def test_a_stale_declaration_is_seen() -> None:
    declared = (Difference("body.Gone", "was there once"),)
    assert unused([Found("body.ID", 1, 2)], declared) == list(declared)


def test_placeholders_name_one_file_or_all(tmp_path: Any) -> None:
    pair = Pair(Ithil(tmp_path / "a"), Ithil(tmp_path / "b"))
    ids = {"ID": "i", "ParentSeries": "e", "ParentStudy": "s", "ParentPatient": "p"}
    pair.remember("pydicom/one.dcm", answer(ids))
    pair.remember("pydicom/two.dcm", answer({**ids, "ID": "j"}))
    assert pair.paths("/instances/{instance:two}/file") == ["/instances/j/file"]
    assert pair.paths("/instances/{instance}") == ["/instances/i", "/instances/j"]
    assert pair.paths("/studies/{study}") == ["/studies/s"]
    assert pair.paths("/system") == ["/system"]
    with pytest.raises(KeyError):
        pair.paths("/studies/{study:three}")
