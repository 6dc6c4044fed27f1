"""Work done ahead: order, bounds, failures, and consumers that leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from ithil.archive.export.ahead import Room, Work, in_order, threads


def test_results_come_in_their_order() -> None:
    gate = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            gate.wait(10)
        else:
            gate.set()  # a later one is done while the first still runs
        return number

    works = (Work(partial(work, number), 1) for number in range(20))
    results = in_order(threads(2), works, window=4, capacity=100, room=Room(100))
    assert list(results) == list(range(20))


@pytest.mark.parametrize(
    ("window", "capacity", "room", "most"), [(3, 1000, 1000, 3), (100, 50, 1000, 5), (100, 1000, 40, 4)]
)
def test_only_so_much_is_ahead(window: int, capacity: int, room: int, most: int) -> None:
    taken = 0

    def works() -> Iterator[Work[int]]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield Work(partial(int, number), 10)

    shared = Room(room)
    results = in_order(threads(2), works(), window=window, capacity=capacity, room=shared)
    for consumed, _ in enumerate(results, 1):
        assert taken <= consumed + most + 1  # the one that finds no place yet is known too
    assert shared.take(room)  # all was given back


def test_one_work_goes_on_even_when_others_hold_all_the_room() -> None:
    room = Room(10)
    assert room.take(10)
    works = (Work(partial(int, number), 1000) for number in range(3))
    assert list(in_order(threads(2), works, window=4, capacity=5, room=room)) == [0, 1, 2]


def test_a_failure_is_raised_at_its_place() -> None:
    def fail() -> int:
        raise OSError("broken")

    room = Room(10)
    works = [Work(partial(int, 1), 1), Work(fail, 1), Work(partial(int, 3), 1)]
    results = in_order(threads(2), iter(works), window=4, capacity=10, room=room)
    assert next(results) == 1
    with pytest.raises(OSError, match="broken"):
        next(results)
    assert room.take(10)


def test_whoever_leaves_cancels_what_has_not_begun() -> None:
    begun = threading.Semaphore(0)
    gate = threading.Event()
    done: list[int] = []

    def work(number: int) -> int:
        begun.release()
        gate.wait(10)
        done.append(number)
        return number

    room = Room(100)
    pool = threads(1)
    works = (Work(partial(work, number), 1) for number in range(50))
    results = in_order(pool, works, window=20, capacity=100, room=room)
    consumer = threading.Thread(target=next, args=(results, None))
    consumer.start()
    assert begun.acquire(timeout=10)
    gate.set()
    consumer.join(10)
    results.close()
    pool.submit(int).result(10)  # behind all that was left
    assert room.take(100)
    assert len(done) < 50
