"""Starting anew and stopping by REST and by signal, and values that hold for all processes of a server."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import psutil
import pytest
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.integration.sending import associate, eventually, store
from tests.servers.ithil import Ithil
from tests.servers.ports import free_ports

WORKERS = (1, 2)


def reconfigure(server: Ithil, **options: object) -> None:
    """Write another configuration to where the server reads it."""
    server.configuration.update(options)
    (server.folder / "configuration.json").write_text(json.dumps(server.configuration))


def name_is(server: Ithil, name: str) -> Callable[[], bool]:
    return lambda: server.get("/system").json()["Name"] == name


def workers_of(server: Ithil) -> set[int]:
    return {child.pid for child in psutil.Process(server.pid).children()}


@pytest.mark.parametrize("workers", WORKERS)
def test_reset_reads_the_configuration_again(start_ithil: StartIthil, workers: int) -> None:
    server = start_ithil({"Ithil": {"Workers": workers}})
    server.upload(synthetic.instance(1, 0, 0, size=4).content)
    pid, before = server.pid, workers_of(server)
    server.ask("PUT", "/tools/default-encoding", "Utf8")
    reconfigure(server, Name="Renamed")
    assert name_is(server, "Tested")()
    answer = server.ask("POST", "/tools/reset")
    assert (answer.status, answer.body) == (200, b"{}")
    eventually(name_is(server, "Renamed"), "the new configuration counts")
    assert server.pid == pid
    assert server.process is not None
    assert server.process.poll() is None
    if workers > 1:
        eventually(lambda: not workers_of(server) & before, "all workers are new")
    assert server.get("/tools/default-encoding").body == b"Latin1"
    assert server.get("/statistics").json()["CountInstances"] == 1
    with associate(server) as peer:
        assert store(peer, synthetic.instance(1, 0, 1, size=4)) == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_who_comes_while_the_server_starts_anew_waits(start_ithil: StartIthil, workers: int) -> None:
    server = start_ithil({"Ithil": {"Workers": workers}})
    failures: list[str] = []
    done = threading.Event()

    def knock() -> None:
        while not done.is_set():
            try:
                with socket.create_connection(("127.0.0.1", server.http_port), timeout=30):
                    pass
            except OSError as error:
                failures.append(str(error))

    thread = threading.Thread(target=knock)
    thread.start()
    for number in range(3):
        reconfigure(server, Name=f"Round{number}")
        os.kill(server.pid, signal.SIGHUP)
        eventually(name_is(server, f"Round{number}"), "the new configuration counts")
    done.set()
    thread.join()
    assert not failures


@pytest.mark.parametrize("workers", WORKERS)
def test_a_configuration_that_cannot_be_used_changes_nothing(start_ithil: StartIthil, workers: int) -> None:
    server = start_ithil({"Ithil": {"Workers": workers}})
    path = server.folder / "configuration.json"
    good = path.read_text()
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        taken = other.getsockname()[1]
        for number, bad in enumerate(
            ("{ no json", json.dumps({**server.configuration, "Name": "Bad", "HttpPort": taken})), 1
        ):
            path.write_text(bad)
            server.ask("POST", "/tools/reset")
            eventually(
                lambda count=number: server.log.count("so the old one stays") == count, "the log says so"
            )
            eventually(name_is(server, "Tested"), "the old configuration counts")
    path.write_text(good)


def test_reset_may_move_to_other_ports_and_more_processes(start_ithil: StartIthil) -> None:
    server = start_ithil()
    old = server.http_port
    server.http_port, server.dicom_port = free_ports(2)
    reconfigure(
        server, HttpPort=server.http_port, DicomPort=server.dicom_port, Name="Moved", Ithil={"Workers": 2}
    )
    os.kill(server.pid, signal.SIGHUP)

    def moved() -> bool:
        try:
            return name_is(server, "Moved")() and len(workers_of(server)) == 2
        except OSError:
            return False

    eventually(moved, "it answers at the new port")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", old), timeout=5)
    with associate(server) as peer:
        assert store(peer, synthetic.instance(1, 0, 1, size=4)) == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_shutdown(start_ithil: StartIthil, workers: int) -> None:
    server = start_ithil({"Ithil": {"Workers": workers}})
    children = workers_of(server)
    assert server.ask("POST", "/tools/shutdown").body == b"{}"
    assert server.process is not None
    assert server.process.wait(30) == 0
    assert not any(psutil.pid_exists(child) for child in children)


def test_values_hold_for_all_processes(start_ithil: StartIthil) -> None:
    server = start_ithil({"Ithil": {"Workers": 3}})
    server.ask("PUT", "/tools/default-encoding", "Cyrillic")
    server.ask("PUT", "/tools/log-level-dicom", "verbose")
    server.ask("PUT", "/tools/accepted-transfer-syntaxes", "1.2.840.10008.1.2")
    for _ in range(20):
        assert server.get("/tools/default-encoding").body == b"Cyrillic"
        assert server.get("/tools/log-level-dicom").body == b"verbose"
        assert server.get("/tools/accepted-transfer-syntaxes").json() == ["1.2.840.10008.1.2"]
    victim = workers_of(server).pop()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(workers_of(server) - {victim}) == 3, "another takes its place")
    for _ in range(20):
        assert server.get("/tools/default-encoding").body == b"Cyrillic"


def numbers(server: Ithil) -> dict[str, float]:
    lines = server.get("/tools/metrics-prometheus").body.decode().splitlines()
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines}


def test_metrics_are_those_of_all_processes(start_ithil: StartIthil) -> None:
    server = start_ithil({"Ithil": {"Workers": 3}})
    instances = [synthetic.instance(1, 0, number, size=8) for number in range(12)]
    size = sum(len(instance.content) for instance in instances)
    for instance in instances:
        server.upload(instance.content)
    # Whichever process is asked, it knows what all of them have written.
    for _ in range(6):
        assert numbers(server)["orthanc_storage_written_bytes"] == size
    assert numbers(server)["orthanc_available_dicom_threads"] == 300
    with associate(server):
        assert numbers(server)["orthanc_available_dicom_threads"] == 299
    eventually(lambda: numbers(server)["orthanc_available_dicom_threads"] == 300, "the association is over")
    started = time.monotonic()
    assert 0 < numbers(server)["orthanc_up_time_s"] < started
