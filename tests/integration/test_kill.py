"""`kill -9` in the middle of a transfer: every acknowledged instance is there, whole, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5

import psutil
import pytest
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.data.synthetic import Synthetic
from tests.integration.sending import (
    associate,
    count,
    data_set,
    eventually,
    instance_id,
    send_until_it_breaks,
    store,
    stored_data_set,
)
from tests.servers.ithil import Ithil
from tests.servers.postgresql import PostgreSql

COUNT = 2000
KILLED_AFTER = 600


def run_check(server: Ithil, *options: str) -> subprocess.CompletedProcess[str]:
    """`ithil check` on what a server has left."""
    return subprocess.run(
        [sys.executable, "-m", "ithil", "check", *options, str(server.folder / "configuration.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_acknowledged_instance_survives(
    start_ithil: StartIthil, database: str, request: pytest.FixtureRequest
) -> None:
    configuration = {}
    if database == "postgresql":
        server_of_database: PostgreSql = request.getfixturevalue("postgresql")
        configuration = {"PostgreSQL": server_of_database.configuration}
    instances = [synthetic.instance(n % 3, n % 7, n, size=4) for n in range(COUNT)]
    server = start_ithil(configuration)
    acknowledged: list[Synthetic] = []
    enough = threading.Event()

    def note(instance: Synthetic) -> None:
        acknowledged.append(instance)
        if len(acknowledged) >= KILLED_AFTER:
            enough.set()

    with ThreadPoolExecutor(2) as pool:
        senders = [pool.submit(send_until_it_breaks, server, instances[part::2], note) for part in range(2)]
        assert enough.wait(120)
        server.kill()
        assert [sender.result(60) for sender in senders] == [False, False]
    assert KILLED_AFTER <= len(acknowledged) < COUNT

    server.start()
    assert len(acknowledged) <= count(server) <= len(acknowledged) + 2  # two were on their way
    for instance in acknowledged:
        assert stored_data_set(server, instance) == data_set(instance.content)
    for instance in acknowledged[-20:]:
        place = f"/instances/{instance_id(instance)}"
        file = server.get(f"{place}/file").body
        assert server.get(f"{place}/attachments/dicom/md5").body.decode() == md5(file).hexdigest()

    assert send_until_it_breaks(server, instances, lambda instance: None)
    assert count(server) == COUNT
    assert (count(server, "CountStudies"), count(server, "CountSeries")) == (3, 21)
    server.stop()
    checked = run_check(server, "--md5", "--older-than", "0", "--remove-orphans")
    assert checked.returncode == 0, checked.stdout
    assert f"{COUNT} files are indexed." in checked.stdout
    checked = run_check(server, "--older-than", "0")
    assert checked.stdout.count("\n0 files are ") == 4


def workers_of(server: Ithil) -> list[int]:
    """The process ids of the workers."""
    return [child.pid for child in psutil.Process(server.pid).children()]


def test_a_dead_worker_is_replaced_and_the_others_go_on(start_ithil: StartIthil) -> None:
    server = start_ithil({"Ithil": {"Workers": 2}})
    eventually(lambda: len(workers_of(server)) == 2, "two workers")
    before = workers_of(server)
    acknowledged: list[Synthetic] = []
    stop = threading.Event()

    def send(part: int) -> None:
        number = part
        while not stop.is_set():
            # As a modality does, what was not acknowledged is sent again on a new association.
            instance = synthetic.instance(0, part, number, size=4)
            sent = send_until_it_breaks(server, [instance], acknowledged.append)
            number += 4 if sent else 0

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, part) for part in range(4)]
        try:
            eventually(lambda: len(acknowledged) > 40, "instances are stored")
            os.kill(before[0], signal.SIGKILL)
            eventually(
                lambda: len(workers_of(server)) == 2 and before[0] not in workers_of(server),
                "a new worker takes the dead one's place",
            )
            now = len(acknowledged)
            eventually(lambda: len(acknowledged) > now + 40, "instances are stored again")
        finally:
            stop.set()
        for sender in senders:
            sender.result(60)
    assert before[1] in workers_of(server)
    sent = {instance.sop_uid: instance for instance in acknowledged}
    assert count(server) >= len(sent)
    for instance in sent.values():
        assert stored_data_set(server, instance) == data_set(instance.content)
    server.stop()
    assert run_check(server, "--md5").returncode == 0


def test_an_instance_is_stored_whole_or_not_at_all(start_ithil: StartIthil) -> None:
    """A server killed while a data set of some megabytes arrives has no row for it, and `check` no complaint."""
    server = start_ithil()
    large = synthetic.instance(0, 0, 0, size=1024)
    content = data_set(large.content)
    half_sent, go_on = threading.Event(), threading.Event()

    def pieces() -> object:
        yield content[: len(content) // 2]
        half_sent.set()
        assert go_on.wait(60)
        yield content[len(content) // 2 :]

    def send() -> bool:
        try:
            with associate(server) as peer:
                peer.store("1.2.840.10008.5.1.4.1.1.2", large.sop_uid, "1.2.840.10008.1.2.1", pieces())  # type: ignore[arg-type]
        except Exception:
            return False
        return True

    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(send)
        assert half_sent.wait(60)
        server.kill()
        go_on.set()
        assert sender.result(60) is False
    server.start()
    assert count(server) == 0
    with associate(server) as peer:
        assert store(peer, large) == 0
    server.stop()
    assert run_check(server, "--md5").returncode == 0
