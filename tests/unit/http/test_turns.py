"""Turns: one after the other, in order; and nobody waits for one that takes long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from tests.unit.http.connections import DEADLINE, until

from ithil.http.turns import Turns


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns("test", leaders=1, long=0.02, most=3)
    yield made
    made.close()


def test_one_after_the_other_in_their_order(turns: Turns) -> None:
    done: list[int] = []
    present = most = 0

    def work(number: int) -> None:
        nonlocal present, most
        present += 1
        most = max(most, present)
        sum(range(1000))
        present -= 1
        done.append(number)

    async def take() -> None:
        for number in range(500):
            turns.take(lambda number=number: work(number))  # type: ignore[misc]
            if number % 50 == 0:
                await until(lambda number=number: len(done) == number + 1)  # type: ignore[misc]
        await until(lambda: len(done) == 500)

    asyncio.run(take())
    assert done == list(range(500))
    assert most == 1


def test_the_others_go_on_when_some_take_long(turns: Turns) -> None:
    gate = threading.Event()
    done: list[str] = []

    def long(name: str) -> None:
        assert gate.wait(DEADLINE)
        done.append(name)

    async def take() -> None:
        for number in range(2):
            turns.take(lambda number=number: long(f"long {number}"))  # type: ignore[misc]
            turns.take(lambda number=number: done.append(f"short {number}"))  # type: ignore[misc]
        await until(lambda: len(done) == 2)
        assert done == ["short 0", "short 1"]
        gate.set()
        await until(lambda: len(done) == 4)
        turns.take(lambda: done.append("last"))
        await until(lambda: len(done) == 5)

    asyncio.run(take())
    assert sorted(done[2:4]) == ["long 0", "long 1"]


def test_what_waits_for_a_thread_keeps_its_turn(turns: Turns) -> None:
    """All threads do something that takes long, one after the other: who leads next must not lose the lead."""
    done: list[int] = []

    def long(number: int) -> None:
        threading.Event().wait(0.06)
        done.append(number)

    async def take() -> None:
        for number in range(12):
            turns.take(lambda number=number: long(number))  # type: ignore[misc]
        await until(lambda: len(done) == 12)

    asyncio.run(take())
    assert sorted(done) == list(range(12))
    assert turns._threads._work_queue.qsize() == 0


def test_several_lead_if_they_may() -> None:
    turns = Turns("test", leaders=2, long=30.0, most=8)
    gate = threading.Event()
    present: list[int] = []

    def wait(number: int) -> None:
        present.append(number)
        assert gate.wait(DEADLINE)

    async def take() -> None:
        for number in range(4):
            turns.take(lambda number=number: wait(number))  # type: ignore[misc]
        await until(lambda: len(present) == 2)
        gate.set()
        await until(lambda: len(present) == 4)

    asyncio.run(take())
    turns.close()
