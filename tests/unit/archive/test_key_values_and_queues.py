"""What plugins keep: key-value stores and queues, for all processes and beyond a restart."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from tests.unit.archive.places import Place

from ithil import error_codes as codes
from ithil.archive import clock, key_values, queues
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.error_codes import CodedError


def test_values_come_back(place: Place) -> None:
    archive = place.open()
    assert key_values.get(archive, "store", "key") is None
    key_values.put(archive, "store", "key", b"\0one")
    key_values.put(archive, "store", "key", b"\xfftwo")
    key_values.put(archive, "other", "key", b"three")
    again = place.open()
    assert key_values.get(again, "store", "key") == b"\xfftwo"
    assert key_values.get(again, "other", "key") == b"three"
    key_values.delete(again, "store", "key")
    key_values.delete(again, "store", "key")
    assert key_values.get(archive, "store", "key") is None
    assert key_values.get(archive, "other", "key") == b"three"


def test_a_store_is_walked_while_it_changes(archive: Archive) -> None:
    wanted = {f"key {number} ☀": b"%d" % number for number in range(1, 30)}
    for key, value in wanted.items():
        key_values.put(archive, "store", key, value)
    key_values.put(archive, "another", "x", b"x")
    seen = []
    for key, value in key_values.items(archive, "store"):
        assert wanted[key] == value
        seen.append(key)
        key_values.delete(archive, "store", key)
        key_values.put(archive, "another", key, b"y")
    assert sorted(seen) == sorted(wanted)
    assert list(key_values.items(archive, "store")) == []


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 2000, "\ud800"])
def test_names_that_cannot_be_stored(archive: Archive, name: str) -> None:
    for change in (
        lambda: key_values.put(archive, name, "key", b"x"),
        lambda: key_values.put(archive, "store", name, b"x"),
        lambda: queues.enqueue(archive, name, b"x"),
        lambda: queues.dequeue(archive, name),
        lambda: queues.size(archive, name),
    ):
        with pytest.raises(CodedError) as refused:
            change()
        assert refused.value.code == codes.PARAMETER_OUT_OF_RANGE
    assert key_values.get(archive, name, "key") is None
    key_values.delete(archive, "store", name)
    assert list(key_values.items(archive, name)) == []


def test_empty_values_are_refused(archive: Archive) -> None:
    with pytest.raises(CodedError):
        key_values.put(archive, "store", "key", b"")
    with pytest.raises(CodedError):
        queues.enqueue(archive, "queue", b"")
    assert queues.size(archive, "queue") == 0


def test_a_queue_has_two_ends(place: Place) -> None:
    archive = place.open()
    for number in range(5):
        queues.enqueue(archive, "queue", b"%d" % number)
    queues.enqueue(archive, "other", b"x")
    again = place.open()
    assert queues.size(again, "queue") == 5
    assert queues.dequeue(again, "queue") == b"0"
    assert queues.dequeue(archive, "queue", back=True) == b"4"
    assert [queues.dequeue(archive, "queue") for _ in range(4)] == [b"1", b"2", b"3", None]
    assert queues.dequeue(archive, "queue", back=True) is None
    assert (queues.size(archive, "queue"), queues.size(archive, "other")) == (0, 1)


def test_a_reserved_value_comes_back_unless_acknowledged(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(clock, "now", lambda: (now, ""))
    for value in (b"one", b"two"):
        queues.enqueue(archive, "queue", value)
    first = queues.reserve(archive, "queue", 10)
    assert first is not None
    assert first.value == b"one"
    last = queues.reserve(archive, "queue", 10, back=True)
    assert last is not None
    assert last.value == b"two"
    assert queues.reserve(archive, "queue", 10) is None
    assert queues.dequeue(archive, "queue") is None
    assert queues.size(archive, "queue") == 2
    assert queues.acknowledge(archive, "queue", last.number)
    assert not queues.acknowledge(archive, "queue", last.number)
    assert not queues.acknowledge(archive, "other", first.number)
    now += 11
    again = queues.reserve(archive, "queue", 10)
    assert again == first
    assert queues.acknowledge(archive, "queue", first.number)
    assert queues.size(archive, "queue") == 0


def test_many_takers_get_each_value_once(place: Place) -> None:
    archives = [place.open() for _ in range(4)]
    for number in range(60):
        queues.enqueue(archives[0], "queue", b"%d" % number)
    taken: list[bytes] = []

    def take(archive: Archive, *, reserving: bool) -> None:
        while True:
            if reserving:
                reserved = queues.reserve(archive, "queue", 600)
                if reserved is None:
                    return
                taken.append(reserved.value)
                assert queues.acknowledge(archive, "queue", reserved.number)
            else:
                value = queues.dequeue(archive, "queue")
                if value is None:
                    return
                taken.append(value)

    threads = [
        threading.Thread(target=take, args=(archive,), kwargs={"reserving": number % 2 == 0})
        for number, archive in enumerate(archives)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(taken) == Counter(b"%d" % number for number in range(60))
    assert queues.size(archives[0], "queue") == 0


def test_a_read_only_archive_keeps_what_it_has(place: Place) -> None:
    key_values.put(place.open(), "store", "key", b"x")
    archive = place.open(read_only=True)
    for change in (
        lambda: key_values.put(archive, "store", "key", b"y"),
        lambda: key_values.delete(archive, "store", "key"),
        lambda: queues.enqueue(archive, "queue", b"x"),
        lambda: queues.dequeue(archive, "queue"),
        lambda: queues.reserve(archive, "queue", 1),
        lambda: queues.acknowledge(archive, "queue", 1),
    ):
        with pytest.raises(ReadOnly):
            change()
    assert key_values.get(archive, "store", "key") == b"x"
