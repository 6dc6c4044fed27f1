"""What modalities answered, kept for every process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.archive.places import Place

from ithil import error_codes as codes
from ithil.archive import queries
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import queries as rows
from ithil.dicom.level import Level
from ithil.error_codes import CodedError

SYNTAX = "1.2.840.10008.1.2"


@pytest.fixture
def archive(place: Place) -> Archive:
    return place.open(query_retrieve_size=3)


def keep(archive: Archive, *contents: bytes) -> str:
    """A query that was answered so."""
    pairs = [(SYNTAX, content) for content in contents]
    return queries.keep(archive, "ct", Level.STUDY, {0x00100020: "1*"}, pairs, local_aet="ME", timeout=5)


def test_a_query_is_kept_with_its_answers(archive: Archive, place: Place) -> None:
    key = keep(archive, b"one", b"two\0\xff", b"")
    other = place.open()
    query = queries.get(other, key)
    assert (query.modality, query.level, query.query) == ("ct", Level.STUDY, {0x00100020: "1*"})
    assert (query.local_aet, query.timeout, query.transfer_syntax) == ("ME", 5, SYNTAX)
    assert list(queries.answers(other, query)) == [b"one", b"two\0\xff", b""]
    assert queries.answer(other, query, 1) == b"two\0\xff"


def test_thousands_of_answers_keep_their_order(archive: Archive) -> None:
    contents = [b"%d" % number for number in range(2345)]
    query = queries.get(archive, keep(archive, *contents))
    assert query.answers == 2345
    assert list(queries.answers(archive, query)) == contents


def test_a_query_without_answers_is_kept_too(archive: Archive) -> None:
    query = queries.get(archive, keep(archive))
    assert (query.answers, list(queries.answers(archive, query))) == (0, [])


@pytest.mark.parametrize("number", [-1, 1, 10**9])
def test_there_are_no_other_answers(archive: Archive, number: int) -> None:
    with pytest.raises(CodedError) as error:
        queries.answer(archive, queries.get(archive, keep(archive, b"one")), number)
    assert error.value.code == codes.PARAMETER_OUT_OF_RANGE


def test_the_queries_that_were_used_last_are_kept(archive: Archive) -> None:
    keys = [keep(archive, b"x") for _ in range(5)]
    assert queries.ids(archive) == sorted(keys[2:])
    with pytest.raises(CodedError) as error:
        queries.get(archive, keys[0])
    assert error.value.code == codes.UNKNOWN_RESOURCE


def test_to_look_at_a_query_is_to_use_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [keep(archive, b"x") for _ in range(3)]
    monkeypatch.setattr(queries, "_TOUCH_SECONDS", -1.0)
    queries.get(archive, keys[0])
    new = keep(archive, b"x")
    assert queries.ids(archive) == sorted([keys[0], keys[2], new])


def test_nothing_stays_of_a_query_that_failed(archive: Archive) -> None:
    def broken() -> Iterator[tuple[str, bytes]]:
        for number in range(1200):
            yield SYNTAX, b"%d" % number
        raise CodedError(codes.NETWORK_PROTOCOL)

    with pytest.raises(CodedError):
        queries.keep(archive, "ct", Level.STUDY, {}, broken())
    assert queries.ids(archive) == []
    key = keep(archive, b"x")
    with archive.index.read() as session:
        assert [number for number, _ in rows.page(session, key, 0, 10)] == [0]


def test_a_query_is_seen_once_all_answers_are_there(archive: Archive) -> None:
    def answers() -> Iterator[tuple[str, bytes]]:
        for number in range(600):
            yield SYNTAX, b"%d" % number
        assert queries.ids(archive) == []

    assert queries.ids(archive) == []
    key = queries.keep(archive, "ct", Level.STUDY, {}, answers())
    assert queries.ids(archive) == [key]


def test_a_query_can_be_forgotten(archive: Archive) -> None:
    key = keep(archive, b"x")
    assert queries.delete(archive, key)
    assert not queries.delete(archive, key)
    assert queries.ids(archive) == []


def test_nothing_is_kept_in_a_read_only_archive(archive: Archive, place: Place) -> None:
    key = keep(archive, b"x")
    read_only = place.open(read_only=True)
    with pytest.raises(ReadOnly):
        keep(read_only, b"x")
    with pytest.raises(ReadOnly):
        queries.delete(read_only, key)
    assert queries.get(read_only, key).answers == 1
