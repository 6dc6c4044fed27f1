"""Two processes of several threads each store and delete parts of the same study at the same time."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.archive.places import ORIGIN, OnPostgresql, Place, image, put
from tests.unit.archive.recount import assert_sound

from ithil.archive import changes, resources
from ithil.archive.archive import Archive
from ithil.archive.delete import delete
from ithil.archive.ingest import Incoming
from ithil.archive.ingest_batch import commit_all
from ithil.archive.model import StoreStatus
from ithil.dicom.level import Level

ROOT = Path(__file__).parents[3]

STORE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tests.unit.archive.places import OnPostgresql, OnSqlite, image, put

folder, url, schema, first = sys.argv[1:]
place = OnSqlite.__new__(OnSqlite) if not url else OnPostgresql.__new__(OnPostgresql)
place.folder, place._opened = Path(folder), []
if url:
    place.url, place.schema = url, schema
archive = place.open(ithil={"workers": 2})
print("ready", flush=True)
sys.stdin.readline()

def store(thread):
    return [put(archive, image(0, series, number)).status.value
            for series in range(2) for number in range(int(first) + thread, 40, 4)]

with ThreadPoolExecutor(4) as pool:
    for answers in pool.map(store, range(4)):
        print(" ".join(answers), flush=True)
"""


def test_two_processes_store_the_same_study(place: Place) -> None:
    """Each has 20 of 40 instances of its own and shares the others, in two series."""
    archive = place.open()
    remote = (place.url, place.schema) if isinstance(place, OnPostgresql) else ("", "")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STORE, str(place.folder), *remote, first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for first in ("0", "10")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers: list[str] = []
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        answers += output.split()
    assert answers.count(StoreStatus.SUCCESS) == 80
    assert answers.count(StoreStatus.ALREADY_STORED) == 60
    assert len(answers) == 140
    found = resources.statistics(archive)
    assert found is not None
    assert (found.patients, found.studies, found.series, found.instances) == (1, 1, 2, 80)
    logged = [(change.kind, change.id) for change in changes.page(archive, limit=1000).changes]
    assert len(logged) == len(set(logged)) == 84
    assert_sound(archive)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("overwrite", ["Never", "Always"])
def test_threads_store_the_same_instances(place: Place, overwrite: str, processes: int) -> None:
    ithil = {"workers": processes}
    archives = [place.open(overwrite_instances=overwrite, ithil=ithil) for _ in range(processes)]

    def store(thread: int) -> list[StoreStatus]:
        choose = random.Random(thread)
        numbers = list(range(15))
        choose.shuffle(numbers)
        return [put(archives[thread % processes], image(0, 0, number)).status for number in numbers]

    with ThreadPoolExecutor(6) as pool:
        answers = [status for found in pool.map(store, range(6)) for status in found]
    if overwrite == "Never":
        assert answers.count(StoreStatus.SUCCESS) == 15
    else:
        assert answers.count(StoreStatus.SUCCESS) == 90
    assert len(resources.list_ids(archives[0], Level.INSTANCE)) == 15
    logged = [(change.kind, change.id) for change in changes.page(archives[0], limit=1000).changes]
    assert len(logged) == len(set(logged)) == 18
    assert_sound(archives[0])


def test_a_deleter_meets_those_who_store(place: Place) -> None:
    """What is acknowledged after the last delete is there; nothing is half there."""
    archives = [place.open() for _ in range(2)]

    def store(thread: int) -> None:
        for number in range(thread, 60, 3):
            assert put(archives[thread % 2], image(0, number % 2, number)).status is StoreStatus.SUCCESS

    def delete_often(archive: Archive) -> None:
        choose = random.Random(1)
        for _ in range(25):
            level = choose.choice(list(Level))
            known = resources.list_ids(archive, level)
            if known:
                delete(archive, level, choose.choice(known))

    with ThreadPoolExecutor(4) as pool:
        stores = [pool.submit(store, thread) for thread in range(3)]
        pool.submit(delete_often, archives[1]).result(120)
        for future in stores:
            future.result(120)
    assert_sound(archives[0])
    after = [put(archives[number % 2], image(0, 5, number)) for number in range(4)]
    assert {one.status for one in after} == {StoreStatus.SUCCESS}
    assert {one.instance for one in after} <= set(resources.list_ids(archives[0], Level.INSTANCE))
    assert_sound(archives[0])


def test_two_who_bring_the_same_in_another_order(place: Place) -> None:
    """Each claims some of them first, and neither may wait for the other for ever."""
    archive = place.open()
    contents = [image(0, 0, number) for number in range(12)]

    def store(thread: int) -> list[str]:
        order = contents if thread % 2 else contents[::-1]
        incomings = [Incoming(archive, ORIGIN) for _ in order]
        for incoming, content in zip(incomings, order, strict=True):
            incoming.write(content)
        return [str(getattr(each, "status", each)) for each in commit_all(archive, incomings)]

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(store, thread) for thread in range(8)]
        answers = [status for future in futures for status in future.result(60)]
    assert sorted(answers) == ["AlreadyStored"] * 84 + ["Success"] * 12
    assert_sound(archive)
