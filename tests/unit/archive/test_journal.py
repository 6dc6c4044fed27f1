"""The files of the journal: whatever a crash makes of one, what is read is a prefix of what was written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.descriptors import open_below
from tests.unit.archive.places import abandon

from ithil.archive.errors import StorageFull, StorageUnavailable
from ithil.archive.storage import journal as journal_module
from ithil.archive.storage import segments as segments_module
from ithil.archive.storage.journal import Journal, Place
from ithil.archive.storage.segments import Record, Segment, abandoned, records

SMALL_SEGMENT = 1024 * 1024
LOOKED_AT = 8192  # bytes of a segment, of which the tests of its format write fewer


@pytest.fixture(autouse=True)
def small_segments() -> Iterator[None]:
    with mock.patch.object(journal_module, "SEGMENT_SIZE", SMALL_SEGMENT):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    made = Journal(folder, durable=True)
    yield made
    made.close()


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def write(journal: Journal, head: bytes, content: Sequence[bytes] = (), file: str = "") -> Place:
    """Add a record and wait until it is in the file."""
    place = journal.append(head, content, file)
    journal.sync(place)
    return place


def found(segment: Segment) -> list[tuple[int, bytes, bytes]]:
    return [(each.number, each.head, each.content) for each in records(segment.fd)]


# -- what is read again --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A segment as it is on the disk, and what was written to it last."""

    content: bytes
    records: list[Record]
    ends: list[int]  # of the records
    older: bytes  # what was there before these records
    older_records: list[Record]

    def whole_before(self, offset: int) -> int:
        return sum(end <= offset for end in self.ends)


Pairs = list[tuple[bytes, bytes]]
PAIRS: st.SearchStrategy[Pairs] = st.lists(
    st.tuples(st.binary(max_size=60), st.binary(max_size=200) | st.just(bytes(100))), max_size=12
)
SOME = PAIRS.filter(bool)


def written(older: Pairs, newer: Pairs) -> Written:
    """Two generations in one segment, the first of them possibly empty."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(journal_module, "SEGMENT_SIZE", SMALL_SEGMENT),
    ):
        made = Journal(Path(folder), durable=False)
        made.prepare()
        segment = made._active
        assert segment is not None
        old = []
        for head, content in older:
            place = write(made, head, [content[:7], content[7:]])
            old.append(Record(segment.generation, place.number, head, content))
            made.settle(place)
        before = segment.path.read_bytes()[:LOOKED_AT]
        if older:
            assert made.turn() == [segment]
            made.free(segment)
            made._active, made._spare = None, segment  # the other one is not looked at
        new, ends = [], []
        for head, content in newer:
            place = write(made, head, [content])
            assert place.segment is segment
            new.append(Record(segment.generation, place.number, head, content))
            ends.append(segment.size)
        after = segment.path.read_bytes()[:LOOKED_AT]
        abandon(made)
    return Written(after, new, ends, before.ljust(len(after), b"\0"), old)


def read(content: bytes) -> list[Record]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return list(records(file.fileno()))


@given(PAIRS)
def test_what_was_written_is_read(pairs: Pairs) -> None:
    made = written([], pairs)
    assert read(made.content) == made.records


@given(PAIRS, PAIRS)
def test_an_older_generation_is_not_read_after_the_present_one(older: Pairs, newer: Pairs) -> None:
    made = written(older, newer)
    assert read(made.content) == (made.records if newer else made.older_records)


@given(PAIRS, SOME, st.data())
def test_a_truncated_segment_gives_what_is_whole(older: Pairs, newer: Pairs, data: st.DataObject) -> None:
    made = written(older, newer)
    size = data.draw(st.integers(0, len(made.content)), "size")
    assert read(made.content[:size]) == made.records[: made.whole_before(size)]


@given(PAIRS, SOME, st.data())
def test_a_changed_byte_ends_the_records(older: Pairs, newer: Pairs, data: st.DataObject) -> None:
    made = written(older, newer)
    offset = data.draw(st.integers(0, made.ends[-1] - 1) | st.integers(0, len(made.content) - 1), "offset")
    changed = bytearray(made.content)
    changed[offset] ^= data.draw(st.integers(1, 255), "bits")
    assert read(bytes(changed)) == made.records[: made.whole_before(offset)]


@given(PAIRS, SOME, st.data())
def test_pages_that_never_reached_the_disk_end_the_records(
    older: Pairs, newer: Pairs, data: st.DataObject
) -> None:
    """A part of what was written last is what it was before, or zeros."""
    made = written(older, newer)
    start = data.draw(st.integers(0, len(made.content)), "start")
    end = data.draw(st.integers(start, len(made.content)), "end")
    lost = made.older if data.draw(st.booleans(), "older") else bytes(len(made.content))
    got = read(made.content[:start] + lost[start:end] + made.content[end:])
    if got and got[0].generation not in {each.generation for each in made.records}:
        # The first record is lost, and with it all of them. Those before it were settled, and count as that.
        assert start < end
        assert start < made.ends[0]
        assert got == made.older_records[: len(got)]
    else:
        assert got == made.records[: len(got)]
        assert len(got) >= made.whole_before(start)


@given(st.binary(max_size=3000))
def test_rubbish_has_no_records(content: bytes) -> None:
    assert read(content) == []


def test_a_segment_of_zeros_has_no_records(journal: Journal) -> None:
    journal.prepare()
    assert journal._active is not None
    assert journal._active.path.stat().st_size == SMALL_SEGMENT
    assert found(journal._active) == []


def test_lengths_that_lie_are_no_reason_to_read_more(journal: Journal) -> None:
    place = write(journal, b"head", [b"content"])
    lie = segments_module._HEAD.pack(segments_module._MAGIC, 1, 1, 2**32 - 1, 2**32 - 1, 0)
    os.pwrite(place.segment.fd, lie, place.segment.size)
    assert found(place.segment) == [(0, b"head", b"content")]


# -- writing -------------------------------------------------------------------------------------------------------


def test_a_segment_grows_with_its_records(journal: Journal) -> None:
    wrote = []
    for number in range(10):
        place = write(journal, b"head", [bytes([number]) * 200_000])
        wrote.append((number, b"head", bytes([number]) * 200_000))
    assert place.segment.path.stat().st_size > SMALL_SEGMENT
    assert found(place.segment) == wrote
    assert len(names(journal.folder)) == 1


def test_a_segment_that_has_grown_too_much_is_not_used_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "LARGEST_SEGMENT", 2 * SMALL_SEGMENT)
    place = write(journal, b"head", [bytes(3 * SMALL_SEGMENT)])
    journal.settle(place)
    (segment,) = journal.turn()
    journal.free(segment)
    assert not segment.path.exists()
    other = write(journal, b"head")
    assert other.segment is not segment
    assert other.segment.generation > segment.generation
    journal.settle(other)
    journal.close()
    assert segment.name in journal.gone()
    journal.forget(journal.gone())
    assert journal.gone() == []
    assert names(journal.folder) == [other.segment.name]


def test_many_threads_write_one_segment(journal: Journal) -> None:
    def work(number: int) -> Place:
        place = journal.append(str(number).encode(), [bytes([number]) * number])
        journal.sync(place)
        return place

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(work, range(200)))
    (segment,) = {place.segment for place in places}
    expected = {
        place.number: (str(number).encode(), bytes([number]) * number) for number, place in enumerate(places)
    }
    assert {number: (head, content) for number, head, content in found(segment)} == expected
    assert sorted(expected) == list(range(200))


def test_who_waits_for_the_disk_has_the_record_on_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = journal_module._fdatasync

    def watched(fd: int) -> None:
        synced.append(len(list(records(fd))))
        real(fd)

    monkeypatch.setattr(journal_module, "_fdatasync", watched)
    for number in range(3):
        journal.sync(journal.append(b"head"))
        assert synced[-1] == number + 1


def test_without_sync_nobody_waits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise AssertionError("nobody asked for this")

    monkeypatch.setattr(journal_module, "_fdatasync", fail)
    made = Journal(folder, durable=False)
    place = made.append(b"head")
    made.sync(place)
    assert found(place.segment) == [(0, b"head", b"")]
    made.close()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, StorageUnavailable), (errno.ENOSPC, StorageFull)], ids=["EIO", "ENOSPC"]
)
def test_a_segment_is_not_used_after_the_disk_has_refused_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    first = journal.append(b"first")
    journal.sync(first)
    calls: list[int] = []

    def broken(fd: int) -> None:
        calls.append(fd)
        raise OSError(number, os.strerror(number))

    second = journal.append(b"second")
    with monkeypatch.context() as patched:
        patched.setattr(journal_module, "_fdatasync", broken)
        with pytest.raises(kind):
            journal.sync(second)
    # The kernel takes the pages for written now: a call that succeeds would say nothing of them.
    with pytest.raises(StorageUnavailable):
        journal.sync(second)
    with pytest.raises(StorageUnavailable):
        journal.sync(first)
    assert len(calls) == 1
    third = journal.append(b"third")
    journal.sync(third)
    assert third.segment is not first.segment
    assert found(third.segment) == [(0, b"third", b"")]
    for place in (first, second):
        journal.settle(place)
    assert journal.turn() == [first.segment]
    journal.free(first.segment)
    assert names(journal.folder) == [third.segment.name]
    journal.settle(third)


def test_those_who_wait_for_other_segments_are_not_taken_along(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = journal.append(b"old")
    journal.turn()
    new = journal.append(b"new")
    bad = old.segment.fd
    real = journal_module._fdatasync

    def broken(fd: int) -> None:
        if fd == bad:
            raise OSError(errno.EIO, "broken")
        real(fd)

    monkeypatch.setattr(journal_module, "_fdatasync", broken)
    outcomes = journal._syncs.submit_all([old.segment, new.segment])
    assert isinstance(outcomes[0], StorageUnavailable)
    assert outcomes[1] is None
    assert old.segment.broken
    assert not new.segment.broken


@pytest.mark.parametrize("failure", ["part", "error"])
def test_a_record_that_was_written_in_part_is_none(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    real = os.pwritev

    def partly(fd: int, pieces: list[bytes], offset: int) -> int:
        got = real(fd, [b"".join(pieces)[:30]], offset)
        if failure == "error":
            raise OSError(errno.ENOSPC, "full")
        return got

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    first = write(journal, b"first")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", partly)
        if failure == "part":
            assert found(write(journal, b"whole").segment)[1:] == [(1, b"whole", b"")]
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StorageFull):
            write(journal, b"second")
    third = write(journal, b"third")
    there = [head for segment in {first.segment, third.segment} for _, head, _ in found(segment)]
    assert sorted(there) == [b"first", b"third", *([b"whole"] if failure == "part" else [])]


def test_a_record_of_very_many_pieces(journal: Journal) -> None:
    """More than the system takes in one call."""
    content = [bytes([number % 251]) * (number % 3) for number in range(5000)]
    first, second = journal.append(b"head", content), journal.append(b"next", content)
    journal.sync(second)
    assert found(first.segment) == [(0, b"head", b"".join(content)), (1, b"next", b"".join(content))]


def test_a_full_disk_has_no_new_segment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    made = Journal(folder, durable=True)
    descriptors = open_below(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StorageFull):
            made.prepare()
        with pytest.raises(StorageFull):
            made.append(b"head")
    assert names(folder) == []
    assert open_below(folder) == descriptors
    write(made, b"head")
    assert len(names(folder)) == 1
    abandon(made)


def test_a_file_in_place_of_the_folder(folder: Path) -> None:
    folder.write_text("not a folder")
    with pytest.raises(StorageUnavailable):
        Journal(folder, durable=True).prepare()


def test_segments_are_not_for_everybody(journal: Journal) -> None:
    """They have patient data."""
    write(journal, b"head")
    (name,) = names(journal.folder)
    assert (journal.folder / name).stat().st_mode & 0o007 == 0
    assert journal.folder.stat().st_mode & 0o007 == 0


# -- beginning anew ------------------------------------------------------------------------------------------------


def test_a_segment_is_written_anew_after_it_is_freed(journal: Journal) -> None:
    assert journal.turn() == []
    first = write(journal, b"first", [b"1"], "file")
    assert first.segment.files == ["file"]
    assert journal.turn() == [first.segment]
    second = write(journal, b"second", [b"2"], "other file")
    assert second.segment is not first.segment
    assert journal.turn() == [first.segment], "one after the other"
    journal.settle(first)
    journal.free(first.segment)
    assert first.segment.files == []
    assert journal.turn() == [second.segment]
    third = write(journal, b"third", [b"3"])
    assert third.segment is first.segment
    assert third.number == 0
    assert third.segment.generation > 1
    assert found(third.segment) == [(0, b"third", b"3")]
    assert len(names(journal.folder)) == 2


def test_there_are_never_more_segments_than_are_needed(journal: Journal) -> None:
    journal.prepare()
    before = names(journal.folder)
    for _ in range(20):
        place = write(journal, b"head", [bytes(300_000)])
        journal.settle(place)
        for segment in journal.turn():
            journal.free(segment)
        assert names(journal.folder) == before
    assert journal.gone() == []


def test_how_far_all_is_settled(journal: Journal) -> None:
    places = [journal.append(b"head") for _ in range(5)]
    segment = places[0].segment

    def left(*settling: int) -> list[int]:
        ((found, count, numbers),) = journal.left_by([places[each] for each in settling])
        assert (found, count) == (segment, 5)
        return numbers

    assert journal.left_by([]) == []
    assert left(1, 2) == [0, 3, 4]
    assert left(0) == [1, 2, 3, 4]
    assert left(0, 1, 2, 3, 4) == []
    journal.settle(places[1])
    journal.settle(places[1])  # harmless
    assert left(0) == [2, 3, 4]
    journal.settle(places[0])
    assert left(2, 4) == [3]
    journal.turn()
    other = journal.append(b"head")
    (of_old, of_new) = journal.left_by([places[2], other])
    assert of_old == (segment, 5, [3, 4])
    assert of_new == (other.segment, 1, [])


def test_the_end_leaves_only_what_has_records(journal: Journal) -> None:
    first = write(journal, b"first")
    journal.settle(first)
    (segment,) = journal.turn()
    second = write(journal, b"second")
    journal.free(segment)
    descriptors = open_below(journal.folder)
    journal.close()
    assert journal.gone() == [first.segment.name]
    assert names(journal.folder) == [second.segment.name]
    assert open_below(journal.folder) == descriptors - 2
    (left,) = abandoned(journal.folder)
    assert found(left) == [(0, b"second", b"")]
    segments_module.remove(left)


def test_what_is_begun_later_has_a_greater_generation(journal: Journal, folder: Path) -> None:
    generations = []
    for _ in range(6):
        place = write(journal, b"head")
        generations.append(next(records(place.segment.fd)).generation)
        journal.settle(place)
        for segment in journal.turn()[:-1]:
            journal.free(segment)
        for segment in journal.turn():
            journal.free(segment)
    first, second = write(journal, b"first"), None
    journal.turn()
    second = write(journal, b"second")
    generations += [first.segment.generation, second.segment.generation]
    assert generations == sorted(set(generations))
    abandon(journal)
    left = sorted(abandoned(folder), key=lambda segment: segment.generation)
    assert [head for segment in left for _, head, _ in found(segment)] == [b"first", b"second"]
    for segment in left:
        segments_module.remove(segment)


# -- what others see -----------------------------------------------------------------------------------------------


def test_segments_of_this_process_are_not_abandoned(journal: Journal) -> None:
    write(journal, b"first")
    journal.turn()
    write(journal, b"second")
    assert len(names(journal.folder)) == 2
    assert list(abandoned(journal.folder)) == []
    abandon(journal)
    heads = []
    left = list(abandoned(journal.folder))
    assert list(abandoned(journal.folder)) == []
    for segment in left:
        heads += [head for _, head, _ in found(segment)]
        segments_module.remove(segment)
    assert sorted(heads) == [b"first", b"second"]
    assert names(journal.folder) == []


_OTHER = """
import sys
from pathlib import Path
from ithil.archive.storage.journal import Journal
journal = Journal(Path(sys.argv[1]), durable=True)
journal.sync(journal.append(b"head", [b"content"]))
print("ready", flush=True)
sys.stdin.read()
"""


def test_segments_of_a_process_are_abandoned_when_it_was_killed(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        assert list(abandoned(folder)) == []
        other.kill()
        other.wait(30)
        (segment,) = abandoned(folder)
    assert found(segment) == [(0, b"head", b"content")]
    segments_module.remove(segment)
    assert list(abandoned(folder)) == []


def test_only_one_gets_what_is_abandoned(journal: Journal) -> None:
    for number in range(4):
        write(journal, str(number).encode())
        journal._retired.append(journal._current())
        journal._active = None
    abandon(journal)
    start = threading.Barrier(4)

    def take() -> list[Segment]:
        start.wait(30)
        return list(abandoned(journal.folder))

    with ThreadPoolExecutor(4) as pool:
        taken = [segment for future in [pool.submit(take) for _ in range(4)] for segment in future.result()]
    assert sorted(segment.name for segment in taken) == names(journal.folder)
    for segment in taken:
        segments_module.remove(segment)


def test_other_names_are_left_alone(folder: Path) -> None:
    assert list(abandoned(folder)) == []
    folder.mkdir()
    (folder / "refused").mkdir()
    (folder / "readme").write_text("by the operator")
    young, old = folder / f"{'a' * 32}.new", folder / f"{'b' * 32}.new"
    for path in (young, old):
        path.write_bytes(b"")
    os.utime(old, (1.0, 1.0))
    assert list(abandoned(folder)) == []
    assert names(folder) == sorted(["refused", "readme", young.name])
