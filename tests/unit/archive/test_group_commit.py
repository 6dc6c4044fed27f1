"""Commits shared by several threads: each gets its own result, and a bad one takes no other along."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ithil.archive.errors import CommitUncertain, IndexUnavailable, StorageFull
from ithil.archive.group_commit import MAXIMUM_BATCH, GroupCommit

DEADLINE = 30.0


class Recorder:
    """A commit that can be held up, and remembers the lists it was called with."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = threading.Event()
        self.gate = threading.Event()
        self.overlaps = 0
        self._lock = threading.Lock()

    def __call__(self, batch: Sequence[int]) -> list[int]:
        if not self._lock.acquire(blocking=False):
            self.overlaps += 1
            raise AssertionError("two commits at once")
        try:
            self.batches.append(list(batch))
            self.running.set()
            assert self.gate.wait(DEADLINE)
            self.judge(batch)
            return [10 * item for item in batch]
        finally:
            self._lock.release()

    def judge(self, batch: Sequence[int]) -> None:
        """Raises for a batch that cannot be committed."""


def waiting(commits: GroupCommit[int, int]) -> int:
    """How many wait in the queue."""
    return len(commits._queue)


def submit_together(recorder: Recorder, items: Sequence[int]) -> list[int | BaseException]:
    """Submit 0 alone, and all `items` while it is being committed; their results in their order."""
    commits: GroupCommit[int, int] = GroupCommit(recorder)

    def one(item: int) -> int | BaseException:
        try:
            return commits.submit(item)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(items) + 1) as pool:
        first = pool.submit(one, 0)
        assert recorder.running.wait(DEADLINE)
        futures = [pool.submit(one, item) for item in items]
        until = time.monotonic() + DEADLINE
        while waiting(commits) < len(items) and time.monotonic() < until:
            time.sleep(0.001)
        recorder.gate.set()
        assert first.result(DEADLINE) == 0
        results = [future.result(DEADLINE) for future in futures]
    assert waiting(commits) == 0
    assert recorder.overlaps == 0
    return results


def test_one_alone_is_committed_alone() -> None:
    recorder = Recorder()
    recorder.gate.set()
    commits: GroupCommit[int, int] = GroupCommit(recorder)
    assert [commits.submit(item) for item in (1, 2)] == [10, 20]
    assert recorder.batches == [[1], [2]]


def test_those_who_wait_share_one_commit_and_get_their_own_results() -> None:
    recorder = Recorder()
    items = list(range(1, 31))
    assert submit_together(recorder, items) == [10 * item for item in items]
    assert len(recorder.batches) == 2
    assert sorted(recorder.batches[1]) == items


def test_a_long_queue_is_committed_in_several_lists() -> None:
    recorder = Recorder()
    items = list(range(1, 2 * MAXIMUM_BATCH + 10))
    assert submit_together(recorder, items) == [10 * item for item in items]
    assert [len(batch) for batch in recorder.batches] == [1, MAXIMUM_BATCH, MAXIMUM_BATCH, 9]


def test_a_bad_item_fails_alone() -> None:
    class Picky(Recorder):
        def judge(self, batch: Sequence[int]) -> None:
            if 5 in batch:
                raise ValueError("five")

    results = submit_together(Picky(), list(range(1, 9)))
    assert isinstance(results.pop(4), ValueError)
    assert results == [10 * item for item in (1, 2, 3, 4, 6, 7, 8)]


def test_an_uncertain_commit_is_uncertain_for_all_and_not_tried_again() -> None:
    """A second try that failed cleanly would make them take away what the first may have committed."""

    class BreaksOff(Recorder):
        def judge(self, batch: Sequence[int]) -> None:
            if len(batch) > 1:
                raise CommitUncertain("broke off")
            if batch[0]:
                raise IndexUnavailable("gone")

    results = submit_together(BreaksOff(), [1, 2, 3])
    assert [type(result) for result in results] == [CommitUncertain] * 3


def test_a_full_disk_is_not_asked_once_more_for_each() -> None:
    class Full(Recorder):
        def judge(self, batch: Sequence[int]) -> None:
            if batch[0]:
                raise StorageFull("full")

    recorder = Full()
    results = submit_together(recorder, [1, 2, 3])
    assert [type(result) for result in results] == [StorageFull] * 3
    assert len(recorder.batches) == 2


def test_many_threads_for_a_while() -> None:
    recorder = Recorder()
    recorder.gate.set()
    commits: GroupCommit[int, int] = GroupCommit(recorder)

    def many(start: int) -> list[int]:
        return [commits.submit(start + item) for item in range(50)]

    with ThreadPoolExecutor(8) as pool:
        for start, results in zip(range(0, 800, 100), pool.map(many, range(0, 800, 100)), strict=True):
            assert results == [10 * (start + item) for item in range(50)]
    assert sorted(item for batch in recorder.batches for item in batch) == sorted(
        start + item for start in range(0, 800, 100) for item in range(50)
    )


def test_the_next_one_can_commit_after_a_failure() -> None:
    failing = True

    def commit(batch: Sequence[int]) -> list[int]:
        if failing:
            raise ValueError
        return list(batch)

    commits: GroupCommit[int, int] = GroupCommit(commit)
    with pytest.raises(ValueError):
        commits.submit(1)
    failing = False
    assert commits.submit(2) == 2


def test_several_items_of_one_thread_share_a_commit() -> None:
    recorder = Recorder()
    recorder.gate.set()
    commits: GroupCommit[int, int] = GroupCommit(recorder)
    count = 2 * MAXIMUM_BATCH + 3
    assert commits.submit_all(range(count)) == [10 * item for item in range(count)]
    assert [len(batch) for batch in recorder.batches] == [MAXIMUM_BATCH, MAXIMUM_BATCH, 3]
    assert commits.submit_all([]) == []
    assert commits.submit(7) == 70


def test_one_bad_item_of_several_takes_no_other_along() -> None:
    class Judging(Recorder):
        def judge(self, batch: Sequence[int]) -> None:
            if 2 in batch:
                raise ValueError("bad")

    recorder = Judging()
    recorder.gate.set()
    first, second, third = GroupCommit[int, int](recorder).submit_all([1, 2, 3])
    assert (first, third) == (10, 30)
    assert isinstance(second, ValueError)


def test_lists_and_single_items_of_many_threads() -> None:
    recorder = Recorder()
    recorder.gate.set()
    commits: GroupCommit[int, int] = GroupCommit(recorder)

    def work(number: int) -> bool:
        if number % 2:
            return commits.submit(number) == 10 * number
        items = range(number, number + 40)
        return commits.submit_all(items) == [10 * item for item in items]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    assert recorder.overlaps == 0
    assert waiting(commits) == 0
