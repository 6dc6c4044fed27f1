"""Turns: one after the other, in order; and nobody waits for one that takes long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.http.connections import DEADLINE, until

from ithil.http.turns import Turns


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_one_after_the_other_in_their_order(threads: ThreadPoolExecutor) -> None:
    turns = Turns(threads)
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


def test_the_others_go_on_when_some_take_long(threads: ThreadPoolExecutor) -> None:
    turns = Turns(threads)
    gate = threading.Event()
    done: list[str] = []

    def long(name: str) -> None:
        assert gate.wait(DEADLINE)
        done.append(name)

    async def take() -> None:
        for number in range(3):
            turns.take(lambda number=number: long(f"long {number}"))  # type: ignore[misc]
            turns.take(lambda number=number: done.append(f"short {number}"))  # type: ignore[misc]
        await until(lambda: len(done) == 3)
        assert done == ["short 0", "short 1", "short 2"]
        gate.set()
        await until(lambda: len(done) == 6)
        turns.take(lambda: done.append("last"))
        await until(lambda: len(done) == 7)

    asyncio.run(take())
    assert sorted(done[3:6]) == ["long 0", "long 1", "long 2"]
