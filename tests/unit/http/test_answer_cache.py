"""Answers that are kept, and that none of them is stale."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.application import CT_INSTANCE, CT_STUDY, Client

from ithil.http.answer_cache import LARGEST_KEY, LARGEST_SHARE, OVERHEAD, AnswerCache, CachedAnswer


def answer(size: int) -> CachedAnswer:
    return CachedAnswer([], bytes(size))


def test_an_answer_is_valid_for_one_version() -> None:
    cache, kept = AnswerCache(100_000), answer(10)
    assert cache.get(b"a", 1) is None
    cache.put(b"a", 1, kept)
    assert cache.get(b"a", 1) is kept
    assert cache.get(b"a", 2) is None
    assert cache.get(b"a", 1) is None


def test_an_answer_of_an_older_version_is_not_kept() -> None:
    cache = AnswerCache(100_000)
    cache.get(b"a", 1)
    cache.get(b"b", 2)
    cache.put(b"a", 1, answer(10))
    assert cache.get(b"a", 2) is None


def test_an_unknown_version_keeps_nothing() -> None:
    cache = AnswerCache(100_000)
    cache.get(b"a", None)
    cache.put(b"a", None, answer(10))
    assert cache.get(b"a", None) is None


def test_the_least_recently_used_goes_first() -> None:
    cache = AnswerCache(LARGEST_SHARE * (answer(0).size + 3))
    cache.get(b"x", 1)
    for number in range(LARGEST_SHARE):
        cache.put(b"%d" % number, 1, answer(0))
    cache.get(b"0", 1)
    cache.put(b"new", 1, answer(0))
    assert cache.get(b"0", 1) is not None
    assert cache.get(b"1", 1) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5000)), max_size=50))
def test_the_cache_stays_within_its_bounds(puts: list[tuple[int, int]]) -> None:
    cache = AnswerCache(20_000)
    cache.get(b"x", 1)
    for key, size in puts:
        cache.put(b"%d" % key, 1, answer(size))
        assert len(cache) * OVERHEAD <= 20_000


def test_what_strangers_write_into_a_request_counts() -> None:
    cache = AnswerCache(1_000_000)
    cache.get(b"x", 1)
    cache.put(b"x" * (LARGEST_KEY + 1), 1, answer(0))
    assert len(cache) == 0
    for number in range(1000):
        cache.put(b"%4000d" % number, 1, answer(0))
    assert len(cache) < 1_000_000 / 4000
    cache.put(b"long", 1, CachedAnswer([(b"warning", bytes(200_000))], b""))
    assert cache.get(b"long", 1) is None


def test_an_answer_changes_when_the_archive_does(client: Client, ct: bytes, mr: bytes) -> None:
    client.post("/instances", content=ct)
    for _ in range(2):
        assert len(client.get("/instances").json()) == 1
    client.post("/instances", content=mr)
    for _ in range(2):
        assert len(client.get("/instances").json()) == 2
    for _ in range(2):
        assert client.get(f"/instances/{CT_INSTANCE}/file").content == ct
    client.delete(f"/studies/{CT_STUDY}")
    for path in (f"/instances/{CT_INSTANCE}", f"/instances/{CT_INSTANCE}/file", f"/studies/{CT_STUDY}"):
        assert client.get(path).status_code == 404


def test_the_query_and_the_accepted_type_belong_to_an_answer(client: Client, ct: bytes) -> None:
    client.post("/instances", content=ct)
    url = f"/instances/{CT_INSTANCE}"
    for _ in range(2):
        assert client.get(url).json()["Type"] == "Instance"
        assert "0008,0018" in client.get(f"{url}?short").json()["MainDicomTags"]
        assert client.get(url, headers={"Accept": "application/xml"}).text.startswith("<?xml")
        assert client.get(f"{url}?_method=PUT").status_code == 405


def test_one_answer_does_not_take_the_room_of_all() -> None:
    cache = AnswerCache(100_000)
    cache.get(b"x", 1)
    for size, is_kept in (
        (100_000 // LARGEST_SHARE - OVERHEAD - 200, True),
        (100_000 // LARGEST_SHARE, False),
    ):
        cache.put(b"%d" % size, 1, answer(size))
        assert (cache.get(b"%d" % size, 1) is not None) == is_kept
