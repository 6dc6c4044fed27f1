"""Commits shared by several threads: each gets its own result, and a bad one takes no other along."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ithil.archive.errors import CommitUncertain, IndexUnavailable, StorageFull, StorageUnavailable
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


def test_nothing_is_an_item_as_well() -> None:
    """For those who only wait for something to happen, such as a write to the disk."""
    calls: list[int] = []

    def commit(batch: Sequence[None]) -> list[None]:
        calls.append(len(batch))
        return [None] * len(batch)

    commits: GroupCommit[None, None] = GroupCommit(commit)
    commits.submit(None)
    assert calls == [1]
    assert commits.submit_all([None, None]) == [None, None]
    assert calls == [1, 2]


# -- what is only posted -------------------------------------------------------------------------------------------


class Told:
    """What became of posted items."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[int, int | BaseException]] = []

    def of(self, item: int) -> Callable[[int | BaseException], None]:
        return lambda outcome: self.outcomes.append((item, outcome))


def opened(recorder: Recorder) -> GroupCommit[int, int]:
    recorder.gate.set()
    return GroupCommit(recorder)


def test_what_is_posted_waits_for_whoever_drains() -> None:
    recorder, told = Recorder(), Told()
    commits = opened(recorder)
    commits.drain()  # nothing to do
    for item in (1, 2, 3):
        commits.post(item, told.of(item))
    assert (commits.waiting, recorder.batches, told.outcomes) == (3, [], [])
    commits.drain()
    assert (commits.waiting, recorder.batches) == (0, [[1, 2, 3]])
    assert told.outcomes == [(1, 10), (2, 20), (3, 30)]
    commits.drain()
    assert len(recorder.batches) == 1


def test_what_is_posted_goes_with_the_next_that_is_submitted() -> None:
    recorder, told = Recorder(), Told()
    commits = opened(recorder)
    commits.post(1, told.of(1))
    assert commits.submit(2) == 20
    assert recorder.batches == [[1, 2]]
    assert told.outcomes == [(1, 10)]
    assert commits.waiting == 0


def test_all_that_was_posted_before_is_committed_by_a_drain() -> None:
    recorder, told = Recorder(), Told()
    commits = opened(recorder)
    items = list(range(1, 2 * MAXIMUM_BATCH + 10))
    for item in items:
        commits.post(item, told.of(item))
    commits.drain()
    assert [item for batch in recorder.batches for item in batch] == items
    assert told.outcomes == [(item, 10 * item) for item in items]
    assert max(map(len, recorder.batches)) <= MAXIMUM_BATCH


def test_a_drain_waits_for_the_commit_that_runs() -> None:
    recorder, told = Recorder(), Told()
    commits: GroupCommit[int, int] = GroupCommit(recorder)
    commits.post(1, told.of(1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(commits.drain)
        assert recorder.running.wait(DEADLINE)
        second = pool.submit(commits.drain)
        assert not second.done()
        recorder.gate.set()
        first.result(DEADLINE)
        second.result(DEADLINE)
    assert told.outcomes == [(1, 10)]
    assert recorder.batches == [[1]]


def test_from_within_a_commit_a_drain_returns() -> None:
    told = Told()
    drained: list[object] = []

    def commit(batch: Sequence[int]) -> list[int]:
        commits.drain()
        commits.drain(again=True)
        drained.extend(batch)
        return [10 * item for item in batch]

    commits: GroupCommit[int, int] = GroupCommit(commit)

    def drains(outcome: int | BaseException) -> None:
        commits.drain()
        drained.append(outcome)

    commits.post(1, drains)
    commits.post(2, told.of(2))
    assert commits.submit(3) == 30
    assert drained == [1, 2, 3, 10]
    assert told.outcomes == [(2, 20)]


def test_what_fails_is_kept_and_tried_again() -> None:
    class Full(Recorder):
        full = True

        def judge(self, batch: Sequence[int]) -> None:
            if self.full:
                raise StorageFull("full")

    recorder, told = Full(), Told()
    commits = opened(recorder)
    for item in (1, 2):
        commits.post(item, told.of(item))
    commits.drain()
    assert (commits.waiting, told.outcomes) == (2, [])
    assert isinstance(commits.failure, StorageFull)
    commits.drain()  # not before somebody says so
    assert len(recorder.batches) == 1
    commits.drain(again=True)
    assert (len(recorder.batches), commits.waiting, told.outcomes) == (2, 2, [])
    with pytest.raises(StorageFull):
        commits.submit(3)
    assert commits.waiting == 2
    recorder.full = False
    commits.drain(again=True)
    assert commits.waiting == 0
    assert commits.failure is None
    assert sorted(told.outcomes) == [(1, 10), (2, 20)]


def test_one_that_fails_is_in_nobodys_way() -> None:
    class Picky(Recorder):
        bad: tuple[int, ...] = (2, 4)

        def judge(self, batch: Sequence[int]) -> None:
            if set(batch) & set(self.bad):
                raise StorageUnavailable("not these")

    recorder, told = Picky(), Told()
    commits = opened(recorder)
    for item in (1, 2, 3, 4):
        commits.post(item, told.of(item))
    assert commits.submit(5) == 50
    assert told.outcomes == [(1, 10), (3, 30)]
    assert commits.waiting == 2
    assert isinstance(commits.failure, StorageUnavailable)
    assert commits.submit_all([6, 7]) == [60, 70]
    recorder.bad = ()
    commits.drain(again=True)
    assert sorted(told.outcomes) == [(1, 10), (2, 20), (3, 30), (4, 40)]
    assert commits.waiting == 0
    assert commits.failure is None


def test_a_mistake_is_told_and_not_tried_again() -> None:
    class Mistaken(Recorder):
        def judge(self, batch: Sequence[int]) -> None:
            if 2 in batch:
                raise ValueError("two")

    recorder, told = Mistaken(), Told()
    commits = opened(recorder)
    for item in (1, 2, 3):
        commits.post(item, told.of(item))
    commits.drain()
    assert commits.waiting == 0
    assert commits.failure is None
    assert [item for item, _ in told.outcomes] == [1, 2, 3]
    assert isinstance(told.outcomes[1][1], ValueError)


def test_who_cannot_be_told_yet_is_told_later() -> None:
    recorder = Recorder()
    commits = opened(recorder)
    failing, outcomes = True, []

    def told(outcome: int | BaseException) -> None:
        if failing:
            raise StorageFull("full")
        outcomes.append(outcome)

    commits.post(1, told)
    commits.drain()
    assert commits.waiting == 1
    assert isinstance(commits.failure, StorageFull)
    failing = False
    commits.drain(again=True)
    assert (commits.waiting, outcomes) == (0, [10])
    assert commits.failure is None


def test_an_error_of_who_is_told_stops_nobody() -> None:
    recorder, told = Recorder(), Told()
    commits = opened(recorder)

    def fails(outcome: int | BaseException) -> None:
        raise ValueError("of who is told")

    commits.post(1, fails)
    commits.post(2, told.of(2))
    commits.drain()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(commits.submit, 3).result(DEADLINE) == 30
    assert told.outcomes == [(2, 20)]
    assert commits.waiting == 1
    assert isinstance(commits.failure, ValueError)


def test_posting_submitting_and_draining_at_once() -> None:
    """Every item is committed once, each caller gets its own, and a drain has all that was posted before it."""

    class Flaky(Recorder):
        count = 0

        def judge(self, batch: Sequence[int]) -> None:
            self.count += 1
            if self.count % 7 == 0:
                raise StorageUnavailable("this time")

    recorder, told = Flaky(), Told()
    commits = opened(recorder)

    def post(start: int) -> None:
        for item in range(start, start + 100):
            commits.post(item, told.of(item))

    def submit(start: int) -> None:
        for item in range(start, start + 100):
            while True:
                try:
                    assert commits.submit(item) == 10 * item
                    break
                except StorageUnavailable:
                    pass

    def drain(start: int) -> None:
        for item in range(start, start + 100):
            mine: list[object] = []

            def tell(outcome: int | BaseException, item: int = item, mine: list[object] = mine) -> None:
                mine.append(outcome)
                told.of(item)(outcome)

            commits.post(item, tell)
            while not mine:
                commits.drain(again=True)
            assert mine == [10 * item]

    with ThreadPoolExecutor(9) as pool:
        works = [
            pool.submit(work, 1000 * number + 100 * place)
            for number, work in enumerate((post, submit, drain))
            for place in range(3)
        ]
        for work in works:
            work.result(DEADLINE)
    while commits.waiting:
        commits.drain(again=True)
    assert recorder.overlaps == 0
    posted = [item for start in (0, 2000) for item in range(start, start + 300)]
    assert sorted(told.outcomes) == [(item, 10 * item) for item in posted]
    assert waiting(commits) == 0
