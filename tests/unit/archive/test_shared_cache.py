"""Results made once for all who ask, kept in bounded memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ithil.archive.shared_cache import MemoryGate, SharedCache
from ithil.error_codes import CodedError

WAIT = 10  # seconds that no test should need


def test_those_who_ask_together_share_one_result() -> None:
    cache = SharedCache()
    asked, go_on = threading.Semaphore(0), threading.Event()
    made = []

    def make() -> tuple[object, int]:
        made.append(1)
        assert go_on.wait(WAIT)
        return object(), 1

    def ask() -> object:
        asked.release()
        return cache.get("frame", 100, make)

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(ask) for _ in range(8)]
        for _ in range(8):
            assert asked.acquire(timeout=WAIT)
        go_on.set()
        results = {id(answer.result(WAIT)) for answer in answers}
    assert len(results) == 1
    assert made == [1]


def test_what_fails_fails_for_all_and_is_tried_again() -> None:
    cache = SharedCache()

    def fail() -> tuple[int, int]:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            cache.get("frame", 100, fail)
    assert cache.get("frame", 100, lambda: (7, 1)) == 7


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    cache = SharedCache()
    made = []

    def ask(key: int) -> int:
        def make() -> tuple[int, int]:
            made.append(key)
            return key, 20

        return cache.get(key, 100, make)

    for key in (1, 2, 3, 4, 5, 1, 6, 1, 2):
        assert ask(key) == key
        assert cache.size <= 100
    assert made == [1, 2, 3, 4, 5, 6, 2]


def test_what_is_too_large_is_not_kept() -> None:
    cache = SharedCache()
    assert cache.get("large", 100, lambda: ("a", 26)) == "a"
    assert cache.get("large", 100, lambda: ("b", 26)) == "b"
    assert cache.size == 0


def test_whether_to_keep_is_asked_of_what_was_made() -> None:
    cache = SharedCache()
    events: list[str] = []

    def make() -> tuple[str, int]:
        events.append("made")
        return "result", 1

    def keep() -> bool:
        events.append("asked")
        return cache.get("another", 100, lambda: (len(events) > 2, 1), keep=False)  # may use the cache itself

    for _ in range(3):
        assert cache.get("frame", 100, make, keep=keep) == "result"
    assert events == ["made", "asked"] * 2


def test_no_answer_to_whether_to_keep_leaves_nobody_waiting() -> None:
    cache = SharedCache()

    def fail() -> bool:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            cache.get("frame", 100, lambda: (7, 1), keep=fail)
    assert cache.get("frame", 100, lambda: (7, 1)) == 7


def test_no_capacity_keeps_nothing() -> None:
    cache = SharedCache()
    assert cache.get("x", 0, lambda: (1, 1)) == 1
    assert cache.get("x", 0, lambda: (2, 1)) == 2


def test_work_beyond_the_budget_waits_for_room() -> None:
    gate = MemoryGate(WAIT)
    entered = threading.Event()

    def work() -> None:
        with gate.share(60, 100):
            entered.set()

    with ThreadPoolExecutor(1) as threads:
        with gate.share(60, 100):
            waiting = threads.submit(work)
            assert not entered.wait(0.05)
        waiting.result(WAIT)
    assert entered.is_set()


def test_work_larger_than_the_budget_is_done_alone() -> None:
    with MemoryGate(WAIT).share(10_000, 100):
        pass


def test_waiting_has_an_end() -> None:
    gate = MemoryGate(0.01)
    with gate.share(100, 100), pytest.raises(CodedError) as refusal, gate.share(1, 100):
        pass
    assert refusal.value.status == 503
    with gate.share(100, 100):
        pass
